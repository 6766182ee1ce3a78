"""Files of keys and audit logs of any bytes: read, refused by name, or sealed; never a crash, never a key let in."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.errors import InvalidFile, InvalidSetting, Unauthenticated
from relgraph_server.audit import AuditLog
from relgraph_server.auditing import entry_line, entry_of, verify_audit
from relgraph_server.gate import Gate
from relgraph_server.keyfile import read_keys
from relgraph_server.keyring import Keyring
from tests.keys_kit import add_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEY = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "a b", ""]) | JSON,
        "sha256": st.sampled_from(["0" * 64, "1" * 64, "f" * 63]) | JSON,
        "scopes": st.lists(st.sampled_from(["check", "admin", "none"]), max_size=3) | JSON,
        "actor": st.sampled_from(["required", "optional", "forbidden", "x"]) | JSON,
        "created": st.just("2026-01-01T00:00:00Z") | JSON,
        "expires": st.none() | st.just("2026-01-01T00:00:00Z") | JSON,
        "revoked": st.none() | JSON,
    }
)
LINES = st.lists(st.binary(max_size=60) | st.builds(lambda shape: json.dumps(shape).encode(), KEY | JSON), max_size=4)


@given(LINES)
def test_any_file_of_keys(lines: list[bytes]) -> None:
    """Any bytes are keys, each with all that a key has, or an error with the line."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "keys")
        path.touch(0o600)
        path.write_bytes(b"\n".join(lines))
        try:
            keys = read_keys(path)
        except InvalidFile as error:
            line = int(error.details["line"])
        else:
            line = 1
            assert all(key.scopes and len(key.digest) == 64 for key in keys)
            path.write_text("".join(key.line for key in keys))
            assert keys == read_keys(path)
        assert 1 <= line <= len(b"\n".join(lines).split(b"\n"))


METADATA = st.lists(
    st.tuples(
        st.sampled_from(["authorization", "authorization-bin", "x"]),
        st.text() | st.binary() | st.sampled_from(["Bearer ", "Bearer", "Bearer rg_", "bearer rg_" + "A" * 43]),
    ),
    max_size=3,
)


@given(METADATA)
def test_any_metadata_of_a_stranger(metadata: list[tuple[str, str | bytes]]) -> None:
    """Whatever is sent in the place of a key that exists lets nobody in."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "keys")
        add_key(path, "root", ["admin"])
        gate = Gate(Keyring(str(path), lambda: 0), None)
        call = gate.call("Check", "peer")
        with pytest.raises(Unauthenticated):
            gate.identify(call, metadata)
        assert not call.principal


ENTRY = st.dictionaries(st.text(max_size=8), JSON, max_size=4).map(
    lambda shape: {**shape, "number": 1, "event": "call"}
)


@given(
    st.lists(st.binary(max_size=60) | st.builds(lambda entry: entry_line(entry)[0], ENTRY), max_size=4), st.booleans()
)
def test_any_audit_log(lines: list[bytes], ended: bool) -> None:
    """A server goes on behind any bytes, which stay as they are, or refuses them and touches nothing."""
    data = b"\n".join(lines) + b"\n" * ended
    with TemporaryDirectory() as folder:
        path = Path(folder, "audit")
        path.write_bytes(data)
        verify_audit(path)
        try:
            AuditLog(str(path), lambda: 0).close()
        except InvalidSetting:
            assert data == path.read_bytes()
        else:
            assert path.read_bytes().startswith(data)
            last = entry_of(path.read_bytes().splitlines()[-1])
            assert last is not None
            assert "stopped" == last["event"]

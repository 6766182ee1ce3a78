"""The audit log as a file: what was changed, taken out, put in, moved or torn is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from relgraph.cli import main
from relgraph.client import Client
from relgraph.errors import InvalidFile, InvalidSetting, RelgraphError
from relgraph_server.audit import AuditLog
from relgraph_server.auditing import entry_line, entry_of, verify_audit
from tests.serving import SCHEMA, program_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def written(path: Path, entries: int) -> bytes:
    """Make a log with so many entries of calls, and return it."""
    clock = count(1_700_000_000_000_000, 1_000)
    log = AuditLog(str(path), lambda: next(clock))
    for n in range(entries):
        log.append({"event": "call", "n": n})
    log.close()
    return path.read_bytes()


def again(path: Path) -> None:
    """Let a server start on a log and stop."""
    AuditLog(str(path), lambda: 0).close()


def test_a_true_log_is_sound(path: Path) -> None:
    """A log that nobody touched is sound, over restarts too, and its head is that of its last entry."""
    written(path, 3)
    again(path)
    found = verify_audit(path)
    last = entry_of(path.read_bytes().splitlines()[-1])
    assert last is not None
    assert ([], 0, 7, last["hash"]) == (found.findings, found.sealed, found.count, found.head)
    assert [] == verify_audit(path, head=found.head, count=7).findings


def test_every_changed_byte_is_found(path: Path) -> None:
    """Another value of any one byte of the log is found."""
    data = written(path, 2)
    head = verify_audit(path).head
    for place in range(len(data)):
        for mask in (1, 4, 32):
            path.write_bytes(data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :])
            assert verify_audit(path, head=head).findings, (place, mask)


def test_every_changed_entry_is_found_without_a_head(path: Path) -> None:
    """A change inside an entry is found by the entry's own hash; with that made to fit, by the one behind it."""
    lines = written(path, 3).splitlines()
    for place, line in enumerate(lines[:-1]):
        entry = entry_of(line)
        assert entry is not None
        for change in ({"number": 77}, {"time": "then"}, {"event": "other"}, {"more": 1}, {"previous": "0" * 63 + "1"}):
            without = {name: value for name, value in {**entry, **change}.items() if name != "hash"}
            forged = [*lines[:place], entry_line(without)[0], *lines[place + 1 :], b""]
            path.write_bytes(b"\n".join(forged))
            assert verify_audit(path).findings, (place, change)


def test_the_same_in_other_words_is_found(path: Path) -> None:
    """A line that says the same with other spaces, order or a second key is found."""
    data = written(path, 1)
    for old, new in (
        (b'"event":', b'"event": '),
        (b'{"event"', b'{"event":"call","event"'),
        (b"started", b"st\\u0061rted"),
    ):
        path.write_bytes(data.replace(old, new, 1))
        assert verify_audit(path).findings


def test_lines_taken_out_moved_or_put_in_are_found(path: Path) -> None:
    """Any line taken out before the last, any two exchanged, any one doubled or put in from another log is found."""
    lines = written(path, 6).splitlines(keepends=True)
    other = written(path.with_name("other"), 6).splitlines(keepends=True)
    for place, line in enumerate(lines):
        forged = [[*lines[:place], line, *lines[place:]], [*lines[:place], other[place], *lines[place + 1 :]]]
        if place < len(lines) - 1:
            forged.append(lines[:place] + lines[place + 1 :])
            forged.append([*lines[:place], lines[place + 1], line, *lines[place + 2 :]])
        for each in forged:
            path.write_bytes(b"".join(each))
            assert verify_audit(path).findings, place


def test_what_was_noted_finds_an_end_cut_off(path: Path) -> None:
    """Without a note a log that ends early looks sound; the hash of its head, or how long it was, tells."""
    lines = written(path, 4).splitlines(keepends=True)
    found = verify_audit(path)
    for length in range(len(lines)):
        path.write_bytes(b"".join(lines[:length]))
        assert [] == verify_audit(path).findings
        assert "cut off" in verify_audit(path, head=found.head).findings[0]
        assert "cut off" in verify_audit(path, count=found.count).findings[0]
    path.unlink()
    written(path, 4)
    assert verify_audit(path, head=found.head).findings
    assert [] == verify_audit(path, count=found.count).findings


def test_a_log_may_grow_behind_a_note(path: Path) -> None:
    """A head that was noted earlier still holds when the log has gone on."""
    written(path, 2)
    noted = verify_audit(path)
    again(path)
    assert [] == verify_audit(path, head=noted.head, count=noted.count).findings


def test_a_log_torn_anywhere_goes_on(path: Path) -> None:
    """Cut after any byte, as a crash may leave it, a log is sealed at the next start, and is sound again."""
    data = written(path, 2)
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        again(path)
        found = verify_audit(path)
        assert [] == found.findings, cut
        assert found.sealed == int(0 < cut and data[cut - 1 : cut] != b"\n" and data[cut : cut + 1] != b"\n"), cut
        assert path.read_bytes().startswith(data[:cut])


def test_a_seal_that_is_torn_is_sealed(path: Path) -> None:
    """A crash in the middle of sealing is sealed with the rest."""
    data = written(path, 1)[:-20]
    path.write_bytes(data)
    again(path)
    sealed = path.read_bytes()
    for cut in range(len(data), len(sealed)):
        path.write_bytes(sealed[:cut])
        again(path)
        assert [] == verify_audit(path).findings, cut


def test_what_was_sealed_cannot_change(path: Path) -> None:
    """The torn piece is part of the chain: changed, taken out or put in, it is found."""
    data = written(path, 1)[:-20]
    path.write_bytes(data)
    again(path)
    sealed = path.read_bytes()
    torn = data.splitlines()[-1]
    for forged in (
        sealed.replace(torn, torn[:-1]),
        sealed.replace(torn + b"\n", b""),
        sealed + b"torn" + b"\n" + sealed,
    ):
        path.write_bytes(forged)
        assert verify_audit(path).findings


@pytest.mark.parametrize("text", [b"hello\n", b"{}\n", b'{"event":"x"}\n', b"\x00" * 9])
def test_a_server_does_not_go_on_with_another_file(path: Path, text: bytes) -> None:
    """What is no audit log, or one whose last line was changed, is not written to."""
    path.write_bytes(text)
    with pytest.raises(InvalidSetting):
        again(path)
    assert text == path.read_bytes()


def test_a_changed_end_is_not_sealed(path: Path) -> None:
    """A last entry that was changed is no torn one: the server does not start on it."""
    data = written(path, 1)
    path.write_bytes(data.replace(b"stopped", b"stoqqed"))
    with pytest.raises(InvalidSetting, match="its end was changed"):
        again(path)


def test_verifying_in_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`relgraph audit verify` ends with 0 for a sound log, 4 for one that is not, 2 for none."""
    data = written(path, 2)
    head = verify_audit(path).head
    assert 0 == main(["audit", "verify", str(path), "--head", head, "--count", "4"])
    assert f"4 entries, head {head}\nsound\n" == capsys.readouterr().out
    assert 4 == main(["audit", "verify", str(path), "--count", "5"])
    path.write_bytes(data.replace(b'"n":1', b'"n":2'))
    assert 4 == main(["audit", "verify", str(path)])
    assert "line 3 was changed" in capsys.readouterr().out
    assert 2 == main(["audit", "verify", str(path.with_name("none"))])
    with pytest.raises(InvalidFile):
        verify_audit(path.with_name("none"))


def _write(client: Client, server: int, turn: int, acknowledged: dict[str, int], n: int) -> None:
    """Write, note what was acknowledged, and kill the server somewhere on the way."""
    name = f"r{turn}-{n}"
    with suppress(RelgraphError):
        acknowledged[name] = client.write(touch=[f"report:{name}#manager@user:anna"], request_id=name).revision
    if n == 60 + 40 * turn:
        os.kill(server, signal.SIGKILL)


def test_what_was_acknowledged_is_told_after_a_kill(tmp_path: Path, path: Path) -> None:
    """A server killed in the middle of many writes has an entry for every one that it acknowledged."""
    store = f"sqlite:///{tmp_path / 'access.db'}"
    code = "import sys; from relgraph.cli import main; sys.exit(main())"
    serve = [sys.executable, "-c", code, "serve", "--store", store, "--listen", "127.0.0.1:0", "--audit", str(path)]
    acknowledged: dict[str, int] = {}
    for turn in range(3):
        process = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=program_environment())
        assert process.stdout is not None
        address = process.stdout.readline().split('"')[3]
        with Client(address) as client:
            client.write_schema(SCHEMA)

            write = partial(_write, client, process.pid, turn, acknowledged)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(write, range(200)))
        process.wait(20)
        process.stdout.close()
    assert len(acknowledged) > 100
    again(path)
    assert [] == verify_audit(path).findings
    told = {
        entry.get("request_id"): entry["revision"]
        for line in path.read_bytes().splitlines()
        if (entry := entry_of(line)) is not None and entry["event"] == "call"
    }
    assert acknowledged.items() <= told.items()

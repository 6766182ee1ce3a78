"""Settings: flag before environment before file before default, and every mistake told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relgraph.errors import InvalidSetting
from relgraph_server.settings import Settings, load_settings, parse_address

if TYPE_CHECKING:
    from pathlib import Path

STORE = {"store": "sqlite:///x.db"}


def _file(folder: Path, text: str) -> str:
    path = folder / "relgraph.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_defaults_are_a_loopback_server() -> None:
    """With nothing but a store, the server listens on 127.0.0.1:50051."""
    assert Settings("sqlite:///x.db", listen="127.0.0.1:50051", insecure=False) == load_settings(STORE, {})


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    """A setting is taken from the first of flag, environment and file that gives it."""
    config = _file(
        tmp_path, 'store = "file"\nlisten = "127.0.0.1:1"\ncalls_max = 7\n[limits]\nnodes_max = 11\nways_max = 5\n'
    )
    environ = {"RELGRAPH_STORE": "environment", "RELGRAPH_LISTEN": "127.0.0.1:2", "RELGRAPH_LIMITS_NODES_MAX": "12"}
    settings = load_settings({"listen": "127.0.0.1:3", "store": None}, environ, config)
    assert ("environment", "127.0.0.1:3", 7, 12, 5) == (
        settings.store,
        settings.listen,
        settings.calls_max,
        settings.limits.nodes_max,
        settings.limits.ways_max,
    )


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """RELGRAPH_CONFIG names the settings file when no flag does."""
    config = _file(tmp_path, 'store = "file"')
    assert load_settings({}, {"RELGRAPH_CONFIG": config}).store == "file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calls_maxx = 3", "`calls_maxx` in .*, did you mean `calls_max`?"),
        ("[limits]\nnodes = 3", r"`nodes` under `\[limits\]` in .*"),
        ("limits = 3", "`limits` in .* is not a table"),
        ("calls_max = 0", "`calls_max` cannot be `0`; use a whole number from 1"),
        ("calls_max = true", "`calls_max` cannot be `True`"),
        ("calls_max = 1.5", "`calls_max` cannot be `1.5`"),
        ('insecure = "perhaps"', "`insecure` cannot be `perhaps`; use true or false"),
        ("store = 3", "`store` cannot be `3`; use a text"),
        ("store =", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    """A wrong name or value in the file is an error that names it, never a default."""
    with pytest.raises(InvalidSetting, match=said):
        load_settings(STORE if not text.startswith("store") else {}, {}, _file(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A settings file that cannot be read is an error."""
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load_settings(STORE, {}, str(tmp_path / "none.toml"))


def test_a_store_must_be_named() -> None:
    """Without a store there is nothing to serve."""
    with pytest.raises(InvalidSetting, match="no store is named"):
        load_settings({}, {})


@pytest.mark.parametrize("text", ["1e3", "-1", "", " 5", "٣"])
def test_numbers_in_the_environment_are_plain(text: str) -> None:
    """A number in the environment is decimal digits and nothing else."""
    with pytest.raises(InvalidSetting, match="`calls_max` cannot be"):
        load_settings(STORE, {"RELGRAPH_CALLS_MAX": text})


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:50051", "[::]:50051", "192.0.2.7:1", "example.com:50051", "[2001:db8::1]:1"]
)
def test_a_public_address_needs_to_be_spelled_out(listen: str) -> None:
    """An address beyond loopback is refused unless `insecure` is set."""
    with pytest.raises(InvalidSetting, match="public address"):
        load_settings({**STORE, "listen": listen}, {})
    assert load_settings({**STORE, "listen": listen, "insecure": True}, {}).listen == listen


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.3.2.1:65535", "localhost:1", "[::1]:50051"])
def test_loopback_needs_nothing(listen: str) -> None:
    """Every address of loopback is accepted as it is."""
    assert load_settings({**STORE, "listen": listen}, {}).listen == listen


@pytest.mark.parametrize(
    "listen", ["", "localhost", ":50051", "::1:50051", "127.0.0.1:http", "127.0.0.1:65536", "[]:1"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    """An address is HOST:PORT, an IPv6 host in brackets, a port of at most 65535."""
    with pytest.raises(InvalidSetting):
        parse_address(listen)


def test_a_misspelt_limit_in_the_environment_is_refused() -> None:
    """A limit that nobody reads is an error, as it is in the file."""
    with pytest.raises(InvalidSetting, match="did you mean `nodes_max`"):
        load_settings({"store": "sqlite://"}, {"RELGRAPH_LIMITS_NODESMAX": "5"})

"""Status: what a store and a server tell of themselves, what they find wrong, and that no secret is among it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import relgraph
from relgraph.api import Authorizer
from relgraph.client import Client
from relgraph.store import open_store
from relgraph.store.sqlite import measuring
from relgraph.store.urls import without_password
from relgraph_server.condition import server_status, setting_facts
from relgraph_server.settings import load_settings
from tests.serving import in_process

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from relgraph.answers import Status
    from tests.postgres_kit import Server

SCHEMA = "definition user {} definition group { relation member: user }"
HOUR = 3_600_000_000
NOW = 1_900_000_000_000_000


def facts(status: Status) -> dict[str, str | int]:
    """Return the facts by area and name."""
    return {f"{each.area}.{each.name}": each.value for each in status.facts}


def problems(status: Status) -> list[tuple[str, str]]:
    """Return each problem's area and remedy."""
    return [(each.area, each.remedy) for each in status.problems]


def test_a_file_tells_its_sizes(tmp_path: Path) -> None:
    """A store in a file tells its tuples, objects, revisions and bytes, and which SQLite it stands on."""
    path = tmp_path / "access.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["group:a#member@user:anna", "group:a#member@user:bob"])
        written = authorizer.write(delete=["group:a#member@user:bob"])
        found = authorizer.status()
        told = facts(found)
        assert found.problems == () or "WAL-reset" in found.problems[0].message
        assert (found.revision, told["store.newest revision"]) == (3, 3)
        assert relgraph.Token.parse(found.token).revision == relgraph.Token.parse(written.token).revision
        assert {
            "store.kind": "SQLite file",
            "store.file": str(path),
            "store.tuples": 1,
            "store.objects": 3,
            "history.ended tuples": 1,
            "history.revisions": 4,
            "history.oldest revision": 0,
            "versions.SQLite": relgraph.sqlite3.sqlite_version,
        }.items() <= told.items()
        assert told["store.file bytes"] == path.stat().st_size
        assert "history.oldest change" in told
        authorizer.collect(timedelta(0))
        assert facts(authorizer.status())["history.oldest revision"] == 3
        assert "history.oldest change" not in facts(authorizer.status())


def test_postgres_tells_its_sizes(postgres: Server) -> None:
    """A store on PostgreSQL tells the same counts, its server's version and its bytes, and no password."""
    with relgraph.open(postgres.url()) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["group:a#member@user:anna"])
        told = facts(authorizer.status())
    assert (told["store.kind"], told["store.tuples"], told["store.objects"]) == ("PostgreSQL schema", 1, 2)
    assert int(told["store.bytes"]) > 0
    assert str(told["versions.PostgreSQL"])[0].isdigit()


def test_a_clock_behind_the_newest_stamp_is_a_problem() -> None:
    """When the newest revision is stamped after the clock, that is told with what to do; a second is forgiven."""
    clock = [NOW]
    store = open_store("sqlite://", clock=lambda: clock[0], random=lambda size: b"r" * size)
    with Authorizer(store, clock=lambda: clock[0]) as authorizer:
        assert problems(authorizer.status()) == [("store", "run `relgraph schema write`")]
        authorizer.write_schema(SCHEMA)
        clock[0] -= 1_000_000
        assert problems(authorizer.status()) == []
        clock[0] -= HOUR
        [problem] = authorizer.status().problems
        assert problem.area == "clock"
        assert "3,601.0 s" in problem.message


def test_an_unsafe_sqlite_and_a_full_disk_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WAL-reset bug, a log that is never folded and a disk without room are told, each with its remedy."""
    with relgraph.open(f"sqlite:///{tmp_path / 'access.db'}") as authorizer:
        authorizer.write_schema(SCHEMA)
        monkeypatch.setattr(measuring, "has_reset_bug", lambda _: True)
        monkeypatch.setattr(measuring, "FREE_BYTES_MIN", 1 << 62)
        monkeypatch.setattr(measuring, "_LOG_LONG", -1)
        found = authorizer.status()
    assert [each.area for each in found.problems] == ["versions", "store", "store"]
    assert ["pysqlite3" in found.problems[0].remedy, "log" in found.problems[1].message] == [True, True]
    assert facts(found)["store.writers"] == "one process"


def test_a_server_tells_its_settings_and_their_sources(tmp_path: Path) -> None:
    """Every setting is told with its value and where it was set; a password in the store's URL is not."""
    config = tmp_path / "relgraph.toml"
    config.write_text("history_s = 60\ncollect_every_s = 10\n[limits]\nnodes_max = 7\nways_max = 8\n")
    environ = {"RELGRAPH_READ_THREADS_MAX": "2", "RELGRAPH_LIMITS_WAYS_MAX": "9", "RELGRAPH_HISTORY_S": "90"}
    url = "postgresql://anna:s3cret@db.example/access?password=s3cret"
    settings = load_settings({"store": url, "insecure": None}, environ, str(config))
    told = {each.name: (each.value, each.source) for each in setting_facts(settings)}
    assert told["store"] == (without_password(url), "an option")
    assert told["insecure"] == ("false", "default")
    assert told["read_threads_max"] == (2, "the variable RELGRAPH_READ_THREADS_MAX")
    assert told["history_s"] == (90, "the variable RELGRAPH_HISTORY_S")
    assert told["collect_every_s"] == (10, f"the file {config}")
    assert told["limits.nodes_max"] == (7, f"the file {config}")
    assert told["limits.ways_max"] == (9, "the variable RELGRAPH_LIMITS_WAYS_MAX")
    assert "s3cret" not in repr(told)


def test_history_that_is_not_collected_is_a_problem() -> None:
    """A server that keeps changes far longer than it was set to says so; one that keeps what it should does not."""
    clock = [NOW // 2]
    store = open_store("sqlite://", clock=lambda: clock[0], random=lambda size: b"r" * size)
    with Authorizer(store) as authorizer:
        authorizer.write_schema(SCHEMA)
        settings = load_settings({"store": "sqlite://"}, {})
        assert [each.area for each in server_status(authorizer, settings).problems] == ["history"]
        patient = load_settings({"store": "sqlite://"}, {"RELGRAPH_HISTORY_S": str(10**12)})
        assert server_status(authorizer, patient).problems == ()


def test_a_client_learns_what_the_server_tells() -> None:
    """Over the wire come all facts of the library, the server's versions and settings, and the problems."""
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        empty = client.status()
        assert [each.remedy for each in empty.problems] == ["run `relgraph schema write`"]
        client.write_schema(SCHEMA)
        here, there = facts(authorizer.status()), facts(client.status())
        assert client.status().problems == ()
        assert {name: value for name, value in here.items() if name != "clock.now"}.items() <= there.items()
        assert {"versions.grpcio", "versions.protobuf", "settings.listen", "settings.limits.nodes_max"} <= set(there)
        assert there["settings.drain_ms_max"] == 10_000

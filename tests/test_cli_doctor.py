"""The doctor: what it tells through either door, that problems end with 1 and have remedies, and that secrets stay."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import Fact, Problem, Status
from relgraph.cli import main
from relgraph.errors import ServerUnavailable, StoreFormat
from relgraph.instants import instant_text
from tests.cli_doors import DOORS, behind
from tests.cli_double import TOKEN, Double

if TYPE_CHECKING:
    from pathlib import Path

Screen = pytest.CaptureFixture[str]

SCHEMA = "definition user {} definition group { relation member: user }"


def well() -> Status:
    """Return the status of a server that is well, now."""
    now = Fact("clock", "now", instant_text(datetime.now(UTC)))
    return Status((now, Fact("store", "tuples", 1_234_567)), (), 7, TOKEN)


def rows(capsys: Screen, *arguments: str) -> list[dict[str, object]]:
    """Run the doctor with --json, and return its lines."""
    capsys.readouterr()
    main([*arguments, "doctor", "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("door", DOORS)
def test_all_is_well(tmp_path: Path, capsys: Screen, door: str) -> None:
    """On a store and on a server, the doctor tells versions, settings, clock, sizes and history, and ends with 0."""
    with behind(door, tmp_path, SCHEMA, ["group:a#member@user:anna"]) as where:
        assert main([*where, "doctor"]) == 0
        text = capsys.readouterr().out
        told = {(row["area"], row["name"]): row["value"] for row in rows(capsys, *where)}
    assert text.endswith("\nno problems\n")
    assert "settings at the default" in text
    assert (told["store", "tuples"], told["history", "revisions"], told["store", "kind"]) == (1, 3, "SQLite file")
    assert told["versions", "SQLite"] == relgraph.sqlite3.sqlite_version
    assert {"versions", "settings", "clock", "store", "history"} <= {str(area) for area, _ in told}
    assert ("here", "grpcio") in told if door == "--server" else ("versions", "grpcio") in told
    assert len(told) == len(set(told))


def test_problems_end_with_1(double: Double, capsys: Screen) -> None:
    """What is wrong is told with its remedy, as text and as JSON, and the exit code is 1."""
    double.answers["status"] = replace(well(), problems=(Problem("store", "the log\x1b grew", "end what reads"),))
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "  tuples  1,234,567\n" in text
    assert text.endswith("store: the log\\x1b grew\n  end what reads\n1 problem\n")
    assert rows(capsys)[-1] == {"area": "store", "problem": "the log\x1b grew", "remedy": "end what reads"}


@pytest.mark.parametrize(
    ("error", "remedy"),
    [(ServerUnavailable("nobody answers; start it"), "start it"), (StoreFormat("damaged"), "look at the message")],
    ids=["remedy", "none"],
)
def test_what_cannot_be_asked_is_a_problem(
    double: Double, capsys: Screen, error: relgraph.RelgraphError, remedy: str
) -> None:
    """A server or store that cannot be reached is a problem beside what can be told without it."""
    double.answers["status"] = error
    assert main(["doctor"]) == 1
    found = rows(capsys)
    assert found[-1]["remedy"] == remedy
    assert {"Python", "relgraph"} <= {row.get("name") for row in found}


def test_clocks_that_differ_are_a_problem(double: Double, capsys: Screen) -> None:
    """A server whose clock is minutes from ours is told, ahead or behind."""
    for minutes, word in ((5, "ahead of"), (-5, "behind")):
        there = instant_text(datetime.now(UTC) + timedelta(minutes=minutes))
        double.answers["status"] = replace(well(), facts=(Fact("clock", "now", there),))
        assert word in str(rows(capsys)[-1].get("problem"))
    double.answers["status"] = replace(well(), facts=(Fact("clock", "now", instant_text(datetime.now(UTC))),))
    assert main(["doctor"]) == 0


def test_settings_of_a_store_are_those_that_serve_would_take(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings come from the environment and the file, with their sources; what would stop the server is a problem."""
    config = tmp_path / "relgraph.toml"
    config.write_text("calls_max = 7\n")
    with behind("--store", tmp_path, SCHEMA, []) as where:
        monkeypatch.setenv("RELGRAPH_STORE", where[1])
        monkeypatch.setenv("RELGRAPH_READ_THREADS_MAX", "2")
        assert main(["doctor", "--config", str(config)]) == 0
        text = capsys.readouterr().out
        for line in (
            f"  store             {where[1]}  (the variable RELGRAPH_STORE)",
            "  read_threads_max  2  (the variable RELGRAPH_READ_THREADS_MAX)",
            f"  calls_max         7  (the file {config})",
        ):
            assert f"{line}\n" in text
        monkeypatch.setenv("RELGRAPH_HISTORY_S", "-1")
        assert rows(capsys)[-1]["area"] == "settings"
        assert main(["doctor"]) == 1


def test_no_secret_is_told(double: Double, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in the URL of a store is in no line of the doctor's."""
    monkeypatch.delenv("RELGRAPH_SERVER")
    double.answers["status"] = well()
    for url in ("postgresql://anna:s3cret@db.example/x", "postgresql://db.example/x?password=s3cret"):
        assert main(["--store", url, "doctor"]) == 0
        screen = capsys.readouterr()
        assert "db.example" in screen.out
        assert "s3cret" not in screen.out + screen.err


def test_a_servers_settings_are_its_own(double: Double, capsys: Screen) -> None:
    """A --config for a server that has read its own is refused before anything is asked."""
    assert main(["doctor", "--config", "x.toml"]) == 2
    assert "take --config away" in capsys.readouterr().err
    assert double.calls == []

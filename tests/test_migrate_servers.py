"""Moving from a relgraph server that speaks SpiceDB's dialect and back, over either store; what interrupts leave."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from relgraph.schema import parse
from relgraph.schema.diff import diff
from relgraph.spicedb.messages import message_of
from relgraph.tuples import RelationTuple
from tests.keys_kit import add_key, guarded
from tests.serving import in_process, program_environment
from tests.spicedb_double import IMPORT, Double, served
from tests.test_cli_spicedb import LADDER, SCHEMA, TUPLES, UNIVERSAL, held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_kit import Server

PATIENCE_S = 60


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store that is not there yet, on either database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    url = server.url()
    yield url
    server.drop(url)


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URL of a store that holds something."""
    url = f"sqlite:///{tmp_path / 'filled.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=TUPLES)
    return url


def test_there_and_back(filled: str, empty: str, tmp_path: Path) -> None:
    """What a store holds goes to a server over the other kind of store, and from there into a third, unchanged."""
    keys = tmp_path / "keys"
    key = add_key(keys, "mover", ["read", "write", "schema", "history"])
    third = f"sqlite:///{tmp_path / 'third.db'}"
    with relgraph.open(empty) as authorizer, in_process(authorizer, guarded(keys)) as address:
        url = f"spicedb://{address}?token={key}"
        assert 0 == main(["migrate", filled, url])
        assert 0 == main(["migrate", url, third])
        text = authorizer.schema().text
    assert sorted(TUPLES) == held(empty) == held(third)
    with relgraph.open(third) as authorizer:
        assert () == diff(parse(text), parse(authorizer.schema().text))
        assert () == diff(parse(SCHEMA), parse(text))


def test_into_either_store(filled: str, empty: str) -> None:
    """A server's tuples go into a new store of either kind."""
    with relgraph.open(filled) as authorizer, in_process(authorizer) as address:
        assert 0 == main(["migrate", f"spicedb://{address}", empty])
    assert sorted(TUPLES) == held(empty)


def test_a_server_with_a_ladder(tmp_path: Path) -> None:
    """What relgraph's language adds comes along from one relgraph to another."""
    copied = f"sqlite:///{tmp_path / 'copied.db'}"
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address:
        authorizer.write_schema(LADDER)
        authorizer.write(touch=["report:q3#own@user:anna"])
        assert 0 == main(["migrate", f"spicedb://{address}", copied])
    with relgraph.open(copied) as authorizer:
        assert "own" == authorizer.best("user:anna", "report:q3").role


def test_a_server_with_universal_tuples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A universal tuple has no words on this way: the migration ends, names who has some, and leaves nothing."""
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address:
        authorizer.write_schema(UNIVERSAL)
        authorizer.write(touch=["report:q3#own@user:anna", "report:*#own@user:bert"])
        assert 2 == main(["migrate", f"spicedb://{address}", f"sqlite:///{tmp_path / 'never.db'}"])
    assert "relgraph.v1" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def interrupted(double: Double, arguments: list[str]) -> tuple[int, str]:
    """Run a migration until the stand-in comes to a halt, and interrupt it as Ctrl-C does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relgraph.cli", "migrate", *arguments],
        env=program_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert double.halted.wait(PATIENCE_S)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, err


def test_an_export_that_is_interrupted(tmp_path: Path) -> None:
    """Who interrupts it while it reads leaves no store behind."""
    double = Double(SCHEMA, [message_of(RelationTuple.parse(text)) for text in TUPLES], stalls=True)
    with served(double) as url:
        code, err = interrupted(double, [url, f"sqlite:///{tmp_path / 'new.db'}"])
    assert 130 == code
    assert "interrupted; what was not acknowledged was not written" in err
    assert [] == list(tmp_path.iterdir())


def test_an_import_that_is_interrupted(filled: str) -> None:
    """Who interrupts it while it sends leaves neither tuples nor schema there."""
    double = Double(stalls=True)
    with served(double) as url:
        code, _ = interrupted(double, [filled, url])
    assert 130 == code
    assert ("", []) == (double.schema, double.tuples)
    assert ["WriteSchema", IMPORT, "WriteSchema"] == double.calls[1:]

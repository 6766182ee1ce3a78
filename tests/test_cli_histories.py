"""The terminal's `log` and `collect`: what each revision did, and how much of that is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from relgraph.cli.spans import span_of
from relgraph.errors import InvalidInput
from relgraph.instants import parse_moment
from relgraph.store import open_store
from tests.store_kit import NOW, FakeClock, FakeRandom

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "definition user {}\ndefinition report { relation viewer: user }"
ONE, TWO = "report:q3#viewer@user:anna", "report:q4#viewer@user:bert"
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store of long ago, with a schema and two writes."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with relgraph.Authorizer(open_store(url, clock=FakeClock(), random=FakeRandom())) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[ONE, TWO], reason="asked for\x1b[31m")
        authorizer.write(delete=[ONE], request_id="r-1")
    return url


def test_log(url: str, capsys: Screen) -> None:
    """A revision is a line about it and one for each tuple that came or went; what came from outside is escaped."""
    assert 0 == main(["log", "--store", url])
    assert [
        "revision 1  2023-11-14T22:13:20Z",
        "  schema, 2 lines",
        r"revision 2  2023-11-14T22:13:20Z  asked for\x1b[31m",
        f"  + {ONE}",
        f"  + {TWO}",
        "revision 3  2023-11-14T22:13:20Z  request r-1",
        f"  - {ONE}",
    ] == capsys.readouterr().out.splitlines()


def test_log_as_json(url: str, capsys: Screen) -> None:
    """With --json a line is one revision, and its token continues behind it."""
    assert 0 == main(["log", "--store", url, "--json", "--limit", "2"])
    schema, write = map(json.loads, capsys.readouterr().out.splitlines())
    assert (SCHEMA, [], None, [ONE, TWO]) == (schema["schema"], schema["created"], write["schema"], write["created"])
    assert 0 == main(["log", "--store", url, "--json", "--after", write["token"]])
    [last] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (3, [ONE], "r-1") == (last["revision"], last["deleted"], last["request_id"])
    assert NOW == int(parse_moment(last["time"]).timestamp()) * 10**6


def test_a_long_log(url: str, capsys: Screen) -> None:
    """More revisions than a page of the library are told all the same."""
    with relgraph.open(url) as authorizer:
        for n in range(120):
            authorizer.write(touch=[f"report:r{n}#viewer@user:anna"])
    assert 0 == main(["log", "--store", url, "--json"])
    told = [json.loads(line)["revision"] for line in capsys.readouterr().out.splitlines()]
    assert list(range(1, 124)) == told


def test_collect(url: str, capsys: Screen) -> None:
    """What is older goes, and is told; what was true then is refused afterwards."""
    assert 0 == main(["collect", "--store", url, "--keep", "24h"])
    assert ["forgot 1 version of tuples and 3 revisions", "kept from revision 3 on"] == (
        capsys.readouterr().out.splitlines()
    )
    assert 0 == main(["collect", "--store", url, "--keep", "0s", "--json"])
    assert {"tuples": 0, "revisions": 0, "floor": 3} == json.loads(capsys.readouterr().out)
    assert 2 == main(["read", "--store", url, "--at", "2023-11-14T22:00:00Z"])
    assert 0 == main(["read", "--store", url])
    assert f"{TWO}\n" == capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["log"], ["collect", "--keep", "24h"]])
def test_a_server_is_refused(arguments: list[str], capsys: Screen) -> None:
    """Both work where the store is."""
    assert 2 == main([*arguments, "--server", "127.0.0.1:1"])
    assert "this works on a store, not on its server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "span"),
    [("0s", timedelta(0)), ("90m", timedelta(minutes=90)), ("24h", timedelta(days=1)), ("30d", timedelta(days=30))],
)
def test_spans(text: str, span: timedelta) -> None:
    """A span is a number and its unit."""
    assert span == span_of(text)


@pytest.mark.parametrize("text", ["", "24", "h", "1.5h", "-1h", "1w", "1h30m", "٣h"])
def test_what_is_no_span(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidInput, match="no span of time"):
        span_of(text)

"""Watching what is committed: by the library and through a server, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import astuple, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import Checkpoint, LogEntry
from relgraph.client import Client
from relgraph.errors import (
    InvalidInput,
    InvalidToken,
    NoSchema,
    RevisionUnavailable,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.revision import Token
from relgraph.tuples import TupleFilter
from tests.api_kit import SCHEMA
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.postgres_kit import Server

Door = relgraph.Authorizer | Client
QUIET = 3_600.0


@pytest.fixture(params=["memory", "file", "postgres"])
def authorizer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    """A store with a schema."""
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        url = server.url()
    else:
        url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'store.db'}"
    with relgraph.open(url) as opened:
        opened.write_schema(SCHEMA)
        yield opened


@pytest.fixture(params=["library", "wire"])
def door(request: pytest.FixtureRequest, authorizer: relgraph.Authorizer) -> Iterator[Door]:
    """The library itself, and a client of a server over it."""
    if request.param == "library":
        yield authorizer
        return
    with in_process(authorizer) as address, Client(address) as client:
        yield client


def entries(events: Iterable[LogEntry | Checkpoint], until: int) -> list[LogEntry]:
    """What was told up to a revision, checkpoints left out."""
    found = []
    for event in events:
        if isinstance(event, LogEntry):
            found.append(event)
        if event.revision >= until:
            break
    return found


def plain(found: Iterable[LogEntry]) -> list[tuple[object, ...]]:
    """Revisions without their tokens, which carry the instant at which they were told."""
    return [
        (
            Token.parse(each.token).nonce,
            *astuple(replace(each, token="", created=(), deleted=())),
            each.created,
            each.deleted,
        )
        for each in found
    ]


def test_every_revision_is_told_as_the_log_tells_it(authorizer: relgraph.Authorizer, door: Door) -> None:
    """From a token on each revision comes once, in order, with who, why and what; the token itself is left behind."""
    start = authorizer.write(touch=["doc:one#viewer@user:anna"]).token
    with closing(door.watch(start, heartbeat=QUIET)) as watch:
        first = next(watch)
        assert isinstance(first, Checkpoint)
        assert (2, Token.parse(start).nonce) == (first.revision, Token.parse(first.token).nonce)
        authorizer.write(touch=["doc:two#viewer@user:anna"], delete=["doc:one#viewer@user:anna"], reason="moved")
        authorizer.write(touch=["doc:two#viewer@user:anna"], request_id="once")
        authorizer.load([f"doc:d{n}#viewer@user:anna" for n in range(2_500)])
        authorizer.write_schema(SCHEMA + "\ndefinition other {}")
        told = entries(watch, 6)
    assert [3, 4, 5, 6] == [each.revision for each in told]
    assert plain(authorizer.log(start).entries) == plain(told)
    assert (2_500, SCHEMA + "\ndefinition other {}") == (len(told[2].created), told[3].schema)


def test_from_now_on(authorizer: relgraph.Authorizer, door: Door) -> None:
    """Without a token a watch begins at the newest revision, and its first word says which that is."""
    with closing(door.watch(heartbeat=QUIET)) as watch:
        assert 1 == next(watch).revision
        written = authorizer.write(touch=["doc:one#viewer@user:anna"])
        [told] = entries(watch, 2)
        assert ["doc:one#viewer@user:anna"] == list(map(str, told.created))
        assert Token.parse(written.token).nonce == Token.parse(watch.token).nonce
        assert written.revision == watch.revision


def test_from_the_beginning_of_a_long_log(authorizer: relgraph.Authorizer, door: Door) -> None:
    """Whoever begins far back is told all pages of the log, and then what is written meanwhile."""
    start = authorizer.log(limit=1).cursor or authorizer.log(limit=1).token
    for number in range(150):
        authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
    with closing(door.watch(start, heartbeat=QUIET)) as watch:
        assert list(range(2, 152)) == [each.revision for each in entries(watch, 151)]
        authorizer.write(touch=["doc:one#viewer@user:anna"])
        assert [152] == [each.revision for each in entries(watch, 152)]


FILTERS: list[tuple[dict[str, list[str]], set[str]]] = [
    ({}, {"doc:one#viewer@user:anna", "doc:one#banned@user:bob", "group:eng#member@user:anna"}),
    ({"types": ["doc"]}, {"doc:one#viewer@user:anna", "doc:one#banned@user:bob"}),
    ({"relations": ["viewer", "member"]}, {"doc:one#viewer@user:anna", "group:eng#member@user:anna"}),
    ({"types": ["doc"], "relations": ["viewer", "member"]}, {"doc:one#viewer@user:anna"}),
    ({"filters": ["@user:bob", "group"]}, {"doc:one#banned@user:bob", "group:eng#member@user:anna"}),
    ({"types": ["doc"], "filters": ["@user:bob", "group"]}, {"doc:one#banned@user:bob"}),
]


@pytest.mark.parametrize(("chosen", "expected"), FILTERS)
def test_what_is_chosen_is_told(
    authorizer: relgraph.Authorizer, door: Door, chosen: dict[str, list[str]], expected: set[str]
) -> None:
    """Types, relations and filters each narrow what is told, of what comes and of what goes; the schema always is."""
    all_ = ["doc:one#viewer@user:anna", "doc:one#banned@user:bob", "group:eng#member@user:anna"]
    filters = [TupleFilter.parse(each) for each in chosen.get("filters", [])]
    with closing(
        door.watch(
            types=chosen.get("types", ()), relations=chosen.get("relations", ()), filters=filters, heartbeat=QUIET
        )
    ) as watch:
        next(watch)
        authorizer.write(touch=["doc:two#parent@doc:one"])
        authorizer.write(touch=all_)
        authorizer.write(delete=all_)
        authorizer.write_schema(SCHEMA + "\ndefinition other {}")
        told = entries(watch, 5)
    others = [] if {"relations", "filters"} & set(chosen) else [2]
    assert [*others, 3, 4, 5] == [each.revision for each in told]
    assert (expected, set()) == ({str(each) for each in told[-3].created}, {str(each) for each in told[-3].deleted})
    assert (set(), expected) == ({str(each) for each in told[-2].created}, {str(each) for each in told[-2].deleted})
    assert told[-1].schema is not None


def test_a_filtered_watch_goes_on_behind_its_checkpoints(authorizer: relgraph.Authorizer, door: Door) -> None:
    """Where nothing was chosen of what was committed, a heartbeat says how far that is, and one goes on from there."""
    with closing(door.watch(types=["group"], heartbeat=0.1)) as watch:
        for number in range(30):
            authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
        told = next(event for event in watch if event.revision == 31)
        assert isinstance(told, Checkpoint)
    assert authorizer.collect(timedelta(0)).floor == 31
    with closing(door.watch(told.token, types=["group"], heartbeat=QUIET)) as watch:
        authorizer.write(touch=["group:eng#member@user:anna"])
        assert [32] == [each.revision for each in entries(watch, 32)]


def test_what_was_removed_from_the_schema_is_still_told(authorizer: relgraph.Authorizer, door: Door) -> None:
    """A name is good where the schema had it that was in force at the token."""
    start = authorizer.write(touch=["group:eng#member@user:anna"]).token
    authorizer.write(delete=["group:eng#member@user:anna"])
    authorizer.write_schema("definition user {}")
    with closing(door.watch(start, types=["group"], heartbeat=QUIET)) as watch:
        gone, schema = entries(watch, 4)
        assert (["group:eng#member@user:anna"], "definition user {}") == (list(map(str, gone.deleted)), schema.schema)
    with pytest.raises(UnknownDefinition):
        door.watch(types=["group"])


def test_what_cannot_be_watched_is_refused_at_once(authorizer: relgraph.Authorizer, door: Door) -> None:
    """A token of elsewhere, of the future, of another past or of what is no longer kept; names that are not there."""
    old = authorizer.write(touch=["doc:one#viewer@user:anna"]).token
    new = authorizer.write(touch=["doc:two#viewer@user:anna"]).token
    known = Token.parse(new)
    for other in (
        Token(b"another store...", known.epoch, known.revision, known.nonce, known.instant),
        Token(known.store, known.epoch + 1, known.revision, known.nonce, known.instant),
        Token(known.store, known.epoch, known.revision + 1, known.nonce, known.instant),
        Token(known.store, known.epoch, known.revision, b"n" * 16, known.instant),
    ):
        with pytest.raises(RevisionUnavailable):
            door.watch(str(other))
    authorizer.collect(timedelta(0))
    with pytest.raises(RevisionUnavailable):
        door.watch(old)
    with pytest.raises(InvalidToken):
        door.watch("nonsense")
    with pytest.raises(UnknownDefinition):
        door.watch(types=["dock"])
    with pytest.raises(UnknownRelation):
        door.watch(filters=[TupleFilter("doc", relation="viwer")])
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput, match="heartbeat"):
            door.watch(heartbeat=seconds)
    with closing(door.watch(new, heartbeat=QUIET)) as watch:
        assert 3 == next(watch).revision


def test_nothing_can_be_chosen_before_there_is_a_schema() -> None:
    """Without a schema no name is known; everything can be watched all the same, the first schema included."""
    with relgraph.open("sqlite://") as authorizer:
        with pytest.raises(NoSchema):
            authorizer.watch(types=["doc"])
        with authorizer.watch(heartbeat=QUIET) as watch:
            authorizer.write_schema(SCHEMA)
            assert [SCHEMA] == [each.schema for each in entries(watch, 1)]


def test_an_expiration_is_no_change(authorizer: relgraph.Authorizer, door: Door) -> None:
    """A tuple that was expired when it was written comes as any other, and nothing is told when it expires."""
    authorizer.write_schema(
        "use expiration\ndefinition user {}\ndefinition doc { relation viewer: user with expiration }"
    )
    with closing(door.watch(heartbeat=0.1)) as watch:
        authorizer.write(touch=["doc:one#viewer@user:anna[expiration:2020-01-01T00:00:00Z]"])
        told = entries(watch, 3)
        assert ["doc:one#viewer@user:anna[expiration:2020-01-01T00:00:00Z]"] == list(map(str, told[0].created))
        assert isinstance(next(watch), Checkpoint)


def test_a_closed_watch_ends(door: Door) -> None:
    """Closing it, from whichever thread, ends the iteration of the one that waits."""
    watch = door.watch(heartbeat=QUIET)
    next(watch)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(watch))
    thread.start()
    watch.close()
    thread.join(30)
    assert not thread.is_alive()
    assert [] == found == list(watch)


TAMPERED = {
    "another revision": "UPDATE revisions SET nonce = randomblob(16) WHERE number = 2",
    "an older copy": "UPDATE meta SET head = 1",
}


@pytest.mark.parametrize("how", sorted(TAMPERED))
@pytest.mark.parametrize("wire", [False, True])
def test_a_store_that_was_replaced_ends_the_watch(how: str, wire: bool, tmp_path: Path) -> None:
    """Where the store's revisions are not those that were told, the watch ends with an error instead of going on."""
    path = tmp_path / "store.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer, in_process(authorizer) as address, Client(address) as client:
        authorizer.write_schema(SCHEMA)
        door: Door = client if wire else authorizer
        watch = door.watch(heartbeat=QUIET)
        authorizer.write(touch=["doc:one#viewer@user:anna"])
        assert [2] == [each.revision for each in entries(watch, 2)]
        with closing(relgraph.sqlite3.connect(str(path))) as connection:
            connection.execute(TAMPERED[how])
            connection.commit()
        with pytest.raises(RevisionUnavailable, match="replaced"):
            next(watch)


@pytest.mark.parametrize("wire", [False, True])
def test_a_revision_that_is_lost_ends_the_watch(wire: bool, tmp_path: Path) -> None:
    """Where a revision is missing between those that are kept, what comes behind it is not told as if it were next."""
    path = tmp_path / "store.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer, in_process(authorizer) as address, Client(address) as client:
        begin = authorizer.write_schema(SCHEMA).token
        for name in ("anna", "bob", "carl"):
            authorizer.write(touch=[f"doc:one#viewer@user:{name}"])
        with closing(relgraph.sqlite3.connect(str(path))) as connection:
            connection.execute("DELETE FROM revisions WHERE number = 3")
            connection.commit()
        door: Door = client if wire else authorizer
        watch = door.watch(begin, heartbeat=QUIET)
        with pytest.raises(RevisionUnavailable, match="revision 4 does not follow the revision 2"):
            entries(watch, 4)

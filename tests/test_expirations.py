"""Tuples that expire, through the library, over gRPC and in the terminal: written, replaced, deleted, loaded, read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph import RelationTuple, TupleFilter
from relgraph.cli import main
from relgraph.client import Client
from relgraph.errors import (
    AlreadyExists,
    CannotUpdatePermission,
    DuplicateUpdate,
    InvalidInput,
    InvalidTuple,
    RequestIdReused,
    SchemaOrphans,
    TupleNotAllowed,
)
from tests.api_kit import DOORS, door_of
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api_kit import Door

SCHEMA = """
use expiration
definition user {}
definition group { relation member: user | user with expiration | group#member with expiration }
definition doc {
    relation viewer: user | user with expiration | user:* with expiration | group#member
    relation guest: user with expiration
    relation owner: user
    permission view = viewer + guest + owner
}
"""
PLAIN = "doc:one#viewer@user:anna"
FUTURE = f"{PLAIN}[expiration:9000-01-31T12:00:00Z]"
LATER = f"{PLAIN}[expiration:9001-01-31T12:00:00Z]"
GONE = f"{PLAIN}[expiration:2020-01-31T12:00:00Z]"


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with door_of(request, SCHEMA) as opened:
        yield opened


def texts(door: Door) -> set[str]:
    return set(map(str, door.read().tuples))


def test_a_tuple_counts_until_it_expires(door: Door) -> None:
    """What expires later counts and is told with its expiration; what has expired is nowhere."""
    door.write(create=[FUTURE, "doc:two#viewer@user:*[expiration:2020-01-31T12:00:00Z]"])
    assert door.check("user:anna", "view", "doc:one") is True
    assert door.check("user:anna", "view", "doc:two") is False
    assert {FUTURE} == texts(door)
    best = door.best("user:anna", "doc:one", ways="all")
    assert [FUTURE] == [str(tuple_) for way in best.ways[:1] for tuple_ in way.tuples]
    told = {str(tuple_) for node in door.expand("doc:one", "view").nodes for tuple_ in node.tuples}
    assert {FUTURE} == told
    assert not any(node.tuples for node in door.expand("doc:two", "view").nodes)


def test_an_expiration_has_one_meaning_in_every_zone(door: Door) -> None:
    """Parts with a time of another zone are the tuple of that instant; a time without a zone is refused."""
    zone = timezone(timedelta(hours=5, minutes=30))
    parts = RelationTuple.parse(PLAIN)
    moment = datetime(9000, 1, 31, 17, 30, tzinfo=zone)
    door.write(create=[RelationTuple(parts.resource, parts.relation, parts.subject, moment)])
    assert {FUTURE} == texts(door)
    (found,) = door.read().tuples
    assert found.expires_at == moment
    assert found.expires_at.tzinfo is UTC
    with pytest.raises(InvalidInput, match="no time zone"):
        RelationTuple(parts.resource, parts.relation, parts.subject, moment.replace(tzinfo=None))


def test_touch_replaces_an_expiration(door: Door) -> None:
    """A touch with another expiration, or with none, is a change; with the same one it takes no revision."""
    revisions = [door.write(touch=[text]).revision for text in (FUTURE, FUTURE, LATER, PLAIN, PLAIN, GONE, FUTURE)]
    assert [2, 2, 3, 4, 4, 5, 6] == revisions
    assert {FUTURE} == texts(door)


def test_create_over_what_lives_is_refused_whenever_it_expires(door: Door) -> None:
    """A living tuple cannot be created again with another expiration; an expired one can."""
    door.write(create=[FUTURE])
    for text in (PLAIN, LATER, GONE):
        with pytest.raises(AlreadyExists, match="doc:one#viewer@user:anna"):
            door.write(create=[text])
    door.write(touch=[GONE])
    door.write(create=[LATER])
    assert {LATER} == texts(door)


def test_a_delete_names_the_tuple_alone(door: Door) -> None:
    """A delete takes a tuple whenever it expires, and is refused when it names an expiration."""
    door.write(create=[FUTURE, "doc:one#guest@user:anna[expiration:9000-01-31T12:00:00Z]"])
    with pytest.raises(InvalidTuple, match=r"with an expiration; .* leave the brackets out") as caught:
        door.write(delete=[FUTURE])
    assert {"tuple": FUTURE} == caught.value.details
    door.write(delete=[PLAIN, "doc:one#guest@user:anna"])
    assert set() == texts(door)


def test_a_delete_of_what_has_expired_changes_nothing(door: Door) -> None:
    """Deleting an expired tuple takes no revision."""
    revision = door.write(touch=[GONE]).revision
    assert revision == door.write(delete=[PLAIN]).revision


def test_a_delete_is_still_judged_by_the_schema(door: Door) -> None:
    """A delete of what the schema could never admit is refused, as any misspelt tuple is."""
    with pytest.raises(TupleNotAllowed):
        door.write(delete=["doc:one#owner@group:board#member"])
    with pytest.raises(CannotUpdatePermission):
        door.write(delete=["doc:one#view@user:anna"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda a: a.write(touch=["doc:one#owner@user:anna[expiration:9000-01-31T12:00:00Z]"]),
        lambda a: a.write(create=["doc:one#guest@user:anna"]),
        lambda a: a.write(touch=["doc:one#viewer@user:*"]),
        lambda a: a.load(["doc:one#guest@user:anna"]),
    ],
)
def test_the_schema_says_which_tuples_expire(ask: Callable[[Door], object], door: Door) -> None:
    """An expiration where the schema admits none, and none where it demands one, are refused."""
    with pytest.raises(TupleNotAllowed):
        ask(door)
    assert set() == texts(door)


@pytest.mark.parametrize(
    "parts",
    [
        {"touch": [FUTURE, PLAIN]},
        {"touch": [FUTURE], "create": [LATER]},
        {"touch": [FUTURE], "delete": [PLAIN]},
        {"create": [FUTURE, FUTURE]},
    ],
)
def test_one_key_twice_in_a_write_is_refused(parts: dict[str, list[str]], door: Door) -> None:
    """Two updates of one tuple are refused, their expirations equal or not, and nothing is written."""
    with pytest.raises(DuplicateUpdate, match="twice"):
        door.write(**parts)  # type: ignore[arg-type]  # lists of texts by name
    assert set() == texts(door)


def test_the_expiration_belongs_to_the_request(door: Door) -> None:
    """The same request id with another expiration is another write, and refused; the same one is answered again."""
    first = door.write(touch=[FUTURE], request_id="r1")
    door.write(touch=[LATER])
    assert first.revision == door.write(touch=[FUTURE], request_id="r1").revision
    for text in (LATER, PLAIN):
        with pytest.raises(RequestIdReused):
            door.write(touch=[text], request_id="r1")
    assert {LATER} == texts(door)


def test_load(door: Door) -> None:
    """A load keeps expirations, replaces them with "touch", keeps what is there with "skip", refuses with "error"."""
    for on_duplicate, text, changed, after in (
        ("error", FUTURE, 1, FUTURE),
        ("touch", LATER, 1, LATER),
        ("touch", LATER, 0, LATER),
        ("skip", PLAIN, 0, LATER),
    ):
        loaded = door.load([text], on_duplicate=on_duplicate)  # type: ignore[arg-type]  # one of its words
        assert (changed, {after}) == (loaded.changed, texts(door))
    with pytest.raises(AlreadyExists):
        door.load([FUTURE])


def test_a_filter_never_looks_at_expirations(door: Door) -> None:
    """A filter by all parts of a tuple finds it with its expiration."""
    door.write(touch=[FUTURE])
    page = door.read(TupleFilter("doc", "one", "viewer", "user", "anna", ""))
    assert [FUTURE] == list(map(str, page.tuples))


def test_a_schema_may_not_orphan_what_expires_later(door: Door) -> None:
    """A schema without the expiring kind is refused while such a tuple lives, and taken once all have expired."""
    without = SCHEMA.replace("viewer: user | user with expiration |", "viewer: user |")
    door.write(touch=[FUTURE])
    with pytest.raises(SchemaOrphans) as caught:
        door.write_schema(without)
    assert FUTURE == caught.value.details["tuple"]
    door.write(touch=[GONE])
    door.write_schema(without)
    door.write(create=[PLAIN])
    assert {PLAIN} == texts(door)


def test_a_write_that_is_refused_names_its_update() -> None:
    """Over the wire, the error about a tuple with an expiration says which update it was."""
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        client.write_schema(SCHEMA)
        client.write(touch=[FUTURE])
        for text in (LATER, PLAIN):
            with pytest.raises(AlreadyExists) as caught:
                client.write(touch=["doc:two#viewer@user:anna"], create=[text])
            assert text == caught.value.details["tuple"]


def test_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of each format and --touch bring expirations in, and what read prints goes back in the same."""
    store = ["--store", f"sqlite:///{tmp_path / 'access.db'}"]
    schema, csv, jsonl = tmp_path / "s.zed", tmp_path / "t.csv", tmp_path / "t.jsonl"
    schema.write_text(SCHEMA)
    time = "9000-01-31T12:00:00Z"
    csv.write_text(f"resource,relation,subject,expires_at\ndoc:one,viewer,user:anna,{time}\ndoc:one,owner,user:bob,\n")
    assert main(["schema", "write", str(schema), *store]) == 0
    assert main(["import", str(csv), *store]) == 0
    assert main(["write", "--touch", f"doc:two#guest@user:anna[expiration:{time}]", *store]) == 0
    assert main(["write", "--touch", GONE.replace("one", "three"), *store]) == 0
    capsys.readouterr()
    assert main(["read", *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"doc:one#owner@user:bob", FUTURE, f"doc:two#guest@user:anna[expiration:{time}]"} == set(lines)
    assert main(["read", "--json", *store]) == 0
    jsonl.write_text(capsys.readouterr().out)
    rows = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert {"resource": "doc:one", "relation": "owner", "subject": "user:bob"} in rows
    assert {"resource": "doc:one", "relation": "viewer", "subject": "user:anna", "expires_at": time} in rows
    other = ["--store", f"sqlite:///{tmp_path / 'other.db'}"]
    assert main(["schema", "write", str(schema), *other]) == 0
    assert main(["import", str(jsonl), *other]) == 0
    capsys.readouterr()
    assert main(["read", *other]) == 0
    assert sorted(lines) == sorted(capsys.readouterr().out.splitlines())

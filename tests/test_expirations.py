"""Tuples that expire, through the library's door: written, replaced, deleted, loaded and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph import RelationTuple, TupleFilter
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as made:
        made.write_schema(SCHEMA)
        yield made


def texts(authorizer: relgraph.Authorizer) -> set[str]:
    return set(map(str, authorizer.read().tuples))


def test_a_tuple_counts_until_it_expires(authorizer: relgraph.Authorizer) -> None:
    """What expires later counts and is told with its expiration; what has expired is nowhere."""
    authorizer.write(create=[FUTURE, "doc:two#viewer@user:*[expiration:2020-01-31T12:00:00Z]"])
    assert authorizer.check("user:anna", "view", "doc:one") is True
    assert authorizer.check("user:anna", "view", "doc:two") is False
    assert {FUTURE} == texts(authorizer)
    best = authorizer.best("user:anna", "doc:one", ways="all")
    assert [FUTURE] == [str(tuple_) for way in best.ways[:1] for tuple_ in way.tuples]
    told = {str(tuple_) for node in authorizer.expand("doc:one", "view").nodes for tuple_ in node.tuples}
    assert {FUTURE} == told
    assert not any(node.tuples for node in authorizer.expand("doc:two", "view").nodes)


def test_an_expiration_has_one_meaning_in_every_zone(authorizer: relgraph.Authorizer) -> None:
    """Parts with a time of another zone are the tuple of that instant; a time without a zone is refused."""
    zone = timezone(timedelta(hours=5, minutes=30))
    parts = RelationTuple.parse(PLAIN)
    moment = datetime(9000, 1, 31, 17, 30, tzinfo=zone)
    authorizer.write(create=[RelationTuple(parts.resource, parts.relation, parts.subject, moment)])
    assert {FUTURE} == texts(authorizer)
    (found,) = authorizer.read().tuples
    assert found.expires_at == moment
    assert found.expires_at.tzinfo is UTC
    with pytest.raises(InvalidInput, match="no time zone"):
        RelationTuple(parts.resource, parts.relation, parts.subject, moment.replace(tzinfo=None))


def test_touch_replaces_an_expiration(authorizer: relgraph.Authorizer) -> None:
    """A touch with another expiration, or with none, is a change; with the same one it takes no revision."""
    revisions = [
        authorizer.write(touch=[text]).revision for text in (FUTURE, FUTURE, LATER, PLAIN, PLAIN, GONE, FUTURE)
    ]
    assert [2, 2, 3, 4, 4, 5, 6] == revisions
    assert {FUTURE} == texts(authorizer)


def test_create_over_what_lives_is_refused_whenever_it_expires(authorizer: relgraph.Authorizer) -> None:
    """A living tuple cannot be created again with another expiration; an expired one can."""
    authorizer.write(create=[FUTURE])
    for text in (PLAIN, LATER, GONE):
        with pytest.raises(AlreadyExists, match="doc:one#viewer@user:anna"):
            authorizer.write(create=[text])
    authorizer.write(touch=[GONE])
    authorizer.write(create=[LATER])
    assert {LATER} == texts(authorizer)


def test_a_delete_names_the_tuple_alone(authorizer: relgraph.Authorizer) -> None:
    """A delete takes a tuple whenever it expires, and is refused when it names an expiration."""
    authorizer.write(create=[FUTURE, "doc:one#guest@user:anna[expiration:9000-01-31T12:00:00Z]"])
    with pytest.raises(InvalidTuple, match="leave the expiration out") as caught:
        authorizer.write(delete=[FUTURE])
    assert {"tuple": FUTURE} == caught.value.details
    authorizer.write(delete=[PLAIN, "doc:one#guest@user:anna"])
    assert set() == texts(authorizer)


def test_a_delete_of_what_has_expired_changes_nothing(authorizer: relgraph.Authorizer) -> None:
    """Deleting an expired tuple takes no revision."""
    revision = authorizer.write(touch=[GONE]).revision
    assert revision == authorizer.write(delete=[PLAIN]).revision


def test_a_delete_is_still_judged_by_the_schema(authorizer: relgraph.Authorizer) -> None:
    """A delete of what the schema could never admit is refused, as any misspelt tuple is."""
    with pytest.raises(TupleNotAllowed):
        authorizer.write(delete=["doc:one#owner@group:board#member"])
    with pytest.raises(CannotUpdatePermission):
        authorizer.write(delete=["doc:one#view@user:anna"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda a: a.write(touch=["doc:one#owner@user:anna[expiration:9000-01-31T12:00:00Z]"]),
        lambda a: a.write(create=["doc:one#guest@user:anna"]),
        lambda a: a.write(touch=["doc:one#viewer@user:*"]),
        lambda a: a.load(["doc:one#guest@user:anna"]),
    ],
)
def test_the_schema_says_which_tuples_expire(
    ask: Callable[[relgraph.Authorizer], object], authorizer: relgraph.Authorizer
) -> None:
    """An expiration where the schema admits none, and none where it demands one, are refused."""
    with pytest.raises(TupleNotAllowed):
        ask(authorizer)
    assert set() == texts(authorizer)


@pytest.mark.parametrize(
    "parts",
    [
        {"touch": [FUTURE, PLAIN]},
        {"touch": [FUTURE], "create": [LATER]},
        {"touch": [FUTURE], "delete": [PLAIN]},
        {"create": [FUTURE, FUTURE]},
    ],
)
def test_one_key_twice_in_a_write_is_refused(parts: dict[str, list[str]], authorizer: relgraph.Authorizer) -> None:
    """Two updates of one tuple are refused, their expirations equal or not, and nothing is written."""
    with pytest.raises(DuplicateUpdate, match="twice"):
        authorizer.write(**parts)  # type: ignore[arg-type]  # lists of texts by name
    assert set() == texts(authorizer)


def test_the_expiration_belongs_to_the_request(authorizer: relgraph.Authorizer) -> None:
    """The same request id with another expiration is another write, and refused; the same one is answered again."""
    first = authorizer.write(touch=[FUTURE], request_id="r1")
    authorizer.write(touch=[LATER])
    assert first.revision == authorizer.write(touch=[FUTURE], request_id="r1").revision
    for text in (LATER, PLAIN):
        with pytest.raises(RequestIdReused):
            authorizer.write(touch=[text], request_id="r1")
    assert {LATER} == texts(authorizer)


def test_load(authorizer: relgraph.Authorizer) -> None:
    """A load keeps expirations, replaces them with "touch", keeps what is there with "skip", refuses with "error"."""
    for on_duplicate, text, changed, after in (
        ("error", FUTURE, 1, FUTURE),
        ("touch", LATER, 1, LATER),
        ("touch", LATER, 0, LATER),
        ("skip", PLAIN, 0, LATER),
    ):
        loaded = authorizer.load([text], on_duplicate=on_duplicate)  # type: ignore[arg-type]  # one of its words
        assert (changed, {after}) == (loaded.changed, texts(authorizer))
    with pytest.raises(AlreadyExists):
        authorizer.load([FUTURE])


def test_a_filter_never_looks_at_expirations(authorizer: relgraph.Authorizer) -> None:
    """A filter by all parts of a tuple finds it with its expiration."""
    authorizer.write(touch=[FUTURE])
    page = authorizer.read(TupleFilter("doc", "one", "viewer", "user", "anna", ""))
    assert [FUTURE] == list(map(str, page.tuples))


def test_a_schema_may_not_orphan_what_expires_later(authorizer: relgraph.Authorizer) -> None:
    """A schema without the expiring kind is refused while such a tuple lives, and taken once all have expired."""
    without = SCHEMA.replace("viewer: user | user with expiration |", "viewer: user |")
    authorizer.write(touch=[FUTURE])
    with pytest.raises(SchemaOrphans) as caught:
        authorizer.write_schema(without)
    assert FUTURE == caught.value.details["tuple"]
    authorizer.write(touch=[GONE])
    authorizer.write_schema(without)
    authorizer.write(create=[PLAIN])
    assert {PLAIN} == texts(authorizer)

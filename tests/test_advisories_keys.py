"""Faults of others in keys of caches and memos: two things that were one, since their parts were put together badly.

relgraph keeps no answer from one request to the next, so what a key could confuse is: a write with another under the
same request id, a filter with another one's cursor, and questions of one request with each other.
Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

import pytest

from relgraph.api import asking
from relgraph.api.asking import Asked, payload_of
from relgraph.api.cursors import Cursor
from relgraph.engine import reach
from relgraph.errors import InvalidCursor, RequestIdReused
from relgraph.graph.names import Names
from relgraph.tuples import Object, Precondition, RelationTuple, Subject, TupleFilter
from tests.advisories_kit import answers, asked, opened, switched_off

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

SHAPES: Final = 1_000_000 if os.environ.get("RELGRAPH_LONG") else 30_000
"""So many, each compared with all others: equal keys meet."""

TEXT = """definition user { relation self_: user }
definition doc { relation viewer: user | user:* \n permission view = viewer }
definition mydoc { relation viewer: user \n permission view = viewer }
""".replace("{ relation self_: user }", "{}")

# --- a write and its request id ---------------------------------------------------------------------------------------


class Running:
    """A hash without lengths: whatever is added simply follows."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self._digest.update(data.partition(b":")[2])

    def digest(self) -> bytes:
        return self._digest.digest()


class RunningTogether:
    """What stands for `hashlib`."""

    sha256 = Running


def test_two_writes_never_share_a_request_id() -> None:
    """Another write under the same request id is refused, also where the texts of both run together to the same."""
    first = ["doc:a#viewer@user:b", "mydoc:c#viewer@user:d"]
    second = ["doc:a#viewer@user:bmy", "doc:c#viewer@user:d"]
    assert "".join(first) == "".join(second)
    with opened(TEXT, ["doc:z#viewer@user:z"]) as authorizer:
        authorizer.write(touch=first, request_id="once")
        with pytest.raises(RequestIdReused):
            authorizer.write(touch=second, request_id="once")
    with switched_off(asking, "hashlib", RunningTogether), opened(TEXT, ["doc:z#viewer@user:z"]) as authorizer:
        authorizer.write(touch=first, request_id="once")
        # Said to have happened, and it has not.
        authorizer.write(touch=second, request_id="once")
        assert ["no"] == asked(authorizer, "doc:c#view@user:d")


IDS: Final = ("a", "b", "amy", "bmy", "a|b", "1")
"""Ids that read like one another's parts."""


def ids(source: random.Random) -> str:
    """One of them."""
    return source.choice(IDS)


def filters(source: random.Random) -> TupleFilter:
    """Filters that differ in which of their parts are set."""
    some = [
        source.choice((None, "doc", "mydoc")),
        source.choice((None, ids(source))),
        source.choice((None, "viewer", "doc")),
    ]
    if some[0] is None:
        some[1] = None
    subject = [
        source.choice((None, "doc", "user")),
        source.choice((None, ids(source))),
        source.choice((None, "", "viewer")),
    ]
    if subject[0] is None:
        subject[1:] = [None, None]
    return TupleFilter(*some, *subject)


def writes(source: random.Random) -> tuple[Hashable, bytes]:
    """A write in a form that is equal for the same write only, and its key."""
    parts: dict[str, list[str]] = {}
    words: tuple[object, ...] = ("delete", filters(source), source.choice((None, 1, 11)), source.random() < 0.5)
    if source.random() < 0.8:
        words = ("write",)
        for name, most in (("touch", 2), ("create", 1), ("delete", 0)):
            found = (f"{source.choice(('doc', 'mydoc'))}:{ids(source)}#viewer@user:{ids(source)}" for _ in range(most))
            parts[name] = sorted({*found} if source.random() < 0.9 else ())
    conditions = tuple(Precondition(filters(source), exists=True) for _ in range(source.random() < 0.2))
    actor = Object("user", ids(source)) if source.random() < 0.1 else None
    until = source.choice((None, None, None, 1, 11))
    whole = json.dumps(
        [parts, [[str(each.exists), astuple(each.filter)] for each in conditions], str(actor), until, repr(words)]
    )
    key = payload_of(
        Asked(request_id="x", actor=actor, not_after=until, preconditions=conditions),
        *words,
        parts={name: [RelationTuple.parse(each) for each in texts] for name, texts in parts.items()},
    )
    return whole, key


def pages(source: random.Random) -> tuple[Hashable, str]:
    """A filter, and what binds a cursor to it."""
    filter_ = filters(source)
    return filter_, Cursor.digest_of(filter_)


def shared(
    made: Callable[[random.Random], tuple[Hashable, Hashable]], count: int
) -> Iterator[tuple[Hashable, Hashable]]:
    """Yield pairs of different things with one key, among so many random ones."""
    source = random.Random(6)
    known: dict[Hashable, Hashable] = {}
    for _ in range(count):
        whole, key = made(source)
        other = known.setdefault(key, whole)
        if other != whole:
            yield other, whole


@pytest.mark.parametrize("made", [writes, pages], ids=["request ids", "cursors"])
def test_no_two_things_share_a_key(made: Callable[[random.Random], tuple[Hashable, Hashable]]) -> None:
    """Of a great many writes, or filters, that look like each other, no two different ones have the same key."""
    count = SHAPES // 5 if made is writes else SHAPES
    assert next(shared(made, count), None) is None
    careless = (
        (asking, "hashlib", RunningTogether) if made is writes else (Cursor, "digest_of", staticmethod(careless_digest))
    )
    with switched_off(*careless):
        assert next(shared(made, count), None) is not None


# --- a cursor and its filter ------------------------------------------------------------------------------------------


def careless_digest(filter_: TupleFilter) -> str:
    """What is set of a filter, with a mark between."""
    return "|".join(each for each in astuple(filter_) if each)


def test_a_cursor_fits_no_other_filter() -> None:
    """A cursor is good for its own filter only, though another one's parts with marks between read the same."""
    ours = TupleFilter(resource_type="doc", resource_id="a|viewer")
    other = TupleFilter(resource_type="doc", resource_id="a", relation="viewer")
    tuples = [f"doc:{name}#viewer@user:{who}" for name in ("a", "a|viewer") for who in "wxyz"]
    with opened(TEXT, tuples) as authorizer:
        # Read up to its end but one; to go on behind that in the other one would leave out all of it.
        cursor = authorizer.read(ours, limit=3).cursor
        with pytest.raises(InvalidCursor, match="another filter"):
            authorizer.read(other, cursor=cursor)
        with switched_off(Cursor, "digest_of", staticmethod(careless_digest)):
            cursor = authorizer.read(ours, limit=3).cursor
            assert len(authorizer.read(other, cursor=cursor).tuples) < len(authorizer.read(other).tuples)


class Marked:
    """What stands for `json`: texts with a mark between."""

    @staticmethod
    def dumps(parts: list[object], **_: object) -> str:
        return "|".join(map(str, parts))

    @staticmethod
    def loads(text: bytes) -> list[str]:
        return text.decode().split("|")


def test_a_cursor_holds_any_id() -> None:
    """Ids that hold what others use as a mark are paged through like all the rest."""
    tuples = [f"doc:{name}#viewer@user:x|y" for name in ("a|b", "a", "|", "||", "a|", "=", "-/|")]

    def paged() -> list[str]:
        found: list[str] = []
        cursor = ""
        with opened(TEXT, tuples) as authorizer:
            while True:
                page = authorizer.read(limit=1, cursor=cursor)
                found += map(str, page.tuples)
                cursor = page.cursor
                if not cursor:
                    return found

    assert sorted(tuples) == sorted(paged())
    from relgraph.api import cursors

    with switched_off(cursors, "json", Marked), pytest.raises(InvalidCursor):
        paged()


# --- questions of one request -----------------------------------------------------------------------------------------

BULK = """definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation viewer: user | group | group#member
  relation barred: user
  permission view = viewer
  permission read = viewer - barred
}
"""


@pytest.mark.parametrize("name", ["view", "read"])
def test_questions_asked_at_once_are_told_apart(name: str) -> None:
    """Of many questions in one request none is answered with another one's answer, in whatever order they stand."""
    tuples = ["doc:a#viewer@group:g#member", "doc:b#viewer@group:g", "doc:c#viewer@user:g", "group:g#member@user:x|g"]
    subjects = ["group:g", "group:g#member", "user:g", "user:x|g", "user:x"]
    questions = [f"doc:{doc}#{name}@{who}" for doc in ("a", "b", "c", "a|b") for who in subjects]
    alone = [answers(BULK, tuples, question)[0] for question in questions]
    for seed in range(10):
        order = random.Random(seed).sample(range(len(questions)), len(questions))
        assert [alone[at] for at in order] == answers(BULK, tuples, *(questions[at] for at in order))
    with switched_off(Subject, "__eq__", lambda self, other: (self.type, self.id) == (other.type, other.id)):  # noqa: SIM117
        with switched_off(Subject, "__hash__", lambda self: hash((self.type, self.id))):
            assert alone != answers(BULK, tuples, *questions)


def test_steps_of_a_search_are_told_apart() -> None:
    """What a search knows of one name of one object is not taken for another's, however their numbers meet."""
    text = BULK + "\n".join(
        f"definition type{number} {{ relation owner: user\n relation viewer: user\n permission view = viewer }}"
        for number in range(8)
    )
    tuples = [f"type{number}:{key}#{('owner', 'viewer')[number % 2]}@user:anna" for number in range(8) for key in "abc"]
    questions = [
        f"type{number}:{key}#view@user:{who}" for number in range(8) for key in "abcd" for who in ("anna", "bob")
    ]
    right = [
        "yes" if number % 2 and key != "d" and who == "anna" else "no"
        for number in range(8)
        for key in "abcd"
        for who in ("anna", "bob")
    ]
    assert right == answers(text, tuples, *questions)
    with switched_off(reach, "_SHIFT", 2), switched_off(reach, "_MASK", 3):
        try:
            found = answers(text, tuples, *questions)
        except (LookupError, TypeError):
            found = []
    assert right != found


def test_objects_of_two_types_are_told_apart() -> None:
    """An id is nobody without its type: the group of a user's name is not the user."""

    def anybody(self: Names, _: int, key: str) -> int | None:
        return next((keys[key] for keys in self._object_numbers.values() if key in keys), None)

    tuples = ["doc:a#viewer@group:anna", "doc:b#viewer@user:carl"]
    asks = BULK, tuples, "doc:a#view@user:anna", "doc:a#view@group:anna"
    assert ["no", "yes"] == answers(*asks)
    with switched_off(Names, "object_number", anybody):
        assert ["yes", "yes"] == answers(*asks)


def test_nothing_is_remembered_from_one_request_to_the_next() -> None:
    """The same question after each write of another is answered anew: there is no cache that could be stale."""

    def stale(*_: object) -> bool:
        return False

    from relgraph.api.following import Following

    with opened(TEXT, ["doc:a#viewer@user:anna"]) as authorizer:
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")
        authorizer.write(delete=["doc:a#viewer@user:anna"])
        assert ["no"] == asked(authorizer, "doc:a#view@user:anna")
        authorizer.write(touch=["doc:a#viewer@user:*"])
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")
        with switched_off(Following, "_behind", stale), switched_off(Following, "learn", stale):
            authorizer.write(delete=["doc:a#viewer@user:*"])
            assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")
        assert ["no"] == asked(authorizer, "doc:a#view@user:anna")

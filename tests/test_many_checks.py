"""Many checks in one request, until when an answer stays so, and usersets opened on request: library and wire alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

import relgraph
from relgraph.answers import Verdict
from relgraph.client import Client
from relgraph.errors import InvalidInput, LimitExceeded, UnknownRelation
from relgraph.instants import parse_moment
from relgraph.limits import Limits
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
    use expiration
    definition user {}
    definition group { relation member: user | user with expiration | group#member }
    definition doc {
        relation owner: user
        relation viewer: user | user with expiration | group#member | group#member with expiration
        relation banned: user | user with expiration
        permission view = (viewer + owner) - banned
        permission read = viewer + owner
        permission one = owner - two
        permission two = owner - one
    }
"""
EARLY, LATE = "2990-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

Door = relgraph.Authorizer | Client


@pytest.fixture(params=["library", "wire"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """The store's library, and a client of a server over it."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(
            touch=[
                "doc:one#owner@user:anna",
                "doc:one#viewer@group:staff#member",
                f"group:staff#member@user:carl[expiration:{EARLY}]",
                "group:staff#member@group:board#member",
                f"group:board#member@user:dora[expiration:{LATE}]",
                f"doc:one#banned@user:dora[expiration:{EARLY}]",
                f"doc:two#viewer@group:staff#member[expiration:{LATE}]",
            ]
        )
        if request.param == "library":
            yield authorizer
            return
        with in_process(authorizer) as address, Client(address) as client:
            yield client


def test_each_question_gets_the_answer_of_a_check(door: Door) -> None:
    """Texts and triples, several subjects, in the order asked, all at one revision; UNDECIDED is an answer here."""
    asked: list[relgraph.Question] = [
        "doc:one#view@user:anna",
        ("user:bob", "view", "doc:one"),
        "doc:one#one@user:anna",
        ("user:carl", "read", "doc:one"),
        "doc:one#view@user:dora",
    ]
    told = door.decide_many(asked)
    assert [each.verdict.value for each in told] == ["yes", "no", "undecided", "yes", "no"]
    assert len({(each.revision, each.token) for each in told}) == 1
    for question, each in zip(asked, told, strict=True):
        if each.verdict is not Verdict.UNDECIDED:
            alone = door.decide(question) if isinstance(question, str) else door.decide(*question)
            assert alone.verdict is each.verdict


def test_a_wrong_question_is_named_by_its_place(door: Door) -> None:
    """One unknown name refuses all, and says which question it was; so do none at all and too many."""
    with pytest.raises(UnknownRelation) as raised:
        door.decide_many(["doc:one#view@user:anna", "doc:one#vieuw@user:anna"])
    assert raised.value.details["index"] == "1"
    with pytest.raises(InvalidInput, match="at least one"):
        door.decide_many([])
    with pytest.raises(InvalidInput, match="over the limit of 1000"):
        door.decide_many(["doc:one#view@user:anna"] * 1_001)


def test_a_limit_ends_the_whole_request() -> None:
    """The limits hold for each question, and one question over them is an error of all."""
    with relgraph.open("sqlite://", limits=Limits(nodes_max=50)) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[f"group:g{n}#member@group:g{n + 1}#member" for n in range(100)])
        assert len(authorizer.decide_many(["group:g80#member@user:anna"] * 40)) == 40
        with pytest.raises(LimitExceeded, match="nodes_max"):
            authorizer.decide_many(["group:g80#member@user:anna", "group:g0#member@user:anna"])


@pytest.mark.parametrize(
    ("question", "until"),
    [
        ("doc:one#read@user:anna", None),
        ("doc:one#read@user:carl", EARLY),
        ("doc:one#read@user:dora", LATE),
        ("doc:two#read@user:dora", LATE),
        ("doc:two#read@user:carl", EARLY),
        ("doc:one#read@user:bob", None),
        ("doc:one#view@user:dora", EARLY),
    ],
)
def test_an_answer_says_until_when_it_stays_so(door: Door, question: str, until: str | None) -> None:
    """It is the first expiry among the tuples that the answer leans on: a ban, or a tuple of the path found."""
    expected = None if until is None else parse_moment(until)
    assert door.decide(question).valid_until == expected
    assert door.decide_many([question])[0].valid_until == expected


def test_until_when_does_not_hang_on_what_is_asked_beside_it(door: Door) -> None:
    """Many checks say of each what it would be told alone, in whatever order they are asked."""
    asked: list[relgraph.Question] = ["doc:one#read@user:carl", "doc:two#read@user:carl", "doc:one#owner@user:carl"]
    alone = [door.decide(str(question)).valid_until for question in asked]
    assert alone == [parse_moment(EARLY), parse_moment(EARLY), None]
    assert [each.valid_until for each in door.decide_many(asked)] == alone
    assert [each.valid_until for each in door.decide_many(asked[::-1])] == alone[::-1]


def test_best_access_says_until_when_it_stays_so(door: Door) -> None:
    """Carl's roles stay as they are until his membership ends."""
    assert door.best("user:carl", "doc:two").valid_until == parse_moment(EARLY)
    assert door.best("user:anna", "doc:two", ways="none").valid_until is None


@pytest.mark.parametrize("ways", ["none", "one", "all"])
def test_best_access_on_many_says_until_when_each_stays_so(ways: Literal["none", "one", "all"]) -> None:
    """A resource on the way of one asked before it says of itself what it would say alone, its ways told or not."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(
            """
            use expiration
            definition user {}
            definition folder {
                relation parent: folder
                relation viewer: user with expiration
                permission read = viewer + parent->read
            }
            """
        )
        authorizer.load(["folder:a#parent@folder:b", f"folder:b#viewer@user:anna[expiration:{EARLY}]"])
        found = authorizer.best_many("user:anna", ["folder:a", "folder:b"], ways=ways)
        assert [each.valid_until for each in found] == [parse_moment(EARLY)] * 2


def test_usersets_are_opened_on_request(door: Door) -> None:
    """Without, a userset is a tuple of its relation; with, its members follow, and those of the usersets in it."""
    closed = door.expand("doc:one", "viewer").nodes
    assert [(str(node.object), node.text) for node in closed] == [("doc:one", "viewer")]
    assert [str(fact.subject) for fact in closed[0].tuples] == ["group:staff#member"]
    opened = door.expand("doc:one", "viewer", usersets=True).nodes
    assert [str(node.object) for node in opened] == ["doc:one", "group:staff", "group:board"]
    assert opened[0].children == (1,)


def test_a_search_over_what_was_read_before_is_charged_as_well() -> None:
    """Of many resources that share one group, each may meet all of it within the limit, and none may exceed it."""
    with relgraph.open("sqlite://", limits=Limits(nodes_max=150)) as authorizer:
        authorizer.write_schema(SCHEMA)
        fan = [f"group:all#member@group:g{n}#member" for n in range(100)]
        shared = [f"doc:d{n}#viewer@group:all#member" for n in range(20)]
        deep = [f"group:s{n}#member@group:s{n + 1}#member" for n in range(60)]
        own = [f"doc:d{n}#viewer@group:s0#member" for n in range(20)]
        authorizer.load([*fan, *shared, *deep, *own, "group:s3#member@user:anna"])
        documents = [f"doc:d{n}" for n in range(20)]
        assert all(best.held for best in authorizer.best_many("user:anna", documents))
        with pytest.raises(LimitExceeded, match="nodes_max"):
            authorizer.best_many("user:bob", documents)

"""Contextual tuples: they count beside the stored ones for one question, at every door, and nothing learns of them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from relgraph import errors
from relgraph.api import Authorizer, open_authorizer
from relgraph.client import AsyncClient, Client
from relgraph.limits import Limits
from relgraph.revision import Consistency
from relgraph.tuples import RelationTuple
from tests.awaited import awaited
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Door = Authorizer | Client

SCHEMA = """
use expiration
use universal
use roles
definition user {}
definition group { relation member: user | group#member }
definition folder {
    relation parent: folder
    relation viewer: user | group#member | user with universal
    permission view = viewer + parent->view
}
definition doc {
    roles edit > view
    relation parent: folder
    relation editor: user | user with expiration | user with universal
    relation viewer: user | user:* | group#member
    relation banned: user
    permission edit = editor - banned
    permission view = edit + viewer + parent->view
}
"""
TUPLES = (
    "doc:a#viewer@group:staff#member",
    "doc:*#editor@user:root",
    "folder:top#viewer@user:tom",
    "folder:*#viewer@user:uni",
)


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module", params=["library", "threads", "tasks"])
def door(request: pytest.FixtureRequest, authorizer: Authorizer) -> Iterator[Door]:
    if request.param == "library":
        yield authorizer
        return
    opens = Client if request.param == "threads" else awaited
    with in_process(authorizer) as address, opens(address) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "contextual"),
    [
        ("doc:a#view@user:anna", ["group:staff#member@user:anna"]),
        ("doc:a#view@user:anna", ["doc:a#viewer@user:*"]),
        ("doc:a#view@user:anna", ["group:staff#member@group:new#member", "group:new#member@user:anna"]),
        ("doc:new#view@user:anna", ["doc:new#viewer@user:anna"]),
        ("doc:new#view@user:tom", ["doc:new#parent@folder:new", "folder:new#parent@folder:top"]),
        ("doc:new#edit@user:root", ["doc:new#viewer@user:anna"]),
        ("folder:x#view@group:q#member", ["folder:x#viewer@group:p#member", "group:p#member@group:q#member"]),
    ],
)
def test_they_count_beside_the_stored_ones(door: Door, question: str, contextual: Sequence[str]) -> None:
    """A question is answered as if they were stored, objects that only they name included."""
    assert door.check(question, contextual=contextual)
    assert door.decide_many([question], contextual=contextual)[0].allowed


def test_they_take_away_as_they_give(door: Door) -> None:
    """Below an exclusion a contextual tuple takes access away, as a stored one would."""
    assert door.check("doc:a#edit@user:root")
    assert not door.check("doc:a#edit@user:root", contextual=["doc:a#banned@user:root"])


def test_nothing_is_left_of_them(authorizer: Authorizer, door: Door) -> None:
    """The next question knows nothing of them: no tuple, no name, no number, and nothing worked out with them."""
    question = "doc:later#view@user:ulla"
    contextual = [
        "doc:later#parent@folder:later",
        "folder:later#viewer@group:later#member",
        "group:later#member@user:ulla",
    ]
    names = authorizer._following._state.graph.names
    numbers = names.name_max, names.object_max
    assert not door.check(question)
    assert door.check(question, contextual=contextual)
    assert not door.check(question)
    assert (names.name_max, names.object_max) == numbers
    assert authorizer.head == door.decide(question).revision


def test_the_same_key_counts_twice(door: Door, authorizer: Authorizer) -> None:
    """A stored tuple that has expired and a contextual one of its key that has not both count: one is enough."""
    authorizer.write(touch=["doc:keyed#editor@user:kim[expiration:2001-01-01T00:00:00Z]"])
    assert not door.check("doc:keyed#edit@user:kim")
    assert door.check("doc:keyed#edit@user:kim", contextual=["doc:keyed#editor@user:kim"])
    later = "doc:keyed#editor@user:kim[expiration:9001-01-01T00:00:00Z]"
    decision = door.decide("doc:keyed#edit@user:kim", contextual=[later])
    assert decision.allowed
    assert decision.valid_until == RelationTuple.parse(later).expires_at


def test_an_expired_one_is_absent(door: Door) -> None:
    """A contextual tuple that has expired is no tuple, and no error."""
    gone = "doc:a#editor@user:eve[expiration:2001-01-01T00:00:00Z]"
    assert not door.check("doc:a#edit@user:eve", contextual=[gone])


def test_best_access_and_its_ways_show_them(door: Door) -> None:
    """Best access counts them, on many resources and of many subjects, and a way shows them as its tuples."""
    fact = "doc:b#editor@user:anna"
    assert door.best("user:anna", "doc:b").role is None
    best = door.best("user:anna", "doc:b", contextual=[fact])
    assert ("edit", [fact]) == (best.role, [str(each) for each in best.ways[0].tuples])
    assert [None, "edit"] == [each.role for each in door.best_many("user:anna", ["doc:c", "doc:b"], contextual=[fact])]
    assert ["edit", None] == [
        each.role for each in door.best_subjects(["user:anna", "user:eve"], "doc:b", contextual=[fact])
    ]


def test_one_that_is_stored_as_it_stands_adds_nothing(door: Door) -> None:
    """A contextual tuple that says what a stored one says is that tuple: the way stands once."""
    facts = ["doc:a#viewer@group:staff#member", "group:staff#member@user:anna"]
    best = door.best("user:anna", "doc:a", ways="all", contextual=facts)
    assert [facts] == [[str(each) for each in way.tuples] for way in best.ways]


def test_a_stored_and_a_contextual_tuple_of_one_key_are_two_ways(door: Door, authorizer: Authorizer) -> None:
    """Where both hold, each is a way by itself."""
    authorizer.write(touch=["doc:two#editor@user:kim[expiration:9001-01-01T00:00:00Z]"])
    best = door.best("user:kim", "doc:two", ways="all", contextual=["doc:two#editor@user:kim"])
    assert [
        ["doc:two#editor@user:kim"],
        ["doc:two#editor@user:kim[expiration:9001-01-01T00:00:00Z]"],
    ] == sorted([str(each) for each in way.tuples] for way in best.ways if way.role == "edit")


def test_expand_shows_them(door: Door) -> None:
    """An expansion has them among the tuples, and opens usersets that only they name."""
    nodes = door.expand(
        "doc:b", "view", usersets=True, contextual=["doc:b#viewer@group:new#member", "group:new#member@user:anna"]
    ).nodes
    shown = {str(fact) for node in nodes for fact in node.tuples}
    assert {"doc:b#viewer@group:new#member", "group:new#member@user:anna", "doc:*#editor@user:root"} == shown


def test_lookups_count_them(door: Door) -> None:
    """A lookup names what only they name: as a row of its own, or as an exception to everything; counts agree."""
    facts = ["doc:new#viewer@user:zoe", "doc:other#parent@folder:new", "folder:new#viewer@user:zoe"]
    assert ["new", "other"] == [row.id for row in door.what("user:zoe", "view", "doc", contextual=facts).rows]
    assert 2 == door.count_resources("user:zoe", "view", "doc", contextual=facts).yes
    excluded = door.what("user:root", "edit", "doc", contextual=["doc:new#banned@user:root"])
    assert {"*": "yes", "new": "no"} == {row.id: row.verdict.value for row in excluded.rows}
    assert {"zoe": "yes", "root": "yes", "uni": "yes"} == {
        row.id: row.verdict.value for row in door.who("doc:other", "view", "user", contextual=facts).rows
    }
    assert 3 == door.count_subjects("doc:other", "view", "user", contextual=facts).yes
    # A folder that only they name is one of all folders.
    assert ["other"] == [row.id for row in door.what("user:uni", "view", "doc", contextual=facts).rows]
    held = {row.name: row.verdict.value for row in door.permissions("user:zoe", "doc:new", contextual=facts).rows}
    assert ("yes", "no") == (held["view"], held["edit"])


def test_a_page_goes_on_with_what_the_lookup_began_with(door: Door) -> None:
    """A cursor belongs to the context and the contextual tuples that the lookup was asked with."""
    facts = [f"doc:p{n}#viewer@user:zoe" for n in range(3)]
    first = door.what("user:zoe", "view", "doc", limit=2, contextual=facts)
    assert ["p0", "p1"] == [row.id for row in first.rows]
    rest = door.what("user:zoe", "view", "doc", limit=2, cursor=first.cursor, contextual=facts)
    assert (["p2"], "") == ([row.id for row in rest.rows], rest.cursor)
    for other in ({"contextual": facts[:2]}, {}, {"contextual": facts, "context": {"site": 1}}):
        with pytest.raises(errors.InvalidCursor):
            door.what("user:zoe", "view", "doc", limit=2, cursor=first.cursor, **other)


def test_they_count_in_the_past(door: Door, authorizer: Authorizer) -> None:
    """At an old revision they count beside what was stored then."""
    then = Consistency.at_exactly(authorizer.write(touch=["group:old#member@user:anna"]).token)
    authorizer.write(delete=["group:old#member@user:anna"])
    fact = "doc:old#viewer@group:old#member"
    assert door.check("doc:old#view@user:anna", contextual=[fact], consistency=then)
    assert not door.check("doc:old#view@user:anna", contextual=[fact])


@pytest.mark.parametrize(
    ("fact", "refusal"),
    [
        ("doc:*#editor@user:anna", errors.TupleNotAllowed),
        ("doc:a#editor@user:*", errors.TupleNotAllowed),
        ("doc:a#editor@group:staff#member", errors.TupleNotAllowed),
        ("doc:a#view@user:anna", errors.CannotUpdatePermission),
        ("doc:a#nothing@user:anna", errors.UnknownRelation),
        ("page:a#viewer@user:anna", errors.UnknownDefinition),
        ("doc:a", errors.InvalidTuple),
    ],
)
def test_the_schema_admits_each(door: Door, fact: str, refusal: type[errors.RelgraphError]) -> None:
    """One that the schema does not take, or that is universal, is refused, and the error says which it was."""
    with pytest.raises(refusal) as caught:
        door.check("doc:a#view@user:anna", contextual=["doc:a#viewer@user:anna", fact])
    assert caught.value.details["contextual"] == "1"


def test_there_is_a_limit(door: Door) -> None:
    """So many and no more, by the one table of limits; a text alone is no list."""
    most = Limits().contextual_tuples_max
    facts = [f"doc:a#viewer@user:u{n}" for n in range(most)]
    assert door.check(f"doc:a#view@user:u{most - 1}", contextual=facts)
    with pytest.raises(errors.InvalidInput, match=f"{most + 1} contextual tuples are over the limit of {most}"):
        door.check("doc:a#view@user:anna", contextual=[*facts, "doc:a#viewer@user:anna"])
    with pytest.raises(errors.InvalidInput, match="a list, not one text"):
        door.check("doc:a#view@user:anna", contextual="doc:a#viewer@user:anna")


def test_their_contexts_are_bounded_together(authorizer: Authorizer, door: Door) -> None:
    """All that contextual tuples say beside is bounded as what one stored tuple says, before the schema is asked."""
    half = 'doc:a#viewer@user:ann[any_caveat:{"text":"' + "x" * 13_000 + '"}]'
    for ask in (lambda facts: door.decide("doc:a#view@user:ann", contextual=facts),
                lambda facts: door.who("doc:a", "view", "user", contextual=facts)):  # fmt: skip
        with pytest.raises(errors.InvalidContext, match="is 25000 for all of them") as caught:
            ask([half, half.replace("ann", "bob")])
        assert caught.value.details["limit"] == "tuple_context_size_max"
        with pytest.raises(errors.TupleNotAllowed, match="`any_caveat` is not a caveat"):
            ask([half])
    assert authorizer.limits.tuple_context_size_max == 25_000


def test_who_writes_brings_none() -> None:
    """Nothing that writes takes contextual tuples or a context: an actor's rights come from what is stored alone."""
    for door in (Authorizer, Client, AsyncClient):
        for name in ("write", "delete", "load", "write_schema"):
            assert not {"context", "contextual"} & set(inspect.signature(getattr(door, name)).parameters)


def test_each_gives_its_caveat_no_more_than_a_stored_one_may(door: Door) -> None:
    """What a contextual tuple gives to a caveat is as long as what a stored one gives, and no longer."""
    most = Limits().tuple_context_size_max
    for size, refusal in ((most, errors.TupleNotAllowed), (most + 1, errors.InvalidContext)):
        fact = RelationTuple.parse('doc:a#viewer@user:bob[spoken:{"word":"' + "x" * (size - len('{"word":""}')) + '"}]')
        with pytest.raises(refusal) as caught:
            door.check("user:bob", "view", "doc:a", contextual=["doc:a#viewer@user:ann", fact])
        assert caught.value.details["contextual"] == "1"


@pytest.mark.parametrize("nothing", [[], "", 0, ()])
def test_what_is_no_context_is_refused_however_little_it_is(door: Door, nothing: object) -> None:
    """A list, a text or a number is no context, empty or not; nor is a text a list of tuples."""
    with pytest.raises(errors.InvalidContext):
        door.check("user:bob", "view", "doc:a", context=nothing)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(errors.InvalidInput):
        door.check("user:bob", "view", "doc:a", contextual="")

"""The scratch store: what answers rest on, who holds a permission, and what other schemas would answer."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from relgraph.answers import Verdict
from relgraph.api.scratch import Question, Scratch
from relgraph.contexts import EMPTY, Context
from relgraph.errors import CaveatFailed, InvalidInput, Undecided
from relgraph.rewrites import AllArrow, Arrow, Name, Nil, Rewrite, SelfObject, SetOperator
from relgraph.schema import Definition, Permission, Schema, parse
from relgraph.schema.branches import Branch, Branches
from relgraph.schema.mutants import mutants
from relgraph.tuples import Object
from tests.brought import Case, brought, stored
from tests.worlds import questions

SCHEMA = """
use self
caveat within(limit int, asked int) {
  asked <= limit
}
definition user {
  permission same = self
}
definition group {
  relation member: user | group#member
}
definition folder {
  relation parent: folder
  relation viewer: user
  permission view = viewer + parent->view
}
definition doc {
  relation parent: folder | group
  relation viewer: user with within | user:* | group#member
  relation banned: user
  permission view = (viewer + parent->view) - banned
  permission both = viewer & banned
  permission each = parent.all(view)
  permission none = nil
}
"""


def _scratch(*tuples: str, schema: str = SCHEMA) -> Scratch:
    scratch = Scratch()
    scratch.write_schema(schema)
    if tuples:
        scratch.write(touch=tuples)
    return scratch


def _reached(scratch: Scratch, *asked: str, context: Context = EMPTY) -> set[str]:
    found = scratch.reached([(each, context) for each in asked])
    return {f"{each.type}#{each.name} {each.what} {each.text}" for each in found}


def test_branches_are_all_there_is() -> None:
    """Every kind of subject, operand, arrow and target of it is a branch; `nil` is none, and a type without the name
    is no target.
    """
    told = [f"{each.type}#{each.name} {each.what} {each.text}" for each in Branches(parse(SCHEMA)).all]
    assert told == [
        "user#same operand self",
        "group#member kind user",
        "group#member kind group#member",
        "folder#parent kind folder",
        "folder#viewer kind user",
        "folder#view operand viewer",
        "folder#view arrow parent->view",
        "folder#view target parent->view to folder#view",
        "doc#parent kind folder",
        "doc#parent kind group",
        "doc#viewer kind user with within",
        "doc#viewer kind user:*",
        "doc#viewer kind group#member",
        "doc#banned kind user",
        "doc#view operand viewer",
        "doc#view arrow parent->view",
        "doc#view target parent->view to folder#view",
        "doc#view operand banned",
        "doc#both operand viewer",
        "doc#both operand banned",
        "doc#each arrow parent.all(view)",
        "doc#each target parent.all(view) to folder#view",
    ]
    assert Branches(parse(SCHEMA)).all == Branches(parse(SCHEMA)).all


def test_what_gives_nothing_is_not_reached() -> None:
    """An answer of no reaches nothing but what gave the subject something on the way to it."""
    with _scratch("doc:a#viewer@user:anna[within]", "doc:a#parent@folder:f", "folder:f#viewer@user:bob") as scratch:
        assert _reached(scratch, "doc:a#view@user:eve") == set()
        assert _reached(scratch, "doc:a#view@user:bob") == {
            "doc#view arrow parent->view",
            "doc#view target parent->view to folder#view",
            "doc#parent kind folder",
            "folder#view operand viewer",
            "folder#viewer kind user",
        }
        perhaps = {"doc#view operand viewer", "doc#viewer kind user with within"}
        assert _reached(scratch, "doc:a#view@user:anna") == perhaps
        assert _reached(scratch, "doc:a#view@user:anna", context=Context.of({"asked": 2, "limit": 1})) == set()
        assert _reached(scratch, "user:anna#same@user:bob") == set()
        assert _reached(scratch, "user:bob#same@user:bob") == {"user#same operand self"}


def test_what_takes_away_is_reached() -> None:
    """The right side of an exclusion is reached where it says yes, and so is what it took that from."""
    with _scratch("doc:a#viewer@user:*", "doc:a#banned@user:eve") as scratch:
        asked = "doc:a#view@user:eve"
        ways = {"doc#view operand viewer", "doc#viewer kind user:*"}
        assert _reached(scratch, asked) == {*ways, "doc#view operand banned", "doc#banned kind user"}
        assert _reached(scratch, "doc:a#view@user:anna") == ways
        assert scratch.taken((asked, EMPTY)) == ["banned on doc:a"]
        assert scratch.taken(("doc:a#both@user:anna", EMPTY)) == []


def test_a_tuple_that_all_fails_on_is_reached() -> None:
    """Of `.all`, a kind whose tuple gives nothing is reached nevertheless, and the arrow is not."""
    with _scratch("doc:a#parent@folder:f", "doc:a#parent@group:g", "folder:f#viewer@user:bob") as scratch:
        assert _reached(scratch, "doc:a#each@user:bob") == {
            "doc#parent kind folder",
            "doc#parent kind group",
            "doc#each target parent.all(view) to folder#view",
            "folder#view operand viewer",
            "folder#viewer kind user",
        }


def _without(schema: Schema, gone: set[Branch]) -> Schema:
    """Return a schema in which branches are nil, and kinds are not taken."""
    definitions = {name: _cut(each, gone) for name, each in schema.definitions.items()}
    return Schema(definitions, "", schema.flags, schema.declared)


def _cut(definition: Definition, gone: set[Branch]) -> Definition:
    kinds = {(each.name, each.text) for each in gone if each.type == definition.name and each.what == "kind"}
    relations = {
        name: replace(each, kinds=tuple(kind for kind in each.kinds if (name, str(kind)) not in kinds))
        for name, each in definition.relations.items()
    }
    places = {(each.name, each.place) for each in gone if each.type == definition.name and each.what in _NODES}
    permissions: dict[str, Permission] = {
        name: replace(each, rewrite=_nil(each.rewrite, name, (), places))
        for name, each in definition.permissions.items()
    }
    return replace(definition, relations=relations, permissions=permissions)


_NODES = ("operand", "arrow")


def _nil(node: Rewrite, name: str, place: tuple[int, ...], gone: set[tuple[str, tuple[int, ...]]]) -> Rewrite:
    if isinstance(node, SetOperator):
        return type(node)(tuple(_nil(each, name, (*place, at), gone) for at, each in enumerate(node.operands)))
    assert isinstance(node, Name | Nil | SelfObject | Arrow | AllArrow)
    return Nil() if (name, place) in gone else node


def _verdict(scratch: Scratch, question: Question) -> Verdict:
    try:
        return scratch.decide(question[0], context=question[1]).verdict
    except (Undecided, CaveatFailed):
        return Verdict.UNDECIDED
    except InvalidInput:
        # The question is the wrong way round: its answer is no, whatever the tuples.
        return Verdict.NO


def test_what_is_not_reached_can_be_left_out() -> None:
    """In random worlds, leaving out at once all that some questions did not reach changes none of the answers."""
    told: Counter[str] = Counter()

    @settings(max_examples=40, phases=set(Phase) - {Phase.explain})
    @given(case=brought(), seed=st.integers(0, 1_000))
    def agree(case: Case, seed: int) -> None:
        note(str(case))
        chance = random.Random(seed)
        context = Context.of({name: value for name, value in case.request.items() if value != 0})
        everything = [(each.text, context) for each in questions(case.world)]
        with Scratch() as scratch:
            stored(scratch, case.world, past=False)
            schema = parse(scratch.schema().text)
            verdicts = dict(zip(everything, scratch.under(schema, everything), strict=True))
            # Most answers are no, and most branches matter to a yes.
            interesting = [each for each, verdict in verdicts.items() if verdict is not Verdict.NO]
            asked = [
                *chance.sample(interesting, min(len(interesting), chance.choice((1, 2, 4)))),
                *chance.sample(everything, min(len(everything), 2)),
            ]
            before = [verdicts[each] for each in asked]
            assert before == [_verdict(scratch, each) for each in asked]
            gone = set(Branches(schema).all) - scratch.reached(asked)
            assert before == list(scratch.under(_without(schema, gone), asked)), [str(each) for each in gone]
            told.update(each.value for each in before)
            told.update(("left out",) * bool(gone))

    # What is drawn is up to Hypothesis; enough has been seen when each has been.
    while not told.keys() >= {"yes", "no", "conditional", "left out"}:
        agree()


def test_another_schema_answers_as_if_it_were_written() -> None:
    """In random worlds, a mutant answers as a store with its schema and its tuples does."""
    told: Counter[str] = Counter()

    @settings(max_examples=15, phases=set(Phase) - {Phase.explain})
    @given(case=brought(tuples_max=8), seed=st.integers(0, 1_000))
    def agree(case: Case, seed: int) -> None:
        note(str(case))
        chance = random.Random(seed)
        everything = questions(case.world)
        some = chance.sample(everything, min(len(everything), 12))
        asked = [(each.text, EMPTY) for each in some]
        with Scratch() as scratch:
            stored(scratch, case.world, past=False)
            tuples = list(scratch.dump())
            found = list(mutants(parse(scratch.schema().text)))
            for mutant in chance.sample(found, min(len(found), 4)):
                added = mutant.added(tuples, [Object.parse(str(each.resource)) for each in some])
                answers = list(scratch.under(mutant.schema, asked, added))
                with Scratch() as other:
                    other.write_schema(mutant.schema.text)
                    rows = [each for each in tuples if mutant.schema.admits(each)]
                    # A tuple that lost its caveat may stand beside one that never had it: they have one key.
                    by_key = {each.key: each for each in (*rows, *added)}
                    if by_key:
                        other.write(touch=list(by_key.values()))
                    if len(by_key) == len({*rows, *added}):
                        assert answers == [_verdict(other, each) for each in asked], mutant.change
                        told.update(("opened",) * bool(mutant.opened) + ("freed",) * bool(mutant.freed) + ("tried",))

    while not told.keys() >= {"opened", "freed", "tried"}:
        agree()


def test_who_holds_a_permission_is_whom_tuples_name() -> None:
    """Listed are subjects, usersets and wildcards that tuples name and that hold it, with where they are named."""
    with _scratch(
        "doc:a#viewer@user:*",
        "doc:a#viewer@user:anna[within]",
        "doc:a#viewer@group:g#member",
        "doc:a#banned@user:eve",
        "group:g#member@user:anna",
        "group:g#member@user:eve",
        "group:g#member@group:h#member",
        "doc:b#viewer@user:zed[within]",
    ) as scratch:
        held = scratch.held_by("doc:a", "view")
        assert [(each.subject, each.verdict.value, each.exceptions, sorted(each.places)) for each in held] == [
            ("group:g#member", "yes", (), ["doc:a#viewer"]),
            ("group:h#member", "yes", (), ["group:g#member"]),
            ("user:*", "yes", (("user:eve", Verdict.NO),), ["doc:a#viewer"]),
            ("user:anna", "yes", (), ["doc:a#viewer", "group:g#member"]),
        ]
        (zed,) = scratch.held_by("doc:b", "view")
        assert (zed.subject, zed.verdict) == ("user:zed", Verdict.CONDITIONAL)


def test_an_exception_holds_less_than_the_wildcard() -> None:
    """Whoever holds more than a conditional wildcard is no exception to it; whoever holds less than a plain one is."""
    schema = SCHEMA.replace("user with within", "user | user:* with within")
    with _scratch(
        'doc:a#viewer@user:*[within:{"limit":1}]',
        "doc:a#viewer@user:anna",
        "doc:a#viewer@user:eve",
        "doc:a#banned@user:eve",
        schema=schema,
    ) as scratch:
        held = {each.subject: (each.verdict, each.exceptions) for each in scratch.held_by("doc:a", "view")}
        assert held == {
            "user:*": (Verdict.CONDITIONAL, (("user:eve", Verdict.NO),)),
            "user:anna": (Verdict.YES, ()),
        }
        scratch.write(touch=["doc:a#viewer@user:bob", "doc:a#banned@user:bob"])
        assert [name for name, _ in scratch.held_by("doc:a", "view")[0].exceptions] == ["user:bob", "user:eve"]


def test_a_way_is_told_of_any_permission() -> None:
    """One way behind a yes, of a permission or a relation; none behind a no."""
    with _scratch("doc:a#viewer@group:g#member", "group:g#member@user:anna") as scratch:
        way = scratch.way(("doc:a#view@user:anna", EMPTY))
        assert way is not None
        assert list(map(str, way.tuples)) == ["doc:a#viewer@group:g#member", "group:g#member@user:anna"]
        assert scratch.way(("doc:a#viewer@user:eve", EMPTY)) is None

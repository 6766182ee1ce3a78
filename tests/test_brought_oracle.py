"""Caveats, contexts and contextual tuples against the oracle: written to a real store, asked at the public doors."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from relgraph.errors import CaveatFailed, InvalidInput, Undecided
from relgraph.tuples import RelationTuple
from tests.lookup_kit import plainly
from tests.oracle import FAILED, NO, YES, Kind, Oracle, Refused, Rows, Tuple, Verdict, World, conditional
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import (
    CAVEATS,
    FEATURES_SERVED,
    all_questions,
    contextual_tuples,
    questions,
    schema_text,
    stored_context,
    world_text,
    worlds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.answers import Lookup
    from relgraph.api import Authorizer
    from relgraph.revision import Consistency
    from tests.oracle import Object, Subject
    from tests.worlds import Question

Door = relgraph.Authorizer | Client

LONG = bool(os.environ.get("RELGRAPH_LONG"))
QUESTIONS = 400_000 if LONG else 20_000
WORLDS = 4_000 if LONG else 160

FEATURES = FEATURES_SERVED - {"stale"}
CONTEXTS = st.fixed_dictionaries({}, optional={name: st.sampled_from((0, 1, 1, 2)) for name in ("limit", "site")})
"""What a request says of the parameters: 1 meets a caveat, 2 does not, with 0 it cannot be evaluated."""

Brought = tuple[World, tuple[Tuple, ...], dict[str, int]]


@st.composite
def _brought(draw: st.DrawFn, tuples_max: int = 10) -> Brought:
    """Draw a world, tuples that a request brings, and its context. Of the kinds of subjects, half get a caveat."""
    world = draw(worlds(FEATURES, tuples_max=tuples_max))
    contextual = tuple(each for each in draw(contextual_tuples(world, FEATURES)) if not each.universal)
    chance = random.Random(draw(st.integers(0, 1 << 16)))
    given: dict[tuple[str, str, Kind], str] = {}
    definitions = {}
    for type_, definition in world.schema.definitions.items():
        relations = {}
        for relation, kinds in definition.relations.items():
            for kind in kinds:
                given[type_, relation, kind] = chance.choice(["", "", "", *CAVEATS])
            relations[relation] = tuple(replace(kind, caveat=given[type_, relation, kind]) for kind in kinds)
        definitions[type_] = replace(definition, relations=relations)

    def under(entry: Tuple) -> Tuple:
        who = entry.subject
        kind = Kind(who.type, who.relation, who.id == "*", "", entry.expires is not None, entry.universal)
        caveat = given[entry.resource.type, entry.relation, kind]
        names = CAVEATS.get(caveat, ())
        some = [YES, NO, FAILED, *[conditional(*names)] * 4, *map(conditional, names)]
        return replace(entry, caveat=caveat, condition=chance.choice(some)) if caveat else entry

    world = replace(
        world, schema=replace(world.schema, definitions=definitions), tuples=tuple(map(under, world.tuples))
    )
    return world, tuple(map(under, contextual)), draw(CONTEXTS)


def _judged(entry: Tuple, request: dict[str, int]) -> Tuple:
    """Return a tuple with the condition that its caveat has under the request's context."""
    if not entry.caveat:
        return entry
    values = {**request, **stored_context(entry)}
    given = [values.get(name) for name in CAVEATS[entry.caveat]]
    missing = [name for name in CAVEATS[entry.caveat] if name not in values]
    condition = NO if 2 in given else conditional(*missing) if missing else FAILED if 0 in given else YES
    return replace(entry, condition=condition)


def _written(entry: Tuple, now: int) -> str:
    """Return a tuple's text, expired long ago or in a distant future as it is in the world."""
    text = entry.text
    if entry.caveat:
        context = stored_context(entry)
        text += f"[{entry.caveat}:{json.dumps(context)}]" if context else f"[{entry.caveat}]"
    if entry.expires is not None:
        text += f"[expiration:{'2001' if entry.expires <= now else '9001'}-01-01T00:00:00Z]"
    return text


def _stored(authorizer: Authorizer, world: World, *, past: bool) -> Consistency | None:
    """Write a world; return where it stands, which is in the past where everything is deleted again."""
    token = authorizer.write_schema(schema_text(world.schema)).token
    if world.tuples:
        token = authorizer.write(create=[_written(entry, world.now) for entry in world.tuples]).token
    if not past or not world.tuples:
        return None
    authorizer.write(delete=[entry.text for entry in world.tuples])
    return relgraph.Consistency.at_exactly(token)


class _Asker:
    """Asks one door about one world, always with the same brought along."""

    def __init__(
        self, door: Door, facts: Sequence[str], context: dict[str, int], consistency: Consistency | None
    ) -> None:
        self._door = door
        self._facts = facts
        self._context = context
        self._consistency = consistency

    def told(self, question: Question) -> tuple[str, frozenset[str], str]:
        """Return verdict, what is missing, and the tuple whose caveat failed."""
        try:
            decision = self._door.decide(
                question.text, context=self._context, contextual=self._facts, consistency=self._consistency
            )
        except CaveatFailed as error:
            return "undecided", frozenset(), error.details["tuple"]
        except Undecided:
            return "undecided", frozenset(), ""
        except InvalidInput:
            return "no", frozenset(), ""  # surely swapped: refused, where the law's answer is no
        return decision.verdict.value, frozenset(decision.missing), ""

    def told_many(self, asked: Sequence[Question]) -> list[tuple[str, frozenset[str]]]:
        """Return the verdicts of a bulk."""
        decisions = self._door.decide_many(
            [each.text for each in asked],
            context=self._context,
            contextual=self._facts,
            consistency=self._consistency,
        )
        return [(each.verdict.value, frozenset(each.missing)) for each in decisions]

    def best(self, who: Subject, what: Object) -> tuple[object, ...]:
        """Return the best access as the oracle tells it; none at all for a question that is refused as swapped."""
        try:
            found = self._door.best(
                str(who),
                str(what),
                ways="none",
                context=self._context,
                contextual=self._facts,
                consistency=self._consistency,
            )
        except InvalidInput:
            return None, set(), {}, set()
        missing = {each.role: frozenset(each.missing) for each in found.conditional}
        return found.role, set(found.held), missing, set(found.undecided)

    def looked_up(self, found: Lookup) -> Rows:
        """Return a lookup's rows as the oracle tells them."""
        assert found.cursor == ""
        rows = {row.id: Verdict(row.verdict.value, frozenset(row.missing)) for row in found.rows}
        return Rows(rows.pop("*", NO), rows)

    def what(self, who: Subject, type_: str, name: str) -> Rows | None:
        """Return what the subject has the name on; None for a question that is refused as swapped."""
        try:
            return self.looked_up(
                self._door.what(
                    str(who),
                    name,
                    type_,
                    context=self._context,
                    contextual=self._facts,
                    consistency=self._consistency,
                )
            )
        except InvalidInput:
            return None

    def who(self, what: Object, name: str, type_: str, relation: str) -> Rows | None:
        """Return who has the name on the resource; None for a question that is refused as swapped."""
        try:
            return self.looked_up(
                self._door.who(
                    str(what),
                    name,
                    type_,
                    relation=relation,
                    context=self._context,
                    contextual=self._facts,
                    consistency=self._consistency,
                )
            )
        except InvalidInput:
            return None

    def ways(self, question: Question) -> set[frozenset[str]]:
        """Return the ways to one role, each as the keys of its tuples."""
        found = self._door.best(
            str(question.subject),
            str(question.resource),
            ways="all",
            context=self._context,
            contextual=self._facts,
            consistency=self._consistency,
        )
        assert not found.truncated
        ways = [way for way in found.ways if way.role == question.name]
        return {frozenset(str(RelationTuple(*fact.key)) for fact in way.tuples) for way in ways}


def _expected(verdict: Verdict) -> tuple[str, frozenset[str], str]:
    return verdict.kind, verdict.missing, verdict.error


def _agreed(oracle: Oracle, asker: _Asker, asked: Sequence[Question]) -> Iterator[str]:
    """Yield the kinds of verdicts on which the door and the oracle agree."""
    rows = []
    for question in asked:
        expected = oracle.verdict(question.subject, question.name, question.resource)
        told = asker.told(question)
        assert _expected(expected) == told, question.text
        yield f"failed {expected.kind}" if expected.error else expected.kind
        rows.append((expected.kind, expected.missing))
    fitting = [(question, row) for question, row in zip(asked, rows, strict=True) if row[0] != "no"]
    if fitting:
        assert [row for _, row in fitting] == asker.told_many([question for question, _ in fitting])
    for question in {(each.subject, each.resource): each for each, _ in fitting[:20]}.values():
        best = oracle.best(question.subject, question.resource)
        expected_best = (best.role, set(best.held), dict(best.conditional), set(best.undecided))
        assert expected_best == asker.best(question.subject, question.resource), question.text


def _looked_up(oracle: Oracle, asker: _Asker, asked: Sequence[Question]) -> Iterator[str]:
    """Yield a word for each lookup on which the door and the oracle agree."""
    for question in asked:
        who, name, what = question.subject, question.name, question.resource
        expected = plainly(oracle.lookup_resources(who, what.type, name))
        found = asker.what(who, what.type, name)
        assert expected == (Rows(NO, {}) if found is None else found), f"what {question.text}"
        yield "some" if expected.named else "none"
        expected = plainly(oracle.lookup_subjects(what, name, who.type, who.relation))
        found = asker.who(what, name, who.type, who.relation)
        assert expected == (Rows(NO, {}) if found is None else found), f"who {question.text}"
        yield "some" if expected.named else "none"


@settings(max_examples=WORLDS // 2)
@given(brought=_brought(), past=st.booleans(), seed=st.integers(0, 1_000))
def test_lookups_are_the_oracles_whatever_a_request_brings(brought: Brought, past: bool, seed: int) -> None:
    """What and who tell every named id, those that only contextual tuples name included, as the oracle does."""
    world, contextual, context = brought
    note(f"{world_text(world)}\n{context} {[_written(each, world.now) for each in contextual]}")
    chance = random.Random(seed)
    with relgraph.open("sqlite://") as authorizer:
        when = _stored(authorizer, world, past=past)
        judged = replace(world, tuples=tuple(_judged(each, context) for each in world.tuples))
        oracle = Oracle(judged, contextual=[_judged(each, context) for each in contextual])
        facts = [_written(each, world.now) for each in contextual]
        asked = [*chance.sample(questions(world), 12), *chance.sample(all_questions(world), 8)]
        told = Counter(_looked_up(oracle, _Asker(authorizer, facts, context, when), asked))
        if chance.random() < 1 / 8:
            with in_process(authorizer) as address, Client(address) as client:
                told.update(_looked_up(oracle, _Asker(client, facts, context, when), asked[:6]))
    assert told.total() >= 40


def test_every_door_answers_as_the_oracle_whatever_a_request_brings() -> None:
    """Thousands of questions about worlds with caveats, each with a context and tuples of its own, at the head and in
    the past, get the oracle's verdict, its missing names, and the tuple whose caveat failed; so do bulk and best.
    """
    told: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(brought=_brought(), past=st.booleans(), seed=st.integers(0, 1_000))
    def agree(brought: Brought, past: bool, seed: int) -> None:
        world, contextual, context = brought
        note(f"{world_text(world)}\n{context} {[_written(each, world.now) for each in contextual]}")
        chance = random.Random(seed)
        with patience.with_example(f"{seed} {brought}"), relgraph.open("sqlite://") as authorizer:
            when = _stored(authorizer, world, past=past)
            judged = replace(world, tuples=tuple(_judged(each, context) for each in world.tuples))
            oracle = Oracle(judged, contextual=[_judged(each, context) for each in contextual])
            facts = [_written(each, world.now) for each in contextual]
            asked = [*questions(world), *chance.sample(all_questions(world), 40)]
            asked = chance.sample(asked, min(len(asked), 120))
            told.update(_agreed(oracle, _Asker(authorizer, facts, context, when), asked))
            if chance.random() < 1 / 8:
                with in_process(authorizer) as address, Client(address) as client:
                    told.update(_agreed(oracle, _Asker(client, facts, context, when), asked))

    while told.total() < QUESTIONS:
        agree()
    print(f"{told.total():,} questions: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() == {"no", "yes", "conditional", "undecided", "failed undecided"}


@settings(max_examples=WORLDS // 4)
@given(brought=_brought(tuples_max=7))
def test_ways_are_the_oracles_whatever_a_request_brings(
    brought: Brought,
) -> None:
    """The ways of a YES and of a CONDITIONAL are the minimal sets of brute force, contextual tuples among them."""
    world, contextual, context = brought
    note(f"{world_text(world)}\n{context} {[_written(each, world.now) for each in contextual]}")
    with relgraph.open("sqlite://") as authorizer:
        _stored(authorizer, world, past=False)
        judged = replace(world, tuples=tuple(_judged(each, context) for each in world.tuples))
        oracle = Oracle(judged, contextual=[_judged(each, context) for each in contextual])
        asker = _Asker(authorizer, [_written(each, world.now) for each in contextual], context, None)
        for question in questions(world)[:30]:
            best = oracle.best(question.subject, question.resource)
            told = {best.role} if best.role else set(best.held)
            if question.name not in told | {name for name, _ in best.conditional}:
                continue
            try:
                expected = oracle.ways(question.subject, question.name, question.resource, tuples_max=8)
            except Refused:
                continue
            keys = {frozenset(entry.text for entry in way) for way in expected}
            assert keys == asker.ways(question), question.text

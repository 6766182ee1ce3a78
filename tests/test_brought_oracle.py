"""Caveats, contexts and contextual tuples against the oracle: written to a real store, asked at the public doors."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from tests.awaited import awaited
from tests.brought import Asker, Case, access_of, brought, stored
from tests.oracle import Refused
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import all_questions, questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.oracle import Oracle
    from tests.worlds import Question

LONG = bool(os.environ.get("RELGRAPH_LONG"))
QUESTIONS = 1_000_000 if LONG else 26_000
WORLDS = 1_000 if LONG else 40
PARTS = 2
"""They are asked in so many tests, for as many processors."""
CLIENTS: tuple[Callable[[str], AbstractContextManager[Client]], ...] = (Client, awaited)


def _agreed(oracle: Oracle, asker: Asker, asked: Sequence[Question]) -> Iterator[str]:
    """Yield the kinds of verdicts on which the door and the oracle agree."""
    rows = []
    for question in asked:
        expected = oracle.verdict(question.subject, question.name, question.resource)
        assert (expected.kind, expected.missing, expected.error) == asker.told(question), question.text
        yield f"failed {expected.kind}" if expected.error else expected.kind
        rows.append((expected.kind, expected.missing))
    fitting = [(question, row) for question, row in zip(asked, rows, strict=True) if row[0] != "no"]
    if fitting:
        assert [row for _, row in fitting] == asker.told_many([question for question, _ in fitting])
    for question in {(each.subject, each.resource): each for each, _ in fitting[:20]}.values():
        who, what = question.subject, question.resource
        best = access_of(oracle.best(who, what))
        assert best == asker.best(who, what), question.text
        assert [best, best] == asker.best_of([who, who], what), question.text
        definition = oracle.schema.definitions[what.type]
        names = (*definition.relations, *definition.permissions)
        verdicts = {name: oracle.verdict(who, name, what) for name in names}
        expected_held = {name: (each.kind, each.missing) for name, each in verdicts.items()}
        held = asker.held(who, what)
        assert expected_held == held, question.text
        assert list(names) == list(held), question.text
        yield "best"


@pytest.mark.parametrize("part", range(PARTS))
def test_every_door_answers_as_the_oracle_whatever_a_request_brings(part: int) -> None:
    """Thousands of questions about worlds with caveats, each with a context and tuples of its own, at the head and in
    the past, get the oracle's verdict, its missing names, and the tuple whose caveat failed; so do bulks, best access
    of one and of many subjects, and all permissions.
    """
    told: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(case=brought(), past=st.booleans(), seed=st.integers(0, 1_000))
    def agree(case: Case, past: bool, seed: int) -> None:
        note(str(case))
        chance = random.Random(seed)
        with patience.with_example(f"{seed} {case}"), relgraph.open("sqlite://") as authorizer:
            when = stored(authorizer, case.world, past=past)
            oracle = case.oracle()
            asked = [*questions(case.world), *chance.sample(all_questions(case.world), 40)]
            asked = chance.sample(asked, min(len(asked), 120))
            told.update(_agreed(oracle, Asker(authorizer, case, when), asked))
            if chance.random() < 1 / 8:
                with in_process(authorizer) as address, chance.choice(CLIENTS)(address) as client:
                    told.update(f"{each}, served" for each in _agreed(oracle, Asker(client, case, when), asked))

    while told.total() < QUESTIONS // PARTS:
        agree()
    print(f"part {part}: {told.total():,} questions: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() >= {"no", "yes", "conditional", "failed undecided", "best", "no, served", "yes, served"}


@settings(max_examples=WORLDS // 4)
@given(case=brought(tuples_max=7), served=st.integers(0, 7))
def test_ways_are_the_oracles_whatever_a_request_brings(case: Case, served: int) -> None:
    """The ways of a YES and of a CONDITIONAL are the minimal sets of brute force, contextual tuples among them."""
    note(str(case))
    with relgraph.open("sqlite://") as authorizer:
        stored(authorizer, case.world, past=False)
        _same_ways(case, Asker(authorizer, case, None))
        if not served:
            with in_process(authorizer) as address, Client(address) as client:
                _same_ways(case, Asker(client, case, None))


def _same_ways(case: Case, asker: Asker) -> None:
    oracle = case.oracle()
    for question in questions(case.world)[:30]:
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

"""Lookups and counts with caveats, contexts and contextual tuples: by pages of every size they are the oracle's."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from tests.awaited import awaited
from tests.brought import Asker, Case, brought, counted, stored
from tests.lookup_kit import plainly, widened
from tests.oracle import NO, Rows
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import NEVER_MENTIONED, Question, all_questions, questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.oracle import Oracle

LONG = bool(os.environ.get("RELGRAPH_LONG"))
LOOKUPS = 400_000 if LONG else 16_000
WORLDS = 4_000 if LONG else 80
PARTS = 2
"""They are asked in so many tests, for as many processors."""
LIMITS = (None, 1, 2, 3, 200)
CLIENTS: tuple[Callable[[str], AbstractContextManager[Client]], ...] = (Client, awaited)


def _looked_up(oracle: Oracle, asker: Asker, asked: Sequence[Question], chance: random.Random) -> Iterator[str]:
    """Yield a word for each lookup on which the door and the oracle agree."""
    for question in asked:
        who, name, what = question.subject, question.name, question.resource
        expected = plainly(oracle.lookup_resources(who, what.type, name))
        assert expected == asker.what(who, what.type, name, chance.choice(LIMITS)), f"what {question.text}"
        yield _word(expected)
        if expected != Rows(NO, {}):
            assert counted(expected) == asker.count_what(who, what.type, name), f"what {question.text}"
        expected = plainly(oracle.lookup_subjects(what, name, who.type, who.relation))
        found = asker.who(what, name, who.type, who.relation, chance.choice(LIMITS))
        assert expected == found, f"who {question.text}"
        yield _word(expected)
        if expected != Rows(NO, {}):
            assert counted(expected) == asker.count_who(what, name, who.type, who.relation), f"who {question.text}"


def _word(rows: Rows) -> str:
    kinds = {rows.never_named.kind, *(each.kind for each in rows.named.values())} - {"no"}
    return "everyone" if rows.never_named != NO else "conditional" if "conditional" in kinds else "".join(kinds) or "no"


def _strange(question: Question, chance: random.Random) -> Question:
    """Return the question, at times about a subject or a resource that nothing names."""
    who, what = question.subject, question.resource
    if chance.random() < 1 / 8:
        who = replace(who, id=NEVER_MENTIONED)
    if chance.random() < 1 / 8:
        what = replace(what, id=NEVER_MENTIONED)
    return Question(who, question.name, what)


@pytest.mark.parametrize("part", range(PARTS))
def test_lookups_are_the_oracles_whatever_a_request_brings(part: int) -> None:
    """What and who tell every named id, those that only contextual tuples name included, as the oracle does, at the
    head and in the past, in the library and through both clients; so do the counts. In half of the worlds much is
    universal.
    """
    told: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(case=brought(), past=st.booleans(), seed=st.integers(0, 1_000))
    def agree(case: Case, past: bool, seed: int) -> None:
        chance = random.Random(seed)
        if seed % 2:
            case = case._replace(world=widened(case.world, chance))
        note(str(case))
        with patience.with_example(f"{seed} {case}"), relgraph.open("sqlite://") as authorizer:
            when = stored(authorizer, case.world, past=past)
            oracle = case.oracle()
            drawn = questions(case.world)
            asked = [*chance.sample(drawn, min(len(drawn), 20)), *chance.sample(all_questions(case.world), 10)]
            asked = [_strange(each, chance) for each in asked]
            told.update(_looked_up(oracle, Asker(authorizer, case, when), asked, chance))
            if chance.random() < 1 / 8:
                with in_process(authorizer) as address, chance.choice(CLIENTS)(address) as client:
                    found = _looked_up(oracle, Asker(client, case, when), asked, chance)
                    told.update(f"{each}, served" for each in found)

    while told.total() < LOOKUPS // PARTS:
        agree()
    print(f"part {part}: {told.total():,} lookups: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() >= {"no", "yes", "conditional", "everyone", "no, served", "yes, served"}

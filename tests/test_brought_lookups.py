"""Lookups and counts with caveats, contexts and contextual tuples: by pages of every size they are the oracle's."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from tests.brought import Asker, Case, brought, counted, stored
from tests.lookup_kit import plainly
from tests.oracle import NO, Rows
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import all_questions, questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.oracle import Oracle
    from tests.worlds import Question

LONG = bool(os.environ.get("RELGRAPH_LONG"))
LOOKUPS = 200_000 if LONG else 8_000
WORLDS = 4_000 if LONG else 80
LIMITS = (None, 1, 2, 3, 200)


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


def test_lookups_are_the_oracles_whatever_a_request_brings() -> None:
    """What and who tell every named id, those that only contextual tuples name included, as the oracle does, at the
    head and in the past, in the library and through gRPC; so do the counts.
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
            drawn = questions(case.world)
            asked = [*chance.sample(drawn, min(len(drawn), 20)), *chance.sample(all_questions(case.world), 10)]
            told.update(_looked_up(oracle, Asker(authorizer, case, when), asked, chance))
            if chance.random() < 1 / 8:
                with in_process(authorizer) as address, Client(address) as client:
                    found = _looked_up(oracle, Asker(client, case, when), asked, chance)
                    told.update(f"{each}, served" for each in found)

    while told.total() < LOOKUPS:
        agree()
    print(f"{told.total():,} lookups: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() >= {"no", "yes", "conditional", "everyone", "no, served", "yes, served"}

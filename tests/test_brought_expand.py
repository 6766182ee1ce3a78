"""What an expansion holds is what Check says: its nodes, evaluated by themselves, give the oracle's verdicts."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from tests.brought import Asker, Case, brought, condition_of, stored
from tests.oracle import FAILED
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relgraph.answers import ExpandNode
    from relgraph.tuples import RelationTuple
    from tests.oracle import Subject

LONG = bool(os.environ.get("RELGRAPH_LONG"))
QUESTIONS = 100_000 if LONG else 8_000
WORLDS = 2_000 if LONG else 80

_LEVELS = {"no": 0, "conditional": 1, "yes": 2}
_KINDS = {(level, level): kind for kind, level in _LEVELS.items()}


def _worth(fact: RelationTuple, request: Mapping[str, int], open_: int) -> int:
    """Return how strong a tuple's condition is; one that fails is as strong as `open_` says."""
    if not fact.caveat:
        return _LEVELS["yes"]
    condition = condition_of(fact.caveat, {**request, **fact.context})
    return open_ if condition == FAILED else _LEVELS[condition.kind]


def _covers(fact: RelationTuple, who: Subject) -> bool:
    subject = fact.subject
    if subject.id == "*":
        return subject.type == who.type and not who.relation
    return (subject.type, subject.id, subject.relation) == (who.type, who.id, who.relation)


class _Closure:
    """An expansion with the subject and the request filled in."""

    def __init__(self, nodes: tuple[ExpandNode, ...], who: Subject, request: Mapping[str, int]) -> None:
        self._nodes = nodes
        self._who = who
        self._request = request

    def kind(self) -> str:
        """Return the verdict of node 0 by the well-founded model over the nodes."""
        low = [0] * len(self._nodes)
        while True:
            high = self._least(low, open_=2)
            risen = self._least(high, open_=0)
            if risen == low:
                return _KINDS.get((low[0], high[0]), "undecided")
            low = risen

    def _least(self, negated: list[int], open_: int) -> list[int]:
        level = [0] * len(self._nodes)
        while True:
            new = [self._level(node, level, negated, open_) for node in self._nodes]
            if new == level:
                return level
            level = new

    def _level(self, node: ExpandNode, level: list[int], negated: list[int], open_: int) -> int:
        below = [level[child] for child in node.children]
        worth = [_worth(fact, self._request, open_) for fact in node.tuples]
        name = node.text.split(" = ")[0]
        identity = (node.object.type, node.object.id, name) == (self._who.type, self._who.id, self._who.relation)
        match node.kind:
            case "relation":
                usersets = iter(below)
                found = [2 * identity]
                for fact, strong in zip(node.tuples, worth, strict=True):
                    member = next(usersets) if fact.subject.relation else 0
                    found.append(min(strong, max(2 * _covers(fact, self._who), member)))
                return max(found)
            case "permission":
                return max(2 * identity, *below)
            case "name" | "union":
                return max(below, default=0)
            case "intersection":
                return min(below)
            case "exclusion":
                return min(below[0], 2 - negated[node.children[1]])
            case "arrow":
                return max(map(min, worth, below), default=0)
            case "all":
                return min(map(min, worth, below), default=0)
            case "nil":
                return 0
            case "self":
                plain = (self._who.type, self._who.id, self._who.relation)
                return 2 * (plain == (node.object.type, node.object.id, ""))
        raise AssertionError(node.kind)


def _agreed(case: Case, asker: Asker) -> Iterator[str]:
    oracle = case.oracle()
    asked = questions(case.world)
    roots = sorted({(each.resource, each.name) for each in asked}, key=str)
    everyone = sorted({each.subject for each in asked}, key=str)
    for resource, name in roots[:8]:
        nodes = asker.expansion(resource, name).nodes
        for who in everyone[:12]:
            expected = oracle.verdict(who, name, resource).kind
            assert expected == _Closure(nodes, who, case.request).kind(), f"{resource}#{name}@{who}"
            yield expected


def test_an_expansion_holds_all_that_check_goes_by() -> None:
    """With every userset opened, an expansion evaluated by itself gives every subject the oracle's verdict, whatever
    operators, cycles and caveats are in it, contextual tuples among its tuples.
    """
    told: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(case=brought(), past=st.booleans(), served=st.integers(0, 7))
    def agree(case: Case, past: bool, served: int) -> None:
        note(str(case))
        with patience.with_example(f"{served} {case}"), relgraph.open("sqlite://") as authorizer:
            when = stored(authorizer, case.world, past=past)
            told.update(_agreed(case, Asker(authorizer, case, when)))
            if not served:
                with in_process(authorizer) as address, Client(address) as client:
                    told.update(f"{each}, served" for each in _agreed(case, Asker(client, case, when)))

    while told.total() < QUESTIONS:
        agree()
    print(f"{told.total():,} questions: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() >= {"no", "yes", "conditional", "undecided", "no, served", "yes, served"}


def test_an_arrow_keeps_the_tuples_that_lead_nowhere() -> None:
    """A tuple that an arrow follows to a type without the permission is told, and leads to nobody."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(
            "definition other {}\n"
            "definition doc {\n  relation parent: doc | other\n  permission view = parent->view\n}\n"
        )
        authorizer.write(touch=["doc:a#parent@other:o", "doc:a#parent@doc:b"])
        nodes = authorizer.expand("doc:a", "view").nodes
        arrow = next(node for node in nodes if node.kind == "arrow" and str(node.object) == "doc:a")
        told = {str(fact.subject): nodes[child].kind for fact, child in zip(arrow.tuples, arrow.children, strict=True)}
        assert told == {"other:o": "nil", "doc:b": "permission"}

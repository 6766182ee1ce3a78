"""Traces: how the answer to one check was found, told as the checks below it.

Every node is a check of its own, of a subject on a name of an object, or a tuple, which is the check of its subject on
its relation. Operators have no nodes: what an expression joins stands below the name that it defines.

Rule 1: a trace is true: each node's verdict is what the same check is answered with at this revision, by this walk or
by one of its own. Only of a tuple that names a wildcard or counts for every object nothing can be asked: its node has
what the tuple's condition is worth.
Rule 2: a trace tells what was looked at, and an answer that is found early leaves the rest unread. It is bounded: where
a node has more below it than there is room for, it says so, and what has the same verdict is told first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from relgraph.contexts import Context
from relgraph.engine.check import check
from relgraph.engine.conditions import Caveats
from relgraph.engine.scope import SubjectScope
from relgraph.engine.walk import Walk
from relgraph.instants import moment
from relgraph.rewrites import Term
from relgraph.rewrites.verdict import REFUSED, YES, verdict_of, weaker
from relgraph.tuples import WILDCARD, Object, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from relgraph.answers import Verdict
    from relgraph.rewrites import Atom, Edge, Value

__all__ = ["TraceNode", "TracedCaveat", "trace"]

_CHILDREN_MAX: Final = 100
_GRANTED: Final = (YES, YES)
_NAMED: Final = ("relation", "permission")


@dataclass(frozen=True, slots=True)
class TracedCaveat:
    """What a tuple's caveat is worth: UNDECIDED where it could not be evaluated. `context` is what it was given."""

    name: str
    expression: str
    verdict: Verdict
    context: Context
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TraceNode:
    """A check that was looked at, with its verdict; `children` are indexes of the nodes below it.

    Without children, YES says that a tuple names the subject itself, or that the subject is the very name. `caveat` is
    that tuple's. `more` says that more was looked at than is told. Before `valid_until` the verdict stays so at this
    revision; None: at any time.
    """

    resource: Object
    name: str
    permission: bool
    subject: Subject
    verdict: Verdict
    children: tuple[int, ...] = ()
    caveat: TracedCaveat | None = None
    more: bool = False
    valid_until: datetime | None = None


def trace(walk: Walk, resource: Object, name: str, nodes_max: int) -> tuple[TraceNode, ...]:
    """Return the nodes of `resource#name`, node 0 first and each one once, however many lead to it.

    The name was checked before. `walk` has not searched: what is found by a search leaves no nodes.
    """
    root = walk.scope.member(walk.scope.number(resource), name)
    if root is None:
        permission = name in walk.scope.program.schema.definition(resource.type).permissions
        verdict, _ = check(walk, resource, name)
        return (TraceNode(resource, name, permission, walk.scope.subject, verdict),)
    walk.value(root)
    return _Tracer(walk, nodes_max).told(root)


class _Tracer:
    """Tells a trace, breadth first: what is nearest to the question is told before what is far below."""

    def __init__(self, walk: Walk, nodes_max: int) -> None:
        self._walk = walk
        self._scope = walk.scope
        self._nodes_max = nodes_max
        self._nodes: list[TraceNode] = []
        self._below: list[Atom | None] = []
        self._numbers: dict[Atom, int] = {}
        self._walks: dict[Subject, Walk] = {walk.scope.subject: walk}

    def told(self, root: Atom) -> tuple[TraceNode, ...]:
        self._number(root)
        for number, atom in enumerate(self._below):
            self._scope.budget.tick()
            if atom is not None:
                self._fill(number, atom)
        return tuple(self._nodes)

    def _fill(self, number: int, atom: Atom) -> None:
        """Tell what is below a node: of each operand the tuple, unless it is the node itself, and the name."""
        found: list[tuple[bool, Term, int]] = []
        caveat = None
        own = self._walk.values[atom]
        for term in self._operands(atom):
            self._scope.budget.tick()
            edge, below = term
            if edge is not None and self._is_own(edge, atom):
                caveat, edge = self._caveat(edge) or caveat, None
            if below is not None and (below.formula.label not in _NAMED or below not in self._walk.values):
                below = None
            if edge is not None or below is not None:
                size = (edge is not None) + (below is not None)
                found.append((self._value(term) == own, Term(edge, below), size))
        room = min(_CHILDREN_MAX, self._nodes_max - len(self._nodes))
        more = sum(size for _, _, size in found) > room
        if more:
            # What the answer is like is what it was found by.
            found.sort(key=lambda each: not each[0])
        children: list[int] = []
        for _, (edge, below), size in found:
            if len(children) + size > room:
                break
            if edge is not None:
                children.append(self._add(self._tuple(edge), None))
            if below is not None:
                children.append(self._number(below))
        self._nodes[number] = replace(self._nodes[number], children=tuple(children), caveat=caveat, more=more)

    def _operands(self, atom: Atom) -> Iterator[Term]:
        """Yield what was read of a name: tuples and names, those of the expressions within it included."""
        agenda = [iter(self._walk.equations[atom].terms)]
        while agenda:
            term = next(agenda[-1], None)
            if term is None:
                agenda.pop()
                continue
            below = term.atom
            if term.edge is not None or below is None or below.formula.label in _NAMED:
                yield term
            elif below in self._walk.equations:
                agenda.append(iter(self._walk.equations[below].terms))

    def _value(self, term: Term) -> Value:
        condition = _GRANTED if term.edge is None else self._walk.conditions.value(term.edge)
        return condition if term.atom is None else weaker(condition, self._walk.values.get(term.atom, REFUSED))

    def _number(self, atom: Atom) -> int:
        number = self._numbers.get(atom)
        if number is not None:
            return number
        until = self._walk.valid_until(atom)
        node = TraceNode(
            self._scope.object(atom.object),
            # The text of a permission goes on with its expression.
            atom.formula.text().partition(" ")[0],
            atom.formula.label == "permission",
            self._scope.subject,
            verdict_of(self._walk.values[atom]),
            valid_until=None if until is None else moment(until),
        )
        self._numbers[atom] = self._add(node, atom)
        return self._numbers[atom]

    def _add(self, node: TraceNode, atom: Atom | None) -> int:
        self._nodes.append(node)
        self._below.append(atom)
        return len(self._nodes) - 1

    def _is_own(self, edge: Edge, atom: Atom) -> bool:
        """Return whether the tuple says no more than the node: this object, this name and this subject."""
        scope = self._scope
        subject = edge.subject, edge.subject_relation
        return (
            atom.formula.label == "relation"
            and edge.resource == atom.object
            and subject == (scope.subject_number, scope.subject_relation)
        )

    def _tuple(self, edge: Edge) -> TraceNode:
        fact = self._scope.tuple(edge)
        verdict = verdict_of(self._walk.conditions.value(edge))
        asked = WILDCARD not in (fact.resource.id, fact.subject.id)
        if asked and self._walk.conditions.value(edge) != _GRANTED:
            # Another tuple, or a userset, may say more of the same subject.
            if fact.subject not in self._walks:
                scope = SubjectScope(self._scope.world, fact.subject)
                self._walks[fact.subject] = Walk(scope, self._walk.conditions)
            verdict, _ = check(self._walks[fact.subject], fact.resource, fact.relation)
        return TraceNode(
            fact.resource,
            fact.relation,
            permission=False,
            subject=fact.subject,
            verdict=verdict,
            caveat=self._caveat(edge),
            valid_until=fact.expires_at,
        )

    def _caveat(self, edge: Edge) -> TracedCaveat | None:
        conditions = self._walk.conditions
        if not edge.caveat or not isinstance(conditions, Caveats):
            return None
        caveat = self._scope.program.schema.caveats[self._scope.reader.name(edge.caveat)]
        given = {**self._scope.world.context, **edge.context}
        return TracedCaveat(
            caveat.name,
            caveat.expression,
            verdict_of(conditions.value(edge)),
            Context.of({name: value for name, value in given.items() if name in caveat.parameters}),
            tuple(sorted(conditions.missing(edge))),
        )

"""Reach: whether a subject is in an additive name, by a breadth-first search over the tuples.

The walk's short way for names that are unions all the way down (`plans`): no open questions, no components, nothing to
solve. A cycle is an object met twice.

Rule 1: an answer does not depend on the order of the search. YES is a path of living tuples, whichever is found; NO is
the whole of what can be reached, without one.
Rule 2: only what is final is kept: the objects on a path that was found, and everything that a search without success
has met. Objects that a successful search merely met are not judged.
Rule 3: conditions are not understood here. The first tuple whose condition is neither met nor failed raises
`NotAdditive`, and the walk goes the long way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relgraph.rewrites import Atom, Term
from relgraph.rewrites.verdict import REFUSED, YES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.engine.conditions import Conditions
    from relgraph.engine.plans import Plan, Reading, Trail
    from relgraph.engine.scope import SubjectScope
    from relgraph.rewrites import Edge

__all__ = ["NEVER", "NotAdditive", "Reach"]

NEVER = 1 << 62
"""An instant after every other."""

_GRANTED = (YES, YES)

# A node is an object's number and its plan's in one int.
_SHIFT = 24
_MASK = (1 << _SHIFT) - 1


class NotAdditive(Exception):
    """A condition stands in the way."""


class _Hop(NamedTuple):
    """How an object holds: by `edge` (none for identity) after `trail`, and by what is `below` (-1 for nothing)."""

    edge: Edge | None
    trail: Trail
    below: int
    until: int


_Onward = tuple[int, "Edge | None", "Trail"]
"""A node that another one leads to, the tuple that leads there after the names of the trail; none to `type:*`."""


class Reach:
    """The searches of one walk. What one has found out serves the next."""

    def __init__(self, scope: SubjectScope, conditions: Conditions | None) -> None:
        self._scope = scope
        self._conditions = conditions
        self._plans = scope.program.plans
        self._granted: dict[int, _Hop] = {}
        self._refuted: set[int] = set()
        # What nodes lead to that a successful search has read, for the next search.
        self._read: dict[int, list[_Onward]] = {}

    def until(self, object_: int, plan: Plan) -> int | None:
        """Return the instant up to which the subject holds the plan's name on the object; None where it does not.

        At that instant the first tuple of the path found expires; `NEVER` where none does. Raises NotAdditive.
        """
        root = (object_ << _SHIFT) + plan.number
        hop = self._granted.get(root) or (None if root in self._refuted else self._search(root))
        return None if hop is None else hop.until

    def _search(self, root: int) -> _Hop | None:
        granted, refuted = self._granted, self._refuted
        onward: dict[int, list[_Onward]] = {}
        above = {root: root}
        for node in (agenda := [root]):
            found = self._read.get(node)
            if found is None:
                hop, found = self._look(node)
                if hop is not None:
                    self._read.update(onward)
                    return self._hold(node, hop, above)
            onward[node] = found
            for step in found:
                below = step[0]
                if below in above or below in refuted:
                    continue
                above[below] = node
                if below in granted:
                    self._read.update(onward)
                    return self._hold(below, granted[below], above)
                agenda.append(below)
        refuted.update(above)
        return None

    def _hold(self, node: int, hop: _Hop, above: dict[int, int]) -> _Hop:
        """Keep that every node on the path down to `node` holds; return how the first does."""
        self._granted[node] = hop
        while (upper := above[node]) != node:
            edge, trail = next((edge, trail) for below, edge, trail in self._read[upper] if below == node)
            until = hop.until if edge is None or edge.expires is None else min(hop.until, edge.expires)
            hop = self._granted[upper] = _Hop(edge, trail, node, until)
            node = upper
        return hop

    def _look(self, node: int) -> tuple[_Hop | None, list[_Onward]]:
        """Return how the subject holds at this node itself, or else where it leads.

        It holds there by identity, by a tuple of its own, or by a wildcard.
        """
        scope = self._scope
        scope.budget.node()
        object_, plan, universal = self._parts(node)
        onward: list[_Onward] = []
        if not universal:
            if object_ == scope.subject_number and scope.subject.relation in plan.names:
                return _Hop(None, plan.names[scope.subject.relation], -1, NEVER), onward
            star = scope.star(plan.type)
            if star is not None:
                onward.append(((star << _SHIFT) + plan.number + 1, None, ()))
            if object_ < 0:
                return None, onward
        for reading in plan.grants:
            for edge in scope.own_edges(object_, reading.relation, reading.kinds, universal=universal):
                if self._counts(edge):
                    return _Hop(edge, reading.trail, -1, NEVER if edge.expires is None else edge.expires), onward
        for reading in plan.grants:
            if reading.leads_on:
                edges = scope.userset_edges(object_, reading.relation, reading.kinds, universal=universal)
                self._follow(reading, edges, onward)
        for reading in plan.arrows:
            edges = scope.all_edges(object_, reading.relation, reading.kinds, universal=universal)
            self._follow(reading, edges, onward)
        return None, onward

    def _follow(self, reading: Reading, edges: list[Edge], onward: list[_Onward]) -> None:
        """Add where tuples of one reading lead."""
        type_of, known, trail = self._scope.reader.type_of, reading.onward, reading.trail
        for edge in edges:
            subject = edge.subject
            kind = (type_of(subject), edge.subject_relation)
            number = known[kind] if kind in known else self._plans.onward(reading, kind)
            if number is not None and self._counts(edge):
                onward.append(((subject << _SHIFT) + number, edge, trail))

    def _parts(self, node: int) -> tuple[int, Plan, bool]:
        """Return a node's object, its plan, and whether it stands for the universal tuples alone."""
        index = node & _MASK
        return node >> _SHIFT, self._plans.made[index >> 1], bool(index & 1)

    def _counts(self, edge: Edge) -> bool:
        """Return whether a tuple's condition is met. Raises NotAdditive where that is not plain."""
        if self._conditions is None:
            return True
        value = self._conditions.value(edge)
        if value not in (_GRANTED, REFUSED):
            raise NotAdditive
        return value == _GRANTED

    def path(self, atom: Atom) -> Iterator[tuple[Atom, Term]]:
        """Yield, for each atom on the path found for `atom`, the one operand that it holds by."""
        plan = self._plans.of(atom.formula)
        node = None if plan is None else (atom.object << _SHIFT) + plan.number
        while node is not None and (hop := self._granted.get(node)) is not None:
            if hop.below != -1 and hop.edge is None:
                # Only a name's universal tuples are below it without a tuple that leads there.
                hop = self._granted[hop.below]
            for member in hop.trail:
                deeper = Atom(atom.object, member)
                yield atom, Term(None, deeper)
                atom = deeper
            if hop.below == -1:
                yield atom, Term(hop.edge, None)
                return
            node = hop.below
            object_, below, _ = self._parts(node)
            deeper = Atom(object_, below.member)
            yield atom, Term(hop.edge, deeper)
            atom = deeper

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

from typing import TYPE_CHECKING

from relgraph.rewrites import Atom, Term
from relgraph.rewrites.verdict import REFUSED, YES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.engine.conditions import Conditions
    from relgraph.engine.plans import Plan, Plans, Reading
    from relgraph.engine.scope import SubjectScope
    from relgraph.rewrites import Edge

__all__ = ["NEVER", "NotAdditive", "Reach"]

NEVER = 1 << 62
"""An instant after every other."""

_GRANTED = (YES, YES)

# A node is an object's number and its plan's in one int.
_SHIFT = 24
_MASK = (1 << _SHIFT) - 1
# No plan's number.
_UNKNOWN = -1


class NotAdditive(Exception):
    """A condition stands in the way."""


_Onward = dict[int, "Edge | None"]
"""The nodes that one leads to, each with the first tuple that leads there.

Without a tuple, a node stands for the universal tuples of the same object.
"""

# Below a node that the subject holds by identity, or by a tuple of its own or a wildcard's.
_NOWHERE = -1


class Reach:
    """The searches of one walk. What one has found out serves the next."""

    def __init__(self, scope: SubjectScope, plans: Plans, conditions: Conditions | None) -> None:
        self._scope = scope
        self._conditions = conditions
        self._plans = plans
        # The node that each one that holds does so by; where that is none, the tuple that grants it, None for identity.
        self._granted: dict[int, int] = {}
        self._grants: dict[int, Edge | None] = {}
        # When the first tuple on a node's path expires, where one does.
        self._untils: dict[int, int] = {}
        self._refuted: set[int] = set()
        # What nodes lead to that a successful search has read, for the next search.
        self._read: dict[int, _Onward] = {}

    def until(self, object_: int, plan: Plan) -> int | None:
        """Return the instant up to which the subject holds the plan's name on the object; None where it does not.

        At that instant the first tuple of the path found expires; `NEVER` where none does. Raises NotAdditive.
        """
        root = (object_ << _SHIFT) + plan.number
        if root not in self._granted and (root in self._refuted or not self._holds(root)):
            return None
        return self._untils.get(root, NEVER)

    def _holds(self, root: int) -> bool:
        """Find out about one node; most lead nowhere, and need no search."""
        if root in self._read:
            return self._search(root)
        self._scope.budget.node()
        onward: _Onward = {}
        if self._look(root, onward):
            self._hold(root, {root: root}, {})
            return True
        if onward:
            self._read[root] = onward
            return self._search(root)
        self._refuted.add(root)
        return False

    def _search(self, root: int) -> bool:
        granted, refuted, known = self._granted, self._refuted, self._read
        read: dict[int, _Onward] = {}
        above = {root: root}
        look, budget = self._look, self._scope.budget
        for node in (agenda := [root]):
            # Read before or not: a search over what others have read is work as well.
            budget.node()
            onward = known.get(node)
            if onward is None:
                onward = {}
                if look(node, onward):
                    self._hold(node, above, read)
                    return True
            else:
                budget.tuples(len(onward))
            read[node] = onward
            for below in onward:
                if below in above or below in refuted:
                    continue
                above[below] = node
                if below in granted:
                    self._hold(below, above, read)
                    return True
                agenda.append(below)
        refuted.update(above)
        return False

    def _hold(self, node: int, above: dict[int, int], read: dict[int, _Onward]) -> None:
        """Keep that every node on the path down to `node`, which is granted, holds; and what the search has read."""
        granted, untils = self._granted, self._untils
        edge = self._grants.get(node)
        until = untils.get(node, NEVER)
        if edge is not None and edge.expires is not None and edge.expires < until:
            until = untils[node] = edge.expires
        while (upper := above[node]) != node:
            # The first step that leads there: the search has passed over any other.
            edge = read[upper][node]
            granted[upper] = node
            if edge is not None and edge.expires is not None and edge.expires < until:
                until = edge.expires
            if until != NEVER:
                untils[upper] = until
            node = upper
        self._read.update(read)

    def _look(self, node: int, onward: _Onward) -> bool:
        """Return whether the subject holds at this node itself; where it does not, add where it leads.

        It holds there by identity, by a tuple of its own, or by a wildcard.
        """
        scope = self._scope
        index = node & _MASK
        object_, plan, universal = node >> _SHIFT, self._plans.made[index >> 1], index & 1 == 1
        if not universal:
            if object_ == scope.subject_number and scope.subject.relation in plan.names:
                return self._grant(node, None)
            star = scope.star(plan.type)
            if star is not None:
                onward[(star << _SHIFT) + plan.number + 1] = None
            if object_ < 0:
                return False
        for relation, _, kinds, _, _ in plan.grants:
            for edge in scope.own_edges(object_, relation, kinds, universal=universal):
                if self._counts(edge):
                    return self._grant(node, edge)
        reader = scope.reader
        for reading in plan.grants:
            if reading.leads_on and (edges := reader.usersets(object_, reading.relation)):
                self._follow(reading, edges, onward, universal=universal)
        for reading in plan.arrows:
            if edges := reader.edges(object_, reading.relation):
                self._follow(reading, edges, onward, universal=universal)
        return False

    def _grant(self, node: int, edge: Edge | None) -> bool:
        self._granted[node], self._grants[node] = _NOWHERE, edge
        return True

    def _follow(self, reading: Reading, edges: Sequence[Edge], onward: _Onward, *, universal: bool) -> None:
        """Add where the living tuples of one reading lead."""
        known, conditions = reading.onward, self._conditions
        for edge in self._scope.living(edges, reading.kinds, universal=universal):
            number = known.get(edge.kind, _UNKNOWN)
            if number == _UNKNOWN:
                number = self._plans.onward(reading, edge.kind)
            if number is not None and (conditions is None or self._counts(edge)):
                onward.setdefault((edge.subject << _SHIFT) + number, edge)

    def _counts(self, edge: Edge) -> bool:
        """Return whether a tuple's condition is met. Raises NotAdditive where that is not plain."""
        if self._conditions is None:
            return True
        value = self._conditions.value(edge)
        if value not in (_GRANTED, REFUSED):
            raise NotAdditive
        return value == _GRANTED

    def operand(self, atom: Atom) -> Term | None:
        """Return the one operand that an atom holds by, on the path found for it; None where none was."""
        plan = self._plans.of(atom.formula)
        if plan is None:
            return None
        node = (atom.object << _SHIFT) + plan.number
        below = self._granted.get(node)
        if below is None:
            return None
        if below != _NOWHERE and self._read[node][below] is None:
            # Only a name's universal tuples are below it without a tuple that leads there.
            node, below = below, self._granted[below]
        if below == _NOWHERE:
            return Term(self._grants[node], None)
        return Term(self._read[node][below], Atom(below >> _SHIFT, self._plans.made[(below & _MASK) >> 1].member))

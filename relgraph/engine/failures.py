"""Which caveat an UNDECIDED answer hangs on: the first, by its tuple, that has no value and leaves the answer open.

Rule 1: looked for through open operands only, every sub-expression being an operand of its own, so that what is told
does not depend on how the answer was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relgraph.engine.conditions import Caveats
from relgraph.engine.scope import SubjectScope
from relgraph.engine.walk import Walk
from relgraph.rewrites.verdict import YES, weaker

if TYPE_CHECKING:
    from relgraph.engine.conditions import Failure
    from relgraph.rewrites import Atom
    from relgraph.tuples import Object, RelationTuple

__all__ = ["Broken", "first_failure"]

_GRANTED = (YES, YES)


class Broken(NamedTuple):
    """A tuple, and why its caveat has no value."""

    fact: RelationTuple
    failure: Failure


def first_failure(walk: Walk, resource: Object, name: str) -> Broken | None:
    """Return the first tuple whose caveat leaves `resource#name` open; None where the rules themselves do.

    `walk` has answered it with UNDECIDED.
    """
    conditions = walk.conditions
    if not isinstance(conditions, Caveats):
        return None
    walk.scope.budget.renew()
    scope = SubjectScope(walk.scope.world, walk.scope.subject, flattens=False)
    again = Walk(scope, conditions, searches=False)
    root = scope.member(scope.number(resource), name)
    if root is None:
        return None
    again.value(root)
    found = _open_failures(again, conditions, root)
    # The request's own fault comes first: only the caller can mend it.
    return min(found, key=lambda each: (each.failure.refused is None, each.fact), default=None)


def _open_failures(walk: Walk, conditions: Caveats, root: Atom) -> list[Broken]:
    found = []
    seen = {root}
    for atom in (agenda := [root]):
        walk.scope.budget.tick()
        for term in walk.equations[atom].terms:
            condition = _GRANTED if term.edge is None else conditions.value(term.edge)
            below = _GRANTED if term.atom is None else walk.values.get(term.atom, _GRANTED)
            low, high = weaker(condition, below)
            if low == high:
                continue
            failure = None if term.edge is None else conditions.failure(term.edge)
            if failure is not None and term.edge is not None:
                found.append(Broken(walk.scope.tuple(term.edge), failure))
            if term.atom is not None and below[0] != below[1] and term.atom not in seen:
                seen.add(term.atom)
                agenda.append(term.atom)
    return found

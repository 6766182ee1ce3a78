"""Sufficient sets of tuples where exclusions entangle: sets that make an answer hold whatever else is added back.

A set is sufficient when every set between it and all tuples gives the answer. Tuples outside it are unknown, (NO, YES)
in the question's own equations: if the value is decided nevertheless, it holds for every choice, since the well-founded
model only gets more definite with its inputs. If it is not, one unknown tuple that the value hangs on is tried both
ways. Exact, exponential at worst, and bounded by the caller's limit on work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.ground import edge_key
from relgraph.engine.solve import solve
from relgraph.errors import LimitExceeded
from relgraph.rewrites.verdict import OPEN, REFUSED, YES, Combine, negate, stronger, weaker

if TYPE_CHECKING:
    from relgraph.engine.ground import EdgeKey, Ground
    from relgraph.engine.walk import Walk
    from relgraph.rewrites import Atom, Edge, Value

__all__ = ["Sufficiency", "values_of"]

_GRANTED = (YES, YES)

_Keys = frozenset["EdgeKey"]
_Values = dict["Atom", "Value"]


class _Chosen:
    """Conditions in a world where some tuples are known to be there, some may be, and the others are not."""

    def __init__(self, walk: Walk, present: _Keys, unknown: _Keys) -> None:
        self._walk = walk
        self._present = present
        self._unknown = unknown

    def presence(self, edge: Edge, /) -> Value:
        """Return whether the tuple is there, as far as that is known."""
        key = edge_key(edge)
        if key in self._present:
            return self._walk.conditions.presence(edge)
        return weaker(OPEN, self._walk.conditions.presence(edge)) if key in self._unknown else REFUSED

    def value(self, edge: Edge, /) -> Value:
        """Return the condition's value where the tuple is there, and what is known where it may not be."""
        return weaker(self.presence(edge), self._walk.conditions.value(edge))

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that the condition lacks."""
        return self._walk.conditions.missing(edge)


def _solved(ground: Ground, chosen: _Chosen) -> _Values:
    found: _Values = {}
    solve(list(ground.equations), ground.equations, found, chosen, ground.walk.scope.budget)
    return found


def values_of(ground: Ground, present: _Keys) -> _Values:
    """Return the value of every atom in the world that has only the tuples of `present`."""
    return _solved(ground, _Chosen(ground.walk, present, frozenset()))


class Sufficiency:
    """Judges sets of tuples for one answer. `work_max` bounds the equations solved and the choices looked at."""

    def __init__(self, ground: Ground, level: int, work_max: int) -> None:
        self._ground = ground
        self._level = level
        self._work = work_max
        self._all = frozenset(map(edge_key, ground.edges(ground.equations)))

    def _spend(self, work: int) -> None:
        self._ground.walk.scope.budget.tick()
        self._work -= work
        if self._work < 0:
            raise LimitExceeded(
                "telling which tuples suffice takes more work than allowed; raise the limit `ways_work_max`",
                {"limit": "ways_work_max"},
            )

    def _values(self, chosen: _Chosen) -> _Values:
        self._spend(len(self._ground.equations))
        return _solved(self._ground, chosen)

    def sufficient(self, kept: _Keys) -> bool:
        """Return whether every set between `kept` and all tuples gives the answer. Raises LimitExceeded."""
        root, walk = self._ground.root, self._ground.walk
        if self._values(_Chosen(walk, kept, frozenset()))[root][0] < self._level:
            return False
        agenda = [(kept, self._all - kept)]
        while agenda:
            present, unknown = agenda.pop()
            chosen = _Chosen(walk, present, unknown)
            values = self._values(chosen)
            low, high = values[root]
            if low == high:
                if low < self._level:
                    return False
                continue
            key = None if high < self._level else self._hanging_on(values, chosen, unknown)
            if key is None:
                return False
            agenda.append((present | {key}, unknown - {key}))
            agenda.append((present, unknown - {key}))
        return True

    def _hanging_on(self, values: _Values, chosen: _Chosen, unknown: _Keys) -> EdgeKey | None:
        """Return an unknown tuple that leaves the root open through open operands alone, None when there is none."""
        seen = {self._ground.root}
        for atom in (agenda := [self._ground.root]):
            combine, terms = self._ground.equations[atom]
            each = combine is Combine.EACH
            for term in terms:
                value = _GRANTED if term.edge is None else chosen.value(term.edge)
                if term.atom is not None:
                    value = weaker(value, values[term.atom])
                if each and term.edge is not None:
                    value = stronger(negate(chosen.presence(term.edge)), value)
                # Of `.all`, an unknown tuple may be the only one there is, whatever it asks for.
                hangs = each and term.edge is not None and edge_key(term.edge) in unknown
                if value[0] == value[1] and not hangs:
                    continue
                if term.edge is not None and edge_key(term.edge) in unknown:
                    return edge_key(term.edge)
                if term.atom is not None and term.atom not in seen:
                    seen.add(term.atom)
                    agenda.append(term.atom)
        return None

    def _shrunk(self, kept: _Keys) -> _Keys:
        for key in sorted(kept):
            if self.sufficient(kept - {key}):
                kept -= {key}
        return kept

    def minimal_sets(self, most: int) -> tuple[list[_Keys], bool]:
        """Return the minimal sufficient sets, at most `most`, and whether there may be more (Reiter 1987's tree).

        Any further minimal set lacks at least one tuple of each found one, so leaving out each in turn finds all.
        """
        found: list[_Keys] = []
        # What is left out, and what a branch before this one leaves out: so no choice comes up twice.
        agenda = [(frozenset["EdgeKey"](), frozenset["EdgeKey"]())]
        try:
            while agenda:
                without, kept = agenda.pop()
                # Counted though nothing is solved for most of them: there are as many as there are choices.
                self._spend(1)
                known = next((each for each in found if not each & without), None)
                if known is None:
                    if not self.sufficient(self._all - without):
                        continue
                    if len(found) == most:
                        return found, True
                    known = self._shrunk(self._all - without)
                    found.append(known)
                for key in sorted(known - kept):
                    agenda.append((without | {key}, kept))
                    kept |= {key}
        except LimitExceeded:
            return found, True
        return found, False

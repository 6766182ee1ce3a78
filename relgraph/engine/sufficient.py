"""Sufficient sets of tuples where exclusions entangle: sets that make an answer hold whatever else is added back.

A set is sufficient when every set between it and all tuples gives the answer. Tuples outside it are unknown, (NO, YES)
in the walk's own equations: if the value is decided nevertheless, it holds for every choice, since the well-founded
model only gets more definite with its inputs. If it is not, one unknown tuple is tried both ways. Exact, exponential
at worst, and bounded by the caller's limit on work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.proofs import edge_key
from relgraph.engine.solve import solve
from relgraph.errors import LimitExceeded
from relgraph.rewrites.verdict import NO, REFUSED

if TYPE_CHECKING:
    from relgraph.engine.proofs import EdgeKey
    from relgraph.engine.walk import Walk
    from relgraph.rewrites import Atom, Edge, Value

__all__ = ["Sufficiency"]

_Keys = frozenset["EdgeKey"]


class _Chosen:
    """Conditions in a world where some tuples are known to be there, some may be, and the others are not."""

    def __init__(self, walk: Walk, present: _Keys, unknown: _Keys) -> None:
        self._walk = walk
        self._present = present
        self._unknown = unknown

    def value(self, edge: Edge, /) -> Value:
        """Return the condition's value where the tuple is there, and what is known where it may not be."""
        key = edge_key(edge)
        value = self._walk.conditions.value(edge)
        if key in self._present:
            return value
        return (NO, value[1]) if key in self._unknown else REFUSED

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that the condition lacks."""
        return self._walk.conditions.missing(edge)


class Sufficiency:
    """Judges sets of tuples for one answer. `work_max` bounds the equations solved; 0 is for `values` alone."""

    def __init__(self, walk: Walk, root: Atom, atoms: list[Atom], level: int, work_max: int) -> None:
        self._walk = walk
        self._root = root
        self._atoms = atoms
        self._level = level
        self._work = work_max
        self._all = frozenset(
            edge_key(term.edge) for atom in atoms for term in walk.equations[atom].terms if term.edge is not None
        )

    def values(self, present: _Keys, *, unknown: bool, absent: _Keys = frozenset()) -> dict[Atom, Value]:
        """Return the value of every atom when `present` is there and the rest is unknown, or not there."""
        maybe = self._all - present - absent if unknown else frozenset()
        found: dict[Atom, Value] = {}
        chosen = _Chosen(self._walk, present, maybe)
        solve(self._atoms, self._walk.equations, found, chosen, self._walk.scope.budget)
        return found

    def _value(self, present: _Keys, absent: _Keys) -> Value:
        self._work -= len(self._atoms)
        if self._work < 0:
            raise LimitExceeded(
                "telling which tuples suffice takes more work than allowed; raise the limit `ways_work_max`",
                {"limit": "ways_work_max"},
            )
        return self.values(present, unknown=True, absent=absent)[self._root]

    def sufficient(self, kept: _Keys) -> bool:
        """Return whether every set between `kept` and all tuples gives the answer. Raises LimitExceeded."""
        if self._value(kept, self._all - kept)[0] < self._level:
            return False
        agenda = [(kept, frozenset["EdgeKey"]())]
        while agenda:
            present, absent = agenda.pop()
            low, high = self._value(present, absent)
            if low == high:
                if low < self._level:
                    return False
                continue
            open_ = sorted(self._all - present - absent)
            if not open_ or high < self._level:
                return False
            agenda.append((present | {open_[0]}, absent))
            agenda.append((present, absent | {open_[0]}))
        return True

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
        agenda = [frozenset["EdgeKey"]()]
        seen = set(agenda)
        try:
            for without in agenda:
                known = next((each for each in found if not each & without), None)
                if known is None:
                    if not self.sufficient(self._all - without):
                        continue
                    if len(found) == most:
                        return found, True
                    known = self._shrunk(self._all - without)
                    found.append(known)
                for key in sorted(known):
                    wider = without | {key}
                    if wider not in seen:
                        seen.add(wider)
                        agenda.append(wider)
        except LimitExceeded:
            return found, True
        return found, False

"""The ground of an answer: the equations below one question, cut down to what could ever matter to it.

An operand that cannot hold whichever tuples are taken away (its possible level, exclusions disregarded, is NO) can be
left out of a union, and an atom that cannot hold needs no operands at all: neither changes any answer over any subset
of the tuples. What is left is small, however large the groups are that the subject is not in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.solve import Equation
from relgraph.rewrites.verdict import NO, YES, Combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.engine.walk import Walk
    from relgraph.rewrites import Atom, Edge, Term

__all__ = ["EdgeKey", "Ground", "edge_key", "entangles"]

EdgeKey = tuple[int, int, int, int, int]
"""A tuple by its numbers: resource, relation, subject, subject relation, and which of those the request brought."""

_NOTHING = Equation(Combine.ANY, ())


def edge_key(edge: Edge) -> EdgeKey:
    """Return what tells one tuple from another within one request."""
    return edge.resource, edge.relation, edge.subject, edge.subject_relation, edge.contextual


def entangles(equation: Equation) -> bool:
    """Return whether a tuple more could make it weaker: an exclusion, or a `.all` over several tuples."""
    return equation.combine is Combine.MINUS or (equation.combine is Combine.EACH and len(equation.terms) > 1)


class Ground:
    """The equations below `root`, as far as `walk` has read them: all of them if it is exhaustive."""

    def __init__(self, walk: Walk, root: Atom) -> None:
        self.walk = walk
        self.root = root
        self.possible = self._possible(self._below(root))
        self.equations: dict[Atom, Equation] = {}
        self._cut(root)

    @property
    def entangled(self) -> bool:
        """Whether any equation is left that a tuple more could make weaker."""
        return any(map(entangles, self.equations.values()))

    def edges(self, atoms: Iterable[Atom]) -> Iterator[Edge]:
        """Yield the tuples that the equations of `atoms` read, some more than once."""
        return (term.edge for atom in atoms for term in self.equations[atom].terms if term.edge is not None)

    def below(self, *roots: Atom, excluded_too: bool = True) -> list[Atom]:
        """Return `roots` and every atom below them, without entering excluded sides unless `excluded_too`."""
        seen = dict.fromkeys(roots)
        for atom in (agenda := list(seen)):
            self.walk.scope.budget.tick()
            combine, terms = self.equations[atom]
            for term in terms[:1] if combine is Combine.MINUS and not excluded_too else terms:
                if term.atom is not None and term.atom not in seen:
                    seen[term.atom] = None
                    agenda.append(term.atom)
        return list(seen)

    def _below(self, root: Atom) -> list[Atom]:
        """Return every atom that the walk met below `root`, itself first."""
        equations = self.walk.equations
        seen = {root: None}
        for atom in (agenda := [root]):
            self.walk.scope.budget.tick()
            for term in equations[atom].terms:
                if term.atom is not None and term.atom not in seen and term.atom in equations:
                    seen[term.atom] = None
                    agenda.append(term.atom)
        return list(seen)

    def _possible(self, atoms: list[Atom]) -> dict[Atom, int]:
        """Return a level that each atom never exceeds, whichever tuples are taken away: exclusions are disregarded."""
        levels = dict.fromkeys(atoms, NO)
        readers: dict[Atom, list[tuple[Atom, Term]]] = {}
        agenda = []
        for atom in atoms:
            self.walk.scope.budget.tick()
            for term in self._granting(atom):
                if term.atom is not None:
                    readers.setdefault(term.atom, []).append((atom, term))
            levels[atom] = self._joined(atom, levels)
            if levels[atom] != NO:
                agenda.append(atom)
        while agenda:
            for atom, term in readers.get(agenda.pop(), ()):
                self.walk.scope.budget.tick()
                # One able operand is enough: a union of 100,000 members is not read again for each of them.
                level = self._level(term, levels) if self._any(atom) else self._joined(atom, levels)
                if level > levels[atom]:
                    levels[atom] = level
                    agenda.append(atom)
        return levels

    def _joined(self, atom: Atom, levels: dict[Atom, int]) -> int:
        found = [self._level(term, levels) for term in self._granting(atom)]
        return NO if not found else max(found) if self._any(atom) else min(found)

    def _granting(self, atom: Atom) -> Iterable[Term]:
        combine, terms = self.walk.equations[atom]
        return terms[:1] if combine is Combine.MINUS else terms

    def _any(self, atom: Atom) -> bool:
        # Of `.all`, one tuple may be left alone when the others are taken away.
        return self.walk.equations[atom].combine in (Combine.ANY, Combine.EACH)

    def _level(self, term: Term, levels: dict[Atom, int]) -> int:
        condition = YES if term.edge is None else self.walk.conditions.value(term.edge)[1]
        return min(condition, YES if term.atom is None else levels.get(term.atom, NO))

    def _cut(self, root: Atom) -> None:
        agenda = [root]
        while agenda:
            atom = agenda.pop()
            if atom in self.equations:
                continue
            if self.possible.get(atom, NO) == NO:
                self.equations[atom] = _NOTHING
                continue
            equation = self.walk.equations[atom]
            if equation.combine is Combine.ANY:
                able = [term for term in equation.terms if self._level(term, self.possible) != NO]
                equation = Equation(Combine.ANY, able)
            self.equations[atom] = equation
            agenda.extend(term.atom for term in equation.terms if term.atom is not None)

"""The well-founded model of one component of equations that lean on each other.

Γ(I) is the least fixed point, in NO < CONDITIONAL < YES, of all equations with every NOT read from I; low is the least
fixed point of Γ∘Γ and high is Γ(low) (Van Gelder, Ross and Schlipf 1991, alternating fixpoint; here over three levels).
Equations outside the component are final: their low end counts toward low and their high end toward high, and the
other way round below a NOT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relgraph.engine.parts import parts
from relgraph.rewrites.verdict import NO, REFUSED, YES, Combine, negate, stronger, weaker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from relgraph.engine.budget import Budget
    from relgraph.engine.conditions import Conditions
    from relgraph.rewrites import Atom, Term, Value

__all__ = ["Equation", "solve"]

_GRANTED = (YES, YES)
_LOW, _HIGH = 0, 1


class Equation(NamedTuple):
    """An atom's operands, as far as they were read, and how they combine."""

    combine: Combine
    terms: Sequence[Term]


class _Operand(NamedTuple):
    """A constant AND a member of the component (-1: the constant alone); at least the floor."""

    constant: Value
    member: int
    floor: Value = REFUSED


def solve(
    component: Sequence[Atom],
    equations: Mapping[Atom, Equation],
    values: dict[Atom, Value],
    conditions: Conditions,
    budget: Budget,
) -> None:
    """Put the final value of every atom of `component` into `values`; all others it leans on are there already.

    What is settled no longer ties together what leans on it: once some atoms are, the others are solved part by part.
    Round a ring of exclusions with one way out, where each atom settles the next, that is one round and not one each.
    """
    agenda = [component]
    while agenda:
        some = agenda.pop()
        system = _System(some, equations, values, conditions, budget)
        solved = system.solution()
        values.update((some[number], value) for number, value in solved.items())
        if len(solved) < len(some):
            found = [[some[number] for number in part] for part in parts(system.unsettled(solved))]
            agenda.extend(part for part in reversed(found) if part[0] not in values)


class _System:
    """The component's equations with everything outside them replaced by constants."""

    def __init__(
        self,
        component: Sequence[Atom],
        equations: Mapping[Atom, Equation],
        values: Mapping[Atom, Value],
        conditions: Conditions,
        budget: Budget,
    ) -> None:
        self._budget = budget
        numbers = {atom: number for number, atom in enumerate(component)}
        self._combines = [equations[atom].combine for atom in component]
        self._operands: list[list[_Operand]] = []
        self._readers: list[list[tuple[int, Value]]] = [[] for _ in component]
        self._negative = False
        for number, atom in enumerate(component):
            operands = []
            each = self._combines[number] is Combine.EACH
            exists = REFUSED
            for position, term in enumerate(equations[atom].terms):
                constant = _GRANTED if term.edge is None else conditions.value(term.edge)
                member = -1 if term.atom is None else numbers.get(term.atom, -1)
                if member == -1 and term.atom is not None and constant[1] != NO:
                    constant = weaker(constant, values[term.atom])
                floor = REFUSED
                if each and term.edge is not None:
                    # A tuple that is not there asks for nothing.
                    presence = conditions.presence(term.edge)
                    floor, exists = negate(presence), stronger(exists, presence)
                operands.append(_Operand(constant, member, floor))
                if member != -1:
                    if self._combines[number] is Combine.MINUS and position == 1:
                        self._negative = True
                    else:
                        self._readers[member].append((number, constant))
            if each:
                operands.append(_Operand(exists, -1))
            self._operands.append(operands)

    def solution(self) -> dict[int, Value]:
        """Return (low, high) of each member, or of some as soon as the two ends meet at any."""
        low = [NO] * len(self._combines)
        if not self._negative:
            low, high = self._least(_LOW, low), self._least(_HIGH, low)
            return dict(enumerate(zip(low, high, strict=True)))
        while True:
            high = self._least(_HIGH, low)
            risen = self._least(_LOW, high)
            ends = dict(enumerate(zip(risen, high, strict=True)))
            settled = {number: value for number, value in ends.items() if value[0] == value[1]}
            if settled:
                return settled
            if risen == low:
                return ends
            low = risen

    def unsettled(self, settled: Collection[int]) -> list[list[int]]:
        """Return which members each one leans on, the settled ones left out, as another round of work."""
        onward: list[list[int]] = []
        for number, operands in enumerate(self._operands):
            self._budget.node()
            below = () if number in settled else operands
            onward.append([each.member for each in below if each.member != -1 and each.member not in settled])
        return onward

    def _least(self, end: int, negated: list[int]) -> list[int]:
        """Return the least fixed point at one end, with every NOT within the component read from `negated`."""
        current = [NO] * len(self._combines)
        watched = [0] * len(self._combines)
        agenda = []
        for number in range(len(current)):
            current[number] = self._level(number, end, current, negated)
            if current[number] != NO:
                agenda.append(number)
        while agenda:
            risen = agenda.pop()
            for reader, constant in self._readers[risen]:
                self._budget.tick()
                if self._combines[reader] is Combine.ANY:
                    # One strong operand is enough: a union of 100,000 members is not read again for each of them.
                    level = min(constant[end], current[risen])
                elif self._held(reader, end, current, watched):
                    continue
                else:
                    level = self._level(reader, end, current, negated)
                if level > current[reader]:
                    current[reader] = level
                    watched[reader] = 0
                    agenda.append(reader)
        return current

    def _held(self, number: int, end: int, current: list[int], watched: list[int]) -> bool:
        """Return whether some operand of a conjunction is no stronger than it: whatever rose, it stays as it is.

        Operands before the watched one are stronger, and stay so: a `.all` of 100,000 is not read again for each.
        """
        operands = self._operands[number]
        if self._combines[number] is Combine.MINUS:
            return False
        at = watched[number]
        while at < len(operands) and _positive(operands[at], end, current) > current[number]:
            at += 1
        watched[number] = at
        return at < len(operands)

    def _level(self, number: int, end: int, current: list[int], negated: list[int]) -> int:
        operands = self._operands[number]
        combine = self._combines[number]
        if not operands:
            return NO
        if combine is Combine.MINUS:
            base, (constant, member, _) = _positive(operands[0], end, current), operands[1]
            below = constant[1 - end] if member == -1 else min(constant[1 - end], negated[member])
            return min(base, YES - below)
        levels = [_positive(operand, end, current) for operand in operands]
        return max(levels) if combine is Combine.ANY else min(levels)


def _positive(operand: _Operand, end: int, current: list[int]) -> int:
    constant, member, floor = operand
    return max(floor[end], constant[end] if member == -1 else min(constant[end], current[member]))

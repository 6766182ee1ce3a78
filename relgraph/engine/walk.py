"""The walk: the one evaluation core, for checks, best access and ways.

An answer must not depend on the order of evaluation, on a cache or on the door it came through. Why it does not:

Rule 1: every atom (a formula at an object) has one value, defined by the well-founded model over the equations of all
atoms (semantics, "Recursion"); the walk only decides which atoms it needs to look at. Every door asks this walk.
Rule 2: atoms are grouped into strongly connected components as the walk goes (Tarjan 1972, with its own stack instead
of Python's). A component is solved when everything it leans on is final, all its members together (`solve`).
Rule 3: `values` holds final values only. An atom met while still open counts as (NO, YES), from which an operator can
conclude only what holds for whatever value it will have: a YES in a union, a NO in an intersection, and so on.
Rule 4: an atom concluded early stays in its component's stack, so that what was opened below it is still solved with
everything it leans on.
Rule 5: what is a union all the way down is searched instead (`reach`). It leads to nothing but unions, so no open
atom is ever below it, and its answer is final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.conditions import Conditions, Unconditional
from relgraph.engine.reach import NEVER, NotAdditive, Reach
from relgraph.engine.solve import Equation, solve
from relgraph.rewrites.verdict import CONDITIONAL, NO, OPEN, REFUSED, YES, Combine, negate, stronger, weaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.engine.scope import SubjectScope
    from relgraph.rewrites import Atom, Term, Value

__all__ = ["Walk"]

_GRANTED = (YES, YES)
_CONDITIONAL = (CONDITIONAL, CONDITIONAL)


class _Frame:
    """An atom whose operands are being read."""

    __slots__ = (
        "atom",
        "combine",
        "decided",
        "exists",
        "index",
        "leans",
        "low",
        "source",
        "terms",
        "until",
        "value",
        "waiting",
    )

    def __init__(self, atom: Atom, combine: Combine, source: Iterator[Term], index: int) -> None:
        self.atom = atom
        self.combine = combine
        self.source = source
        self.index = index
        self.low = index
        self.terms: list[Term] = []
        self.waiting: Term | None = None
        self.value: Value = REFUSED
        # Only where each operand stands for a tuple: whether there is any.
        self.exists: Value = REFUSED
        self.decided = False
        self.leans = False
        # When the first tuple expires that was read for this atom or below it.
        self.until = NEVER

    def take(self, term: Term, value: Value) -> bool:
        """Join one more operand; return whether the rest cannot matter any more."""
        self.terms.append(term)
        if self.combine is Combine.ANY:
            self.value = stronger(self.value, value)
            self.decided = self.value[0] == YES
        elif len(self.terms) == 1:
            self.value = value
            self.decided = value[1] == NO
        else:
            self.value = weaker(self.value, negate(value) if self.combine is Combine.MINUS else value)
            self.decided = self.value[1] == NO
        return self.decided

    def conclusion(self) -> Value:
        """Return the value when all operands are read, or the rest cannot matter."""
        if self.decided:
            return _GRANTED if self.value[0] == YES and self.combine is Combine.ANY else REFUSED
        return weaker(self.value, self.exists) if self.combine is Combine.EACH else self.value


class Walk:
    """One evaluation for one subject at one revision. Asking twice, or about several resources, shares all work.

    With `exhaustive`, no operand is skipped, so that `equations` says everything there is to say (for ways). Without
    `searches`, unions are read like everything else: slower, the same answers. Without `conditions`, those are the
    scope's.
    """

    def __init__(
        self,
        scope: SubjectScope,
        conditions: Conditions | None = None,
        *,
        exhaustive: bool = False,
        searches: bool = True,
        known: Callable[[Atom], Value | None] | None = None,
    ) -> None:
        self.scope = scope
        self._told = known
        judging = conditions or scope.conditions
        self.conditions: Conditions = judging or Unconditional()
        self.values: dict[Atom, Value] = {}
        self.equations: dict[Atom, Equation] = {}
        self._untils: dict[Atom, int] = {}
        self._exhaustive = exhaustive
        # INVARIANT: read once. Two threads that meet a program first may each make plans, with numbers of their own.
        self._plans = scope.program.plans
        self._reach = Reach(scope, self._plans, judging)
        self._searches = searches and not exhaustive
        self._indexes: dict[Atom, int] = {}
        self._stack: list[_Frame] = []
        self._opened = 0

    def valid_until(self, atom: Atom) -> int | None:
        """Return an instant, in microseconds, before which the value of an atom stays as it is at this revision.

        The first tuple that was read for it expires then; None where none does. A bound: it may stay so for longer.
        """
        return self._untils.get(atom)

    def value(self, root: Atom) -> Value:
        """Return the final value of an atom. Raises LimitExceeded or DeadlineExceeded."""
        known = self._known(root)
        if known is not None:
            return known
        frames = [self._open(root)]
        while frames:
            frame = frames[-1]
            deeper = self._read(frame)
            if deeper is not None:
                frames.append(self._open(deeper))
                continue
            frames.pop()
            self._close(frame)
            if frames:
                frames[-1].low = min(frames[-1].low, frame.low)
                frames[-1].until = min(frames[-1].until, frame.until)
        return self.values[root]

    def _known(self, atom: Atom) -> Value | None:
        """Return an atom's final value if it is known, or can be searched for."""
        value = self.values.get(atom)
        if value is None and self._told is not None:
            value = self._told(atom)
            if value is not None:
                self.values[atom] = value
        if value is not None or not self._searches:
            return value
        plan = self._plans.of(atom.formula)
        if plan is None:
            return None
        try:
            until = self._reach.until(atom.object, plan)
        except NotAdditive:
            self._searches = False
            return None
        if until is not None and until != NEVER:
            self._untils[atom] = until
        value = self.values[atom] = REFUSED if until is None else _GRANTED
        return value

    def _open(self, atom: Atom) -> _Frame:
        self.scope.budget.node()
        self._opened += 1
        # An equation that ways are told from keeps every name apart from what it stands for.
        formula = atom.formula if self._exhaustive else self.scope.meaning(atom)
        frame = _Frame(atom, formula.combine, formula.terms(self.scope, atom.object), self._opened)
        self._indexes[atom] = frame.index
        self._stack.append(frame)
        return frame

    def _read(self, frame: _Frame) -> Atom | None:
        """Join operands until one must be opened first (return it), or all are read or the rest cannot matter."""
        while True:
            term = frame.waiting or next(frame.source, None)
            if term is None:
                return None
            frame.waiting = None
            value = _GRANTED if term.edge is None else self.conditions.value(term.edge)
            if term.atom is not None and value != REFUSED:
                index = self._indexes.get(term.atom)
                known = self._known(term.atom) if index is None else self.values.get(term.atom)
                if known is None:
                    if index is None:
                        frame.waiting = term
                        return term.atom
                    frame.low = min(frame.low, index)
                    frame.leans = True
                    known = OPEN
                frame.until = min(frame.until, self._untils.get(term.atom, NEVER))
                value = weaker(value, known)
            if term.edge is not None:
                if term.edge.expires is not None:
                    frame.until = min(frame.until, term.edge.expires)
                if frame.combine is Combine.EACH:
                    presence = self.conditions.presence(term.edge)
                    frame.exists = stronger(frame.exists, presence)
                    value = stronger(negate(presence), value)
            if frame.take(term, value) and not self._exhaustive:
                return None

    def _close(self, frame: _Frame) -> None:
        """Give the atom its value if it is known, and solve its component if this atom was the first of it."""
        self.equations[frame.atom] = Equation(frame.combine, frame.terms)
        if frame.decided or not frame.leans:
            # Not leaning on anything open, or concluded whatever the open ones turn out to be.
            self.values[frame.atom] = frame.conclusion()
            self._keep_until(frame.atom, frame.until)
        if frame.low != frame.index:
            return
        component = []
        while True:
            member = self._stack.pop()
            del self._indexes[member.atom]
            if member.atom not in self.values:
                component.append(member.atom)
            if member is frame:
                break
        if component:
            solve(component, self.equations, self.values, self.conditions, self.scope.budget)
            for atom in component:
                # All of them were opened below the first, and may lean on whatever any of them has read.
                self._keep_until(atom, frame.until)

    def _keep_until(self, atom: Atom, until: int) -> None:
        if until != NEVER:
            self._untils[atom] = until

    def tell(self, root: Atom) -> None:
        """Put the paths that searches found into `equations`, for `root` and everything below it that was met."""
        seen = {root}
        for atom in (agenda := [root]):
            self.scope.budget.tick()
            equation = self.equations.get(atom)
            if equation is None and (found := self._reach.operand(atom)) is not None:
                equation = self.equations[atom] = Equation(Combine.ANY, (found,))
            for term in () if equation is None else equation.terms:
                if term.atom is not None and term.atom not in seen:
                    seen.add(term.atom)
                    agenda.append(term.atom)

    def missing(self, root: Atom) -> frozenset[str]:
        """Return the names that a CONDITIONAL atom lacks: those of its CONDITIONAL operands, and so on down."""
        names: set[str] = set()
        seen = {root}
        agenda = [root]
        while agenda:
            for term in self.equations[agenda.pop()].terms:
                condition = _GRANTED if term.edge is None else self.conditions.value(term.edge)
                below = _GRANTED if term.atom is None or condition == REFUSED else self.values[term.atom]
                if weaker(condition, below) != _CONDITIONAL:
                    continue
                if term.edge is not None and condition == _CONDITIONAL:
                    names |= self.conditions.missing(term.edge)
                if term.atom is not None and below == _CONDITIONAL and term.atom not in seen:
                    seen.add(term.atom)
                    agenda.append(term.atom)
        return frozenset(names)

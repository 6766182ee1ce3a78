"""What the claims of files are worth: which branches of their schemas they reach, and which changes they would notice.

Weighed are the checks that claims imply: assertions, best accesses, expected relations and what a change takes away.
Files with the same schema are weighed together.

Rule 1: only claims that hold are weighed for changes: nothing would be noticed by one that fails anyway.
Rule 2: the same files give the same rows in the same order; where a bound ends it, that is an error that names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.cli.outcomes import Outcome
from relgraph.errors import InvalidContext, LimitExceeded, quoted
from relgraph.schema.branches import Branches
from relgraph.schema.mutants import mutants
from relgraph.tuples import question_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.cli.trying import Step, Trial
    from relgraph.rewrites import Span
    from relgraph.schema.branches import Branch
    from relgraph.schema.mutants import Mutant
    from relgraph.tuples import RelationTuple

__all__ = ["Changes", "reached_branches"]

_LINE_MAX: Final = 400


@dataclass(slots=True)
class _Asking:
    """The steps of one file under one schema."""

    trial: Trial
    step: Step
    tuples: list[RelationTuple] | None = None

    def known(self) -> list[RelationTuple]:
        """Return all tuples at this step."""
        if self.tuples is None:
            with self.trial.scratch.dump(consistency=self.step.when) as dump:
                self.tuples = list(dump)
        return self.tuples


def _by_schema(trials: Iterable[Trial]) -> list[list[_Asking]]:
    groups: dict[str, list[_Asking]] = {}
    for trial in trials:
        for step in trial.steps:
            groups.setdefault(step.source.text, []).append(_Asking(trial, step))
    return list(groups.values())


def _placed(asking: _Asking, at: Span, kind: str, claim: str, verb: str, *, holds: bool) -> Outcome:
    """Return the outcome about a place of a schema, told where the schema was first read."""
    file, line = asking.step.source.origin(at)
    written = quoted(asking.step.source.line(at.line).strip(), _LINE_MAX)[1:-1]
    # Of a schema in a folded text nobody knows where its lines stood in the file.
    why = written if file else f"line {line} of the schema: {written}"
    place = (file, line) if file else (asking.trial.file, 0)
    return Outcome(*place, kind, claim, verb, verb if holds else f"not {verb}", () if holds else (why,))


def reached_branches(trials: Sequence[Trial]) -> Iterator[Outcome]:
    """Yield every branch of every schema, with whether some check reached it (`relgraph.engine.resting`)."""
    for group in _by_schema(trials):
        found: set[Branch] = set()
        for each in group:
            questions = [(asked.question, asked.context) for asked in each.step.asked]
            found |= each.trial.scratch.reached(questions, consistency=each.step.when)
        for branch in Branches(group[0].step.schema).all:
            claim = f"{branch.what} {quoted(branch.text, _LINE_MAX)} of {quoted(f'{branch.type}#{branch.name}')}"
            yield _placed(group[0], branch.at, "branch", claim, "reached", holds=branch in found)


@dataclass(slots=True)
class Changes:
    """Mutants of the schemas of trials, at most so many, tried with at most so many checks in all."""

    mutants_max: int
    checks_max: int
    exceeded: LimitExceeded | None = None
    """Which of the two ended it before all was tried."""
    _mutants: int = field(default=0, init=False)
    _checks: int = field(default=0, init=False)

    def noticed(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Yield every mutant, with whether some claim would not hold in it."""
        for group in _by_schema(trials):
            for mutant in mutants(group[0].step.schema):
                try:
                    holds = self._notices(mutant, group)
                except LimitExceeded as error:
                    self.exceeded = error
                    return
                yield _placed(group[0], mutant.at, "mutant", mutant.change, "noticed", holds=holds)

    def _notices(self, mutant: Mutant, group: Sequence[_Asking]) -> bool:
        self._mutants += 1
        if self._mutants > self.mutants_max:
            raise _ended("mutants_max", self.mutants_max, "changes")
        return any(self._fails(mutant, each) for each in group)

    def _fails(self, mutant: Mutant, asking: _Asking) -> bool:
        """Return whether some claim of one step would not hold."""
        asked = list(dict.fromkeys(asking.step.asked))
        if not asked:
            return False
        questions = [(each.question, each.context) for each in asked]
        added: list[RelationTuple] = []
        if mutant.opened is not None or mutant.freed is not None:
            objects = [question_of(question, None, None)[2] for question, _ in questions]
            added = mutant.added(asking.known(), objects)
        found = asking.trial.scratch.under(mutant.schema, questions, added, consistency=asking.step.when)
        for each in asked:
            self._checks += 1
            if self._checks > self.checks_max:
                raise _ended("checks_max", self.checks_max, "checks")
            try:
                verdict = next(found)
            except (InvalidContext, LimitExceeded):
                # What cannot be answered any more does not hold.
                return True
            if verdict not in each.verdicts:
                return True
        return False


def _ended(limit: str, value: int, what: str) -> LimitExceeded:
    return LimitExceeded(
        f"there are more than {value} {what} to try, and what was told is not all; raise --{limit.replace('_', '-')}, "
        "or give fewer files at once",
        {"limit": limit, "value": str(value)},
    )

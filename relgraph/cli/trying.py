"""A scenario tried out: written into a scratch store step by step, and every claim of it compared with what is so.

Rule 1: a file that cannot be read, or whose schema or tuples are refused, is bad input; a claim that cannot be asked is
one that does not hold.
Rule 2: what was asked is kept, each with the verdicts that would do and the revision it was asked of, so that it can
be weighed afterwards: which branches it reached, and whether it would notice a change (`weighing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Final

from relgraph.answers import Verdict
from relgraph.cli.claims import compared_best, refusal_of
from relgraph.cli.expected import Holder
from relgraph.cli.outcomes import Outcome
from relgraph.cli.output import best_text
from relgraph.cli.rows import verdict_text
from relgraph.cli.schema_files import about_file
from relgraph.contexts import EMPTY, Context
from relgraph.errors import CaveatFailed, InvalidFile, RelgraphError, Undecided, quoted
from relgraph.revision import Consistency
from relgraph.rewrites import Span
from relgraph.schema.reader import parse_source
from relgraph.tuples import WILDCARD, RelationTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from relgraph.answers import Best
    from relgraph.api.scratch import HeldBy, Scratch
    from relgraph.cli.expected import Expected
    from relgraph.cli.scenario import Assertion, BestCase, Change, Claims, Losses, Refusal, Scenario
    from relgraph.schema import Schema
    from relgraph.schema.source import Source

__all__ = ["Asked", "Step", "Trial"]

_YES: Final = frozenset({Verdict.YES})
_NOT_YES: Final = frozenset(Verdict) - _YES


@dataclass(frozen=True, slots=True)
class Asked:
    """A check that a claim implies, and the verdicts with which the claim holds."""

    question: str
    verdicts: frozenset[Verdict]
    context: Context = EMPTY


@dataclass(frozen=True, slots=True)
class Step:
    """What was asked of one revision, under the schema that stands in `source`."""

    schema: Schema
    source: Source
    when: Consistency
    asked: list[Asked] = field(default_factory=list)


class Trial:
    """One file, tried out in a scratch store of its own. `outcomes` and `steps` are filled by `run`."""

    def __init__(self, scratch: Scratch, scenario: Scenario, path: Path) -> None:
        self.scratch = scratch
        self.outcomes: list[Outcome] = []
        self.steps: list[Step] = []
        self._scenario = scenario
        self.file = str(path)
        self._title = ""

    def run(self) -> None:
        """Write everything step by step and compare all claims. Raises RelgraphError where the file is bad input."""
        self._begin()
        self._compare(self._scenario.claims)
        for change in self._scenario.changes:
            self._title = change.title
            lost = change.lost
            before = {} if lost is None else self._held(lost)
            if lost is not None:
                self.steps[-1].asked.extend(Asked(each, _YES) for each in lost.access)
            if not self._change(change):
                return
            if lost is not None:
                gone = sorted({each for each, held in before.items() if held} - _yes(self._held(lost)))
                self._note(lost.line, "lost", "what the change takes away", sorted(lost.access), gone)
                self.steps[-1].asked.extend(Asked(each, _NOT_YES) for each in lost.access)
            self._compare(change.claims)

    # --- what is written ---

    def _begin(self) -> None:
        scenario = self._scenario
        schema = self._parsed(scenario.source)
        token = self.scratch.write_schema(scenario.schema).token
        if scenario.tuples:
            tuples = self._tuples(scenario)
            try:
                token = self.scratch.load(tuples, allow_universal=True, allow_wildcards=True).token
            except RelgraphError as error:
                raise self._bad(int(error.details.get("index", "-1")), error.message) from error
        self.steps.append(Step(schema, scenario.source, Consistency.at_exactly(token)))

    def _tuples(self, scenario: Scenario) -> list[RelationTuple]:
        """Return the tuples, each of which stands once."""
        first: dict[object, int] = {}
        tuples = []
        for index, text in enumerate(scenario.tuples):
            try:
                fact = RelationTuple.parse(text)
            except RelgraphError as error:
                raise self._bad(index, error.message) from error
            if first.setdefault(fact.key, index) != index:
                raise self._bad(index, f"the tuple {quoted(fact.told, 240)} stands twice; remove one")
            tuples.append(fact)
        return tuples

    def _bad(self, index: int, problem: str) -> InvalidFile:
        """Return the error about a tuple, by its place."""
        lines = self._scenario.tuple_lines
        line = lines[index] if 0 <= index < len(lines) else 0
        return InvalidFile(f"{self.file}{f', line {line}' if line else ''}: {problem}")

    def _parsed(self, source: Source) -> Schema:
        """Return a schema. Raises what is wrong with it, told by the lines that somebody wrote."""
        try:
            return parse_source(source)
        except RelgraphError as error:
            named = source.origin(Span())[0]
            raise error if named else about_file(error, self.file) from error

    def _change(self, change: Change) -> bool:
        """Make a change; one that is refused is a claim that does not hold, and ends the trial."""
        schema, source = self.steps[-1].schema, self.steps[-1].source
        try:
            if change.source is not None:
                schema, source = self._parsed(change.source), change.source
                token = self.scratch.write_schema(source.text).token
            else:
                token = self.scratch.write(
                    touch=change.touch, create=change.create, delete=change.delete, actor=change.actor
                ).token
        except RelgraphError as error:
            self._note(change.line, "change", change.title, "written", f"refused with {error.code}", [error.message])
            return False
        self.steps.append(Step(schema, source, Consistency.at_exactly(token)))
        return True

    # --- what is compared ---

    def _note(self, line: int, kind: str, claim: str, expected: object, found: object, why: Iterable[str] = ()) -> None:
        told = _told(expected), _told(found)
        self.outcomes.append(Outcome(self.file, line, kind, claim, *told, tuple(why), self._title))

    def _compare(self, claims: Claims) -> None:
        for check in claims.checks:
            self._check(check)
        for case in claims.best:
            self._best(case)
        for expected in claims.expected:
            self._expected(expected)
        if claims.orphans is not None:
            found = {str(each.resource): each.kind.value for each in self.scratch.orphans().orphans}
            pairs = (sorted(f"{name}: {kind}" for name, kind in each.items()) for each in (claims.orphans, found))
            self._note(claims.orphans_line, "orphans", "what is out of reach", *pairs)
        for refusal in claims.refused:
            self._refused(refusal)

    def _check(self, check: Assertion) -> None:
        verdicts = frozenset({Verdict(check.verdict)})
        try:
            decision = self.scratch.decide(check.question, context=check.context)
        except (Undecided, CaveatFailed) as error:
            self._asked(check.line, str(check), check.verdict, Verdict.UNDECIDED.value, [error.message])
        except RelgraphError as error:
            self._note(check.line, "check", str(check), check.verdict, f"refused with {error.code}", [error.message])
            return
        else:
            found = decision.verdict.value
            why = () if found == check.verdict else self._why(check, decision.verdict, decision.missing)
            self._asked(check.line, str(check), check.verdict, found, why)
        self.steps[-1].asked.append(Asked(check.question, verdicts, check.context))

    def _asked(self, line: int, claim: str, expected: str, found: str, why: Iterable[str]) -> None:
        self._note(line, "check", claim, expected, found, () if expected == found else why)

    def _why(self, check: Assertion, verdict: Verdict, missing: tuple[str, ...]) -> Iterator[str]:
        """Tell the way to a yes, what a perhaps lacks, and what took a no away."""
        if verdict is Verdict.NO:
            yield from self._against(check)
            return
        if missing:
            yield verdict_text(verdict, missing)
        way = self.scratch.way((check.question, check.context))
        if way is not None:
            yield f"{way.role} {way.via}"
            yield from (f"  {each}" for each in way.tuples)

    def _against(self, check: Assertion) -> Iterator[str]:
        taken = self.scratch.taken((check.question, check.context))
        if not taken:
            yield "no tuple gives it"
        for each in taken:
            yield f"{each} takes it away"

    def _best(self, case: BestCase) -> None:
        claim = f"best {case.subject} {case.resource}"
        try:
            best = self.scratch.best(case.subject, case.resource, ways="all")
        except RelgraphError as error:
            wanted = case.role or ", ".join(case.held or ()) or "no access"
            self._note(case.line, "best", claim, wanted, f"refused with {error.code}", [error.message])
            return
        expected, found = compared_best(case, best)
        why = () if expected == found else best_text(best)
        self._note(case.line, "best", claim, expected, found, why)
        if expected == found:
            self.steps[-1].asked.extend(self._implied(case, best))

    def _implied(self, case: BestCase, best: Best) -> Iterator[Asked]:
        """Yield the checks that a best access says something about."""
        for name in self.steps[-1].schema.definitions[best.resource.type].rungs:
            if name in best.held:
                verdicts = _YES
            elif name in best.undecided:
                verdicts = frozenset({Verdict.UNDECIDED})
            else:
                verdicts = _NOT_YES
            yield Asked(f"{case.resource}#{name}@{case.subject}", verdicts)

    def _expected(self, expected: Expected) -> None:
        """Compare all that hold a permission: a claim for each that was expected, and one that there are no others."""
        member = f"{expected.resource}#{expected.permission}"
        try:
            held = self.scratch.held_by(expected.resource, expected.permission)
        except RelgraphError as error:
            refused = f"refused with {error.code}"
            self._note(expected.line, "expected", f"who holds {member}", "answered", refused, [error.message])
            return
        found = {each.subject: _holder(each) for each in held}
        for holder in expected.holders:
            is_ = found.pop(holder.subject, None)
            claim = f"{holder.subject} holds {member}"
            self._note(holder.line, "expected", claim, str(holder), "no such holder" if is_ is None else str(is_))
        others = [f"{each} that is not expected" for each in found.values()]
        self._note(expected.line, "expected", f"nobody else holds {member}", "nobody else", others or "nobody else")
        for each in held:
            if each.subject not in found and not each.subject.endswith(f":{WILDCARD}"):
                self.steps[-1].asked.append(Asked(f"{member}@{each.subject}", frozenset({each.verdict})))

    def _refused(self, refusal: Refusal) -> None:
        behalf = "" if refusal.actor is None else f" on behalf of {refusal.actor}"
        # Of a schema the first line is enough to tell which one is meant.
        text = refusal.text.strip().partition("\n")[0]
        self._note(
            refusal.line,
            "refused",
            f"{refusal.kind} {text}{behalf}",
            refusal.error,
            refusal_of(self.scratch, refusal),
        )

    def _held(self, losses: Losses) -> dict[str, bool]:
        """Return all that the subjects of a change could hold on its resources, and whether they do."""
        bests = [self.scratch.best(*pair) for pair in product(losses.subjects, losses.resources)]
        return {
            f"{best.resource}#{name}@{best.subject}": name in best.held
            for best in bests
            for name in self.steps[-1].schema.definitions[best.resource.type].rungs
        }


def _yes(held: dict[str, bool]) -> set[str]:
    return {each for each, holds in held.items() if holds}


def _holder(held: HeldBy) -> Holder:
    """Return one that holds a permission as files spell it; whatever is neither yes nor no is a perhaps."""
    exceptions = frozenset((name, verdict is not Verdict.NO) for name, verdict in held.exceptions)
    return Holder(held.subject, held.verdict is not Verdict.YES, exceptions, held.places)


def _told(value: object) -> str:
    """Return what was expected or found in words."""
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return str(value)

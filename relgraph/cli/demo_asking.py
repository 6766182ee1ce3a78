"""One system of the demo: its scenario asked of the server, compared with what the file says, and told.

Rule 1: whatever is shown was answered by the server just then. Every claim of the file is asked, whether shown or not.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from relgraph.cli.claims import compared_best, refusal_of
from relgraph.cli.demo_crowds import PILOTS, PILOTS_WITH_ANOTHER_SOURCE
from relgraph.cli.demo_losses import write_and_ask
from relgraph.cli.demo_telling import Teller
from relgraph.errors import Undecided
from relgraph.revision import Consistency
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relgraph.answers import Best, Written
    from relgraph.cli.scenario import BestCase, Change, Claims, Losses, Scenario
    from relgraph.client import Client

__all__ = ["System"]

_SERVICES = "auth/"


class System:
    """Asks the server about one scenario; counts what was asked, and what came back otherwise than the file says."""

    def __init__(self, client: Client, scenario: Scenario) -> None:
        self.scenario = scenario
        self.questions = 0
        self.differences = 0
        self._client = client
        tuples = [RelationTuple.parse(each) for each in scenario.tuples]
        self._named = {str(each) for row in tuples for each in (row.resource, row.subject.object)}
        self._types = sorted({name.partition(":")[0] for name in self._named})
        self._prefix = self._types[0].partition("/")[0] + "/"
        self._teller = Teller(self._prefix)

    def tell(self) -> None:
        """Tell who holds what and why, and compare all claims."""
        self._teller.heading(self.scenario.title)
        bests = self._best(self.scenario.claims.best)
        revision = bests[0][0].revision if bests else 0
        # The one sentence with the prefix in it.
        Teller().say(f"answered at revision {revision}; names stand without their prefix {self._prefix}")
        self._teller.holds(bests)
        proven = [(best, way) for best, _ in bests for way in best.ways]
        if proven:
            self._teller.proof(*max(proven, key=lambda pair: len(pair[1].tuples)))
        self._others(self.scenario.claims)

    def tell_changes(self) -> None:
        """Make the first changes, those that say what they take away, and tell what that is."""
        for change in takewhile(lambda each: each.lost is not None, self.scenario.changes):
            assert change.lost is not None
            self._teller.change(change.title, change.delete, (*change.create, *change.touch), change.actor)
            before = self._held(change.lost)
            written = self._write(change, change.lost)
            after = self._held(change.lost, Consistency.at_exactly(written.token))
            self._differs(sorted(change.lost.access), sorted(_access(before) - _access(after)))
            self._teller.differences([pair for pair in zip(before, after, strict=True) if pair[0].held])
            self._best(change.claims.best)
            self._others(change.claims)

    # --- what is compared ---

    def _differs(self, expected: object, found: object) -> bool:
        differs = expected != found
        self.questions += 1
        self.differences += differs
        return differs

    def _best(self, cases: Iterable[BestCase]) -> list[tuple[Best, bool]]:
        found = []
        for case in cases:
            best = self._client.best(case.subject, case.resource, ways="all")
            found.append((best, not self._differs(*compared_best(case, best))))
        return found

    def _others(self, claims: Claims) -> None:
        """Ask the rest: what an actor may not write is told, and all else only where it is not as expected."""
        for each in claims.checks:
            self._mark(each.question, each.verdict, self._verdict(each.question))
        answers = [(refusal, refusal_of(self._client, refusal)) for refusal in claims.refused]
        for refusal, found in answers:
            behalf = "" if refusal.actor is None else f" on behalf of {refusal.actor}"
            self._mark(f"{refusal.kind} {refusal.text}{behalf}", refusal.error, found)
        grants = [(refusal.actor, refusal.text, found) for refusal, found in answers if refusal.actor is not None]
        if grants:
            self._teller.rows(("On behalf of", "To be written", "Answer"), grants)
        if claims.orphans is not None:
            self._orphans(claims.orphans)

    def _mark(self, question: str, expected: str, found: str) -> None:
        if self._differs(expected, found):
            self._teller.say(f"{question}: {found}, expected {expected}", "bold red")

    def _verdict(self, question: str) -> str:
        try:
            return "yes" if self._client.check(question) else "no"
        except Undecided:
            return "undecided"

    def _orphans(self, expected: Mapping[str, str]) -> None:
        """Ask for what is out of reach; of the crowd, which has people whom nobody was given, nothing is told."""
        orphans = self._client.orphans(types=self._types).orphans
        found = {str(each.resource): each.kind.value for each in orphans if str(each.resource) in self._named}
        if self._differs(dict(expected), found):
            self._teller.say("out of reach is something else than expected", "bold red")
        self._teller.orphans(found)

    # --- what a change takes away ---

    def _held(self, losses: Losses, when: Consistency | None = None) -> list[Best]:
        """Return what the subjects of a change hold on its resources, all of one revision."""
        found: list[Best] = []
        for subject in losses.subjects:
            for resource in losses.resources:
                found.append(self._client.best(subject, resource, ways="all", consistency=when))
                when = when or Consistency.at_exactly(found[0].token)
        return found

    def _write(self, change: Change, losses: Losses) -> Written:
        """Make a change."""
        if change.schema is not None:
            return self._client.write_schema(change.schema, reason=change.title)
        if self._prefix == _SERVICES:
            return self._write_and_ask(change, losses)
        return self._client.write(
            touch=change.touch,
            create=change.create,
            delete=change.delete,
            actor=change.actor,
            reason=change.title,
        )

    def _write_and_ask(self, change: Change, losses: Losses) -> Written:
        """Make a change to services, and tell what asking before and after says about everybody it concerns."""
        outcome = write_and_ask(
            self._client,
            touch=(*change.create, *change.touch),
            delete=change.delete,
            actor=change.actor,
            reason=change.title,
        )
        self._differs(_expected_losses(change, losses), list(outcome.lost))
        told = f"asked before and after about {outcome.asked} pairs of user and service, the crowd's among them"
        self._teller.say(f"{told}: {len(outcome.lost)} lost, {len(outcome.kept)} kept by another source")
        return outcome.written


def _expected_losses(change: Change, losses: Losses) -> list[str]:
    """Return what the change takes away, the crowd's part included where it concerns the pilots."""
    crowd: Sequence[str] = ()
    if any(each.endswith("auth/group:pilots#member") for each in change.delete):
        crowd = sorted(set(PILOTS) - set(PILOTS_WITH_ANOTHER_SOURCE))
    return sorted([*losses.access, *(f"auth/service:discord#access@{user}" for user in crowd)])


def _access(bests: Iterable[Best]) -> set[str]:
    return {f"{best.resource}#{name}@{best.subject}" for best in bests for name in best.held}

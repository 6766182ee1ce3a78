"""Deciding checks: one, and many at one revision and instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import Decision, Verdict
from relgraph.api.undecided import undecided
from relgraph.api.worlds import world_of
from relgraph.engine import SubjectScope, Walk, check, valid_until
from relgraph.errors import Conditional, InvalidInput, at_index, quoted
from relgraph.instants import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.api.following import Following, Pinned
    from relgraph.api.worlds import Brought
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.tuples import Object, Subject

__all__ = ["Deciding", "allowed", "check_on_conditional"]


def check_on_conditional(choice: str) -> None:
    """Raise InvalidInput for what is no choice."""
    if choice not in ("raise", "deny"):
        raise InvalidInput(f"on_conditional is {quoted(str(choice))}; use `raise` or `deny`")


def allowed(decision: Decision, on_conditional: str) -> bool:
    """Return a decision as yes or no. Raises Conditional where it is neither."""
    if decision.verdict is Verdict.CONDITIONAL and on_conditional == "raise":
        raise Conditional(
            f"the answer depends on {', '.join(map(quoted, decision.missing))}; give the context, "
            "or decide what a conditional answer means with `on_conditional`",
            {"missing": ", ".join(decision.missing)},
        )
    return decision.allowed


class Deciding:
    """The part of an Authorizer that decides checks."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits

    def one(
        self, who: Subject, name: str, what: Object, given: Brought, consistency: Consistency | None, ends: float | None
    ) -> Decision:
        """Return the verdict on one question. Raises Undecided, or CaveatFailed where that is why."""
        with self._following.pinned(consistency, ends) as pinned:
            pinned.rules.schema.check_question(who, name, what)
            walk = Walk(SubjectScope(world_of(pinned, self._limits, ends, given), who))
            decision = self._decision(pinned, walk, what, name)
            if decision.verdict is Verdict.UNDECIDED:
                raise undecided(walk, name, what)
            return decision

    def many(
        self,
        asked: Sequence[tuple[Subject, str, Object]],
        given: Brought,
        consistency: Consistency | None,
        ends: float | None,
    ) -> list[Decision]:
        """See `Authorizer.decide_many`."""
        if not asked:
            raise InvalidInput("a bulk of checks asks nothing; give at least one question")
        if len(asked) > self._limits.checks_max:
            raise InvalidInput(
                f"{len(asked)} questions are over the limit of {self._limits.checks_max}; split them",
                {"limit": "checks_max", "value": str(self._limits.checks_max)},
            )
        with self._following.pinned(consistency, ends) as pinned:
            world = world_of(pinned, self._limits, ends, given)
            walks: dict[Subject, Walk] = {}
            decisions = []
            for index, (who, name, what) in enumerate(asked):
                with at_index(index):
                    pinned.rules.schema.check_question(who, name, what)
                if who not in walks:
                    walks[who] = Walk(SubjectScope(world, who))
                world.budget.renew()
                decisions.append(self._decision(pinned, walks[who], what, name))
            return decisions

    def _decision(self, pinned: Pinned, walk: Walk, resource: Object, name: str) -> Decision:
        verdict, missing = check(walk, resource, name)
        instant = valid_until(walk, resource, name)
        observer = self._following.observer
        if observer is not None:
            observer.checked(verdict, walk.scope.budget.tuples_read)
        until = None if instant is None else moment(instant)
        return Decision(verdict, missing, pinned.revision.number, pinned.token, until)

"""Deciding checks: one, and many at one revision and instant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from relgraph.answers import Decision
from relgraph.engine import Budget, SubjectScope, Walk, World, check, valid_until
from relgraph.errors import InvalidInput, at_index
from relgraph.instants import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.api.following import Following, Pinned
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.tuples import Object, Subject

__all__ = ["Deciding"]


class Deciding:
    """The part of an Authorizer that decides checks."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits

    def one(
        self, who: Subject, name: str, what: Object, consistency: Consistency | None, ends: float | None
    ) -> Decision:
        """Return the verdict on one question, UNDECIDED among them."""
        with self._following.pinned(consistency, ends) as pinned:
            pinned.rules.schema.check_question(who, name, what)
            return self._decision(pinned, Walk(SubjectScope(self._world(pinned, ends), who)), what, name)

    def many(
        self, asked: Sequence[tuple[Subject, str, Object]], consistency: Consistency | None, ends: float | None
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
            world = self._world(pinned, ends)
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

    def _world(self, pinned: Pinned, ends: float | None) -> World:
        return World(pinned.rules, pinned.view, Budget(self._limits, time.monotonic, ends), pinned.now)

    def _decision(self, pinned: Pinned, walk: Walk, resource: Object, name: str) -> Decision:
        verdict, missing = check(walk, resource, name)
        instant = valid_until(walk, resource, name)
        observer = self._following.observer
        if observer is not None:
            observer.checked(verdict, walk.scope.budget.tuples_read)
        until = None if instant is None else moment(instant)
        return Decision(verdict, missing, pinned.revision.number, pinned.token, until)

"""Best access: of one subject on many resources, and of many subjects on one, all at one revision and instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from relgraph.answers import Best
from relgraph.api.worlds import world_of
from relgraph.engine import SubjectScope, Walk, access, find_ways
from relgraph.errors import InvalidInput, at_index, quoted
from relgraph.instants import moment
from relgraph.tuples import Object, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.answers import Way
    from relgraph.api.following import Following, Pinned
    from relgraph.api.worlds import Brought
    from relgraph.engine import World
    from relgraph.limits import Limits
    from relgraph.revision import Consistency

__all__ = ["Bests", "Ways"]

Ways = Literal["none", "one", "all"]
"""How many ways a best access is to tell."""


class Bests:
    """The part of an Authorizer that tells the best access."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits

    def on_resources(
        self,
        subject: str | Subject,
        resources: Sequence[str | Object],
        ways: Ways,
        given: Brought,
        consistency: Consistency | None,
        ends: float | None,
    ) -> list[Best]:
        """See `Authorizer.best_many`."""
        _check_ways(ways)
        who, objects = Subject.of(subject), [Object.of(each) for each in resources]
        _check_count(len(objects), "resource", "best_resources_max", self._limits.best_resources_max)
        with self._following.pinned(consistency, ends) as pinned:
            for each in objects:
                pinned.rules.schema.check_access(who, each)
            walks = self._walks(world_of(pinned, self._limits, ends, given), who)
            return [self._best(pinned, *walks, each, ways) for each in objects]

    def of_subjects(
        self,
        subjects: Sequence[str | Subject],
        resource: str | Object,
        ways: Ways,
        given: Brought,
        consistency: Consistency | None,
        ends: float | None,
    ) -> list[Best]:
        """See `Authorizer.best_subjects`."""
        _check_ways(ways)
        everybody, what = [Subject.of(each) for each in subjects], Object.of(resource)
        _check_count(len(everybody), "subject", "best_subjects_max", self._limits.best_subjects_max)
        with self._following.pinned(consistency, ends) as pinned:
            for index, each in enumerate(everybody):
                with at_index(index):
                    pinned.rules.schema.check_access(each, what)
            world = world_of(pinned, self._limits, ends, given)
            return [self._best(pinned, *self._walks(world, each), what, ways) for each in everybody]

    @staticmethod
    def _walks(world: World, who: Subject) -> tuple[Walk, Walk]:
        scope = SubjectScope(world, who)
        return Walk(scope), Walk(scope, exhaustive=True)

    def _best(self, pinned: Pinned, walk: Walk, exhaustive: Walk, resource: Object, ways: Ways) -> Best:
        walk.scope.budget.renew()
        found = access(walk, resource)
        told: list[Way] = []
        truncated = False
        wanted = [*((found.role,) if found.role else found.held), *(each.role for each in found.conditional)]
        for name in wanted if ways != "none" else ():
            some, more = find_ways(walk, exhaustive, resource, name, self._limits, every=ways == "all")
            told += some
            truncated |= more
        return Best(
            walk.scope.subject,
            resource,
            found.role,
            found.held,
            found.conditional,
            found.undecided,
            tuple(told),
            truncated,
            pinned.revision.number,
            pinned.token,
            None if found.valid_until is None else moment(found.valid_until),
        )


def _check_ways(ways: str) -> None:
    if ways not in ("none", "one", "all"):
        raise InvalidInput(f"ways is {quoted(str(ways))}; use `none`, `one` or `all`")


def _check_count(count: int, noun: str, limit: str, count_max: int) -> None:
    if not count:
        raise InvalidInput(f"a best access names no {noun}; give at least one")
    if count > count_max:
        raise InvalidInput(
            f"{count} {noun}s are over the limit of {count_max}; split the question",
            {"limit": limit, "value": str(count_max)},
        )

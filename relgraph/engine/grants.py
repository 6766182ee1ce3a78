"""What an actor may write: the permissions that a `grant` line asks for, and whether he has them.

Rule 1: only YES is a right. CONDITIONAL and UNDECIDED are none, and neither is a relation without a line, a tuple for
every object of a type, or a wildcard without a line of its own.
Rule 2: a right is judged at two instants, now and at the last one at which what is written lives, and at no other.
Rule 3: what is needed follows from the request and the schema alone, so that telling it tells nothing about tuples.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.answers import Verdict
from relgraph.engine.check import check
from relgraph.engine.reach import NEVER
from relgraph.engine.scope import SubjectScope
from relgraph.engine.walk import Walk
from relgraph.tuples import WILDCARD, Object, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.engine.scope import World
    from relgraph.schema import Grant, Schema
    from relgraph.tuples import TupleFilter

__all__ = ["END_OF_TIME", "Claim", "Rights"]

END_OF_TIME: Final = NEVER
"""The last instant at which a tuple lives that never expires: whatever expires is gone by then."""

_WALKS_MAX: Final = 16


class Claim(NamedTuple):
    """A permission that must hold on an object."""

    object: Object
    name: str

    def __str__(self) -> str:
        """Return `type:id#name`."""
        return f"{self.object}#{self.name}"


class Rights:
    """One actor's rights in one state of the tuples, all judged out of one allowance: that of `world`."""

    def __init__(self, world: World, actor: Object) -> None:
        self._world = world
        self._actor = Subject(actor.type, actor.id)
        self._schema: Schema = world.program.schema
        self._lines: dict[tuple[str, str, str], Grant] = {
            (definition.name, grant.relation, grant.wildcard): grant
            for definition in self._schema.definitions.values()
            for grant in definition.grants
        }
        self._walks: OrderedDict[int, Walk] = OrderedDict()
        self._known: dict[tuple[Claim, int], bool] = {}

    def needs(self, resource: Object, relation: str, subject: Subject) -> tuple[Claim, ...]:
        """Return what it takes to write a tuple, whatever is done with it; nothing where no actor may."""
        wildcard = subject.type if subject.id == WILDCARD else ""
        line = self._lines.get((resource.type, relation, wildcard))
        if line is None or resource.id == WILDCARD:
            return ()
        claim = Claim(resource, line.permission)
        return (claim, Claim(subject.object, line.subject_permission)) if line.subject_permission else (claim,)

    def needs_of(self, filter: TupleFilter) -> tuple[Claim, ...]:
        """Return what it takes to ask for the tuples that match, whether or not any does; nothing where no actor may.

        The filter names one resource type, id and relation. What each tuple takes is another question.
        """
        resource = Object(filter.resource_type or "", filter.resource_id or "")
        relation = filter.relation or ""
        if filter.subject_type is not None and filter.subject_id is not None:
            return self.needs(resource, relation, Subject(filter.subject_type, filter.subject_id))
        found = [
            kind
            for kind in self._schema.definitions[resource.type].relations[relation].kinds
            if not kind.universal
            and filter.subject_type in (None, kind.type)
            and filter.subject_relation in (None, kind.relation)
        ]
        # Where nothing but wildcards can match, it is their lines that count.
        wildcards = sorted({kind.type for kind in found}) if found and all(kind.wildcard for kind in found) else [""]
        lines = [self._lines.get((resource.type, relation, wildcard)) for wildcard in wildcards]
        if resource.id == WILDCARD:
            return ()
        claims = tuple(Claim(resource, line.permission) for line in lines if line is not None)
        return claims if len(claims) == len(lines) else ()

    def hold(self, claims: Iterable[Claim], last: int) -> bool:
        """Return whether the actor has what it takes now and at the instant `last`; nothing is never enough.

        Raises LimitExceeded.
        """
        wanted = tuple(claims)
        now = self._world.now
        return bool(wanted) and all(self._yes(claim, instant) for claim in wanted for instant in (now, max(now, last)))

    def _yes(self, claim: Claim, instant: int) -> bool:
        known = self._known.get((claim, instant))
        if known is None:
            verdict, _ = check(self._walk(instant), claim.object, claim.name)
            known = self._known[claim, instant] = verdict is Verdict.YES
        return known

    def _walk(self, instant: int) -> Walk:
        """Return the walk at an instant. Now and the end of time are asked about all the time, others come and go."""
        walk = self._walks.get(instant)
        if walk is None:
            walk = self._walks[instant] = Walk(SubjectScope(self._world._replace(now=instant), self._actor))
            if len(self._walks) > _WALKS_MAX:
                self._walks.popitem(last=False)
        self._walks.move_to_end(instant)
        return walk

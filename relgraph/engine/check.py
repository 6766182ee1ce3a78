"""Checks and best access: one walk, asked about one or several names of one or several resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relgraph.answers import ConditionalRole, Verdict
from relgraph.engine.conditions import Caveats
from relgraph.engine.failures import first_failure
from relgraph.rewrites.verdict import verdict_of

if TYPE_CHECKING:
    from relgraph.engine.walk import Walk
    from relgraph.tuples import Object

__all__ = ["Access", "access", "check", "valid_until"]


def check(walk: Walk, resource: Object, name: str) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on `resource#name`, and what it lacks if it is CONDITIONAL. The names were checked before.

    Raises InvalidContext where an UNDECIDED one hangs on a value of the request's context that is of another type.
    """
    atom = walk.scope.member(walk.scope.number(resource), name)
    if atom is None:
        return Verdict.NO, ()
    verdict = verdict_of(walk.value(atom))
    missing = tuple(sorted(walk.missing(atom))) if verdict is Verdict.CONDITIONAL else ()
    if verdict is Verdict.UNDECIDED and isinstance(walk.conditions, Caveats) and walk.conditions.refuses:
        broken = first_failure(walk, resource, name)
        if broken is not None and broken.failure.refused is not None:
            raise broken.failure.refused
    return verdict, missing


def valid_until(walk: Walk, resource: Object, *names: str) -> int | None:
    """Return an instant, in microseconds, before which the answers on these names stay as they are; None: for ever."""
    number = walk.scope.number(resource)
    atoms = (walk.scope.member(number, name) for name in names)
    found = (walk.valid_until(atom) for atom in atoms if atom is not None)
    return min((until for until in found if until is not None), default=None)


@dataclass(frozen=True, slots=True)
class Access:
    """Best access without its ways: see `relgraph.answers.Best`."""

    role: str | None
    held: tuple[str, ...]
    conditional: tuple[ConditionalRole, ...]
    undecided: tuple[str, ...]
    valid_until: int | None


def access(walk: Walk, resource: Object) -> Access:
    """Return the best access on `resource`: the strongest rung of its ladder, or all permissions without one.

    Rungs are asked from the strongest down to the first YES: every weaker rung is a union with it, so it is YES too.
    """
    definition = walk.scope.program.schema.definition(resource.type)
    conditional: list[ConditionalRole] = []
    undecided: list[str] = []
    held: list[str] = []
    for place, name in enumerate(definition.rungs):
        verdict, missing = check(walk, resource, name)
        if verdict is Verdict.YES and definition.roles:
            until = valid_until(walk, resource, *definition.roles[: place + 1])
            return Access(name, definition.roles[place:], tuple(conditional), tuple(undecided), until)
        if verdict is Verdict.YES:
            held.append(name)
        elif verdict is Verdict.CONDITIONAL:
            conditional.append(ConditionalRole(name, missing))
        elif verdict is Verdict.UNDECIDED:
            undecided.append(name)
    until = valid_until(walk, resource, *definition.rungs)
    return Access(None, tuple(held), tuple(conditional), tuple(undecided), until)

"""Which relations and permissions of a schema lead to one another: what a permission reads, and what a subject reaches.

Rule 1: both walk the same steps, in opposite directions; what a `-` takes away is read like everything else.
Rule 2: an arrow reads its tupleset's tuples and no members of it: a permission depends on the tupleset, and what has
access to the tupleset gets nothing from that.
Rule 3: a wildcard covers plain objects. So a subject with a relation does not reach what takes `type:*` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.rewrites import SelfObject
from relgraph.schema.dependencies import dependencies
from relgraph.schema.reach import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from relgraph.schema.dependencies import Member
    from relgraph.schema.model import Schema

__all__ = ["computable", "dependent"]


def dependent(schema: Schema, member: Member) -> list[Member]:
    """Return all that a permission reads, on its way or at its end; sorted, without itself."""
    steps: dict[Member, set[Member]] = {}
    read: dict[Member, set[Member]] = {}
    for each in dependencies(schema):
        (read if each.why == "tupleset" else steps).setdefault(each.source, set()).add(each.target)
    walked = {member, *_reached([member], steps)}
    return sorted(walked.union(*(read.get(each, ()) for each in walked)) - {member})


def computable(schema: Schema, subject: Member) -> list[Member]:
    """Return all that a subject could get into, sorted, without itself; one without a relation is a plain object."""
    steps: dict[Member, set[Member]] = {}
    for each in dependencies(schema):
        if each.why != "tupleset":
            steps.setdefault(each.target, set()).add(each.source)
    for target, source in _plain(schema):
        steps.setdefault(source, set()).add(target)
    return sorted(_reached([subject], steps) - {subject})


def _plain(schema: Schema) -> Iterator[tuple[Member, Member]]:
    """Yield each name that takes plain objects of a type, with that type."""
    for definition in schema.definitions.values():
        for relation in definition.relations.values():
            for kind in relation.kinds:
                if not kind.relation:
                    yield (definition.name, relation.name), (kind.type, "")
        for permission in definition.permissions.values():
            if any(isinstance(node, SelfObject) for node in nodes(permission.rewrite)):
                yield (definition.name, permission.name), (definition.name, "")


def _reached(start: Iterable[Member], steps: Mapping[Member, Iterable[Member]]) -> set[Member]:
    """Return all that any number of steps leads to, one at least."""
    found: set[Member] = set()
    agenda = list(start)
    while agenda:
        for each in steps.get(agenda.pop(), ()):
            if each not in found:
                found.add(each)
                agenda.append(each)
    return found

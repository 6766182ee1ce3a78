"""Which types of plain subjects could ever hold a relation or permission, by the schema alone.

An over-estimate: exclusions and intersections are read as if everything in them granted, and `.all` as if it were
`.any`. So a type that is missing here can never hold the name, whatever the tuples say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.rewrites import AllArrow, Arrow, Name, SelfObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema

__all__ = ["nodes", "subject_types"]

_Member = tuple[str, str]


def subject_types(schema: Schema) -> dict[_Member, frozenset[str]]:
    """Return, for each (type, name), the types of the plain subjects that could be members."""
    found: dict[_Member, set[str]] = {}
    readers: dict[_Member, set[_Member]] = {}
    for definition in schema.definitions.values():
        for name in definition.names():
            member = (definition.name, name)
            found[member] = set()
            relation = definition.relations.get(name)
            for kind in relation.kinds if relation else ():
                if kind.relation:
                    readers.setdefault((kind.type, kind.relation), set()).add(member)
                else:
                    found[member].add(kind.type)
            permission = definition.permissions.get(name)
            for rewrite in nodes(permission.rewrite) if permission else ():
                if isinstance(rewrite, SelfObject):
                    found[member].add(definition.name)
                for leaned_on in _leans_on(schema, definition, rewrite):
                    readers.setdefault(leaned_on, set()).add(member)
    agenda = list(found)
    while agenda:
        member = agenda.pop()
        for reader in readers.get(member, ()):
            if not found[member] <= found[reader]:
                found[reader] |= found[member]
                agenda.append(reader)
    return {member: frozenset(types) for member, types in found.items()}


def nodes(rewrite: Rewrite) -> Iterator[Rewrite]:
    """Yield an expression's nodes in text order, itself first."""
    agenda = [rewrite]
    while agenda:
        node = agenda.pop()
        yield node
        agenda.extend(reversed(node.children()))


def _leans_on(schema: Schema, definition: Definition, rewrite: Rewrite) -> Iterator[_Member]:
    if isinstance(rewrite, Name):
        yield definition.name, rewrite.name
    elif isinstance(rewrite, Arrow | AllArrow):
        for kind in definition.relations[rewrite.tupleset].kinds:
            target = schema.definitions.get(kind.type)
            if target is not None and target.member(rewrite.name) is not None:
                yield kind.type, rewrite.name

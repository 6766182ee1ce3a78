"""Which types of plain subjects could ever hold a relation or permission, by the schema alone.

An over-estimate: exclusions and intersections are read as if everything in them granted. So a type that is missing
here can never hold the name, whatever the tuples say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.rewrites import Arrow, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema

__all__ = ["subject_types"]

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
            for leaned_on in _leans_on(schema, definition, name):
                readers.setdefault(leaned_on, set()).add(member)
    agenda = list(found)
    while agenda:
        member = agenda.pop()
        for reader in readers.get(member, ()):
            if not found[member] <= found[reader]:
                found[reader] |= found[member]
                agenda.append(reader)
    return {member: frozenset(types) for member, types in found.items()}


def _leans_on(schema: Schema, definition: Definition, name: str) -> Iterator[_Member]:
    permission = definition.permissions.get(name)
    agenda: list[Rewrite] = [permission.rewrite] if permission else []
    while agenda:
        rewrite = agenda.pop()
        agenda.extend(rewrite.children())
        if isinstance(rewrite, Name):
            yield definition.name, rewrite.name
        elif isinstance(rewrite, Arrow):
            for kind in definition.relations[rewrite.tupleset].kinds:
                target = schema.definitions.get(kind.type)
                if target is not None and target.member(rewrite.name) is not None:
                    yield kind.type, rewrite.name

"""A schema as messages: definitions, relations, permissions and caveats, all of them or those that filters leave.

What the messages have no field for is not told: that tuples of a kind expire, ladders and grants; kinds that differ in
being universal alone are one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import schema_service_pb2 as pb

from relgraph.caveats import spelled
from relgraph.errors import InvalidFilter
from relgraph.schema.model import Relation
from relgraph_server.authzed.regenerate import comments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relgraph.schema.dependencies import Member
    from relgraph.schema.model import DeclaredCaveat, Definition, Permission, Schema, SubjectKind

__all__ = [
    "Filters",
    "caveat_message",
    "definition_message",
    "parameter_message",
    "permission_message",
    "reference_messages",
    "reflected",
    "relation_message",
    "type_message",
]

_RULES: Final = (
    (("definition", "caveat"), "cannot filter by both definition and caveat name"),
    (("relation", "permission"), "cannot filter by both relation and permission name"),
)


class Filters:
    """The filters of a reflection: prefixes, of which one has to fit; without any, everything does.

    Raises InvalidFilter for one that names what cannot stand together, or a relation without its definition.
    """

    def __init__(self, filters: Sequence[pb.ReflectionSchemaFilter]) -> None:
        for index, each in enumerate(filters):
            _check(each, index)
        # Looked up by the few beginnings that a name has, as there may be very many filters.
        self._all = not filters
        self._definitions = {each.optional_definition_name_filter for each in filters} - {""}
        self._caveats = {each.optional_caveat_name_filter for each in filters} - {""}
        self._relations = _members(
            (each.optional_definition_name_filter, each.optional_relation_name_filter) for each in filters
        )
        self._permissions = _members(
            (each.optional_definition_name_filter, each.optional_permission_name_filter) for each in filters
        )

    def definition(self, name: str) -> bool:
        """Whether a definition is among what is asked for."""
        return self._all or not self._definitions.isdisjoint(_beginnings(name))

    def caveat(self, name: str) -> bool:
        """Whether a caveat is among what is asked for."""
        return self._all or not self._caveats.isdisjoint(_beginnings(name))

    def relation(self, type_: str, name: str) -> bool:
        """Whether a relation is among what is asked for: all are where no filter names any."""
        return _fits(type_, name, self._relations)

    def permission(self, type_: str, name: str) -> bool:
        """Whether a permission is among what is asked for: all are where no filter names any."""
        return _fits(type_, name, self._permissions)


def _beginnings(name: str) -> list[str]:
    return [name[:size] for size in range(1, len(name) + 1)]


def _members(wanted: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the beginnings of members that are asked for, by that of their definition."""
    found: dict[str, set[str]] = {}
    for definition, member in wanted:
        if member:
            found.setdefault(definition, set()).add(member)
    return found


def _fits(type_: str, name: str, wanted: Mapping[str, set[str]]) -> bool:
    beginnings = _beginnings(name)
    return not wanted or any(
        definition in wanted and not wanted[definition].isdisjoint(beginnings) for definition in _beginnings(type_)
    )


def _check(filter: pb.ReflectionSchemaFilter, index: int) -> None:
    given = {
        "definition": filter.optional_definition_name_filter,
        "caveat": filter.optional_caveat_name_filter,
        "relation": filter.optional_relation_name_filter,
        "permission": filter.optional_permission_name_filter,
    }
    problem = next((message for names, message in _RULES if all(given[name] for name in names)), "")
    for name in ("relation", "permission"):
        if not problem and given[name] and not given["definition"]:
            problem = f"{name} name match requires definition name match"
    if problem:
        shown = " ".join(f'optional_{name}_name_filter:"{value}"' for name, value in given.items() if value)
        raise InvalidFilter(f"optional_filters[{index}]: {problem}", {"filter": shown})


_EVERYTHING: Final = Filters(())


def reflected(
    schema: Schema, filters: Filters = _EVERYTHING
) -> tuple[list[pb.ReflectionDefinition], list[pb.ReflectionCaveat]]:
    """Return the definitions and the caveats of a schema, sorted by name."""
    definitions = [
        definition_message(schema.definitions[name], filters)
        for name in sorted(schema.definitions)
        if filters.definition(name)
    ]
    caveats = [caveat_message(schema.declared[name]) for name in sorted(schema.declared) if filters.caveat(name)]
    return definitions, caveats


def definition_message(definition: Definition, filters: Filters = _EVERYTHING) -> pb.ReflectionDefinition:
    """Return a definition with those of its relations and permissions that the filters leave, in text order."""
    name = definition.name
    return pb.ReflectionDefinition(
        name=name,
        comment=_comment(definition.doc),
        relations=[
            relation_message(name, each) for each in definition.relations.values() if filters.relation(name, each.name)
        ],
        permissions=[
            permission_message(name, each)
            for each in definition.permissions.values()
            if filters.permission(name, each.name)
        ],
    )


def relation_message(type_: str, relation: Relation) -> pb.ReflectionRelation:
    """Return a relation of a type."""
    kinds = dict.fromkeys(replace(kind, universal=False) for kind in relation.kinds)
    return pb.ReflectionRelation(
        name=relation.name,
        comment=_comment(relation.doc),
        parent_definition_name=type_,
        subject_types=map(type_message, kinds),
    )


def permission_message(type_: str, permission: Permission) -> pb.ReflectionPermission:
    """Return a permission of a type."""
    return pb.ReflectionPermission(name=permission.name, comment=_comment(permission.doc), parent_definition_name=type_)


def type_message(kind: SubjectKind) -> pb.ReflectionTypeReference:
    """Return a kind of subject that a relation takes."""
    message = pb.ReflectionTypeReference(subject_definition_name=kind.type, optional_caveat_name=kind.caveat)
    if kind.relation:
        message.optional_relation_name = kind.relation
    elif kind.wildcard:
        message.is_public_wildcard = True
    else:
        message.is_terminal_subject = True
    return message


def caveat_message(declared: DeclaredCaveat) -> pb.ReflectionCaveat:
    """Return a caveat, its parameters sorted by name."""
    return pb.ReflectionCaveat(
        name=declared.caveat.name,
        comment=_comment(declared.doc),
        parameters=[parameter_message(declared, name) for name in sorted(declared.caveat.parameters)],
        expression=spelled(declared.caveat.expression),
    )


def parameter_message(declared: DeclaredCaveat, name: str) -> pb.ReflectionCaveatParameter:
    """Return a parameter of a caveat."""
    return pb.ReflectionCaveatParameter(
        name=name, type=str(declared.caveat.parameters[name]), parent_caveat_name=declared.caveat.name
    )


def reference_messages(schema: Schema, members: Iterable[Member]) -> list[pb.ReflectionRelationReference]:
    """Return names with their types, and whether each is a permission."""
    return [
        pb.ReflectionRelationReference(
            definition_name=type_,
            relation_name=name,
            is_permission=not isinstance(schema.member(type_, name), Relation),
        )
        for type_, name in members
    ]


def _comment(doc: str) -> str:
    """Return a doc as SpiceDB tells it, its comments with their delimiters."""
    return "\n".join(comments(doc))

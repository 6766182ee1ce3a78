"""The meaning of a schema: every rule that needs more than one place of the text.

A definition, a relation and a permission are known everywhere, also before the line that defines them. The first
fault found is raised: SchemaParseError where SpiceDB calls it one (a definition twice), SchemaTypeError otherwise.
The rules of ladders and grants live beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, SchemaTypeError, quoted
from relgraph.rewrites import AllArrow, Arrow, Name, Span
from relgraph.schema.caveats import check_caveat_name
from relgraph.schema.grants import check_grants, grants_of
from relgraph.schema.ladders import check_ladder
from relgraph.schema.model import Definition, Permission, Relation, Schema
from relgraph.schema.names import circle, missing, unknown_type, wildcards
from relgraph.schema.reach import nodes
from relgraph.schema.tree import PermissionNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.schema.model import DeclaredCaveat
    from relgraph.schema.source import Source
    from relgraph.schema.tree import DefinitionNode, RelationNode

__all__ = ["validate"]

_TYPECHECKING: Final = "typechecking"
_TYPES_SHOWN_MAX: Final = 8


def validate(
    parsed: tuple[DefinitionNode, ...], flags: frozenset[str], caveats: Mapping[str, DeclaredCaveat], source: Source
) -> Schema:
    """Return the schema that parsed definitions and caveats make. Raises SchemaParseError or SchemaTypeError."""
    definitions: dict[str, Definition] = {}
    for node in parsed:
        if node.name in definitions:
            first = source.line_words(definitions[node.name].at)
            message = f"{quoted(node.name)} is defined twice, first {first}, rename or remove one"
            raise source.problem(SchemaParseError, message, node.at)
        definitions[node.name] = _definition(node, flags, source)
    for node in parsed:
        _check_kinds(node, definitions, caveats, source)
    wild = wildcards(definitions)
    for node in parsed:
        _check_usersets(node, wild, source)
        definition = definitions[node.name]
        for permission in definition.permissions.values():
            _check_names(definition, permission, wild, source)
        _check_aliases(definition, source)
        if node.ladders:
            check_ladder(definition, node.ladders[0], source)
        check_grants(definition, node.grants, definitions, source)
    schema = Schema(definitions, source.text, flags, caveats)
    if _TYPECHECKING in flags:
        for node in parsed:
            for declared in node.permissions:
                _check_annotation(node.name, declared, schema, source)
    return schema


def _definition(node: DefinitionNode, flags: frozenset[str], source: Source) -> Definition:
    """Return one definition, its names unique and its ladder single."""
    relations: dict[str, Relation] = {}
    permissions: dict[str, Permission] = {}
    for member in node.members:
        before = relations.get(member.name) or permissions.get(member.name)
        if before is not None:
            message = (
                f"{quoted(member.name)} stands twice in {quoted(node.name)}, first {source.line_words(before.at)}, "
                "rename or remove one"
            )
            raise source.problem(SchemaTypeError, message, member.at)
        if isinstance(member, PermissionNode):
            permissions[member.name] = _permission(member, flags)
        else:
            relations[member.name] = _relation(member, source)
    if len(node.ladders) > 1:
        first = source.line_words(node.ladders[0].at)
        message = f"{quoted(node.name)} has a `roles` line already, {first}, write one ladder"
        raise source.problem(SchemaTypeError, message, node.ladders[1].at)
    roles = tuple(rung.name for ladder in node.ladders for rung in ladder.rungs)
    grants = grants_of(node.grants, source)
    order = tuple(member.name for member in node.members)
    return Definition(node.name, relations, permissions, roles, node.at, node.doc, grants, order)


def _permission(node: PermissionNode, flags: frozenset[str]) -> Permission:
    """Return one permission; without the flag nobody checks its annotation, so nobody is shown one."""
    names = (item.name for item in node.annotation if _TYPECHECKING in flags)
    return Permission(node.name, node.rewrite, node.at, node.doc, tuple(dict.fromkeys(names)))


def _relation(node: RelationNode, source: Source) -> Relation:
    """Return one relation, its subject kinds unique."""
    kinds = {}
    for item in node.kinds:
        if item.kind in kinds:
            message = f"{quoted(str(item.kind))} stands twice in {quoted(node.name)}, remove one"
            raise source.problem(SchemaTypeError, message, item.at)
        kinds[item.kind] = item
    return Relation(node.name, tuple(kinds), node.at, node.doc)


def _check_kinds(
    node: DefinitionNode,
    definitions: Mapping[str, Definition],
    caveats: Mapping[str, DeclaredCaveat],
    source: Source,
) -> None:
    """Raise SchemaTypeError where a subject kind names a type, a relation or a caveat that does not exist."""
    for relation in node.relations:
        for item in relation.kinds:
            kind = item.kind
            target = definitions.get(kind.type)
            if target is None:
                raise source.problem(SchemaTypeError, unknown_type(kind.type, definitions), item.type_at)
            if kind.relation and target.member(kind.relation) is None:
                raise source.problem(SchemaTypeError, missing(kind.relation, target), item.relation_at)
            check_caveat_name(item, caveats, source)


def _check_usersets(node: DefinitionNode, wild: Mapping[tuple[str, str], str], source: Source) -> None:
    """Raise SchemaTypeError where a relation takes a userset of another type that contains a wildcard.

    Within one definition SpiceDB takes it, and so do its schemas: who reads the relation sees the wildcard there.
    """
    for relation in node.relations:
        for item in relation.kinds:
            wildcard = wild.get((item.kind.type, item.kind.relation))
            if wildcard is not None and item.kind.type != node.name:
                message = (
                    f"{quoted(item.kind.type + '#' + item.kind.relation)} contains a wildcard ({wildcard}), and a "
                    "wildcard cannot be reached through a userset; take the wildcard itself in "
                    f"{quoted(relation.name)}, or remove it there"
                )
                raise source.problem(SchemaTypeError, message, item.at)


def _check_names(
    definition: Definition, permission: Permission, wild: Mapping[tuple[str, str], str], source: Source
) -> None:
    """Raise SchemaTypeError where an expression names what does not exist, or an arrow starts where none can."""
    for node in nodes(permission.rewrite):
        for name in node.names():
            at = Span(node.at.line, node.at.column, len(name))
            if definition.member(name) is None:
                raise source.problem(SchemaTypeError, missing(name, definition), at)
            if not isinstance(node, Arrow | AllArrow):
                continue
            if name in definition.permissions:
                message = f"an arrow starts at a relation, and {quoted(name)} is a permission, name a relation here"
                raise source.problem(SchemaTypeError, message, at)
            wildcard = wild.get((definition.name, name))
            if wildcard is not None:
                message = (
                    f"an arrow cannot start at {quoted(name)}, which contains a wildcard ({wildcard}); "
                    "use a relation without one"
                )
                raise source.problem(SchemaTypeError, message, at)


def _check_aliases(definition: Definition, source: Source) -> None:
    """Raise SchemaTypeError where permissions are nothing but names of one another, in a circle."""
    aliases = {
        permission.name: permission.rewrite.name
        for permission in definition.permissions.values()
        if isinstance(permission.rewrite, Name)
    }
    if not any(name in aliases for name in aliases.values()):
        return
    import networkx as nx  # noqa: PLC0415  # 100 ms that only an alias of an alias pays for

    # All at once: looking for a cycle from each name in turn would walk a long chain as often as it is long.
    leans: nx.DiGraph[str] = nx.DiGraph(aliases.items())
    circles = nx.strongly_connected_components(leans)
    inside = {name for names in circles for name in names if len(names) > 1 or aliases.get(name) == name}
    first = next((name for name in aliases if name in inside), None)
    if first is not None:
        chain = {first: None}
        while (name := aliases[next(reversed(chain))]) != first:
            chain[name] = None
        message = f"{circle(chain, first, '=')} goes in a circle and grants nothing, name a relation in one of them"
        raise source.problem(SchemaTypeError, message, definition.permissions[first].at)


def _check_annotation(type_: str, permission: PermissionNode, schema: Schema, source: Source) -> None:
    """Raise SchemaTypeError where an annotation names no type, or leaves out one that could hold the permission.

    It may name more types than that: it says what callers shall be ready for. As in SpiceDB, a type counts as soon as
    the expression leads to it, be it on the right of `-`.
    """
    for item in permission.annotation:
        if item.name not in schema.definitions:
            raise source.problem(SchemaTypeError, unknown_type(item.name, schema.definitions), item.at)
    found = schema.subject_types[type_, permission.name] - {item.name for item in permission.annotation}
    if permission.annotation and found:
        shown = ", ".join(quoted(name) for name in sorted(found)[:_TYPES_SHOWN_MAX])
        message = (
            f"{quoted(permission.name)} also leads to {shown}, which its annotation leaves out, "
            f"add {quoted('| ' + min(found))} or change the expression"
        )
        raise source.problem(SchemaTypeError, message, permission.annotation[0].at)

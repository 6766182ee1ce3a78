"""The meaning of a schema: every rule that needs more than one place of the text.

A definition, a relation and a permission are known everywhere, also before the line that defines them. The first
fault found is raised: SchemaParseError where SpiceDB calls it one (a definition twice), SchemaTypeError otherwise.

Rule 1: everything is keyed by (type, relation); the same name in two definitions has nothing in common.
Rule 2: "contains a wildcard" follows relations only, as in SpiceDB: through the usersets that a relation takes, and
not into permissions. So `group#view` with a permission `view` may be taken as a subject even where `view` reaches
`user:*`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from relgraph.errors import SchemaParseError, SchemaTypeError, did_you_mean, quoted
from relgraph.rewrites import AllArrow, Arrow, Name, Span, Union
from relgraph.schema.model import Definition, Permission, Relation, Schema
from relgraph.schema.reach import nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.schema.source import Source
    from relgraph.schema.tree import DefinitionNode, FileNode, LadderNode, RelationNode

__all__ = ["validate"]

Key = tuple[str, str]


def validate(file: FileNode, source: Source) -> Schema:
    """Return the schema that a parsed text makes. Raises SchemaParseError or SchemaTypeError."""
    definitions: dict[str, Definition] = {}
    for node in file.definitions:
        if node.name in definitions:
            first = definitions[node.name].at.line
            message = f"{quoted(node.name)} is defined twice, first in line {first}, rename or remove one"
            raise source.problem(SchemaParseError, message, node.at)
        definitions[node.name] = _definition(node, source)
    for node in file.definitions:
        _check_kinds(node, definitions, source)
    wildcards = _wildcards(definitions)
    for node in file.definitions:
        _check_usersets(node, wildcards, source)
        definition = definitions[node.name]
        for permission in definition.permissions.values():
            _check_names(definition, permission, wildcards, source)
        _check_aliases(definition, source)
        if node.ladders:
            _check_ladder(definition, node.ladders[0], source)
    return Schema(definitions, source.text, file.flags)


def _definition(node: DefinitionNode, source: Source) -> Definition:
    """Return one definition, its names unique and its ladder single."""
    relations: dict[str, Relation] = {}
    permissions: dict[str, Permission] = {}
    for member in node.members:
        before = relations.get(member.name) or permissions.get(member.name)
        if before is not None:
            message = (
                f"{quoted(member.name)} stands twice in {quoted(node.name)}, first in line {before.at.line}, "
                "rename or remove one"
            )
            raise source.problem(SchemaTypeError, message, member.at)
        if isinstance(member, Permission):
            permissions[member.name] = member
        else:
            relations[member.name] = _relation(member, source)
    if len(node.ladders) > 1:
        first = node.ladders[0].at.line
        message = f"{quoted(node.name)} has a `roles` line already, in line {first}, write one ladder"
        raise source.problem(SchemaTypeError, message, node.ladders[1].at)
    roles = tuple(rung.name for ladder in node.ladders for rung in ladder.rungs)
    return Definition(node.name, relations, permissions, roles, node.at, node.doc)


def _relation(node: RelationNode, source: Source) -> Relation:
    """Return one relation, its subject kinds unique."""
    kinds = {}
    for item in node.kinds:
        if item.kind in kinds:
            message = f"{quoted(str(item.kind))} stands twice in {quoted(node.name)}, remove one"
            raise source.problem(SchemaTypeError, message, item.at)
        kinds[item.kind] = item
    return Relation(node.name, tuple(kinds), node.at, node.doc)


def _check_kinds(node: DefinitionNode, definitions: Mapping[str, Definition], source: Source) -> None:
    """Raise SchemaTypeError where a subject kind names a type or a relation that does not exist."""
    for member in node.members:
        for item in () if isinstance(member, Permission) else member.kinds:
            kind = item.kind
            target = definitions.get(kind.type)
            if target is None:
                hint = did_you_mean(kind.type, definitions)
                raise source.problem(SchemaTypeError, f"{quoted(kind.type)} is not a definition{hint}", item.type_at)
            if kind.relation and target.member(kind.relation) is None:
                message = _missing(kind.relation, target)
                raise source.problem(SchemaTypeError, message, item.relation_at)


def _missing(name: str, definition: Definition) -> str:
    """Return the text for a name that a definition does not have."""
    hint = did_you_mean(name, definition.names())
    return f"{quoted(name)} is not a relation or permission of {quoted(definition.name)}{hint}"


def _wildcards(definitions: Mapping[str, Definition]) -> dict[Key, str]:
    """Return, for each relation that contains a wildcard, the words for the one nearest to it."""
    found: dict[Key, str] = {}
    takers: dict[Key, list[Key]] = {}
    for definition in definitions.values():
        for relation in definition.relations.values():
            key = (definition.name, relation.name)
            for kind in relation.kinds:
                if kind.wildcard:
                    found.setdefault(key, f"{quoted(str(kind))} in {quoted(definition.name + '#' + relation.name)}")
                elif kind.relation in definitions[kind.type].relations:
                    takers.setdefault((kind.type, kind.relation), []).append(key)
    queue = deque(found)
    while queue:
        key = queue.popleft()
        for taker in takers.get(key, ()):
            if taker not in found:
                found[taker] = found[key]
                queue.append(taker)
    return found


def _check_usersets(node: DefinitionNode, wildcards: Mapping[Key, str], source: Source) -> None:
    """Raise SchemaTypeError where a relation takes a userset that contains a wildcard."""
    for member in node.members:
        for item in () if isinstance(member, Permission) else member.kinds:
            wildcard = wildcards.get((item.kind.type, item.kind.relation))
            if wildcard is not None:
                message = (
                    f"{quoted(item.kind.type + '#' + item.kind.relation)} contains a wildcard ({wildcard}), and a "
                    "wildcard cannot be reached through a userset; take the wildcard itself in "
                    f"{quoted(member.name)}, or remove it there"
                )
                raise source.problem(SchemaTypeError, message, item.at)


def _check_names(definition: Definition, permission: Permission, wildcards: Mapping[Key, str], source: Source) -> None:
    """Raise SchemaTypeError where an expression names what does not exist, or an arrow starts where none can."""
    for node in nodes(permission.rewrite):
        for name in node.names():
            at = Span(node.at.line, node.at.column, len(name))
            if definition.member(name) is None:
                raise source.problem(SchemaTypeError, _missing(name, definition), at)
            if not isinstance(node, Arrow | AllArrow):
                continue
            if name in definition.permissions:
                message = f"an arrow starts at a relation, and {quoted(name)} is a permission, name a relation here"
                raise source.problem(SchemaTypeError, message, at)
            wildcard = wildcards.get((definition.name, name))
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
    settled: set[str] = set()
    for start in aliases:
        chain: dict[str, None] = {}
        name = start
        while name in aliases and name not in settled and name not in chain:
            chain[name] = None
            name = aliases[name]
        if name in chain:
            members = list(chain)
            circle = " = ".join(quoted(member) for member in [*members[members.index(name) :], name])
            message = f"{circle} goes in a circle and grants nothing, name a relation in one of them"
            raise source.problem(SchemaTypeError, message, definition.permissions[name].at)
        settled.update(chain)


def _check_ladder(definition: Definition, ladder: LadderNode, source: Source) -> None:
    """Raise SchemaTypeError unless each weaker rung is a union that names the next stronger one."""
    seen: set[str] = set()
    stronger = ""
    for rung in ladder.rungs:
        if definition.member(rung.name) is None:
            raise source.problem(SchemaTypeError, _missing(rung.name, definition), rung.at)
        if rung.name in seen:
            message = f"{quoted(rung.name)} stands twice on the ladder, remove one"
            raise source.problem(SchemaTypeError, message, rung.at)
        seen.add(rung.name)
        if stronger and not _contains(definition.permissions.get(rung.name), stronger):
            message = (
                f"{quoted(rung.name)} is not a union that names {quoted(stronger)}, so the ladder would not hold; "
                f"write {quoted(f'permission {rung.name} = {stronger} + …')}"
            )
            raise source.problem(SchemaTypeError, message, rung.at)
        stronger = rung.name


def _contains(permission: Permission | None, name: str) -> bool:
    """Return whether the permission's outermost operator is a union with the bare name among its operands."""
    if permission is None or not isinstance(permission.rewrite, Union):
        return False
    return any(isinstance(operand, Name) and operand.name == name for operand in permission.rewrite.operands)

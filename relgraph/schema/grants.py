"""The rules of `use grants`: what a `grant` line may name.

A line that could never let anybody write anything, or that asks for what a subject cannot have, is refused here: an
actor would only ever be told no, and nobody why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import SchemaTypeError, did_you_mean, quoted
from relgraph.schema.model import Grant
from relgraph.schema.names import missing, unknown_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.schema.model import Definition, Relation
    from relgraph.schema.source import Source
    from relgraph.schema.tree import GrantNode, NameNode

__all__ = ["check_grants", "grants_of"]


def grants_of(nodes: tuple[GrantNode, ...], source: Source) -> tuple[Grant, ...]:
    """Return grants as the model has them. Raises SchemaTypeError where two speak of the same."""
    grants: dict[tuple[str, str], Grant] = {}
    for node in nodes:
        relation, wildcard = node.relation.name, node.wildcard.name if node.wildcard else ""
        before = grants.get((relation, wildcard))
        if before is not None:
            whose = f"{quoted(wildcard + ':*')} in {quoted(relation)}" if wildcard else quoted(relation)
            message = f"{whose} has a `grant` line already, {source.line_words(before.at)}, write one"
            raise source.problem(SchemaTypeError, message, node.relation.at)
        subject = node.subject_permission.name if node.subject_permission else ""
        grants[relation, wildcard] = Grant(relation, node.permission.name, node.relation.at, subject, wildcard)
    return tuple(grants.values())


def check_grants(
    definition: Definition, nodes: tuple[GrantNode, ...], definitions: Mapping[str, Definition], source: Source
) -> None:
    """Raise SchemaTypeError where a grant names what does not exist, or what can have no meaning there."""
    for node in nodes:
        name = node.relation.name
        if name in definition.permissions:
            message = f"{quoted(name)} is a permission, which is computed and never written, name a relation"
            raise source.problem(SchemaTypeError, message, node.relation.at)
        relation = definition.relations.get(name)
        if relation is None:
            hint = did_you_mean(name, definition.relations)
            message = f"{quoted(name)} is not a relation of {quoted(definition.name)}{hint}"
            raise source.problem(SchemaTypeError, message, node.relation.at)
        if definition.member(node.permission.name) is None:
            raise source.problem(SchemaTypeError, missing(node.permission.name, definition), node.permission.at)
        if node.wildcard is not None:
            _check_wildcard(relation, node.wildcard, definitions, source)
        else:
            _check_writable(relation, node, source)
        if node.subject_permission is not None:
            _check_subjects(relation, node.subject_permission, definitions, source)


def _check_wildcard(
    relation: Relation, wildcard: NameNode, definitions: Mapping[str, Definition], source: Source
) -> None:
    """Raise SchemaTypeError unless the relation takes the wildcard, on one object: on all, no actor writes it."""
    if wildcard.name not in definitions:
        raise source.problem(SchemaTypeError, unknown_type(wildcard.name, definitions), wildcard.at)
    if not any(kind.wildcard and kind.type == wildcard.name and not kind.universal for kind in relation.kinds):
        shown = quoted(wildcard.name + ":*")
        message = f"{quoted(relation.name)} takes no {shown} on one object, add it to the relation or remove this line"
        raise source.problem(SchemaTypeError, message, wildcard.at)


def _check_writable(relation: Relation, node: GrantNode, source: Source) -> None:
    """Raise SchemaTypeError where the relation takes nothing that a line without a wildcard lets an actor write."""
    if any(not kind.wildcard and not kind.universal for kind in relation.kinds):
        return
    wild = next((kind.type for kind in relation.kinds if kind.wildcard and not kind.universal), "")
    advice = f"write {quoted(f'grant {relation.name} to {wild}:* by {node.permission.name}')}" if wild else "remove it"
    message = (
        f"{quoted(relation.name)} takes nothing but wildcards and tuples on every object, which this line lets no "
        f"actor write; {advice}"
    )
    raise source.problem(SchemaTypeError, message, node.relation.at)


def _check_subjects(
    relation: Relation, permission: NameNode, definitions: Mapping[str, Definition], source: Source
) -> None:
    """Raise SchemaTypeError unless every type that the relation takes has the permission."""
    for kind in relation.kinds:
        target = definitions[kind.type]
        if target.member(permission.name) is None:
            hint = did_you_mean(permission.name, target.names())
            message = (
                f"{quoted(permission.name)} is not a relation or permission of {quoted(kind.type)}, which "
                f"{quoted(relation.name)} takes as well{hint}"
            )
            raise source.problem(SchemaTypeError, message, permission.at)

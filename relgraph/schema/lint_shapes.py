"""SpiceDB's own lints, by its names and with its judgement: what a name or an arrow shows by itself.

Where ours is wider, it is said beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import quoted
from relgraph.rewrites import AllArrow, Arrow, Name
from relgraph.schema.dependencies import memberships, parts
from relgraph.schema.remarks import Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.schema.model import Definition, Permission, Schema

__all__ = [
    "arrow_references_relation",
    "arrow_references_unreachable_relation",
    "arrow_walks_subject_relation",
    "permission_references_itself",
    "relation_name_references_parent",
]


def relation_name_references_parent(schema: Schema) -> Iterator[Remark]:
    """Yield relations and permissions whose name ends with their type's, as `view_document` of `document`.

    Of a type with a prefix, `acme/document`, the last part counts; SpiceDB compares all of it, and no name ends so.
    """
    for definition in schema.definitions.values():
        type_ = definition.name.rpartition("/")[2]
        for name in definition.names():
            member = definition.member(name)
            if member is None or not name.endswith(type_):
                continue
            shorter = name.removesuffix(type_).rstrip("_")
            advice = f"call it {quoted(shorter)}" if shorter else "say what the subject is to it"
            message = f"{quoted(name)} repeats the name of its type {quoted(type_)}, which is always known; {advice}"
            yield Remark(definition.name, name, message, member.at)


def permission_references_itself(schema: Schema) -> Iterator[Remark]:
    """Yield permissions whose expression names the permission itself."""
    for definition in schema.definitions.values():
        for permission in definition.permissions.values():
            for node, taken in parts(permission.rewrite):
                if isinstance(node, Name) and node.name == permission.name:
                    effect = "subtracts itself, which has no answer" if taken else "names itself, which adds nobody"
                    message = (
                        f"{quoted(permission.name)} {effect}; remove the name, or walk to another object with an arrow"
                    )
                    yield Remark(definition.name, permission.name, message, node.at)


def arrow_references_unreachable_relation(schema: Schema) -> Iterator[Remark]:
    """Yield arrows to a name that nothing they can walk to has."""
    for definition, permission, arrow in _arrows(schema):
        if not any(memberships(schema, definition, arrow)):
            types = ", ".join(quoted(type_) for type_ in _types(definition, arrow))
            message = (
                f"no type that {quoted(arrow.tupleset)} takes has {quoted(arrow.name)} ({types}), so "
                f"{quoted(arrow.text())} holds for nobody; name something that they have, or give it to them"
            )
            yield Remark(definition.name, permission.name, message, arrow.at)


def arrow_walks_subject_relation(schema: Schema) -> Iterator[Remark]:
    """Yield arrows from a relation that takes usersets: an arrow walks to the object and forgets the relation."""
    for definition, permission, arrow in _arrows(schema):
        kind = next((kind for kind in definition.relations[arrow.tupleset].kinds if kind.relation), None)
        if kind is not None:
            message = (
                f"{quoted(arrow.tupleset)} takes {quoted(f'{kind.type}#{kind.relation}')}, and "
                f"{quoted(arrow.text())} walks to the {quoted(kind.type)} whatever its {quoted(kind.relation)} says; "
                f"take the plain {quoted(kind.type)} there, or use a relation of its own for arrows"
            )
            yield Remark(definition.name, permission.name, message, arrow.at)


def arrow_references_relation(schema: Schema) -> Iterator[Remark]:
    """Yield arrows to a relation of another type: who is to be let through is that type's own affair."""
    for definition, permission, arrow in _arrows(schema):
        for type_, name in memberships(schema, definition, arrow):
            if type_ != definition.name and name in schema.definitions[type_].relations:
                message = (
                    f"{quoted(arrow.text())} reaches {quoted(f'{type_}#{name}')}, which is a relation; give "
                    f"{quoted(type_)} a permission for it and name that, so that {quoted(type_)} can change its mind"
                )
                yield Remark(definition.name, permission.name, message, arrow.at)
                break


def _arrows(schema: Schema) -> Iterator[tuple[Definition, Permission, Arrow | AllArrow]]:
    for definition in schema.definitions.values():
        for permission in definition.permissions.values():
            for node, _ in parts(permission.rewrite):
                if isinstance(node, Arrow | AllArrow):
                    yield definition, permission, node


def _types(definition: Definition, arrow: Arrow | AllArrow) -> list[str]:
    return list(dict.fromkeys(kind.type for kind in definition.relations[arrow.tupleset].kinds))

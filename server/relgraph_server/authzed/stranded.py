"""Why a schema cannot be written over what is stored, in SpiceDB's words, which name one tuple that it would strand.

SpiceDB goes through the new schema's definitions in the order of the text, and through removed ones at the end; of all
that one tuple is stranded by, the first such reason is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import SchemaOrphans
from relgraph.schema.model import SubjectKind
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.errors import RelgraphError
    from relgraph.schema import Schema
    from relgraph.schema.model import Definition

__all__ = ["stranded"]


def stranded(old: Schema, new: Schema, error: SchemaOrphans) -> RelgraphError:
    """Return the error for the tuple that `error` names, when `new` was to follow `old`."""
    fact = RelationTuple.parse(error.details["tuple"])
    for name, definition in new.definitions.items():
        found = _in(definition, old.definitions.get(name), fact)
        if found is not None:
            return _told(*found, fact)
    type_ = fact.resource.type
    message = f"cannot delete object definition `{type_}`, as at least one relationship exists under it"
    return _told(message, {"resource_type": type_, "operation": "delete_object_definition"}, fact)


def _in(definition: Definition, before: Definition | None, fact: RelationTuple) -> tuple[str, Mapping[str, str]] | None:
    """Return how what became of one definition strands a tuple, None where it does not."""
    type_, relation = fact.resource.type, fact.relation
    if definition.name == type_ and relation not in definition.relations:
        message = (
            f"cannot delete relation `{relation}` in object definition `{type_}`, as at least one relationship exists "
            "under it"
        )
        return message, {"resource_type": type_, "relation": relation, "operation": "delete_relation"}
    subject = fact.subject
    gone = before is not None and subject.relation in before.relations and subject.relation not in definition.relations
    if definition.name == subject.type and gone:
        message = (
            f"cannot delete relation `{subject.relation}` in object definition `{subject.type}`, as at least one "
            "relationship references it as part of a subject"
        )
        told = {"resource_type": subject.type, "relation": subject.relation}
        return message, {**told, "operation": "delete_relation_reverse_check"}
    kind = SubjectKind.of(fact)
    if definition.name == type_ and kind not in definition.relations[relation].kinds:
        message = (
            f"cannot remove allowed type `{kind}` from relation `{relation}` in object definition `{type_}`, as a "
            "relationship exists with it"
        )
        told = {"resource_type": type_, "relation": relation, "allowed_type": str(kind)}
        return message, {**told, "operation": "remove_allowed_type"}
    return None


def _told(message: str, metadata: Mapping[str, str], fact: RelationTuple) -> SchemaOrphans:
    return SchemaOrphans(f"{message}: {fact.told}", {**metadata, "relationship": fact.told})

"""Why a schema cannot be written over what is stored, in SpiceDB's words, which name one tuple that it would strand.

SpiceDB goes through the new schema's definitions in the order of the text: first through the relations that each lost,
then through the kinds of subjects that one takes no more; and at the end through the definitions that are gone. What
it meets first is what it tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

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
    """Return the error for one of the tuples that `error` names, when `new` was to follow `old`."""
    facts = sorted(RelationTuple.parse(text) for text in error.details["tuples"].split("\n"))
    for definition in new.definitions.values():
        for reason in (_under_relation, _in_subject, _of_kind):
            for fact in facts:
                found = reason(definition, old.definitions.get(definition.name), fact)
                if found is not None:
                    return _told(*found, fact)
    type_ = facts[0].resource.type
    message = f"cannot delete object definition `{type_}`, as at least one relationship exists under it"
    return _told(message, {"resource_type": type_, "operation": "delete_object_definition"}, facts[0])


_Reason: TypeAlias = "tuple[str, Mapping[str, str]] | None"


def _under_relation(new: Definition, old: Definition | None, fact: RelationTuple) -> _Reason:
    """Return why a tuple is stranded by the loss of its relation, None where it is not."""
    del old
    type_, relation = fact.resource.type, fact.relation
    if new.name != type_ or relation in new.relations:
        return None
    message = (
        f"cannot delete relation `{relation}` in object definition `{type_}`, as at least one relationship exists "
        "under it"
    )
    return message, {"resource_type": type_, "relation": relation, "operation": "delete_relation"}


def _in_subject(new: Definition, old: Definition | None, fact: RelationTuple) -> _Reason:
    """Return why a tuple is stranded by the loss of its subject's relation, None where it is not."""
    type_, relation = fact.subject.type, fact.subject.relation
    if new.name != type_ or old is None or relation not in old.relations or relation in new.relations:
        return None
    message = (
        f"cannot delete relation `{relation}` in object definition `{type_}`, as at least one relationship references "
        "it as part of a subject"
    )
    return message, {"resource_type": type_, "relation": relation, "operation": "delete_relation_reverse_check"}


def _of_kind(new: Definition, old: Definition | None, fact: RelationTuple) -> _Reason:
    """Return why a tuple is stranded by the loss of its kind of subject, None where it is not."""
    del old
    type_, relation, kind = fact.resource.type, fact.relation, SubjectKind.of(fact)
    if new.name != type_ or kind in new.relations[relation].kinds:
        return None
    message = (
        f"cannot remove allowed type `{kind}` from relation `{relation}` in object definition `{type_}`, as a "
        "relationship exists with it"
    )
    told = {"resource_type": type_, "relation": relation, "allowed_type": str(kind)}
    return message, {**told, "operation": "remove_allowed_type"}


def _told(message: str, metadata: Mapping[str, str], fact: RelationTuple) -> SchemaOrphans:
    return SchemaOrphans(f"{message}: {fact.told}", {**metadata, "relationship": fact.told})

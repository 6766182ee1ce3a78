"""Why a tuple or a question does not fit a schema, said so that the caller can mend it.

Whether it fits is decided in `relgraph.schema.model`; here are the words, and the guesses at what was meant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from relgraph.contexts import EMPTY
from relgraph.errors import (
    CannotUpdatePermission,
    InvalidContext,
    InvalidInput,
    RelgraphError,
    TupleNotAllowed,
    UnknownDefinition,
    UnknownRelation,
    did_you_mean,
    quoted,
)
from relgraph.tuples import Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.caveats import Caveat
    from relgraph.schema.model import Definition, Relation, Schema, SubjectKind
    from relgraph.tuples import TupleFilter

__all__ = ["check_access", "check_context", "check_filter", "check_question", "check_subject", "refusal"]

_KINDS_SHOWN_MAX: Final = 8
_LENGTH_MAX: Final = 200


def refusal(schema: Schema, tuple_: RelationTuple, given: SubjectKind) -> RelgraphError:
    """Return the error for a tuple that the schema does not admit; `details["part"]` names the part at fault.

    `given` is the kind of its subject, with the traits that the tuple has.
    """
    shown = quoted(tuple_.told, _LENGTH_MAX)
    details = {"tuple": tuple_.told}
    swapped = _swapped(schema, tuple_)
    for part, type_ in (("resource", tuple_.resource.type), ("subject", tuple_.subject.type)):
        if type_ not in schema.definitions:
            hint = did_you_mean(type_, schema.definitions)
            message = f"{shown} cannot be written: {quoted(type_)} is not a definition of the schema{hint}"
            return UnknownDefinition(message, {**details, "part": part, "definition": type_})
    definition = schema.definitions[tuple_.resource.type]
    relation = definition.relations.get(tuple_.relation)
    if relation is None:
        return _no_relation(definition, tuple_, swapped)
    subject = schema.definitions[tuple_.subject.type]
    if tuple_.subject.relation and subject.member(tuple_.subject.relation) is None:
        hint = did_you_mean(tuple_.subject.relation, subject.names())
        message = (
            f"{shown} cannot be written: {quoted(tuple_.subject.relation)} is not a relation or permission of "
            f"{quoted(subject.name)}{hint}"
        )
        where = {"part": "subject", "definition": subject.name, "relation": tuple_.subject.relation}
        return UnknownRelation(message, {**details, **where})
    problem = swapped or _not_taken(schema, relation, tuple_, given)
    details |= {"part": "subject", "definition": definition.name, "relation": relation.name, "kind": str(given)}
    return TupleNotAllowed(f"{shown} cannot be written: {problem}", details)


def check_context(caveat: Caveat, tuple_: RelationTuple) -> None:
    """Return if a tuple's context gives values to parameters of its caveat only, and each can be its parameter's.

    Raises InvalidContext, which shows no value.
    """
    shown = f"{quoted(str(replace(tuple_, caveat='', context=EMPTY)), _LENGTH_MAX)} cannot be written:"
    details = {"part": "context", "caveat": caveat.name}
    for name in tuple_.context:
        if name not in caveat.parameters:
            hint = did_you_mean(name, caveat.parameters)
            message = f"{shown} {quoted(name)} is not a parameter of the caveat {quoted(caveat.name)}{hint}"
            raise InvalidContext(message, {**details, "parameter": name})
    try:
        caveat.convert(tuple_.context)
    except InvalidContext as error:
        raise InvalidContext(f"{shown} {error.message}", {**error.details, **details}) from None


def _no_relation(definition: Definition, tuple_: RelationTuple, swapped: str) -> RelgraphError:
    """Return the error for a tuple whose relation is a permission, or nothing at all."""
    shown = quoted(tuple_.told, _LENGTH_MAX)
    details = {"tuple": tuple_.told, "definition": definition.name, "relation": tuple_.relation, "part": "relation"}
    name, type_ = quoted(tuple_.relation), quoted(definition.name)
    if tuple_.relation in definition.permissions:
        known = ", ".join(quoted(relation) for relation in list(definition.relations)[:_KINDS_SHOWN_MAX])
        advice = swapped or (f"write one of its relations: {known}" if known else f"{type_} has no relation to write")
        return CannotUpdatePermission(
            f"{shown} cannot be written: {name} is a permission of {type_}, which is computed; {advice}",
            details,
        )
    hint = f"; {swapped}" if swapped else did_you_mean(tuple_.relation, definition.relations)
    return UnknownRelation(f"{shown} cannot be written: {name} is not a relation of {type_}{hint}", details)


def _not_taken(schema: Schema, relation: Relation, tuple_: RelationTuple, given: SubjectKind) -> str:
    """Return why the relation does not take the tuple's subject, and what it takes."""
    where = quoted(f"{tuple_.resource.type}#{relation.name}")
    plain = quoted(str(replace(given, universal=False, expiration=False)))
    if given.caveat and given.caveat not in schema.caveats:
        hint = did_you_mean(given.caveat, schema.caveats)
        return f"{quoted(given.caveat)} is not a caveat of the schema{hint}"
    allow = f"or allow {quoted(str(given))} in the schema"
    if replace(given, universal=not given.universal) in relation.kinds:
        if given.universal:
            return f"{where} takes {plain} for one object only; name the object, {allow}"
        everything = quoted(f"{tuple_.resource.type}:*")
        return f"{where} takes {plain} for every object at once only; name the resource {everything}, {allow}"
    if replace(given, expiration=not given.expiration) in relation.kinds:
        if given.expiration:
            return f"{where} takes {plain} without an expiration only; leave the expiration out, {allow}"
        return f"{where} takes {plain} with an expiration only; say until when it counts, {allow}"
    others = [quoted(kind.caveat) for kind in relation.kinds if replace(kind, caveat=given.caveat) == given]
    if others and given.caveat and replace(given, caveat="") in relation.kinds:
        bare = quoted(str(replace(given, caveat="")))
        return f"{where} takes {bare} without the caveat {quoted(given.caveat)}; leave the caveat out, {allow}"
    if others:
        many = " or ".join(each for each in others[:_KINDS_SHOWN_MAX] if each != quoted(""))
        return f"{where} takes {quoted(str(replace(given, caveat='')))} with the caveat {many} only; name it, {allow}"
    kinds = [str(kind) for kind in relation.kinds]
    shown = ", ".join(quoted(kind) for kind in kinds[:_KINDS_SHOWN_MAX])
    more = f" and {len(kinds) - _KINDS_SHOWN_MAX} more" if len(kinds) > _KINDS_SHOWN_MAX else ""
    return f"{where} takes no {quoted(str(given))}, only {shown}{more}{_same_type(relation, tuple_, given)}"


def _same_type(relation: Relation, tuple_: RelationTuple, given: SubjectKind) -> str:
    """Return the subject in the one spelling that the relation takes of its type, as a question."""
    subject = tuple_.subject
    if given.wildcard:
        return ""
    spellings = {
        str(Subject(subject.type, subject.id, kind.relation))
        for kind in relation.kinds
        if replace(kind, relation=given.relation) == given
    }
    return f", did you mean {quoted(spellings.pop())}?" if len(spellings) == 1 else ""


def _swapped(schema: Schema, tuple_: RelationTuple) -> str:
    """Return a remark if the tuple would make sense with resource and subject exchanged, else an empty text."""
    resource, subject = tuple_.resource, tuple_.subject
    if subject.relation or subject.type == resource.type:
        return ""
    turned = replace(tuple_, resource=subject.object, subject=Subject(resource.type, resource.id))
    if schema.admits(turned):
        return f"resource and subject look swapped, did you mean {quoted(turned.told, _LENGTH_MAX)}?"
    own, other = _members(schema, resource.type), _members(schema, subject.type)
    if tuple_.relation in other and tuple_.relation not in own:
        return (
            f"resource and subject may be swapped, as {quoted(tuple_.relation)} belongs to {quoted(subject.type)}; "
            "write resource#relation@subject"
        )
    return ""


def _members(schema: Schema, type_: str) -> Mapping[str, object]:
    """Return a type's relations and permissions by name, empty for an unknown type."""
    definition = schema.definitions.get(type_)
    return {**definition.relations, **definition.permissions} if definition else {}


def check_subject(schema: Schema, subject: Subject) -> None:
    """Return if the type and relation of a subject exist. Raises UnknownDefinition or UnknownRelation."""
    schema.definition(subject.type)
    if subject.relation:
        schema.member(subject.type, subject.relation)


def check_question(schema: Schema, subject: Subject, name: str, resource: Object) -> None:
    """Return if the types and names of a question exist and it is not the wrong way round.

    Raises UnknownDefinition, UnknownRelation or InvalidInput. The last is raised only where the answer as asked is no
    whatever the tuples say, and would depend on them the other way round.
    """
    check_subject(schema, subject)
    ours, theirs = schema.definition(resource.type), schema.definition(subject.type)
    if ours.member(name) is None and ours is not theirs and theirs.member(name) is not None:
        raise UnknownRelation(
            f"{quoted(name)} is not a relation or permission of {quoted(resource.type)} but of {quoted(subject.type)}, "
            f"subject and resource may be swapped: {_given(subject, resource)}",
            {"definition": resource.type, "relation": name},
        )
    schema.member(resource.type, name)
    _refuse_swapped(schema, subject, resource, (name,), (name,))


def check_access(schema: Schema, subject: Subject, resource: Object) -> None:
    """Return if the types of a question for best access exist and it is not the wrong way round; raises as above."""
    check_subject(schema, subject)
    ours, theirs = schema.definition(resource.type), schema.definition(subject.type)
    # Where there is nothing to have access to, nobody is told that the question is the wrong way round.
    if ours.rungs:
        _refuse_swapped(schema, subject, resource, ours.rungs, theirs.rungs)


def _refuse_swapped(
    schema: Schema, subject: Subject, resource: Object, asked: tuple[str, ...], turned: tuple[str, ...]
) -> None:
    """Raise InvalidInput if no tuples could give the subject any of `asked`, and some could give `turned` in return."""
    reach = schema.subject_types
    if subject.relation or any(reach.could_hold(subject.type, resource.type, name) for name in asked):
        return
    if any(reach.could_hold(resource.type, subject.type, name) for name in turned):
        raise InvalidInput(
            f"a {quoted(subject.type)} can never have access to a {quoted(resource.type)} as asked, but the other way "
            f"round it could: subject and resource look swapped; {_given(subject, resource)}",
            {"subject": str(subject), "resource": str(resource), "swapped": "true"},
        )


def _given(subject: Subject, resource: Object) -> str:
    return (
        f"the subject given is {quoted(str(subject), _LENGTH_MAX)}, the resource {quoted(str(resource), _LENGTH_MAX)}"
    )


def check_filter(schema: Schema, filter_: TupleFilter) -> None:
    """Return if every type and relation that a filter names exists: a misspelt one must not select nothing.

    Raises UnknownDefinition, UnknownRelation or CannotUpdatePermission.
    """
    if filter_.resource_type is not None:
        schema.definition(filter_.resource_type)
    if filter_.subject_type is not None:
        schema.definition(filter_.subject_type)
        if filter_.subject_relation:
            schema.member(filter_.subject_type, filter_.subject_relation)
    if filter_.relation is None:
        return
    types = [filter_.resource_type] if filter_.resource_type is not None else list(schema.definitions)
    if any(filter_.relation in schema.definitions[type_].relations for type_ in types):
        return
    for type_ in types:
        if filter_.relation in schema.definitions[type_].permissions:
            raise CannotUpdatePermission(
                f"{quoted(filter_.relation)} is a permission of {quoted(type_)}, which no tuple states; "
                "filter by a relation",
                {"definition": type_, "relation": filter_.relation, "part": "filter"},
            )
    known = {name for type_ in types for name in schema.definitions[type_].relations}
    where = quoted(types[0]) if filter_.resource_type is not None else "any definition of the schema"
    raise UnknownRelation(
        f"{quoted(filter_.relation)} is not a relation of {where}{did_you_mean(filter_.relation, known)}",
        {"relation": filter_.relation},
    )

"""How a schema to compare differs from the one in force, as SpiceDB's nineteen kinds of differences.

Rule 1: a change that is none of them (of a ladder, of grants, of universal tuples) is refused by name, never left out:
an empty list says that the two schemas are the same. What came or went as a whole is told as reflection tells it.
Rule 2: the order is fixed: definitions that came, that went, caveats likewise, then what changed in each, by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1 import schema_service_pb2 as pb

from relgraph.caveats import spelled
from relgraph.errors import quoted
from relgraph.schema.printer import print_grant
from relgraph_server.authzed.nouns import inexpressible
from relgraph_server.authzed.reflection import (
    caveat_message,
    definition_message,
    parameter_message,
    permission_message,
    relation_message,
    type_message,
)
from relgraph_server.authzed.regenerate import comments, expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relgraph.schema.model import DeclaredCaveat, Definition, Relation, Schema

__all__ = ["differences"]

_Diff = pb.ReflectionSchemaDiff


def differences(old: Schema, new: Schema) -> list[pb.ReflectionSchemaDiff]:
    """Return what makes `new` of `old`. Raises Refused for what there is no message for."""
    found = list(_whole(old, new))
    for name in sorted(old.definitions):
        if name in new.definitions:
            found += _definition(old.definitions[name], new.definitions[name])
    for name in sorted(old.declared):
        if name in new.declared:
            found += _caveat(old.declared[name], new.declared[name])
    return found


def _whole(old: Schema, new: Schema) -> Iterator[_Diff]:
    """Yield the definitions and caveats that came or went."""
    for name in _missing(new.definitions, old.definitions):
        yield _Diff(definition_added=definition_message(new.definitions[name]))
    for name in _missing(old.definitions, new.definitions):
        yield _Diff(definition_removed=definition_message(old.definitions[name]))
    for name in _missing(new.declared, old.declared):
        yield _Diff(caveat_added=caveat_message(new.declared[name]))
    for name in _missing(old.declared, new.declared):
        yield _Diff(caveat_removed=caveat_message(old.declared[name]))


def _definition(old: Definition, new: Definition) -> Iterator[_Diff]:
    name = new.name
    if old.roles != new.roles:
        raise _untold(name, "the ladder of roles is another")
    if set(map(print_grant, old.grants)) != set(map(print_grant, new.grants)):
        raise _untold(name, "the grants are others")
    if comments(old.doc) != comments(new.doc):
        yield _Diff(definition_doc_comment_changed=definition_message(new))
    for each in _missing(old.relations, new.relations):
        yield _Diff(relation_removed=relation_message(name, old.relations[each]))
    for each in _missing(new.relations, old.relations):
        yield _Diff(relation_added=relation_message(name, new.relations[each]))
    for each in _missing(old.permissions, new.permissions):
        yield _Diff(permission_removed=permission_message(name, old.permissions[each]))
    for each in _missing(new.permissions, old.permissions):
        yield _Diff(permission_added=permission_message(name, new.permissions[each]))
    for each in sorted(old.permissions):
        if each in new.permissions:
            before, after = old.permissions[each], new.permissions[each]
            if expression(before.rewrite) != expression(after.rewrite):
                yield _Diff(permission_expr_changed=permission_message(name, after))
            if comments(before.doc) != comments(after.doc):
                yield _Diff(permission_doc_comment_changed=permission_message(name, after))
    for each in sorted(old.relations):
        if each in new.relations:
            yield from _relation(name, old.relations[each], new.relations[each])


def _relation(type_: str, old: Relation, new: Relation) -> Iterator[_Diff]:
    if comments(old.doc) != comments(new.doc):
        yield _Diff(relation_doc_comment_changed=relation_message(type_, new))
    if {kind for kind in old.kinds if kind.universal} != {kind for kind in new.kinds if kind.universal}:
        raise _untold(f"{type_}#{new.name}", "other universal tuples are taken")
    message = relation_message(type_, new)
    for kind in sorted(set(old.kinds) - set(new.kinds), key=str):
        change = pb.ReflectionRelationSubjectTypeChange(relation=message, changed_subject_type=type_message(kind))
        yield _Diff(relation_subject_type_removed=change)
    for kind in sorted(set(new.kinds) - set(old.kinds), key=str):
        change = pb.ReflectionRelationSubjectTypeChange(relation=message, changed_subject_type=type_message(kind))
        yield _Diff(relation_subject_type_added=change)


def _caveat(old: DeclaredCaveat, new: DeclaredCaveat) -> Iterator[_Diff]:
    if comments(old.doc) != comments(new.doc):
        yield _Diff(caveat_doc_comment_changed=caveat_message(new))
    before, after = old.caveat.parameters, new.caveat.parameters
    for name in _missing(before, after):
        yield _Diff(caveat_parameter_removed=parameter_message(old, name))
    for name in _missing(after, before):
        yield _Diff(caveat_parameter_added=parameter_message(new, name))
    for name in sorted(before):
        if name in after and after[name] != before[name]:
            change = pb.ReflectionCaveatParameterTypeChange(
                parameter=parameter_message(new, name), previous_type=str(before[name])
            )
            yield _Diff(caveat_parameter_type_changed=change)
    if spelled(old.caveat.expression) != spelled(new.caveat.expression):
        yield _Diff(caveat_expr_changed=caveat_message(new))


def _missing(left: Mapping[str, object], right: Mapping[str, object]) -> list[str]:
    """Return the names that are in the one and not in the other."""
    return sorted(left.keys() - right.keys())


def _untold(what: str, problem: str) -> Exception:
    return inexpressible(f"the two schemas differ in {quoted(what)}, where {problem}")

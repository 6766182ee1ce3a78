"""How two schemas differ: a flat list of changes, each in one place, in an order that depends on nothing else.

What tuples and questions cannot tell apart is no difference: the order of definitions, of what stands in them, of the
subject kinds of a relation and of a caveat's parameters, spacing, and `parent.any(view)` for `parent->view`.
Expressions are compared as they are built, so `a + b` and `b + a` differ: that two say the same is not always
decidable, and never obvious. Those of caveats are compared as they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import ChangeKind, SchemaChange
from relgraph.schema.caveats import print_caveat
from relgraph.schema.model import Permission
from relgraph.schema.printer import print_definition, print_grant, print_member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.schema.model import DeclaredCaveat, Definition, Grant, Relation, Schema

__all__ = ["diff"]


def diff(old: Schema, new: Schema) -> tuple[SchemaChange, ...]:
    """Return what makes `new` of `old`; empty where they say the same."""
    changes = [SchemaChange(ChangeKind.FLAG_REMOVED, "", flag, flag, "") for flag in sorted(old.flags - new.flags)]
    changes += [SchemaChange(ChangeKind.FLAG_ADDED, "", flag, "", flag) for flag in sorted(new.flags - old.flags)]
    for name in sorted({*old.declared, *new.declared}):
        changes += _caveat(name, old.declared.get(name), new.declared.get(name))
    for type_ in sorted({*old.definitions, *new.definitions}):
        before, after = old.definitions.get(type_), new.definitions.get(type_)
        if before is None:
            assert after is not None
            changes.append(SchemaChange(ChangeKind.DEFINITION_ADDED, type_, "", "", print_definition(after)))
        elif after is None:
            changes.append(SchemaChange(ChangeKind.DEFINITION_REMOVED, type_, "", print_definition(before), ""))
        else:
            changes += _definition(before, after)
    return tuple(changes)


def _caveat(name: str, old: DeclaredCaveat | None, new: DeclaredCaveat | None) -> Iterator[SchemaChange]:
    if old is None or new is None:
        before = "" if old is None else print_caveat(old.caveat)
        after = "" if new is None else print_caveat(new.caveat)
        kind = ChangeKind.CAVEAT_ADDED if old is None else ChangeKind.CAVEAT_REMOVED
        yield SchemaChange(kind, name, "", before, after)
        return
    if old.doc != new.doc:
        yield SchemaChange(ChangeKind.DOC_CHANGED, name, "", old.doc, new.doc)
    left, right = old.caveat.parameters, new.caveat.parameters
    for parameter in sorted({*left, *right}):
        before, after = str(left.get(parameter, "")), str(right.get(parameter, ""))
        if before != after:
            changed = (
                ChangeKind.CAVEAT_PARAMETER_TYPE_CHANGED if before and after else ChangeKind.CAVEAT_PARAMETER_ADDED
            )
            kind = changed if after else ChangeKind.CAVEAT_PARAMETER_REMOVED
            yield SchemaChange(kind, name, parameter, before, after)
    before, after = old.caveat.expression, new.caveat.expression
    if before != after:
        yield SchemaChange(ChangeKind.CAVEAT_EXPRESSION_CHANGED, name, "", before, after)


def _definition(old: Definition, new: Definition) -> Iterator[SchemaChange]:
    type_ = old.name
    if old.doc != new.doc:
        yield SchemaChange(ChangeKind.DOC_CHANGED, type_, "", old.doc, new.doc)
    if old.roles != new.roles:
        yield SchemaChange(ChangeKind.ROLES_CHANGED, type_, "", " > ".join(old.roles), " > ".join(new.roles))
    for name in sorted({*old.names(), *new.names()}):
        yield from _member(type_, name, old.member(name), new.member(name))
    yield from _grants(type_, old, new)


def _member(
    type_: str, name: str, old: Relation | Permission | None, new: Relation | Permission | None
) -> Iterator[SchemaChange]:
    before = "" if old is None else print_member(old)
    after = "" if new is None else print_member(new)
    if old is None or new is None:
        permission = isinstance(old or new, Permission)
        added = ChangeKind.PERMISSION_ADDED if permission else ChangeKind.RELATION_ADDED
        removed = ChangeKind.PERMISSION_REMOVED if permission else ChangeKind.RELATION_REMOVED
        yield SchemaChange(added if old is None else removed, type_, name, before, after)
        return
    if isinstance(old, Permission) and isinstance(new, Permission):
        yield from _permission(type_, old, new)
    elif isinstance(old, Permission):
        yield SchemaChange(ChangeKind.PERMISSION_BECAME_RELATION, type_, name, before, after)
    elif isinstance(new, Permission):
        yield SchemaChange(ChangeKind.RELATION_BECAME_PERMISSION, type_, name, before, after)
    else:
        for kind in old.kinds:
            if kind not in new.kinds:
                yield SchemaChange(ChangeKind.RELATION_KIND_REMOVED, type_, name, str(kind), "")
        for kind in new.kinds:
            if kind not in old.kinds:
                yield SchemaChange(ChangeKind.RELATION_KIND_ADDED, type_, name, "", str(kind))
    if old.doc != new.doc:
        yield SchemaChange(ChangeKind.DOC_CHANGED, type_, name, old.doc, new.doc)


def _permission(type_: str, old: Permission, new: Permission) -> Iterator[SchemaChange]:
    before, after = old.rewrite.text(), new.rewrite.text()
    if before != after:
        yield SchemaChange(ChangeKind.PERMISSION_EXPRESSION_CHANGED, type_, old.name, before, after)
    if set(old.annotation) != set(new.annotation):
        before, after = " | ".join(old.annotation), " | ".join(new.annotation)
        yield SchemaChange(ChangeKind.ANNOTATION_CHANGED, type_, old.name, before, after)


def _grants(type_: str, old: Definition, new: Definition) -> Iterator[SchemaChange]:
    """Yield changes of grants; a relation has one line for itself, and one more for its wildcard."""
    before, after = _by_line(old), _by_line(new)
    for relation, wildcard in sorted({*before, *after}):
        left, right = before.get((relation, wildcard), ""), after.get((relation, wildcard), "")
        if left != right:
            kind = ChangeKind.GRANT_CHANGED if left and right else ChangeKind.GRANT_ADDED
            yield SchemaChange(kind if right else ChangeKind.GRANT_REMOVED, type_, relation, left, right)


def _by_line(definition: Definition) -> dict[tuple[str, str], str]:
    def key(grant: Grant) -> tuple[str, str]:
        return grant.relation, grant.wildcard

    return {key(grant): print_grant(grant) for grant in definition.grants}

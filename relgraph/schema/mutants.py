"""Mutants: a schema with one small change in it, as somebody could make by mistake. A test notices it, or does not.

    `+`, `&` and `-` changed into one another, an operand left out, a permission that gives nobody anything
    an arrow from another relation, or to another name; `.any` and `.all` changed into one another
    a relation that everybody of a type is in; a kind of subject that is taken without its caveat

Rule 1: a mutant is a schema that could be written: what is refused when its text is read is none.
Rule 2: mutants come in text order, and two that say the same are one. One that says what the schema says is none, and
nor is leaving out a `nil` that changes nothing; whether others change any answer is for whoever asks them to find out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from relgraph.contexts import EMPTY
from relgraph.errors import SchemaParseError, SchemaTypeError, quoted
from relgraph.rewrites import AllArrow, Arrow, Exclusion, Intersection, Nil, SetOperator, Span, Union
from relgraph.schema.model import Schema, SubjectKind
from relgraph.schema.printer import print_schema
from relgraph.schema.reader import parse
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Permission, Relation

__all__ = ["Mutant", "mutants"]


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A schema with one change: what it is, in words that go on `if …`, and the place of what it changes.

    Beside the schema, some change what tuples say: `opened` is the kind of subject that everybody has become, `freed`
    the one that lost its caveat.
    """

    schema: Schema
    type: str
    name: str
    change: str
    at: Span = field(compare=False)
    opened: SubjectKind | None = None
    freed: SubjectKind | None = None

    def added(self, tuples: Iterable[RelationTuple], objects: Iterable[Object]) -> list[RelationTuple]:
        """Return the tuples that the change adds where there are these tuples, and these objects are asked about."""
        if self.opened is not None:
            everybody = Subject(self.opened.type, WILDCARD)
            named = chain(objects, (part for each in tuples for part in (each.resource, each.subject.object)))
            known = dict.fromkeys(each for each in named if each.type == self.type and each.id != WILDCARD)
            return [RelationTuple(each, self.name, everybody) for each in known]
        if self.freed is not None:
            place = (self.type, self.name)
            return [
                replace(each, caveat="", context=EMPTY)
                for each in tuples
                if (each.resource.type, each.relation) == place and SubjectKind.of(each) == self.freed
            ]
        return []


def mutants(schema: Schema) -> Iterator[Mutant]:
    """Yield all mutants of a schema, in text order."""
    plain = print_schema(schema)
    seen: set[tuple[str, str]] = {(plain, "")}
    for each in _changes(schema):
        text = print_schema(each.schema)
        # Everybody in a relation that takes everybody already says the same in the schema, and not in the tuples.
        key = text, each.change if each.opened or each.freed else ""
        if key in seen:
            continue
        seen.add(key)
        try:
            yield replace(each, schema=parse(text))
        except (SchemaParseError, SchemaTypeError):
            continue


def _changes(schema: Schema) -> Iterator[Mutant]:
    for definition in schema.definitions.values():
        for relation in definition.relations.values():
            yield from _of_relation(schema, definition, relation)
        for permission in definition.permissions.values():
            yield from _of_permission(schema, definition, permission)


def _with(schema: Schema, definition: Definition) -> Schema:
    return Schema({**schema.definitions, definition.name: definition}, "", schema.flags, schema.declared)


# --- relations -----------------------------------------------------------------------------------------------------


def _of_relation(schema: Schema, definition: Definition, relation: Relation) -> Iterator[Mutant]:
    place = f"{definition.name}#{relation.name}"

    def changed(kinds: Iterable[SubjectKind]) -> Schema:
        other = replace(relation, kinds=tuple(dict.fromkeys(kinds)))
        return _with(schema, replace(definition, relations={**definition.relations, relation.name: other}))

    for type_ in dict.fromkeys(kind.type for kind in relation.kinds if not kind.relation and not kind.wildcard):
        kind = SubjectKind(type_, wildcard=True)
        change = f"every {quoted(type_)} is in {quoted(place)}"
        schema_ = changed((*relation.kinds, kind))
        yield Mutant(schema_, definition.name, relation.name, change, relation.at, opened=kind)
    for kind in relation.kinds:
        if kind.caveat:
            free = replace(kind, caveat="")
            change = f"{quoted(place)} takes {quoted(str(free))} where it takes {quoted(str(kind))}"
            schema_ = changed(free if each == kind else each for each in relation.kinds)
            yield Mutant(schema_, definition.name, relation.name, change, relation.at, freed=kind)


# --- permissions ---------------------------------------------------------------------------------------------------


def _of_permission(schema: Schema, definition: Definition, permission: Permission) -> Iterator[Mutant]:
    place = f"{definition.name}#{permission.name}"
    agenda: list[tuple[Rewrite, tuple[int, ...]]] = [(permission.rewrite, ())]
    while agenda:
        node, path = agenda.pop()
        agenda += reversed([(child, (*path, index)) for index, child in enumerate(node.children())])
        root = not path
        for other in _instead(schema, definition, node, root=root, rung=root and permission.name in definition.roles):
            rewrite = _at(permission.rewrite, path, other)
            permissions = {**definition.permissions, permission.name: replace(permission, rewrite=rewrite)}
            change = f"{quoted(place)} says {quoted(rewrite.text(), _SHOWN)} where it says "
            change += quoted(permission.rewrite.text(), _SHOWN)
            schema_ = _with(schema, replace(definition, permissions=permissions))
            yield Mutant(schema_, definition.name, permission.name, change, node.at)


_SHOWN = 400


def _at(root: Rewrite, path: tuple[int, ...], other: Rewrite) -> Rewrite:
    """Return an expression with another node at a place."""
    if not path:
        return other
    assert isinstance(root, SetOperator)
    operands = list(root.operands)
    operands[path[0]] = _at(operands[path[0]], path[1:], other)
    return type(root)(tuple(operands), root.at)


def _instead(schema: Schema, definition: Definition, node: Rewrite, *, root: bool, rung: bool) -> Iterator[Rewrite]:
    """Yield what could stand in place of one node, which may be all of a permission, and that a rung of a ladder."""
    if root and not isinstance(node, Nil):
        yield Nil(node.at)
    if isinstance(node, SetOperator):
        yield from _operators(node)
        yield from _without(node, rung=rung)
    elif isinstance(node, Arrow | AllArrow):
        yield from _arrows(schema, definition, node)


def _operators(node: SetOperator) -> Iterator[Rewrite]:
    for other in (Union, Intersection, Exclusion):
        if other is type(node):
            continue
        if other is not Exclusion:
            yield other(node.operands, node.at)
            continue
        left = node.operands[0]
        for right in node.operands[1:]:
            left = Exclusion((left, right), node.at)
        yield left


def _without(node: SetOperator, *, rung: bool) -> Iterator[Rewrite]:
    """Yield a set operator with each operand left out in turn; nothing minus something is nothing.

    A rung of a ladder has to stay a union, if only with `nil`.
    """
    for index, operand in enumerate(node.operands):
        if isinstance(operand, Nil) and (isinstance(node, Union) or (isinstance(node, Exclusion) and index == 1)):
            continue
        if isinstance(node, Exclusion) and index == 0:
            yield Nil(node.at)
            continue
        rest = (*node.operands[:index], *node.operands[index + 1 :])
        if len(rest) == 1 and rung and isinstance(node, Union):
            rest = (*rest, Nil(node.at))
        yield rest[0] if len(rest) == 1 else type(node)(rest, node.at)


def _arrows(schema: Schema, definition: Definition, node: Arrow | AllArrow) -> Iterator[Rewrite]:
    arrow, other = (Arrow, AllArrow) if isinstance(node, Arrow) else (AllArrow, Arrow)
    yield other(node.tupleset, node.name, node.at)
    targets = [schema.definitions[type_] for type_ in _pointed_at(definition.relations[node.tupleset])]
    for name in dict.fromkeys(name for target in targets for name in target.names()):
        if name != node.name:
            yield arrow(node.tupleset, name, node.at)
    for relation in definition.relations.values():
        leads = any(schema.definitions[type_].member(node.name) for type_ in _pointed_at(relation))
        if leads and relation.name != node.tupleset:
            yield arrow(relation.name, node.name, node.at)


def _pointed_at(relation: Relation) -> Iterable[str]:
    return dict.fromkeys(kind.type for kind in relation.kinds)

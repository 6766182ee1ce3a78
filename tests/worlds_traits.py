"""What occurs in a world, by name, so that a test can say how often each thing it claims to prove was drawn at all.

*Rule 1*: nothing here decides an answer; a trait is read off schema and tuples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.oracle import (
    AllArrow,
    Arrow,
    Exclusion,
    Expression,
    Intersection,
    Name,
    Nil,
    Schema,
    Self,
    Tuple,
    Union,
    World,
    living,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

__all__ = ["TRAITS", "traits"]

_OPERATORS = {
    Union: "union",
    Intersection: "intersection",
    Exclusion: "exclusion",
    Arrow: "arrow",
    AllArrow: "all",
    Nil: "nil",
    Self: "self",
}

TRAITS = frozenset(_OPERATORS.values()) | {
    "a chain of four",
    "a cycle of tuples",
    "a diamond",
    "a ladder",
    "a stale tuple",
    "a tuple for every object",
    "a tuple that expires",
    "a userset of a permission",
    "a userset of a relation",
    "a wildcard",
    "an expired tuple",
    "expiry below all",
    "expiry excluded",
    "for every object, all of them",
    "for every object, as a tupleset",
    "recursion through all",
    "recursion through exclusion",
}
"""All traits there are."""

_Name = tuple[str, str]


class _Use(NamedTuple):
    """An expression within a permission of a type, and whether it stands on an excluded side."""

    type: str
    permission: str
    expression: Expression
    excluded: bool


def traits(world: World) -> set[str]:
    """Return which of TRAITS the world has."""
    uses = list(_uses(world.schema))
    alive = living(world, world.revision, world.now)
    found = {_OPERATORS[type(use.expression)] for use in uses if type(use.expression) in _OPERATORS}
    found |= {"a ladder" for definition in world.schema.definitions.values() if definition.roles}
    found |= {"a stale tuple" for entry in world.tuples if not world.schema.admits(entry)}
    for entry in alive:
        found.update(_of_tuple(world.schema, entry))
    found.update(_of_uses(uses, alive))
    found.update(_of_expiry(world, uses))
    found.update(_of_recursion(world.schema, uses))
    return found.union(_of_shape(alive))


def _uses(schema: Schema) -> Iterator[_Use]:
    for type_, definition in schema.definitions.items():
        for name, expression in definition.permissions.items():
            agenda = [_Use(type_, name, expression, excluded=False)]
            for use in agenda:
                yield use
                match use.expression:
                    case Union(operands) | Intersection(operands):
                        agenda += [_Use(type_, name, each, use.excluded) for each in operands]
                    case Exclusion(base, subtracted):
                        agenda += [_Use(type_, name, base, use.excluded), _Use(type_, name, subtracted, excluded=True)]


def _of_tuple(schema: Schema, entry: Tuple) -> Iterator[str]:
    if entry.subject.relation:
        is_relation = entry.subject.relation in schema.definitions[entry.subject.type].relations
        yield f"a userset of a {'relation' if is_relation else 'permission'}"
    if entry.subject.id == "*":
        yield "a wildcard"
    if entry.universal:
        yield "a tuple for every object"
    if entry.expires is not None:
        yield "a tuple that expires"


def _of_uses(uses: list[_Use], alive: tuple[Tuple, ...]) -> Iterator[str]:
    universal = {(entry.resource.type, entry.relation) for entry in alive if entry.universal}
    for use in uses:
        match use.expression:
            case Arrow(tupleset, _) if (use.type, tupleset) in universal:
                yield "for every object, as a tupleset"
            case AllArrow(tupleset, _) if (use.type, tupleset) in universal:
                yield "for every object, all of them"


def _of_expiry(world: World, uses: list[_Use]) -> Iterator[str]:
    admitted = [entry for entry in world.tuples if entry.expires is not None and world.schema.admits(entry)]
    if any(entry.expires is not None and entry.expires <= world.now for entry in admitted):
        yield "an expired tuple"
    expiring = {(entry.resource.type, entry.relation) for entry in admitted}
    for use in uses:
        match use.expression:
            case Name(name) if use.excluded and (use.type, name) in expiring:
                yield "expiry excluded"
            case AllArrow(tupleset, _) if (use.type, tupleset) in expiring:
                yield "expiry below all"


def _of_recursion(schema: Schema, uses: list[_Use]) -> Iterator[str]:
    below: dict[Hashable, set[Hashable]] = {}
    for type_, definition in schema.definitions.items():
        for relation, kinds in definition.relations.items():
            below[type_, relation] = {(kind.type, kind.relation) for kind in kinds if kind.relation}
    for use in uses:
        below.setdefault((use.type, use.permission), set()).update(_targets(schema, use))
    for use in uses:
        if use.excluded or isinstance(use.expression, AllArrow):
            here = (use.type, use.permission)
            if any(here == target or here in _reached(below, target) for target in _targets(schema, use)):
                yield "recursion through exclusion" if use.excluded else "recursion through all"


def _targets(schema: Schema, use: _Use) -> Iterator[_Name]:
    """Yield the names that an expression leads to."""
    match use.expression:
        case Name(name):
            yield use.type, name
        case Arrow(tupleset, name) | AllArrow(tupleset, name):
            kinds = schema.definitions[use.type].relations[tupleset]
            yield from ((kind.type, name) for kind in kinds if schema.has(kind.type, name))


def _of_shape(alive: tuple[Tuple, ...]) -> Iterator[str]:
    below: dict[Hashable, set[Hashable]] = {}
    for entry in alive:
        if entry.subject.id != "*":
            below.setdefault(entry.resource, set()).add(entry.subject.object)
    reached = {node: _reached(below, node) for node in below}
    if any(node in under for node, under in reached.items()):
        yield "a cycle of tuples"
    for node, onward in below.items():
        sides = [{side} | reached.get(side, set()) for side in onward - {node}]
        if any(one & other for at, one in enumerate(sides) for other in sides[:at]):
            yield "a diamond"
        if _is_long(below, (node,)):
            yield "a chain of four"


def _is_long(below: Mapping[Hashable, set[Hashable]], path: tuple[Hashable, ...]) -> bool:
    """Return whether a path can be continued to four tuples without meeting an object twice."""
    onward = below.get(path[-1], set()) - set(path)
    return len(path) == 5 or any(_is_long(below, (*path, each)) for each in onward)


def _reached(below: Mapping[Hashable, set[Hashable]], node: Hashable) -> set[Hashable]:
    """Return everything below a node; itself only where it lies on a cycle."""
    seen: set[Hashable] = set()
    agenda = [node]
    while agenda:
        fresh = below.get(agenda.pop(), set()) - seen
        seen |= fresh
        agenda.extend(fresh)
    return seen

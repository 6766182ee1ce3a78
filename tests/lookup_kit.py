"""Lookups of the engine and of the library as the oracle tells them: a verdict for everyone, and rows by id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relgraph import engine
from tests.oracle import (
    FAILED,
    NO,
    YES,
    AllArrow,
    Arrow,
    Definition,
    Name,
    Object,
    Rows,
    Schema,
    Subject,
    Tuple,
    World,
    conditional,
    define,
)
from tests.oracle import Verdict as Expected

if TYPE_CHECKING:
    import random

    from relgraph.answers import Verdict
    from relgraph.engine import Listing
    from tests.engine_worlds import EngineWorld
    from tests.oracle import Kind

__all__ = ["dense", "found_resources", "found_subjects", "plainly", "told", "widened"]


_DENSE = {
    "user": define({"boss": "user"}),
    "group": define(
        {"member": "user | group#member | group#inside", "barred": "user"},
        {"inside": Name("member") - Name("barred")},
    ),
    "doc": define(
        {
            "parent": "doc",
            "reader": "user | user:*",
            "viewer": "user | group#member | group#inside",
            "banned": "user | group#member",
        },
        {
            "view": (Name("reader") + Name("viewer") + Arrow("parent", "view")) - Name("banned"),
            "each": AllArrow("parent", "view"),
            "both": Name("view") & Name("reader"),
            "rest": Name("reader") - Name("view"),
            "chief": Arrow("viewer", "boss") + (Name("both") - Name("each")),
        },
    ),
}
"""A small schema in which most tuples matter to most names."""

_CONDITIONS = (*(YES,) * 8, NO, conditional("site"), conditional("limit"), conditional("site", "limit"), FAILED)


def told(verdict: Verdict, missing: tuple[str, ...]) -> Expected:
    """Return the oracle's word for a verdict."""
    return Expected(verdict.value, frozenset(missing))


def plainly(rows: Rows) -> Rows:
    """Return the oracle's rows without the errors behind what is undecided, which no row tells."""
    never = Expected(rows.never_named.kind, rows.never_named.missing)
    named = {id_: Expected(each.kind, each.missing) for id_, each in rows.named.items()}
    return Rows(never, {id_: each for id_, each in named.items() if each != never})


def _rows(listing: Listing) -> Rows:
    named = [(row.id, told(*row.told)) for row in listing.rows()]
    assert [id_ for id_, _ in named] == sorted({id_ for id_, _ in named}, key=str.encode)
    return Rows(told(*listing.everyone), dict(named))


def found_resources(world: EngineWorld, subject: object, type_: str, name: str) -> Rows:
    """Return what of a type the engine finds for the subject."""
    return _rows(engine.resources(world.walk(str(subject)), type_, name))


def found_subjects(world: EngineWorld, resource: object, name: str, type_: str, relation: str) -> Rows:
    """Return whom of a type, or of a relation of it, the engine finds for the resource."""
    return _rows(engine.subjects(world.world(), world.conditions, world.object(resource), name, type_, relation))


def widened(world: World, chance: random.Random) -> World:
    """Return the world with every kind of subject admitted universally too, and some tuples made universal."""
    definitions = {type_: _widened(each) for type_, each in world.schema.definitions.items()}
    tuples = [
        replace(entry, resource=Object(entry.resource.type, "*")) if chance.random() < 1 / 4 else entry
        for entry in world.tuples
    ]
    kept = {entry.key: entry for entry in tuples}
    return replace(world, schema=Schema(definitions), tuples=tuple(kept.values()))


def _both(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    return tuple(dict.fromkeys(replace(kind, universal=wide) for kind in kinds for wide in (False, True)))


def dense(chance: random.Random) -> World:
    """Return a world where much holds for everyone, and much is taken away again, some of it under conditions."""
    schema = Schema({type_: _widened(each) for type_, each in _DENSE.items()})
    conditional_too = chance.random() < 1 / 2
    found = {}
    for _ in range(chance.randint(6, 18)):
        type_ = chance.choice(("group", "doc", "doc", "user"))
        relation = chance.choice(list(schema.definitions[type_].relations))
        kind = chance.choice(schema.definitions[type_].relations[relation])
        universal = kind.universal and chance.random() < 2 / 3
        subject = Subject(kind.type, "*" if kind.wildcard else chance.choice("abc"), kind.relation)
        condition = chance.choice(_CONDITIONS) if conditional_too else YES
        entry = Tuple(Object(type_, "*" if universal else chance.choice("abc")), relation, subject, condition)
        found[entry.key] = entry
    objects = tuple(Object(type_, id_) for type_ in _DENSE for id_ in "abc")
    return World(schema, tuple(found.values()), objects=objects)


def _widened(definition: Definition) -> Definition:
    relations = {name: _both(kinds) for name, kinds in definition.relations.items()}
    return Definition(relations, definition.permissions, definition.roles)

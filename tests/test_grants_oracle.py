"""Random writes by actors against the law: whatever the schema, the tuples and the order, the same is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from relgraph.errors import AlreadyExists, NotPermitted
from relgraph.instants import moment
from relgraph.tuples import Object as RealObject
from relgraph.tuples import RelationTuple, TupleFilter
from relgraph.tuples import Subject as RealSubject
from tests.api_kit import clocked, lent
from tests.oracle import AllArrow, Arrow, Name, Object, Schema, World, define
from tests.oracle_grants import GrantJudge, Line, granting
from tests.store_kit import FakeClock
from tests.worlds import FEATURES_SERVED, tuples_of, world_text, worlds

if TYPE_CHECKING:
    import relgraph
    from tests.oracle import Tuple
    from tests.postgres_kit import Server

EXAMPLES = 3_000 if os.environ.get("RELGRAPH_LONG") else 100
# What an older schema admitted cannot be written.
FEATURES = FEATURES_SERVED - {"stale"}
# In most random schemas no right ever leans on what expires; here nearly each does, also through `-` and `.all`.
DENSE = Schema(
    {
        "user": define({}),
        "group": define({"member": "user | user with expiration | group#member"}),
        "doc": define(
            {
                "owner": "user | user with expiration | group#member | user with universal",
                "banned": "user | user with expiration",
                "parent": "doc | doc with expiration",
                "board": "group | group with expiration",
                "viewer": "user | user with expiration | user:* | group#member",
            },
            {
                "admin": Name("owner") + Arrow("parent", "admin"),
                "edit": Name("owner") - Name("banned"),
                "decide": AllArrow("board", "member"),
            },
        ),
    }
)


@st.composite
def grant_lines(draw: st.DrawFn, schema: Schema) -> list[Line]:
    """Draw the lines of a schema: for most relations one, and for most wildcards."""
    lines = []
    for type_, definition in schema.definitions.items():
        # Permissions more often: what `-` and `.all` decide is where the instants differ.
        names = [*definition.relations, *definition.permissions, *definition.permissions, *definition.permissions]
        for relation, kinds in definition.relations.items():
            writable = [kind for kind in kinds if not kind.universal]
            common = [
                name
                for name in sorted({name for kind in kinds for name in _names(schema, kind.type)})
                if all(name in _names(schema, kind.type) for kind in kinds)
            ]
            if any(not kind.wildcard for kind in writable) and draw(st.integers(0, 5)):
                subject = draw(st.sampled_from(["", "", *common]))
                lines.append(Line(type_, relation, draw(st.sampled_from(names)), subject))
            lines += [
                Line(type_, relation, draw(st.sampled_from(names)), "", wildcard)
                for wildcard in sorted({kind.type for kind in writable if kind.wildcard})
                if draw(st.booleans())
            ]
    return lines


def _names(schema: Schema, type_: str) -> list[str]:
    definition = schema.definitions[type_]
    return [*definition.relations, *definition.permissions]


def real(entry: Tuple) -> RelationTuple:
    """Return the oracle's tuple as relgraph's."""
    return RelationTuple(
        RealObject(entry.resource.type, entry.resource.id),
        entry.relation,
        RealSubject(entry.subject.type, entry.subject.id, entry.subject.relation),
        None if entry.expires is None else moment(entry.expires),
    )


def near_tuples(schema: Schema) -> st.SearchStrategy[Tuple]:
    """Draw tuples; in the dense schema of two objects a type."""
    drawn = tuples_of(schema, FEATURES)
    return drawn.map(_nearer) if schema is DENSE else drawn


def _nearer(entry: Tuple) -> Tuple:
    resource, subject = entry.resource, entry.subject
    return replace(
        entry,
        resource=Object(resource.type, resource.id.replace("c", "a")),
        subject=replace(subject, id=subject.id.replace("c", "a")),
    )


@st.composite
def dense_worlds(draw: st.DrawFn) -> World:
    """Draw many tuples of few objects, so that rights are common and expire."""
    drawn = draw(st.lists(near_tuples(DENSE), min_size=6, max_size=18))
    entries = {entry.key: entry for entry in drawn}.values()
    objects = tuple(Object(type_, id_) for type_ in ("user", "group", "doc") for id_ in "ab")
    return World(DENSE, tuple(entries), now=100, objects=objects)


@dataclass
class Model:
    """What the store must hold, beside the Authorizer that holds it."""

    authorizer: relgraph.Authorizer
    clock: FakeClock
    world: World
    lines: list[Line]

    @property
    def judge(self) -> GrantJudge:
        return GrantJudge(self.world, self.lines)

    def _living(self, entry: Tuple) -> bool:
        return entry.expires is None or self.world.now < entry.expires

    def _take(self, gone: set[object], made: list[Tuple]) -> None:
        kept = [entry for entry in self.world.tuples if entry.key not in gone]
        self.world = replace(self.world, tuples=(*kept, *made))

    def later(self, microseconds: int) -> None:
        self.clock.now += microseconds
        self.world = replace(self.world, now=self.clock.now)

    def write(self, actor: Object, touch: list[Tuple], create: list[Tuple], delete: list[Tuple]) -> None:
        """Write on behalf of an actor: exactly the tuples that the law refuses are refused."""
        judge = self.judge
        texts = [[str(real(entry)) for entry in part] for part in (touch, create, delete)]
        expected = [str(real(entry)) for entry in (*touch, *create) if not judge.may_write(actor, entry)]
        expected += [str(real(entry)) for entry in delete if not judge.may_delete(actor, entry)]
        note(f"{actor}: touch {texts[0]} create {texts[1]} delete {texts[2]}; refused: {expected}")
        living = {entry.key for entry in self.world.tuples if self._living(entry)}
        event(f"a write is {'refused' if expected else 'allowed'}")
        if expected:
            with pytest.raises(NotPermitted) as caught:
                self.authorizer.write(touch=texts[0], create=texts[1], delete=texts[2], actor=str(actor))
            assert expected == [line.split()[0] for line in caught.value.details["tuples"].splitlines()]
        elif any(entry.key in living for entry in create):
            with pytest.raises(AlreadyExists):
                self.authorizer.write(touch=texts[0], create=texts[1], delete=texts[2], actor=str(actor))
        else:
            self.authorizer.write(touch=texts[0], create=texts[1], delete=texts[2], actor=str(actor))
            self._take({entry.key for entry in (*touch, *create, *delete)}, [*touch, *create])

    def load(self, actor: Object, tuples: list[Tuple]) -> None:
        """Import on behalf of an actor."""
        expected = [str(real(entry)) for entry in tuples if not self.judge.may_write(actor, entry)]
        note(f"{actor}: load {[str(real(entry)) for entry in tuples]}; refused: {expected}")

        def load() -> None:
            self.authorizer.load(
                map(real, tuples), on_duplicate="touch", allow_universal=True, allow_wildcards=True, actor=str(actor)
            )

        if expected:
            with pytest.raises(NotPermitted) as caught:
                load()
            assert expected == [line.split()[0] for line in caught.value.details["tuples"].splitlines()]
        else:
            load()
            self._take({entry.key for entry in tuples}, tuples)

    def delete(self, actor: Object, resource: Object, relation: str) -> None:
        """Delete by filter on behalf of an actor."""
        reached = [
            entry
            for entry in self.world.tuples
            if (entry.resource, entry.relation) == (resource, relation) and self._living(entry)
        ]
        filter_ = TupleFilter(resource.type, resource.id, relation)
        allowed = self.judge.may_delete_matching(actor, resource, relation, reached)
        note(f"{actor}: delete {filter_}, {len(reached)} tuples; {allowed}")
        event(f"a delete of {min(len(reached), 2)} is {'allowed' if allowed else 'refused'}")
        if not allowed:
            with pytest.raises(NotPermitted) as caught:
                self.authorizer.delete(filter_, actor=str(actor))
            assert str(filter_) == caught.value.details["filter"]
        else:
            assert len(reached) == self.authorizer.delete(filter_, actor=str(actor)).count
            self._take({entry.key for entry in reached}, [])

    def check(self) -> None:
        """What lives is what the model says."""
        assert {str(real(entry)) for entry in self.world.tuples if self._living(entry)} == {
            str(entry) for entry in self.authorizer.read().tuples
        }

    def able(self, entry: Tuple) -> list[Object]:
        """Return some who may write a tuple: most may not, and who may is worth being asked."""
        return [actor for actor in self.world.objects if self.judge.may_write(actor, entry)][:3]


@given(st.data())
@settings(max_examples=EXAMPLES)
def test_what_an_actor_may_write_is_the_law(data: st.DataObject) -> None:
    """In any schema and state, and after any writes by any actors, the same tuples and filters are refused."""
    world = data.draw(st.one_of(dense_worlds(), dense_worlds(), worlds(FEATURES)))
    clock = FakeClock(world.now)
    with clocked(clock) as authorizer:
        _compare(data, world, clock, authorizer)


@given(data=st.data())
@settings(max_examples=EXAMPLES // 10)
def test_it_is_the_law_on_postgresql(postgres: Server, data: st.DataObject) -> None:
    """What is judged from PostgreSQL's rows is judged as from SQLite's."""
    world = data.draw(dense_worlds())
    clock = FakeClock(world.now)
    with lent(postgres, clock) as authorizer:
        _compare(data, world, clock, authorizer)


def _compare(data: st.DataObject, world: World, clock: FakeClock, authorizer: relgraph.Authorizer) -> None:
    """Put a world into a store, and draw writes by actors."""
    world = replace(world, tuples=tuple(entry for entry in world.tuples if world.schema.admits(entry)))
    lines = data.draw(grant_lines(world.schema))
    note(world_text(world))
    note(granting(world.schema, lines))
    authorizer.write_schema(granting(world.schema, lines))
    authorizer.load(map(real, world.tuples), allow_universal=True, allow_wildcards=True)
    model = Model(authorizer, clock, world, lines)
    for _ in range(data.draw(st.integers(1, 4))):
        _step(data, model)
    model.check()


def _step(data: st.DataObject, model: Model) -> None:
    """Draw one step and take it: a refusal tells of each tuple of a write, so many are judged at once."""
    schema, users = model.world.schema, [each for each in model.world.objects if each.type == "user"]
    drawn = data.draw(st.lists(near_tuples(schema), min_size=1, max_size=12))
    batch = list({entry.key: entry for entry in drawn}.values())
    actors = list(dict.fromkeys([*model.able(batch[0]), *users, data.draw(st.sampled_from(model.world.objects))]))
    match data.draw(st.sampled_from(("write", "write", "one", "load", "delete", "later"))):
        case "write":
            parts: tuple[list[Tuple], list[Tuple], list[Tuple]] = ([], [], [])
            for entry in batch:
                parts[data.draw(st.sampled_from((0, 0, 1, 2)))].append(entry)
            for actor in actors:
                model.write(actor, parts[0], parts[1], [replace(entry, expires=None) for entry in parts[2]])
        case "one":
            for actor in actors:
                model.write(actor, batch[:1], [], [])
        case "load":
            model.load(actors[0], batch[: data.draw(st.integers(1, 3))])
        case "delete":
            for actor in actors:
                model.delete(actor, batch[0].resource, batch[0].relation)
        case _:
            model.later(data.draw(st.sampled_from((1, 10, 60))))

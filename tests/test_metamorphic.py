"""Laws that hold of every world, without knowing one right answer: what must not matter does not.

Worlds are changed in ways that leave the law's answer as it was (other ids, another order, a sub-expression named, …)
and asked the same again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.engine import Walk, access, check, find_ways, valid_until
from relgraph.errors import InvalidInput, Undecided
from tests.engine_worlds import EngineWorld
from tests.expansions import members
from tests.oracle import (
    Definition,
    Exclusion,
    Expression,
    Intersection,
    Kind,
    Name,
    Object,
    Schema,
    Subject,
    Tuple,
    Union,
    World,
)
from tests.worlds import FEATURES_SERVED, Question, all_questions, questions, schema_text, world_text, worlds

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from relgraph.answers import Verdict

SERVED = worlds(FEATURES_SERVED) | worlds(FEATURES_SERVED | {"conditions"})
CHANCE = st.randoms(use_true_random=False)
_STRENGTH = {"undecided": 0, "no": 1, "conditional": 2, "yes": 3}

Answer = tuple[str, tuple[str, ...]]


def _told(verdict: Verdict, missing: tuple[str, ...]) -> Answer:
    return verdict.value, missing


def _answer(engine: EngineWorld, question: Question) -> Answer:
    return _told(*check(engine.walk(str(question.subject)), engine.object(question.resource), question.name))


def _answers(world: World, asked: list[Question]) -> dict[str, Answer]:
    """Answer the questions, one walk for each subject."""
    note(world_text(world))
    engine = EngineWorld(world)
    walks = {question.subject: engine.walk(str(question.subject)) for question in asked}
    return {q.text: _told(*check(walks[q.subject], engine.object(q.resource), q.name)) for q in asked}


def _rebuilt(schema: Schema, change: Callable[[str, str, Expression], Expression]) -> Schema:
    """Return the schema with each permission's expression changed."""
    return Schema(
        {
            type_: replace(
                definition,
                permissions={name: change(type_, name, each) for name, each in definition.permissions.items()},
            )
            for type_, definition in schema.definitions.items()
        }
    )


def _mapped(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return the expression with every sub-expression changed, the innermost first."""
    match expression:
        case Union(operands):
            return change(Union(tuple(_mapped(each, change) for each in operands)))
        case Intersection(operands):
            return change(Intersection(tuple(_mapped(each, change) for each in operands)))
        case Exclusion(base, subtracted):
            return change(Exclusion(_mapped(base, change), _mapped(subtracted, change)))
    return change(expression)


@given(world=SERVED, chance=CHANCE)
def test_other_ids_answer_alike(world: World, chance: random.Random) -> None:
    """With every id renamed, the same questions about the renamed objects have the same answers."""
    ids = sorted({o.id for o in world.objects} | {o.id for t in world.tuples for o in (t.resource, t.subject.object)})
    new = [each for each in ids if each != "*"]
    chance.shuffle(new)
    names = dict(zip([each for each in ids if each != "*"], new, strict=True)) | {"*": "*"}

    def renamed(entry: Tuple) -> Tuple:
        resource, subject = entry.resource, entry.subject
        return replace(
            entry, resource=replace(resource, id=names[resource.id]), subject=replace(subject, id=names[subject.id])
        )

    other = replace(world, tuples=tuple(map(renamed, world.tuples)))
    asked = questions(world)
    again = [
        Question(replace(q.subject, id=names[q.subject.id]), q.name, replace(q.resource, id=names[q.resource.id]))
        for q in asked
    ]
    assert list(_answers(world, asked).values()) == list(_answers(other, again).values())


@given(world=SERVED, chance=CHANCE)
def test_order_does_not_matter(world: World, chance: random.Random) -> None:
    """Tuples, definitions, relations, permissions, kinds and operands in another order give the same answers."""

    def shuffled(expression: Expression) -> Expression:
        match expression:
            case Union(operands) | Intersection(operands):
                return type(expression)(tuple(chance.sample(operands, len(operands))))
        return expression

    def reordered(definition: Definition) -> Definition:
        relations = chance.sample(list(definition.relations.items()), len(definition.relations))
        return replace(
            definition,
            relations={name: tuple(chance.sample(kinds, len(kinds))) for name, kinds in relations},
            permissions=dict(chance.sample(list(definition.permissions.items()), len(definition.permissions))),
        )

    schema = _rebuilt(world.schema, lambda _type, _name, each: _mapped(each, shuffled))
    definitions = chance.sample(list(schema.definitions.items()), len(schema.definitions))
    other = replace(
        world,
        schema=Schema({type_: reordered(definition) for type_, definition in definitions}),
        tuples=tuple(chance.sample(world.tuples, len(world.tuples))),
    )
    asked = questions(world)
    assert _answers(world, asked) == _answers(other, chance.sample(asked, len(asked)))


@given(world=SERVED, chance=CHANCE)
def test_the_same_operand_twice_is_once(world: World, chance: random.Random) -> None:
    """`a + a` and `a & a` answer as `a`, anywhere in an expression."""

    def doubled(expression: Expression) -> Expression:
        some = chance.randrange(4)
        operands = (expression, expression)
        return Union(operands) if some == 0 else Intersection(operands) if some == 1 else expression

    def change(type_: str, name: str, expression: Expression) -> Expression:
        if name in world.schema.definitions[type_].roles:
            return expression  # a rung has to keep the stronger one where it stands
        if isinstance(expression, Name):
            return Union((expression, expression))
        return _mapped(expression, doubled)

    asked = questions(world)
    assert _answers(world, asked) == _answers(replace(world, schema=_rebuilt(world.schema, change)), asked)


@given(world=SERVED, chance=CHANCE)
def test_naming_a_part_changes_nothing(world: World, chance: random.Random) -> None:
    """Sub-expressions made permissions of their own, and named instead, leave every answer as it was."""
    named: dict[str, dict[str, Expression]] = {type_: {} for type_ in world.schema.definitions}

    def change(type_: str, name: str, expression: Expression) -> Expression:
        def part(each: Expression) -> Expression:
            if isinstance(each, Name) or chance.randrange(2):
                return each
            new = f"part_{name}_{len(named[type_])}"
            named[type_][new] = each
            return Name(new)

        changed = _mapped(expression, part)
        if name in world.schema.definitions[type_].roles and isinstance(changed, Name):
            return named[type_].pop(changed.name, changed)  # the rung itself stays a union
        return changed

    schema = _rebuilt(world.schema, change)
    definitions = {
        type_: replace(definition, permissions={**definition.permissions, **named[type_]})
        for type_, definition in schema.definitions.items()
    }
    asked = questions(world)
    assert _answers(world, asked) == _answers(replace(world, schema=Schema(definitions)), asked)


@given(world=SERVED)
def test_what_is_never_read_changes_nothing(world: World) -> None:
    """A relation that no permission reads, full of tuples, and a type that nothing names, leave every answer."""
    kinds = (Kind("user"), Kind("user", wildcard=True), Kind("user", universal=True))
    unread = {
        type_: replace(definition, relations={"unread": kinds, **definition.relations})
        for type_, definition in world.schema.definitions.items()
    }
    tuples = [
        Tuple(Object(type_, resource), "unread", Subject("user", subject))
        for type_ in unread
        for resource, subject in (("a", "a"), ("b", "*"), ("zed", "b"), ("*", "a"))
    ]
    other = replace(
        world,
        schema=Schema({"stranger": Definition({"member": (Kind("user"),)}, {}), **unread}),
        tuples=(*tuples, *world.tuples),
    )
    asked = questions(world)
    assert _answers(world, asked) == _answers(other, asked)


@settings(max_examples=40)
@given(world=worlds(FEATURES_SERVED - {"stale", "expiration"}), chance=CHANCE)
def test_a_write_taken_back_was_nothing(world: World, chance: random.Random) -> None:
    """After tuples are written and deleted again, answers are those before, at the head and at their own revision."""
    asked = chance.sample(all_questions(world), 40)
    kept, taken = world.tuples[::2], world.tuples[1::2]

    def answers(authorizer: relgraph.Authorizer, consistency: relgraph.Consistency | None = None) -> list[str]:
        found = []
        for question in asked:
            try:
                found.append(authorizer.decide(question.text, consistency=consistency).verdict.value)
            except (InvalidInput, Undecided) as error:
                found.append(error.code)
        return found

    with relgraph.open("sqlite://") as authorizer:
        token = authorizer.write_schema(schema_text(world.schema)).token
        if kept:
            token = authorizer.write(create=[entry.text for entry in kept]).token
        before = answers(authorizer)
        if taken:
            between = authorizer.write(touch=[entry.text for entry in taken]).token
            full = answers(authorizer)
            authorizer.write(delete=[entry.text for entry in taken])
            assert answers(authorizer, relgraph.Consistency.at_exactly(between)) == full
        assert answers(authorizer) == answers(authorizer, relgraph.Consistency.at_exactly(token)) == before


@settings(max_examples=50)
@given(
    world=worlds(FEATURES_SERVED, tuples_max=9) | worlds(FEATURES_SERVED | {"conditions"}, tuples_max=9), chance=CHANCE
)
def test_a_way_is_enough(world: World, chance: random.Random) -> None:
    """Whatever else is taken away, with the tuples of a way the answer is at least as strong as with all."""
    note(world_text(world))
    engine = EngineWorld(world)
    for question in questions(world)[::3]:
        resource = engine.object(question.resource)
        walk = engine.walk(str(question.subject))
        verdict = check(walk, resource, question.name)[0].value
        if verdict not in ("yes", "conditional"):
            continue
        exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
        ways, _ = find_ways(walk, exhaustive, resource, question.name, engine.limits, every=True)
        for way in ways[:4]:
            needed = {str(replace(fact, expires_at=None)) for fact in way.tuples}
            some = [entry for entry in world.tuples if entry.text in needed or chance.randrange(2)]
            left = _answer(EngineWorld(replace(world, tuples=tuple(some))), question)[0]
            assert _STRENGTH[left] >= _STRENGTH[verdict], f"{question.text} by {sorted(needed)}"


@given(world=SERVED)
def test_best_access_is_rung_by_rung(world: World) -> None:
    """Best access lists what checks of each rung say: held, conditional with what is missing, undecided."""
    note(world_text(world))
    engine = EngineWorld(world)
    for subject, resource in {(q.subject, q.resource) for q in questions(world)}:
        definition = world.schema.definitions[resource.type]
        single = {name: _answer(engine, Question(subject, name, resource)) for name in definition.rungs}
        held = tuple(name for name, (verdict, _) in single.items() if verdict == "yes")
        best = access(engine.walk(str(subject)), engine.object(resource))
        assert best.held == held
        assert best.role == (held[0] if held and definition.roles else None)
        assert {each.role: each.missing for each in best.conditional} == {
            name: missing for name, (verdict, missing) in single.items() if verdict == "conditional"
        }
        assert set(best.undecided) == {name for name, (verdict, _) in single.items() if verdict == "undecided"}


@given(world=worlds(FEATURES_SERVED), chance=CHANCE)
def test_an_expansion_says_it_all(world: World, chance: random.Random) -> None:
    """Whoever evaluates an expansion with its usersets opened, and nothing else, comes to the answers of Check."""
    note(world_text(world))
    engine = EngineWorld(world)
    asked = questions(world)
    subjects = sorted({q.subject for q in asked})
    for resource, name in chance.sample(sorted({(q.resource, q.name) for q in asked}), 3):
        nodes = engine.expanded(resource, name)
        for subject in subjects:
            told = _answer(engine, Question(subject, name, resource))[0]
            assert members(nodes, str(subject)) == told, f"{resource}#{name}@{subject}"


@given(world=worlds(FEATURES_SERVED) | worlds(FEATURES_SERVED | {"conditions"}))
def test_an_answer_stays_until_it_says(world: World) -> None:
    """At every instant before `valid_until` the same question has the same answer; for ever, where there is none."""
    note(world_text(world))
    ends = sorted({entry.expires for entry in world.tuples if entry.expires is not None and entry.expires > world.now})
    if not ends:
        return
    engine = EngineWorld(world)
    later = {at: EngineWorld(replace(world, now=at)) for end in ends for at in (end - 1, end)}
    walks: dict[str, Walk] = {}
    for question in questions(world):
        walk = walks.setdefault(str(question.subject), engine.walk(str(question.subject)))
        resource = engine.object(question.resource)
        told = _told(*check(walk, resource, question.name))
        until = valid_until(walk, resource, question.name)
        for at, then in later.items():
            if until is None or at < until:
                assert _answer(then, question) == told, f"{question.text} at {at}, valid until {until}"

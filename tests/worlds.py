"""Random worlds for Hypothesis: small schemas and tuples, weighted to the shapes on which evaluators go wrong.

Here live the strategies and `schema_text`, the printer of the oracle's schemas. *Rule 1*: every schema drawn is one
that WriteSchema accepts. *Rule 2*: `features` says what may occur, so that an engine is asked only what it serves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.oracle import (
    FAILED,
    NO,
    YES,
    AllArrow,
    Arrow,
    Definition,
    Exclusion,
    Expression,
    Intersection,
    Kind,
    Name,
    Nil,
    Object,
    Schema,
    Self,
    Subject,
    Tuple,
    Union,
    Verdict,
    World,
    conditional,
)
from tests.worlds_shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CAVEATS",
    "FEATURES",
    "FEATURES_SERVED",
    "NEVER_MENTIONED",
    "Question",
    "all_questions",
    "contextual_tuples",
    "questions",
    "schema_text",
    "schemas",
    "stored_context",
    "tuples_of",
    "world_text",
    "worlds",
]

FEATURES_SERVED = frozenset(
    {"wildcards", "usersets", "universal", "roles", "arrows", "sets", "stale", "all_arrow", "nil", "self", "expiration"}
)
"""What relgraph serves, in text and in tuples."""

FEATURES = FEATURES_SERVED | {"caveats", "conditions", "history"}
"""All there is. `conditions` gives tuples conditions even without a caveat's name; `history` gives them revisions."""

CAVEATS = {"small": ("limit",), "near": ("site",), "paired": ("limit", "site")}
"""Caveats and their parameters; each parameter p is judged by `10 / p == 10`: 1 is YES, 2 is NO, 0 fails."""

NEVER_MENTIONED = "zed"
"""An id that no tuple names, for questions."""

_IDS = ("a", "b", "c")
_TYPES = ("user", "group", "folder", "doc")
_RELATIONS = ("member", "parent", "viewer", "banned")
_PERMISSIONS = ("view", "edit", "admin")
_NOW, _REVISION = 100, 10


# ---------------------------------------------------------------------------------------------------- schemas


@st.composite
def _relations(draw: st.DrawFn, names: Mapping[str, list[str]], wild: set[tuple[str, str]], type_: str,
               features: frozenset[str]) -> dict[str, tuple[Kind, ...]]:  # fmt: skip
    """Relations of one type: wildcards only where `wild`, usersets of a wild relation only in its own type."""
    relations = {}
    for name in [each for each in names[type_] if each in _RELATIONS]:
        candidates = [Kind("user"), Kind("user"), *(Kind(other) for other in names)]
        if "usersets" in features:
            pairs = [(other, member) for other, members in names.items() for member in members]
            # Of the own type a wild one may be taken, by what is wild itself and so told of as wild elsewhere.
            own = type_ if (type_, name) in wild else ""
            candidates += [
                Kind(other, member) for other, member in pairs if other == own or (other, member) not in wild
            ]
        if (type_, name) in wild:
            candidates += [Kind(other, wildcard=True) for other in names]
        chosen = draw(st.lists(st.sampled_from(candidates), min_size=1, max_size=4))
        chosen += [Kind("user", wildcard=True)] if (type_, name) in wild else []
        relations[name] = tuple(dict.fromkeys(draw(_traits(kind, features)) for kind in chosen))
    return relations


@st.composite
def _traits(draw: st.DrawFn, kind: Kind, features: frozenset[str]) -> Kind:
    """Add a caveat, expiration or universal to a kind, now and then."""

    def rarely() -> bool:
        return draw(st.integers(0, 3)) == 3

    caveat = draw(st.sampled_from(sorted(CAVEATS))) if "caveats" in features and rarely() else ""
    expiration = "expiration" in features and rarely()
    return replace(kind, caveat=caveat, expiration=expiration, universal="universal" in features and rarely())


@st.composite
def _expressions(draw: st.DrawFn, names: list[str], tuplesets: list[str], features: frozenset[str],
                 depth: int = 2) -> Expression:  # fmt: skip
    """Draw an expression over the names of one definition; recursion, also through `-`, is wanted."""
    leaves = ["name", "name", "name"]
    if tuplesets and "arrows" in features:
        leaves += ["arrow", "arrow"]
        leaves += ["all"] if "all_arrow" in features else []
    leaves += [leaf for leaf in ("nil", "self") if leaf in features]
    sets = ["union", "exclusion", "exclusion", "intersection"] if depth and "sets" in features else []
    shape = draw(st.sampled_from(leaves + sets))
    if shape in ("union", "intersection", "exclusion"):
        size = 2 if shape == "exclusion" else draw(st.integers(2, 3))
        operands = tuple(draw(_expressions(names, tuplesets, features, depth - 1)) for _ in range(size))
        if shape == "exclusion":
            return Exclusion(*operands)
        return Union(operands) if shape == "union" else Intersection(operands)
    if shape in ("arrow", "all"):
        arrow = Arrow if shape == "arrow" else AllArrow
        return arrow(draw(st.sampled_from(tuplesets)), draw(st.sampled_from([*_RELATIONS[:3], *_PERMISSIONS])))
    if shape == "name":
        return Name(draw(st.sampled_from(names)))
    return Nil() if shape == "nil" else Self()


@st.composite
def _permissions(draw: st.DrawFn, names: list[str], tuplesets: list[str],
                 features: frozenset[str]) -> tuple[dict[str, Expression], tuple[str, ...]]:  # fmt: skip
    """Permissions of one definition and its ladder; a bare name refers only backwards, so that no aliases circle."""
    permissions: dict[str, Expression] = {}
    for name in [each for each in names if each in _PERMISSIONS]:
        expression = draw(_expressions(names, tuplesets, features))
        if isinstance(expression, Name) and expression.name in _PERMISSIONS and expression.name not in permissions:
            expression = Union((expression, Name(names[0])))
        permissions[name] = expression
    roles: tuple[str, ...] = ()
    if permissions and "roles" in features and draw(st.booleans()):
        strongest = draw(st.sampled_from(names))
        weaker = [name for name in permissions if name != strongest]
        roles = (strongest, *weaker[: draw(st.integers(0, 2))])
        for stronger, rung in pairwise(roles):
            operands = [Name(stronger), permissions[rung]]
            permissions[rung] = Union(tuple(draw(st.permutations(operands))))
    return permissions, roles


@st.composite
def schemas(draw: st.DrawFn, features: frozenset[str] = FEATURES) -> Schema:
    """Draw a schema of two to four types, within the features."""
    types = _TYPES[: draw(st.integers(2, len(_TYPES)))]
    names: dict[str, list[str]] = {}
    for type_ in types:
        fewest = 0 if type_ == "user" else 1
        relations = draw(st.lists(st.sampled_from(_RELATIONS), min_size=fewest, max_size=3, unique=True))
        permissions = draw(st.lists(st.sampled_from(_PERMISSIONS), max_size=3, unique=True)) if relations else []
        names[type_] = relations + permissions
    pairs = [(type_, name) for type_, members in names.items() for name in members if name in _RELATIONS]
    wild = {pair for pair in pairs if "wildcards" in features and draw(st.integers(0, 2)) == 2}
    definitions = {}
    for type_ in types:
        tuplesets = [name for name in names[type_] if name in _RELATIONS and (type_, name) not in wild]
        relations_ = draw(_relations(names, wild, type_, features))
        permissions_, roles = draw(_permissions(names[type_], tuplesets, features))
        definitions[type_] = Definition(relations_, permissions_, roles)
    return Schema(definitions)


# ---------------------------------------------------------------------------------------------------- tuples


@st.composite
def tuples_of(draw: st.DrawFn, schema: Schema, features: frozenset[str] = FEATURES) -> Tuple:
    """Draw one tuple that the schema admits, or, as `stale`, now and then one that it does not."""
    choices = [
        (type_, relation, kind)
        for type_, definition in schema.definitions.items()
        for relation, kinds in definition.relations.items()
        for kind in kinds
    ]
    type_, relation, kind = draw(st.sampled_from(choices))
    if "stale" in features and draw(st.integers(0, 9)) == 9:
        type_ = draw(st.sampled_from(sorted(schema.definitions)))
        relation = draw(st.sampled_from((relation, relation, *_RELATIONS, *_PERMISSIONS)))
        kind = draw(_once_admitted(kind, features))
    ids = st.sampled_from(_IDS)
    return Tuple(
        Object(type_, "*" if kind.universal else draw(ids)),
        relation,
        Subject(kind.type, "*" if kind.wildcard else draw(ids), kind.relation),
        condition=draw(_conditions(kind, features)),
        caveat=kind.caveat,
        expires=draw(st.sampled_from((_NOW - 1, _NOW, _NOW + 1, _NOW + 50))) if kind.expiration else None,
    )


@st.composite
def _once_admitted(draw: st.DrawFn, kind: Kind, features: frozenset[str]) -> Kind:
    """Change one part of a kind, as if an older schema had admitted it so; never a kind that no schema admits."""
    kinds = [kind]
    if "usersets" in features:
        other = draw(st.sampled_from([*_RELATIONS, *_PERMISSIONS]))
        kinds += [replace(kind, relation=other, wildcard=False)] * 2
    if "wildcards" in features:
        kinds += [replace(kind, wildcard=not kind.wildcard, relation="")] * 2
    if "universal" in features:
        kinds += [replace(kind, universal=not kind.universal)] * 2
    if "expiration" in features:
        kinds += [replace(kind, expiration=not kind.expiration)] * 2
    return draw(st.sampled_from(kinds))


def _conditions(kind: Kind, features: frozenset[str]) -> st.SearchStrategy[Verdict]:
    """Values that the kind's caveat can take; any value without a caveat's name only under `conditions`."""
    if kind.caveat:
        names = CAVEATS[kind.caveat]
        return st.sampled_from([YES, NO, FAILED, conditional(*names), *(conditional(name) for name in names)])
    if "conditions" in features:
        some = [YES] * 9 + [NO, FAILED, conditional("limit"), conditional("site"), conditional("limit", "site")]
        return st.sampled_from(some)
    return st.just(YES)


def stored_context(entry: Tuple) -> dict[str, int]:
    """Return the context that makes the tuple's caveat (one of CAVEATS) take the tuple's condition."""
    parameters = CAVEATS[entry.caveat]
    if entry.condition.kind == "conditional":
        return {name: 1 for name in parameters if name not in entry.condition.missing}
    value = {"yes": 1, "no": 2, "failed": 0}[entry.condition.kind]
    return dict.fromkeys(parameters, value)


@st.composite
def _history(draw: st.DrawFn, entry: Tuple) -> Tuple:
    """Give a tuple a past: around the world's revision it was created, and perhaps deleted."""
    created = draw(st.sampled_from((1, 5, _REVISION, _REVISION + 1)))
    deleted = draw(st.sampled_from((None, None, _REVISION, _REVISION + 2)))
    return replace(entry, created=created, deleted=deleted if deleted and deleted > created else None)


@st.composite
def worlds(draw: st.DrawFn, features: frozenset[str] = FEATURES, tuples_max: int = 12) -> World:
    """Draw a world: every other one a known tricky shape with random tuples beside it."""
    fitting = [shape for shape in SHAPES if shape.features <= features]
    known: bool = draw(st.booleans())
    if fitting and known:
        shape = draw(st.sampled_from(fitting))
        schema, fixed = shape.schema, [t for t in shape.tuples if draw(st.integers(0, 5))]
    else:
        schema, fixed = draw(schemas(features)), []
    drawn = draw(st.lists(tuples_of(schema, features), max_size=max(0, tuples_max - len(fixed))))
    if "conditions" in features:
        fixed = [replace(t, condition=draw(_conditions(Kind(""), features))) for t in fixed]
    entries = list({entry.key: entry for entry in [*drawn, *fixed]}.values())
    if "history" in features:
        entries = [draw(_history(entry)) for entry in entries]
    else:
        entries = [replace(entry, created=1) for entry in entries]
    named = {object_ for entry in entries for object_ in (entry.resource, entry.subject.object)}
    pool = {Object(type_, id_) for type_ in schema.definitions for id_ in (*_IDS, NEVER_MENTIONED)}
    objects = sorted(object_ for object_ in named | pool if object_.id != "*" and object_.type in schema.definitions)
    return World(schema, tuple(entries), _REVISION, _NOW, tuple(objects))


@st.composite
def contextual_tuples(draw: st.DrawFn, world: World, features: frozenset[str] = FEATURES) -> tuple[Tuple, ...]:
    """Draw up to three contextual tuples, now and then with the key of a stored one."""
    drawn = draw(st.lists(tuples_of(world.schema, features), max_size=2))
    same = draw(st.lists(st.sampled_from(world.tuples), max_size=1)) if world.tuples else []
    same = [replace(entry, condition=draw(_conditions(Kind(""), features))) for entry in same if not entry.caveat]
    return tuple(dict.fromkeys(replace(entry, contextual=True, created=1, deleted=None) for entry in [*drawn, *same]))


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a world: is the subject in `resource#name`."""

    subject: Subject
    name: str
    resource: Object

    @property
    def text(self) -> str:
        """`resource#name@subject`."""
        return f"{self.resource}#{self.name}@{self.subject}"


def questions(world: World) -> list[Question]:
    """Return the questions most likely to tell evaluators apart: about plain subjects of the types that tuples name as
    subjects, and about usersets that tuples name, on every relation and permission of every object.
    """
    named = {entry.subject for entry in world.tuples if entry.subject.id != "*"}
    plain = {entry.subject.type for entry in world.tuples if not entry.subject.relation} | {"user"}
    asked = {Subject(each.type, each.id) for each in world.objects if each.type in plain}
    usersets = {each for each in named if world.schema.has(each.type, each.relation)}
    return _crossed(world, sorted(asked | usersets))


def all_questions(world: World) -> list[Question]:
    """Return every question about the world's objects, a few thousand: each plain object and each userset on all."""
    members = _members(world.schema)
    return _crossed(world, [Subject(o.type, o.id, name) for o in world.objects for name in ("", *members[o.type])])


def _members(schema: Schema) -> dict[str, tuple[str, ...]]:
    return {type_: (*each.relations, *each.permissions) for type_, each in schema.definitions.items()}


def _crossed(world: World, subjects: list[Subject]) -> list[Question]:
    members = _members(world.schema)
    return [Question(who, name, o) for who in subjects for o in world.objects for name in members[o.type]]


# ---------------------------------------------------------------------------------------------------- text


def schema_text(schema: Schema) -> str:
    """Return the schema in SpiceDB's language with relgraph's words, every nested set operator in parentheses."""
    definitions = schema.definitions.values()
    kinds = [kind for each in definitions for admitted in each.relations.values() for kind in admitted]
    lines = ["use roles"] if any(each.roles for each in definitions) else []
    lines += ["use universal"] if any(kind.universal for kind in kinds) else []
    lines += ["use expiration"] if any(kind.expiration for kind in kinds) else []
    bodies = "\n".join(_definition_text(type_, each) for type_, each in schema.definitions.items())
    used_self = any(_uses_self(expression) for each in definitions for expression in each.permissions.values())
    lines += ["use self"] if used_self else []
    for name in sorted({kind.caveat for kind in kinds} - {""}):
        parameters = ", ".join(f"{parameter} int" for parameter in CAVEATS[name])
        judged = " && ".join(f"10 / {parameter} == 10" for parameter in CAVEATS[name])
        lines.append(f"caveat {name}({parameters}) {{\n  {judged}\n}}")
    return "\n".join([*lines, bodies])


def world_text(world: World) -> str:
    """Return schema and tuples as one reads them, for a failing example's note."""
    rows = [f"{t.text}  {t.condition.kind} {sorted(t.condition.missing)} {t.caveat} {t.expires}" for t in world.tuples]
    return "\n".join([schema_text(world.schema), *rows])


def _definition_text(type_: str, definition: Definition) -> str:
    lines = [f"  relation {name}: {' | '.join(map(str, kinds))}" for name, kinds in definition.relations.items()]
    lines += [f"  permission {name} = {_text(each)}" for name, each in definition.permissions.items()]
    lines += [f"  roles {' > '.join(definition.roles)}"] if definition.roles else []
    return "\n".join([f"definition {type_} {{", *lines, "}"])


def _operands(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Union(operands) | Intersection(operands):
            return operands
        case Exclusion(base, subtracted):
            return base, subtracted
    return ()


def _uses_self(expression: Expression) -> bool:
    return isinstance(expression, Self) or any(_uses_self(operand) for operand in _operands(expression))


def _text(expression: Expression) -> str:
    match expression:
        case Name(name):
            return name
        case Nil():
            return "nil"
        case Self():
            return "self"
        case Arrow(tupleset, name):
            return f"{tupleset}->{name}"
        case AllArrow(tupleset, name):
            return f"{tupleset}.all({name})"
    operands = _operands(expression)
    symbol = {Union: " + ", Intersection: " & ", Exclusion: " - "}[type(expression)]
    return symbol.join(f"({_text(each)})" if _operands(each) else _text(each) for each in operands)

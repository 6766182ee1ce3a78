"""The oracle's nouns: objects, subjects, tuples with three-valued conditions, a schema tree, and what is living.

*Rule 1*: nothing is imported from relgraph, so that no mistake can be shared. The evaluation lives in `oracle.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "FAILED",
    "NO",
    "UNDECIDED",
    "YES",
    "AllArrow",
    "Arrow",
    "Definition",
    "Exclusion",
    "Expression",
    "Intersection",
    "Kind",
    "Name",
    "Nil",
    "Object",
    "Schema",
    "Self",
    "Subject",
    "Tuple",
    "Union",
    "Verdict",
    "World",
    "conditional",
    "define",
    "kinds_of",
    "living",
    "object_of",
    "subject_of",
    "tuple_of",
]


# ---------------------------------------------------------------------------------------------------- nouns


@dataclass(frozen=True, slots=True, order=True)
class Object:
    """`type:id`; as the resource of a tuple the id `*` is every object of the type."""

    type: str
    id: str

    def __str__(self) -> str:
        """Return `type:id`."""
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """`type:id` or `type:id#relation`; in a tuple the id `*` is every plain object of the type."""

    type: str
    id: str
    relation: str = ""

    @property
    def object(self) -> Object:
        """The object named, without the relation."""
        return Object(self.type, self.id)

    def __str__(self) -> str:
        """Return `type:id` or `type:id#relation`."""
        return f"{self.type}:{self.id}" + (f"#{self.relation}" if self.relation else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer (`no`, `conditional`, `yes`, `undecided`), or a condition's value, which may also be `failed`.

    `missing` is filled for `conditional` only. `error` is the key of the first failed tuple that left an `undecided`
    answer open; empty when the rules themselves did.
    """

    kind: str
    missing: frozenset[str] = frozenset()
    error: str = ""


NO, YES, UNDECIDED, FAILED = Verdict("no"), Verdict("yes"), Verdict("undecided"), Verdict("failed")


def conditional(*missing: str) -> Verdict:
    """Return CONDITIONAL with the names that are missing."""
    return Verdict("conditional", frozenset(missing))


@dataclass(frozen=True, slots=True)
class Tuple:
    """A relation tuple as stored (or contextual), with its condition already evaluated to a value.

    `caveat` is the caveat's name, which matters only for admission; `expires`, `created` and `deleted` are an instant
    and revisions. A contextual tuple has no history.
    """

    resource: Object
    relation: str
    subject: Subject
    condition: Verdict = YES
    caveat: str = ""
    expires: int | None = None
    created: int = 1
    deleted: int | None = None
    contextual: bool = False

    @property
    def key(self) -> tuple[Object, str, Subject]:
        """What identifies a stored tuple, and orders tuples."""
        return self.resource, self.relation, self.subject

    @property
    def text(self) -> str:
        """`resource#relation@subject`."""
        return f"{self.resource}#{self.relation}@{self.subject}"

    @property
    def universal(self) -> bool:
        """Whether the tuple counts for every object of its resource's type."""
        return self.resource.id == "*"


# ---------------------------------------------------------------------------------------------------- schema


class Expression:
    """A permission's expression; `+`, `&` and `-` build the set operators, chained `+` and `&` one of many operands."""

    __slots__ = ()

    def __add__(self, other: Expression) -> Expression:
        """Return the union of two expressions."""
        return Union((*(self.operands if isinstance(self, Union) else (self,)), other))

    def __and__(self, other: Expression) -> Expression:
        """Return the intersection of two expressions."""
        return Intersection((*(self.operands if isinstance(self, Intersection) else (self,)), other))

    def __sub__(self, other: Expression) -> Expression:
        """Return the first expression without the second."""
        return Exclusion(self, other)


@dataclass(frozen=True, slots=True)
class Name(Expression):
    """Membership in a relation or permission of the same object."""

    name: str


@dataclass(frozen=True, slots=True)
class Nil(Expression):
    """Nobody."""


@dataclass(frozen=True, slots=True)
class Self(Expression):
    """The very object, as a subject."""


@dataclass(frozen=True, slots=True)
class Union(Expression):
    """The strongest of the operands."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Intersection(Expression):
    """The weakest of the operands."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Exclusion(Expression):
    """`base` and not `subtracted`."""

    base: Expression
    subtracted: Expression


@dataclass(frozen=True, slots=True)
class Arrow(Expression):
    """`tupleset->name`: the strongest over the tupleset's tuples."""

    tupleset: str
    name: str


@dataclass(frozen=True, slots=True)
class AllArrow(Expression):
    """`tupleset.all(name)`: at least one tuple, and the weakest over all of them."""

    tupleset: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """One kind of subject that a relation admits: all six parts must match a tuple exactly."""

    type: str
    relation: str = ""
    wildcard: bool = False
    caveat: str = ""
    expiration: bool = False
    universal: bool = False

    def __str__(self) -> str:
        """Return the kind as the schema language writes it."""
        head = self.type + (":*" if self.wildcard else "") + (f"#{self.relation}" if self.relation else "")
        flags = (self.caveat, "expiration" if self.expiration else "", "universal" if self.universal else "")
        traits = " and ".join(flag for flag in flags if flag)
        return f"{head} with {traits}" if traits else head


@dataclass(frozen=True, slots=True)
class Definition:
    """Relations with the kinds they admit, permissions, and the ladder (strongest first; empty without one)."""

    relations: Mapping[str, tuple[Kind, ...]]
    permissions: Mapping[str, Expression]
    roles: tuple[str, ...] = ()

    @property
    def rungs(self) -> tuple[str, ...]:
        """What best access asks about: the ladder, or all permissions where there is none."""
        return self.roles or tuple(self.permissions)


@dataclass(frozen=True, slots=True)
class Schema:
    """Definitions by type; presumed to be one that WriteSchema accepts."""

    definitions: Mapping[str, Definition]

    def has(self, type_: str, name: str) -> bool:
        """Say whether the type exists and has a relation or permission of that name."""
        definition = self.definitions.get(type_)
        return definition is not None and (name in definition.relations or name in definition.permissions)

    def admits(self, entry: Tuple) -> bool:
        """Say whether the tuple is admitted as it stands: relation, subject kind, caveat, expiration, universal."""
        definition = self.definitions.get(entry.resource.type)
        subject = entry.subject
        kind = Kind(
            subject.type, subject.relation, subject.id == "*", entry.caveat, entry.expires is not None, entry.universal
        )
        return definition is not None and kind in definition.relations.get(entry.relation, ())


@dataclass(frozen=True, slots=True)
class World:
    """A schema, all tuples ever, and the revision and instant at which questions are asked.

    `objects` are ids that questions may name, mentioned or not; `later` are schemas written after the first, each with
    the revision from which it holds, in order.
    """

    schema: Schema
    tuples: tuple[Tuple, ...]
    revision: int = 1
    now: int = 0
    objects: tuple[Object, ...] = ()
    later: tuple[tuple[int, Schema], ...] = ()

    def schema_at(self, revision: int) -> Schema:
        """Return the schema that holds at a revision."""
        return [self.schema, *(schema for since, schema in self.later if since <= revision)][-1]


def object_of(text: str) -> Object:
    """Read `type:id`."""
    type_, _, id_ = text.partition(":")
    return Object(type_, id_)


def subject_of(text: str) -> Subject:
    """Read `type:id` or `type:id#relation`."""
    head, _, relation = text.partition("#")
    type_, _, id_ = head.partition(":")
    return Subject(type_, id_, relation)


def tuple_of(text: str, condition: Verdict = YES, *, caveat: str = "", expires: int | None = None) -> Tuple:
    """Read `resource#relation@subject`; condition, caveat and expiry stand beside it."""
    left, _, subject = text.partition("@")
    resource, _, relation = left.partition("#")
    return Tuple(object_of(resource), relation, subject_of(subject), condition, caveat, expires)


def kinds_of(text: str) -> tuple[Kind, ...]:
    """Read `user | group#member with universal` as the schema language writes it."""
    kinds = []
    for part in text.split("|"):
        head, _, traits = part.strip().partition(" with ")
        flags = traits.split(" and ") if traits else []
        caveats = [flag for flag in flags if flag not in ("expiration", "universal")]
        name, _, relation = head.partition("#")
        kinds.append(
            Kind(
                name.removesuffix(":*"), relation, name.endswith(":*"), "".join(caveats), "expiration" in flags,
                "universal" in flags,
            )
        )  # fmt: skip
    return tuple(kinds)


def define(
    relations: Mapping[str, str], permissions: Mapping[str, Expression] | None = None, roles: str = ""
) -> Definition:
    """Build a definition from kinds as text, expressions, and a ladder as text (`administer > manage`)."""
    ladder = tuple(rung.strip() for rung in roles.split(">") if rung.strip())
    return Definition({name: kinds_of(kinds) for name, kinds in relations.items()}, permissions or {}, ladder)


def living(world: World, revision: int, now: int, contextual: Iterable[Tuple] = ()) -> tuple[Tuple, ...]:
    """Return the tuples that count at a revision and an instant, contextual ones included, each once."""
    schema = world.schema_at(revision)
    stored = (t for t in world.tuples if t.created <= revision and (t.deleted is None or t.deleted > revision))
    counted = (t for t in chain(stored, contextual) if schema.admits(t) and (t.expires is None or now < t.expires))
    return tuple(dict.fromkeys(counted))

"""The nouns: objects, subjects, relation tuples and filters, as text both ways.

    report:q3                                      an object
    user:anna   group:board#member   user:*        subjects: plain, userset, wildcard
    report:q3#administrator@group:board#member     a relation tuple
    report:*#administrator@group:root#member       a universal tuple: it counts for every report
    report:q3#viewer@user:anna[expiration:2027-01-31T12:00:00Z]    a tuple that counts until then
    report:q3#viewer@user:anna[nearby:{"site":"north"}]            one that counts where a caveat says so

Patterns and sizes are SpiceDB's. Ids are compared byte for byte: nothing is folded, trimmed or normalised.
Whether a schema admits a tuple is decided elsewhere (`relgraph.schema`); here only its spelling counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache, total_ordering
from typing import TYPE_CHECKING, Self

from relgraph.contexts import EMPTY, Context
from relgraph.errors import (
    InvalidFilter,
    InvalidId,
    InvalidInput,
    InvalidName,
    InvalidTuple,
    at_index,
    quoted,
    without_context,
)
from relgraph.instants import instant_of, instant_text, moment, parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = [
    "WILDCARD",
    "Object",
    "Precondition",
    "Question",
    "RelationTuple",
    "Subject",
    "TupleFilter",
    "check_caveat",
    "check_id",
    "check_relation",
    "check_type",
    "must_exist",
    "must_not_exist",
    "question_of",
    "questions_of",
    "split_traits",
]

WILDCARD = "*"
TYPE_SIZE_MAX = 128
RELATION_SIZE_MAX = 64
ID_SIZE_MAX = 1024

_TYPE = re.compile(r"([a-z][a-z0-9_]{1,61}[a-z0-9]/)*[a-z][a-z0-9_]{1,62}[a-z0-9]")
_RELATION = re.compile(r"[a-z][a-z0-9_]{1,62}[a-z0-9]")
_CAVEAT = re.compile(r"[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*")
_ID = re.compile(r"[a-zA-Z0-9/_|\-=+]+")
_ID_STRANGER = re.compile(r"[^a-zA-Z0-9/_|\-=+]")


# An import asks for the same few names a million times.
@lru_cache(maxsize=4096)
def check_type(name: str) -> str:
    """Return `name` if it can name a type, else raise InvalidName."""
    if len(name) > TYPE_SIZE_MAX or not _TYPE.fullmatch(name):
        raise InvalidName(
            f"{quoted(name)} cannot name a type; use 3 to 64 of a-z, 0-9 and _ for each part between slashes, "
            f"starting with a letter and not ending with _, at most {TYPE_SIZE_MAX} in all",
            {"name": without_context(name)},
        )
    return name


@lru_cache(maxsize=4096)
def check_caveat(name: str) -> str:
    """Return `name` if it can name a caveat, as freely as SpiceDB's may, else raise InvalidName."""
    if len(name) > TYPE_SIZE_MAX or not _CAVEAT.fullmatch(name):
        raise InvalidName(
            f"{quoted(name)} cannot name a caveat; use letters, digits, _ and / between them, at most {TYPE_SIZE_MAX}",
            {"name": without_context(name)},
        )
    return name


@lru_cache(maxsize=4096)
def check_relation(name: str) -> str:
    """Return `name` if it can name a relation or permission, else raise InvalidName."""
    if len(name) > RELATION_SIZE_MAX or not _RELATION.fullmatch(name):
        raise InvalidName(
            f"{quoted(name)} cannot name a relation or permission; use 3 to {RELATION_SIZE_MAX} of a-z, 0-9 and _, "
            "starting with a letter and not ending with _",
            {"name": without_context(name)},
        )
    return name


def check_id(text: str) -> str:
    """Return `text` if it is an object id (`*` is not), else raise InvalidId naming the first stranger."""
    if _ID.fullmatch(text) and len(text) <= ID_SIZE_MAX:
        return text
    if not text:
        raise InvalidId("an object id is empty; write at least one character after `:`", {"id": ""})
    if len(text) > ID_SIZE_MAX:
        raise InvalidId(
            f"the object id {quoted(text, 24)} has {len(text)} characters; at most {ID_SIZE_MAX} are allowed",
            {"id": without_context(text)[:ID_SIZE_MAX]},
        )
    stranger = _ID_STRANGER.search(text)
    shown = quoted(stranger.group()) if stranger else quoted(text)
    raise InvalidId(
        f"the object id {quoted(text)} holds {shown}, which is not allowed; allowed are letters a-z and A-Z, digits "
        "and / _ | - = + (an e-mail address, for instance, must be encoded first)",
        {"id": without_context(text)},
    )


@dataclass(frozen=True, slots=True, order=True)
class Object:
    """`type:id`. The id `*` stands for every object of the type, only where the constructor's caller allows it."""

    type: str
    id: str

    @classmethod
    def parse(cls, text: str, *, wildcard: bool = False) -> Object:
        """Read `type:id`; `type:*` only with `wildcard`. Raises InvalidTuple, InvalidName or InvalidId."""
        type_, colon, id_ = text.partition(":")
        if not colon:
            raise InvalidTuple(
                f"{quoted(text)} is not an object; write type:id, as in `report:q3`", {"text": without_context(text)}
            )
        if "#" in type_ or "@" in type_:
            raise InvalidTuple(
                f"{quoted(text)} is not an object; write type:id, as in `report:q3`", {"text": without_context(text)}
            )
        check_type(type_)
        if id_ == WILDCARD:
            if not wildcard:
                raise InvalidTuple(
                    f"{quoted(text)} names every object of its type; name one object here",
                    {"text": without_context(text)},
                )
            return cls(type_, id_)
        if "#" in id_:
            raise InvalidTuple(
                f"{quoted(text)} has a relation where a plain object belongs; write type:id without `#`",
                {"text": without_context(text)},
            )
        check_id(id_)
        return cls(type_, id_)

    @classmethod
    def of(cls, value: str | Object) -> Object:
        """Return one concrete object from its text or from parts, which are checked and never read as text."""
        return cls.parse(value) if isinstance(value, str) else value.check()

    def check(self, *, wildcard: bool = False) -> Self:
        """Return this object if `parse` could have made it, else raise as `parse` does."""
        check_type(self.type)
        if self.id != WILDCARD:
            check_id(self.id)
        elif not wildcard:
            raise InvalidTuple(f"{quoted(str(self))} names every object of its type; name one object here")
        return self

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """`type:id`, `type:id#relation` (a userset) or `type:*` (a wildcard: every plain object of the type)."""

    type: str
    id: str
    relation: str = ""

    @classmethod
    def parse(cls, text: str, *, wildcard: bool = False) -> Subject:
        """Read a subject; `type:*` only with `wildcard`. Raises InvalidTuple, InvalidName or InvalidId."""
        head, hash_, relation = text.partition("#")
        if hash_ and relation == "...":
            hash_, relation = "", ""
        object_ = Object.parse(head, wildcard=wildcard)
        if hash_:
            check_relation(relation)
            if object_.id == WILDCARD:
                raise InvalidTuple(
                    f"{quoted(text)} is a wildcard with a relation; a wildcard covers plain objects only, "
                    f"write {quoted(head)}",
                    {"text": without_context(text)},
                )
        return cls(object_.type, object_.id, relation)

    @classmethod
    def of(cls, value: str | Subject) -> Subject:
        """Return one concrete subject from its text or from parts, which are checked and never read as text."""
        return cls.parse(value) if isinstance(value, str) else value.check()

    def check(self, *, wildcard: bool = False) -> Self:
        """Return this subject if `parse` could have made it, else raise as `parse` does."""
        self.object.check(wildcard=wildcard)
        if self.relation:
            check_relation(self.relation)
            if self.id == WILDCARD:
                raise InvalidTuple(
                    f"{quoted(str(self))} is a wildcard with a relation; a wildcard covers plain objects"
                )
        return self

    @property
    def object(self) -> Object:
        """The object part, without the relation."""
        return Object(self.type, self.id)

    def __str__(self) -> str:
        return f"{self.type}:{self.id}#{self.relation}" if self.relation else f"{self.type}:{self.id}"


@total_ordering
@dataclass(frozen=True, slots=True)
class RelationTuple:
    """`resource#relation@subject`; universal when the resource id is `*`. Counts until `expires_at`, if that is set.

    With a `caveat`, it counts where that one holds, given what `context` says. Ordered by its `key`, then by when it
    expires, those that never do last, then by caveat and context. `expires_at` is kept in UTC, to the microsecond.
    """

    resource: Object
    relation: str
    subject: Subject
    expires_at: datetime | None = None
    caveat: str = ""
    context: Context = EMPTY

    def __post_init__(self) -> None:
        # One instant and one context have many spellings; tuples that say the same must compare equal.
        if self.expires_at is not None:
            object.__setattr__(self, "expires_at", moment(instant_of(self.expires_at)))
        if type(self.context) is not Context:
            object.__setattr__(self, "context", Context.of(self.context))

    def __lt__(self, other: RelationTuple) -> bool:
        if self.key != other.key:
            return self.key < other.key
        if self.expires != other.expires:
            if self.expires is None or other.expires is None:
                return other.expires is None
            return self.expires < other.expires
        return (self.caveat, str(self.context)) < (other.caveat, str(other.context))

    @property
    def key(self) -> tuple[Object, str, Subject]:
        """What tells one tuple from another in a store: not when it expires, nor under which caveat it counts."""
        return self.resource, self.relation, self.subject

    @property
    def expires(self) -> int | None:
        """`expires_at` in microseconds since 1970 UTC."""
        return None if self.expires_at is None else instant_of(self.expires_at)

    @classmethod
    def parse(cls, text: str) -> RelationTuple:
        """Read `type:id#relation@subject`, also with `[caveat]` or `[caveat:{…}]`, and behind that `[expiration:…]`.

        Raises InvalidTuple, InvalidName, InvalidId, InvalidContext, and InvalidInput for what is no point in time.
        """
        resource, hash_, rest = text.partition("#")
        relation, at, right = rest.partition("@")
        if not at or not hash_:
            raise InvalidTuple(
                f"{quoted(text)} is not a relation tuple; write resource#relation@subject, "
                "as in `report:q3#viewer@user:anna`",
                {"text": without_context(text)},
            )
        subject, caveat, context, expires = split_traits(right)
        return cls(
            Object.parse(resource, wildcard=True),
            check_relation(relation),
            Subject.parse(subject, wildcard=True),
            None if expires is None else parse_moment(expires),
            check_caveat(caveat) if caveat else "",
            Context.parse(context) if context else EMPTY,
        )

    @classmethod
    def of(cls, value: str | RelationTuple) -> RelationTuple:
        """Return a relation tuple from its text or from parts, which are checked and never read as text."""
        return cls.parse(value) if isinstance(value, str) else value.check()

    def check(self) -> Self:
        """Return this tuple if `parse` could have made it, else raise as `parse` does."""
        self.resource.check(wildcard=True)
        check_relation(self.relation)
        self.subject.check(wildcard=True)
        if self.caveat:
            check_caveat(self.caveat)
        elif self.context:
            raise InvalidTuple(
                f"{quoted(str(self))} has a context and no caveat that it would be for; name the caveat, or leave the "
                "context out"
            )
        return self

    @property
    def told(self) -> str:
        """Its text as an error or a log tells it: the name of its caveat, and not what that is given."""
        return str(replace(self, context=EMPTY) if self.context else self)

    @property
    def universal(self) -> bool:
        """Whether the tuple counts for every object of its resource type."""
        return self.resource.id == WILDCARD

    def __str__(self) -> str:
        text = f"{self.resource}#{self.relation}@{self.subject}"
        if self.caveat:
            text += f"[{self.caveat}:{self.context}]" if self.context else f"[{self.caveat}]"
        if self.expires_at is not None:
            text += f"[{_EXPIRATION}{instant_text(self.expires_at)}]"
        return text


_EXPIRATION = "expiration:"
# A caveat's context ends with a brace, so this is never the end of one, whatever its texts hold.
_EXPIRES = re.compile(r"\[expiration:([^\[\]{}]*)\]\Z")


def split_traits(text: str) -> tuple[str, str, str, str | None]:
    """Split `subject[caveat:{…}][expiration:…]` into the four, each as it is spelled, the brackets left out.

    Both brackets may be missing, and stand in this order, as in SpiceDB. Without the last there is None. Raises
    InvalidTuple.
    """
    if not text.endswith("]") or "[" not in text:
        return text, "", "", None
    found = _EXPIRES.search(text)
    subject, bracket, trait = (text[: found.start()] if found else text).partition("[")
    caveat, colon, context = trait[:-1].partition(":")
    if bracket and not (trait.endswith("]") and caveat and context.startswith("{") == bool(colon)):
        raise InvalidTuple(
            f"{quoted(text)} cannot be read behind its subject; write `[caveat]` or `[caveat:{{…}}]`, then "
            "`[expiration:…]`, each only where there is one",
            {"text": without_context(text)},
        )
    return subject, caveat, context, found[1] if found else None


@dataclass(frozen=True, slots=True)
class TupleFilter:
    """Which tuples to read; None means any. `*` is a literal id, `subject_relation=""` means plain subjects only.

    `resource_id_prefix` is what ids begin with, in place of one id; no text spells it that `parse` would read.
    """

    resource_type: str | None = None
    resource_id: str | None = None
    relation: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    subject_relation: str | None = None
    resource_id_prefix: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in (self.resource_type, self.subject_type):
            if name is not None:
                check_type(name)
        for name in (self.relation, self.subject_relation):
            if name:
                check_relation(name)
        for id_ in (self.resource_id, self.subject_id):
            if id_ is not None and id_ != WILDCARD:
                check_id(id_)
        if self.resource_id_prefix is not None:
            check_id(self.resource_id_prefix)
            if self.resource_id is not None:
                raise InvalidFilter("a filter names a resource's id and what ids begin with; name one of the two")
        if self.relation == "":
            raise InvalidFilter("a filter's relation is empty; leave it out to select every relation")
        if self.resource_id is not None and self.resource_type is None:
            raise InvalidFilter("a filter by resource id needs the resource type as well")
        if self.subject_type is None and (self.subject_id is not None or self.subject_relation is not None):
            raise InvalidFilter("a filter by subject id or relation needs the subject type as well")

    @classmethod
    def parse(cls, text: str) -> TupleFilter:
        """Read a tuple with parts left out, as in `report`, `report:q3#viewer`, `#viewer@user:anna` or `@group#member`.

        `@user:anna#` is the plain subject only. Raises InvalidFilter, InvalidName or InvalidId.
        """
        left, at, right = text.partition("@")
        resource, hash_, relation = left.partition("#")
        subject, subject_hash, subject_relation = right.partition("#")
        if not text or (at and not right) or (hash_ and not relation):
            raise InvalidFilter(
                f"{quoted(text)} is not a filter; write a tuple and leave parts out, as in `report:q3#viewer@user`",
                {"text": without_context(text)},
            )
        resource_type, resource_colon, resource_id = resource.partition(":")
        subject_type, subject_colon, subject_id = subject.partition(":")
        return cls(
            resource_type=resource_type if resource else None,
            resource_id=resource_id if resource_colon else None,
            relation=relation if hash_ else None,
            subject_type=subject_type if at else None,
            subject_id=subject_id if subject_colon else None,
            subject_relation=("" if subject_relation == "..." else subject_relation) if subject_hash else None,
        )

    def matches(self, tuple_: RelationTuple) -> bool:
        """Say whether a tuple is among those that the filter selects, whenever it expires."""
        resource, subject = tuple_.resource, tuple_.subject
        found = (resource.type, resource.id, tuple_.relation, subject.type, subject.id, subject.relation)
        alike = all(wanted is None or wanted == each for wanted, each in zip(self.words, found, strict=False))
        return alike and resource.id.startswith(self.resource_id_prefix or "")

    @property
    def words(self) -> tuple[str | None, ...]:
        """What it names, part by part, for what is bound to a filter: no other filter has the same."""
        parts: tuple[str | None, ...] = tuple(getattr(self, name) for name in self.__match_args__)
        return parts if self.resource_id_prefix is not None else parts[:-1]

    def __str__(self) -> str:
        """Return the text that `parse` reads; empty where every tuple matches, `doc:a…` where ids begin with `a`."""
        parts = (
            ("", self.resource_type),
            (":", self.resource_id or (self.resource_id_prefix and f"{self.resource_id_prefix}…")),
            ("#", self.relation),
            ("@", self.subject_type),
            (":", self.subject_id),
            ("#", self.subject_relation),
        )
        return "".join(f"{mark}{name}" for mark, name in parts if name is not None)


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must hold right before a write: that a tuple matches the filter, or that none does."""

    filter: TupleFilter
    exists: bool


def must_exist(filter: TupleFilter) -> Precondition:
    """A write happens only if at least one tuple matches."""
    return Precondition(filter, exists=True)


def must_not_exist(filter: TupleFilter) -> Precondition:
    """A write happens only if no tuple matches."""
    return Precondition(filter, exists=False)


Question = str | tuple[str | Subject, str, str | Object]
"""What one of many checks asks: `resource#permission@subject` in one text, or subject, permission and resource."""


def questions_of(questions: Iterable[Question]) -> list[tuple[Subject, str, Object]]:
    """Return what many checks ask about. Raises as `question_of`, with the place, from 0, in `details["index"]`."""
    asked = []
    for index, question in enumerate(questions):
        with at_index(index):
            asked.append(question_of(question, None, None) if isinstance(question, str) else question_of(*question))
    return asked


def question_of(
    subject: str | Subject, permission: str | None, resource: str | Object | None
) -> tuple[Subject, str, Object]:
    """Return what a check asks about, from three values or from one text `resource#permission@subject`.

    Raises InvalidInput, InvalidTuple, InvalidName or InvalidId.
    """
    if permission is not None and resource is not None:
        return Subject.of(subject), check_relation(permission), Object.of(resource)
    if permission is not None or resource is not None or not isinstance(subject, str):
        raise InvalidInput(
            "a check takes a subject, a permission and a resource, or one text `resource#permission@subject`"
        )
    question = RelationTuple.parse(subject)
    if question.expires_at is not None or question.caveat:
        raise InvalidTuple(
            f"{quoted(subject)} asks with {'a caveat' if question.caveat else 'an expiration'}; a question has none, "
            "leave the brackets out",
            {"text": without_context(subject)},
        )
    if WILDCARD in (question.resource.id, question.subject.id):
        raise InvalidTuple(
            f"{quoted(subject)} asks about every object of a type; name one object on each side",
            {"text": without_context(subject)},
        )
    return question.subject, question.relation, question.resource

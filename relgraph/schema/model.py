"""A schema as the rest of relgraph sees it: definitions, their relations, permissions and ladders.

Everything here is immutable, was validated, and may be shared between threads. How it is read from text and printed
lives beside it; the texts of refusals live in `relgraph.schema.admit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from relgraph.errors import UnknownDefinition, UnknownRelation, did_you_mean, quoted
from relgraph.schema import admit
from relgraph.schema.reach import SubjectTypes, subject_types
from relgraph.tuples import WILDCARD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.caveats import Caveat
    from relgraph.rewrites import Rewrite, Span
    from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter

__all__ = ["DeclaredCaveat", "Definition", "Grant", "Permission", "Relation", "Schema", "SubjectKind"]


@dataclass(frozen=True, slots=True)
class SubjectKind:
    """One kind of subject that a relation takes: `user`, `group#member`, `user:*`, each with traits or without.

    Each combination of traits is a kind of its own: `with universal` admits tuples on `type:*` only, `with expiration`
    those that expire only, `with within` those under the caveat `within` only, and the plain kind none of them.
    """

    type: str
    relation: str = ""
    wildcard: bool = False
    universal: bool = False
    expiration: bool = False
    caveat: str = ""

    @classmethod
    def of(cls, tuple_: RelationTuple) -> SubjectKind:
        """Return the kind that a relation must take for the tuple to be admitted."""
        subject, wildcard = tuple_.subject, tuple_.subject.id == WILDCARD
        expires = tuple_.expires_at is not None
        return cls(
            subject.type,
            subject.relation,
            wildcard,
            universal=tuple_.universal,
            expiration=expires,
            caveat=tuple_.caveat,
        )

    def __str__(self) -> str:
        tail = ":*" if self.wildcard else f"#{self.relation}" if self.relation else ""
        traits = [self.caveat] if self.caveat else []
        traits += [name for name, has in (("expiration", self.expiration), ("universal", self.universal)) if has]
        return f"{self.type}{tail}{' with ' if traits else ''}{' and '.join(traits)}"


@dataclass(frozen=True, slots=True)
class Relation:
    """What tuples are written under. `at` is the place of the name, `doc` the comments before it, as written."""

    name: str
    kinds: tuple[SubjectKind, ...]
    at: Span
    doc: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Permission:
    """What is computed from relations. `at` is the place of the name, `doc` the comments before it, as written.

    `annotation` names the types of subjects that the text declares for it, empty without a declaration.
    """

    name: str
    rewrite: Rewrite
    at: Span
    doc: str = ""
    annotation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A `grant` line: which permission on the resource lets an actor write tuples of `relation`.

    `subject_permission`, where not empty, is wanted on the subject's object as well. `wildcard` is the type of the line
    `grant relation to type:* by permission`, which alone lets an actor write that wildcard; empty in all others.
    """

    relation: str
    permission: str
    at: Span
    subject_permission: str = ""
    wildcard: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One type of object; mappings are in text order, `roles` is the ladder, strongest first, empty without one.

    `order` has the names of relations and permissions together, as they stand in the text; without it, all relations
    stand before all permissions.
    """

    name: str
    relations: Mapping[str, Relation]
    permissions: Mapping[str, Permission]
    roles: tuple[str, ...]
    at: Span
    doc: str = ""
    grants: tuple[Grant, ...] = ()
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "relations", MappingProxyType(dict(self.relations)))
        object.__setattr__(self, "permissions", MappingProxyType(dict(self.permissions)))

    def member(self, name: str) -> Relation | Permission | None:
        """Return the relation or permission of this name, None where there is none."""
        return self.relations.get(name) or self.permissions.get(name)

    @property
    def rungs(self) -> tuple[str, ...]:
        """What best access is judged by: the ladder, strongest first, or all permissions without one."""
        return self.roles or tuple(self.permissions)

    def members(self) -> tuple[Relation | Permission, ...]:
        """Return all relations and permissions in the order of the text."""
        both: dict[str, Relation | Permission] = {**self.relations, **self.permissions}
        return tuple(both[name] for name in self.order or both)

    def names(self) -> tuple[str, ...]:
        """Return the names of all relations, then of all permissions, each in text order."""
        return (*self.relations, *self.permissions)


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredCaveat:
    """A caveat in a schema. `at` is the place of its name, `doc` the comments before it, as written."""

    caveat: Caveat
    at: Span
    doc: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """The rules of one store; `text` is the schema as it was written, `flags` what its `use` lines switched on.

    `declared` are its caveats with their places, in text order, and `caveats` the same without.
    Partials are spliced in where the text is read, so `partial` and `import` are never among the flags.
    `subject_types` tells, for each (type, name), which types of plain subjects could ever hold it (see `reach`).
    """

    definitions: Mapping[str, Definition]
    text: str
    flags: frozenset[str] = frozenset()
    declared: Mapping[str, DeclaredCaveat] = field(default_factory=dict)
    caveats: Mapping[str, Caveat] = field(init=False, repr=False)
    subject_types: SubjectTypes = field(init=False, repr=False)
    _admitted: frozenset[tuple[str, str, str, str, bool, bool, bool, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "definitions", MappingProxyType(dict(self.definitions)))
        object.__setattr__(self, "declared", MappingProxyType(dict(self.declared)))
        caveats = {name: declared.caveat for name, declared in self.declared.items()}
        object.__setattr__(self, "caveats", MappingProxyType(caveats))
        # Imports ask for each of millions of tuples, so the answer is one look-up.
        admitted = frozenset(
            (
                definition.name,
                relation.name,
                kind.type,
                kind.relation,
                kind.wildcard,
                kind.universal,
                kind.expiration,
                kind.caveat,
            )
            for definition in self.definitions.values()
            for relation in definition.relations.values()
            for kind in relation.kinds
        )
        object.__setattr__(self, "_admitted", admitted)
        object.__setattr__(self, "subject_types", subject_types(self))

    def definition(self, type_: str) -> Definition:
        """Return the definition of a type. Raises UnknownDefinition."""
        found = self.definitions.get(type_)
        if found is None:
            raise UnknownDefinition(
                f"{quoted(type_)} is not a definition of the schema{did_you_mean(type_, self.definitions)}",
                {"definition": type_},
            )
        return found

    def member(self, type_: str, name: str) -> Relation | Permission:
        """Return a type's relation or permission. Raises UnknownDefinition or UnknownRelation."""
        definition = self.definition(type_)
        found = definition.member(name)
        if found is None:
            raise UnknownRelation(
                f"{quoted(name)} is not a relation or permission of {quoted(type_)}"
                f"{did_you_mean(name, definition.names())}",
                {"definition": type_, "relation": name},
            )
        return found

    def admits(self, tuple_: RelationTuple) -> bool:
        """Return whether the tuple counts until it expires: its relation exists and takes that kind of subject.

        Its context is not looked at: a caveat that got other parameters since judges by those it has.
        """
        resource, subject = tuple_.resource, tuple_.subject
        key = (
            resource.type,
            tuple_.relation,
            subject.type,
            subject.relation,
            subject.id == WILDCARD,
            resource.id == WILDCARD,
            tuple_.expires_at is not None,
            tuple_.caveat,
        )
        return key in self._admitted

    def admits_key(self, tuple_: RelationTuple) -> bool:
        """Return whether some tuple with this key is admitted, whatever that one says beside."""
        definition = self.definitions.get(tuple_.resource.type)
        relation = None if definition is None else definition.relations.get(tuple_.relation)
        wanted = replace(SubjectKind.of(tuple_), expiration=False, caveat="")
        kinds = () if relation is None else relation.kinds
        return any(replace(kind, expiration=False, caveat="") == wanted for kind in kinds)

    def admit(self, tuple_: RelationTuple) -> None:
        """Return if the schema admits the tuple, and its context is what the caveat takes.

        Raises UnknownDefinition, UnknownRelation, CannotUpdatePermission, TupleNotAllowed or InvalidContext otherwise.
        """
        if not self.admits(tuple_):
            raise admit.refusal(self, tuple_, SubjectKind.of(tuple_))
        if tuple_.context:
            admit.check_context(self.caveats[tuple_.caveat], tuple_)

    def check_subject(self, subject: Subject) -> None:
        """Return if the type and relation of a subject exist. Raises UnknownDefinition or UnknownRelation."""
        admit.check_subject(self, subject)

    def check_access(self, subject: Subject, resource: Object) -> None:
        """Return if a question for best access names types that exist and is not the wrong way round.

        Raises UnknownDefinition, UnknownRelation, or InvalidInput where subject and resource are surely swapped.
        """
        admit.check_access(self, subject, resource)

    def check_filter(self, filter_: TupleFilter) -> None:
        """Return if the types and relations of a filter exist.

        Raises UnknownDefinition, UnknownRelation or CannotUpdatePermission.
        """
        admit.check_filter(self, filter_)

    def check_question(self, subject: Subject, name: str, resource: Object) -> None:
        """Return if a question's types and names all exist and it is not the wrong way round.

        Raises UnknownDefinition, UnknownRelation, or InvalidInput where subject and resource are surely swapped.
        """
        admit.check_question(self, subject, name, resource)

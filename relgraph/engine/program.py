"""A schema bound to one store's numbers: what the walk looks up at every step, compiled once per schema version."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from relgraph.engine.plans import MARKS, Kinds, Plans, marks
from relgraph.rewrites import Member, PermissionMember, RelationMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from relgraph.schema import Definition, Schema, SubjectKind

__all__ = ["Program"]

_NO_MEMBERS: Mapping[str, Member] = {}
_NO_KINDS: Kinds = {}


class Program:
    """One schema version against one store's numbers.

    A type or relation that the store never numbered cannot occur in a tuple, so kinds that name one are left out.
    """

    def __init__(self, schema: Schema, number_of: Callable[[str], int | None]) -> None:
        self.schema = schema
        self._number_of = number_of
        self._members: dict[int, dict[str, Member]] = {}
        self._kinds: dict[tuple[int, int], Kinds] = {}
        self._numbers: dict[str, int] = {}
        self._caveats = {name: place for place, name in enumerate(schema.caveats, 1)}
        self._names: dict[int, str] = {}
        for definition in schema.definitions.values():
            self._add(definition)

    def _add(self, definition: Definition) -> None:
        type_number = self._number_of(definition.name)
        if type_number is None:
            return
        members: dict[str, Member] = {name: RelationMember(name) for name in definition.relations}
        members.update(
            (name, PermissionMember(name, permission.rewrite)) for name, permission in definition.permissions.items()
        )
        self._members[type_number] = members
        for name in members:
            number = self._number_of(name)
            if number is not None:
                self._numbers[name] = number
                self._names[number] = name
        for relation in definition.relations.values():
            if relation.name in self._numbers:
                kinds = self._kinds[type_number, self._numbers[relation.name]] = {}
                for kind in relation.kinds:
                    self._admit(kind, kinds)

    def _admit(self, kind: SubjectKind, kinds: Kinds) -> None:
        subject_type = self._number_of(kind.type)
        subject_relation = self._number_of(kind.relation) if kind.relation else 0
        if subject_type is not None and subject_relation is not None:
            key = (subject_type, subject_relation, kind.wildcard)
            kinds[key] = kinds.get(key, 0) | self._marks(kind)

    def _marks(self, kind: SubjectKind) -> int:
        return marks(kind.universal, kind.expiration, self._caveats[kind.caveat] if kind.caveat else 0)

    def shift(self, caveat: str) -> int:
        """Return how far up in what a relation takes the marks with a caveat stand; beyond all for a stranger."""
        return self._caveats.get(caveat, len(self._caveats) + 1) * MARKS

    @cached_property
    def plans(self) -> Plans:
        """How the names that only unions lead to are searched."""
        return Plans(self._members, self._numbers, self._kinds)

    def number(self, name: str) -> int | None:
        """Return the number of a relation or permission name of the schema; None where the store never saw it."""
        return self._numbers.get(name)

    def name(self, number: int) -> str:
        """Return the relation or permission name of a number; KeyError for what the schema does not name so."""
        return self._names[number]

    def member(self, type_number: int, name: str) -> Member | None:
        """Return what `name` stands for on a type; None where the type has no such name."""
        return self._members.get(type_number, _NO_MEMBERS).get(name)

    def kinds(self, type_number: int, relation: int) -> Kinds:
        """Return the kinds of subject that the schema admits for a relation."""
        return self._kinds.get((type_number, relation), _NO_KINDS)

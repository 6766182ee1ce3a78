"""A schema bound to one store's numbers: what the walk looks up at every step, compiled once per schema version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relgraph.rewrites import Member, PermissionMember, RelationMember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from relgraph.schema import Definition, Schema, SubjectKind

__all__ = ["KindKey", "Program"]


class KindKey(NamedTuple):
    """What a schema judges a tuple by, beside its relation: numbers of the subject's type and relation, and marks."""

    subject_type: int
    subject_relation: int
    wildcard: bool
    universal: bool
    expiration: bool


_NO_MEMBERS: Mapping[str, Member] = {}
_NO_KINDS: frozenset[KindKey] = frozenset()


class Program:
    """One schema version against one store's numbers.

    A type or relation that the store never numbered cannot occur in a tuple, so kinds that name one are left out.
    """

    def __init__(self, schema: Schema, number_of: Callable[[str], int | None]) -> None:
        self.schema = schema
        self._number_of = number_of
        self._members: dict[int, dict[str, Member]] = {}
        self._kinds: dict[tuple[int, int], frozenset[KindKey]] = {}
        self._numbers: dict[str, int] = {}
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
        for relation in definition.relations.values():
            if relation.name in self._numbers:
                kinds = (self._kind(kind) for kind in relation.kinds)
                key = (type_number, self._numbers[relation.name])
                self._kinds[key] = frozenset(kind for kind in kinds if kind is not None)

    def _kind(self, kind: SubjectKind) -> KindKey | None:
        subject_type = self._number_of(kind.type)
        subject_relation = self._number_of(kind.relation) if kind.relation else 0
        if subject_type is None or subject_relation is None:
            return None
        return KindKey(subject_type, subject_relation, kind.wildcard, kind.universal, kind.expiration)

    def number(self, name: str) -> int | None:
        """Return the number of a relation or permission name of the schema; None where the store never saw it."""
        return self._numbers.get(name)

    def member(self, type_number: int, name: str) -> Member | None:
        """Return what `name` stands for on a type; None where the type has no such name."""
        return self._members.get(type_number, _NO_MEMBERS).get(name)

    def kinds(self, type_number: int, relation: int) -> frozenset[KindKey]:
        """Return the kinds of subject that the schema admits for a relation."""
        return self._kinds.get((type_number, relation), _NO_KINDS)

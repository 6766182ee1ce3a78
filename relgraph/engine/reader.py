"""The narrow waist: the few questions the engine asks about tuples, declared by who asks them.

The in-memory graph and a store's snapshot at an older revision both answer them; the store's full interface never
reaches the engine. Numbers are those of one revision of one store; a reader is pinned at that revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.rewrites import Edge
    from relgraph.tuples import Object

__all__ = ["Reader"]


class Reader(Protocol):
    """Tuples at one revision."""

    @property
    def revision(self) -> int:
        """The pinned revision."""

    def name(self, number: int, /) -> str:
        """Return the name of a type or relation number."""

    def name_number(self, name: str, /) -> int | None:
        """Return the number of a type or relation name, or None where the store never saw it."""

    def object(self, number: int, /) -> Object:
        """Return the object of a number."""

    def object_number(self, type_number: int, key: str, /) -> int | None:
        """Return the number of an object, or None where the store never saw it. Asking never adds one."""

    def type_of(self, number: int, /) -> int:
        """Return the type's number of an object."""

    def edges_to(self, resource: int, relation: int, subject: int, subject_relation: int, /) -> Sequence[Edge]:
        """Return the tuples of a relation with exactly that subject, expired or not.

        Stored is one at most; those that a request brings stand beside it.
        """

    def usersets(self, resource: int, relation: int, /) -> Sequence[Edge]:
        """Return the tuples of a relation whose subject is a userset, at the revision; expired ones are among them."""

    def edges(self, resource: int, relation: int, /) -> Sequence[Edge]:
        """Return all tuples of a relation at the revision; expired ones are among them."""

    def holders(self, subject: int, subject_relation: int, /) -> Sequence[Edge]:
        """Return all tuples that name exactly this subject (relation 0: plain, or the wildcard), expired ones too."""

    def objects(self, type_number: int, /) -> Sequence[int]:
        """Return the numbers of a type's objects that a tuple at the revision may name, perhaps others; `*` too."""

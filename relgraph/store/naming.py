"""The numbers of names and objects, as every view of a store tells them: a part of `relgraph.store.base.Reads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Naming"]


class Naming(Protocol):
    """What a view knows of names and objects: those that a committed write mentioned."""

    def name_id(self, name: str) -> int | None:
        """The number of a type or relation name, or None when no committed write mentioned it."""
        ...

    def name(self, id: int) -> str:
        """The name of that number. Raises KeyError when there is none."""
        ...

    def object_id(self, type_id: int, key: str) -> int | None:
        """The number of an object, or None when no committed write mentioned it."""
        ...

    def object(self, id: int) -> tuple[int, str]:
        """The type's number and the key of that object. Raises KeyError when there is none."""
        ...

    def objects(self, type_id: int) -> Iterator[int]:
        """The numbers of all objects of a type that a committed write mentioned, living or not, `*` among them."""
        ...

"""Rows of tuples as a store hands them out: one by one, in numbers, and counted by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from relgraph.tuples import RelationTuple

__all__ = ["Kind", "NumberedRow"]


class NumberedRow(NamedTuple):
    """One version of one tuple, in numbers. `deleted` is None while living; `expires` is in microseconds.

    `caveat` is the number of the caveat's name, 0 for none; `context` is `Context.as_stored`.
    """

    resource: int
    relation: int
    subject: int
    subject_relation: int
    created: int
    deleted: int | None
    caveat: int
    expires: int | None
    context: bytes | None = None


class Kind(NamedTuple):
    """The living tuples that a schema judges alike: how many are living, and one of them.

    `expiration` says whether they expire one day; none of them has. `caveat` is empty for those without one.
    """

    resource_type: str
    relation: str
    subject_type: str
    subject_relation: str
    wildcard: bool
    universal: bool
    expiration: bool
    caveat: str
    living: int
    example: RelationTuple

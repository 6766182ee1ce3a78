"""Links: the few ways in which statements run through a connection, and the link that refuses.

A backend implements `Link` for its driver and turns the driver's errors into relgraph's there, so nothing above sees
one. Statements are constants: a link may remember what it makes of them.
"""

# ruff: noqa: ARG002 - a closed link takes what an open one takes

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

from relgraph.errors import StoreUnavailable, quoted

__all__ = ["ClosedLink", "Link", "Row", "Values"]

Row: TypeAlias = tuple[Any, ...]
Values: TypeAlias = Sequence[int | str | bytes | None]


class Link(Protocol):
    """One connection, used by one thread at a time. Every method may raise StoreUnavailable."""

    @property
    def where(self) -> str:
        """The store it leads to, for people: never with a password."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the connection."""
        ...

    def run(self, sql: str, values: Values = ()) -> None:
        """Run a statement."""
        ...

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        ...

    def add_rows(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows the fast way; `columns` names what their values are."""
        ...

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        ...

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """Return the row of a query that has at most one."""
        ...

    def iterate(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """Run a query now and read its rows as they are asked for, until `stop`."""
        ...

    def stop(self) -> None:
        """End all iterations."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class ClosedLink:
    """What stands in the place of a link once it was given back: it refuses, and says why."""

    def __init__(self, what: str, where: str) -> None:
        self._what = what
        self.where = where

    @property
    def in_transaction(self) -> bool:
        """Never."""
        return False

    def run(self, sql: str, values: Values = ()) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def run_many(self, sql: str, rows: Iterable[Values]) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def add_rows(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def all(self, sql: str, values: Values = ()) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def one(self, sql: str, values: Values = ()) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def iterate(self, sql: str, values: Values = ()) -> NoReturn:
        """Raise StoreUnavailable."""
        raise self._refusal()

    def stop(self) -> None:
        """Do nothing: nothing is open."""

    def close(self) -> None:
        """Do nothing: it is closed."""

    def _refusal(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the {self._what} of {quoted(self.where)} was closed before; open it again", {"store": self.where}
        )

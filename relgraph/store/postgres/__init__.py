"""The store on PostgreSQL: one PostgreSQL schema, shared by as many processes as there are.

    urls       what a store's URL means
    faults     the driver's errors in relgraph's words
    link       connections and the ways statements run
    layout     tables, format and migrations
    pool       the connections of a store
    staging    many tuples at once
    batch      the rows of one write, by whole sets
    writing    how a transaction begins and ends; the rest of it is in `relgraph.store.sql`
    hearing    who commits, and hears of it
    joining    an application's own connection
    stores     the store itself

Here lives the way in, and nothing else: the driver is loaded when a store is opened, not before.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from relgraph.errors import StoreUnavailable, quoted
from relgraph.store.postgres.urls import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.store.base import Clock, Random, Store

__all__ = ["open_postgres", "require_postgres"]


def open_postgres(url: str, *, clock: Clock, random: Random, wait_ms_max: int) -> Store:
    """Open `postgresql://user@host:port/database?relgraph_schema=name`; `relgraph.store.postgres.urls` says it all.

    Raises InvalidSetting, StoreFormat or StoreUnavailable.
    """
    place = place_of(url)
    with _driver():
        from relgraph.store.postgres.stores import PostgresStore  # noqa: PLC0415 - it loads the driver
    return PostgresStore(place, clock=clock, random=random, wait_ms_max=wait_ms_max)


def require_postgres(url: str, *, wait_ms_max: int) -> None:
    """Raise StoreUnavailable where opening `url` would make a new store."""
    place = place_of(url)
    with _driver():
        from relgraph.store.postgres.stores import require_postgres_store  # noqa: PLC0415 - it loads the driver
    require_postgres_store(place, wait_ms_max)


@contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StoreUnavailable(
            f"a store on PostgreSQL needs its driver, which cannot be loaded: {quoted(str(error), 240)}; "
            "install `relgraph[postgres]`",
            {"problem": str(error)},
        ) from error

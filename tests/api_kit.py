"""What the tests of the Authorizer share: a schema and a store with a few tuples."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import relgraph
from relgraph.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres_kit import Server
    from tests.store_kit import FakeClock

__all__ = ["SCHEMA", "clocked", "lent", "opened"]

SCHEMA = """
use roles
use universal
definition user {}
definition group { relation member: user | group#member }
definition doc {
    relation parent: doc
    relation administrator: user | group#member | group#member with universal
    relation viewer: user | user:* | group#member
    relation banned: user
    permission administer = administrator + parent->administer
    permission observe = administer + viewer
    permission read = observe - banned
    roles administer > observe
}
"""


def opened() -> relgraph.Authorizer:
    """Return an Authorizer in memory over the schema, with one document's viewer and one member of the board."""
    authorizer = relgraph.open("sqlite://")
    authorizer.write_schema(SCHEMA)
    authorizer.write(touch=["doc:one#viewer@user:anna", "group:board#member@user:bob"])
    return authorizer


@contextmanager
def lent(postgres: Server, clock: Callable[[], int] | None = None) -> Iterator[relgraph.Authorizer]:
    """An Authorizer over an empty store on PostgreSQL, that goes by `clock` or by the real one."""
    clock = clock or (lambda: time.time_ns() // 1000)
    with postgres.store(clock, os.urandom) as store, relgraph.Authorizer(store, clock=clock) as authorizer:
        yield authorizer


def clocked(clock: FakeClock, url: str = "sqlite://") -> relgraph.Authorizer:
    """Return an Authorizer whose store and whose questions both go by `clock`."""
    return relgraph.Authorizer(open_store(url, clock=clock, random=os.urandom), clock=clock)

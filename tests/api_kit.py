"""What the tests of the Authorizer share: a schema and a store with a few tuples."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import relgraph
from relgraph.client import Client
from relgraph.store import open_store
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tests.postgres_kit import Server
    from tests.store_kit import FakeClock

__all__ = ["DOORS", "SCHEMA", "Door", "clocked", "door_of", "lent", "opened"]

Door = relgraph.Authorizer | Client
DOORS = ("library", "gRPC", "PostgreSQL")
"""Where what is written is asked for: in memory, through a server over the same, and in the library on PostgreSQL."""

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


@contextmanager
def door_of(request: pytest.FixtureRequest, schema: str) -> Iterator[Door]:
    """A door of DOORS, named by the fixture's parameter, to an empty store with a schema."""
    with ExitStack() as stack:
        on_postgres = request.param == "PostgreSQL"
        made = lent(request.getfixturevalue("postgres")) if on_postgres else relgraph.open("sqlite://")
        authorizer = stack.enter_context(made)
        authorizer.write_schema(schema)
        if request.param == "gRPC":
            yield stack.enter_context(Client(stack.enter_context(in_process(authorizer))))
        else:
            yield authorizer


def clocked(clock: FakeClock, url: str = "sqlite://") -> relgraph.Authorizer:
    """Return an Authorizer whose store and whose questions both go by `clock`."""
    return relgraph.Authorizer(open_store(url, clock=clock, random=os.urandom), clock=clock)

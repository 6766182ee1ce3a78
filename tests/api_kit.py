"""What the tests of the Authorizer share: a schema and a store with a few tuples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import relgraph
from relgraph.store import open_store

if TYPE_CHECKING:
    from tests.store_kit import FakeClock

__all__ = ["SCHEMA", "clocked", "opened"]

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


def clocked(clock: FakeClock, url: str = "sqlite://") -> relgraph.Authorizer:
    """Return an Authorizer whose store and whose questions both go by `clock`."""
    return relgraph.Authorizer(open_store(url, clock=clock, random=os.urandom), clock=clock)

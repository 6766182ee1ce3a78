"""Dumps: every tuple of one revision behind its schema, by the library and through a server's Export."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.client import Client
from relgraph.client.streams import Dump
from relgraph.client.terms import OPTIONS, Terms
from relgraph.errors import DeadlineExceeded, NoSchema, RevisionUnavailable, ServerUnavailable, UnknownDefinition
from relgraph.revision import Consistency
from relgraph.tuples import TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server.settings import Settings
from tests.api_kit import SCHEMA
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Door = relgraph.Authorizer | Client
COUNT = 2_500


@pytest.fixture(params=["library", "wire"])
def doors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[relgraph.Authorizer, Door]]:
    """A store with many tuples; what is asked is the library itself, or a client of a server over it."""
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.load([f"doc:d{n:04}#viewer@user:anna" for n in range(COUNT)])
        authorizer.write(touch=["group:eng#member@user:bob"])
        if request.param == "library":
            yield authorizer, authorizer
            return
        with in_process(authorizer) as address, Client(address) as client:
            yield authorizer, client


def test_a_dump_holds_for_one_revision(doors: tuple[relgraph.Authorizer, Door]) -> None:
    """All tuples once, and the schema, as they were when the dump began, whatever is written meanwhile."""
    authorizer, door = doors
    with door.dump() as dump:
        authorizer.write(delete=["doc:d2400#viewer@user:anna"], touch=["doc:d9999#viewer@user:anna"])
        authorizer.write_schema(SCHEMA + "\ndefinition other {}")
        found = list(map(str, dump))
    assert (SCHEMA, 3) == (dump.schema, dump.revision)
    expected = {f"doc:d{n:04}#viewer@user:anna" for n in range(COUNT)} | {"group:eng#member@user:bob"}
    assert (expected, COUNT + 1) == (set(found), len(found))
    assert [] == list(dump)
    again = door.dump(consistency=Consistency.at_exactly(dump.token))
    assert (SCHEMA, found) == (again.schema, list(map(str, again)))
    assert SCHEMA + "\ndefinition other {}" == door.dump().schema


def test_a_part_can_be_dumped(doors: tuple[relgraph.Authorizer, Door]) -> None:
    """A filter selects as in a read, and a name that is not there is refused."""
    _, door = doors
    assert ["group:eng#member@user:bob"] == list(map(str, door.dump(TupleFilter("group"))))
    with pytest.raises(UnknownDefinition):
        door.dump(TupleFilter("dock"))


def test_what_was_collected_meanwhile_is_an_error(doors: tuple[relgraph.Authorizer, Door]) -> None:
    """Where the dump's revision is forgotten while it is read, it ends with an error and not before its end."""
    authorizer, _ = doors
    dump = authorizer.dump()
    assert len(dump.page()) == 1_000
    authorizer.write(delete=["doc:d2400#viewer@user:anna"])
    authorizer.collect(timedelta(0))
    with pytest.raises(RevisionUnavailable):
        list(dump)


def test_there_is_nothing_to_dump_before_the_schema() -> None:
    """A store without a schema has no dump, and an empty one with a schema has no tuples."""
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        for door in (authorizer, client):
            with pytest.raises(NoSchema):
                door.dump()
        authorizer.write_schema(SCHEMA)
        for door in (authorizer, client):
            assert (SCHEMA, []) == ((dump := door.dump()).schema, list(dump))


def test_a_closed_dump_ends(doors: tuple[relgraph.Authorizer, Door]) -> None:
    """Whoever closes it early is told no more."""
    _, door = doors
    dump = door.dump()
    assert "doc:d0000" == str(next(iter(dump)).resource)
    dump.close()
    assert () == dump.page()


class Call:
    """A call that is answered with a few messages."""

    def __init__(self, *messages: pb.ExportResponse) -> None:
        self._messages = iter(messages)
        self.ended = self.cancelled = False

    def __next__(self) -> pb.ExportResponse:
        try:
            return next(self._messages)
        except StopIteration:
            self.ended = True
            raise

    def cancel(self) -> bool:
        self.cancelled = True
        return True


def test_a_stream_that_was_cut_short_is_not_whole() -> None:
    """Without a total, or with another one than was received, the tuples end with an error."""
    first = pb.ExportResponse(revision=1, token="t", schema=SCHEMA)
    some = pb.ExportResponse(tuples=[pb.RelationTuple(resource="doc:a", relation="viewer", subject="user:anna")])
    total = pb.ExportResponse(tuples_total=1)
    for rest in ((), (some,), (some, pb.ExportResponse(tuples_total=2)), (total,), (some, total, some)):
        with pytest.raises(ServerUnavailable, match="not whole"):
            list(Dump(Call(first, *rest), Terms("server:1")))
    call = Call(first, some, total)
    whole = Dump(call, Terms("server:1"))
    assert ["doc:a#viewer@user:anna"] == list(map(str, whole))
    assert call.ended
    assert not call.cancelled
    with pytest.raises(ServerUnavailable):
        Dump(Call(), Terms("server:1"))


def test_who_does_not_read_an_export_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who does not take a message is cut off after a while, and who waits for its turn gets it."""
    # Where it seems to help, gRPC lets more and more come before it is read: on a busy machine, all of this.
    monkeypatch.setattr("relgraph.client.blocking.OPTIONS", (*OPTIONS, ("grpc.http2.bdp_probe", 0)))
    settings = Settings("unused:", listen="127.0.0.1:0", exports_max=1, message_ms_max=2_000)
    with relgraph.open("sqlite://") as authorizer, in_process(authorizer, settings) as address:
        authorizer.write_schema(SCHEMA)
        authorizer.load([f"doc:{'d' * 500}{n:04}#viewer@user:{'u' * 500}" for n in range(5_000)])
        with Client(address) as lazy, Client(address) as client:
            idle = lazy.dump()
            assert 5_000 == len(list(client.dump()))
            with pytest.raises(DeadlineExceeded, match="not taken"):
                list(idle)

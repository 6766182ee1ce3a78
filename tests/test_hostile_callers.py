"""Callers who flood, stall or leave: they are bounded, leave nothing behind, and do not keep the others waiting."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import grpc
import pytest

import relgraph
from relgraph.client import Client
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server.settings import Settings
from tests.fuzzing import GOOD, METHODS, SERVICE
from tests.keys_kit import call
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


def bounded(**changed: int) -> Settings:
    return Settings("unused:", listen="127.0.0.1:0", **changed)  # type: ignore[arg-type]  # every one of them is a number


@pytest.mark.parametrize("method", sorted(name for name, kind in METHODS.items() if kind.server_streaming))
def test_who_leaves_a_stream_leaves_no_incident(
    authorizer: relgraph.Authorizer, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream whose caller goes at any moment ends without a word in the log."""
    authorizer.load([f"report:r{n}#viewer@user:u{n}" for n in range(3_000)])
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        stream: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE.full_name}/{method}")
        data = GOOD[method][0][0].SerializeToString()
        for taken in range(60):
            going = stream(data, timeout=30)
            if taken % 3:
                next(going)
            authorizer.write(touch=[f"report:w{taken}#manager@user:anna"])
            going.cancel()
        assert call(channel, "Check", GOOD["Check"][0][0])[0] is grpc.StatusCode.OK
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_flood_of_items_is_refused_by_name(authorizer: relgraph.Authorizer) -> None:
    """A request with too many items is RESOURCE_EXHAUSTED and names the setting, whatever the items are."""
    with in_process(authorizer, bounded(request_items_max=5)) as address, grpc.insecure_channel(address) as channel:
        for method, message in (
            ("Write", pb.WriteRequest(updates=[pb.Update()] * 6)),
            ("CheckBulk", pb.CheckBulkRequest(columns=pb.QuestionColumns(subject=[7] * 6))),
            ("BestAccess", pb.BestAccessRequest(resources=["#"] * 3, subjects=["#"] * 3)),
            ("Import", pb.ImportRequest(tuples=[pb.RelationTuple()] * 6)),
            ("Watch", pb.WatchRequest(types=["#"] * 6)),
        ):
            code, error = call(channel, method, message)
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED, method
            assert error is not None
            assert error.details == {"limit": "request_items_max", "value": "5"}
        with Client(address) as client:
            assert client.check("user:anna", "administer", "report:q3")

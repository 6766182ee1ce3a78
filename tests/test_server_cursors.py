"""Cursors under keys: a page goes on for whom it began, and no cursor is a way into the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

import relgraph
from relgraph.api.cursors import Cursor
from relgraph.errors import InvalidCursor, KeyRefused
from relgraph.revision import Token
from relgraph.tuples import RelationTuple, TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from tests.keys_kit import add_key, call, guarded, shown
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Served = tuple[grpc.Channel, dict[str, str], str]

GONE = "report:secret#viewer@user:bob"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with keys: a channel, the keys' secrets, and a token of a time when there was one tuple more."""
    keys = tmp_path / "keys.json"
    scopes = {"reader": ["read"], "other": ["read"], "historian": ["read", "history"], "admin": ["admin"]}
    secrets = {name: add_key(keys, name, held) for name, held in scopes.items()}
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as authorizer:
        authorizer.write_schema(SCHEMA)
        token = authorizer.write(touch=[*TUPLES, GONE]).token
        authorizer.write(delete=[GONE])
        with in_process(authorizer, guarded(keys)) as address, grpc.insecure_channel(address) as channel:
            yield channel, secrets, token


def read(channel: grpc.Channel, secret: str, cursor: str) -> pb.ReadResponse:
    asks: grpc.UnaryUnaryMultiCallable[pb.ReadRequest, pb.ReadResponse] = channel.unary_unary(
        "/relgraph.v1.AuthorizerService/Read", pb.ReadRequest.SerializeToString, pb.ReadResponse.FromString
    )
    return asks(pb.ReadRequest(cursor=cursor, limit=2), metadata=shown(secret), timeout=20)


def paged(channel: grpc.Channel, secret: str, cursor: str = "") -> list[str]:
    """The resources of all pages from a cursor on."""
    found = []
    while True:
        page = read(channel, secret, cursor)
        found += [each.resource for each in page.tuples]
        cursor = page.cursor
        if not cursor:
            return found


def test_a_forged_cursor_reads_no_past(served: Served) -> None:
    """A cursor made up from an old token needs the scope that reading the past needs, with whatever behind it."""
    channel, secrets, token = served
    forged = str(Cursor.after(TupleFilter(), Token.parse(token), RelationTuple.parse(TUPLES[0])))
    for cursor in (forged, f"{forged}.", f"{forged}.{'0' * 64}", f"{forged}.é"):
        code, error = call(channel, "Read", pb.ReadRequest(cursor=cursor), shown(secrets["reader"]))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert isinstance(error, KeyRefused)
        assert error.details["scope"] == "history"
    for name in ("historian", "admin"):
        assert "report:secret" in paged(channel, secrets[name], forged)


def test_pages_go_on_for_whom_they_began(served: Served) -> None:
    """Every key pages through all there is; another one's page is no good without the scope for the past."""
    channel, secrets, _ = served
    for secret in secrets.values():
        assert len(TUPLES) == len(paged(channel, secret))
    cursor = read(channel, secrets["reader"], "").cursor
    code, _ = call(channel, "Read", pb.ReadRequest(cursor=cursor), shown(secrets["other"]))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert paged(channel, secrets["historian"], cursor) == paged(channel, secrets["reader"], cursor)


def test_a_damaged_cursor_is_told_from_a_forbidden_one(served: Served) -> None:
    """Who may read the past is told that a cursor is damaged, as without keys."""
    channel, secrets, _ = served
    code, error = call(channel, "Read", pb.ReadRequest(cursor="x.y"), shown(secrets["admin"]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidCursor)

"""Cursors under keys: a page goes on for whom it began, and no cursor is a way into the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

import relgraph
from relgraph.api.cursors import Cursor
from relgraph.errors import InvalidCursor, KeyRefused
from relgraph.revision import Consistency, Token
from relgraph.tuples import RelationTuple, TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from tests.keys_kit import add_key, call, guarded, shown
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Served = tuple[grpc.Channel, dict[str, str], str]

GONE = ["report:secret#viewer@user:bob", "report:secret#viewer@user:carol"]


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.write_schema(SCHEMA)
        yield opened


@pytest.fixture
def served(authorizer: relgraph.Authorizer, tmp_path: Path) -> Iterator[Served]:
    """A server with keys: a channel, the keys' secrets, and a token of a time when there were two tuples more."""
    keys = tmp_path / "keys.json"
    scopes = {
        "reader": ["read"],
        "other": ["read"],
        "historian": ["read", "history"],
        "admin": ["admin"],
        "lister": ["list"],
        "other-lister": ["list"],
        "past-lister": ["list", "history"],
    }
    secrets = {name: add_key(keys, name, held) for name, held in scopes.items()}
    token = authorizer.write(touch=[*TUPLES, *GONE]).token
    authorizer.write(delete=GONE)
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
    for name in ("reader", "other", "historian", "admin"):
        assert len(TUPLES) == len(paged(channel, secrets[name]))
    cursor = read(channel, secrets["reader"], "").cursor
    code, _ = call(channel, "Read", pb.ReadRequest(cursor=cursor), shown(secrets["other"]))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert paged(channel, secrets["historian"], cursor) == paged(channel, secrets["reader"], cursor)


LookupRequest = pb.LookupResourcesRequest | pb.LookupSubjectsRequest
QUESTIONS: dict[str, LookupRequest] = {
    "LookupResources": pb.LookupResourcesRequest(subject="user:bob", permission="observe", type="report", limit=1),
    "LookupSubjects": pb.LookupSubjectsRequest(resource="report:secret", permission="observe", type="user", limit=1),
}


def asked(method: str, cursor: str) -> LookupRequest:
    """The question of a method, from a cursor on."""
    request = pb.LookupResourcesRequest() if method == "LookupResources" else pb.LookupSubjectsRequest()
    request.ParseFromString(QUESTIONS[method].SerializeToString())
    request.cursor = cursor
    return request


def look_up(channel: grpc.Channel, method: str, secret: str, cursor: str) -> tuple[list[str], str]:
    """One page of a lookup: its ids, and where it goes on."""
    tells: grpc.UnaryStreamMultiCallable[LookupRequest, pb.LookupResponse] = channel.unary_stream(
        f"/relgraph.v1.AuthorizerService/{method}",
        lambda message: message.SerializeToString(),
        pb.LookupResponse.FromString,
    )
    told = list(tells(asked(method, cursor), metadata=shown(secret), timeout=20))
    return [id_ for each in told for id_ in each.ids], told[-1].cursor


def first_page(authorizer: relgraph.Authorizer, method: str, consistency: Consistency | None = None) -> str:
    """The cursor behind one row, as a library elsewhere would give it."""
    if method == "LookupResources":
        return authorizer.what("user:bob", "observe", "report", limit=1, consistency=consistency).cursor
    return authorizer.who("report:secret", "observe", "user", limit=1, consistency=consistency).cursor


@pytest.mark.parametrize("method", sorted(QUESTIONS))
def test_a_lookup_pages_into_no_past(served: Served, authorizer: relgraph.Authorizer, method: str) -> None:
    """A lookup's cursor of the past needs the scope for the past, whatever stands behind it."""
    channel, secrets, token = served
    cursor = first_page(authorizer, method, Consistency.at_exactly(token))
    assert cursor
    for forged in (cursor, f"{cursor}.", f"{cursor}.{'0' * 64}"):
        code, error = call(channel, method, asked(method, forged), shown(secrets["lister"]))
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert isinstance(error, KeyRefused)
        assert error.details["scope"] == "history"
        for name in ("past-lister", "admin"):
            assert {"secret", "carol"} & {*look_up(channel, method, secrets[name], forged)[0]}


@pytest.mark.parametrize("method", sorted(QUESTIONS))
def test_a_lookup_goes_on_for_whom_it_began(served: Served, authorizer: relgraph.Authorizer, method: str) -> None:
    """A key goes on with its own lookup, without the scope for the past; another key does not."""
    channel, secrets, _ = served
    authorizer.write(touch=GONE)
    first, cursor = look_up(channel, method, secrets["lister"], "")
    authorizer.write(delete=GONE)
    rest, end = look_up(channel, method, secrets["lister"], cursor)
    assert (["q4", "secret"] if method == "LookupResources" else ["bob", "carol"], "") == ([*first, *rest], end)
    code, _ = call(channel, method, asked(method, cursor), shown(secrets["other-lister"]))
    assert code is grpc.StatusCode.PERMISSION_DENIED


def test_a_damaged_cursor_is_told_from_a_forbidden_one(served: Served) -> None:
    """Who may read the past is told that a cursor is damaged, as without keys."""
    channel, secrets, _ = served
    code, error = call(channel, "Read", pb.ReadRequest(cursor="x.y"), shown(secrets["admin"]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, InvalidCursor)

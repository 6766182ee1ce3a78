"""The edge of the server in SpiceDB's dialect: keys, scopes, the audit log, settings, and what reflection tells."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from typing import TYPE_CHECKING

import grpc
import pytest
from authzed.api.v1 import InsecureClient, core_pb2
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb
from authzed.api.v1 import schema_service_pb2 as schemas
from authzed.api.v1 import watch_service_pb2 as watches
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from relgraph.api import open_authorizer
from relgraph.errors import InvalidSetting, KeyRefused
from relgraph_server.authzed.dialect import AUTHZED, NEEDS, SERVICES, WRITES
from relgraph_server.authzed.summaries import summary_of
from relgraph_server.guard import check_items
from relgraph_server.keys import SCOPES
from relgraph_server.settings import Settings, load_settings
from tests.authzed_calls import (
    SCHEMA,
    TUPLES,
    ask,
    context,
    fact,
    item,
    meta,
    opened,
    refusal_of,
    select,
    update,
    write,
)
from tests.keys_kit import add_key, guarded
from tests.metrics_kit import scrape
from tests.serving import in_process, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from relgraph.api import Authorizer

METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for module in (pb, schemas, watches, experimental)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
CHECK = "/authzed.api.v1.PermissionsService/CheckPermission"
EXACTLY: dict[str, object] = {"consistency": pb.Consistency(at_exact_snapshot=core_pb2.ZedToken(token="x"))}
FRESH: dict[str, object] = {"consistency": pb.Consistency(at_least_as_fresh=core_pb2.ZedToken(token="x"))}
IF: dict[str, object] = {"optional_preconditions": [meta(True, "doc:plan")]}


@pytest.fixture
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened_one:
        opened_one.write_schema(SCHEMA)
        opened_one.write(touch=TUPLES)
        yield opened_one


def _message(method: str, **fields: object) -> Message:
    return GetMessageClass(METHODS[method].input_type)(**fields)


PROPERTIES: tuple[tuple[dict[str, object], str], ...] = (
    (EXACTLY, "history"),
    ({"with_tracing": True}, "explain"),
    ({"with_debug": True}, "explain"),
    (IF, "read"),
)
"""What a request may ask for, and the scope that this takes beside its method's."""


def test_every_method_has_a_row() -> None:
    """All 27 methods of the four services are in the table of scopes, each under a name of its own."""
    assert set(METHODS) == set(NEEDS)
    assert len(METHODS) == 27
    assert set(METHODS) >= WRITES
    assert {each.containing_service.full_name for each in METHODS.values()} == set(SERVICES)


def test_a_method_without_a_row_is_closed() -> None:
    """What the table does not name is refused, even to a key that may do everything."""
    with pytest.raises(KeyRefused, match="no key opens `Drop`"):
        AUTHZED.scopes.check("Drop", ask("doc:plan#view@user:ann"), frozenset(SCOPES))


@pytest.mark.parametrize("method", sorted(NEEDS))
def test_every_set_of_scopes(method: str) -> None:
    """Of all sets of scopes, those let a call in that hold what it needs, or `admin`, whatever else it asks for."""
    fields = set(METHODS[method].input_type.fields_by_name)
    plain = {NEEDS[method].scope, *([NEEDS[method].fields[""]] if "" in NEEDS[method].fields else [])}
    cases = [(_message(method), plain)]
    if "consistency" in fields:
        cases.append((_message(method, **FRESH), plain))
    for given, scope in PROPERTIES:
        if set(given) <= fields:
            cases.append((_message(method, **given), plain | {scope}))
    for message, wanted in cases:
        assert AUTHZED.scopes.needed(method, message) == wanted
        for size in range(len(SCOPES) + 1):
            for held in combinations(SCOPES, size):
                if wanted <= {*held} or "admin" in held:
                    AUTHZED.scopes.check(method, message, frozenset(held))
                else:
                    with pytest.raises(KeyRefused):
                        AUTHZED.scopes.check(method, message, frozenset(held))


def test_bearers_are_answered_as_spicedb_answers_them(tmp_path: Path, authorizer: Authorizer) -> None:
    """Without a key UNAUTHENTICATED, with a wrong one PERMISSION_DENIED in SpiceDB's words, else an answer."""
    secret = add_key(tmp_path / "keys", "app", ["check"])
    asked = ask("doc:plan#view@user:ann")
    with in_process(authorizer, guarded(tmp_path / "keys")) as address:
        with grpc.insecure_channel(address) as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/authzed.api.v1.PermissionsService/CheckPermission"
            )
            for metadata in ((), (("authorization", "Bearer "),), (("authorization", "Basic x"),)):
                with pytest.raises(grpc.RpcError) as caught:
                    call(asked.SerializeToString(), metadata=metadata, timeout=10)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        wrong = refusal_of(lambda: InsecureClient(address, "rg_wrong").CheckPermission(asked))
        assert (wrong.code, wrong.text) == ("PERMISSION_DENIED", "invalid preshared key: invalid token")
        assert InsecureClient(address, secret).CheckPermission(asked).permissionship == 2
        narrow = refusal_of(lambda: InsecureClient(address, secret).WriteRelationships(write()))
        assert (narrow.code, narrow.metadata["scope"]) == ("PERMISSION_DENIED", "write")


def test_a_key_that_writes_for_somebody_cannot_write_here(tmp_path: Path, authorizer: Authorizer) -> None:
    """The dialect has no actor, so a key that must name one is refused, and one that must not is let in."""
    path = tmp_path / "keys"
    secrets = {actor: add_key(path, actor, ["write", "check"], actor) for actor in ("required", "forbidden")}
    request = write(update(2, "doc:x#owner@user:ann"))
    with in_process(authorizer, guarded(path)) as address:
        before = authorizer.read().revision
        told = refusal_of(lambda: InsecureClient(address, secrets["required"]).WriteRelationships(request))
        assert (told.code, authorizer.read().revision) == ("PERMISSION_DENIED", before)
        InsecureClient(address, secrets["required"]).CheckPermission(ask("doc:plan#view@user:ann"))
        InsecureClient(address, secrets["forbidden"]).WriteRelationships(request)
    entry = authorizer.log().entries[-1]
    assert (entry.principal, [str(each) for each in entry.created]) == ("forbidden", ["doc:x#owner@user:ann"])


def test_a_cursor_is_good_for_the_key_that_got_it(tmp_path: Path, authorizer: Authorizer) -> None:
    """Who may not read the past goes on with cursors that the server gave to him, and with no others."""
    path = tmp_path / "keys"
    secrets = [add_key(path, name, ["read"]) for name in ("one", "two")]
    with in_process(authorizer, guarded(path)) as address:
        mine, others = (InsecureClient(address, secret) for secret in secrets)

        def page(client: InsecureClient, cursor: core_pb2.Cursor | None) -> list[pb.ReadRelationshipsResponse]:
            return list(
                client.ReadRelationships(
                    pb.ReadRelationshipsRequest(
                        relationship_filter=select("doc"), optional_limit=2, optional_cursor=cursor
                    )
                )
            )

        first = page(mine, None)
        assert page(mine, first[-1].after_result_cursor)[0].relationship != first[0].relationship
        told = refusal_of(lambda: page(others, first[-1].after_result_cursor))
        assert (told.code, told.metadata["scope"]) == ("PERMISSION_DENIED", "history")


def test_writes_are_audited(tmp_path: Path, authorizer: Authorizer) -> None:
    """A write, a delete and a refusal stand in the audit log, by the full names of their methods."""
    secret = add_key(tmp_path / "keys", "app", ["write"])
    with in_process(authorizer, guarded(tmp_path / "keys", tmp_path / "audit")) as address:
        client = InsecureClient(address, secret)
        client.WriteRelationships(write(update(2, "doc:x#viewer@user:ann", "near", context(site="secret"))))
        client.DeleteRelationships(pb.DeleteRelationshipsRequest(relationship_filter=select("doc:x")))
        refusal_of(lambda: client.CheckPermission(ask("doc:plan#view@user:ann")))
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text("utf-8").splitlines()]
    calls = [each for each in lines if each.get("event") == "call"]
    assert [(each["method"].rpartition("/")[2], each["outcome"]) for each in calls] == [
        ("WriteRelationships", "OK"),
        ("DeleteRelationships", "OK"),
        ("CheckPermission", "KEY_REFUSED"),
    ]
    assert all(each["method"].startswith("authzed.api.v1.PermissionsService/") for each in calls)
    assert calls[0]["updates"] == [["touch", "doc:x#viewer@user:ann[near]"]]
    assert calls[1]["filter"] == {"resource_type": "doc", "resource_id": "x"}
    assert "secret" not in (tmp_path / "audit").read_text("utf-8")


def test_what_the_audit_log_tells_is_bounded() -> None:
    """Of many updates the first twenty are told, each cut, with their number; of a schema its size and hash."""
    told = summary_of(write(*[update(1, f"doc:{'x' * 2000}#owner@user:ann#rel")] * 50))
    assert told["updates_total"] == 50
    updates = told["updates"]
    assert isinstance(updates, list)
    assert (len(updates), {len(text) for _, text in updates}) == (20, {400})
    assert summary_of(schemas.WriteSchemaRequest(schema="x"))["schema_size"] == 1
    assert summary_of(ask("doc:plan#view@user:ann")) == {}


def test_what_lists_of_contexts_hold_is_counted() -> None:
    """The values of contexts in a request's lists count as its items, at any depth, as in relgraph.v1."""
    values = context(many=[0] * 500)
    for message in (
        write(update(1, "doc:x#viewer@user:ann", "near", values)),
        pb.CheckBulkPermissionsRequest(items=[item("doc:x#view@user:ann", values)]),
        pb.ImportBulkRelationshipsRequest(relationships=[fact("doc:x#viewer@user:ann", "near", values)]),
    ):
        check_items(message, 502, AUTHZED.contexts)
        with pytest.raises(Exception, match="request_items_max"):
            check_items(message, 501, AUTHZED.contexts)


def _listed(address: str) -> set[str]:
    """The names of the services that reflection tells."""
    with grpc.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]))  # type: ignore[operator]
    return {each.name for each in answer.list_services_response.service}


@pytest.mark.parametrize(
    ("dialects", "theirs", "ours"),
    [
        ("all", True, True),
        ("relgraph.v1", False, True),
        ("authzed.api.v1", True, False),
        ("relgraph.v1, authzed.api.v1", True, True),
    ],
)
def test_dialects_are_served_as_set(dialects: str, theirs: bool, ours: bool) -> None:
    """A server speaks the dialects that it is told to, both without a word, and reflection tells which."""
    settings = Settings("unused:", listen="127.0.0.1:0", dialects=dialects)
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer, settings) as address:
        names = _listed(address)
    assert (set(SERVICES) <= names, "relgraph.v1.AuthorizerService" in names) == (theirs, ours)


def test_a_dialect_that_is_none_is_refused() -> None:
    """A name that is no dialect's is refused with what was probably meant."""
    with pytest.raises(InvalidSetting, match=r"did you mean `authzed\.api\.v1`"):
        load_settings({"store": "sqlite://", "dialects": "relgraph.v1,authzed.api.v2"}, {})


def test_without_its_package_the_dialect_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `authzed` is not installed, naming the dialect is an error, and not naming it leaves it out."""
    for name in [name for name in sys.modules if name.startswith("relgraph_server.authzed")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("authzed", "authzed.api", "authzed.api.v1"):
        monkeypatch.setitem(sys.modules, name, None)
    named = Settings("unused:", listen="127.0.0.1:0", dialects="authzed.api.v1")
    with open_authorizer("sqlite://") as authorizer:
        with pytest.raises(InvalidSetting, match=r"pip install 'relgraph\[authzed\]'"), in_process(authorizer, named):
            pass
        with in_process(authorizer) as address:
            assert _listed(address) & set(SERVICES) == set()


def test_who_calls_a_dialect_that_is_not_served_is_told_what_to_do(authorizer: Authorizer) -> None:
    """A call of a dialect that a server leaves out, of whatever kind, is refused with what to install and to set."""
    settings = Settings("unused:", listen="127.0.0.1:0", dialects="relgraph.v1")
    request = pb.ReadRelationshipsRequest(relationship_filter=select("doc"))
    with in_process(authorizer, settings) as address:
        client = InsecureClient(address, "any")
        for call in (
            lambda: client.CheckPermission(ask("doc:x#edit@user:ann")),
            lambda: list(client.ReadRelationships(request)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "pip install 'relgraph[authzed]'" in (caught.value.details() or "")


def test_health_tells_of_each_service(authorizer: Authorizer) -> None:
    """Who asks for the health of one of the dialect's services is told that it serves."""
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # not in its types
        for name in SERVICES:
            asked = health_pb2.HealthCheckRequest(service=name)
            assert check(asked, timeout=10).status == health_pb2.HealthCheckResponse.SERVING


def test_calls_are_counted_under_their_full_names(authorizer: Authorizer) -> None:
    """Metrics tell this dialect's methods by their full names, how new an answer was asked for, and the verdicts."""
    with running(authorizer, guarded(metrics="127.0.0.1:0")) as server:
        client = InsecureClient(server.address, "any")
        client.CheckPermission(ask("doc:plan#view@user:ann"))
        client.CheckPermission(ask("doc:plan#view@user:ann", consistency=pb.Consistency(fully_consistent=True)))
        refusal_of(lambda: client.CheckPermission(ask("gate:one#left@user:ann")))
        told = scrape(server.metrics_address)
    method = "authzed.api.v1.PermissionsService/CheckPermission"
    expected = {("OK", "recent"): 1, ("OK", "safe"): 1, ("FAILED_PRECONDITION", "recent"): 1}
    assert told.calls() == {(method, *ended): count for ended, count in expected.items()}
    assert told.value("relgraph_check_total", result="allow") == 2
    assert told.value("relgraph_check_total", result="undecided") == 1


def test_both_dialects_answer_from_one_store(authorizer: Authorizer) -> None:
    """What is written through one dialect is read through the other, and their tokens are the same."""
    with in_process(authorizer) as address:
        token = InsecureClient(address, "any").WriteRelationships(write(update(2, "doc:x#owner@user:ann"))).written_at
        page = authorizer.read(limit=1)
        assert token.token.split()[0]
        assert authorizer.check("user:ann", "edit", "doc:x")
        exactly = pb.Consistency(at_exact_snapshot=core_pb2.ZedToken(token=page.token))
        answer = InsecureClient(address, "any").CheckPermission(ask("doc:x#edit@user:ann", consistency=exactly))
    assert answer.permissionship == 2


def test_what_is_not_a_message_is_refused() -> None:
    """Bytes that are no request are the caller's mistake in this dialect too."""
    with opened() as (_, authorizer), in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/authzed.api.v1.PermissionsService/CheckPermission"
        )
        assert refusal_of(lambda: call(b"\xff\xff", timeout=10)).code == "INVALID_ARGUMENT"

"""What each key opens: every method and every property of a request against every set of scopes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from relgraph.api import open_authorizer
from relgraph.errors import KeyRefused
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server.keys import SCOPES
from relgraph_server.scopes import NEEDS, OURS, WRITES
from tests.keys_kit import METHODS, add_key, call, guarded, shown
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.message import Message

    from relgraph.api import Authorizer

ASK: dict[str, object] = {"subject": "user:anna", "permission": "observe", "resource": "report:q3"}
WHAT: dict[str, object] = {"subject": "user:anna", "permission": "observe", "type": "report"}
WHO: dict[str, object] = {"resource": "report:q3", "permission": "observe", "type": "user"}
FACT = pb.RelationTuple(resource="report:q9", relation="manager", subject="user:anna")
CONTEXT = [FACT]
PAST: dict[str, object] = {"at": {"seconds": 1}}
EXACTLY: dict[str, object] = {"consistency": pb.Consistency(at_exactly="x")}
LEAST: dict[str, object] = {"consistency": pb.Consistency(at_least="x")}
IF = [pb.Precondition(requirement=pb.Precondition.REQUIREMENT_MUST_EXIST, filter=pb.TupleFilter(resource_type="gate"))]
TOUCH = [pb.Update(operation=pb.Update.OPERATION_TOUCH, tuple=FACT)]
NOTHING = pb.TupleFilter(resource_type="report", resource_id="none")


def _given(**fields: object) -> dict[str, object]:
    return fields


CASES: dict[str, tuple[str, dict[str, object], set[str]]] = {
    "check": ("Check", _given(**ASK), {"check"}),
    "check, fresh enough": ("Check", _given(**ASK, **LEAST), {"check"}),
    "check then": ("Check", _given(**ASK, **PAST), {"check", "history"}),
    "check at a token": ("Check", _given(**ASK, **EXACTLY), {"check", "history"}),
    "check what if": ("Check", _given(**ASK, contextual_tuples=CONTEXT), {"check", "contextual"}),
    "check what if then": (
        "Check",
        _given(**ASK, **PAST, contextual_tuples=CONTEXT),
        {"check", "contextual", "history"},
    ),
    "bulk": ("CheckBulk", _given(questions=[pb.Question(resource="report:q3")]), {"check"}),
    "bulk then": ("CheckBulk", _given(questions=[pb.Question(resource="report:q3")], **PAST), {"check", "history"}),
    "bulk at a token": ("CheckBulk", _given(**EXACTLY), {"check", "history"}),
    "bulk what if": ("CheckBulk", _given(contextual_tuples=CONTEXT), {"check", "contextual"}),
    "best": ("BestAccess", _given(subject="user:anna", resources=["report:q3"]), {"check"}),
    "best, no way": ("BestAccess", _given(ways=pb.WAYS_NONE), {"check"}),
    "best, a way": ("BestAccess", _given(ways=pb.WAYS_ONE), {"check", "explain"}),
    "best, all ways": ("BestAccess", _given(ways=pb.WAYS_ALL), {"check", "explain"}),
    "best, ways of tomorrow": ("BestAccess", _given(ways=9), {"check", "explain"}),
    "best then": ("BestAccess", _given(**PAST), {"check", "history"}),
    "best at a token": ("BestAccess", _given(**EXACTLY), {"check", "history"}),
    "best what if": ("BestAccess", _given(contextual_tuples=CONTEXT), {"check", "contextual"}),
    "expand": ("Expand", _given(resource="report:q3", permission="observe"), {"explain"}),
    "expand then": ("Expand", _given(**PAST), {"explain", "history"}),
    "expand at a token": ("Expand", _given(**EXACTLY), {"explain", "history"}),
    "expand what if": ("Expand", _given(contextual_tuples=CONTEXT), {"explain", "contextual"}),
    "what": ("LookupResources", _given(**WHAT), {"list"}),
    "what then": ("LookupResources", _given(**WHAT, **PAST), {"list", "history"}),
    "what at a token": ("LookupResources", _given(**WHAT, **EXACTLY), {"list", "history"}),
    "what, what if": ("LookupResources", _given(**WHAT, contextual_tuples=CONTEXT), {"list", "contextual"}),
    "who": ("LookupSubjects", _given(**WHO), {"list"}),
    "who then": ("LookupSubjects", _given(**WHO, **PAST), {"list", "history"}),
    "who at a token": ("LookupSubjects", _given(**WHO, **EXACTLY), {"list", "history"}),
    "who, what if": ("LookupSubjects", _given(**WHO, contextual_tuples=CONTEXT), {"list", "contextual"}),
    "how much": ("CountResources", _given(**WHAT), {"list"}),
    "how much then": ("CountResources", _given(**WHAT, **PAST), {"list", "history"}),
    "how much, what if": ("CountResources", _given(**WHAT, contextual_tuples=CONTEXT), {"list", "contextual"}),
    "how many": ("CountSubjects", _given(**WHO), {"list"}),
    "how many at a token": ("CountSubjects", _given(**WHO, **EXACTLY), {"list", "history"}),
    "how many, what if": ("CountSubjects", _given(**WHO, contextual_tuples=CONTEXT), {"list", "contextual"}),
    "permissions": ("AllPermissions", _given(subject="user:anna", resource="report:q3"), {"check"}),
    "permissions then": ("AllPermissions", _given(**PAST), {"check", "history"}),
    "permissions at a token": ("AllPermissions", _given(**EXACTLY), {"check", "history"}),
    "permissions, what if": ("AllPermissions", _given(contextual_tuples=CONTEXT), {"check", "contextual"}),
    "orphans": ("ListOrphans", _given(), {"list"}),
    "orphans then": ("ListOrphans", _given(**PAST), {"list", "history"}),
    "orphans at a token": ("ListOrphans", _given(**EXACTLY), {"list", "history"}),
    "orphans what if": ("ListOrphans", _given(contextual_tuples=CONTEXT), {"list", "contextual"}),
    "cycles": ("ListCycles", _given(), {"list", "explain"}),
    "cycles then": ("ListCycles", _given(**PAST), {"list", "explain", "history"}),
    "cycles at a token": ("ListCycles", _given(**EXACTLY), {"list", "explain", "history"}),
    "cycles what if": ("ListCycles", _given(contextual_tuples=CONTEXT), {"list", "explain", "contextual"}),
    "read": ("Read", _given(), {"read"}),
    "read then": ("Read", _given(**PAST), {"read", "history"}),
    "read at a token": ("Read", _given(**EXACTLY), {"read", "history"}),
    "schema": ("ReadSchema", _given(), {"read"}),
    "schema then": ("ReadSchema", _given(**PAST), {"read", "history"}),
    "schema at a token": ("ReadSchema", _given(**EXACTLY), {"read", "history"}),
    "diff": ("DiffSchema", _given(text=SCHEMA), {"read"}),
    "diff then": ("DiffSchema", _given(text=SCHEMA, **PAST), {"read", "history"}),
    "diff at a token": ("DiffSchema", _given(text=SCHEMA, **EXACTLY), {"read", "history"}),
    "export": ("Export", _given(), {"read"}),
    "export then": ("Export", _given(**PAST), {"read", "history"}),
    "export at a token": ("Export", _given(**EXACTLY), {"read", "history"}),
    "watch": ("Watch", _given(), {"read", "history"}),
    "best of many subjects": ("BestAccess", _given(subjects=["user:anna"], resource="report:q3"), {"check"}),
    "write": ("Write", _given(updates=TOUCH), {"write"}),
    "write if": ("Write", _given(updates=TOUCH, preconditions=IF), {"write", "read"}),
    "delete": ("Delete", _given(filter=NOTHING), {"write"}),
    "delete if": ("Delete", _given(filter=NOTHING, preconditions=IF), {"write", "read"}),
    "import": ("Import", _given(tuples=[FACT], tuples_total=1), {"write"}),
    "write schema": ("WriteSchema", _given(text=SCHEMA), {"schema"}),
    "status": ("Status", _given(), {"admin"}),
}
"""A call of each method, plain and with each property that asks for more, and the scopes that it needs."""


def _case(name: str) -> tuple[str, Message, set[str]]:
    method, fields, wanted = CASES[name]
    return method, GetMessageClass(METHODS[method].input_type)(**fields), wanted


# Fields that ask for nothing more than their method does. Whoever adds a field decides here, or in the table.
PLAIN_FIELDS = {
    "Check": {"subject", "permission", "resource", "context"},
    "CheckBulk": {"questions", "columns", "context"},
    "BestAccess": {"subject", "resources", "subjects", "resource", "context"},
    "Expand": {"resource", "permission", "usersets", "context"},
    "LookupResources": {"subject", "permission", "type", "limit", "cursor", "context"},
    "LookupSubjects": {"resource", "permission", "type", "relation", "limit", "cursor", "context"},
    "CountResources": {"subject", "permission", "type", "context"},
    "CountSubjects": {"resource", "permission", "type", "relation", "context"},
    "AllPermissions": {"subject", "resource", "context"},
    "ListOrphans": {"candidates", "types", "context"},
    "ListCycles": {"candidates", "types", "context"},
    "Read": {"filter", "limit", "cursor"},
    "Export": {"filter"},
    "Watch": {"after", "types", "relations", "filters", "heartbeat_ms"},
    "ReadSchema": set(),
    "DiffSchema": {"text"},
    "Write": {"updates", "actor", "reason", "request_id", "dry_run", "expect", "not_after"},
    "Delete": {"filter", "limit", "partial", "actor", "reason", "request_id", "dry_run", "expect", "not_after"},
    "Import": {"options", "tuples", "tuples_total"},
    "WriteSchema": {"text", "actor", "reason", "request_id", "dry_run", "expect"},
    "Status": set(),
}


def test_every_method_has_a_row() -> None:
    """Each method of the service is in the table of scopes, and in the matrix below."""
    assert set() == set(METHODS) - set(NEEDS)
    assert set() == set(METHODS) - {method for method, _, _ in CASES.values()}
    assert set(PLAIN_FIELDS) == {method for method, _, _ in CASES.values()}
    assert set(METHODS) >= WRITES


@pytest.mark.parametrize("method", sorted(PLAIN_FIELDS))
def test_every_field_was_decided_on(method: str) -> None:
    """Each field of a request asks for more by the table, or is listed as one that does not."""
    fields = {field.name for field in METHODS[method].input_type.fields} - {"consistency"}
    assert fields == PLAIN_FIELDS[method] | (set(NEEDS[method].fields) - {""})


def test_a_method_without_a_row_is_closed() -> None:
    """What the table does not name is refused, even to a key that may do everything."""
    with pytest.raises(KeyRefused, match="no key opens `Drop`"):
        OURS.check("Drop", pb.ReadRequest(), frozenset(SCOPES))


@pytest.mark.parametrize("name", CASES)
def test_every_set_of_scopes(name: str) -> None:
    """Of all 512 sets of scopes, those let a call in that hold what it needs, or `admin`; no other does."""
    method, message, wanted = _case(name)
    assert wanted == OURS.needed(method, message)
    for size in range(len(SCOPES) + 1):
        for held in combinations(SCOPES, size):
            if wanted <= {*held} or "admin" in held:
                OURS.check(method, message, frozenset(held))
            else:
                with pytest.raises(KeyRefused) as caught:
                    OURS.check(method, message, frozenset(held))
                assert caught.value.details["scope"] in wanted - {*held}


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[frozenset[str], str]]:
    """Keys with each scope alone, each scope missing, what each call needs, and each part of that missing."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    sets = {frozenset({scope}) for scope in SCOPES} | {frozenset(SCOPES) - {"admin", scope} for scope in SCOPES}
    for _, _, wanted in CASES.values():
        sets |= {frozenset(wanted)} | {frozenset(wanted - {scope}) for scope in wanted if len(wanted) > 1}
    return path, {held: add_key(path, f"k{n}", held) for n, held in enumerate(sorted(sets, key=sorted))}


@pytest.fixture(scope="module")
def channel(authorizer: Authorizer, secrets: tuple[Path, dict[frozenset[str], str]]) -> Iterator[grpc.Channel]:
    with in_process(authorizer, guarded(secrets[0])) as address, grpc.insecure_channel(address) as opened:
        yield opened


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_over_the_wire(
    name: str,
    channel: grpc.Channel,
    authorizer: Authorizer,
    secrets: tuple[Path, dict[frozenset[str], str]],
) -> None:
    """A call whose key lacks a scope is PERMISSION_DENIED and changes nothing; with it, the call is judged as ever."""
    method, message, wanted = _case(name)
    let_in = 0
    for held, secret in secrets[1].items():
        before = authorizer.read(limit=1).revision
        code, error = call(channel, method, message, shown(secret))
        if wanted <= held or "admin" in held:
            let_in += 1
            assert code not in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
        else:
            assert code is grpc.StatusCode.PERMISSION_DENIED, (sorted(held), error)
            assert isinstance(error, KeyRefused)
            assert error.details["scope"] in wanted - held
            assert before == authorizer.read(limit=1).revision
    # Nothing but `admin` itself stands in for it.
    assert 2 - (wanted == {"admin"}) <= let_in < len(secrets[1])

"""Debug traces in SpiceDB's dialect: true trees of a bounded size, that end in the tuples that were followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import grpc
import pytest
from authzed.api.v1 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    Consistency,
    InsecureClient,
    ObjectReference,
    ReadSchemaRequest,
    SubjectReference,
)
from authzed.api.v1 import debug_pb2 as debug
from google.protobuf import text_format
from google.protobuf.struct_pb2 import Struct
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

import relgraph
from relgraph.answers import Verdict
from relgraph.contexts import Context
from relgraph.schema import parse
from relgraph.tuples import Object, Subject
from relgraph_server.authzed.regenerate import regenerated
from relgraph_server.authzed.traces import CUT, TRACE_DETAIL, TRACE_HEADER, WHOLE, debug_information, nodes_max
from tests.keys_kit import add_key, guarded
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_Trace = debug.CheckDebugTrace

SCHEMA: Final = """use expiration
caveat near(site string, limit int) {
  site == 'north' && limit > 1
}
caveat share(parts int) { 10 / parts > 1 }
definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation parent: doc
  relation owner: user | user:* | user with near | user with share | group#member | user with expiration
  relation banned: user
  permission edit = owner + parent->edit
  permission view = edit - banned
  permission both = edit & view
}
"""
RESULTS: Final = {
    Verdict.NO: _Trace.PERMISSIONSHIP_NO_PERMISSION,
    Verdict.CONDITIONAL: _Trace.PERMISSIONSHIP_CONDITIONAL_PERMISSION,
    Verdict.YES: _Trace.PERMISSIONSHIP_HAS_PERMISSION,
}


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        yield opened


def traced(authorizer: relgraph.Authorizer, question: str, **brought: object) -> debug.DebugInformation:
    """What a client reads of the trace of one question."""
    trace = authorizer.trace([question], context=brought)[0]
    told = debug_information(trace, 1 << 20, regenerated(trace.schema))
    return debug.DebugInformation.FromString(told.SerializeToString())


def subject_of(message: _Trace) -> Subject:
    """The subject that a problem is about."""
    found = message.subject.object
    return Subject(found.object_type, found.object_id, message.subject.optional_relation)


def problems_of(root: _Trace) -> list[_Trace]:
    """A problem and all below it."""
    found = [root]
    for each in found:
        found += each.sub_problems.traces
    return found


def lines(message: _Trace, depth: int = 0) -> list[str]:
    """A tree as indented lines; `=` marks what is told elsewhere."""
    name = f"{message.resource.object_type}:{message.resource.object_id}#{message.permission}@{subject_of(message)}"
    kind = "P" if message.permission_type == _Trace.PERMISSION_TYPE_PERMISSION else "R"
    result = {number: verdict.value for verdict, number in RESULTS.items()}[message.result]
    told = f"{'  ' * depth}{kind} {name} {result}{' =' if message.was_cached_result else ''}"
    return [told, *(line for each in message.sub_problems.traces for line in lines(each, depth + 1))]


def check_true(authorizer: relgraph.Authorizer, root: _Trace, **brought: object) -> int:
    """Ask every problem of a tree as a question of its own; say how many were asked."""
    asked = 0
    for each in problems_of(root):
        if each.subject.object.object_id != "*":
            resource = Object(each.resource.object_type, each.resource.object_id)
            found = authorizer.decide(subject_of(each), each.permission, resource, context=brought)
            assert RESULTS[found.verdict] == each.result, (resource, each.permission, subject_of(each))
            asked += 1
    return asked


def test_a_trace_is_a_tree_of_checks_that_ends_in_tuples(authorizer: relgraph.Authorizer) -> None:
    """Names stand below names, tuples that were followed beside what they led to, and all of it is true."""
    authorizer.write(touch=["doc:a#parent@doc:b", "doc:b#owner@group:eng#member", "group:eng#member@user:anna"])
    found = traced(authorizer, "doc:a#both@user:anna")
    assert found.schema_used == regenerated(parse(SCHEMA))
    assert lines(found.check) == [
        "P doc:a#both@user:anna yes",
        "  P doc:a#edit@user:anna yes",
        "    R doc:a#owner@user:anna no",
        "    R doc:a#parent@doc:b yes",
        "    P doc:b#edit@user:anna yes",
        "      R doc:b#owner@user:anna yes",
        "        R doc:b#owner@group:eng#member yes",
        "        R group:eng#member@user:anna yes",
        "  P doc:a#view@user:anna yes",
        "    P doc:a#edit@user:anna yes =",
        "    R doc:a#banned@user:anna no",
    ]
    assert check_true(authorizer, found.check) == 11
    authorizer.write(touch=["doc:c#owner@user:*"])
    assert lines(traced(authorizer, "doc:c#owner@user:bob").check) == [
        "R doc:c#owner@user:bob yes",
        "  R doc:c#owner@user:* yes",
    ]


def test_a_tree_says_how_it_was_resolved(authorizer: relgraph.Authorizer) -> None:
    """Every problem has sub-problems or says whether it is told elsewhere, under the same operation."""
    authorizer.write(
        touch=["group:a#member@group:b#member", "group:b#member@group:a#member", "doc:a#owner@group:a#member"]
    )
    found = traced(authorizer, "doc:a#owner@user:anna").check
    assert all(each.WhichOneof("resolution") for each in problems_of(found))
    cached = [each for each in problems_of(found) if each.was_cached_result]
    assert ["group:a"] == [f"{each.resource.object_type}:{each.resource.object_id}" for each in cached]
    twin = [each for each in problems_of(found) if each.trace_operation_id == cached[0].trace_operation_id]
    assert len(twin) == 2
    assert {WHOLE} == {each.source for each in problems_of(found)}
    check_true(authorizer, found)


@pytest.mark.parametrize(
    ("site", "result", "verdict"),
    [
        ("north", debug.CaveatEvalInfo.RESULT_TRUE, Verdict.YES),
        ("south", debug.CaveatEvalInfo.RESULT_FALSE, Verdict.NO),
        ("", debug.CaveatEvalInfo.RESULT_MISSING_SOME_CONTEXT, Verdict.CONDITIONAL),
    ],
)
def test_a_caveat_is_told_with_its_tuple(
    authorizer: relgraph.Authorizer, site: str, result: int, verdict: Verdict
) -> None:
    """Where a tuple has a caveat its problem tells the expression, what it was given, what it lacks and its result."""
    authorizer.write(touch=['doc:a#owner@user:anna[near:{"limit":5}]'])
    brought = {"site": site} if site else {}
    root = traced(authorizer, "doc:a#edit@user:anna", **brought).check
    (owner,) = (each for each in problems_of(root) if each.permission == "owner")
    info = owner.caveat_evaluation_info
    assert (info.caveat_name, info.result, owner.result) == ("near", result, RESULTS[verdict])
    assert "site == 'north'" in info.expression
    assert dict(info.context) == {"limit": 5, **brought}
    assert list(info.partial_caveat_info.missing_required_context) == ([] if site else ["site"])
    assert check_true(authorizer, root, **brought) > 0


def test_a_caveat_that_fails_is_told_as_unevaluated(authorizer: relgraph.Authorizer) -> None:
    """A caveat that could not be evaluated has no result, and what hangs on it has none either."""
    authorizer.write(touch=["doc:a#owner@user:anna[share]"])
    root = traced(authorizer, "doc:a#owner@user:anna", parts=0).check
    assert root.result == _Trace.PERMISSIONSHIP_UNSPECIFIED
    assert root.caveat_evaluation_info.result == debug.CaveatEvalInfo.RESULT_UNEVALUATED


def test_a_trace_tells_when_it_ends(authorizer: relgraph.Authorizer) -> None:
    """Where a tuple expires, what hangs on it says when."""
    authorizer.write(touch=["doc:a#owner@user:anna[expiration:2999-01-01T00:00:00Z]", "doc:b#owner@user:anna"])
    root = traced(authorizer, "doc:a#edit@user:anna").check
    assert {each.optional_expires_at.ToJsonString() for each in problems_of(root)} == {"2999-01-01T00:00:00Z"}
    root = traced(authorizer, "doc:b#edit@user:anna").check
    assert not any(each.HasField("optional_expires_at") for each in problems_of(root))


def test_deep_data_is_told_as_deep_as_it_can_be_read(authorizer: relgraph.Authorizer) -> None:
    """A chain longer than messages can be nested is cut, says so, and is read back by a client as it was sent."""
    authorizer.write(touch=[f"doc:d{n}#parent@doc:d{n + 1}" for n in range(300)])
    authorizer.write(touch=["doc:d300#owner@user:anna"])
    root = traced(authorizer, "doc:d0#edit@user:anna").check
    assert root.result == _Trace.PERMISSIONSHIP_HAS_PERMISSION
    assert {CUT, WHOLE} == {each.source for each in problems_of(root)}
    assert check_true(authorizer, root) > 80


def test_a_deep_context_is_left_out_where_it_could_not_be_read(authorizer: relgraph.Authorizer) -> None:
    """What a caveat was given is told to a depth that clients read below any problem, and left out beyond it."""
    deep = "caveat deep(value any) { value == 1 }\n"
    authorizer.write_schema(SCHEMA.replace("caveat near", f"{deep}caveat near").replace("with near |", "with deep |"))
    authorizer.write(touch=[f"doc:d{n}#parent@doc:d{n + 1}" for n in range(40)])
    for depth, told in ((7, True), (20, False)):
        value: object = 1
        for _ in range(depth):
            value = {"in": value}
        context = Context.of({"value": value})
        authorizer.write(touch=[f"doc:d{n}#owner@user:anna[deep:{context}]" for n in range(40)])
        root = traced(authorizer, "doc:d0#edit@user:anna").check
        owners = [each for each in problems_of(root) if each.HasField("caveat_evaluation_info")]
        assert len(owners) > 20
        assert {each.caveat_evaluation_info.HasField("context") for each in owners} == {told}
        assert {WHOLE if told else CUT} == {each.source for each in owners if each.permission == "owner"}


def test_wide_data_is_bounded_in_bytes(authorizer: relgraph.Authorizer) -> None:
    """However long the names are, a trace takes little more than a megabyte, and one among many its share."""
    authorizer.write(touch=[f"doc:{'x' * 1_000}{n}#owner@group:g#member" for n in range(20)])
    for n in range(20):
        authorizer.write(touch=[f"group:g#member@group:{'y' * 1_000}{n}{m}#member" for m in range(20)])
    trace = authorizer.trace([f"doc:{'x' * 1_000}1#edit@user:anna"])[0]
    assert debug_information(trace, 1 << 20, "").ByteSize() < (1 << 20) + (1 << 17)
    small = debug_information(trace, 1 << 13, "")
    assert small.ByteSize() < 1 << 14
    assert CUT in {each.source for each in problems_of(small.check)}
    assert (nodes_max(1), nodes_max(100), nodes_max(10_000)) == (1_000, 100, 10)


def asked_of(address: str, token: str = "unused") -> InsecureClient:
    """SpiceDB's own client, as it is."""
    return InsecureClient(address, token)


def request(**more: object) -> CheckPermissionRequest:
    """May anna edit the document."""
    return CheckPermissionRequest(
        resource=ObjectReference(object_type="doc", object_id="a"),
        permission="edit",
        subject=SubjectReference(object=ObjectReference(object_type="user", object_id="anna")),
        consistency=Consistency(fully_consistent=True),
        **more,  # type: ignore[arg-type]  # fields of the message
    )


def test_a_client_is_told_a_trace_by_field_or_header(authorizer: relgraph.Authorizer) -> None:
    """The field and the header of older clients both give the trace beside the answer, and nothing else does."""
    authorizer.write(touch=["doc:a#owner@user:anna"])
    with in_process(authorizer) as address:
        client = asked_of(address)
        found = client.CheckPermission(request(with_tracing=True))
        assert found.permissionship == found.PERMISSIONSHIP_HAS_PERMISSION
        assert lines(found.debug_trace.check) == ["P doc:a#edit@user:anna yes", "  R doc:a#owner@user:anna yes"]
        assert found.debug_trace.schema_used == client.ReadSchema(ReadSchemaRequest()).schema_text
        again = client.CheckPermission(request(), metadata=((TRACE_HEADER, "1"),))
        assert again.debug_trace == found.debug_trace
        assert not client.CheckPermission(request()).HasField("debug_trace")


def test_each_of_many_has_a_trace_of_its_own(authorizer: relgraph.Authorizer) -> None:
    """Every answer of a bulk has its trace, with the context of its own; an error has none."""
    authorizer.write(touch=["doc:a#owner@user:anna[near]", "doc:b#owner@user:*"])
    items = [
        CheckBulkPermissionsRequestItem(resource=request().resource, permission=name, subject=request().subject)
        for name in ("edit", "edit", "view", "edti")
    ]
    items[0].context.update({"site": "north", "limit": 2})
    with in_process(authorizer) as address:
        asked = CheckBulkPermissionsRequest(
            items=items, with_tracing=True, consistency=Consistency(fully_consistent=True)
        )
        pairs = asked_of(address).CheckBulkPermissions(asked).pairs
    assert [each.WhichOneof("response") for each in pairs] == ["item", "item", "item", "error"]
    assert [lines(each.item.debug_trace.check)[0].split(" ", 1)[1] for each in pairs[:3]] == [
        "doc:a#edit@user:anna yes",
        "doc:a#edit@user:anna conditional",
        "doc:a#view@user:anna conditional",
    ]


def test_a_trace_needs_a_key_that_may_explain(authorizer: relgraph.Authorizer, tmp_path: Path) -> None:
    """A key that may only check is refused a trace, however it is asked for, and is answered without one."""
    keys = tmp_path / "keys.toml"
    secrets = {"app": add_key(keys, "app", ["check"]), "why": add_key(keys, "why", ["check", "explain"])}
    with in_process(authorizer, guarded(keys)) as address:
        for name, code in (("app", grpc.StatusCode.PERMISSION_DENIED), ("why", None)):
            client = asked_of(address, secrets[name])
            assert not client.CheckPermission(request()).HasField("debug_trace")
            for asked, metadata in ((request(with_tracing=True), ()), (request(), ((TRACE_HEADER, "1"),))):
                if code is None:
                    assert client.CheckPermission(asked, metadata=metadata).HasField("debug_trace")
                else:
                    with pytest.raises(grpc.RpcError) as raised:
                        client.CheckPermission(asked, metadata=metadata)
                    assert raised.value.code() is code


def test_what_is_undefined_is_refused_with_its_trace(authorizer: relgraph.Authorizer) -> None:
    """An answer that a caveat leaves open is the same error, traced or not, and holds the trace that was asked for."""
    authorizer.write(touch=["doc:a#owner@user:anna[share]"])
    context = Struct()
    context.update({"parts": 0})
    with in_process(authorizer) as address:
        problems: list[tuple[int, str, str, dict[str, str]]] = []
        for traced in (False, True):
            with pytest.raises(grpc.RpcError) as raised:
                asked_of(address).CheckPermission(request(context=context, with_tracing=traced))
            problem = cast("grpc.Call", raised.value)
            status, info = rpc_status.from_call(problem), error_details_pb2.ErrorInfo()
            assert status is not None
            status.details[0].Unpack(info)
            problems.append((status.code, status.message, info.reason, dict(info.metadata)))
    trace = problems[1][3].pop(TRACE_DETAIL)
    assert problems[0] == problems[1]
    assert problems[0][2] == "ERROR_REASON_CAVEAT_EVALUATION_ERROR"
    root = text_format.Parse(trace, debug.DebugInformation()).check
    assert [each.permission for each in problems_of(root)] == ["edit", "owner"]
    assert root.sub_problems.traces[0].caveat_evaluation_info.result == debug.CaveatEvalInfo.RESULT_UNEVALUATED


def test_what_the_types_decide_has_a_trace_too(authorizer: relgraph.Authorizer) -> None:
    """A question that looks the wrong way round is NO here, and its trace is that alone."""
    authorizer.write_schema("definition user { relation edit: user }\ndefinition doc { relation edit: user }")
    asked = request(with_tracing=True)
    asked.resource.CopyFrom(ObjectReference(object_type="user", object_id="anna"))
    asked.subject.object.CopyFrom(ObjectReference(object_type="doc", object_id="a"))
    with in_process(authorizer) as address:
        found = asked_of(address).CheckPermission(asked)
    assert found.permissionship == found.PERMISSIONSHIP_NO_PERMISSION
    assert found.debug_trace.check.result == _Trace.PERMISSIONSHIP_NO_PERMISSION
    assert found.debug_trace.check.subject == asked.subject
    assert not found.debug_trace.check.sub_problems.traces

"""The same questions in other forms: checks in columns, and the best access of many subjects on one resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from relgraph.errors import InvalidInput, RelgraphError, UnknownDefinition
from relgraph.limits import Limits
from relgraph.tuples import question_of
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire import answers, columns
from relgraph.wire.questions import question_messages
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Best

EXPIRING = """
    use expiration
    definition user {}
    definition doc {
        relation viewer: user | user with expiration
        permission view = viewer
        permission one = viewer - two
        permission two = viewer - one
    }
"""
FACTS = (
    "doc:a#viewer@user:anna",
    "doc:b#viewer@user:bob[expiration:2990-01-01T00:00:00Z]",
    "doc:b#viewer@user:carl[expiration:2991-01-01T00:00:00Z]",
    "doc:c#viewer@user:anna[expiration:2990-01-01T00:00:00Z]",
)
Door = relgraph.Authorizer | Client


@pytest.fixture(scope="module")
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(EXPIRING)
        opened.write(touch=FACTS)
        yield opened


@pytest.fixture(scope="module")
def address(authorizer: relgraph.Authorizer) -> Iterator[str]:
    with in_process(authorizer) as served:
        yield served


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[AuthorizerServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield AuthorizerServiceStub(channel)


USERS, NAMES, DOCS = ["anna", "bob", "carl", "dora"], ["view", "one", "two", "viewer"], ["a", "b", "c", "d"]


@given(
    asked=st.lists(
        st.tuples(st.sampled_from(USERS), st.sampled_from(NAMES), st.sampled_from(DOCS)), min_size=1, max_size=40
    )
)
def test_both_forms_agree(asked: list[tuple[str, str, str]], stub: AuthorizerServiceStub) -> None:
    """Random questions are answered alike in rows and in columns, to the last field."""
    questions = [question_of(f"user:{who}", name, f"doc:{what}") for who, name, what in asked]
    rows = stub.CheckBulk(pb.CheckBulkRequest(questions=question_messages(questions)), timeout=30)
    wide = stub.CheckBulk(pb.CheckBulkRequest(columns=columns.question_columns(questions)), timeout=30)
    assert not wide.answers
    assert not rows.HasField("columns")
    told = answers.read_decisions(rows)
    assert len(questions) == len(told)
    assert [(each.verdict, each.missing, each.valid_until, each.revision) for each in told] == [
        (each.verdict, each.missing, each.valid_until, each.revision) for each in columns.read_answer_columns(wide)
    ]


@given(data=st.data())
def test_questions_come_back_from_columns(data: st.DataObject) -> None:
    """Reading columns gives the questions that were put in, and each text is sent once."""
    words = st.tuples(st.sampled_from(USERS), st.sampled_from(NAMES), st.sampled_from(DOCS))
    asked = [question_of(f"user:{w}", n, f"doc:{d}") for w, n, d in data.draw(st.lists(words, max_size=30))]
    message = columns.question_columns(asked)
    assert asked == columns.read_question_columns(message)
    assert len({who for who, _, _ in asked}) == len(message.subjects)


WRONG: list[tuple[pb.CheckBulkRequest, str]] = [
    (pb.CheckBulkRequest(columns=pb.QuestionColumns()), ""),
    (pb.CheckBulkRequest(columns=pb.QuestionColumns(subject=[0])), "columns.permission"),
    (pb.CheckBulkRequest(columns=pb.QuestionColumns(subject=[0], permission=[0])), "columns.resource"),
    (
        pb.CheckBulkRequest(
            columns=pb.QuestionColumns(
                subjects=["user:anna"],
                permissions=["view"],
                resources=["doc:a"],
                subject=[0, 0],
                permission=[0, 1],
                resource=[0, 0],
            )
        ),
        "columns.permission[1]",
    ),
    (
        pb.CheckBulkRequest(
            columns=pb.QuestionColumns(
                subjects=["user:anna", "anna"],
                permissions=["view"],
                resources=["doc:a"],
                subject=[0],
                permission=[0],
                resource=[0],
            )
        ),
        "columns.subjects[1]",
    ),
    (
        pb.CheckBulkRequest(
            questions=[pb.Question(subject="user:anna", permission="view", resource="doc:a")],
            columns=pb.QuestionColumns(),
        ),
        "columns",
    ),
]


@pytest.mark.parametrize(("request_", "field"), WRONG)
def test_columns_that_do_not_fit(request_: pb.CheckBulkRequest, field: str, stub: AuthorizerServiceStub) -> None:
    """An index that leads nowhere, columns of other lengths, a text that is none, both forms: each names its field."""
    with pytest.raises(grpc.RpcError) as raised:
        stub.CheckBulk(request_, timeout=30)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(cast("grpc.Call", raised.value))
    violations = error_details_pb2.BadRequest()
    named = any(box.Unpack(violations) for box in status.details)
    assert ([field] if field else []) == [each.field for each in violations.field_violations if named]


def test_half_an_answer_is_no_answer() -> None:
    """Columns of answers that do not fit together are an error, never a shorter list or a "no"."""
    for made in (
        pb.AnswerColumns(verdicts=[pb.VERDICT_CONDITIONAL]),
        pb.AnswerColumns(verdicts=[pb.VERDICT_YES], valid_until=[1]),
        pb.AnswerColumns(verdicts=[pb.VERDICT_YES, pb.VERDICT_YES], valid_until=[0]),
        pb.AnswerColumns(verdicts=[pb.VERDICT_UNSPECIFIED]),
    ):
        with pytest.raises(RelgraphError):
            columns.read_answer_columns(pb.CheckBulkResponse(revision=1, token="t", columns=made))


@pytest.fixture(params=["library", "wire"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """A store with reports, and a client of a server over it."""
    with relgraph.open("sqlite://", limits=Limits(best_subjects_max=10)) as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        if request.param == "library":
            yield opened
            return
        with in_process(opened) as served, Client(served) as client:
            yield client


def test_many_subjects_on_one_resource(door: Door) -> None:
    """Each subject has the best access that it has alone, with its ways, in the order asked, at one revision."""

    def plain(best: Best) -> tuple[object, ...]:
        return (best.subject, best.resource, best.role, best.held, best.conditional, best.undecided, best.ways)

    asked = ["user:anna", "user:bob", "group:eng#member", "user:anna"]
    found = door.best_subjects(asked, "report:q3", ways="all")
    assert [plain(door.best(each, "report:q3", ways="all")) for each in asked] == list(map(plain, found))
    assert asked == [str(each.subject) for each in found]
    assert 1 == len({each.token for each in found})
    assert ["administer", None, "administer", "administer"] == [each.role for each in found]
    [undecided] = door.best_subjects(["user:anna"], "gate:one")
    assert ("left", "right") == undecided.undecided


def test_subjects_that_cannot_be_asked_about(door: Door) -> None:
    """A type that is not there is named by the subject's place; none at all and too many are refused."""
    with pytest.raises(UnknownDefinition) as raised:
        door.best_subjects(["user:anna", "usr:bob"], "report:q3")
    assert "1" == raised.value.details["index"]
    with pytest.raises(InvalidInput, match="at least one"):
        door.best_subjects([], "report:q3")
    with pytest.raises(InvalidInput, match="over the limit of 10"):
        door.best_subjects(["user:anna"] * 11, "report:q3")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.BestAccessRequest(subject="user:a", subjects=["user:b"], resource="doc:a"), "subject"),
        (pb.BestAccessRequest(resources=["doc:b"], subjects=["user:b"], resource="doc:a"), "resources"),
        (pb.BestAccessRequest(subject="user:a", resources=["doc:b"], resource="doc:a"), "subject"),
        (pb.BestAccessRequest(subjects=["user:b"]), "resource"),
        (pb.BestAccessRequest(subjects=["user:a", "b"], resource="doc:a"), "subjects[1]"),
        (pb.BestAccessRequest(subject="user:a"), "resources"),
    ],
)
def test_one_form_of_best_access_at_a_time(
    request_: pb.BestAccessRequest, field: str, stub: AuthorizerServiceStub
) -> None:
    """One subject and many resources, or many subjects and one resource; anything between is refused by its field."""
    with pytest.raises(grpc.RpcError) as raised:
        stub.BestAccess(request_, timeout=30)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    violations = error_details_pb2.BadRequest()
    assert any(box.Unpack(violations) for box in rpc_status.from_call(cast("grpc.Call", raised.value)).details)
    assert [field] == [each.field for each in violations.field_violations]

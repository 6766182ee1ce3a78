"""Translation between nouns and messages: what goes out comes back the same, and what is not known is an error."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from relgraph.answers import (
    Best,
    ChangeKind,
    ConditionalRole,
    Decision,
    ExpandNode,
    Expansion,
    Orphan,
    OrphanClass,
    Orphans,
    Page,
    SchemaChange,
    SchemaDiff,
    Step,
    Verdict,
    Way,
)
from relgraph.errors import InvalidFilter, InvalidId, InvalidInput, InvalidName, InvalidToken, InvalidTuple, Unsupported
from relgraph.revision import Consistency, Token
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire import answers, questions
from relgraph.wire.parts import plain_text, read_tuple, tuple_message

TOKEN = Token(b"s" * 16, 1, 7, b"n" * 16, 123)
FACT = RelationTuple.parse("report:q3#viewer@group:board#member")
UNIVERSAL = RelationTuple.parse("report:*#viewer@user:*")
EXPIRING = [
    RelationTuple.parse(f"report:q3#viewer@user:anna[expiration:{time}]")
    for time in ("2030-01-31T12:00:00.000001Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
]
Q3 = Object.parse("report:q3")
ANNA = Subject.parse("user:anna")


@pytest.mark.parametrize(
    "consistency",
    [
        Consistency.fully_consistent(),
        Consistency.minimize_latency(),
        Consistency.at_least(TOKEN),
        Consistency.at_exactly(TOKEN),
        Consistency.at_time("2030-01-31T12:00:00.000001Z"),
        Consistency.at_time("1969-12-31T23:59:59.999999Z"),
        None,
    ],
)
def test_consistency_survives(consistency: Consistency | None) -> None:
    """Each consistency is read as it was written, a time in its own field, and none as none."""
    request = pb.CheckRequest(
        consistency=questions.consistency_message(consistency), at=questions.at_message(consistency)
    )
    assert (consistency is not None and consistency.instant is not None) == request.HasField("at")
    assert consistency == questions.read_consistency(request)


def test_no_consistency_is_full_consistency() -> None:
    """A request with an empty consistency is answered fully consistently."""
    request = pb.CheckRequest(consistency=pb.Consistency())
    assert Consistency.fully_consistent() == questions.read_consistency(request)


@pytest.mark.parametrize(
    "message", [pb.Consistency(), *(pb.Consistency(fully_consistent=each) for each in (True, False))]
)
def test_a_time_beside_a_consistency_is_refused(message: pb.Consistency) -> None:
    """A request says in one way which revision to use: a time beside a consistency, even an empty one, is refused."""
    request = pb.ReadRequest(consistency=message, at=Timestamp(seconds=1))
    with pytest.raises(InvalidInput, match="set only one") as caught:
        questions.read_consistency(request)
    assert caught.value.details == {"field": "at"}


def test_a_time_that_is_none_is_refused() -> None:
    """A time with impossible nanos is an error about its field, and not another time."""
    with pytest.raises(InvalidInput, match="nanos") as caught:
        questions.read_consistency(pb.ReadRequest(at=Timestamp(nanos=-1)))
    assert caught.value.details == {"field": "at"}


@pytest.mark.parametrize(
    ("message", "error", "field"),
    [
        (pb.Consistency(fully_consistent=False), InvalidInput, "consistency.fully_consistent"),
        (pb.Consistency(minimize_latency=False), InvalidInput, "consistency.minimize_latency"),
        (pb.Consistency(at_least=""), InvalidToken, "consistency.at_least"),
        (pb.Consistency(at_exactly="abc"), InvalidToken, "consistency.at_exactly"),
    ],
)
def test_half_said_consistency_is_refused(message: pb.Consistency, error: type[InvalidInput], field: str) -> None:
    """A consistency that asks for nothing, or names no token of ours, is an error and not the default."""
    with pytest.raises(error) as caught:
        questions.read_consistency(pb.CheckRequest(consistency=message))
    assert field == caught.value.details["field"]


@pytest.mark.parametrize("fact", [FACT, UNIVERSAL, RelationTuple.parse("report:q3#viewer@user:anna"), *EXPIRING])
def test_a_tuple_survives(fact: RelationTuple) -> None:
    """Every kind of tuple is read as it was written."""
    assert fact == read_tuple(tuple_message(fact), "tuple")


@pytest.mark.parametrize(
    ("message", "error", "field"),
    [
        (pb.RelationTuple(), InvalidTuple, "x.resource"),
        (pb.RelationTuple(resource="report:a\x07"), InvalidId, "x.resource"),
        (pb.RelationTuple(resource="report:q3", relation="View"), InvalidName, "x.relation"),
        (pb.RelationTuple(resource="report:q3", relation="viewer", subject="anna"), InvalidTuple, "x.subject"),
        (pb.RelationTuple(resource="report:q3", relation="viewer", subject="user:x#A"), InvalidName, "x.subject"),
        (pb.RelationTuple(resource="report:q3", relation="viewer", subject="user:*#member"), InvalidTuple, "x.subject"),
    ],
)
def test_a_bad_tuple_names_its_part(message: pb.RelationTuple, error: type[InvalidInput], field: str) -> None:
    """The error about a tuple says which of its three parts is wrong."""
    with pytest.raises(error) as caught:
        read_tuple(message, "x")
    assert field == caught.value.details["field"]


def test_what_is_finer_than_a_microsecond_is_cut_off() -> None:
    """A tuple's expiration is kept to the microsecond, before 1970 as after."""
    for seconds in (0, -1):
        message = tuple_message(FACT)
        message.expires_at.seconds, message.expires_at.nanos = seconds, 1_999
        fact = read_tuple(message, "tuple")
        assert seconds * 1_000_000 + 1 == fact.expires


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(-62_135_596_801, 0), (253_402_300_800, 0), (2**63 - 1, 0), (-(2**63), 0), (0, -1), (0, 1_000_000_000)],
)
def test_no_point_in_time_is_refused(seconds: int, nanos: int) -> None:
    """An expiration beyond the years 1 to 9999, or with nanos that are none, is an error about its field."""
    message = tuple_message(FACT)
    message.expires_at.seconds, message.expires_at.nanos = seconds, nanos
    with pytest.raises(InvalidInput, match="1 to 9999") as caught:
        read_tuple(message, "x")
    assert caught.value.details == {"field": "x.expires_at"}


def test_updates_survive_by_kind() -> None:
    """Updates come back sorted into touches, creates and deletes, in their order."""
    messages = [
        *questions.update_messages("delete", [FACT]),
        *questions.update_messages("touch", [str(UNIVERSAL), FACT]),
        *questions.update_messages("create", []),
    ]
    assert {"touch": [UNIVERSAL, FACT], "create": [], "delete": [FACT]} == questions.read_updates(messages)


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (pb.Update(tuple=tuple_message(FACT)), InvalidInput),
        (pb.Update(operation=pb.Update.OPERATION_TOUCH), InvalidTuple),
        (pb.Update(operation=9, tuple=tuple_message(FACT)), Unsupported),  # type: ignore[arg-type]  # a newer client's
    ],
)
def test_an_update_that_says_too_little_is_refused(update: pb.Update, error: type[Exception]) -> None:
    """An update without operation or tuple, or with an operation not known, is an error."""
    with pytest.raises(error, match=r"updates\[0\]"):
        questions.read_updates([update])


@pytest.mark.parametrize(
    "wanted",
    [
        TupleFilter(),
        TupleFilter("report", "*", "viewer", "user", "*", ""),
        TupleFilter(subject_type="group", subject_relation="member"),
        TupleFilter("report", resource_id_prefix="q"),
    ],
)
def test_a_filter_survives(wanted: TupleFilter) -> None:
    """A filter is read as it was written; absent and empty stay different."""
    assert wanted == questions.read_filter(questions.filter_message(wanted))


def test_a_bad_filter_is_refused() -> None:
    """A filter by id alone is an error about the filter."""
    with pytest.raises(InvalidFilter) as caught:
        questions.read_filter(pb.TupleFilter(resource_id="q3"))
    assert caught.value.details == {"field": "filter"}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_decision_survives(verdict: Verdict) -> None:
    """Every verdict is read as it was written."""
    decision = Decision(verdict, ("day", "ip"), 7, "token")
    assert decision == answers.read_decision(answers.decision_message(decision))


@pytest.mark.parametrize("value", [0, 5, 99, -1])
def test_an_unknown_verdict_is_an_error(value: int) -> None:
    """A verdict that this client does not know is an error, never a no."""
    message = pb.CheckResponse(revision=1, verdict=value)  # type: ignore[arg-type]  # a newer server's
    with pytest.raises(Unsupported, match="`verdict`"):
        answers.read_decision(message)


def test_an_unknown_class_of_orphan_is_an_error() -> None:
    """A class of orphan that this client does not know is an error."""
    message = pb.ListOrphansResponse(orphans=[pb.Orphan(resource="report:q3")])
    with pytest.raises(Unsupported, match=r"orphans\.kind"):
        answers.read_orphans(message)


def test_best_access_survives() -> None:
    """A best access with ways, steps and conditions is read as it was written; no role is not an empty role."""
    steps = (
        Step(claim="report:q3#view", rule="permission", tuple=None, children=(1,)),
        Step(claim=str(FACT), rule="tuple", tuple=FACT, children=()),
    )
    rich = Best(
        subject=ANNA,
        resource=Q3,
        role="view",
        held=("view", "list"),
        conditional=(ConditionalRole("manage", ("day",)),),
        undecided=("administer",),
        ways=(Way("view", (FACT, UNIVERSAL), steps, "through group:board#member"),),
        truncated=True,
        revision=7,
        token="token",
    )
    poor = Best(ANNA, Object.parse("report:q4"), None, (), (), (), (), truncated=False, revision=7, token="token")
    assert [rich, poor] == answers.read_best(answers.best_messages([rich, poor], ANNA))


def test_an_expansion_survives() -> None:
    """An expansion with shared nodes, cycles and a type's universal object is read as it was written."""
    nodes = (
        ExpandNode("permission", Q3, "view", (), (1, 1), cycle=True),
        ExpandNode("relation", Object.parse("report:*", wildcard=True), "viewer", (FACT, UNIVERSAL), (), cycle=False),
    )
    expansion = Expansion(nodes, 7, "token")
    assert expansion == answers.read_expansion(answers.expansion_message(expansion))


def test_orphans_and_pages_survive() -> None:
    """Lists of resources out of reach and pages of tuples are read as they were written."""
    orphans = Orphans(tuple(Orphan(Q3, kind) for kind in OrphanClass), 7, "token")
    assert orphans == answers.read_orphans(answers.orphans_message(orphans))
    page = Page((FACT, UNIVERSAL), "next", 7, "token")
    assert page == answers.read_page(answers.page_message(page))


def test_every_kind_of_change_survives() -> None:
    """A difference between schemas is read as it was written, whatever its kind; a kind not known is an error."""
    changes = tuple(SchemaChange(kind, "report", "view", "owner", "nil") for kind in ChangeKind)
    found = SchemaDiff(changes, 7, str(TOKEN))
    message = answers.diff_message(found)
    assert found == answers.read_diff(message)
    for number in (0, 99):
        message.changes[0].kind = number  # type: ignore[assignment]  # a newer server's
        with pytest.raises(Unsupported, match=f"`changes.kind` has the value `{number}`"):
            answers.read_diff(message)


@pytest.mark.parametrize(("value", "expected"), [(0, "none"), (1, "none"), (2, "one"), (3, "all")])
def test_ways_have_a_default(value: int, expected: str) -> None:
    """How many ways are wanted defaults to none on the wire."""
    assert expected == questions.read_ways(value)


def test_unknown_choices_are_refused() -> None:
    """A number or word that names no choice is an error on either side."""
    with pytest.raises(Unsupported, match="`ways` has the value `9`"):
        questions.read_ways(9)
    with pytest.raises(Unsupported, match="on_duplicate"):
        questions.read_on_duplicate(9)
    with pytest.raises(InvalidInput, match="ways is `some`"):
        questions.ways_value("some")  # type: ignore[arg-type]  # what an untyped caller may pass


def test_text_without_utf8_is_refused() -> None:
    """A lone surrogate cannot travel, and is an error that says so."""
    with pytest.raises(InvalidInput, match="position 1"):
        plain_text("a\ud800", "reason")


def test_an_error_about_a_tuple_says_which_update_it_was() -> None:
    """The path of the update whose tuple is at fault; where a tuple stands twice, that of the second."""
    facts = [
        pb.RelationTuple(resource="report:q3", relation="viewer", subject=f"user:{name}") for name in ("a", "b", "a")
    ]
    updates = [pb.Update(operation=pb.Update.OPERATION_TOUCH, tuple=fact) for fact in facts]
    for name, field in (("a", "updates[2].tuple"), ("b", "updates[1].tuple"), ("c", None)):
        error = InvalidTuple("no", {"tuple": f"report:q3#viewer@user:{name}"})
        questions.place_in_updates(error, updates)
        assert field == error.details.get("field")


def test_an_error_about_a_tuple_that_expires_says_which_update_it_was() -> None:
    """An expiration belongs to the text of a tuple that an error names."""
    updates = questions.update_messages("touch", [*EXPIRING, str(EXPIRING[0]).partition("[")[0]])
    for index, update in enumerate(updates):
        error = InvalidTuple("no", {"tuple": str(read_tuple(update.tuple, "x"))})
        questions.place_in_updates(error, updates)
        assert error.details["field"] == f"updates[{index}].tuple"

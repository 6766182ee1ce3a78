"""Writes with preconditions, deletes by filter, and requests that are sent twice, at the Authorizer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.errors import (
    InvalidFilter,
    InvalidInput,
    PreconditionFailed,
    RequestExpired,
    RequestIdReused,
    TooManyMatches,
    UniversalMatches,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.instants import moment
from relgraph.limits import Limits
from relgraph.tuples import TupleFilter, must_exist, must_not_exist
from tests.api_kit import SCHEMA, clocked, lent
from tests.store_kit import MICROSECOND, NOW, FakeClock, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_kit import Server

VIEWERS = TupleFilter(resource_type="doc", relation="viewer")


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest) -> Server | None:
    """The server that holds the store, or none for SQLite."""
    return request.getfixturevalue("postgres") if request.param == "PostgreSQL" else None


@pytest.fixture
def authorizer(database: Server | None) -> Iterator[relgraph.Authorizer]:
    with lent(database) if database else relgraph.open("sqlite://") as made:
        made.write_schema(SCHEMA)
        made.write(touch=["doc:one#viewer@user:anna", "group:board#member@user:bob"])
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timed(database: Server | None, clock: FakeClock) -> Iterator[relgraph.Authorizer]:
    with lent(database, clock) if database else clocked(clock) as made:
        made.write_schema(SCHEMA)
        yield made


def living(authorizer: relgraph.Authorizer, text: str = "") -> set[str]:
    filter_ = TupleFilter.parse(text) if text else TupleFilter()
    return set(map(str, authorizer.read(filter_).tuples))


# --- preconditions


def test_preconditions_that_hold(authorizer: relgraph.Authorizer) -> None:
    """A write whose preconditions hold is made."""
    conditions = [must_exist(TupleFilter.parse("doc:one#viewer@user:anna")), must_not_exist(TupleFilter("doc", "two"))]
    authorizer.write(touch=["doc:two#viewer@user:anna"], preconditions=conditions)
    assert {"doc:two#viewer@user:anna"} == living(authorizer, "doc:two")


def test_preconditions_may_stand_alone(authorizer: relgraph.Authorizer) -> None:
    """A write of no tuple judges its preconditions, and takes no revision; without any it is refused."""
    before = authorizer.read().revision
    holds = must_exist(TupleFilter("doc", resource_id_prefix="on"))
    assert authorizer.write(preconditions=[holds]).revision == before
    with pytest.raises(PreconditionFailed):
        authorizer.write(preconditions=[must_exist(TupleFilter("doc", resource_id_prefix="tw"))])
    with pytest.raises(InvalidInput, match="names no tuple"):
        authorizer.write()
    assert authorizer.read().revision == before


def test_a_text_of_the_writers_own_stands_in_the_log(authorizer: relgraph.Authorizer) -> None:
    """What a write carries is told with its revision, beside who made it; other writes carry nothing."""
    noting = authorizer.by("nightly").noting('{"ticket":7}')
    noting.write(touch=["doc:two#viewer@user:anna"])
    noting.write(touch=["doc:two#viewer@user:bob"], request_id="once")
    noting.delete(TupleFilter("doc", resource_id_prefix="tw"))
    authorizer.write(touch=["doc:two#viewer@user:anna"])
    told = [(entry.principal, entry.metadata) for entry in authorizer.log().entries[-4:]]
    assert told == [("nightly", '{"ticket":7}')] * 3 + [("", "")]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (must_exist(TupleFilter.parse("doc:one#viewer@user:bob")), "only if a tuple matches `doc:one#viewer@user:bob`"),
        (must_not_exist(TupleFilter.parse("doc#viewer")), "only if no tuple matches `doc#viewer`, and one does"),
        (must_not_exist(TupleFilter()), "only if no tuple matches any filter"),
        (must_exist(TupleFilter("doc", "*")), "`doc:\\*`, and none does"),
    ],
)
def test_a_precondition_that_fails(
    authorizer: relgraph.Authorizer, condition: relgraph.Precondition, says: str
) -> None:
    """A write whose precondition does not hold changes nothing, and the refusal names the filter."""
    before = (living(authorizer), authorizer.schema().revision)
    holds = must_exist(TupleFilter("group"))
    with pytest.raises(PreconditionFailed, match=says) as caught:
        authorizer.write(touch=["doc:two#viewer@user:anna"], preconditions=[holds, condition])
    assert {"filter": str(condition.filter), "index": "1"} == caught.value.details
    assert before == (living(authorizer), authorizer.schema().revision)


def test_a_precondition_sees_the_state_before(authorizer: relgraph.Authorizer) -> None:
    """What the write itself brings or takes away does not count for its preconditions."""
    one = TupleFilter.parse("doc:one#viewer@user:anna")
    authorizer.write(delete=["doc:one#viewer@user:anna"], preconditions=[must_exist(one)])
    authorizer.write(touch=["doc:one#viewer@user:anna"], preconditions=[must_not_exist(one)])
    with pytest.raises(PreconditionFailed):
        authorizer.write(delete=["doc:one#viewer@user:anna"], preconditions=[must_not_exist(one)])


def test_an_expired_tuple_meets_no_precondition(timed: relgraph.Authorizer, clock: FakeClock) -> None:
    """What has expired by the write's instant does not exist for it."""
    timed.write_schema("use expiration\n" + SCHEMA.replace("viewer: user |", "viewer: user | user with expiration |"))
    timed.write(touch=[until("doc:one#viewer@user:anna", NOW + 10)])
    timed.write(touch=["doc:two#viewer@user:bob"], preconditions=[must_exist(TupleFilter("doc", "one"))])
    clock.now += 10
    with pytest.raises(PreconditionFailed):
        timed.write(touch=["doc:three#viewer@user:bob"], preconditions=[must_exist(TupleFilter("doc", "one"))])


@pytest.mark.parametrize(
    ("text", "error"), [("dok:one", UnknownDefinition), ("doc#viewr", UnknownRelation), ("doc@usr", UnknownDefinition)]
)
def test_a_mistyped_precondition(authorizer: relgraph.Authorizer, text: str, error: type[Exception]) -> None:
    """A name that the schema lacks is refused: it must not pass for "there is none"."""
    with pytest.raises(error):
        authorizer.write(touch=["doc:two#viewer@user:anna"], preconditions=[must_not_exist(TupleFilter.parse(text))])
    assert set() == living(authorizer, "doc:two")


def test_too_many_preconditions() -> None:
    """More preconditions than the limit are refused."""
    with relgraph.open("sqlite://", limits=Limits(preconditions_max=1)) as authorizer:
        conditions = [must_exist(TupleFilter("doc"))] * 2
        with pytest.raises(InvalidInput, match="2 preconditions are over the limit of 1"):
            authorizer.write(touch=["doc:two#viewer@user:anna"], preconditions=conditions)


# --- deletes by filter


def test_delete(authorizer: relgraph.Authorizer) -> None:
    """A delete by filter takes away all that matches and nothing else, in one revision."""
    authorizer.write(touch=[f"doc:{n}#{relation}@user:bob" for n in range(9) for relation in ("viewer", "banned")])
    before = authorizer.schema().revision
    deleted = authorizer.delete(VIEWERS, reason="over")
    assert (10, True, before + 1) == (deleted.count, deleted.complete, deleted.revision)
    assert set() == living(authorizer, "doc#viewer")
    assert 9 == len(living(authorizer, "doc#banned"))
    again = authorizer.delete(VIEWERS)
    assert (0, True, before + 1) == (again.count, again.complete, again.revision)


def test_a_delete_of_many(authorizer: relgraph.Authorizer) -> None:
    """More than fit on one page within the write go all the same."""
    authorizer.load([f"doc:d{n % 7}#viewer@user:u{n}" for n in range(25_000)])
    deleted = authorizer.delete(TupleFilter.parse("doc@user"), limit=25_001)
    assert (25_001, True) == (deleted.count, deleted.complete)
    assert {"group:board#member@user:bob"} == living(authorizer)


def test_a_delete_over_its_limit(authorizer: relgraph.Authorizer) -> None:
    """More matches than allowed are refused with their count; nothing is deleted."""
    authorizer.write(touch=[f"doc:{n}#viewer@user:bob" for n in range(9)])
    with pytest.raises(TooManyMatches, match="`doc#viewer` matches 10 tuples and the delete allows 9") as caught:
        authorizer.delete(VIEWERS, limit=9)
    assert {"filter": "doc#viewer", "count": "10", "limit": "9"} == caught.value.details
    assert 10 == len(living(authorizer, "doc#viewer"))


def test_a_partial_delete(authorizer: relgraph.Authorizer) -> None:
    """With `partial` as many as allowed go, and the answer says whether that was all."""
    authorizer.write(touch=[f"doc:{n}#viewer@user:bob" for n in range(9)])
    told: list[tuple[int, bool]] = []
    while not told or not told[-1][1]:
        deleted = authorizer.delete(VIEWERS, limit=4, partial=True)
        told.append((deleted.count, deleted.complete))
    assert [(4, False), (4, False), (2, True)] == told
    assert set() == living(authorizer, "doc#viewer")


@pytest.mark.parametrize("text", ["doc", "#administrator", "doc@group", "@group:board#member"])
@pytest.mark.parametrize("partial", [False, True])
def test_a_delete_spares_universal_tuples(authorizer: relgraph.Authorizer, text: str, partial: bool) -> None:
    """A filter that would hit universal tuples without naming `*` is refused with their count."""
    authorizer.write(touch=["doc:*#administrator@group:board#member", "doc:one#administrator@group:board#member"])
    before = living(authorizer)
    with pytest.raises(UniversalMatches, match="matches 1 universal tuple, each") as caught:
        authorizer.delete(TupleFilter.parse(text), limit=1, partial=partial)
    assert "1" == caught.value.details["count"]
    assert before == living(authorizer)


def test_a_delete_that_names_universal_tuples(authorizer: relgraph.Authorizer) -> None:
    """In a filter `*` is an id like any other: it deletes the universal tuples alone."""
    authorizer.write(touch=["doc:*#administrator@group:board#member", "doc:one#administrator@group:board#member"])
    assert 1 == authorizer.delete(TupleFilter("doc", "*")).count
    assert {"doc:one#administrator@group:board#member"} == living(authorizer, "doc#administrator")
    assert 1 == authorizer.delete(TupleFilter("doc", "one", "administrator")).count


def test_a_delete_neither_takes_nor_counts_what_has_expired(timed: relgraph.Authorizer, clock: FakeClock) -> None:
    """Expired tuples do not count against the limit and are not deleted."""
    timed.write_schema("use expiration\n" + SCHEMA.replace("viewer: user |", "viewer: user | user with expiration |"))
    timed.write(touch=[until(f"doc:one#viewer@user:u{n}", NOW + 5 + n % 2) for n in range(6)])
    clock.now += 5
    deleted = timed.delete(VIEWERS, limit=3)
    assert (3, True) == (deleted.count, deleted.complete)
    assert deleted.revision == timed.delete(VIEWERS).revision


def test_a_delete_with_a_precondition(authorizer: relgraph.Authorizer) -> None:
    """A delete by filter takes preconditions too."""
    with pytest.raises(PreconditionFailed):
        authorizer.delete(VIEWERS, preconditions=[must_not_exist(TupleFilter("group"))])
    assert 1 == authorizer.delete(VIEWERS, preconditions=[must_exist(TupleFilter("group"))]).count


@pytest.mark.parametrize(
    ("filter", "limit", "error"),
    [
        (TupleFilter(), None, InvalidFilter),
        (VIEWERS, 0, InvalidInput),
        (VIEWERS, 10**9, InvalidInput),
        (TupleFilter("dok"), None, UnknownDefinition),
    ],
)
def test_deletes_that_are_refused(
    authorizer: relgraph.Authorizer, filter: TupleFilter, limit: int | None, error: type[Exception]
) -> None:
    """A delete that names nothing or something unheard of, or allows nothing or too much, is refused."""
    before = living(authorizer)
    with pytest.raises(error):
        authorizer.delete(filter, limit=limit)
    assert before == living(authorizer)


# --- requests sent twice


def test_a_delete_sent_twice(authorizer: relgraph.Authorizer) -> None:
    """The same delete under the same request id happens once, and is answered as the first time."""
    first = authorizer.delete(VIEWERS, limit=5, partial=True, request_id="d")
    authorizer.write(touch=["doc:one#viewer@user:bob"])
    again = authorizer.delete(VIEWERS, limit=5, partial=True, request_id="d")
    assert (first.count, first.complete, first.revision) == (again.count, again.complete, again.revision)
    assert {"doc:one#viewer@user:bob"} == living(authorizer, "doc#viewer")


def test_an_import_sent_twice(authorizer: relgraph.Authorizer) -> None:
    """The same import under the same request id happens once, whatever the order of its tuples."""
    tuples = [f"doc:d{n}#viewer@user:anna" for n in range(50)]
    first = authorizer.load([*tuples, "doc:one#viewer@user:anna"], on_duplicate="skip", request_id="i")
    authorizer.write(delete=tuples[:3])
    again = authorizer.load(["doc:one#viewer@user:anna", *tuples], on_duplicate="skip", request_id="i")
    assert (51, 50, first.revision) == (again.read, again.changed, again.revision)
    assert 48 == len(living(authorizer, "doc#viewer"))
    with pytest.raises(RequestIdReused):
        authorizer.load(tuples, on_duplicate="skip", request_id="i")


def test_what_makes_another_request(authorizer: relgraph.Authorizer) -> None:
    """Another tuple, precondition, last moment or kind of write under a used request id is refused."""
    one, later = "doc:two#viewer@user:anna", moment(2**52)
    authorizer.write(touch=[one], request_id="w", not_after=later)
    authorizer.write(touch=[one], request_id="w", not_after=later, reason="a reason may change")
    condition = must_exist(TupleFilter("doc"))
    for attempt in (
        lambda: authorizer.write(create=[one], request_id="w", not_after=later),
        lambda: authorizer.write(touch=[one], request_id="w", not_after=later, preconditions=[condition]),
        lambda: authorizer.write(touch=[one], request_id="w"),
        lambda: authorizer.load([one], on_duplicate="touch", request_id="w", not_after=later),
        lambda: authorizer.delete(TupleFilter("doc", "two"), request_id="w", not_after=later),
    ):
        with pytest.raises(RequestIdReused, match="`w`"):
            attempt()
    assert {one} == living(authorizer, "doc:two")


def test_a_request_after_its_last_moment(timed: relgraph.Authorizer, clock: FakeClock) -> None:
    """A write is refused after its `not_after`, whether or not it was made before."""
    last = moment(NOW + 10)
    clock.now = NOW + 10
    first = timed.write(touch=["doc:one#viewer@user:anna"], request_id="a", not_after=last)
    assert first.revision == timed.write(touch=["doc:one#viewer@user:anna"], request_id="a", not_after=last).revision
    clock.now += 1
    for request_id in ("a", "b", ""):
        with pytest.raises(RequestExpired, match=r"came after `2023-11-14T22:13:20.000010Z`"):
            timed.write(touch=["doc:one#viewer@user:anna"], request_id=request_id, not_after=last)
    assert first.revision == timed.schema().revision


def test_how_long_a_request_is_known(timed: relgraph.Authorizer, clock: FakeClock) -> None:
    """A request without a last moment may be repeated for a day."""
    first = timed.write(touch=["doc:one#viewer@user:anna"], request_id="a")
    clock.now += timedelta(days=1) // timedelta(seconds=1) * MICROSECOND
    assert first.revision == timed.write(touch=["doc:one#viewer@user:anna"], request_id="a").revision
    clock.now += 1
    with pytest.raises(RequestExpired):
        timed.write(touch=["doc:one#viewer@user:anna"], request_id="a")


# --- filters as text


@pytest.mark.parametrize(
    "text",
    [
        "doc", "doc:one", "doc:*", "doc#viewer", "doc:one#viewer", "#viewer", "@user", "@user:anna", "@user:*",
        "doc@group#member", "doc:one#viewer@group:board#member", "@user:anna#", "#viewer@group#member",
    ],
)  # fmt: skip
def test_a_filter_as_text(text: str) -> None:
    """A filter's text says what it selects, both ways."""
    assert text == str(TupleFilter.parse(text))


@pytest.mark.parametrize(
    "text", ["", "doc:", "doc#", "doc#viewer@", "@user:", "doc:one#viewer@user:an na", ":one", "@:x"]
)
def test_a_filter_that_cannot_be_read(text: str) -> None:
    """A filter's text with a part that is there and empty or wrong is refused."""
    with pytest.raises(InvalidInput):
        TupleFilter.parse(text)


def test_what_a_filter_leaves_out() -> None:
    """What the text leaves out may be anything; `#` behind the subject alone means plain subjects."""
    assert TupleFilter("doc", None, "viewer", "user", None, None) == TupleFilter.parse("doc#viewer@user")
    assert TupleFilter(subject_type="user", subject_id="anna", subject_relation="") == TupleFilter.parse(
        "@user:anna#..."
    )

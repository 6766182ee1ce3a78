"""How long history is kept, at the Authorizer: what can still be asked, and what is refused once it is collected."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from relgraph import Consistency
from relgraph.errors import InvalidInput, RequestExpired, RevisionUnavailable
from relgraph.instants import moment
from relgraph.tuples import TupleFilter
from tests.api_kit import SCHEMA, clocked
from tests.store_kit import MICROSECOND, NOW, FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import relgraph

HOUR = 3_600 * MICROSECOND


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["file", "memory"])
def authorizer(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'store.db'}"
    with clocked(clock, url) as made:
        made.write_schema(SCHEMA)
        yield made


def test_what_is_refused_once_it_is_collected(authorizer: relgraph.Authorizer, clock: FakeClock) -> None:
    """Exact tokens, times and cursors below the floor are refused; later ones, and "at least" any of them, hold."""
    tokens, cursors = [], []
    for n in range(6):
        clock.now = NOW + n * HOUR
        tokens.append(authorizer.write(touch=[f"doc:d{n}#viewer@user:u{m}" for m in range(3)]).token)
        cursors.append(authorizer.read(TupleFilter("doc"), limit=2).cursor)
    collected = authorizer.collect(timedelta(hours=2))
    assert (0, 5, 5) == (collected.tuples, collected.revisions, collected.floor)
    for n, (token, cursor) in enumerate(zip(tokens, cursors, strict=True)):
        at = Consistency.at_time(moment(NOW + n * HOUR))
        exactly = Consistency.at_exactly(token)
        assert authorizer.check("user:u1", "observe", "doc:d5", consistency=Consistency.at_least(token))
        if n < 3:
            for consistency in (at, exactly):
                with pytest.raises(RevisionUnavailable):
                    authorizer.check("user:u1", "observe", "doc:d0", consistency=consistency)
            with pytest.raises(RevisionUnavailable):
                authorizer.read(TupleFilter("doc"), cursor=cursor)
        else:
            for consistency in (at, exactly):
                found = [authorizer.check("user:u1", "observe", f"doc:d{m}", consistency=consistency) for m in range(6)]
                assert [m <= n for m in range(6)] == found
            assert 3 * (n + 1) - 2 == len(authorizer.read(TupleFilter("doc"), cursor=cursor).tuples)


def test_answers_go_on(authorizer: relgraph.Authorizer, clock: FakeClock) -> None:
    """A collection changes no answer about now, and this process follows on as if nothing had been."""
    authorizer.write(touch=["doc:one#viewer@user:anna", "doc:one#viewer@user:bob"])
    clock.now += HOUR
    authorizer.write(delete=["doc:one#viewer@user:bob"])
    clock.now += HOUR
    assert 1 == authorizer.collect(timedelta(0)).tuples
    assert [True, False] == [authorizer.check(f"user:{name}", "observe", "doc:one") for name in ("anna", "bob")]
    authorizer.write(touch=["doc:one#viewer@user:bob"])
    assert authorizer.check("user:bob", "observe", "doc:one")


def test_another_process_starts_over(clock: FakeClock, tmp_path: Path) -> None:
    """Whoever fell behind the floor reads the store anew, and answers right."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with clocked(clock, url) as one, clocked(clock, url) as other:
        one.write_schema(SCHEMA)
        assert other.schema().text
        one.write(touch=["doc:one#viewer@user:anna"])
        one.write(delete=["doc:one#viewer@user:anna"], touch=["doc:one#viewer@user:bob"])
        clock.now += HOUR
        one.collect(timedelta(0))
        assert [False, True] == [other.check(f"user:{name}", "observe", "doc:one") for name in ("anna", "bob")]


def test_a_request_outlives_its_revision(authorizer: relgraph.Authorizer, clock: FakeClock) -> None:
    """A write under a request id is not made twice, although its revision is collected; after that it is refused."""
    last = moment(NOW + 5 * HOUR)
    first = authorizer.write(touch=["doc:one#viewer@user:anna"], request_id="r", not_after=last)
    clock.now += HOUR
    authorizer.write(delete=["doc:one#viewer@user:anna"])
    clock.now += HOUR
    authorizer.collect(timedelta(0))
    again = authorizer.write(touch=["doc:one#viewer@user:anna"], request_id="r", not_after=last)
    assert first.revision == again.revision
    assert not authorizer.check("user:anna", "observe", "doc:one")
    clock.now = NOW + 6 * HOUR
    authorizer.collect(timedelta(0))
    with pytest.raises(RequestExpired):
        authorizer.write(touch=["doc:one#viewer@user:anna"], request_id="r", not_after=last)


def test_a_history_that_ends_in_the_future(authorizer: relgraph.Authorizer) -> None:
    """A negative time is refused."""
    with pytest.raises(InvalidInput, match="would end in the future"):
        authorizer.collect(timedelta(seconds=-1))


def test_an_endless_history(authorizer: relgraph.Authorizer) -> None:
    """Keeping more than there is collects nothing."""
    authorizer.write(touch=["doc:one#viewer@user:anna"])
    collected = authorizer.collect(timedelta.max)
    assert (0, 0, 0) == (collected.tuples, collected.revisions, collected.floor)


# --- the change log


def test_the_log(authorizer: relgraph.Authorizer, clock: FakeClock) -> None:
    """It tells who wrote what when and why, oldest first, in pages that a token continues."""
    first = authorizer.write(touch=["doc:one#viewer@user:anna"], reason="asked for", request_id="r")
    clock.now += HOUR
    second = authorizer.write(touch=["doc:one#viewer@user:bob"], delete=["doc:one#viewer@user:anna"])
    page = authorizer.log(limit=2)
    schema, one = page.entries
    assert (SCHEMA, "asked for", "r", moment(NOW)) == (schema.schema, one.reason, one.request_id, one.time)
    assert (first.revision, second.revision) == (one.revision, page.revision)
    assert one.token == page.cursor
    rest = authorizer.log(page.cursor, limit=2)
    [two] = rest.entries
    assert ("", second.revision, moment(NOW + HOUR)) == (rest.cursor, two.revision, two.time)
    assert [["doc:one#viewer@user:bob"], ["doc:one#viewer@user:anna"]] == [
        list(map(str, tuples)) for tuples in (two.created, two.deleted)
    ]
    assert () == authorizer.log(second.token).entries
    at = Consistency.at_exactly(one.token)
    assert authorizer.check("user:anna", "observe", "doc:one", consistency=at)


def test_the_log_behind_a_token(authorizer: relgraph.Authorizer, clock: FakeClock) -> None:
    """A token that was collected, or is of another chain or store, is refused; without one it begins at the floor."""
    tokens = []
    for n in range(3):
        clock.now += HOUR
        tokens.append(authorizer.write(touch=[f"doc:d{n}#viewer@user:anna"]).token)
    authorizer.collect(timedelta(hours=1))
    with pytest.raises(RevisionUnavailable, match="no longer kept"):
        authorizer.log(tokens[0])
    assert [4] == [entry.revision for entry in authorizer.log(tokens[1]).entries]
    assert [4] == [entry.revision for entry in authorizer.log().entries]
    with clocked(clock) as other:
        other.write_schema(SCHEMA)
        with pytest.raises(RevisionUnavailable, match="of another store"):
            authorizer.log(other.schema().token)


@pytest.mark.parametrize("limit", [0, 1_001])
def test_a_page_of_the_log_is_bounded(authorizer: relgraph.Authorizer, limit: int) -> None:
    """A page holds at least one revision and at most as many as the limit says."""
    with pytest.raises(InvalidInput, match="1 to 1000 revisions"):
        authorizer.log(limit=limit)

"""Listings say in full what lookups say in few words: the same ids with the same verdicts, by pages of any size."""

from __future__ import annotations

import os
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.answers import Found, Verdict
from relgraph.api.listings import Behind, BehindTuple
from relgraph.errors import CaveatFailed, InvalidCursor, InvalidInput, LimitExceeded, Refused, RelgraphError, Undecided
from relgraph.limits import Limits
from relgraph.store import open_store
from relgraph.tuples import Object, Subject, TupleFilter
from tests.api_kit import lent
from tests.brought import Case, brought, stored
from tests.patience import Patience
from tests.worlds import questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.api import Authorizer
    from relgraph.api.listings import Listed
    from tests.postgres_kit import Server

LONG = bool(os.environ.get("RELGRAPH_LONG"))
LOOKUPS = 40_000 if LONG else 3_000
WORLDS = 2_000 if LONG else 60

_Lookup = dict[str, tuple[Verdict, tuple[str, ...]]]


def _paged(ask: Callable[[int, Behind | None], Listed], limit: int) -> Iterator[Listed]:
    page = ask(limit, None)
    while page.rows:
        yield page
        page = ask(limit, Behind(relgraph.Token.parse(page.token), page.rows[-1].id))


def _told(error: RelgraphError) -> str:
    return "undefined" if isinstance(error, Undecided | CaveatFailed) else error.code


def _read(rows: list[Found], excluded: list[Found]) -> _Lookup:
    """What a reader of a list makes of it: of whom it does not name, `*` tells, but for those who are excluded."""
    told = {row.id: (row.verdict, row.missing) for row in excluded}
    return told | {row.id: (row.verdict, row.missing) for row in rows}


def _agree(case: Case, authorizer: Authorizer, limit: int) -> Iterator[str]:
    asked = questions(case.world)
    for subject, name, type_ in sorted({(each.subject, each.name, each.resource.type) for each in asked}, key=str)[:30]:
        yield _resources(authorizer, case.request, (Subject.parse(str(subject)), name, type_), limit)
    kinds = {(each.resource, each.name, each.subject.type, each.subject.relation) for each in asked}
    for resource, name, type_, relation in sorted(kinds, key=str)[:30]:
        yield _subjects(authorizer, case.request, (Object.parse(str(resource)), name, type_), relation, limit)


def _resources(authorizer: Authorizer, context: dict[str, int], asked: tuple[Subject, str, str], limit: int) -> str:
    def ask(limit: int, behind: Behind | None) -> Listed:
        return authorizer.listings.resources(*asked, limit=limit, behind=behind, context=context)

    return _agreed(lambda: authorizer.what(*asked, context=context).rows, ask, limit, alone=True)


def _subjects(
    authorizer: Authorizer, context: dict[str, int], asked: tuple[Object, str, str], relation: str, limit: int
) -> str:
    def ask(limit: int, behind: Behind | None) -> Listed:
        return authorizer.listings.subjects(*asked, relation=relation, limit=limit, behind=behind, context=context)

    return _agreed(lambda: authorizer.who(*asked, relation=relation, context=context).rows, ask, limit, alone=False)


def _agreed(
    lookup: Callable[[], tuple[Found, ...]], ask: Callable[[int, Behind | None], Listed], limit: int, *, alone: bool
) -> str:
    """Compare a lookup with its listing, whole and by pages; with `alone`, `*` is nothing that it can say."""
    try:
        rows = lookup()
    except InvalidInput as error:
        assert "swapped" in error.details  # noqa: PT017
        assert ask(0, None).rows == ()
        return "swapped"
    undefined = any(row.verdict is Verdict.UNDECIDED for row in rows)
    try:
        whole = ask(0, None)
        pages = list(_paged(ask, limit))
    except RelgraphError as error:
        told = _told(error)
        assert told == (Refused.code if alone and rows[0].id == "*" else "undefined" if undefined else "")
        return told
    assert not undefined
    assert list(whole.rows) == list(chain.from_iterable(page.rows for page in pages))
    assert all(len([row for row in page.rows if row.id != "*"]) == limit for page in pages[:-1])
    assert len({row.id for row in whole.rows}) == len(whole.rows)
    read = _read(list(whole.rows), list(whole.excluded))
    everyone = read.get("*", (Verdict.NO, ()))
    assert {id_: told for id_, told in read.items() if told != everyone or id_ == "*"} == {
        row.id: (row.verdict, row.missing) for row in rows
    }
    return "*" if "*" in read else "rows" if read else "nothing"


def test_listings_and_lookups_agree() -> None:
    """In random worlds a listing names exactly whom the lookup does, in pages that are full and repeat nothing; where
    the lookup tells of something undefined, or of every resource, the listing is an error.
    """
    told: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(case=brought(), limit=st.integers(1, 3))
    def agree(case: Case, limit: int) -> None:
        note(str(case))
        with patience.with_example(f"{limit} {case}"), relgraph.open("sqlite://") as authorizer:
            stored(authorizer, case.world, past=False)
            told.update(_agree(case, authorizer, limit))

    kinds = {"*", "rows", "nothing", "undefined", Refused.code}
    # Until each kind of answer was met: the rarest is one that everybody has.
    while told.total() < LOOKUPS or not (told.keys() >= kinds or told.total() > 10 * LOOKUPS):
        agree()
    print(f"{told.total():,} lookups: {dict(told)}")  # noqa: T201  # seen with -s
    assert told.keys() >= kinds


SCHEMA = """use expiration
definition user {}
definition doc { relation viewer: user | user with expiration }
"""
SECOND = 1_000_000
START = 1_800_000_000 * SECOND


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Return the instant it stands at."""
        return self.now


def _check_pages(authorizer: Authorizer, pass_time: Callable[[], None]) -> None:
    """Every page is of the first one's revision and instant, whatever is written or expires between two."""
    authorizer.write_schema(SCHEMA)
    expires = "[expiration:2027-01-15T08:00:10Z]"  # ten seconds behind START
    facts = [f"doc:d{place}#viewer@user:u{expires if place % 2 else ''}" for place in range(6)]
    authorizer.write(touch=facts)
    listings, anna = authorizer.listings, Subject("user", "u")
    first = listings.resources(anna, "viewer", "doc", limit=2)
    sheet = listings.tuples(TupleFilter(), limit=2)
    authorizer.write(touch=["doc:d9#viewer@user:u"], delete=["doc:d4#viewer@user:u"])
    pass_time()
    rest = listings.resources(anna, "viewer", "doc", behind=Behind(relgraph.Token.parse(first.token), "d1"))
    assert [row.id for row in (*first.rows, *rest.rows)] == [f"d{place}" for place in range(6)]
    more = listings.tuples(TupleFilter(), limit=100, behind=BehindTuple(sheet.token, sheet.tuples[-1]))
    assert [str(fact) for fact in (*sheet.tuples, *more.tuples)] == facts
    assert more.token == sheet.token


def test_pages_are_of_one_revision_and_instant() -> None:
    """What is written, deleted or expires between two pages is told as it was when the first one was."""
    clock = Clock()
    with relgraph.Authorizer(open_store("sqlite://", clock=clock, random=os.urandom), clock=clock) as authorizer:
        _check_pages(authorizer, lambda: setattr(clock, "now", START + 60 * SECOND))
        assert [row.id for row in authorizer.listings.resources(Subject("user", "u"), "viewer", "doc").rows] == [
            "d0",
            "d2",
            "d9",
        ]


def test_pages_are_of_one_revision_and_instant_on_postgresql(postgres: Server) -> None:
    """PostgreSQL keeps the same for later pages."""
    clock = Clock()
    with lent(postgres, clock) as authorizer:
        _check_pages(authorizer, lambda: setattr(clock, "now", START + 60 * SECOND))


@pytest.mark.parametrize("text", ["", "nothing", "nothing d1", "token d 1"])
def test_a_place_that_was_not_told_is_refused(text: str) -> None:
    """What no listing returned is no place to go on from."""
    for kind in (Behind, BehindTuple):
        with pytest.raises(InvalidCursor):
            kind.parse(text)


def test_a_listing_without_a_limit_has_one() -> None:
    """More ids than one answer holds are an error, and a page never has more."""
    with relgraph.open("sqlite://", limits=Limits(lookup_rows_max=3)) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[f"doc:d{place}#viewer@user:u" for place in range(4)])
        with pytest.raises(LimitExceeded):
            authorizer.listings.resources(Subject("user", "u"), "viewer", "doc")
        assert len(authorizer.listings.resources(Subject("user", "u"), "viewer", "doc", limit=3).rows) == 3


def test_tuples_before_a_schema_are_none() -> None:
    """A store without a schema has nothing to tell."""
    with relgraph.open("sqlite://") as authorizer:
        assert authorizer.listings.tuples(TupleFilter(), limit=5).tuples == ()

"""Pages of lookups: full but for the last, of one revision and instant, and bound to what was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import Found, Verdict
from relgraph.api import Authorizer
from relgraph.api.cursors import LookupCursor
from relgraph.errors import (
    InvalidCursor,
    InvalidInput,
    LimitExceeded,
    RevisionUnavailable,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.limits import Limits
from relgraph.revision import Consistency, Token
from relgraph.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.answers import Lookup

SCHEMA = """
    use expiration
    definition user {}
    definition group { relation member: user | user with expiration }
    definition doc {
        relation viewer: user | user:* | user with expiration | group#member
        relation banned: user | user with expiration
        permission view = viewer - banned
    }
"""
SECOND = 1_000_000
START = 1_800_000_000 * SECOND
IDS = [f"d{number}" for number in range(10)]


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """Return the instant it stands at."""
        return self.now


def _at(seconds: int) -> str:
    return datetime.fromtimestamp(START // SECOND + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authorizer(clock: Clock) -> Iterator[Authorizer]:
    store = open_store("sqlite://", clock=clock, random=lambda size: bytes(range(size)), sqlite=None)
    with Authorizer(store, clock=clock) as made:
        made.write_schema(SCHEMA)
        made.write(touch=[f"doc:{id_}#viewer@user:anna" for id_ in IDS])
        made.write(touch=[f"doc:open#viewer@user:u{number}" for number in range(10)])
        yield made


def _all(ask: Callable[[str], Lookup]) -> list[list[str]]:
    """Return the ids of each page."""
    pages, cursor = [], ""
    while True:
        page = ask(cursor)
        pages.append([row.id for row in page.rows])
        cursor = page.cursor
        if not cursor:
            return pages


@pytest.mark.parametrize("limit", range(1, 12))
def test_every_page_but_the_last_is_full(authorizer: Authorizer, limit: int) -> None:
    """At every page size the pages together are the whole, in order, and no page comes after the last row."""
    pages = _all(lambda cursor: authorizer.what("user:anna", "view", "doc", limit=limit, cursor=cursor))
    assert [IDS[at : at + limit] for at in range(0, len(IDS), limit)] == pages
    people = _all(lambda cursor: authorizer.who("doc:open", "view", "user", limit=limit, cursor=cursor))
    everybody = [row.id for row in authorizer.who("doc:open", "view", "user").rows]
    assert [everybody[at : at + limit] for at in range(0, 10, limit)] == people


def test_the_row_for_everyone_is_the_first_of_all_pages(authorizer: Authorizer) -> None:
    """`*` and its exclusions are rows like others: a page may end between them."""
    authorizer.write(touch=["doc:open#viewer@user:*", "doc:open#banned@user:u3", "doc:open#banned@user:u7"])
    pages = _all(lambda cursor: authorizer.who("doc:open", "view", "user", limit=1, cursor=cursor))
    assert [["*"], ["u3"], ["u7"]] == pages
    whole = authorizer.who("doc:open", "view", "user")
    assert (Found("*", Verdict.YES), Found("u3", Verdict.NO), Found("u7", Verdict.NO)) == whole.rows
    count = authorizer.count_subjects("doc:open", "view", "user")
    assert (0, 0, 0, 2, Verdict.YES) == (
        count.yes,
        count.conditional,
        count.undecided,
        count.excluded,
        count.everyone,
    )


def test_what_expires_between_pages_is_on_none_or_on_its_own(authorizer: Authorizer, clock: Clock) -> None:
    """All pages are of the first one's instant: access that ends or begins meanwhile is missed or repeated by none."""
    authorizer.write(touch=[f"doc:{id_}#viewer@user:bob[expiration:{_at(5 + at)}]" for at, id_ in enumerate(IDS)])
    authorizer.write(touch=["doc:open#viewer@user:bob", f"doc:open#banned@user:bob[expiration:{_at(7)}]"])

    def ask(cursor: str) -> Lookup:
        page = authorizer.what("user:bob", "view", "doc", limit=3, cursor=cursor)
        clock.now += 4 * SECOND
        return page

    assert [IDS[:3], IDS[3:6], IDS[6:9], IDS[9:]] == _all(ask)
    assert [["open"]] == _all(ask)


def _rest(authorizer: Authorizer, subject: str, cursor: str) -> list[str]:
    pages = _all(lambda after: authorizer.what(subject, "view", "doc", limit=4, cursor=after or cursor))
    return [id_ for page in pages for id_ in page]


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_written_between_pages_is_on_none(authorizer: Authorizer, folded: bool) -> None:
    """Pages are of one revision, whatever is written and deleted meanwhile, forgotten by the graph or not."""
    authorizer.write(touch=["group:staff#member@user:carl", *(f"doc:{id_}#viewer@group:staff#member" for id_ in IDS)])
    own = authorizer.what("user:anna", "view", "doc", limit=4)
    shared = authorizer.what("user:carl", "view", "doc", limit=4)
    authorizer.write(delete=[f"doc:{id_}#viewer@user:anna" for id_ in IDS], touch=["doc:d00#viewer@user:carl"])
    authorizer.write(delete=["group:staff#member@user:carl"], touch=["doc:d00#viewer@user:anna"])
    if folded:
        authorizer._following._state.graph.fold()
    assert IDS[4:] == _rest(authorizer, "user:anna", own.cursor)
    assert IDS[4:] == _rest(authorizer, "user:carl", shared.cursor)
    again = authorizer.what("user:carl", "view", "doc", limit=4, cursor=shared.cursor)
    assert (shared.revision, shared.token) == (again.revision, again.token)
    assert ["d00"] == [row.id for row in authorizer.what("user:carl", "view", "doc").rows]


def test_a_page_is_answered_by_the_graph_where_it_can(authorizer: Authorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that still has a page's revision walks it; the store's rows are not read one by one."""
    page = authorizer.what("user:anna", "view", "doc", limit=4)
    authorizer.write(touch=["doc:d00#viewer@user:anna"])

    def refuse(*_: object) -> None:
        raise AssertionError("read from the store's rows")

    monkeypatch.setattr("relgraph.graph.past.RowsView.holders", refuse)
    assert IDS[4:] == _rest(authorizer, "user:anna", page.cursor)
    authorizer._following._state.graph.fold()
    with pytest.raises(AssertionError, match="store's rows"):
        authorizer.what("user:anna", "view", "doc", limit=4, cursor=page.cursor)


def test_a_cursor_is_bound_to_every_word(authorizer: Authorizer) -> None:
    """A cursor of another lookup is refused: of another subject, name, type or relation, or of the other kind."""
    what = authorizer.what("user:anna", "view", "doc", limit=2).cursor
    who = authorizer.who("doc:open", "view", "user", limit=2).cursor
    refused: list[Callable[[], Lookup]] = [
        lambda: authorizer.what("user:bob", "view", "doc", limit=2, cursor=what),
        lambda: authorizer.what("user:anna", "viewer", "doc", limit=2, cursor=what),
        lambda: authorizer.what("user:anna", "member", "group", limit=2, cursor=what),
        lambda: authorizer.who("doc:open", "view", "user", limit=2, cursor=what),
        lambda: authorizer.what("user:anna", "view", "doc", limit=2, cursor=who),
        lambda: authorizer.who("doc:d1", "view", "user", limit=2, cursor=who),
        lambda: authorizer.who("doc:open", "viewer", "user", limit=2, cursor=who),
        lambda: authorizer.who("doc:open", "view", "group", limit=2, cursor=who),
        lambda: authorizer.who("doc:open", "view", "group", relation="member", limit=2, cursor=who),
    ]
    for ask in refused:
        with pytest.raises(InvalidCursor, match="another lookup"):
            ask()
    with pytest.raises(InvalidCursor, match="leave consistency"):
        authorizer.what("user:anna", "view", "doc", cursor=what, consistency=Consistency())


def test_a_cursor_changed_in_any_character_is_refused(authorizer: Authorizer) -> None:
    """Every character counts, those that no byte depends on included; what is cut short or longer is refused too."""
    cursor = authorizer.what("user:anna", "view", "doc", limit=2).cursor
    for place, spelled in enumerate(cursor):
        for other in "AZaz09-_+/= é":
            if other != spelled:
                with pytest.raises(InvalidCursor):
                    authorizer.what("user:anna", "view", "doc", cursor=f"{cursor[:place]}{other}{cursor[place + 1 :]}")
    for text in (cursor[:-1], cursor + "A", cursor + "=", cursor * 2, " " + cursor, "["):
        with pytest.raises(InvalidCursor):
            authorizer.what("user:anna", "view", "doc", cursor=text)


def test_a_cursor_of_another_store_is_refused(authorizer: Authorizer) -> None:
    """A cursor goes on where its revision is: another store, and one restored from a backup, refuse it."""
    page = authorizer.what("user:anna", "view", "doc", limit=2)
    token = Token.parse(page.token)
    words = ("what", "user:anna", "view", "doc", "{}")
    for strange in (
        Token(bytes(16), token.epoch, token.revision, token.nonce, token.instant),
        Token(token.store, token.epoch + 1, token.revision, token.nonce, token.instant),
        Token(token.store, token.epoch, token.revision, bytes(16), token.instant),
        Token(token.store, token.epoch, token.revision + 9, token.nonce, token.instant),
    ):
        with pytest.raises(RevisionUnavailable):
            authorizer.what("user:anna", "view", "doc", cursor=str(LookupCursor(words, strange, "d1")))


def test_a_cursor_names_an_id(authorizer: Authorizer) -> None:
    """A cursor behind something that is no id was not handed out."""
    token = Token.parse(authorizer.what("user:anna", "view", "doc").token)
    for last in ("", "a b", "é", "**"):
        cursor = str(LookupCursor(("what", "user:anna", "view", "doc", "{}"), token, last))
        with pytest.raises(InvalidCursor):
            authorizer.what("user:anna", "view", "doc", cursor=cursor)


def test_a_lookup_that_would_be_too_long_is_an_error() -> None:
    """Without a limit all rows are told or none: one more than allowed is LimitExceeded; counting them is not."""
    with relgraph.open("sqlite://", limits=Limits(lookup_rows_max=3)) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[f"doc:{id_}#viewer@user:anna" for id_ in IDS[:3]])
        assert IDS[:3] == [row.id for row in authorizer.what("user:anna", "view", "doc").rows]
        authorizer.write(touch=["doc:d3#viewer@user:anna"])
        with pytest.raises(LimitExceeded, match="`limit`") as raised:
            authorizer.what("user:anna", "view", "doc")
        assert {"limit": "lookup_rows_max", "value": "3"} == raised.value.details
        pages = _all(lambda cursor: authorizer.what("user:anna", "view", "doc", limit=3, cursor=cursor))
        assert [IDS[:3], IDS[3:4]] == pages
        assert 4 == authorizer.count_resources("user:anna", "view", "doc").yes
        for limit in (0, -1, 4):
            with pytest.raises(InvalidInput, match="1 to 3 rows"):
                authorizer.what("user:anna", "view", "doc", limit=limit)


@pytest.mark.parametrize("limits", [Limits(nodes_max=20), Limits(tuples_max=20)])
def test_a_lookup_out_of_work_is_an_error(limits: Limits) -> None:
    """A lookup that may not look at enough tells nothing: LimitExceeded, and not what it has found so far."""
    with relgraph.open("sqlite://", limits=limits) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[f"doc:d{number}#viewer@user:anna" for number in range(60)])
        authorizer.write(touch=[f"doc:one#viewer@group:g{number}#member" for number in range(60)])
        for ask in (
            lambda: authorizer.what("user:anna", "view", "doc"),
            lambda: authorizer.count_resources("user:anna", "view", "doc"),
            lambda: authorizer.who("doc:one", "view", "user", limit=1),
            lambda: authorizer.count_subjects("doc:one", "view", "user"),
        ):
            with pytest.raises(LimitExceeded):
                ask()


def test_names_that_are_wrong_are_refused(authorizer: Authorizer) -> None:
    """Unknown names and types raise as in a check, and `*` is nothing to ask about."""
    with pytest.raises(UnknownRelation, match="did you mean `view`"):
        authorizer.what("user:anna", "viev", "doc")
    for ask in (
        lambda: authorizer.what("user:*", "view", "doc"),
        lambda: authorizer.what("user:anna", "view", "dok"),
        lambda: authorizer.what("user:anna#member", "view", "doc"),
        lambda: authorizer.who("doc:*", "view", "user"),
        lambda: authorizer.who("doc:open", "view", "user", relation="member"),
        lambda: authorizer.who("doc:open", "view", "user:"),
        lambda: authorizer.permissions("user:anna", "dok:one"),
        lambda: authorizer.permissions("user:anna#member", "doc:one"),
    ):
        with pytest.raises((InvalidInput, UnknownDefinition, UnknownRelation)):
            ask()


def test_all_permissions_come_in_the_schemas_order(authorizer: Authorizer) -> None:
    """Every relation, then every permission, each with its verdict, NO included."""
    authorizer.write(touch=["doc:d1#banned@user:anna"])
    rows = authorizer.permissions("user:anna", "doc:d1").rows
    assert [("viewer", "yes"), ("banned", "yes"), ("view", "no")] == [(row.name, row.verdict.value) for row in rows]


def test_lookups_read_the_past(authorizer: Authorizer) -> None:
    """At an older revision a lookup finds what was there then, and counts it."""
    then = authorizer.write(touch=["doc:old#viewer@user:anna"]).token
    authorizer.write(delete=["doc:old#viewer@user:anna"])
    past = Consistency.at_exactly(then)
    assert [*IDS, "old"] == [row.id for row in authorizer.what("user:anna", "view", "doc", consistency=past).rows]
    assert ["anna"] == [row.id for row in authorizer.who("doc:old", "view", "user", consistency=past).rows]
    assert 11 == authorizer.count_resources("user:anna", "view", "doc", consistency=past).yes
    assert IDS == [row.id for row in authorizer.what("user:anna", "view", "doc").rows]

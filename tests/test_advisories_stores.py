"""Faults of others between an answer and the disk: whose id it is, how much was written, and which revision is which.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

import pytest

import relgraph
from relgraph.api.asking import Asking
from relgraph.api.following import Following, _State
from relgraph.errors import (
    AlreadyExists,
    RelgraphError,
    RevisionUnavailable,
    StoreUnavailable,
    TooManyUpdates,
    UnknownRelation,
)
from relgraph.graph.edges import TupleEdge
from relgraph.graph.memory import _Node
from relgraph.graph.past import RowsView
from relgraph.limits import Limits
from relgraph.revision import Consistency
from relgraph.store import open_store
from relgraph.store.postgres import batch
from relgraph.store.postgres.link import PostgresLink
from relgraph.store.sql.writing import SQLTransaction
from relgraph.store.sqlite import layout as sqlite_layout
from relgraph.store.sqlite.link import SQLiteLink
from relgraph.tuples import Precondition, RelationTuple
from tests.advisories_kit import asked, switched_off

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from relgraph.revision import Revision, Token
    from relgraph.store.base import Changes, Reads, Snapshot
    from tests.postgres_kit import Server

BACKENDS: Final = ("sqlite", "postgresql")
TEXT = """definition user {}
definition doc {
  relation viewer: user | user:*
  relation barred: user
  permission view = viewer - barred
}
"""


def now() -> int:
    return time.time_ns() // 1000


@pytest.fixture(params=BACKENDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., relgraph.Authorizer]]:
    """Makes an Authorizer over an empty store of either kind, each a new one."""
    postgres: Server | None = None
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
    urls: list[str] = []

    def make(limits: Limits | None = None) -> relgraph.Authorizer:
        urls.append(f"sqlite:///{tmp_path}/{len(urls)}.db" if postgres is None else postgres.url())
        return relgraph.Authorizer(open_store(urls[-1], clock=now, random=os.urandom), limits=limits)

    yield make
    if postgres is not None:
        for url in urls:
            postgres.drop(url)


# --- ids are bytes ----------------------------------------------------------------------------------------------------


# Stores whose ids compare as people read them: without regard to capitals. Not every PostgreSQL is built with
# collations of that kind.
CARELESS: Final = tuple(
    (name, tuple(each.replace("key TEXT NOT NULL", "key TEXT NOT NULL COLLATE NOCASE") for each in statements))
    for name, statements in sqlite_layout._STEPS
)
CARELESS_TOO: Final = batch._OBJECTS.replace("o.key = w.key", "lower(o.key) = lower(w.key)")


def test_ids_are_compared_byte_by_byte(made: Callable[..., relgraph.Authorizer]) -> None:
    """`Alice` is not `alice`, in answers, reads, deletes and pages, on every store."""
    questions = [f"doc:{doc}#view@user:{who}" for doc in ("a", "A") for who in ("alice", "Alice", "ALICE")]

    def told() -> tuple[list[str], list[str]]:
        with made() as authorizer:
            authorizer.write_schema(TEXT)
            authorizer.write(touch=["doc:a#viewer@user:Alice"])
            authorizer.write(touch=["doc:A#viewer@user:alice", "doc:a#barred@user:ALICE"])
            verdicts = asked(authorizer, *questions)
            authorizer.write(delete=["doc:a#viewer@user:alice", "doc:A#barred@user:ALICE"])
            return verdicts, sorted(map(str, authorizer.read().tuples))

    right = ["no", "yes", "no", "yes", "no", "no"]
    tuples = ["doc:A#viewer@user:alice", "doc:a#barred@user:ALICE", "doc:a#viewer@user:Alice"]
    assert (right, tuples) == told()
    assert CARELESS != sqlite_layout._STEPS
    assert CARELESS_TOO != batch._OBJECTS
    with switched_off(sqlite_layout, "_STEPS", CARELESS), switched_off(batch, "_OBJECTS", CARELESS_TOO):
        verdicts, left = told()
    assert right != verdicts
    assert tuples != left


# --- as much as was acknowledged --------------------------------------------------------------------------------------


def tuples(count: int) -> list[str]:
    return [f"doc:d{number % 997}#viewer@user:u{number}" for number in range(count)]


def readable(authorizer: relgraph.Authorizer) -> int:
    found, cursor = 0, ""
    while True:
        page = authorizer.read(limit=1_000, cursor=cursor)
        found, cursor = found + len(page.tuples), page.cursor
        if not cursor:
            return found


def cut_short(
    self: Asking,
    touch: Sequence[str],
    create: Sequence[str],
    delete: Sequence[str],
    preconditions: Sequence[Precondition],
) -> dict[str, list[RelationTuple]]:
    """What is over the limit is left out, without a word."""
    most = self._limits.updates_max
    return updates(self, touch[:most], create[:most], delete[:most], preconditions)


updates = Asking.updates


def test_a_write_over_the_limit_is_refused_whole(made: Callable[..., relgraph.Authorizer]) -> None:
    """One tuple more than a write may have, and nothing of it happens: else an exclusion at its end would be lost."""
    limits = Limits(updates_max=10)
    wanted = [f"doc:d#viewer@user:u{number}" for number in range(10)]
    with made(limits) as authorizer:
        authorizer.write_schema(TEXT)
        for count in (1, 10):
            authorizer.write(touch=wanted[:count])
            assert count == readable(authorizer)
        authorizer.write(delete=wanted)
        over = [*wanted, "doc:d#barred@user:u0"]
        with pytest.raises(TooManyUpdates):
            authorizer.write(touch=over)
        assert 0 == readable(authorizer)
        with switched_off(Asking, "updates", cut_short):
            authorizer.write(touch=over)
        assert ["yes"] == asked(authorizer, "doc:d#view@user:u0")


class Counted:
    """Adds rows as if their number had 16 bits."""

    def __init__(self, add_rows: Callable[..., None]) -> None:
        self._add_rows = add_rows

    def __get__(self, link: object, owner: type) -> Callable[..., None]:
        def add_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
            found = list(rows)
            self._add_rows(link, table, columns, islice(found, len(found) % (1 << 16)))

        return add_rows


@pytest.mark.parametrize("count", [7_000, 70_000])
def test_what_is_acknowledged_can_be_read(made: Callable[..., relgraph.Authorizer], count: int) -> None:
    """Writes and imports of any size are there to the last tuple once they were acknowledged."""
    limits = Limits(updates_max=100_000)

    def told(*, load: bool) -> tuple[int, int, str]:
        with made(limits) as authorizer:
            authorizer.write_schema(TEXT)
            wanted = tuples(count)
            said = (
                authorizer.load(wanted).changed if load else len(wanted) * bool(authorizer.write(touch=wanted).revision)
            )
            last = RelationTuple.parse(wanted[-1])
            return said, readable(authorizer), asked(authorizer, f"{last.resource}#view@{last.subject}")[0]

    for load in (True, False) if count < 10_000 else (True,):
        assert (count, count, "yes") == told(load=load)
    if count > 1 << 16:
        with (
            switched_off(SQLiteLink, "add_rows", Counted(SQLiteLink.add_rows)),
            switched_off(PostgresLink, "add_rows", Counted(PostgresLink.add_rows)),
            switched_off(PostgresLink, "copy_blocks", lambda *_: None),
        ):
            try:
                said, found, verdict = told(load=True)
            except (KeyError, AssertionError, RelgraphError):
                return  # the graph fell over what the store had lost
        assert (said, found, verdict) != (count, count, "yes")


def failing(self: SQLTransaction) -> None:
    """A commit that the database refuses."""
    with self._all_or_nothing():
        raise StoreUnavailable("the disk is full; make room")


def silent(_: Following, transaction: SQLTransaction, *__: object) -> None:
    """A commit whose failure nobody hears of."""
    with suppress(StoreUnavailable):
        transaction.commit()


def test_a_write_that_fails_at_the_end_is_not_acknowledged(made: Callable[..., relgraph.Authorizer]) -> None:
    """A write whose commit fails is an error, and neither then nor later there."""

    def told() -> list[str]:
        with made() as authorizer:
            authorizer.write_schema(TEXT)
            authorizer.write(touch=["doc:a#viewer@user:anna"])
            with switched_off(SQLTransaction, "commit", failing):
                authorizer.write(touch=["doc:a#barred@user:anna"])
            return asked(authorizer, "doc:a#view@user:anna")

    with pytest.raises(StoreUnavailable):
        told()
    with switched_off(Following, "commit", silent):
        # Acknowledged, and not there: nobody is barred.
        assert ["yes"] == told()


def test_a_write_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where one tuple of a write is refused, none of the others is there, not later either."""

    def told(name: str) -> list[str]:
        with relgraph.open(f"sqlite:///{tmp_path}/{name}.db") as authorizer:
            authorizer.write_schema(TEXT)
            authorizer.write(touch=["doc:b#barred@user:anna"])
            with pytest.raises(AlreadyExists):
                authorizer.write(create=["doc:a#viewer@user:anna", "doc:b#barred@user:anna"])
            authorizer.write(touch=["doc:c#viewer@user:bob"])
            return asked(authorizer, "doc:a#view@user:anna", "doc:c#view@user:bob")

    assert ["no", "yes"] == told("right")
    with switched_off(SQLTransaction, "_roll_back", lambda _, link: link.run("COMMIT")):
        assert ["yes", "yes"] == told("wrong")


# --- which revision is which ------------------------------------------------------------------------------------------


def one_off(by: int) -> Callable[[RowsView, Reads, int], None]:
    """Rows of a revision nearby."""

    def init(self: RowsView, rows: Reads, revision: int) -> None:
        rows_read(self, rows, revision + by)

    return init


rows_read = RowsView.__init__


def test_a_write_is_seen_at_its_own_revision(made: Callable[..., relgraph.Authorizer]) -> None:
    """What was committed is there for whoever asks with its token, at it and behind it; what came later is not."""
    with made() as authorizer:
        authorizer.write_schema(TEXT)
        tokens = [authorizer.write(touch=[f"doc:a#viewer@user:u{number}"]).token for number in range(5)]
        for number, token in enumerate(tokens):
            for consistency in (Consistency.at_exactly(token), Consistency.at_least(token)):
                assert authorizer.check(f"doc:a#view@user:u{number}", consistency=consistency)
            if number < 4:
                later = f"doc:a#view@user:u{number + 1}"
                assert not authorizer.check(later, consistency=Consistency.at_exactly(token))
        question, exactly = "doc:a#view@user:u2", Consistency.at_exactly(tokens[2])
        with switched_off(RowsView, "__init__", one_off(-1)):
            assert not authorizer.check(question, consistency=exactly)
        with switched_off(RowsView, "__init__", one_off(+1)):
            assert authorizer.check("doc:a#view@user:u3", consistency=exactly)


def test_a_token_of_another_history_is_refused(tmp_path: Path) -> None:
    """A copy of the file that went its own way has the same numbers; its tokens say nothing here."""
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    with relgraph.open(f"sqlite:///{ours}") as authorizer:
        authorizer.write_schema(TEXT)
    shutil.copy(ours, theirs)
    with relgraph.open(f"sqlite:///{theirs}") as authorizer:
        token = authorizer.write(touch=["doc:a#barred@user:anna"]).token
    with relgraph.open(f"sqlite:///{ours}") as authorizer:
        authorizer.write(touch=["doc:a#viewer@user:anna"])
        for consistency in (Consistency.at_exactly(token), Consistency.at_least(token)):
            with pytest.raises(RevisionUnavailable):
                authorizer.check("doc:a#view@user:anna", consistency=consistency)
            with switched_off(Following, "_known", staticmethod(by_number)):
                # Whoever barred anna and asks with that token is told that she may.
                assert authorizer.check("doc:a#view@user:anna", consistency=consistency)


def by_number(snapshot: Snapshot, token: Token) -> Revision | None:
    """A revision is its number."""
    return snapshot.revision(token.revision)


def test_a_copy_that_lags_behind_does_not_answer(tmp_path: Path) -> None:
    """Asked for what it does not have yet, a store says so; it does not answer from before somebody was barred."""
    ours, old = tmp_path / "ours.db", tmp_path / "old.db"
    with relgraph.open(f"sqlite:///{ours}") as authorizer:
        authorizer.write_schema(TEXT)
        authorizer.write(touch=["doc:a#viewer@user:anna"])
    shutil.copy(ours, old)
    with relgraph.open(f"sqlite:///{ours}") as authorizer:
        token = authorizer.write(touch=["doc:a#barred@user:anna"]).token
        assert not authorizer.check("doc:a#view@user:anna", consistency=Consistency.at_least(token))
    with relgraph.open(f"sqlite:///{old}") as authorizer:
        for consistency in (Consistency.at_exactly(token), Consistency.at_least(token)):
            with pytest.raises(RevisionUnavailable):
                authorizer.check("doc:a#view@user:anna", consistency=consistency)
        with switched_off(Following, "_reach", lambda *_: None):
            assert authorizer.check("doc:a#view@user:anna", consistency=Consistency.at_least(token))


def test_a_new_schema_is_there_with_its_tuples(tmp_path: Path) -> None:
    """A process that follows learns a schema together with the tuples behind it, never a tuple without its schema."""
    url = f"sqlite:///{tmp_path}/store.db"
    with relgraph.open(url) as here, relgraph.open(url) as there:
        here.write_schema("definition user {}\ndefinition doc { relation viewer: user }")
        assert ["no"] == asked(there, "doc:a#viewer@user:anna")
        here.write_schema(TEXT)
        here.write(touch=["doc:a#viewer@user:anna"])
        assert ["yes"] == asked(there, "doc:a#view@user:anna")

        def late(self: _State, changes: Changes) -> None:
            self.graph.apply(changes)

        here.write_schema(TEXT.replace("view =", "see = viewer\n  permission view ="))
        with switched_off(_State, "apply", late), pytest.raises(UnknownRelation):
            asked(there, "doc:a#see@user:anna")


def test_a_write_is_never_seen_half(made: Callable[..., relgraph.Authorizer]) -> None:
    """Whoever asks while a write is being taken in is answered as before it: half of it may give what it withholds."""
    seen: list[list[str]] = []

    def watched(self: _Node, row: object, kind: tuple[int, int, bool]) -> None:
        add(self, row, kind)  # type: ignore[arg-type]
        if asking:
            decision = asking[0].decide_many(["doc:a#view@user:anna"], consistency=Consistency.minimize_latency())[0]
            seen.append([decision.verdict.value])

    add = _Node.add
    asking: list[relgraph.Authorizer] = []

    def told() -> list[list[str]]:
        seen.clear()
        with made(Limits(staleness_ms_max=10**9)) as authorizer:
            authorizer.write_schema(TEXT.replace("barred", "withheld"))
            authorizer.write(touch=["doc:b#viewer@user:anna", "doc:a#withheld@user:bob", "doc:a#viewer@user:bob"])
            asking.append(authorizer)
            authorizer.write(touch=["doc:a#viewer@user:anna", "doc:a#withheld@user:anna"])
            asking.clear()
            return [*seen]

    with switched_off(_Node, "add", watched):
        assert [["no"], ["no"]] == told()
        with switched_off(TupleEdge, "lives_at", lambda *_: True):
            assert ["yes"] in told()

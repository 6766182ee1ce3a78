"""Writes inside an application's own transaction: `write(conn=…)` on SQLite."""

from __future__ import annotations

import sqlite3 as standard
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import relgraph
from relgraph import Consistency
from relgraph.answers import Receipt
from relgraph.errors import (
    AlreadyExists,
    InvalidInput,
    Refused,
    RevisionUnavailable,
    StoreUnavailable,
    TupleNotAllowed,
)
from relgraph.tuples import TupleFilter
from tests.api_kit import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, TWO, THREE = (f"doc:{name}#viewer@user:anna" for name in ("one", "two", "three"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


@pytest.fixture
def authorizer(path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{path}") as made:
        made.write_schema(SCHEMA)
        made.write(touch=[ONE])
        yield made


@pytest.fixture
def own(path: Path, authorizer: relgraph.Authorizer) -> Iterator[standard.Connection]:
    """The application's connection to the same file, with a table of its own."""
    with closing(connected(path)) as connection:
        assert {ONE} == living(authorizer)
        connection.execute("CREATE TABLE notes(text TEXT)")
        yield connection


def connected(path: Path, **options: Any) -> standard.Connection:
    connection: standard.Connection = relgraph.sqlite3.connect(path, isolation_level=None, timeout=0.2, **options)
    return connection


def living(authorizer: relgraph.Authorizer) -> set[str]:
    return set(map(str, authorizer.read().tuples))


def notes(own: standard.Connection) -> list[Any]:
    return [row[0] for row in own.execute("SELECT text FROM notes").fetchall()]


def test_both_are_committed_together(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """The application's rows and the tuples are there together once it commits, and not before."""
    own.execute("BEGIN IMMEDIATE")
    own.execute("INSERT INTO notes VALUES ('kept')")
    receipt = authorizer.write(create=[TWO], conn=own)
    assert isinstance(receipt, Receipt)
    assert {ONE} == living(authorizer)
    with pytest.raises(RevisionUnavailable, match="beyond the newest"):
        authorizer.read(consistency=Consistency.at_least(receipt.token))
    own.execute("COMMIT")
    page = authorizer.read(consistency=Consistency.at_exactly(receipt.token))
    assert ({ONE, TWO}, receipt.revision) == (set(map(str, page.tuples)), page.revision)
    assert authorizer.check("user:anna", "read", "doc:two", consistency=Consistency.at_least(receipt.token))
    assert ["kept"] == notes(own)


def test_both_are_undone_together(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """After a rollback nothing is there, and the token is never valid, even when another write takes its number."""
    own.execute("BEGIN IMMEDIATE")
    own.execute("INSERT INTO notes VALUES ('gone')")
    receipt = authorizer.write(create=[TWO], conn=own)
    own.execute("ROLLBACK")
    assert ([], {ONE}) == (notes(own), living(authorizer))
    with pytest.raises(RevisionUnavailable, match="beyond"):
        authorizer.read(consistency=Consistency.at_least(receipt.token))
    assert receipt.revision == authorizer.write(create=[THREE]).revision
    for consistency in (Consistency.at_least(receipt.token), Consistency.at_exactly(receipt.token)):
        with pytest.raises(RevisionUnavailable, match="is not the one of the token"):
            authorizer.read(consistency=consistency)


def test_what_is_refused_leaves_the_application_alone(
    authorizer: relgraph.Authorizer, own: standard.Connection
) -> None:
    """An error of ours undoes our write; what the application did stays, and it goes on, also with another write."""
    own.execute("BEGIN IMMEDIATE")
    own.execute("INSERT INTO notes VALUES ('first')")
    with pytest.raises(AlreadyExists):
        authorizer.write(create=[TWO, ONE], conn=own)
    with pytest.raises(TupleNotAllowed):
        authorizer.write(touch=["doc:two#banned@user:*"], conn=own)
    own.execute("INSERT INTO notes VALUES ('second')")
    receipt = authorizer.write(create=[THREE], conn=own)
    own.execute("COMMIT")
    assert (["first", "second"], {ONE, THREE}) == (notes(own), living(authorizer))
    assert 3 == receipt.revision
    # No savepoint of ours is left behind.
    own.execute("BEGIN")
    with pytest.raises(relgraph.sqlite3.Error, match="no such savepoint"):
        own.execute("RELEASE relgraph_joined")
    own.execute("ROLLBACK")


def test_autocommit_is_refused(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """Without an open transaction there is nothing to be part of: the refusal names `BEGIN IMMEDIATE`."""
    with pytest.raises(InvalidInput, match="`BEGIN IMMEDIATE`"):
        authorizer.write(touch=[TWO], conn=own)
    assert {ONE} == living(authorizer)


def test_one_write_a_transaction(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """A second write in one transaction is refused, unless the first was undone or the application committed."""
    own.execute("BEGIN IMMEDIATE")
    own.execute("SAVEPOINT theirs")
    authorizer.write(touch=[TWO], conn=own)
    with pytest.raises(Refused, match="put all tuples into one write"):
        authorizer.write(touch=[THREE], conn=own)
    own.execute("ROLLBACK TO theirs")
    authorizer.write(touch=[THREE], conn=own)
    own.execute("COMMIT")
    assert {ONE, THREE} == living(authorizer)
    own.execute("BEGIN")
    assert 4 == authorizer.write(touch=[TWO], conn=own).revision
    own.execute("COMMIT")


def test_a_write_that_changes_nothing(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """It takes no revision, and its token is valid at once."""
    own.execute("BEGIN")
    receipt = authorizer.write(touch=[ONE], conn=own)
    assert 2 == authorizer.read(consistency=Consistency.at_exactly(receipt.token)).revision
    own.execute("ROLLBACK")


def test_request_ids_and_preconditions(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """They mean the same in an application's own transaction."""
    first = authorizer.write(touch=[TWO], request_id="r")
    own.execute("BEGIN IMMEDIATE")
    assert first.revision == authorizer.write(touch=[TWO], request_id="r", conn=own).revision
    with pytest.raises(Refused, match="only if no tuple matches"):
        authorizer.write(touch=[THREE], preconditions=[relgraph.must_not_exist(TupleFilter("doc"))], conn=own)
    own.execute("ROLLBACK")


def test_a_transaction_that_read_too_early(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """A deferred transaction that read before somebody else's write cannot write any more, and is told what to do."""
    own.execute("BEGIN")
    notes(own)
    authorizer.write(touch=[TWO])
    with pytest.raises(StoreUnavailable, match="begin again with `BEGIN IMMEDIATE`"):
        authorizer.write(touch=[THREE], conn=own)
    own.execute("ROLLBACK")
    own.execute("BEGIN IMMEDIATE")
    authorizer.write(touch=[THREE], conn=own)
    own.execute("COMMIT")
    assert {ONE, TWO, THREE} == living(authorizer)


def test_a_connection_to_another_file(
    authorizer: relgraph.Authorizer, own: standard.Connection, tmp_path: Path
) -> None:
    """A connection to another store, to a copy of this one, to no store or to memory is refused; nothing is written."""
    other, copy = tmp_path / "other.db", tmp_path / "copy.db"
    with relgraph.open(f"sqlite:///{other}") as made:
        made.write_schema(SCHEMA)
    own.execute("VACUUM INTO ?", (str(copy),))
    for path in (other, copy, tmp_path / "nothing.db", ":memory:"):
        with closing(connected(path)) as connection:  # type: ignore[arg-type]
            connection.execute("BEGIN")
            with pytest.raises(InvalidInput, match="is not to the file of the store"):
                authorizer.write(touch=[TWO], conn=connection)
            connection.execute("ROLLBACK")


def test_a_file_that_was_restored_in_place(authorizer: relgraph.Authorizer, own: standard.Connection) -> None:
    """The id and epoch seen through the connection are what counts, not its file alone."""
    own.execute("BEGIN IMMEDIATE")
    own.execute("UPDATE meta SET epoch = epoch + 1")
    with pytest.raises(InvalidInput, match="its id or epoch is not"):
        authorizer.write(touch=[TWO], conn=own)
    own.execute("UPDATE meta SET epoch = epoch - 1")
    own.execute("ALTER TABLE meta RENAME TO other")
    with pytest.raises(InvalidInput, match="no such table: meta"):
        authorizer.write(touch=[TWO], conn=own)
    own.execute("ROLLBACK")


@pytest.mark.skipif(relgraph.sqlite3 is standard, reason="only one SQLite is installed")
def test_a_connection_of_another_library(authorizer: relgraph.Authorizer) -> None:
    """A connection of another SQLite library is refused: it would drop our locks when it is closed."""
    with closing(standard.connect(":memory:")) as connection:
        connection.execute("BEGIN")
        with pytest.raises(InvalidInput, match="open the store with yours"):
            authorizer.write(touch=[TWO], conn=connection)


@pytest.mark.parametrize("conn", ["sqlite:///access.db", 7])
def test_what_is_no_connection(authorizer: relgraph.Authorizer, conn: object) -> None:
    """Anything else is refused, and so is a store in memory, and a deadline, which the connection has itself."""
    with pytest.raises(InvalidInput, match="the connection is a"):
        authorizer.write(touch=[TWO], conn=conn)
    with pytest.raises(InvalidInput, match="leave the deadline out"):
        authorizer.write(touch=[TWO], conn=conn, deadline=1)
    with relgraph.open("sqlite://") as memory, pytest.raises(InvalidInput, match="use a store in a file"):
        memory.write(touch=[TWO], conn=conn)


def test_the_standard_library(tmp_path: Path) -> None:
    """A store that was opened with the standard library's module takes that one's connections."""
    url = f"sqlite:///{tmp_path / 'standard.db'}"
    with (
        relgraph.open(url, sqlite=standard) as authorizer,
        closing(standard.connect(tmp_path / "standard.db")) as connection,
    ):
        authorizer.write_schema(SCHEMA)
        # In the driver's own mode a transaction begins by itself, before the first row.
        connection.execute("CREATE TABLE notes(text TEXT)")
        connection.execute("INSERT INTO notes VALUES ('kept')")
        authorizer.write(touch=[ONE], conn=connection)
        connection.commit()
        assert ({ONE}, ["kept"]) == (living(authorizer), notes(connection))


@pytest.mark.parametrize("setting", ["row", "dict", "bytes", "colnames", "deferred"])
def test_what_the_application_set_up(authorizer: relgraph.Authorizer, path: Path, setting: str) -> None:
    """Row factories, text factories and isolation levels of the application do not disturb us, nor we them."""
    with closing(connected(path)) as own:
        own.execute("CREATE TABLE notes(text TEXT)")
    options: dict[str, Any] = {"detect_types": standard.PARSE_COLNAMES} if setting == "colnames" else {}
    connection = relgraph.sqlite3.connect(
        path, timeout=0.2, isolation_level="DEFERRED" if setting == "deferred" else None, **options
    )
    with closing(connection) as own:
        if setting == "row":
            own.row_factory = relgraph.sqlite3.Row
        elif setting == "dict":
            own.row_factory = lambda cursor, row: dict(zip([each[0] for each in cursor.description], row, strict=True))
        elif setting == "bytes":
            own.text_factory = bytes
        before = (own.row_factory, own.text_factory, own.isolation_level)
        if setting != "deferred":
            own.execute("BEGIN")
        own.execute("INSERT INTO notes VALUES ('kept')")
        open_cursor = own.execute("SELECT text FROM notes UNION ALL SELECT 'more'")
        first = open_cursor.fetchone()
        authorizer.write(touch=[TWO], delete=[ONE], preconditions=[relgraph.must_exist(TupleFilter("doc"))], conn=own)
        with pytest.raises(Refused):
            authorizer.write(touch=[THREE], conn=own)
        assert type(first) is type(open_cursor.fetchone())
        open_cursor.close()
        own.commit()
        assert before == (own.row_factory, own.text_factory, own.isolation_level)
    assert {TWO} == living(authorizer)


def test_our_own_writes_wait_for_the_application(path: Path, authorizer: relgraph.Authorizer) -> None:
    """Another write of this process waits for the application's commit, and stands behind it."""
    with closing(connected(path)) as own:
        own.execute("BEGIN IMMEDIATE")
        receipt = authorizer.write(touch=[TWO], conn=own)
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(authorizer.write(touch=[THREE]).revision))
        thread.start()
        while not authorizer._writing._group._queue:
            thread.join(0.001)
        own.execute("COMMIT")
        thread.join(60)
    assert [receipt.revision + 1] == found
    assert {ONE, TWO, THREE} == living(authorizer)


def test_another_connection_holds_the_lock(
    path: Path, authorizer: relgraph.Authorizer, own: standard.Connection
) -> None:
    """Where somebody else writes for too long, the application is told so, as its connection's own timeout says."""
    with closing(connected(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        own.execute("BEGIN")
        with pytest.raises(StoreUnavailable, match="locked by another writer"):
            authorizer.write(touch=[TWO], conn=own)
        other.execute("ROLLBACK")
    authorizer.write(touch=[TWO], conn=own)
    own.execute("COMMIT")
    assert {ONE, TWO} == living(authorizer)

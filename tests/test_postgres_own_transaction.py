"""Writes inside an application's own transaction: `write(conn=…)` on PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

import relgraph
from relgraph import Consistency
from relgraph.answers import Receipt
from relgraph.errors import AlreadyExists, InvalidInput, Refused, RevisionUnavailable, StoreUnavailable
from relgraph.store import open_store
from tests.api_kit import SCHEMA
from tests.store_kit import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_kit import Server

ONE, TWO, THREE = (f"doc:{name}#viewer@user:anna" for name in ("one", "two", "three"))


@pytest.fixture
def authorizer(postgres: Server) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(postgres.url()) as made:
        made.write_schema(SCHEMA)
        made.write(touch=[ONE])
        yield made


@pytest.fixture
def own(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    """The application's connection to the same database, with rows as dictionaries and a table of its own."""
    with psycopg.connect(postgres.admin, row_factory=dict_row) as connection:
        connection.execute("CREATE TEMP TABLE notes(text text)")
        connection.commit()
        yield connection
        connection.rollback()


def living(authorizer: relgraph.Authorizer) -> set[str]:
    return set(map(str, authorizer.read().tuples))


def notes(own: psycopg.Connection[Any]) -> list[str]:
    return [row["text"] for row in own.execute("SELECT text FROM notes")]


def test_both_are_committed_together(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """The application's rows and the tuples are there together once it commits, and not before."""
    own.execute("INSERT INTO notes VALUES ('kept')")
    receipt = authorizer.write(create=[TWO], conn=own)
    assert isinstance(receipt, Receipt)
    assert {ONE} == living(authorizer)
    with pytest.raises(RevisionUnavailable, match="beyond the newest"):
        authorizer.read(consistency=Consistency.at_least(receipt.token))
    own.commit()
    page = authorizer.read(consistency=Consistency.at_exactly(receipt.token))
    assert ({ONE, TWO}, receipt.revision) == (set(map(str, page.tuples)), page.revision)
    assert ["kept"] == notes(own)


def test_both_are_undone_together(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """After a rollback nothing is there, and the token is never valid, even when another write takes its number."""
    own.execute("INSERT INTO notes VALUES ('gone')")
    receipt = authorizer.write(create=[TWO], conn=own)
    own.rollback()
    assert ([], {ONE}) == (notes(own), living(authorizer))
    assert receipt.revision == authorizer.write(create=[THREE]).revision
    for consistency in (Consistency.at_least(receipt.token), Consistency.at_exactly(receipt.token)):
        with pytest.raises(RevisionUnavailable, match="is not the one of the token"):
            authorizer.read(consistency=consistency)


def test_what_is_refused_leaves_the_application_alone(
    authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]
) -> None:
    """An error of ours undoes our write; what the application did stays, and it goes on, also with another write."""
    own.execute("INSERT INTO notes VALUES ('first')")
    with pytest.raises(AlreadyExists):
        authorizer.write(create=[TWO, ONE], conn=own)
    own.execute("INSERT INTO notes VALUES ('second')")
    receipt = authorizer.write(create=[THREE], conn=own)
    own.commit()
    assert (["first", "second"], {ONE, THREE}, 3) == (notes(own), living(authorizer), receipt.revision)


def test_autocommit_is_refused(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """In autocommit there is nothing to be part of; inside a transaction block there is."""
    own.autocommit = True
    with pytest.raises(InvalidInput, match="`BEGIN`"):
        authorizer.write(touch=[TWO], conn=own)
    assert {ONE} == living(authorizer)
    with own.transaction():
        authorizer.write(touch=[TWO], conn=own)
    assert {ONE, TWO} == living(authorizer)


def test_a_transaction_that_psycopg_begins(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """Outside of autocommit the write may come first: its statements begin the transaction, as any would."""
    receipt = authorizer.write(touch=[TWO], conn=own)
    own.commit()
    assert (3, {ONE, TWO}) == (receipt.revision, living(authorizer))


def test_one_write_a_transaction(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """A second write in one transaction is refused, unless the first was undone."""
    own.execute("SAVEPOINT theirs")
    authorizer.write(touch=[TWO], conn=own)
    with pytest.raises(Refused, match="put all tuples into one write"):
        authorizer.write(touch=[THREE], conn=own)
    own.execute("ROLLBACK TO theirs")
    authorizer.write(touch=[THREE], conn=own)
    own.commit()
    assert {ONE, THREE} == living(authorizer)


def test_a_store_that_was_never_written_to(postgres: Server, own: psycopg.Connection[Any]) -> None:
    """The first tuples of a store may come this way, and those behind them find them."""
    with relgraph.open(postgres.url()) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(create=[ONE], conn=own)
        own.commit()
        with pytest.raises(AlreadyExists):
            authorizer.write(create=[ONE])
        assert {ONE} == living(authorizer)


def test_a_connection_that_is_another(authorizer: relgraph.Authorizer, postgres: Server) -> None:
    """What is no connection of psycopg, is closed, or leads elsewhere is refused, and the transaction stays usable."""
    with sqlite3.connect(":memory:") as other, pytest.raises(InvalidInput, match=r"`psycopg\.Connection`"):
        authorizer.write(touch=[TWO], conn=other)
    other.close()
    with psycopg.connect(postgres.admin) as closed:
        pass
    with pytest.raises(InvalidInput, match="is closed"):
        authorizer.write(touch=[TWO], conn=closed)
    with psycopg.connect(postgres.admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE elsewhere{os.getpid()}")
    with psycopg.connect(postgres.admin, dbname=f"elsewhere{os.getpid()}") as connection:
        with pytest.raises(InvalidInput, match="does not lead to the store"):
            authorizer.write(touch=[TWO], conn=connection)
        assert (1,) == connection.execute("SELECT 1").fetchone()
    assert {ONE} == living(authorizer)


def test_a_transaction_that_looked_too_early(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """A transaction that sees an older state than the newest is refused: it would be judged by what is no longer so."""
    own.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    own.execute("SELECT 1 FROM pg_class LIMIT 1")
    authorizer.write(touch=[THREE])
    with pytest.raises(StoreUnavailable):
        authorizer.write(create=[TWO], conn=own)
    own.rollback()
    assert {ONE, THREE} == living(authorizer)


def test_others_wait_for_the_application(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """Until the application ends its transaction other writers wait, and readers do not."""
    authorizer.write(touch=[TWO], conn=own)
    written: list[int] = []
    other = threading.Thread(target=lambda: written.append(authorizer.write(touch=[THREE]).revision))
    other.start()
    assert {ONE} == living(authorizer)
    own.commit()
    other.join(30)
    assert ([4], {ONE, TWO, THREE}) == (written, living(authorizer))


def test_it_waits_no_longer_than_was_said(postgres: Server, own: psycopg.Connection[Any]) -> None:
    """A write in the application's transaction waits for other writers as long as any write does, not for ever."""
    url = postgres.url()
    with relgraph.open(url) as made:
        made.write_schema(SCHEMA)
        hasty = open_store(url, clock=FakeClock(), random=os.urandom, wait_ms_max=50)
        made.write(touch=[TWO], conn=own)
        with (
            psycopg.connect(postgres.admin) as other,
            pytest.raises(StoreUnavailable, match="locked by another writer"),
            hasty.joining(other),
        ):
            pass
        hasty.close()
        own.rollback()


def test_what_the_application_has_set_up_stays(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """Loaders and a time limit of the application's own change nothing, and are as they were afterwards."""

    class Shouting(TextLoader):
        def load(self, data: Any) -> str:
            return str(super().load(data)).upper()

    for name in ("text", "int8", "bytea"):
        own.adapters.register_loader(name, Shouting)
    own.execute("SET LOCAL lock_timeout = '1234ms'")
    authorizer.write(create=[TWO], touch=[ONE], conn=own)
    assert {"now": "1234MS"} == own.execute("SELECT current_setting('lock_timeout') AS now").fetchone()
    own.commit()
    assert {ONE, TWO} == living(authorizer)


def test_a_transaction_that_has_failed(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """In a transaction that has failed nothing can be written, and the error says what to do."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        own.execute("SELECT 1/0")
    with pytest.raises(StoreUnavailable, match="roll it back"):
        authorizer.write(create=[TWO], conn=own)
    own.rollback()
    assert {ONE} == living(authorizer)

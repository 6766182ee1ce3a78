"""Writes inside an application's own transaction: `write(conn=…)` on PostgreSQL."""

from __future__ import annotations

import os
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
from tests.postgres_kit import waiting_for_a_lock
from tests.store_kit import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_kit import Server

ONE, TWO, THREE = (f"doc:{name}#viewer@user:anna" for name in ("one", "two", "three"))


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.url()


@pytest.fixture
def authorizer(url: str) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(url) as made:
        made.write_schema(SCHEMA)
        made.write(touch=[ONE])
        yield made


@pytest.fixture
def own(postgres: Server, authorizer: relgraph.Authorizer) -> Iterator[psycopg.Connection[Any]]:
    """The application's connection to the same database, with a table of its own."""
    assert {ONE} == living(authorizer)
    with psycopg.connect(postgres.admin, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE notes(text text)")
        yield connection


def living(authorizer: relgraph.Authorizer) -> set[str]:
    return set(map(str, authorizer.read().tuples))


def notes(own: psycopg.Connection[Any]) -> list[Any]:
    return [row[0] for row in own.execute("SELECT text FROM notes").fetchall()]


def test_both_are_committed_together(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """The application's rows and the tuples are there together once it commits, and not before."""
    with own.transaction():
        own.execute("INSERT INTO notes VALUES ('kept')")
        receipt = authorizer.write(create=[TWO], delete=[ONE], conn=own)
        assert isinstance(receipt, Receipt)
        assert {ONE} == living(authorizer)
        with pytest.raises(RevisionUnavailable, match="beyond the newest"):
            authorizer.read(consistency=Consistency.at_least(receipt.token))
    page = authorizer.read(consistency=Consistency.at_exactly(receipt.token))
    assert ({TWO}, receipt.revision) == (set(map(str, page.tuples)), page.revision)
    assert ["kept"] == notes(own)


def test_both_are_undone_together(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """After a rollback nothing is there, and the token is never valid, even when another write takes its number."""
    with own.transaction(force_rollback=True):
        own.execute("INSERT INTO notes VALUES ('gone')")
        receipt = authorizer.write(create=[TWO], conn=own)
    assert ([], {ONE}) == (notes(own), living(authorizer))
    assert receipt.revision == authorizer.write(create=[THREE]).revision
    with pytest.raises(RevisionUnavailable):
        authorizer.read(consistency=Consistency.at_least(receipt.token))


def test_a_refused_write_leaves_the_rest(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """What is refused is undone alone: the application's rows stay, and it may write something else instead."""
    with own.transaction():
        own.execute("INSERT INTO notes VALUES ('before')")
        with pytest.raises(AlreadyExists):
            authorizer.write(create=[TWO, ONE], conn=own)
        own.execute("INSERT INTO notes VALUES ('after')")
        authorizer.write(create=[THREE], conn=own)
    assert (["before", "after"], {ONE, THREE}) == (notes(own), living(authorizer))


def test_a_second_write_is_refused(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """One transaction is one revision: a second write in it is refused, and the first stays."""
    with own.transaction():
        authorizer.write(create=[TWO], conn=own)
        with pytest.raises(Refused, match="one revision"):
            authorizer.write(create=[THREE], conn=own)
    assert {ONE, TWO} == living(authorizer)


def test_a_connection_without_autocommit(
    postgres: Server, authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]
) -> None:
    """Where the driver begins transactions by itself, the write may be the first in one; in autocommit none is."""
    with pytest.raises(InvalidInput, match="no transaction open"):
        authorizer.write(create=[TWO], conn=own)
    with psycopg.connect(postgres.admin) as connection:
        authorizer.write(create=[TWO], conn=connection)
        assert {ONE} == living(authorizer)
    assert {ONE, TWO} == living(authorizer)


def test_what_the_application_has_set_up(postgres: Server, authorizer: relgraph.Authorizer) -> None:
    """Rows as dictionaries, other types and a time limit of the application's own change nothing, and stay."""

    class Shouting(TextLoader):
        def load(self, data: Any) -> str:
            return str(super().load(data)).upper()

    with psycopg.connect(postgres.admin, row_factory=dict_row) as connection:
        for name in ("text", "int8", "bytea"):
            connection.adapters.register_loader(name, Shouting)
        connection.execute("SET LOCAL lock_timeout = '1234ms'")
        authorizer.write(create=[TWO], touch=[ONE], conn=connection)
        assert {"now": "1234MS"} == connection.execute("SELECT current_setting('lock_timeout') AS now").fetchone()
    assert {ONE, TWO} == living(authorizer)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_old_view_is_not_judged_in(postgres: Server, authorizer: relgraph.Authorizer, level: str) -> None:
    """A transaction that sees an older state than the newest is refused; one that sees the newest writes."""
    with psycopg.connect(postgres.admin) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        connection.execute("SELECT 1 FROM pg_class LIMIT 1").fetchall()
        authorizer.write(create=[TWO])
        with pytest.raises(StoreUnavailable, match="try again"):
            authorizer.write(create=[TWO], conn=connection)
    with psycopg.connect(postgres.admin) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        authorizer.write(create=[THREE], conn=connection)
    assert {ONE, TWO, THREE} == living(authorizer)


def test_a_failed_transaction(authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """In a transaction that has failed nothing can be written, and the error says what to do."""
    own.execute("BEGIN")
    with pytest.raises(psycopg.errors.DivisionByZero):
        own.execute("SELECT 1/0")
    with pytest.raises(StoreUnavailable, match="roll it back"):
        authorizer.write(create=[TWO], conn=own)
    own.execute("ROLLBACK")
    assert {ONE} == living(authorizer)


def test_the_wrong_connection(postgres: Server, authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]) -> None:
    """A connection of another driver, or to a database without this store, or with another's store, is refused."""
    with pytest.raises(InvalidInput, match=r"`psycopg.Connection`"):
        authorizer.write(create=[TWO], conn=relgraph.sqlite3.connect(":memory:"))
    name = f"other_{os.urandom(4).hex()}"
    own.execute(f"CREATE DATABASE {name}".encode())
    elsewhere = postgres.admin.replace("/postgres?", f"/{name}?")
    with psycopg.connect(elsewhere) as connection, pytest.raises(InvalidInput, match="does not lead to the store"):
        authorizer.write(create=[TWO], conn=connection)
    url = postgres.url().replace("/postgres?", f"/{name}?")
    schema = authorizer._store._place.schema  # type: ignore[attr-defined]
    with relgraph.open(f"{url.rpartition('=')[0]}={schema}") as other:
        other.write_schema(SCHEMA)
        with psycopg.connect(elsewhere) as connection, pytest.raises(InvalidInput, match="its id or epoch"):
            authorizer.write(create=[TWO], conn=connection)
    assert {ONE} == living(authorizer)


def test_other_writers_wait(
    postgres: Server, url: str, authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]
) -> None:
    """The write lock is the application's until it commits: others wait for it, and it for them no longer than set."""
    found: list[int] = []
    with own.transaction():
        receipt = authorizer.write(create=[TWO], conn=own)
        thread = threading.Thread(target=lambda: found.append(authorizer.write(create=[THREE]).revision))
        thread.start()
        waiting_for_a_lock(postgres)
        hasty = open_store(url, clock=FakeClock(), random=os.urandom, wait_ms_max=50)
        with (
            psycopg.connect(postgres.admin) as connection,
            pytest.raises(StoreUnavailable, match="locked by another writer"),
            hasty.joining(connection),
        ):
            pass
        hasty.close()
    thread.join(30)
    assert [receipt.revision + 1] == found

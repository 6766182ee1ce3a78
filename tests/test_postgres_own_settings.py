"""What an application set up on its connection to PostgreSQL, and what a write inside its transaction makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row, namedtuple_row

import relgraph
from relgraph.errors import AlreadyExists, Refused
from relgraph.store.postgres.urls import place_of
from tests.api_kit import SCHEMA
from tests.store_kit import FakeClock, FakeRandom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_kit import Server

ONE, TWO, THREE = (f"doc:{name}#viewer@user:anna" for name in ("one", "two", "three"))


@pytest.fixture
def authorizer(postgres: Server) -> Iterator[relgraph.Authorizer]:
    with postgres.store(FakeClock(), FakeRandom()) as store:
        made = relgraph.Authorizer(store)
        made.write_schema(SCHEMA)
        made.write(touch=[ONE])
        yield made


@pytest.fixture
def own(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    """The application's connection to the same database, with a table of its own."""
    with psycopg.connect(postgres.admin) as connection:
        connection.execute("CREATE TEMP TABLE notes(text text)")
        connection.commit()
        yield connection


def living(authorizer: relgraph.Authorizer) -> set[str]:
    return set(map(str, authorizer.read().tuples))


def test_what_is_refused_leaves_the_application_alone(
    authorizer: relgraph.Authorizer, own: psycopg.Connection[Any]
) -> None:
    """An error of ours undoes our write alone; settings, savepoints and rows of the application stay as they were."""
    own.execute("SET LOCAL lock_timeout = '17s'")
    own.execute("INSERT INTO notes VALUES ('first')")
    with pytest.raises(AlreadyExists):
        authorizer.write(create=[TWO, ONE], conn=own)
    authorizer.write(create=[THREE], conn=own)
    with pytest.raises(Refused, match="put all tuples into one write"):
        authorizer.write(touch=[TWO], conn=own)
    assert [("17s", "first")] == own.execute("SELECT current_setting('lock_timeout'), text FROM notes").fetchall()
    own.commit()
    assert {ONE, THREE} == living(authorizer)


@pytest.mark.parametrize("setting", ["dict", "namedtuple", "client", "unprepared", "first"])
def test_what_the_application_set_up(
    authorizer: relgraph.Authorizer, own: psycopg.Connection[Any], setting: str
) -> None:
    """Row factories, kinds of cursors and the like do not disturb us, and a write may begin the transaction."""
    if setting in {"dict", "namedtuple"}:
        own.row_factory = dict_row if setting == "dict" else namedtuple_row
    elif setting == "client":
        own.cursor_factory = psycopg.ClientCursor
    elif setting == "unprepared":
        own.prepare_threshold = None
    if setting != "first":
        own.execute("INSERT INTO notes VALUES ('kept')")
    many = [f"doc:d{n}#viewer@user:u{n}" for n in range(30)]
    authorizer.write(touch=many, delete=[ONE], conn=own)
    own.commit()
    assert set(many) == living(authorizer)
    row = own.execute("SELECT 1 AS one").fetchone()
    assert row == ({"one": 1} if setting == "dict" else (1,))


def postgres_url(authorizer: relgraph.Authorizer) -> str:
    return str(authorizer._store._place.where)  # type: ignore[attr-defined]


def test_a_store_that_only_applications_write(postgres: Server, own: psycopg.Connection[Any]) -> None:
    """The first tuples of a store may come this way: it has its indexes then."""
    with postgres.store(FakeClock(), FakeRandom()) as store, relgraph.Authorizer(store) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[ONE], conn=own)
        own.commit()
        assert {ONE} == living(authorizer)
        assert () == store.verify().findings
        schema = place_of(postgres_url(authorizer)).schema
        assert [(True,)] == own.execute(f'SELECT indexed FROM "{schema}".meta'.encode()).fetchall()
        own.commit()

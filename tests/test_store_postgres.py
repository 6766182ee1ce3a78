"""What is special to the store on PostgreSQL: its URL, its layout and format, and what it leaves to the server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg
import pytest

import relgraph
from relgraph.cli.target import Target, open_target
from relgraph.errors import InvalidInput, InvalidSetting, StoreFormat, StoreUnavailable, Unsupported
from relgraph.instants import instant_of, parse_moment
from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.postgres import layout
from relgraph.store.postgres.layout import FORMAT
from relgraph.store.postgres.link import ROWS_AT_ONCE, arguments
from relgraph.store.postgres.stores import PostgresStore
from relgraph.store.postgres.urls import place_of
from relgraph_server.settings import Settings
from tests.api_kit import SCHEMA
from tests.house import ROOT
from tests.store_kit import ALL, SAMPLE, FakeClock, FakeRandom, done, many, pages, texts, until, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.store.base import Store
    from tests.postgres_kit import Server


# A schema that admits the sample.
ADMITTING = """
use universal
definition user {}
definition group { relation member: user | group#member }
definition folder { relation parent: folder }
definition report {
    relation admin: group#member | group#member with universal
    relation viewer: user | user:*
}
"""


@pytest.fixture
def store(postgres: Server) -> Iterator[Store]:
    with postgres.store(FakeClock(), FakeRandom()) as store:
        yield store


@contextmanager
def opened(url: str) -> Iterator[PostgresStore]:
    store = open_store(url, clock=FakeClock(), random=os.urandom)
    assert isinstance(store, PostgresStore)
    with closing(store):
        yield store


def schema_of(url: str) -> str:
    return place_of(url).schema


def ask(postgres: Server, sql: str, url: str = "") -> list[tuple[object, ...]]:
    """Ask as the server's owner; `{s}` stands for the PostgreSQL schema of a store."""
    with psycopg.connect(postgres.admin, autocommit=True) as connection:
        cursor = connection.execute((sql.replace("{s}", f'"{schema_of(url)}"') if url else sql).encode())
        return cursor.fetchall() if cursor.description else []


# --- the URL ----------------------------------------------------------------------------------------------------------


def test_what_a_url_means() -> None:
    """What is libpq's passes through as it stands; what is ours does not, and has its meaning."""
    place = place_of(
        "postgresql://anna@db.example:5433/access?sslmode=require&relgraph_schema=two&application_name=x%20y"
    )
    assert ("postgresql://anna@db.example:5433/access?sslmode=require&application_name=x%20y", "two") == (
        place.conninfo, place.schema,
    )  # fmt: skip
    assert not place.pooled
    place = place_of("postgres:///access?relgraph_pgbouncer=on")
    assert ("postgres:///access", "relgraph", True) == (place.conninfo, place.schema, place.pooled)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://h/db?relgraph_shema=x", "did you mean `relgraph_schema`?"),
        ("postgresql://h/db?relgraph_schema=pg_x", "beginning with neither"),
        ("postgresql://h/db?relgraph_schema=a%22b", "letters, digits and `_`"),
        ("postgresql://h/db?relgraph_schema=" + "a" * 64, "at most 63"),
        ("postgresql://h/db?relgraph_schema=", "cannot be the PostgreSQL schema"),
        ("postgresql://h/db?relgraph_pgbouncer=yes", "write `on` or `off`"),
        ("postgresql://h/db?sslmode=off&sslmode=on", "two `sslmode`"),
        ("postgresql://h/db?sslmode", "`name=value`"),
        ("postgresql://h/db?ssl_mode=open", "did you mean `sslmode`?"),
        ("postgresql://h/db%zz", "encoded with `%`"),
        ("postgresql://h:port/db", "a port is a number"),
        ("postgresql://a:s@me@h/db", "`%40`"),
        ("postgresql://a:s/me@h/db", "`%2F`"),
        ("postgresql://a:s?me@h/db", "`%3F`"),
    ],
)
def test_urls_that_cannot_be_read(url: str, hint: str) -> None:
    """A URL that is not clear is refused with what to write instead, and without showing what may be a password."""
    with pytest.raises(InvalidSetting) as caught:
        open_store(url, clock=FakeClock(), random=FakeRandom())
    assert hint in caught.value.message
    assert "me@" not in caught.value.message + str(caught.value.details)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:sesame@127.0.0.1:1/db",
        "postgresql://anna:ses%40me@127.0.0.1:1/db?sslpassword=sesame",
        "postgresql://127.0.0.1:1/db?user=anna&password=sesame",
        "postgresql://anna:sesame@127.0.0.1:1/db?nonsense=1",
        "postgresql://anna:sesame@h:sesame/db",
        "postgresqll://anna:sesame@h/db",
        "mysql://anna:ses@me@h/db",
        "postgresql://127.0.0.1:1/db?user=anna&password=sesame&sslpassword=sesame",
        "postgresql://127.0.0.1:1/db?pass%77ord=sesame",
        "postgresql://127.0.0.1:1/db?user=anna&pasword=sesame",
        "postgresql://127.0.0.1:1/db?user=anna&scram_client_key=sesame",
        "postgresql+psycopg://anna:sesame@h/db",
        "postgresql:/anna:sesame@h/db",
        "anna:sesame@h/db",
        "host=h password=sesame dbname=db",
        "host=h password = 'ses ame'",
    ],
)
def test_passwords_are_never_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A password appears in no error, no detail, no repr and no log, whether the URL can be used or not."""
    with pytest.raises(relgraph.errors.RelgraphError) as caught:
        relgraph.open(url)
    told = [str(caught.value), str(caught.value.details), repr(Settings(url)), repr(Target(store=url)), caplog.text]
    with suppress(InvalidSetting):
        told.append(repr(place_of(url)))
    assert [] == [text for text in told if "ses" in text]


def test_a_server_that_vanished_is_given_up() -> None:
    """Connections notice that their server is gone within half a minute, unless the URL says otherwise."""
    given = arguments(place_of("postgresql://h/db?connect_timeout=7&tcp_user_timeout=0"), 5000)
    assert ({"connect_timeout", "tcp_user_timeout"} & set(given), 15) == (set(), given["keepalives_idle"])
    given = arguments(place_of("postgresql://h/db"), 5000)
    assert (5, 30_000) == (given["connect_timeout"], given["tcp_user_timeout"])


def test_the_driver_is_loaded_late() -> None:
    """Opening a SQLite store loads no driver of PostgreSQL; a missing one is told with the way to install it."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import relgraph; relgraph.open('sqlite://').close();"
        "print([name for name in sys.modules if name.startswith('psycopg')]);"
        "sys.modules['psycopg'] = None\n"
        "try: relgraph.open('postgresql://h/db')\n"
        "except relgraph.errors.StoreUnavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded, told = done.stdout.splitlines()
    assert "[]" == loaded
    assert "`relgraph[postgres]`" in told


# --- layout and format ------------------------------------------------------------------------------------------------


def test_opening_again(postgres: Server) -> None:
    """A store is as it was left: its id, its head and its tuples; two schemas of one database are two stores."""
    url, other = postgres.url(), postgres.url()
    with opened(url) as store, opened(other) as second:
        head, identity = write(store, create=SAMPLE), store.id
        assert second.id != identity
        assert set() == texts(second)
    with opened(url) as store:
        assert (identity, head, set(SAMPLE)) == (store.id, store.head(), texts(store))


def test_made_by_many_at_once(postgres: Server) -> None:
    """Threads that open a store which is not there yet make one, and all go on with it."""
    url = postgres.url()
    found: list[bytes] = []

    def one() -> None:
        with opened(url) as store:
            write(store, touch=SAMPLE)
            found.append(store.id)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (4, 1) == (len(found), len(set(found)))


def test_a_newer_format(postgres: Server) -> None:
    """A store of a newer format is refused, and left as it is."""
    url = postgres.url()
    with opened(url):
        pass
    ask(postgres, f"UPDATE {{s}}.meta SET format = {FORMAT + 1}", url)
    with pytest.raises(StoreFormat, match="install a newer one"), opened(url):
        pass
    assert [(FORMAT + 1,)] == ask(postgres, "SELECT format FROM {s}.meta", url)


@pytest.mark.parametrize(
    "table", ["meta(one integer)", "meta(application text, format integer)", "orders(id integer)", "names(id integer)"]
)
def test_another_programs_tables(postgres: Server, table: str) -> None:
    """A PostgreSQL schema with tables of another program is refused, and nothing is added to it."""
    url = postgres.url()
    ask(postgres, f"CREATE SCHEMA {{s}}; CREATE TABLE {{s}}.{table}", url)
    with pytest.raises(StoreFormat, match="another program"), opened(url):
        pass
    names = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema_of(url)}'"
    assert [(table.partition("(")[0],)] == ask(postgres, names)


def test_making_fails_half_way(postgres: Server) -> None:
    """What cannot be made as a whole is not made at all."""
    url = postgres.url()

    def broken(size: int) -> bytes:
        raise KeyError(size)

    with pytest.raises(KeyError):
        open_store(url, clock=FakeClock(), random=broken)
    assert [] == ask(postgres, f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema_of(url)}'")


def test_a_store_that_has_to_be_there(postgres: Server) -> None:
    """A store that is not there is an error to a command that needs it, and none is made."""
    url = postgres.url()
    with pytest.raises(StoreUnavailable, match="there is no store"):
        open_target(Target(store=url))
    with pytest.raises(StoreUnavailable, match="there is no store"):
        relgraph.verify(url)
    assert [] == ask(postgres, f"SELECT 1 FROM pg_namespace WHERE nspname = '{schema_of(url)}'")


def test_a_role_of_its_own(postgres: Server) -> None:
    """A role that owns nothing but the store's schema makes and uses the store; one without rights hears so."""
    url = postgres.url()
    role = f"role_{schema_of(url)}"
    ask(postgres, f"CREATE ROLE {role} LOGIN; CREATE SCHEMA {{s}} AUTHORIZATION {role}", url)
    with opened(url.replace("postgres:@", f"{role}@")) as store:
        write(store, create=SAMPLE)
        transaction = store.transaction()
        transaction.stage(many(*SAMPLE))
        with transaction:
            assert 0 == transaction.load("skip")
    stranger = f"stranger_{schema_of(url)}"
    ask(postgres, f"CREATE ROLE {stranger} LOGIN")
    with (
        pytest.raises(StoreUnavailable, match="grant it the rights"),
        opened(url.replace("postgres:@", f"{stranger}@")),
    ):
        pass


def test_a_database_that_cannot_hold_all_texts(postgres: Server) -> None:
    """A database without UTF-8 is refused before a store is made in it."""
    name = f"ascii_{os.getpid()}"
    ask(postgres, f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with (
        pytest.raises(StoreUnavailable, match="ENCODING 'UTF8'"),
        opened(postgres.url().replace("/postgres?", f"/{name}?")),
    ):
        pass


def test_order_is_by_bytes(postgres: Server) -> None:
    """Every text of a store compares by its bytes, whatever the language of the database."""
    ids = ["B", "a", "A", "b", "a/b", "a-b", "a_b", "Z", "z", "0", "=", "+", "|"]
    url = postgres.url()
    with opened(url) as store:
        write(store, create=[f"report:{each}#viewer@user:anna" for each in ids])
        with store.snapshot() as snapshot:
            found = [page[0].resource.id for page in pages(snapshot, ALL, 1)]
    assert sorted(ids) == found
    columns = ask(
        postgres,
        "SELECT c.collname, count(*) FROM pg_attribute AS a JOIN pg_collation AS c ON c.oid = a.attcollation"
        " JOIN pg_class AS t ON t.oid = a.attrelid"
        f" WHERE t.relkind = 'r' AND t.relnamespace = '{schema_of(url)}'::regnamespace GROUP BY 1",
    )
    assert ["C"] == [collation for collation, _ in columns]


def test_a_text_that_cannot_be_kept(store: Store) -> None:
    """A NUL character, which PostgreSQL's texts cannot hold, is refused as what it is, and nothing is written."""
    with store.transaction() as transaction:
        transaction.apply(create=many(*SAMPLE))
        with pytest.raises(InvalidInput, match="NUL"):
            transaction.seal(Commit(reason="a\0b"))
    assert set() == texts(store)


def test_what_an_administrator_sees(postgres: Server) -> None:
    """The view of living tuples shows them by name, with all that they say, and leaves out what has expired."""
    url = postgres.url()
    soon = instant_of(parse_moment("9999-12-31T23:59:59.123456Z"))
    with opened(url) as store:
        caveated = f'{SAMPLE[3]}[near:{{"site":"n\\u00f6"}}]'
        write(store, create=[until(SAMPLE[0], soon), until(SAMPLE[1], 5), SAMPLE[2], caveated])
    rows = ask(postgres, "SELECT * FROM {s}.living_tuples ORDER BY resource_type, subject_id", url)
    assert [
        ("folder", "a", "parent", "folder", "root", "", 1, "9999-12-31T23:59:59.123456Z", "", None),
        ("report", "q1", "viewer", "user", "*", "", 1, None, "near", '{"site":"n\\u00f6"}'),
        ("report", "q1", "admin", "group", "board", "member", 1, None, "", None),
    ] == rows


def test_an_older_store_is_brought_to_the_present(postgres: Server) -> None:
    """A store of the first format gets the view of the present one when it is opened, and keeps all that it holds."""
    url = postgres.url()
    with opened(url) as store:
        write(store, create=SAMPLE)
    view = next(each for each in layout._FIRST if "VIEW" in each)
    ask(postgres, "DROP VIEW {s}.living_tuples", url)
    ask(postgres, view, url)
    ask(postgres, "DROP TABLE {s}.counters", url)
    ask(postgres, "UPDATE {s}.meta SET format = 1", url)
    with opened(url) as store:
        assert set(SAMPLE) == texts(store)
    assert [(layout.FORMAT,)] == ask(postgres, "SELECT format FROM {s}.meta", url)
    assert [("",)] * 9 == ask(postgres, "SELECT caveat FROM {s}.living_tuples", url)


# --- what is left to the server ---------------------------------------------------------------------------------------


def test_nothing_stays_in_the_session(postgres: Server) -> None:
    """After any use, connections hold no lock, no temporary table, no setting, no open transaction and no listener."""
    url = postgres.url("&relgraph_pgbouncer=on")
    with opened(url) as store:
        write(store, create=SAMPLE)
        transaction = store.transaction()
        transaction.stage(many(*SAMPLE, "report:q9#viewer@user:anna"))
        with transaction:
            transaction.load("touch")
            transaction.seal(Commit())
            transaction.commit()
        texts(store)
        link = store._pool.take()
        for question in (
            "SELECT locktype FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
            "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
            "SELECT name FROM pg_prepared_statements",
            "SELECT pg_listening_channels()",
            "SELECT name FROM pg_settings WHERE source = 'session'",
        ):
            assert [] == link.connection.execute(question.encode()).fetchall(), question
        store._pool.give(link)


def test_a_commit_waits_for_the_disk(postgres: Server) -> None:
    """Where a role or a database turned `synchronous_commit` off, a write turns it on for itself."""
    url = postgres.url("&options=-c%20synchronous_commit%3Doff")
    with opened(url) as store:
        found: list[object] = []
        with store.transaction() as transaction:
            link = transaction._taken
            assert link is not None
            found.append(link.one("SELECT current_setting('synchronous_commit')"))
        with store.snapshot() as snapshot:
            found.append(snapshot._link.one("SELECT current_setting('synchronous_commit')"))
    assert [("on",), ("off",)] == found


@pytest.mark.parametrize("more", [-1, 0, 1, ROWS_AT_ONCE * 2 + 1])
def test_long_results(store: Store, more: int) -> None:
    """Results of any length are whole, and may be read side by side, on both sides of what is fetched at once."""
    wide = [f"report:q#viewer@user:u{n}" for n in range(ROWS_AT_ONCE + more)]
    write(store, create=wide)
    with store.snapshot() as snapshot:
        image = snapshot.image()
        pairs = list(zip(image.rows, image.objects, strict=False))
        assert len(wide) == len(pairs)
        resource, relation = pairs[0][0].resource, pairs[0][0].relation
        abandoned = snapshot.tuples(resource, relation, 1)
        next(abandoned)
        found = [row.subject for row in snapshot.tuples(resource, relation, 1)]
        assert (sorted(found), len(wide)) == (found, len(set(found)))


def test_commits_are_heard_of(postgres: Server) -> None:
    """A commit anywhere is heard at once, one in an application's own transaction too; an undone write is not."""
    url = postgres.url()
    with opened(url) as store, opened(f"{url}&application_name={schema_of(url)}") as other:
        assert not other.wait(other.head(), 0)
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE))
        assert not other._ear.hear(0)
        write(store, create=SAMPLE)
        assert other._ear.hear(60)
        with psycopg.connect(postgres.admin) as connection:
            with store.joining(connection) as transaction:
                transaction.apply(delete=many(*SAMPLE))
                transaction.seal(Commit())
                transaction.commit()
            assert not other._ear.hear(0)
        assert other._ear.hear(60)
        killed = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert [(True,)] == ask(postgres, f"{killed} AND application_name = '{schema_of(url)}'")
        # The end of the connection is no commit, and ends the waiting for one all the same.
        assert not other._ear.hear(60)
        assert not other.wait(other.head(), 0)
        write(store, create=SAMPLE)
        assert other._ear.hear(60)


# --- through the library ----------------------------------------------------------------------------------------------


def test_processes_follow_each_other(postgres: Server) -> None:
    """What one Authorizer writes, another over the same store answers at once, and its token is good for both."""
    url = postgres.url()
    with relgraph.open(url) as one, relgraph.open(url) as two:
        one.write_schema(SCHEMA)
        for n, (writer, reader) in enumerate([(one, two), (two, one), (one, two)]):
            written = writer.write(create=[f"doc:d{n}#viewer@user:anna"])
            assert written.revision == reader.decide("user:anna", "observe", f"doc:d{n}").revision
            at_least = relgraph.Consistency.at_least(written.token)
            assert reader.check("user:anna", "observe", f"doc:d{n}", consistency=at_least)


def test_a_follower_is_up_to_date(postgres: Server) -> None:
    """Who follows has taken in what another process wrote before anybody asks."""
    url = postgres.url()
    with relgraph.open(url) as one, relgraph.open(url) as two:
        one.write_schema(SCHEMA)
        one.write(create=["doc:one#viewer@user:anna"])
        assert two.follow(60)
        assert two.check("user:anna", "observe", "doc:one", consistency=relgraph.Consistency.minimize_latency())
        assert not two.follow(0)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE {s}.revisions SET nonce = decode('00', 'hex') WHERE number = 1", "revision 1 has no proper number"),
        ("UPDATE {s}.meta SET head = 0", "the head is revision 0 and the newest is 1"),
        ("DELETE FROM {s}.objects WHERE key = 'anna'", "names a subject that does not exist"),
        ("UPDATE {s}.tuples SET deleted = 9", "ends at no later revision"),
        ("DROP INDEX {s}.tuples_by_subject", "the index tuples_by_subject is missing"),
        ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{s}.objects_by_key'::regclass", "cannot be used"),
    ],
)
def test_damage_is_found(postgres: Server, statement: str, finding: str) -> None:
    """What an administrator's hand can break, a verification tells; a sound store has nothing to tell."""
    url = postgres.url()
    with opened(url) as store, store.transaction() as transaction:
        transaction.write_schema(ADMITTING, ["user"])
        transaction.apply(create=many(*SAMPLE))
        done(transaction)
    assert () == relgraph.verify(url).findings
    ask(postgres, statement, url)
    found = relgraph.verify(url).findings
    assert len(found) > 0
    assert finding in found[0]


def test_a_backup_is_the_databases_business(store: Store, tmp_path: Path) -> None:
    """A backup is refused with the name of the tool that makes one."""
    with pytest.raises(Unsupported, match="`pg_dump --schema="):
        store.backup(tmp_path / "copy.db")

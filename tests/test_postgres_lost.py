"""PostgreSQL goes away: connections die idle, in a read, before a commit and during one; standbys; failover."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

import relgraph
from relgraph.errors import OutcomeUnknown, RevisionUnavailable, StoreReadOnly, StoreUnavailable
from relgraph.revision import Consistency
from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.postgres.pool import LINKS_MAX
from tests.api_kit import SCHEMA
from tests.postgres_kit import Cut, waiting_for_a_lock
from tests.store_kit import NOW, SAMPLE, FakeClock, FakeRandom, done, many, texts, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.store.base import Store
    from tests.postgres_kit import Server


@pytest.fixture
def store(postgres: Server) -> Iterator[Store]:
    with postgres.store(FakeClock(), FakeRandom()) as store:
        yield store


@pytest.fixture
def cut(postgres: Server) -> Iterator[Cut]:
    made = Cut(postgres)
    yield made
    made.close()


@contextmanager
def opened(url: str, wait_ms_max: int = 5000) -> Iterator[Store]:
    store = open_store(url, clock=FakeClock(), random=os.urandom, wait_ms_max=wait_ms_max)
    try:
        yield store
    finally:
        store.close()


def kill_all(postgres: Server, name: str) -> int:
    """End all connections of that application; gives how many there were."""
    with psycopg.connect(postgres.admin, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s", (name,)
        ).fetchall()
    return len(rows)


def test_idle_connections_may_die(postgres: Server) -> None:
    """When the server ended all idle connections, the next questions and writes go on with new ones."""
    name = f"idle{os.getpid()}"
    with opened(postgres.url(f"&application_name={name}")) as store:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(store.snapshot())
        assert kill_all(postgres, name) >= 3
        write(store, create=SAMPLE)
        assert kill_all(postgres, name) >= 1
        assert set(SAMPLE) == texts(store)


def test_a_read_that_is_cut_is_an_error(postgres: Server) -> None:
    """A snapshot whose connection was ended raises, at every read; it never answers less than there is."""
    name = f"read{os.getpid()}"
    with opened(postgres.url(f"&application_name={name}")) as store:
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            kill_all(postgres, name)
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    snapshot.read(relgraph.TupleFilter(), 1, NOW, None, 10)
            with pytest.raises(StoreUnavailable):
                list(snapshot.image().rows)
        assert set(SAMPLE) == texts(store)


def test_a_long_read_that_is_cut_is_an_error(postgres: Server) -> None:
    """Rows that are read as they are asked for end in an error, not early."""
    name = f"long{os.getpid()}"
    wide = [f"report:q{n}#viewer@user:anna" for n in range(9_000)]
    with opened(postgres.url(f"&application_name={name}")) as store:
        write(store, create=wide)
        with store.snapshot() as snapshot:
            rows = snapshot.image().rows
            next(rows)
            kill_all(postgres, name)
            with pytest.raises(StoreUnavailable):
                list(rows)


def test_a_write_that_is_cut_did_not_happen(postgres: Server) -> None:
    """A connection lost in the middle of a write undoes it, and the next write takes its number."""
    name = f"cut{os.getpid()}"
    with opened(postgres.url(f"&application_name={name}")) as store:
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE))
            kill_all(postgres, name)
            with pytest.raises(StoreUnavailable) as caught:
                transaction.seal(Commit())
            assert not isinstance(caught.value, OutcomeUnknown)
        assert set() == texts(store)
        assert 1 == write(store, create=SAMPLE[:1]).number


@pytest.mark.parametrize(("when", "done_then"), [("before", False), ("after", True)])
def test_a_commit_whose_answer_is_lost(postgres: Server, cut: Cut, when: str, done_then: bool) -> None:
    """It is neither done nor undone: the error says so, and what is there afterwards is one of both, whole."""
    url = postgres.url()
    with opened(cut.url(url)) as store, opened(url) as other:
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE))
            revision = transaction.seal(Commit())
            cut.arm(when)
            with pytest.raises(OutcomeUnknown, match="same request id"):
                transaction.commit()
        assert (set(SAMPLE) if done_then else set()) == texts(other)
        assert (revision == other.head()) is done_then
        assert other.head() == store.head()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_looked_up(postgres: Server, cut: Cut, when: str) -> None:
    """Where the store can be asked again, whoever wrote is told what became of it: that it was made, or was not."""
    with relgraph.open(cut.url(postgres.url())) as authorizer:
        authorizer.write_schema(SCHEMA)
        cut.arm(when)
        if when == "before":
            with pytest.raises(StoreUnavailable, match="it was not made") as caught:
                authorizer.write(create=["doc:one#viewer@user:anna"])
            assert not isinstance(caught.value, OutcomeUnknown)
            assert () == authorizer.read().tuples
        assert 2 == authorizer.write(touch=["doc:one#viewer@user:anna"]).revision


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_found_by_its_request_id(postgres: Server, cut: Cut, when: str) -> None:
    """The same write sent again with the same request id happens once, whatever became of the first commit."""
    url = postgres.url()
    with relgraph.open(cut.url(url)) as authorizer, relgraph.open(url) as other:
        authorizer.write_schema(SCHEMA)
        cut.arm(when, for_good=True)
        with pytest.raises(OutcomeUnknown):
            authorizer.write(create=["doc:one#viewer@user:anna"], request_id="r-1")
        again = other.write(create=["doc:one#viewer@user:anna"], request_id="r-1")
        assert (2, 2) == (again.revision, other.decide("user:anna", "observe", "doc:one").revision)
        assert other.check("user:anna", "observe", "doc:one")


def test_a_failed_transaction_is_not_committed(store: Store) -> None:
    """Where the database undid a transaction by itself, its commit fails, although PostgreSQL calls that no error."""
    with store.transaction() as transaction:
        transaction.apply(create=many(*SAMPLE))
        transaction.seal(Commit())
        link = transaction._link  # type: ignore[attr-defined]  # what no caller can do: a statement that fails unseen
        with pytest.raises(psycopg.Error):
            link.connection.execute("SELECT 1/0")
        with pytest.raises(StoreUnavailable, match="undid the transaction"):
            transaction.commit()
    assert (set(), 0) == (texts(store), store.head().number)


def test_a_writer_elsewhere_is_waited_for(postgres: Server) -> None:
    """A writer of another process is waited for as long as was said, and no longer; readers are not held up."""
    url = postgres.url()
    with opened(url) as store, opened(url, wait_ms_max=50) as hasty:
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE[:1]))
            with pytest.raises(StoreUnavailable, match="locked by another writer"), hasty.transaction():
                pass
            assert set() == texts(hasty)
            done(transaction)
        assert 2 == write(hasty, create=SAMPLE[1:2]).number


def test_what_was_committed_before_the_lock_is_seen(postgres: Server) -> None:
    """A writer that waited for another judges what that one has left: nothing is created twice, no number is reused."""
    url = postgres.url()
    with opened(url) as store, opened(url) as other:
        found: list[object] = []

        def second() -> None:
            with other.transaction() as transaction:
                found.append(transaction.head.number)
                found.append(transaction.apply(touch=many(*SAMPLE[:2])))
                done(transaction)

        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE[:1]))
            thread = threading.Thread(target=second)
            thread.start()
            waiting_for_a_lock(postgres)
            done(transaction)
        thread.join(30)
        assert [1, 1] == found
        assert set(SAMPLE[:2]) == texts(store)


def test_a_standby_is_read_only(postgres: Server) -> None:
    """Where the server takes no writes, reads go on and a write says why; a store that is not there cannot be made."""
    url = postgres.url()
    with opened(url) as store:
        write(store, create=SAMPLE)
    standing = f"{url}&options=-c%20default_transaction_read_only%3Don"
    with opened(standing) as store:
        assert set(SAMPLE) == texts(store)
        with pytest.raises(StoreReadOnly, match="name the primary"), store.transaction():
            pass
        transaction = store.transaction()
        transaction.stage(many(*SAMPLE))
        with pytest.raises(StoreReadOnly), transaction:
            pass
        assert set(SAMPLE) == texts(store)
    with (
        pytest.raises(StoreReadOnly),
        opened(postgres.url("&options=-c%20default_transaction_read_only%3Don")),
    ):
        pass


def test_another_store_at_the_same_place_is_not_believed(postgres: Server) -> None:
    """When another store takes the place of the one that was opened, everything is refused until it is opened again."""
    url = postgres.url()
    schema = url.rpartition("=")[2]
    with opened(url) as store:
        write(store, create=SAMPLE)
        with psycopg.connect(postgres.admin, autocommit=True) as connection:
            connection.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{schema}_old"'.encode())
        with opened(url) as other:
            write(other, create=SAMPLE[:1])
            for refused in (store.head, store.snapshot, store.transaction().__enter__):
                with pytest.raises(StoreUnavailable, match="another store answers"):
                    refused()
            assert 2 == write(other, create=SAMPLE[1:2]).number


def test_a_new_epoch_is_not_believed(postgres: Server) -> None:
    """After a restore, which begins a new epoch, an open store refuses, and tokens of the old epoch are refused."""
    url = postgres.url()
    schema = url.rpartition("=")[2]
    with relgraph.open(url) as authorizer:
        token = authorizer.write_schema(SCHEMA).token
        with psycopg.connect(postgres.admin, autocommit=True) as connection:
            connection.execute(f'UPDATE "{schema}".meta SET epoch = 2'.encode())
        with pytest.raises(StoreUnavailable, match="restored from a backup"):
            authorizer.check("user:anna", "observe", "doc:one")
    with relgraph.open(url) as authorizer, pytest.raises(RevisionUnavailable, match="before the store was restored"):
        authorizer.check("user:anna", "observe", "doc:one", consistency=Consistency.at_least(token))


def test_a_head_that_went_back_is_noticed(postgres: Server) -> None:
    """After a failover that lost the newest revision, what was derived from it is dropped, and its token is refused."""
    url = postgres.url()
    schema = url.rpartition("=")[2]
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        lost = authorizer.write(create=["doc:one#viewer@user:anna"]).token
        assert authorizer.check("user:anna", "observe", "doc:one")
        with psycopg.connect(postgres.admin) as connection:
            for statement in (
                "DELETE FROM {s}.tuples", "DELETE FROM {s}.revisions WHERE number = 2", "UPDATE {s}.meta SET head = 1",
            ):  # fmt: skip
                connection.execute(statement.format(s=f'"{schema}"').encode())
        with relgraph.open(url) as other:
            other.write(create=["doc:two#viewer@user:anna"])
        assert not authorizer.check("user:anna", "observe", "doc:one")
        assert authorizer.check("user:anna", "observe", "doc:two")
        with pytest.raises(RevisionUnavailable):
            authorizer.check("user:anna", "observe", "doc:one", consistency=Consistency.at_least(lost))


def test_a_server_out_of_reach(postgres: Server) -> None:
    """A server that is not there is an error that says so, without the password."""
    with (
        pytest.raises(StoreUnavailable, match="cannot be reached") as caught,
        opened("postgresql://anna:sesame@127.0.0.1:1/db"),
    ):
        pass
    assert "sesame" not in str(caught.value) + str(caught.value.details)
    url = postgres.url()
    cut = Cut(postgres)
    with opened(cut.url(url), wait_ms_max=1000) as store:
        write(store, create=SAMPLE)
        cut.close()
        for refused in (store.head, store.transaction().__enter__):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                refused()


def test_more_snapshots_than_connections(postgres: Server) -> None:
    """Connections are bounded: who wants one more waits, then hears why; given back, it goes on."""
    with opened(postgres.url(), wait_ms_max=50) as store:
        with ExitStack() as stack:
            for _ in range(LINKS_MAX):
                stack.enter_context(store.snapshot())
            with pytest.raises(StoreUnavailable, match="leave snapshots sooner"):
                store.snapshot()
        assert 0 == store.head().number

"""How PostgreSQL goes about the reads of the contract, on enough rows to matter: by an index, never through a table.

The planner is left as it is. What is looked at are the statements that the store really ran, caught on their way, with
the plan for any values, which is what a prepared statement ends up with, and the plan for the values at hand.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.postgres import link as links
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter
from tests.store_kit import NOW, FakeClock, many, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.store.base import Reads, Snapshot, Store
    from tests.postgres_kit import Server

ROWS = 100_000
USERS = 5_000
ROWS_READ_MAX = 2_000
LAST = Subject("user", f"u{USERS - 1}", "")
EXAMPLE = RelationTuple(Object("report", "r7"), "viewer", Subject("user", "u31", ""))


@pytest.fixture(scope="module")
def big(postgres: Server) -> Iterator[tuple[str, Store]]:
    """A store of 10^5 tuples, of which every tenth is no longer living, and one subject that holds a tenth of them."""
    url = postgres.url()
    store = open_store(url, clock=FakeClock(), random=os.urandom)
    tuples = [
        RelationTuple(
            Object("report", f"r{n // 4}"),
            "viewer" if n % 2 else "editor",
            LAST if n % 10 == 9 else Subject("user", f"u{n % USERS}", ""),
        )
        for n in range(ROWS)
    ]
    for part in (tuples, many("group:one#member@user:u1", "report:*#editor@group:one#member")):
        transaction = store.transaction()
        transaction.stage(part)
        with transaction:
            transaction.load("skip")
            transaction.seal(Commit(request_id=f"r-{len(part)}"))
            transaction.commit()
    with store.transaction() as transaction:
        transaction.apply(delete=tuples[::10])
        transaction.seal(Commit())
        transaction.commit()
    with psycopg.connect(postgres.admin, autocommit=True) as connection:
        schema = url.rpartition("=")[2]
        for table in ("tuples", "objects", "revisions"):
            connection.execute(f'VACUUM ANALYZE "{schema}".{table}'.encode())
    yield url, store
    store.close()


class Spy:
    """Notes the statements that run through links, and how they are planned."""

    def __init__(self, admin: str) -> None:
        self._admin = admin
        self.statements: list[tuple[str, Sequence[object]]] = []

    @contextmanager
    def watching(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        execute = links.PostgresLink._execute

        def noting(link: links.PostgresLink, sql: str, values: Sequence[object]) -> Any:
            self.statements.append((links._spelled(link._place.schema, sql), values))
            return execute(link, sql, values)

        with monkeypatch.context() as patch:
            patch.setattr(links.PostgresLink, "_execute", noting)
            yield

    def scans(self) -> list[tuple[str, str]]:
        """Each statement that reads a large table through, with the table."""
        found = []
        with psycopg.connect(self._admin, **_as_stores_do()) as connection:
            for sql, values in self.statements:
                plans = [connection.execute(b"EXPLAIN (FORMAT JSON) " + sql.encode(), values or None).fetchall()]
                if values:
                    generic, count = sql, iter(range(1, sql.count("%s") + 1))
                    while "%s" in generic:
                        generic = generic.replace("%s", f"${next(count)}", 1)
                    plans.append(
                        connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {generic}".encode()).fetchall()
                    )
                found += [(sql, table) for plan in plans for table in _scanned(plan[0][0][0]["Plan"])]
        return found

    def wide(self) -> list[tuple[str, float]]:
        """Each query that reads many more rows than it was asked for, with how many."""
        found = []
        with psycopg.connect(self._admin, **_as_stores_do()) as connection:
            for sql, values in self.statements:
                plan = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + sql.encode(), values or None).fetchall()
                read = _read(plan[0][0][0]["Plan"])
                found += [(sql, read)] if read > ROWS_READ_MAX else []
        return found


def _as_stores_do() -> dict[str, Any]:
    return {"autocommit": True, "context": links._ADAPTERS, "prepare_threshold": None}


def _scanned(plan: dict[str, Any]) -> list[str]:
    """The large tables that a plan reads through."""
    here = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    below = [table for each in plan.get("Plans", ()) for table in _scanned(each)]
    return [table for table in (*here, *below) if table in {"objects", "tuples"}]


def _read(plan: dict[str, Any]) -> float:
    """How many rows a plan read from tables, when it was run."""
    here = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return (here if "Relation Name" in plan else 0) + sum(map(_read, plan.get("Plans", ())))


def keyed(ask: Callable[[Reads, tuple[int, int, int, int]], object]) -> Callable[[Snapshot], object]:
    return lambda snapshot: ask(snapshot, numbers(snapshot, str(EXAMPLE)))


def by(after: RelationTuple | None = None, **filter: str) -> Callable[[Snapshot], object]:
    return lambda snapshot: snapshot.read(TupleFilter(**filter), snapshot.head.number, NOW, after, 100)


NARROW: dict[str, Callable[[Snapshot], object]] = {
    "tuple": keyed(lambda reads, key: reads.tuple(*key, 2)),
    "tuples": keyed(lambda reads, key: list(reads.tuples(key[0], key[1], 2))),
    "usersets": keyed(lambda reads, key: list(reads.tuples(key[0], key[1], 2, usersets=True))),
    "holders": keyed(lambda reads, key: list(reads.holders(key[2], 0, 2))),
    "past holders": keyed(lambda reads, key: list(reads.holders(key[2], 0, 1))),
    "object": keyed(lambda reads, key: reads.object(key[0])),
    "request": lambda snapshot: snapshot.request("r-2"),
    "revision at": lambda snapshot: snapshot.revision_at(NOW),
    "schema": lambda snapshot: snapshot.schema(2),
    "changes": lambda snapshot: snapshot.changes(1, 10**6, 10**6),
    "all": by(),
    "all, later": by(EXAMPLE),
    "of a type": by(resource_type="report"),
    "of a type, later": by(EXAMPLE, resource_type="report"),
    "of a resource": by(resource_type="report", resource_id="r7"),
    "of a resource and relation": by(EXAMPLE, resource_type="report", resource_id="r7", relation="viewer"),
    "of a subject": by(subject_type="user", subject_id="u31"),
    "of a subject, later": by(EXAMPLE, subject_type="user", subject_id="u31"),
    "of a subject with many": by(subject_type="user", subject_id=LAST.id),
    "of a subject with many, later": by(EXAMPLE, subject_type="user", subject_id=LAST.id),
    "of a subject and a type": by(resource_type="report", subject_type="user", subject_id="u31"),
    "of an exact tuple": by(resource_type="report", resource_id="r7", subject_type="user", subject_id="u31"),
}


@pytest.mark.parametrize("question", NARROW)
def test_a_narrow_question_uses_an_index(
    big: tuple[str, Store], postgres: Server, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """No statement of a narrow question reads a large table through, nor more rows than a page needs."""
    spy = Spy(postgres.admin)
    with big[1].snapshot() as snapshot, spy.watching(monkeypatch):
        assert NARROW[question](snapshot) is not None or question == "schema"
    assert len(spy.statements) > 0
    assert [] == spy.scans()
    if question != "changes":
        assert [] == spy.wide()


def test_a_write_uses_indexes(big: tuple[str, Store], postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a write of a few tuples, new ones and old ones."""
    spy = Spy(postgres.admin)
    with spy.watching(monkeypatch), big[1].transaction() as transaction:
        new = many("report:new#viewer@user:new")
        transaction.apply(delete=[EXAMPLE], touch=[EXAMPLE, *new], create=many("report:other#viewer@user:u1"))
        transaction.seal(Commit(request_id="r-3"))
    assert len(spy.statements) > 5
    spy.statements = [(sql, values) for sql, values in spy.statements if sql != "ROLLBACK"]
    assert [] == spy.scans()


def test_a_plan_that_reads_a_table_through_is_noticed(big: tuple[str, Store], postgres: Server) -> None:
    """What counts as reading through is found where it is: in a question that has no index."""
    spy = Spy(postgres.admin)
    spy.statements = [(f'SELECT 1 FROM "{big[0].rpartition("=")[2]}".tuples WHERE caveat = %s', (7,))]
    assert ["tuples", "tuples"] == [table for _, table in spy.scans()]
    assert [ROWS + 2] == [read for _, read in spy.wide()]

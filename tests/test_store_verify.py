"""Verifying: a sound store has nothing to find, and each kind of damage is found. Half of it is contract."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.api import verify
from relgraph.errors import AlreadyExists, StoreFormat, StoreUnavailable
from relgraph.store import open_store
from relgraph.store.sqlite.library import sqlite3
from tests.store_kit import NOW, SAMPLE, FakeClock, done, loading, many, until, write

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.store.base import Store


class VerifyContract:
    """A sound store verifies. Run through `test_store_contract.py`."""

    def test_a_new_store_is_sound(self, store: Store) -> None:
        """An empty store has nothing to find."""
        found = store.verify()
        assert (0, ()) == (found.head.number, found.findings)

    def test_a_used_store_is_sound(self, store: Store, clock: FakeClock) -> None:
        """After all kinds of writes, undone ones too, nothing is found, and the counts are those of the rows."""
        with store.transaction() as transaction:
            transaction.write_schema("definition user {}", ["user", "report", "viewer"])
            done(transaction)
        write(store, create=SAMPLE)
        write(store, delete=SAMPLE[:3])
        write(store, touch=SAMPLE)
        write(store, touch=[until("report:q5#viewer@user:anna", NOW + 1)])
        clock.now += 1
        write(store, create=["report:q5#viewer@user:anna"])
        with pytest.raises(AlreadyExists):
            write(store, create=["report:q7#viewer@user:dora", *SAMPLE])
        with loading(store, many(*(f"report:x{n}#viewer@user:u{n}" for n in range(500)))) as transaction:
            transaction.load()
            done(transaction)
        found = store.verify()
        counts = {check.what: check.count for check in found.checks}
        assert (7, ()) == (found.head.number, found.findings)
        assert {"revisions": 8, "schemas": 1, "tuples": 514, "living": 510} == {
            name: counts[name] for name in ("revisions", "schemas", "tuples", "living")
        }

    def test_a_write_in_the_making_is_not_verified(self, store: Store) -> None:
        """What is not committed is not looked at, or waited for."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            transaction.apply(create=many("report:q9#viewer@user:anna"))
        assert (1, ()) == (store.verify().head.number, store.verify().findings)

    def test_a_closed_store_is_not_verified(self, store: Store) -> None:
        """A store that was closed refuses."""
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.verify()


def verified(path: Path) -> str:
    with closing(open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom)) as store:
        found = store.verify()
    assert len({check.what for check in found.checks}) == len(found.checks)
    return "\n".join(found.findings)


def damage(path: Path, *statements: str) -> None:
    """Change a file behind the store's back."""
    for statement in statements:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a closed store with a few revisions."""
    path = tmp_path / "store.db"
    clock = FakeClock()
    with closing(open_store(f"sqlite:///{path}", clock=clock, random=os.urandom)) as store:
        for touch in SAMPLE:
            clock.now += 1
            write(store, touch=[touch])
        write(store, delete=SAMPLE[:2])
    assert verified(path) == ""
    return path


LIVING = "(resource, relation, subject, subject_relation, created) IN (SELECT resource, relation, subject, \
subject_relation, created FROM tuples WHERE deleted IS NULL LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM revisions WHERE number = 5", "revision 6 stands behind a gap"),
        ("DELETE FROM revisions WHERE number = 0", "revision 0 is the oldest that is kept, and is not there"),
        ("UPDATE meta SET floor = 11", "revision 11 is the oldest that is kept, and is not there"),
        ("UPDATE revisions SET predecessor = randomblob(16) WHERE number = 5", "revision 5 is not chained to the one"),
        ("UPDATE revisions SET nonce = randomblob(16) WHERE number = 5", "revision 6 is not chained to the one before"),
        ("UPDATE revisions SET nonce = x'00' WHERE number = 10", "revision 10 has no proper number and nonce"),
        ("UPDATE revisions SET stamp = stamp - 2 WHERE number = 5", "revision 5 is stamped before the one before it"),
        ("DELETE FROM revisions WHERE number = 10", "the head is revision 10 and the newest is 9"),
        ("UPDATE meta SET head = 9", "the head is revision 9 and the newest is 10"),
        ("UPDATE meta SET store = x'00'", "the store of epoch 1 has no proper id"),
        ("INSERT INTO schemas VALUES (11, 'definition user {}')", "the schema of revision 11 belongs to no revision"),
        ("UPDATE names SET name = '' WHERE id = 1", "name 1 is empty or has no proper number"),
        ("UPDATE objects SET type = 99 WHERE id = 1", "object 1 of the type 99 lacks a type"),
        ("DELETE FROM objects WHERE key = 'anna'", "names a subject that does not exist"),
        (f"UPDATE tuples SET caveat = 99 WHERE {LIVING}", "names a caveat that does not exist"),
        (f"UPDATE tuples SET context = x'7b7d' WHERE {LIVING}", "has a context and no caveat that it would be for"),
        (f"UPDATE tuples SET caveat = 1, context = x'7b7d' WHERE {LIVING}", "has a context that is not what was writ"),
        (f"UPDATE tuples SET caveat = 1, context = x'ff' WHERE {LIVING}", "has a context that is not what was written"),
        (
            f"UPDATE tuples SET caveat = 1, context = CAST('{{\"a\": 1}}' AS BLOB) WHERE {LIVING}",
            "has a context that is not what was written",
        ),
        ("DELETE FROM objects WHERE key = 'q1'", "names a resource that does not exist"),
        ("DELETE FROM names WHERE name = 'viewer'", "names a relation that does not exist"),
        (f"UPDATE tuples SET subject_relation = 99 WHERE {LIVING}", "names a subject relation that does not exist"),
        (f"UPDATE tuples SET created = 99 WHERE {LIVING}", "created at 99 belongs to no revision"),
        (f"UPDATE tuples SET created = 0 WHERE {LIVING}", "created at 0 belongs to no revision"),
        (f"UPDATE tuples SET deleted = 99 WHERE {LIVING}", "ends at no later revision"),
        (f"UPDATE tuples SET deleted = created WHERE {LIVING}", "ends at no later revision"),
        (
            (
                "INSERT INTO tuples(resource, relation, subject, subject_relation, created)"
                " SELECT resource, relation, subject, subject_relation, 10 FROM tuples WHERE created = 5"
            ),
            "created at 5 still lives when the next of its key begins",
        ),
        ("DROP INDEX tuples_by_subject", "the index tuples_by_subject is missing"),
        ("DROP VIEW living_tuples", "the view living_tuples is missing"),
        (
            "UPDATE sqlite_schema SET sql = sql || ' LIMIT 5' WHERE name = 'living_tuples'",
            "the view living_tuples is not what it was made as",
        ),
    ],
)
def test_damage_is_found(path: Path, statement: str, finding: str) -> None:
    """Each kind of damage to the rows is found, and named."""
    damage(path, statement)
    assert finding in verified(path)


def test_an_index_that_lacks_rows(path: Path) -> None:
    """An index that does not hold what its table holds is found, by its count and by SQLite itself."""
    text = "CREATE INDEX tuples_by_creation ON tuples(created)"
    with closing(sqlite3.connect(path)) as connection:
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'tuples_by_creation'")
    damage(
        path,
        "DELETE FROM sqlite_schema WHERE name = 'tuples_by_creation'",
        f"DELETE FROM tuples WHERE {LIVING}",
        f"INSERT INTO sqlite_schema VALUES ('index', 'tuples_by_creation', 'tuples', {root}, '{text}')",
    )
    found = verified(path)
    assert "the index tuples_by_creation has 9 entries for 8 rows" in found
    assert "wrong # of entries in index tuples_by_creation" in found


def test_damaged_pages(path: Path) -> None:
    """Bytes changed anywhere in the pages of the rows are found, be it by opening or by verifying, one page a time."""
    content = path.read_bytes()
    size = 4096
    for page in range(1, len(content) // size):
        spoilt = bytearray(content)
        spoilt[page * size : page * size + 64] = os.urandom(64)
        path.write_bytes(spoilt)
        try:
            found = verified(path)
        except StoreFormat as error:
            found = error.message
        assert found, f"page {page}"


def test_many_findings_are_cut(path: Path) -> None:
    """Where very much is wrong the list ends, and says that it does."""
    with closing(open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom)) as store:
        write(store, create=[f"report:x{n}#viewer@user:anna" for n in range(50)])
    damage(path, "DELETE FROM objects WHERE key = 'anna'")
    findings = verified(path).splitlines()
    assert 20 == len(findings)
    assert "and more like it" in findings[-1]


def test_an_applications_own_tables_are_its_own(path: Path) -> None:
    """Tables and indexes that somebody added to the file are nothing to find."""
    damage(path, "CREATE TABLE theirs(a)", "CREATE INDEX theirs_by_a ON theirs(a)")
    assert "" == verified(path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE schemas SET text = 'definition user {'", "the schema of revision 1 cannot be read"),
        ("DELETE FROM schemas", "no schema that admits them"),
    ],
)
def test_rules_are_read(tmp_path: Path, damage: str, told: str) -> None:
    """A schema that cannot be read, or is missing where there are tuples, is found by verifying a store by its URL."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema("definition user {} definition doc { relation viewer: user }")
        authorizer.write(touch=["doc:one#viewer@user:anna"])
    assert ("rules", 1, ()) == astuple(verify(url).checks[-1])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(damage)
        connection.commit()
    [finding] = verify(url).findings
    assert told in finding


def test_a_lost_identity(tmp_path: Path) -> None:
    """A store whose one row about itself is gone says so when it is opened."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    relgraph.open(url).close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("DELETE FROM meta")
        connection.commit()
    with pytest.raises(StoreFormat, match="lost its identity"):
        relgraph.open(url)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tuples SET relation = 77",
        "UPDATE objects SET key = CAST(x'61e561' AS TEXT)",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = CAST(x'43e54c' AS TEXT) WHERE name = 'schemas'",
    ],
)
def test_damage_is_told_for_what_it_is(tmp_path: Path, damage: str) -> None:
    """Whoever comes upon damage hears that the store is damaged, and not of a defect of ours or the driver's."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema("definition user {} definition doc { relation viewer: user }")
        authorizer.write(touch=["doc:one#viewer@user:anna"])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.executescript(damage)
    with pytest.raises(StoreFormat, match="damaged"), relgraph.open(url) as authorizer:
        authorizer.read()


def test_a_context_that_lost_its_caveat_grants_nothing(tmp_path: Path) -> None:
    """A tuple whose caveat is gone from its row is damage, at the head and in the past, and never one that counts."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(
            "caveat small(limit int) { limit < 5 } definition user {} "
            "definition doc { relation viewer: user | user with small }"
        )
        token = authorizer.write(touch=['doc:one#viewer@user:anna[small:{"limit":9}]']).token
        authorizer.write(touch=["doc:two#viewer@user:anna"])
        assert not authorizer.check("user:anna", "viewer", "doc:one")
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.executescript("UPDATE tuples SET caveat = 0 WHERE caveat > 0")
    for when in (None, relgraph.Consistency.at_exactly(token)):
        with pytest.raises(StoreFormat, match="damaged"), relgraph.open(url) as authorizer:
            authorizer.check("user:anna", "viewer", "doc:one", consistency=when)

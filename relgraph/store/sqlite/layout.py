"""What the file holds: its tables, its format, and the way there from a new or an older file.

Rule 1: a migration is never edited once released; a change of the layout is a new one at the end of `_STEPS`.
Rule 2: sqlite-utils runs the migrations and is imported only when there are any to run, so that opening a current
file does not pay for it. The SQL is ours: `WITHOUT ROWID` and partial indexes it cannot express itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import StoreFormat, quoted
from relgraph.store.base import EMPTY, Random
from relgraph.store.sqlite.library import PATH_SHOWN_MAX

if TYPE_CHECKING:
    from relgraph.store.sqlite.library import sqlite3

__all__ = ["APPLICATION_ID", "FORMAT", "LATE_INDEXES", "is_current", "prepare"]

APPLICATION_ID = 0x72656C67
"""`relg`, in the file's header, where file(1) and SQLite find it."""

LATE_INDEXES = {
    "tuples_by_subject": "CREATE INDEX tuples_by_subject ON tuples(subject, subject_relation) WHERE deleted IS NULL",
    "tuples_by_creation": "CREATE INDEX tuples_by_creation ON tuples(created)",
}
"""The indexes that every new row enters: the way from a subject to its living rows, and the log of what was created.

A bulk load into an empty table builds them last, and like this again.
"""

_FIRST = (
    """CREATE TABLE meta(
        one INTEGER PRIMARY KEY CHECK (one = 1), store BLOB NOT NULL, epoch INTEGER NOT NULL, head INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE names(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    """CREATE TABLE objects(
        id INTEGER PRIMARY KEY, type INTEGER NOT NULL, key TEXT NOT NULL, UNIQUE (type, key)
    ) STRICT""",
    """CREATE TABLE tuples(
        resource INTEGER NOT NULL, relation INTEGER NOT NULL,
        subject INTEGER NOT NULL, subject_relation INTEGER NOT NULL,
        created INTEGER NOT NULL, deleted INTEGER,
        caveat INTEGER NOT NULL DEFAULT 0, context BLOB, expires INTEGER,
        PRIMARY KEY (resource, relation, subject, subject_relation, created)
    ) STRICT, WITHOUT ROWID""",
    *LATE_INDEXES.values(),
    # Reading an older revision by subject, and following the log, must not scan the living.
    "CREATE INDEX tuples_by_dead_subject ON tuples(subject, subject_relation, deleted) WHERE deleted IS NOT NULL",
    "CREATE INDEX tuples_by_deletion ON tuples(deleted) WHERE deleted IS NOT NULL",
    """CREATE TABLE revisions(
        number INTEGER PRIMARY KEY, nonce BLOB NOT NULL, predecessor BLOB NOT NULL, stamp INTEGER NOT NULL,
        principal TEXT NOT NULL DEFAULT '', actor TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
        request_id TEXT, payload BLOB NOT NULL DEFAULT x'', metadata TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE UNIQUE INDEX revisions_by_request_id ON revisions(request_id) WHERE request_id IS NOT NULL",
    "CREATE TABLE schemas(revision INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    """CREATE VIEW living_tuples AS
        SELECT resource_type.name AS resource_type, resource.key AS resource_id, relation.name AS relation,
            subject_type.name AS subject_type, subject.key AS subject_id,
            coalesce(subject_relation.name, '') AS subject_relation, tuples.created AS created
        FROM tuples
            JOIN objects AS resource ON resource.id = tuples.resource
            JOIN names AS resource_type ON resource_type.id = resource.type
            JOIN names AS relation ON relation.id = tuples.relation
            JOIN objects AS subject ON subject.id = tuples.subject
            JOIN names AS subject_type ON subject_type.id = subject.type
            LEFT JOIN names AS subject_relation ON subject_relation.id = tuples.subject_relation
        WHERE tuples.deleted IS NULL""",
)

_EXPIRATIONS = (
    # From a time to its revision without walking back through the log.
    "CREATE INDEX revisions_by_stamp ON revisions(stamp)",
    "DROP VIEW living_tuples",
    # What has expired is left out by a question's `now`: the clock, but never before the newest stamp. SQLite's clock
    # tells milliseconds and is rounded up: better to hide a tuple that is about to expire than to show one that has.
    """CREATE VIEW living_tuples AS
        SELECT resource_type.name AS resource_type, resource.key AS resource_id, relation.name AS relation,
            subject_type.name AS subject_type, subject.key AS subject_id,
            coalesce(subject_relation.name, '') AS subject_relation, tuples.created AS created,
            strftime('%Y-%m-%dT%H:%M:%S', (tuples.expires - (tuples.expires % 1000000 + 1000000) % 1000000) / 1000000,
                'unixepoch') || printf('.%06dZ', (tuples.expires % 1000000 + 1000000) % 1000000) AS expires_at
        FROM tuples
            JOIN objects AS resource ON resource.id = tuples.resource
            JOIN names AS resource_type ON resource_type.id = resource.type
            JOIN names AS relation ON relation.id = tuples.relation
            JOIN objects AS subject ON subject.id = tuples.subject
            JOIN names AS subject_type ON subject_type.id = subject.type
            LEFT JOIN names AS subject_relation ON subject_relation.id = tuples.subject_relation
        WHERE tuples.deleted IS NULL AND (tuples.expires IS NULL OR tuples.expires > max(
            (SELECT stamp FROM revisions WHERE number = (SELECT head FROM meta)),
            strftime('%s', 'now') * 1000000 + (substr(strftime('%f', 'now'), 4) + 1) * 1000))""",
)

_HISTORY = (
    # The oldest revision that is kept: everything before it may be gone.
    "ALTER TABLE meta ADD COLUMN floor INTEGER NOT NULL DEFAULT 0",
    # What a migration from another store has come to, while it is not finished.
    "ALTER TABLE meta ADD COLUMN migrating TEXT",
    # Until when a request id is kept for a repetition, and what that is answered with.
    "ALTER TABLE revisions ADD COLUMN not_after INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE revisions ADD COLUMN answer TEXT NOT NULL DEFAULT ''",
    "UPDATE revisions SET not_after = stamp + 86400000000 WHERE request_id IS NOT NULL",
    # To the tuples that have expired and nobody has deleted, for the collection of what is not kept.
    "CREATE INDEX tuples_by_expiration ON tuples(expires) WHERE deleted IS NULL AND expires IS NOT NULL",
)

_CAVEATS = (
    "DROP VIEW living_tuples",
    # As before, and under which caveat a tuple counts: without, one would read as if it always did.
    """CREATE VIEW living_tuples AS
        SELECT resource_type.name AS resource_type, resource.key AS resource_id, relation.name AS relation,
            subject_type.name AS subject_type, subject.key AS subject_id,
            coalesce(subject_relation.name, '') AS subject_relation, tuples.created AS created,
            strftime('%Y-%m-%dT%H:%M:%S', (tuples.expires - (tuples.expires % 1000000 + 1000000) % 1000000) / 1000000,
                'unixepoch') || printf('.%06dZ', (tuples.expires % 1000000 + 1000000) % 1000000) AS expires_at,
            coalesce(caveat.name, '') AS caveat, CAST(tuples.context AS TEXT) AS context
        FROM tuples
            JOIN objects AS resource ON resource.id = tuples.resource
            JOIN names AS resource_type ON resource_type.id = resource.type
            JOIN names AS relation ON relation.id = tuples.relation
            JOIN objects AS subject ON subject.id = tuples.subject
            JOIN names AS subject_type ON subject_type.id = subject.type
            LEFT JOIN names AS subject_relation ON subject_relation.id = tuples.subject_relation
            LEFT JOIN names AS caveat ON caveat.id = tuples.caveat
        WHERE tuples.deleted IS NULL AND (tuples.expires IS NULL OR tuples.expires > max(
            (SELECT stamp FROM revisions WHERE number = (SELECT head FROM meta)),
            strftime('%s', 'now') * 1000000 + (substr(strftime('%f', 'now'), 4) + 1) * 1000))""",
)

_COUNTERS = (
    # What is counted under which name. No revision has it: what is registered is asked at the newest alone.
    "CREATE TABLE counters(name TEXT PRIMARY KEY, filter TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

_STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("first layout", _FIRST),
    ("expirations", _EXPIRATIONS),
    ("history", _HISTORY),
    ("caveats", _CAVEATS),
    ("counters", _COUNTERS),
)

FORMAT = len(_STEPS)
"""The format that this relgraph writes: the number of migrations behind it."""


def is_current(connection: sqlite3.Connection, where: str) -> bool:
    """Whether the file is a store of the present format; False for an empty or an older one.

    Raises StoreFormat for a newer one and for the file of another program.
    """
    shown = quoted(where, PATH_SHOWN_MAX)
    application, version, cookie = (
        int(connection.execute(f"PRAGMA {name}").fetchall()[0][0])
        for name in ("application_id", "user_version", "schema_version")
    )
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise StoreFormat(
                f"the store {shown} has format {version} and this relgraph knows {FORMAT}; install a newer one",
                {"store": where, "format": str(version), "format_max": str(FORMAT)},
            )
        return version == FORMAT
    if application or version or cookie:
        raise StoreFormat(
            f"the file {shown} is a database of another program, not a relgraph store; name another file",
            {"store": where},
        )
    return False


def prepare(connection: sqlite3.Connection, where: str, random: Random) -> None:
    """Bring an empty or older file to the present format, wholly or not at all.

    The look at the format is repeated under the write lock, because another process may have been faster.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_current(connection, where):
            _migrate(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            if not connection.execute("SELECT 1 FROM meta").fetchall():
                _found(connection, random)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that the file lacks."""
    from sqlite_utils import Database, Migrations  # noqa: PLC0415 - rule 2

    migrations = Migrations("relgraph")
    for name, statements in _STEPS:

        def step(db: Database, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                db.conn.execute(statement)

        migrations(name=name)(step)
    # Plugins and pragmas of an administrator's sqlite-utils have no business in our connection.
    migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))


def _found(connection: sqlite3.Connection, random: Random) -> None:
    """Give a new store its identity and its revision 0."""
    connection.execute("INSERT INTO meta(one, store, epoch, head) VALUES (1, ?, 1, ?)", (random(16), EMPTY.number))
    connection.execute(
        "INSERT INTO revisions(number, nonce, predecessor, stamp) VALUES (?, ?, ?, ?)",
        (EMPTY.number, EMPTY.nonce, EMPTY.nonce, EMPTY.stamp),
    )

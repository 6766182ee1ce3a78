"""What the PostgreSQL schema of a store holds: its tables, its format, and the way there from nothing or an older one.

Rule 1: a migration is never edited once released; a change of the layout is a new one at the end of `_STEPS`.
Rule 2: every name in a statement is qualified by the store's schema, written `{s}` here: a `search_path` is a state of
the session, and sessions are shared.

Texts sort and compare by their bytes (`COLLATE "C"`), whatever the database's locale; numbers are the same as in every
other store, and no sequence gives any.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relgraph.errors import StoreFormat, StoreUnavailable, quoted
from relgraph.store.base import EMPTY
from relgraph.store.postgres.faults import named

if TYPE_CHECKING:
    from relgraph.store.base import Random
    from relgraph.store.postgres.link import PostgresLink
    from relgraph.store.postgres.urls import Place

__all__ = ["APPLICATION", "FORMAT", "VERSION_MIN", "add_indexes", "index_findings", "is_current", "prepare", "require"]

APPLICATION: Final = "relgraph"
"""The mark in `meta` by which a store is told from another program's tables."""

VERSION_MIN: Final = 130000
"""PostgreSQL 13, as the server counts: the first with B-trees that hold equal keys once."""

# The indexes of the two large tables. The first write makes them, behind its rows where these are many: that takes less
# than half the time, and unlike dropping them for a while it holds up no reader. The first of each is the primary key.
_INDEXES: Final = (
    "CREATE UNIQUE INDEX IF NOT EXISTS objects_by_id ON objects(id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS objects_by_key ON objects(type, key)",
    """CREATE UNIQUE INDEX IF NOT EXISTS tuples_by_resource
        ON tuples(resource, relation, subject, subject_relation, created)""",
    # To the end of the key: a page of what a subject with very many tuples holds is read in this order.
    """CREATE INDEX IF NOT EXISTS tuples_by_subject ON tuples(subject, subject_relation, resource, relation)
        WHERE deleted IS NULL""",
    "CREATE INDEX IF NOT EXISTS tuples_by_creation ON tuples(created)",
    # Reading an older revision by subject, and following the log, must not scan the living.
    """CREATE INDEX IF NOT EXISTS tuples_by_dead_subject
        ON tuples(subject, subject_relation, resource, relation, deleted) WHERE deleted IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS tuples_by_deletion ON tuples(deleted) WHERE deleted IS NOT NULL",
    # To the tuples that have expired and nobody has deleted, for the collection of what is not kept.
    """CREATE INDEX IF NOT EXISTS tuples_by_expiration ON tuples(expires)
        WHERE deleted IS NULL AND expires IS NOT NULL""",
    "UPDATE meta SET indexed = true",
)
_FIRST: Final = (
    # Each write updates the one row: room in its page keeps that off the index.
    """CREATE TABLE {s}.meta(
        one integer PRIMARY KEY CHECK (one = 1), application text COLLATE "C" NOT NULL, format integer NOT NULL,
        store bytea NOT NULL, epoch bigint NOT NULL, head bigint NOT NULL, floor bigint NOT NULL DEFAULT 0,
        migrating text COLLATE "C", indexed boolean NOT NULL DEFAULT false
    ) WITH (fillfactor = 10)""",
    'CREATE TABLE {s}.names(id integer PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE)',
    'CREATE TABLE {s}.objects(id bigint NOT NULL, type integer NOT NULL, key text COLLATE "C" NOT NULL)',
    """CREATE TABLE {s}.tuples(
        resource bigint NOT NULL, subject bigint NOT NULL, created bigint NOT NULL, deleted bigint, expires bigint,
        relation integer NOT NULL, subject_relation integer NOT NULL, caveat integer NOT NULL DEFAULT 0, context bytea
    )""",
    """CREATE TABLE {s}.revisions(
        number bigint PRIMARY KEY, nonce bytea NOT NULL, predecessor bytea NOT NULL, stamp bigint NOT NULL,
        principal text COLLATE "C" NOT NULL DEFAULT '', actor text COLLATE "C" NOT NULL DEFAULT '',
        reason text COLLATE "C" NOT NULL DEFAULT '', request_id text COLLATE "C",
        payload bytea NOT NULL DEFAULT '', metadata text COLLATE "C" NOT NULL DEFAULT '',
        not_after bigint NOT NULL DEFAULT 0, answer text COLLATE "C" NOT NULL DEFAULT ''
    )""",
    "CREATE UNIQUE INDEX revisions_by_request_id ON {s}.revisions(request_id) WHERE request_id IS NOT NULL",
    "CREATE INDEX revisions_by_stamp ON {s}.revisions(stamp)",
    'CREATE TABLE {s}.schemas(revision bigint PRIMARY KEY, text text COLLATE "C" NOT NULL)',
    # What has expired is left out by a question's `now`: the clock, but never before the newest stamp.
    """CREATE VIEW {s}.living_tuples AS
        SELECT resource_type.name AS resource_type, resource.key AS resource_id, relation.name AS relation,
            subject_type.name AS subject_type, subject.key AS subject_id,
            coalesce(subject_relation.name, '') AS subject_relation, tuples.created AS created,
            to_char(timestamp '1970-01-01' + tuples.expires * interval '1 microsecond',
                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS expires_at
        FROM {s}.tuples
            JOIN {s}.objects AS resource ON resource.id = tuples.resource
            JOIN {s}.names AS resource_type ON resource_type.id = resource.type
            JOIN {s}.names AS relation ON relation.id = tuples.relation
            JOIN {s}.objects AS subject ON subject.id = tuples.subject
            JOIN {s}.names AS subject_type ON subject_type.id = subject.type
            LEFT JOIN {s}.names AS subject_relation ON subject_relation.id = tuples.subject_relation
        WHERE tuples.deleted IS NULL AND (tuples.expires IS NULL OR tuples.expires > greatest(
            (SELECT stamp FROM {s}.revisions WHERE number = (SELECT head FROM {s}.meta)),
            ceil(extract(epoch FROM clock_timestamp()) * 1000000)::bigint))""",
)

_CAVEATS: Final = (
    # As before, and under which caveat a tuple counts: without, one would read as if it always did.
    """CREATE OR REPLACE VIEW {s}.living_tuples AS
        SELECT resource_type.name AS resource_type, resource.key AS resource_id, relation.name AS relation,
            subject_type.name AS subject_type, subject.key AS subject_id,
            coalesce(subject_relation.name, '') AS subject_relation, tuples.created AS created,
            to_char(timestamp '1970-01-01' + tuples.expires * interval '1 microsecond',
                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS expires_at,
            coalesce(caveat.name, '') AS caveat, convert_from(tuples.context, 'UTF8') AS context
        FROM {s}.tuples
            JOIN {s}.objects AS resource ON resource.id = tuples.resource
            JOIN {s}.names AS resource_type ON resource_type.id = resource.type
            JOIN {s}.names AS relation ON relation.id = tuples.relation
            JOIN {s}.objects AS subject ON subject.id = tuples.subject
            JOIN {s}.names AS subject_type ON subject_type.id = subject.type
            LEFT JOIN {s}.names AS subject_relation ON subject_relation.id = tuples.subject_relation
            LEFT JOIN {s}.names AS caveat ON caveat.id = tuples.caveat
        WHERE tuples.deleted IS NULL AND (tuples.expires IS NULL OR tuples.expires > greatest(
            (SELECT stamp FROM {s}.revisions WHERE number = (SELECT head FROM {s}.meta)),
            ceil(extract(epoch FROM clock_timestamp()) * 1000000)::bigint))""",
)

_COUNTERS: Final = (
    # What is counted under which name. No revision has it: what is registered is asked at the newest alone.
    'CREATE TABLE {s}.counters(name text COLLATE "C" PRIMARY KEY, filter text COLLATE "C" NOT NULL)',
)

_STEPS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _CAVEATS, _COUNTERS)

FORMAT: Final = len(_STEPS)
"""The format that this relgraph writes: the number of migrations behind it."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext(?), hashtext(?))"
# How many tables the PostgreSQL schema has, and how many of its `meta` columns are ours; nothing where it is missing.
_LOOK: Final = (
    "SELECT (SELECT count(*) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = n.oid AND c.relkind <> 'i'),"
    " (SELECT count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = n.oid AND c.relname = 'meta' AND a.attname IN ('application', 'format'))"
    " FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ?"
)
_USABLE: Final = (
    "SELECT c.relname, i.indisvalid AND i.indisready FROM pg_catalog.pg_index AS i"
    " JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = ?"
)


def is_current(link: PostgresLink, place: Place) -> bool:
    """Whether the schema is a store of the present format; False when it holds nothing yet, or an older one.

    Raises StoreFormat for a newer one and for the tables of another program.
    """
    return _format(link, place.schema) == FORMAT


def require(link: PostgresLink, place: Place) -> None:
    """Raise StoreUnavailable where there is nothing in the schema; StoreFormat as `is_current` does."""
    if _format(link, place.schema) is None:
        raise StoreUnavailable(
            f"there is no store at {named(place.where)}: its PostgreSQL schema {quoted(place.schema)} is missing or "
            "empty; correct the URL, or make the store with `relgraph schema write`",
            {"store": place.where, "relgraph_schema": place.schema},
        )


def index_findings(link: PostgresLink, schema: str) -> tuple[int, list[str]]:
    """How many indexes the store has, and which of its own are missing or cannot be used."""
    usable: dict[str, bool] = dict(link.all(_USABLE, (schema,)))
    row = link.one("SELECT indexed FROM meta")
    wanted = re.findall(r"INDEX (?:IF NOT EXISTS )?(\w+)", " ".join((*_FIRST, *(_INDEXES if row and row[0] else ()))))
    return len(usable), [
        f"the index {name} {'cannot be used; rebuild it' if name in usable else 'is missing'}"
        for name in wanted
        if not usable.get(name)
    ]


def prepare(link: PostgresLink, place: Place, random: Random, wait_ms_max: int) -> None:
    """Bring the schema to the present format, wholly or not at all.

    The look at the format is repeated under a lock, because another process may have been faster.
    """
    _check_server(link)
    schema = place.schema
    link.script("BEGIN ISOLATION LEVEL READ COMMITTED")
    try:
        link.run(f"SET LOCAL lock_timeout = {wait_ms_max}")
        # Released by the end of the transaction: nothing stays in the session.
        link.one(_LOCK, (APPLICATION, schema))
        found = _format(link, schema)
        if found != FORMAT:
            # Asked for only where it is missing: a role that may not make schemas can still be given one.
            statements = [] if link.one(_LOOK, (schema,)) else [f'CREATE SCHEMA "{schema}"']
            statements += [each.replace("{s}", f'"{schema}"') for step in _STEPS[found or 0 :] for each in step]
            link.script("; ".join(statements))
            if found is None:
                _found(link, random)
            link.run("UPDATE meta SET format = ?", (FORMAT,))
        link.run("COMMIT")
    except BaseException:
        if link.in_transaction:
            link.run("ROLLBACK")
        raise


def add_indexes(link: PostgresLink) -> None:
    """Make the indexes of a store that was never written to, within its first write."""
    link.script("; ".join(_INDEXES))


def _format(link: PostgresLink, schema: str) -> int | None:
    """Return the format of the store in the schema, None where there is nothing yet."""
    tables, columns = link.one(_LOOK, (schema,)) or (0, 0)
    if not tables:
        return None
    row = link.one("SELECT application, format FROM meta") if columns == 2 else None
    if row is None or row[0] != APPLICATION:
        raise StoreFormat(
            f"the PostgreSQL schema {quoted(schema)} of {named(link.where)} holds tables of another program; "
            "name another with `relgraph_schema`",
            {"store": link.where, "relgraph_schema": schema},
        )
    if row[1] > FORMAT:
        raise StoreFormat(
            f"the store {named(link.where)} has format {row[1]} and this relgraph knows {FORMAT}; install a newer one",
            {"store": link.where, "format": str(row[1]), "format_max": str(FORMAT)},
        )
    return int(row[1])


def _check_server(link: PostgresLink) -> None:
    """Raise StoreUnavailable where a store cannot be made: an old server, or a database that cannot hold all texts."""
    row = link.one(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),"
        " current_setting('server_encoding')"
    )
    assert row is not None  # a query without a table has one row
    version, shown, encoding = row
    if version < VERSION_MIN:
        raise StoreUnavailable(
            f"a store needs PostgreSQL {VERSION_MIN // 10000} or newer and {named(link.where)} is {quoted(shown)}; "
            "name another server",
            {"version": str(shown)},
        )
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"the database of {named(link.where)} has the encoding {quoted(encoding)}, which cannot hold every text; "
            "create one with `ENCODING 'UTF8'`",
            {"encoding": str(encoding)},
        )


def _found(link: PostgresLink, random: Random) -> None:
    """Give a new store its identity and its revision 0."""
    link.run(
        "INSERT INTO meta(one, application, format, store, epoch, head) VALUES (1, ?, ?, ?, 1, ?)",
        (APPLICATION, FORMAT, random(16), EMPTY.number),
    )
    link.run(
        "INSERT INTO revisions(number, nonce, predecessor, stamp) VALUES (?, ?, ?, ?)",
        (EMPTY.number, EMPTY.nonce, EMPTY.nonce, EMPTY.stamp),
    )

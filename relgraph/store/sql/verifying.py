"""Verifying a store: whether its rows are what writing them by the rules would have left.

Every query here says what must not be there and names it for people. A backend adds what only it can see: the soundness
of its pages and indexes.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from relgraph.contexts import Context
from relgraph.errors import InvalidContext, StoreFormat, quoted
from relgraph.revision import Revision
from relgraph.store.base import EMPTY, NO_CAVEAT
from relgraph.store.upkeep import FINDINGS_MAX, Checked, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from relgraph.store.sql.link import Link, Row

__all__ = ["told", "verify"]


_NEWEST = "SELECT number, nonce, stamp FROM revisions ORDER BY number DESC LIMIT 1"
_HEAD = "SELECT head FROM meta"
_FLOOR = "SELECT floor FROM meta"
_LAST = "SELECT max(number) FROM revisions"
_ROW = ("resource", "relation", "subject", "subject_relation", "created")

_COUNTS: Final[Mapping[str, str]] = {
    "revisions": "SELECT count(*) FROM revisions",
    "stores": "SELECT count(*) FROM meta",
    "schemas": "SELECT count(*) FROM schemas",
    "names": "SELECT count(*) FROM names",
    "objects": "SELECT count(*) FROM objects",
    "tuples": "SELECT count(*) FROM tuples",
    "living": "SELECT count(*) FROM tuples WHERE deleted IS NULL",
}
_BEFORE = "JOIN revisions AS p ON p.number = r.number - 1"
_KEY_IN_WORDS = "the row {} {} {} {} created at {}"

_CONTEXTS: Final = f"SELECT {', '.join(_ROW)}, context FROM tuples WHERE context IS NOT NULL"


def _dangling(column: str, table: str, condition: str = "") -> str:
    """Ask for the rows that name something that is not there."""
    row = ", ".join(f"t.{name}" for name in _ROW)
    return f"SELECT {row} FROM tuples AS t LEFT JOIN {table} AS n ON n.id = t.{column} WHERE n.id IS NULL{condition}"


# Of what, in which words, and the query whose every row is a finding.
_QUESTIONS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "revisions",
        "revision {} has no proper number and nonce",
        "SELECT number FROM revisions WHERE number < 0 OR length(nonce) <> 16",
    ),
    (
        "revisions",
        "revision {} stands behind a gap",
        f"SELECT r.number FROM revisions AS r LEFT {_BEFORE} WHERE p.number IS NULL AND r.number > ({_FLOOR})",
    ),
    (
        "revisions",
        "revision {} is the oldest that is kept, and is not there",
        "SELECT m.floor FROM meta AS m LEFT JOIN revisions AS r ON r.number = m.floor WHERE r.number IS NULL",
    ),
    (
        "revisions",
        "revision {} is not chained to the one before it",
        f"SELECT r.number FROM revisions AS r {_BEFORE} WHERE r.predecessor <> p.nonce",
    ),
    (
        "revisions",
        "revision {} is stamped before the one before it",
        f"SELECT r.number FROM revisions AS r {_BEFORE} WHERE r.stamp < p.stamp",
    ),
    (
        "revisions",
        "the request id {} has more than one revision",
        "SELECT request_id FROM revisions WHERE request_id IS NOT NULL GROUP BY request_id HAVING count(*) > 1",
    ),
    (
        "stores",
        "the head is revision {} and the newest is {}",
        f"SELECT head, ({_LAST}) FROM meta WHERE migrating IS NULL AND head <> ({_LAST})",
    ),
    (
        "stores",
        "a migration to this store was not finished; run `relgraph migrate` once more with the same two stores",
        "SELECT migrating FROM meta WHERE migrating IS NOT NULL",
    ),
    (
        "stores",
        "the store of epoch {} has no proper id",
        "SELECT epoch FROM meta WHERE epoch < 1 OR length(store) <> 16",
    ),
    (
        "schemas",
        "the schema of revision {} belongs to no revision",
        f"SELECT revision FROM schemas WHERE revision < 1 OR revision > ({_HEAD})",
    ),
    ("names", "name {} is empty or has no proper number", "SELECT id FROM names WHERE id < 1 OR name = ''"),
    (
        "objects",
        "object {} of the type {} lacks a type, a key or a proper number",
        (
            "SELECT o.id, o.type FROM objects AS o LEFT JOIN names AS n ON n.id = o.type"
            " WHERE n.id IS NULL OR o.id < 1 OR o.key = ''"
        ),
    ),
    ("tuples", f"{_KEY_IN_WORDS} names a resource that does not exist", _dangling("resource", "objects")),
    ("tuples", f"{_KEY_IN_WORDS} names a relation that does not exist", _dangling("relation", "names")),
    ("tuples", f"{_KEY_IN_WORDS} names a subject that does not exist", _dangling("subject", "objects")),
    (
        "tuples",
        f"{_KEY_IN_WORDS} names a subject relation that does not exist",
        _dangling("subject_relation", "names", " AND t.subject_relation <> 0"),
    ),
    (
        "tuples",
        f"{_KEY_IN_WORDS} names a caveat that does not exist",
        _dangling("caveat", "names", f" AND t.caveat <> {NO_CAVEAT}"),
    ),
    (
        "tuples",
        f"{_KEY_IN_WORDS} has a context and no caveat that it would be for",
        f"SELECT {', '.join(_ROW)} FROM tuples WHERE context IS NOT NULL AND caveat = {NO_CAVEAT}",
    ),
    (
        "tuples",
        f"{_KEY_IN_WORDS} belongs to no revision",
        f"SELECT {', '.join(_ROW)} FROM tuples WHERE created < 1 OR created > ({_HEAD})",
    ),
    (
        "tuples",
        f"{_KEY_IN_WORDS} ends at no later revision",
        f"SELECT {', '.join(_ROW)} FROM tuples WHERE deleted <= created OR deleted > ({_HEAD})",
    ),
    (
        "tuples",
        f"{_KEY_IN_WORDS} still lives when the next of its key begins",
        (
            f"SELECT {', '.join(_ROW)} FROM (SELECT {', '.join(_ROW)}, deleted, lead(created) OVER (PARTITION BY"
            " resource, relation, subject, subject_relation ORDER BY created) AS follower FROM tuples) AS versions"
            " WHERE follower IS NOT NULL AND (deleted IS NULL OR deleted > follower)"
        ),
    ),
)


def verify(link: Link, more: Callable[[Link], Iterable[Checked]], begin: str = "BEGIN") -> Verification:
    """Check all that a link sees in one transaction, which begins and ends here; `more` is the backend's own part."""
    link.run(begin)
    try:
        row = link.one(_NEWEST)
        checks = [_checked(link, what) for what in _COUNTS]
        return Verification(Revision(*row) if row else EMPTY, (*checks, *more(link)))
    finally:
        link.run("ROLLBACK")


def told(rows: Sequence[Row], text: str) -> tuple[str, ...]:
    """Return findings for people, one a row; where they are too many the last one says so."""
    shown = [text.format(*(quoted(each) if isinstance(each, str) else each for each in row)) for row in rows]
    return (
        tuple(shown) if len(shown) <= FINDINGS_MAX else (*shown[: FINDINGS_MAX - 1], f"{shown[-1]}, and more like it")
    )


def _checked(link: Link, what: str) -> Checked:
    number, findings = 0, list[str]()
    try:
        [(number,)] = link.all(_COUNTS[what])
        for asked, text, query in _QUESTIONS:
            if asked == what:
                findings += told(link.all(f"{query} LIMIT {FINDINGS_MAX + 1}"), text)
        if what == "tuples":
            findings += told(_altered(link), f"{_KEY_IN_WORDS} has a context that is not what was written")
    except StoreFormat as error:
        findings.append(error.message)
    return Checked(what, number, tuple(findings))


def _altered(link: Link) -> list[Row]:
    """The rows whose context is not the one text of what it says: at most as many as are told, and one."""
    altered = (row[: len(_ROW)] for row in link.iterate(_CONTEXTS) if not _canonical(row[-1]))
    return list(islice(altered, FINDINGS_MAX + 1))


# Very many rows carry one of few contexts.
@lru_cache(maxsize=1024)
def _canonical(data: bytes) -> bool:
    try:
        return Context.parse(data.decode("ascii")).as_stored == data
    except (UnicodeDecodeError, InvalidContext):
        return False

"""One write: rows, schema and revision in one SQLite transaction.

Rule 1: rows of a write carry its number as `created` or `deleted`, and its number is head + 1, which the write lock
keeps true until the end.
Rule 2: what fails, undoes everything at once: a transaction that raised can only be left.
Rule 3: a key has at most one row that is not deleted. Once that has expired by this write's stamp it stands for
nothing: whoever writes its key ends it first, and nobody else touches it.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from relgraph.errors import AlreadyExists, RequestIdReused, StoreUnavailable, quoted
from relgraph.instants import moment
from relgraph.revision import Revision
from relgraph.store.base import Clock, Commit, Kind, OnDuplicate, Random
from relgraph.store.sqlite.interning import Interner, Numbers
from relgraph.store.sqlite.layout import LATE_INDEXES
from relgraph.store.sqlite.link import ClosedLink, Link
from relgraph.store.sqlite.reading import Pin, Reader, committed_head
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["SQLiteTransaction", "WriterLock"]

LATE_ROWS_MIN: Final = 20_000
"""From this many rows on, a load into an empty table builds indexes afterwards, which is faster."""

_KEY = "resource = ? AND relation = ? AND subject = ? AND subject_relation = ?"
_STANDING = f"SELECT created, expires FROM tuples WHERE {_KEY} AND deleted IS NULL"
_ADD = "INSERT INTO tuples(resource, relation, subject, subject_relation, created, expires) VALUES (?, ?, ?, ?, ?, ?)"
_END = f"UPDATE tuples SET deleted = ? WHERE {_KEY} AND created = ?"
_FORGET = f"DELETE FROM tuples WHERE {_KEY} AND created = ?"
_ANY = "SELECT 1 FROM tuples LIMIT 1"
_SCHEMA = "INSERT OR REPLACE INTO schemas(revision, text) VALUES (?, ?)"
_ADVANCE = "UPDATE meta SET head = ?"
_REVISION = (
    "INSERT INTO revisions(number, nonce, predecessor, stamp, principal, actor, reason, request_id, payload, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# min() makes SQLite take the bare columns from the row that holds the minimum: a whole tuple for an example.
_KINDS = (
    "SELECT r.type, t.relation, s.type, t.subject_relation, s.key = '*', r.key = '*', t.expires IS NOT NULL, count(*),"
    " min(t.resource), r.key, s.key, t.expires"
    " FROM tuples AS t CROSS JOIN objects AS r ON r.id = t.resource CROSS JOIN objects AS s ON s.id = t.subject"
    " WHERE t.deleted IS NULL AND (t.expires IS NULL OR t.expires > ?) GROUP BY 1, 2, 3, 4, 5, 6, 7"
)


class WriterLock:
    """Lets one writer of this process in at a time; between processes SQLite's own lock does the same."""

    def __init__(self, where: str, wait_ms_max: int) -> None:
        self._lock = Lock()
        self._where = where
        self._wait_ms_max = wait_ms_max

    def enter(self) -> None:
        """Wait for the lock. Raises StoreUnavailable after `wait_ms_max` milliseconds."""
        if not self._lock.acquire(timeout=self._wait_ms_max / 1000):
            raise StoreUnavailable(
                f"another write to {quoted(self._where)} took more than {self._wait_ms_max} ms; try again",
                {"store": self._where},
            )

    def leave(self) -> None:
        """Let the next writer in."""
        self._lock.release()


class SQLiteTransaction(Reader):
    """A write in the making; see `relgraph.store.base.Transaction`.

    `lock` lets one writer of this process in at a time, `standing` raises when the store is no longer where it was
    opened, `committed` is told of the new revision right after the commit.
    """

    def __init__(
        self,
        link: Link,
        lock: WriterLock,
        clock: Clock,
        random: Random,
        standing: Callable[[], None],
        committed: Callable[[Revision], None],
    ) -> None:
        super().__init__(ClosedLink("transaction", link.where), Pin(Revision(0, b"", 0)), 0)
        self._writer = link
        self._lock = lock
        self._clock = clock
        self._random = random
        self._standing = standing
        self._committed = committed
        self._changes = 0
        self._stamp = 0

    @property
    def number(self) -> int:
        """The revision number that `commit` will take."""
        return self._seen

    @property
    def stamp(self) -> int:
        """This write's instant in microseconds."""
        return self._stamp

    @property
    def changed(self) -> bool:
        """Whether anything was changed so far."""
        return self._changes > 0

    def __enter__(self) -> Self:
        self._lock.enter()
        try:
            self._standing()
            self._link = self._writer
            self._link.run("BEGIN IMMEDIATE")
            head = committed_head(self._link)
            self._stamp = max(head.stamp, self._clock())
        except BaseException:
            self._undo()
            self._lock.leave()
            raise
        self._pin, self._seen = Pin(head), head.number + 1
        self._names = {}
        self._changes = 0
        self._interner = Interner(self._link)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            self._undo()
        finally:
            self._lock.leave()

    def apply(
        self,
        *,
        delete: Sequence[RelationTuple] = (),
        touch: Sequence[RelationTuple] = (),
        create: Sequence[RelationTuple] = (),
    ) -> int:
        """Delete, then touch, then create, each in the order of the tuples' keys. Returns how many changed."""
        with self._all_or_nothing():
            changes = sum(self._delete(tuple_) for tuple_ in sorted(delete, key=_order))
            for tuple_ in sorted(touch, key=_order):
                changes += self._put(self._interner.key(tuple_), tuple_.expires, "touch")
            for tuple_ in sorted(create, key=_order):
                changes += self._put(self._interner.key(tuple_), tuple_.expires, "error")
        self._changes += changes
        return changes

    def load(self, tuples: Iterable[RelationTuple], on_duplicate: OnDuplicate = "error") -> int:
        """Create many tuples the fast way. Returns how many changed."""
        with self._all_or_nothing():
            wanted = self._distinct(*self._interner.keys(tuples), on_duplicate)
            # Sorted by primary key, rows fill page after page; at random each costs a page of the log.
            keys = sorted(wanted)
            if self._link.one(_ANY) is None:
                self._fill(keys, wanted)
                changes = len(keys)
            else:
                changes = sum(self._put(key, wanted[key], on_duplicate) for key in keys)
        self._changes += changes
        return changes

    def write_schema(self, text: str, names: Iterable[str]) -> None:
        """Make `text` the schema from this revision on and intern all its `names`."""
        with self._all_or_nothing():
            for name in names:
                self._interner.name(name)
            current = self.schema(self.number)
            if current is None or current.text != text:
                self._link.run(_SCHEMA, (self.number, text))
                self._changes += 1

    def kinds(self) -> Iterator[Kind]:
        """The kinds of all living tuples, this write's own included."""
        for row in self._link.iterate(_KINDS, (self._stamp,)):
            resource_type, relation, subject_type = self.name(row[0]), self.name(row[1]), self.name(row[2])
            subject_relation = self.name(row[3]) if row[3] else ""
            yield Kind(
                resource_type,
                relation,
                subject_type,
                subject_relation,
                wildcard=bool(row[4]),
                universal=bool(row[5]),
                expiration=bool(row[6]),
                living=row[7],
                example=RelationTuple(
                    Object(resource_type, row[9]),
                    relation,
                    Subject(subject_type, row[10], subject_relation),
                    None if row[11] is None else moment(row[11]),
                ),
            )

    def commit(self, commit: Commit) -> Revision:
        """Make it durable as the next revision, and return that."""
        with self._all_or_nothing():
            if commit.request_id and self.request(commit.request_id) is not None:
                raise RequestIdReused(
                    f"the request id {quoted(commit.request_id)} is on record already; send a new one with a new write",
                    {"request_id": commit.request_id},
                )
            revision = Revision(self.number, self._random(len(self.head.nonce)), self.stamp)
            self._link.stop()
            self._link.run(_ADVANCE, (revision.number,))
            self._link.run(
                _REVISION,
                (
                    revision.number, revision.nonce, self.head.nonce, revision.stamp,
                    commit.principal, commit.actor, commit.reason,
                    commit.request_id or None, commit.payload, commit.metadata,
                ),
            )  # fmt: skip
            # INVARIANT: never acknowledge what was written to a file that has no name any more.
            self._standing()
            self._link.run("COMMIT")
        self._committed(revision)
        self._link = ClosedLink("transaction", self._writer.where)
        return revision

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Undo the whole transaction when the block raises."""
        try:
            yield
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        link, self._link = self._link, ClosedLink("transaction", self._writer.where)
        link.stop()
        # A commit that failed may have rolled back by itself.
        if link.in_transaction:
            link.run("ROLLBACK")

    def _delete(self, tuple_: RelationTuple) -> bool:
        key = self._interner.known_key(tuple_)
        row = None if key is None else self._link.one(_STANDING, key)
        if key is None or row is None or self._expired(row[1]):
            return False
        self._end(key, row[0])
        return True

    def _put(self, key: Numbers, expires: int | None, on_duplicate: OnDuplicate) -> bool:
        """Make a tuple stand; say whether that changed anything. AlreadyExists with "error" where one is living."""
        row = self._link.one(_STANDING, key)
        if row is not None:
            living = not self._expired(row[1])
            if living and on_duplicate == "error":
                raise _exists(self._spelled(key, expires))
            if on_duplicate != "error" and (row[1] == expires or (living and on_duplicate == "skip")):
                return False
            self._end(key, row[0])
        self._link.run(_ADD, (*key, self.number, expires))
        return True

    def _expired(self, expires: int | None) -> bool:
        return expires is not None and expires <= self._stamp

    def _end(self, key: Numbers, created: int) -> None:
        """End a row, which was created at that revision."""
        if created == self.number:
            # Made by this very write: a row that never lived at any revision must not be kept.
            self._link.run(_FORGET, (*key, created))
        else:
            self._link.run(_END, (self.number, *key, created))

    def _fill(self, keys: Sequence[Numbers], expirations: Mapping[Numbers, int | None]) -> None:
        """Add rows to the empty table."""
        late = LATE_INDEXES if len(keys) >= LATE_ROWS_MIN else {}
        for name in late:
            self._link.run(f"DROP INDEX {name}")
        number = self.number
        self._link.run_many(_ADD, ((*key, number, expirations[key]) for key in keys))
        for statement in late.values():
            self._link.run(statement)

    def _distinct(
        self, keys: Sequence[Numbers], expirations: Sequence[int | None], on_duplicate: OnDuplicate
    ) -> dict[Numbers, int | None]:
        """When each key is to expire, as if its tuples were written one after the other.

        With "error", the first key that repeats raises AlreadyExists.
        """
        at_once = dict(zip(keys, expirations, strict=True))
        if len(at_once) == len(keys):
            return at_once
        wanted: dict[Numbers, int | None] = {}
        repeated: dict[Numbers, int | None] = {}
        for key, expires in zip(keys, expirations, strict=True):
            if key not in wanted:
                wanted[key] = expires
            elif on_duplicate == "error":
                repeated.setdefault(key, expires)
            elif on_duplicate == "touch" or self._expired(wanted[key]):
                wanted[key] = expires
        if repeated:
            first = min(repeated)
            raise _exists(self._spelled(first, repeated[first]))
        return wanted

    def _spelled(self, numbers: Numbers, expires: int | None) -> RelationTuple:
        resource, relation, subject, subject_relation = numbers
        (resource_type, resource_id), (subject_type, subject_id) = self.object(resource), self.object(subject)
        return RelationTuple(
            Object(self.name(resource_type), resource_id),
            self.name(relation),
            Subject(self.name(subject_type), subject_id, self.name(subject_relation) if subject_relation else ""),
            None if expires is None else moment(expires),
        )


def _order(tuple_: RelationTuple) -> tuple[str, ...]:
    """The tuple's own order, without the cost of comparing dataclasses."""
    resource, subject = tuple_.resource, tuple_.subject
    return resource.type, resource.id, tuple_.relation, subject.type, subject.id, subject.relation


def _exists(tuple_: RelationTuple) -> AlreadyExists:
    what = "universal tuple" if tuple_.resource.id == WILDCARD else "tuple"
    return AlreadyExists(
        f"the {what} {quoted(str(tuple_), 240)} exists already; touch it instead, or leave it out",
        {"tuple": str(tuple_)},
    )

"""Writes: rows, schema and revisions in one transaction of the database.

Rule 1: rows of a write carry its number as `created` or `deleted`, and its number is head + 1, which the write lock
keeps true until the end. A write that is sealed makes its number the head of the writes behind it.
Rule 2: what fails, undoes everything at once, or everything since the savepoint it happened in: a transaction that
raised outside of one can only be left.
Rule 3: a key has at most one row that is not deleted. Once that has expired by this write's stamp it stands for
nothing: whoever writes its key ends it first, and nobody else touches it.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from relgraph.contexts import Context
from relgraph.errors import AlreadyExists, RequestIdReused, quoted
from relgraph.instants import moment
from relgraph.revision import Revision
from relgraph.store.base import Clock, Commit, Kind, OnDuplicate, Random
from relgraph.store.sql.intake import SQLIntake
from relgraph.store.sql.interning import Interner, Numbers, Traits
from relgraph.store.sql.link import ClosedLink
from relgraph.store.sql.reading import Pin, Reader, committed_pin
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from relgraph.store.sql.link import Link, Row

__all__ = ["SQLTransaction"]

_KEY = "resource = ? AND relation = ? AND subject = ? AND subject_relation = ?"
_STANDING = f"SELECT created, expires, caveat, context FROM tuples WHERE {_KEY} AND deleted IS NULL"
_ADD = (
    "INSERT INTO tuples(resource, relation, subject, subject_relation, created, expires, caveat, context)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_END = f"UPDATE tuples SET deleted = ? WHERE {_KEY} AND created = ?"
_FORGET = f"DELETE FROM tuples WHERE {_KEY} AND created = ?"
_SCHEMA = "INSERT INTO schemas(revision, text) VALUES (?, ?) ON CONFLICT (revision) DO UPDATE SET text = excluded.text"
_ADVANCE = "UPDATE meta SET head = ?"
_REVISION = (
    "INSERT INTO revisions(number, nonce, predecessor, stamp, principal, actor, reason, request_id, payload, metadata,"
    " not_after, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COUNT_UNDER = (
    "INSERT INTO counters(name, filter) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET filter = excluded.filter"
)
_COUNT_NO_MORE = "DELETE FROM counters WHERE name = ?"
_LIVING = "t.deleted IS NULL AND (t.expires IS NULL OR t.expires > ?)"
_KINDS = (
    "SELECT r.type, t.relation, s.type, t.subject_relation, s.key = '*', r.key = '*', t.expires IS NOT NULL, t.caveat,"
    " count(*), min(t.resource) FROM tuples AS t CROSS JOIN objects AS r ON r.id = t.resource"
    f" CROSS JOIN objects AS s ON s.id = t.subject WHERE {_LIVING} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
)
# One tuple of a kind: among those of its first resource.
_EXAMPLE = (
    "SELECT t.resource, t.relation, t.subject, t.subject_relation, t.expires, t.caveat, t.context FROM tuples AS t"
    f" CROSS JOIN objects AS s ON s.id = t.subject WHERE {_LIVING} AND t.resource = ? AND t.relation = ?"
    " AND s.type = ? AND t.subject_relation = ? AND (s.key = '*') = (? = 1) AND (t.expires IS NOT NULL) = (? = 1)"
    " AND t.caveat = ? LIMIT 1"
)
_SAVEPOINT = "relgraph_write"


class SQLTransaction(Reader):
    """Writes in the making; see `relgraph.store.base.Transaction`. A backend says how one begins, loads and ends.

    `committed` is told of the new head right after the commit.
    """

    def __init__(self, where: str, clock: Clock, random: Random, committed: Callable[[Revision], None]) -> None:
        super().__init__(ClosedLink("transaction", where), Pin(Revision(0, b"", 0), 0), 0)
        self._where = where
        self._clock = clock
        self._random = random
        self._committed = committed
        self._changes = 0
        self._stamp = 0
        self._staged: Sequence[RelationTuple] = ()
        self._savepoints = 0

    def _begin(self) -> Link:
        """Lock out other writers and begin; return the transaction's link. What raises must have let go of all."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Let the next writer in, and the link go: what `_begin` took, if it took it. Twice is fine."""
        raise NotImplementedError

    def _bring_in(self, staged: Sequence[RelationTuple], on_duplicate: OnDuplicate) -> int:
        """Make many tuples stand; return how many changed."""
        raise NotImplementedError

    def _together(self, gone: Sequence[RelationTuple], made: Sequence[RelationTuple]) -> AbstractContextManager[None]:
        """Prepare for what the block will delete and put, one by one; a backend may ask and write it all at once."""
        del gone, made
        return nullcontext()

    def _row_of(self, key: Numbers) -> Row | None:
        """When the row that stands for a key was created, and its traits."""
        return self._link.one(_STANDING, key)

    def _add(self, key: Numbers, traits: Traits) -> None:
        """Begin a row."""
        self._link.run(_ADD, (*key, self.number, *traits))

    def _end(self, key: Numbers, created: int) -> None:
        """End a row, which was created at that revision."""
        if created == self.number:
            # Made by this very write: a row that never lived at any revision must not be kept.
            self._link.run(_FORGET, (*key, created))
        else:
            self._link.run(_END, (self.number, *key, created))

    def _finish(self) -> None:
        """Make durable what is sealed."""
        self._link.run("COMMIT")

    def _roll_back(self, link: Link) -> None:
        """Undo what was done since `_begin`."""
        link.run("ROLLBACK")

    def _prepare_intake(self, link: Link) -> None:
        """Make the tables ready for another store's rows; the transaction has begun."""

    def _check_standing(self) -> None:
        """Raise StoreUnavailable when the store is no longer where it was opened."""

    @property
    def link(self) -> Link:
        """What the transaction's statements run through; for those who collect what is not kept."""
        return self._link

    @property
    def number(self) -> int:
        """The revision number that `seal` will take."""
        return self._seen

    @property
    def stamp(self) -> int:
        """This write's instant in microseconds."""
        return self._stamp

    @property
    def changed(self) -> bool:
        """Whether anything was changed since the last `seal`."""
        return self._changes > 0

    def __enter__(self) -> Self:
        try:
            self._link = self._begin()
            self._return_to(committed_pin(self._link), 0)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._leave()

    def stage(self, tuples: Sequence[RelationTuple]) -> None:
        """Take what `load` will bring in."""
        self._staged = tuples

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did when it raises, and that alone."""
        pin, changes = self._pin, self._changes
        self._link.run(f"SAVEPOINT {_SAVEPOINT}")
        self._savepoints += 1
        try:
            yield
        except GeneratorExit:
            # Thrown away by an interrupt that struck on the way here: the whole transaction is being left.
            raise
        except BaseException:
            self._savepoints -= 1
            with self._all_or_nothing():
                self._link.stop()
                self._link.run(f"ROLLBACK TO {_SAVEPOINT}")
                self._link.run(f"RELEASE {_SAVEPOINT}")
                self._return_to(pin, changes)
            raise
        self._savepoints -= 1
        with self._all_or_nothing():
            self._link.run(f"RELEASE {_SAVEPOINT}")

    def apply(
        self,
        *,
        delete: Sequence[RelationTuple] = (),
        touch: Sequence[RelationTuple] = (),
        create: Sequence[RelationTuple] = (),
    ) -> int:
        """Delete, then touch, then create, each in the order of the tuples' keys. Returns how many changed."""
        delete, touch, create = (sorted(each, key=_order) for each in (delete, touch, create))
        with self._all_or_nothing(), self._together(delete, (*touch, *create)):
            changes = sum(self._delete(tuple_) for tuple_ in delete)
            for tuple_ in touch:
                changes += self._put(*self._interner.row(tuple_), "touch")
            for tuple_ in create:
                changes += self._put(*self._interner.row(tuple_), "error")
        self._changes += changes
        return changes

    def load(self, on_duplicate: OnDuplicate = "error") -> int:
        """Create what was staged, the fast way. Returns how many changed."""
        staged, self._staged = self._staged, ()
        with self._all_or_nothing():
            changes = self._bring_in(staged, on_duplicate)
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

    def count_under(self, name: str, filter: str | None) -> None:
        """Register what is counted under a name, or with None forget it."""
        with self._all_or_nothing():
            if filter is None:
                self._link.run(_COUNT_NO_MORE, (name,))
            else:
                self._link.run(_COUNT_UNDER, (name, filter))

    def kinds(self) -> Iterator[Kind]:
        """The kinds of all living tuples, this write's own included."""
        for *kind, living, resource in self._link.all(_KINDS, (self._stamp,)):
            resource_type, relation, subject_type, subject_relation, wildcard, universal, expiration, caveat = kind
            example = self._link.one(
                _EXAMPLE,
                (
                    self._stamp, resource, relation,
                    subject_type, subject_relation, int(wildcard), int(expiration), caveat,
                ),
            )  # fmt: skip
            assert example is not None  # the query before counted it
            yield Kind(
                self.name(resource_type),
                self.name(relation),
                self.name(subject_type),
                self.name(subject_relation) if subject_relation else "",
                wildcard=bool(wildcard),
                universal=bool(universal),
                expiration=bool(expiration),
                caveat=self.name(caveat) if caveat else "",
                living=living,
                example=self._spelled(example[:4], Traits(*example[4:])),
            )

    def seal(self, commit: Commit) -> Revision:
        """End a write: make its revision, which the next one in this transaction follows, and return that."""
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
                    commit.not_after, commit.answer,
                ),
            )  # fmt: skip
        self._move_pin(replace(self._pin, head=revision))
        self._changes = 0
        return revision

    def commit(self) -> None:
        """Make durable all that is sealed."""
        assert not self.changed, "a write was not sealed"
        with self._all_or_nothing():
            # INVARIANT: never acknowledge what was written to a file that has no name any more.
            self._check_standing()
            self._link.stop()
            self._finish()
        self._committed(self.head)
        self._link = ClosedLink("transaction", self._where)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Undo the whole transaction when the block raises, unless a savepoint does less."""
        try:
            yield
        except BaseException:
            if not self._savepoints or not self._link.in_transaction:
                self._undo()
            raise

    def intake(self) -> SQLIntake:
        """Take another store's history in, in place of writes: as a transaction begins and ends, so does this."""
        return SQLIntake(
            self._where, self._begin, self._prepare_intake, self._check_standing, self._let_go, self._committed
        )

    def _undo(self) -> None:
        link, self._link = self._link, ClosedLink("transaction", self._where)
        link.stop()
        # A commit that failed may have rolled back by itself.
        if link.in_transaction:
            self._roll_back(link)

    def _leave(self) -> None:
        try:
            try:
                self._undo()
            finally:
                self._let_go()
        finally:
            # INVARIANT: an interrupt may have struck in the line above. Letting go twice does nothing.
            self._let_go()

    def _move_pin(self, pin: Pin) -> None:
        self._pin, self._seen = pin, pin.head.number + 1
        self._stamp = max(pin.head.stamp, self._clock())

    def _return_to(self, pin: Pin, changes: int) -> None:
        """Take up where the database stands, forgetting all that was learnt behind it."""
        self._move_pin(pin)
        self._changes = changes
        self._names = {}
        self._interner = Interner(self._link)

    def _delete(self, tuple_: RelationTuple) -> bool:
        key = self._interner.known_key(tuple_)
        row = None if key is None else self._row_of(key)
        if key is None or row is None or self._expired(row[1]):
            return False
        self._end(key, row[0])
        return True

    def _put(self, key: Numbers, traits: Traits, on_duplicate: OnDuplicate) -> bool:
        """Make a tuple stand; say whether that changed anything. AlreadyExists with "error" where one is living."""
        row = self._row_of(key)
        if row is not None:
            living = not self._expired(row[1])
            if living and on_duplicate == "error":
                raise self._existing(key, traits)
            if on_duplicate != "error" and (row[1:] == traits or (living and on_duplicate == "skip")):
                return False
            self._end(key, row[0])
        self._add(key, traits)
        return True

    def _expired(self, expires: int | None) -> bool:
        return expires is not None and expires <= self._stamp

    def _distinct(
        self, keys: Sequence[Numbers], traits: Sequence[Traits], on_duplicate: OnDuplicate
    ) -> dict[Numbers, Traits]:
        """The traits that each key is to have, as if its tuples were written one after the other.

        With "error", the first key that repeats raises AlreadyExists.
        """
        at_once = dict(zip(keys, traits, strict=True))
        if len(at_once) == len(keys):
            return at_once
        wanted: dict[Numbers, Traits] = {}
        repeated: dict[Numbers, Traits] = {}
        for key, each in zip(keys, traits, strict=True):
            if key not in wanted:
                wanted[key] = each
            elif on_duplicate == "error":
                repeated.setdefault(key, each)
            elif on_duplicate == "touch" or self._expired(wanted[key].expires):
                wanted[key] = each
        if repeated:
            first = min(repeated)
            raise self._existing(first, repeated[first])
        return wanted

    def _existing(self, numbers: Numbers, traits: Traits) -> AlreadyExists:
        """The error about a tuple that is there already, or that the input repeats."""
        tuple_ = self._spelled(numbers, traits)
        what = "universal tuple" if tuple_.resource.id == WILDCARD else "tuple"
        return AlreadyExists(
            f"the {what} {quoted(tuple_.told, 240)} exists already; touch it instead, or leave it out",
            {"tuple": tuple_.told},
        )

    def _spelled(self, numbers: Numbers, traits: Traits) -> RelationTuple:
        resource, relation, subject, subject_relation = numbers
        (resource_type, resource_id), (subject_type, subject_id) = self.object(resource), self.object(subject)
        return RelationTuple(
            Object(self.name(resource_type), resource_id),
            self.name(relation),
            Subject(self.name(subject_type), subject_id, self.name(subject_relation) if subject_relation else ""),
            None if traits.expires is None else moment(traits.expires),
            self.name(traits.caveat) if traits.caveat else "",
            Context.stored(traits.context),
        )


def _order(tuple_: RelationTuple) -> tuple[str, ...]:
    """The tuple's own order, without the cost of comparing dataclasses."""
    resource, subject = tuple_.resource, tuple_.subject
    return resource.type, resource.id, tuple_.relation, subject.type, subject.id, subject.relation

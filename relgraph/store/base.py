"""What a store is: the protocol between the facts on disk and everything that reads or writes them.

Here live the shapes and promises only; no SQL, no driver and no file. A backend is a sub-package that implements
`Store`, `Snapshot` and `Transaction`, and inherits `tests/test_store_contract.py` as its proof.

Rule 1: only committed, chained facts. Whoever follows a store applies revision N+1 only when its predecessor's nonce
is the one already held, and learns names and objects only from snapshots, never from a transaction that may roll back.
Rule 2: readers never wait for a writer. A snapshot answers from the revision it pinned, whatever is written meanwhile.
Rule 3: a row counts at revision R when `created <= R` and `deleted` is None or `> R`.
Rule 4: a row that expires counts before that instant only, and nothing happens to it when the instant comes. Who hands
out rows leaves that to who reads them, who has an instant of its own; everything told in tuples and counts is judged
here: a read by the `now` it is asked with, a write by its own stamp. An expired tuple is absent: it can be created
again, and deleting it changes nothing.

Numbers: every name of a type, relation or caveat, and every object, is interned to an integer from 1. As a
`subject_relation` or a `caveat`, 0 means that there is none. The object whose key is `*` stands for every object of its
type (as a resource) or for every plain object of it (as a subject). Numbers are meaningful within one store, epoch and
chain of nonces, never beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, TypeAlias

from relgraph.revision import Revision
from relgraph.store.naming import Naming
from relgraph.store.rows import Kind, NumberedRow

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from relgraph.store.history import History, Intake
    from relgraph.store.upkeep import Backup, Condition, Verification
    from relgraph.tuples import RelationTuple, TupleFilter

__all__ = [
    "EMPTY",
    "NO_CAVEAT",
    "NO_RELATION",
    "Changes",
    "Clock",
    "Collected",
    "Commit",
    "Image",
    "Kind",
    "LogEntry",
    "NumberedRow",
    "OnDuplicate",
    "Random",
    "Reads",
    "Request",
    "SchemaVersion",
    "Snapshot",
    "Store",
    "Transaction",
]

NO_RELATION = 0
"""The `subject_relation` of a plain subject; no name is ever interned to it."""

NO_CAVEAT = 0
"""The `caveat` of a tuple without one."""

EMPTY = Revision(0, bytes(16), 0)
"""The revision of every store that was never written to."""

Clock: TypeAlias = Callable[[], int]
"""Now, in microseconds since 1970 UTC."""

Random: TypeAlias = Callable[[int], bytes]
"""That many random bytes."""

OnDuplicate: TypeAlias = Literal["error", "touch", "skip"]
"""What a bulk load does with a tuple that is already living."""


class Request(NamedTuple):
    """What became of a `request_id`: its revision, who sent it, the hash of what was sent, and until when it is kept.

    `not_after` is in microseconds since 1970 UTC. `answer` is what the write was answered with beside its revision.
    """

    revision: Revision
    principal: str
    payload: bytes
    not_after: int
    answer: str


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """A schema text, in force from `revision` until the next version."""

    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What a revision's row says beside its rows. `metadata` is the caller's.

    For a repetition there are, beside a `request_id`, `payload`, a hash of the request; `not_after`, the instant up to
    which the request may be repeated, in microseconds since 1970 UTC; and `answer`, what it is answered with.
    """

    principal: str = ""
    actor: str = ""
    reason: str = ""
    request_id: str = ""
    payload: bytes = b""
    metadata: str = ""
    not_after: int = 0
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a follower at revision `after` lacks: everything of the revisions in (after, head].

    `chain` holds each of those revisions with its predecessor's nonce, ascending. `rows` holds every row created or
    deleted in that span, once each and in no particular order. `names` are (number, name) and `objects` are (number,
    number of the type, key): all that the follower said it did not know yet.
    """

    head: Revision
    chain: tuple[tuple[Revision, bytes], ...]
    rows: list[NumberedRow]
    names: list[tuple[int, str]]
    objects: list[tuple[int, int, str]]
    schemas: tuple[SchemaVersion, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """All that lives at a snapshot's head. The iterators read from the snapshot: drain them before it is left.

    `objects` are (number, number of the type, key), ascending by number; `rows` are the living ones, ascending by
    (resource, relation, subject, subject_relation); `schemas` are all versions kept, ascending.
    """

    head: Revision
    names: list[tuple[int, str]]
    objects: Iterator[tuple[int, int, str]]
    rows: Iterator[NumberedRow]
    schemas: tuple[SchemaVersion, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one revision did. A tuple that was replaced is both deleted and created: it expires at another instant, or
    counts under another caveat or context.

    Tuples are in the order of their keys. `schema` is the text that it put in force, None where it put none.
    """

    revision: Revision
    predecessor: bytes
    commit: Commit
    created: tuple[RelationTuple, ...]
    deleted: tuple[RelationTuple, ...]
    schema: str | None


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection forgot, in numbers, and the oldest revision that is kept since."""

    floor: Revision
    tuples: int
    revisions: int


class Reads(Naming, Protocol):
    """Questions to the rows. `at` is a kept revision, at most the head (in a transaction: at most its own number).

    One snapshot or transaction is used by one thread at a time. Iterators read as they go: they are good until the
    snapshot or transaction is left. Every method may raise StoreUnavailable.
    """

    @property
    def head(self) -> Revision:
        """The newest committed revision when this view was opened."""
        ...

    @property
    def floor(self) -> int:
        """The oldest revision that is kept: every read names this one or a later one, see `Store.collect`."""
        ...

    def revision(self, number: int) -> Revision | None:
        """The revision of that number, or None where it does not exist (yet, or any more). 0 is the empty store."""
        ...

    def revision_at(self, instant: int) -> Revision | None:
        """The last revision stamped at or before that instant, or None where it is no longer kept.

        At most the head: what is committed later may still be stamped at or before an instant that has just passed.
        """
        ...

    def schema(self, revision: int) -> SchemaVersion | None:
        """The newest schema version at or before `revision`, or None before the first."""
        ...

    def request(self, request_id: str) -> Request | None:
        """The committed write that carried `request_id`, or None."""
        ...

    def counters(self) -> dict[str, str]:
        """What is registered to be counted, by name, as it was given; sorted. No revision has it: it is now's alone."""
        ...

    def tuple(self, resource: int, relation: int, subject: int, subject_relation: int, at: int) -> NumberedRow | None:
        """The row of exactly that tuple, living at `at`, or None. Universal and wildcard rows are rows of their own."""
        ...

    def tuples(self, resource: int, relation: int, at: int, *, usersets: bool = False) -> Iterator[NumberedRow]:
        """The rows of one relation of one resource living at `at`, ascending by (subject, subject_relation).

        Those whose subject is a userset alone with `usersets`: a resource may have very many plain subjects.
        """
        ...

    def holders(self, subject: int, subject_relation: int, at: int) -> Iterator[NumberedRow]:
        """The rows that name exactly this subject, living at `at`, in no particular order."""
        ...

    def read(
        self, filter: TupleFilter, at: int, now: int, after: RelationTuple | None, limit: int
    ) -> list[RelationTuple]:
        """At most `limit` tuples that match `filter`, living at revision `at` and instant `now`, behind `after`.

        The order is total and stays the same for one store, filter and `at`, so pages neither gap nor repeat, and with
        the same `now` none is missed that expires between two of them. A filter looks at keys alone. With a
        subject id but no resource id it is the store's own; otherwise tuples come grouped by resource type, then
        ascending by resource id (as bytes), then in the store's own order. `after` is the last tuple of the page
        before; InvalidCursor when the store cannot know it.
        """
        ...

    def count(self, filter: TupleFilter, at: int, now: int, *, universal: bool = False) -> int:
        """How many tuples `read` would find in all; with `universal`, how many of them have `*` as their resource."""
        ...


class Snapshot(Reads, Protocol):
    """One consistent view of the store, pinned at its head when opened. A context manager; leave it soon."""

    def image(self) -> Image:
        """Everything living at the head, for who starts from nothing."""
        ...

    def changes(self, after: int, name_id_max: int, object_id_max: int) -> Changes:
        """What happened since revision `after`, for who knows names and objects up to those numbers.

        Raises RevisionUnavailable when `after` is beyond the head or the history back to it is no longer kept: start
        over from `image` then.
        """
        ...

    def log(self, after: int, limit: int) -> list[LogEntry]:
        """What the revisions behind `after` did, ascending, at most `limit` of them, each whole.

        Raises RevisionUnavailable as `changes` does.
        """
        ...

    def objects_in_history(self, until: int) -> Iterator[tuple[int, str]]:
        """Every object that a kept row created at or before `until` names, living or not, once each; never `*`.

        As (number of the type, key).
        """
        ...

    def history(self, until: int) -> History:
        """All that is kept, as it stood at revision `until`, at most the head: for moving it to another store."""
        ...

    def close(self) -> None:
        """Let the view go; leaving the `with` block does it too. Closing twice is fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Transaction(Reads, Protocol):
    """Writes in the making; holds the store's write lock from `with` on. Leaving without `commit` undoes them all.

    Each write ends with `seal`, and the next one in the same transaction is judged in the state after it. `head` is the
    newest revision under the lock, or the last one sealed. Reads at `head.number` show the state before the write's own
    rows, reads at `number` the state with them.
    """

    def stage(self, tuples: Sequence[RelationTuple]) -> None:
        """Give what `load` is to bring in; before `with`, so that as much as can be is done outside the lock."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what the block did when it raises, and that alone: the transaction goes on where the block began.

        Where the database undid everything by itself (a full disk, a lost connection), whatever is asked afterwards
        raises StoreUnavailable. Savepoints do not nest.
        """
        ...

    @property
    def number(self) -> int:
        """The revision number that `seal` will take."""
        ...

    @property
    def stamp(self) -> int:
        """This write's instant in microseconds: the clock's, but never before the previous revision's."""
        ...

    @property
    def changed(self) -> bool:
        """Whether anything was changed since the last `seal`: a row or the schema."""
        ...

    def apply(
        self,
        *,
        delete: Sequence[RelationTuple] = (),
        touch: Sequence[RelationTuple] = (),
        create: Sequence[RelationTuple] = (),
    ) -> int:
        """Delete, then touch, then create, each in the order of the tuples' keys. Returns how many tuples changed.

        Touching a living tuple replaces it where it says anything else than that, beside its key, and changes nothing
        otherwise; deleting an absent one changes nothing, and no delete looks beyond keys. Raises AlreadyExists,
        naming the first tuple, when one to create is living; the savepoint, or without one the transaction, is then
        good for leaving only.
        """
        ...

    def load(self, on_duplicate: OnDuplicate = "error") -> int:
        """Create what was staged, the fast way, and forget it. Returns how many changed.

        A duplicate is a tuple whose key was met before in the input or is living. With "error" it raises AlreadyExists
        naming the first; with "touch" it takes the place of what was there, with "skip" it gives way to it, and
        each key counts once. After an error it is as with `apply`.
        """
        ...

    def write_schema(self, text: str, names: Iterable[str]) -> None:
        """Make `text` the schema from this revision on and intern all its `names` (types, relations, permissions).

        Writing the text that is in force changes nothing.
        """
        ...

    def kinds(self) -> Iterator[Kind]:
        """The kinds of all living tuples, this write's own included: what a new schema has to admit."""
        ...

    def count_under(self, name: str, filter: str | None) -> None:
        """Register what is counted under a name, or with None forget it. It is no write, and is not sealed.

        It is the store's from the commit on, like all that is sealed.
        """
        ...

    def seal(self, commit: Commit) -> Revision:
        """End a write: record its revision and return that. Raises RequestIdReused for a `request_id` on record.

        It is a revision of the store only once the transaction is committed.
        """
        ...

    def commit(self) -> None:
        """Make all that is sealed durable. Once only, and last; nothing may be left unsealed.

        When it raises, nothing was committed.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Store(Protocol):
    """A place where tuples live. Its methods may be called from many threads at once; not across a fork."""

    @property
    def id(self) -> bytes:
        """16 random bytes, drawn when the store was made."""
        ...

    @property
    def epoch(self) -> int:
        """Which life of the store this is: restoring a backup begins a new one, and voids the tokens of the old."""
        ...

    def head(self) -> Revision:
        """The newest committed revision: one point read, so it can be asked at every question."""
        ...

    def snapshot(self) -> Snapshot:
        """Open a view of the newest committed state. Enter it with `with`, or `close` it."""
        ...

    def transaction(self) -> Transaction:
        """Prepare a write; its `with` block begins it.

        Entering waits for other writers, and raises StoreUnavailable when they take too long, StoreReadOnly when the
        store cannot be written at all.
        """
        ...

    def intake(self) -> Intake:
        """Prepare to take another store's history in; from its `with` block on all else raises StoreUnavailable."""
        ...

    def wait(self, known: Revision, timeout: float) -> bool:
        """Return True as soon as the newest revision is another than `known`, False after `timeout` seconds.

        It looks at least once, and notices what other processes commit soon after, where the database can tell at
        once. Any number of threads may wait; they hold nothing meanwhile.
        """
        ...

    def collect(self, keep_from: int) -> Collected:
        """Forget what nobody can ask for who asks about that instant or later; in steps, each under the write lock.

        The revision in force at the instant becomes the floor: what ended or had expired by then goes, and so do older
        revisions and schemas. Views that are open keep what they see, which in memory holds the floor back. Numbers of
        names and objects stay as they are, used or not. A revision with a request id stays, for a repetition, until its
        `not_after`. It takes no revision, and may be broken off anywhere and begun again.
        """
        ...

    def backup(self, path: Path) -> Backup:
        """Copy the newest committed state into a new file, verified and synced, while others write on.

        Raises InvalidSetting when there is such a file already, StoreUnavailable when it cannot be made, Unsupported
        for a database that brings its own tools for this.
        """
        ...

    def verify(self) -> Verification:
        """Look at all that the store holds, in one snapshot, and tell what writing it by the rules cannot have left."""
        ...

    def condition(self) -> Condition:
        """Tell how large the store is, what it stands on, and what of it is not safe."""
        ...

    def joining(self, connection: object) -> Transaction:
        """Prepare a write inside the transaction that an application has open on a connection of its own driver.

        Its `with` block sets a savepoint there and takes the store's write lock, which the application then holds until
        it ends its transaction. Leaving without `commit` undoes the write alone; `commit` leaves it to the application
        to commit, and only then is it a revision of the store. One such write a transaction, and no load. Entering
        raises InvalidInput for a connection that is not to this store or has no transaction open, Refused where the
        transaction holds a write already.
        """
        ...

    def close(self) -> None:
        """Close everything. Whatever is asked afterwards raises StoreUnavailable. Closing twice is fine."""
        ...

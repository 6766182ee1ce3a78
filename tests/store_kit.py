"""What tests of stores are made of: a clock, a source of bytes, a handful of tuples, and short ways to use a store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from relgraph.instants import moment
from relgraph.store.base import Commit, Snapshot, Store, Transaction
from relgraph.tuples import RelationTuple, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relgraph.revision import Revision

MICROSECOND = 1_000_000
NOW = 1_700_000_000 * MICROSECOND
ALL = TupleFilter()


@dataclass
class FakeClock:
    """A clock that stands still until it is set."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class FakeRandom:
    """Random bytes that are the same at every run."""

    source: Random = field(default_factory=lambda: Random(7))

    def __call__(self, size: int) -> bytes:
        return self.source.randbytes(size)


def until(text: str, instant: int) -> str:
    """The tuple of that text, expiring at that instant."""
    return str(replace(RelationTuple.parse(text), expires_at=moment(instant)))


def many(*texts: str) -> list[RelationTuple]:
    return [RelationTuple.parse(text) for text in texts]


def done(transaction: Transaction, commit: Commit | None = None) -> Revision:
    """Seal and commit."""
    revision = transaction.seal(commit or Commit())
    transaction.commit()
    return revision


def loading(store: Store, tuples: Sequence[RelationTuple]) -> Transaction:
    """A transaction with tuples staged for a load."""
    transaction = store.transaction()
    transaction.stage(tuples)
    return transaction


def write(
    store: Store,
    *,
    delete: Iterable[str] = (),
    touch: Iterable[str] = (),
    create: Iterable[str] = (),
    commit: Commit | None = None,
) -> Revision:
    with store.transaction() as transaction:
        transaction.apply(delete=many(*delete), touch=many(*touch), create=many(*create))
        return done(transaction, commit)


def texts(store: Store, filter: TupleFilter = ALL, at: int | None = None, now: int = NOW) -> set[str]:
    with store.snapshot() as snapshot:
        return set(map(str, snapshot.read(filter, snapshot.head.number if at is None else at, now, None, 10**6)))


def pages(
    snapshot: Snapshot, filter: TupleFilter, size: int, at: int | None = None, now: int = NOW
) -> list[list[RelationTuple]]:
    found: list[list[RelationTuple]] = []
    after = None
    while page := snapshot.read(filter, snapshot.head.number if at is None else at, now, after, size):
        found.append(page)
        after = page[-1]
    return found


def numbers(snapshot: Snapshot, text: str) -> tuple[int, int, int, int]:
    tuple_ = RelationTuple.parse(text)
    relation = snapshot.name_id(tuple_.relation)
    subject_relation = snapshot.name_id(tuple_.subject.relation) if tuple_.subject.relation else 0
    resource_type, subject_type = snapshot.name_id(tuple_.resource.type), snapshot.name_id(tuple_.subject.type)
    assert resource_type is not None
    assert subject_type is not None
    resource = snapshot.object_id(resource_type, tuple_.resource.id)
    subject = snapshot.object_id(subject_type, tuple_.subject.id)
    assert resource is not None
    assert relation is not None
    assert subject is not None
    assert subject_relation is not None
    return resource, relation, subject, subject_relation


SAMPLE = (
    "folder:a#parent@folder:root",
    "report:*#admin@group:root#member",
    "report:q1#admin@group:board#member",
    "report:q1#viewer@user:*",
    "report:q1#viewer@user:anna",
    "report:q2#viewer@user:anna",
    "group:board#member@user:anna",
    "group:board#member@user:Anna",
    "group:root#member@group:board#member",
)

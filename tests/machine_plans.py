"""What the machine of `test_store_machine.py` may draw: tuples, writes of several steps, filters, instants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from relgraph.contexts import EMPTY, Context
from relgraph.instants import moment
from relgraph.store.base import Commit
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter
from tests.naive_store import NaiveExists
from tests.store_kit import NOW

if TYPE_CHECKING:
    from relgraph.errors import AlreadyExists
    from relgraph.store.base import OnDuplicate, Transaction
    from tests.naive_store import NaiveWrite

__all__ = [
    "INSTANTS",
    "KEYS",
    "SCHEMAS",
    "Step",
    "Write",
    "check_told",
    "commits",
    "filters",
    "naively",
    "really",
    "steps",
    "tuples",
    "writes",
]

# Ids that differ in nothing but case, and the longest that there can be. Few keys, so that writes meet each other.
RESOURCES = [Object(*each) for each in (("doc", "a"), ("doc", "A"), ("doc", "*"), ("team", "=" * 1024))]
SUBJECTS = [
    Subject(*each) for each in (("user", "a", ""), ("user", "*", ""), ("team", "=" * 1024, "member"), ("doc", "A", ""))
]
KEYS = [
    *(RelationTuple(resource, "viewer", subject) for resource in RESOURCES for subject in SUBJECTS[:3]),
    *(RelationTuple(resource, "member", SUBJECTS[3]) for resource in RESOURCES[1:]),
]
SCHEMAS = [("definition user {}", ["user"]), ("definition other {}", ["other", "viewer"])]
SOON = [None, NOW - 5, NOW + 5, NOW + 20]
# One caveat is named as a relation is, and contexts look alike that are not.
SAID = [
    *[("", EMPTY)] * 4,
    *[("late", Context.of(each)) for each in ({}, {"n": 1}, {"n": "1"}, {"n": True})],
    *[("viewer", Context.of(each)) for each in ({}, {"n": 1})],
]
INSTANTS = [NOW - 6, NOW - 5, NOW, NOW + 5, NOW + 19, NOW + 20, NOW + 60]


class Deliberate(Exception):
    """What the machine raises where a write is to fail for no reason of the store's."""


def fail() -> None:
    """Raise Deliberate."""
    raise Deliberate


@dataclass(frozen=True)
class Step:
    """One thing that a write does: apply (`delete`, `touch`, `create`), load, or write a schema."""

    delete: tuple[RelationTuple, ...] = ()
    touch: tuple[RelationTuple, ...] = ()
    create: tuple[RelationTuple, ...] = ()
    load: OnDuplicate | None = None
    schema: int | None = None


@dataclass(frozen=True)
class Write:
    """The steps of a write; in a savepoint if `guarded`, where it may fail before or after its seal."""

    steps: tuple[Step, ...]
    commit: Commit
    guarded: bool
    fails: str


def _key(index: int) -> RelationTuple:
    return KEYS[index]


def _saying(key: RelationTuple, soon: int | None, said: tuple[str, Context]) -> RelationTuple:
    return RelationTuple(*key.key, None if soon is None else moment(soon), *said)


def _filter(resource: int, relation: str, subject: Subject, given: tuple[bool, ...]) -> TupleFilter:
    """A filter by those of the six fields that are given, as far as a filter may have them."""
    return TupleFilter(
        RESOURCES[resource].type if given[0] else None,
        RESOURCES[resource].id if given[0] and given[1] else None,
        relation if given[2] else None,
        subject.type if given[3] else None,
        subject.id if given[3] and given[4] else None,
        subject.relation if given[3] and given[5] else None,
    )


def _several(values: st.SearchStrategy[RelationTuple]) -> st.SearchStrategy[tuple[RelationTuple, ...]]:
    return st.lists(values, max_size=6, unique_by=lambda each: each.key).map(tuple)


keys = st.integers(0, len(KEYS) - 1).map(_key)
tuples = st.builds(_saying, keys, st.sampled_from(SOON), st.sampled_from(SAID))
steps = st.one_of(
    st.builds(Step, delete=_several(keys), touch=_several(tuples), create=_several(tuples)),
    st.builds(Step, delete=_several(keys), touch=_several(tuples)),
    st.builds(Step, load=st.sampled_from(["error", "touch", "skip", "skip"])),
    st.builds(Step, schema=st.sampled_from(range(len(SCHEMAS)))),
)
commits = st.builds(
    Commit,
    principal=st.sampled_from(["", "app"]),
    actor=st.sampled_from(["", "user:a"]),
    reason=st.sampled_from(["", "né \N{GRINNING FACE}"]),
    request_id=st.sampled_from(["", "", "", "once", "twice", "Once"]),
    payload=st.sampled_from([b"", b"\x00\xff"]),
    metadata=st.sampled_from(["", '{"a": "b"}']),
)
writes = st.builds(
    Write,
    steps=st.lists(steps, max_size=3).map(tuple),
    commit=commits,
    guarded=st.booleans(),
    fails=st.sampled_from(["", "", "", "before", "after"]),
)
filters = st.builds(
    _filter,
    st.integers(0, len(RESOURCES) - 1),
    st.sampled_from(["viewer", "member", "other"]),
    st.sampled_from(SUBJECTS),
    st.tuples(*[st.booleans()] * 6),
)


def naively(mine: NaiveWrite, step: Step, staged: list[RelationTuple]) -> int:
    """Do a step to the naive store; return how many tuples changed."""
    if step.schema is not None:
        mine.write_schema(*SCHEMAS[step.schema])
        return 0
    if step.load:
        return mine.load(staged, step.load)
    return mine.apply(list(step.delete), list(step.touch), list(step.create))


def really(transaction: Transaction, step: Step) -> int:
    """Do a step to a real store; return how many tuples changed."""
    if step.schema is not None:
        transaction.write_schema(*SCHEMAS[step.schema])
        return 0
    if step.load:
        return transaction.load(step.load)
    return transaction.apply(delete=step.delete, touch=step.touch, create=step.create)


def check_told(error: AlreadyExists, wanted: int | NaiveExists) -> None:
    """An error names what the naive store would not create either."""
    assert isinstance(wanted, NaiveExists)
    assert error.details["tuple"] in {each.told for each in wanted.found}

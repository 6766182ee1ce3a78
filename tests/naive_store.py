"""A store that is obviously right: everything it held, written down anew for each revision.

The machine in `test_store_machine.py` does the same to a real store and compares. Tuples are keys alone here, what they
say beside stands apart, and nothing has a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from relgraph.contexts import Context
from relgraph.instants import moment
from relgraph.store.base import Commit, OnDuplicate
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, TupleFilter

__all__ = [
    "Naive",
    "NaiveExists",
    "NaiveReused",
    "NaiveWrite",
    "Row",
    "State",
    "Version",
    "bare",
    "living",
    "matches",
    "objects_in",
]


class Version(NamedTuple):
    """Since which revision a tuple stands as it does, under which caveat, with which context, and when it expires."""

    created: int
    caveat: str
    context: str
    expires: int | None


Row = tuple[RelationTuple, int, int | None, str, str, int | None]
"""A version with its tuple, and when it ended: (tuple, created, deleted, caveat, context, expires)."""

State = dict[RelationTuple, Version]
"""What stands at a revision, by the tuple's key alone."""


class NaiveExists(Exception):
    """What is to be created is living: one of these tuples, the first of them where the order is told."""

    def __init__(self, found: list[RelationTuple]) -> None:
        super().__init__(found)
        self.found = found


class NaiveReused(Exception):
    """The request id is on record."""


@dataclass
class Moment:
    """All that is true at one revision. `schemas` are the versions so far, `mentioned` all names and objects so far."""

    stamp: int = 0
    commit: Commit = field(default_factory=Commit)
    state: State = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)

    def copy(self) -> Moment:
        return Moment(self.stamp, self.commit, dict(self.state), dict(self.schemas), set(self.mentioned))


@dataclass
class Naive:
    """The committed moments: the index is the revision's number."""

    moments: list[Moment] = field(default_factory=lambda: [Moment()])
    floor: int = 0
    purged: set[tuple[RelationTuple, Version]] = field(default_factory=set)

    def collect(self, floor: int) -> None:
        """Forget what had passed by a revision: request ids, and what has expired, whose key is then free."""
        self.floor = floor
        self.purged = {
            version for version in self.moments[-1].state.items() if self.passed(version[1].created, version[1].expires)
        }

    def passed(self, created: int, expires: int | None) -> bool:
        """Whether a version had expired by the floor: a store may have it no more."""
        return created <= self.floor and _expired(expires, self.moments[self.floor].stamp)

    @property
    def head(self) -> int:
        return len(self.moments) - 1

    def revision_at(self, instant: int) -> int | None:
        return max((number for number, each in enumerate(self.moments) if each.stamp <= instant), default=None)

    def request(self, request_id: str) -> int | None:
        found = [number for number, each in enumerate(self.moments) if each.commit.request_id == request_id]
        return next((number for number in found if number >= self.floor), None)

    def changed_rows(self, after: int, head: int) -> set[Row]:
        """Every version created or deleted in (after, head]."""
        ends: dict[tuple[RelationTuple, Version], int | None] = {}
        for number in range(head + 1):
            standing = set(self.moments[number].state.items())
            for version in standing:
                ends.setdefault(version, None)
            for version, end in ends.items():
                if end is None and version not in standing:
                    ends[version] = number
        return {
            (key, version.created, end, *version[1:])
            for (key, version), end in ends.items()
            if version.created > after or (end is not None and end > after)
        }


class NaiveWrite:
    """A transaction: all of it becomes the store's with `commit`."""

    def __init__(self, store: Naive, now: int) -> None:
        self._store = store
        self._now = now
        self.moments = list(store.moments)
        self.draft = self.moments[-1].copy()
        self.draft.state = {
            key: version for key, version in self.draft.state.items() if (key, version) not in store.purged
        }
        self.changes = 0

    @property
    def number(self) -> int:
        return len(self.moments)

    @property
    def stamp(self) -> int:
        return max(self.moments[-1].stamp, self._now)

    def saved(self) -> tuple[list[Moment], Moment, int]:
        return list(self.moments), self.draft.copy(), self.changes

    def undo(self, saved: tuple[list[Moment], Moment, int]) -> None:
        self.moments, self.draft, self.changes = saved

    def apply(self, delete: list[RelationTuple], touch: list[RelationTuple], create: list[RelationTuple]) -> int:
        changes = 0
        for each in sorted(delete, key=_key):
            if living(self.draft.state, each, self.stamp):
                del self.draft.state[bare(each)]
                changes += 1
        for each in sorted(touch, key=_key):
            changes += self._touch(each)
        for each in sorted(create, key=_key):
            if living(self.draft.state, each, self.stamp):
                raise NaiveExists([each])
            self._put(each)
            changes += 1
        self.changes += changes
        return changes

    def load(self, tuples: list[RelationTuple], on_duplicate: OnDuplicate) -> int:
        wanted: dict[RelationTuple, RelationTuple] = {}
        found = []
        for each in tuples:
            first = wanted.get(bare(each))
            if first is not None and on_duplicate == "error":
                found.append(each)
            if first is None or on_duplicate == "touch" or _expired(first.expires, self.stamp):
                wanted[bare(each)] = each
        found += [each for each in wanted.values() if living(self.draft.state, each, self.stamp)]
        # What a load is given is numbered before it is known which tuples stand as they are.
        self.draft.mentioned |= {each.caveat for each in tuples} - {""}
        if on_duplicate == "error":
            if found:
                raise NaiveExists(found)
            for each in wanted.values():
                self._put(each)
            changes = len(wanted)
        else:
            changes = sum(
                self._touch(each)
                for each in wanted.values()
                if on_duplicate == "touch" or not living(self.draft.state, each, self.stamp)
            )
        self.changes += changes
        return changes

    def write_schema(self, text: str, names: list[str]) -> None:
        self.draft.mentioned.update(names)
        if list(self.draft.schemas.values())[-1:] != [text]:
            self.draft.schemas[self.number] = text
            self.changes += 1

    def seal(self, commit: Commit) -> None:
        if commit.request_id and any(
            each.commit.request_id == commit.request_id for each in self.moments[self._store.floor :]
        ):
            raise NaiveReused
        self.moments.append(replace(self.draft, stamp=self.stamp, commit=commit))
        self.draft = self.moments[-1].copy()
        self.changes = 0

    def commit(self) -> None:
        self._store.moments = self.moments

    def _touch(self, each: RelationTuple) -> bool:
        standing = self.draft.state.get(bare(each))
        if standing is not None and standing[1:] == _said(each):
            return False
        self._put(each)
        return True

    def _put(self, each: RelationTuple) -> None:
        self.draft.state[bare(each)] = Version(self.number, *_said(each))
        resource, subject = each.resource, each.subject
        self.draft.mentioned |= {resource.type, each.relation, subject.type, subject.relation, each.caveat} - {""}
        self.draft.mentioned |= {f"{resource.type}:{resource.id}", f"{subject.type}:{subject.id}"}


def bare(each: RelationTuple) -> RelationTuple:
    """The tuple with nothing but its key."""
    return RelationTuple(*each.key)


def _said(each: RelationTuple) -> tuple[str, str, int | None]:
    return each.caveat, str(each.context), each.expires


def living(state: State, each: RelationTuple, now: int) -> bool:
    """Whether that tuple stands and has not expired."""
    version = state.get(bare(each))
    return version is not None and not _expired(version.expires, now)


def _key(each: RelationTuple) -> tuple[Object, str, Subject]:
    return each.key


def _expired(expires: int | None, now: int) -> bool:
    return expires is not None and expires <= now


def matches(state: State, wanted: TupleFilter, now: int) -> set[str]:
    """The living tuples that a filter selects, with all that they say."""
    return {
        str(
            RelationTuple(
                *each.key,
                None if version.expires is None else moment(version.expires),
                version.caveat,
                Context.parse(version.context),
            )
        )
        for each, version in state.items()
        if not _expired(version.expires, now)
        and wanted.resource_type in (None, each.resource.type)
        and wanted.resource_id in (None, each.resource.id)
        and wanted.relation in (None, each.relation)
        and wanted.subject_type in (None, each.subject.type)
        and wanted.subject_id in (None, each.subject.id)
        and wanted.subject_relation in (None, each.subject.relation)
    }


def objects_in(rows: set[Row], until: int) -> set[str]:
    """The objects that rows created up to a revision name; never `*`."""
    found = [each for each, created, *_ in rows if created <= until]
    ends = [(each.resource.type, each.resource.id) for each in found]
    ends += [(each.subject.type, each.subject.id) for each in found]
    return {f"{type_}:{id_}" for type_, id_ in ends if id_ != WILDCARD}

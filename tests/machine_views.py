"""How the machine of `test_store_machine.py` looks at a store: by numbers, and by following it from afar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.contexts import Context
from relgraph.tuples import Object, RelationTuple, Subject
from tests.naive_store import Row, Version

if TYPE_CHECKING:
    from relgraph.store.base import Changes, NumberedRow, Reads, Snapshot

__all__ = ["Follower", "kept_number", "key_numbers", "object_number", "spelled", "told_of", "version_of"]


class Follower:
    """Knows a store only from what `changes` told it, from some revision on."""

    def __init__(self) -> None:
        self.at = 0
        self.nonce = bytes(16)
        self.names: dict[int, str] = {0: ""}
        self.objects: dict[int, tuple[str, str]] = {}
        self.rows: dict[tuple[int, int, int, int], NumberedRow] = {}

    def start_over(self, snapshot: Snapshot) -> None:
        """Know what stands now, and nothing of how that came about."""
        image = snapshot.image()
        self.at, self.nonce = image.head.number, image.head.nonce
        self.names = {0: "", **dict(image.names)}
        self.rows = {row[:4]: row for row in image.rows}
        self.objects = {number: (self.names[type_], key) for number, type_, key in image.objects}

    def ask(self, snapshot: Snapshot) -> Changes:
        return snapshot.changes(self.at, max(self.names), max(self.objects, default=0))

    def learn(self, changes: Changes) -> None:
        """Take the changes in; names and objects must be new, the chain must go on, and rows must fit."""
        for number, name in changes.names:
            assert number not in self.names
            self.names[number] = name
        for number, type_, key in changes.objects:
            assert number not in self.objects
            self.objects[number] = (self.names[type_], key)
        for revision, predecessor in changes.chain:
            assert (self.at + 1, self.nonce) == (revision.number, predecessor)
            self.at, self.nonce = revision.number, revision.nonce
        for row in sorted(changes.rows, key=lambda row: row.created):
            assert row.deleted is None or row.created < row.deleted
            standing = self.rows.pop(row[:4], None)
            if standing is not None:
                # What stood before has ended, told before this row or with it.
                assert standing.created <= row.created
            if row.deleted is None:
                self.rows[row[:4]] = row

    def version_of(self, row: NumberedRow) -> Version:
        """What the row says beside its key."""
        return Version(row.created, self.names[row.caveat], str(Context.stored(row.context)), row.expires)

    def told(self, changes: Changes) -> set[Row]:
        """The rows of changes, in words; no two may be told alike."""
        told = {(self.spelled(row), row.created, row.deleted, *self.version_of(row)[1:]) for row in changes.rows}
        assert len(told) == len(changes.rows)
        return told

    def spelled(self, row: NumberedRow) -> RelationTuple:
        resource, subject = self.objects[row.resource], self.objects[row.subject]
        return RelationTuple(
            Object(*resource), self.names[row.relation], Subject(*subject, self.names[row.subject_relation])
        )


def object_number(view: Reads, type_: str, id_: str) -> int | None:
    type_id = view.name_id(type_)
    return None if type_id is None else view.object_id(type_id, id_)


def key_numbers(view: Reads, key: RelationTuple) -> tuple[int, int, int, int] | None:
    resource = object_number(view, key.resource.type, key.resource.id)
    subject = object_number(view, key.subject.type, key.subject.id)
    relation = view.name_id(key.relation)
    subject_relation = view.name_id(key.subject.relation) if key.subject.relation else 0
    if resource is None or relation is None or subject is None or subject_relation is None:
        return None
    return resource, relation, subject, subject_relation


def spelled(view: Reads, row: NumberedRow) -> RelationTuple:
    (resource_type, resource_id), (subject_type, subject_id) = view.object(row.resource), view.object(row.subject)
    return RelationTuple(
        Object(view.name(resource_type), resource_id),
        view.name(row.relation),
        Subject(view.name(subject_type), subject_id, view.name(row.subject_relation) if row.subject_relation else ""),
    )


def version_of(view: Reads, row: NumberedRow) -> Version:
    """What a row says beside its key."""
    caveat = view.name(row.caveat) if row.caveat else ""
    return Version(row.created, caveat, str(Context.stored(row.context)), row.expires)


def told_of(view: Reads, changes: Changes) -> set[Row]:
    """The rows of changes, in words; no two may be told alike."""
    told = {(spelled(view, row), row.created, row.deleted, *version_of(view, row)[1:]) for row in changes.rows}
    assert len(told) == len(changes.rows)
    return told


def kept_number(view: Snapshot, ahead: int) -> int:
    """One of the revisions that are kept, often the oldest."""
    return view.floor + ahead % (view.head.number - view.floor + 1)

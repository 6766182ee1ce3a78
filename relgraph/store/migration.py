"""Moving a store: all that one keeps becomes another's, whatever either is made of.

First everything up to one revision is copied, a batch a transaction, then what was written meanwhile; so the source
may be written all the time. At the end both are read in full and compared, and only then does the target open.

Rule 1: how far it has come is what the target holds: each batch goes on behind the last row that is there. So a
migration that was killed goes on where it was, and two at once do no harm.
Rule 2: a target is either empty, or all that it holds is the beginning of the source's own history, which the nonces
prove. A finished one is therefore brought up to date by migrating once more, until it is written itself.
Rule 3: revisions keep numbers, nonces and stamps, names and objects their numbers. The target keeps its own id, so
tokens of the source are refused there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidSetting, StoreUnavailable
from relgraph.store.history import PARTS, Mark, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from relgraph.revision import Revision
    from relgraph.store.base import Snapshot, Store
    from relgraph.store.history import History, HistoryRow, Intake, Key

__all__ = ["BATCH", "Digest", "Migrated", "digest", "migrate"]

BATCH: Final = 20_000
"""How many rows are copied in one transaction."""

_STEP: Final = 1000
"""How many revisions are followed in one transaction."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a store keeps, in short: how many rows of each part count, and a hash over them in the order of their keys.

    Equal digests mean equal rows, so whatever is asked of the one store at a kept revision is answered by the other.
    """

    counts: Mapping[Part, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class Migrated:
    """A migration that came to its end: the newest revision, and the digest that both stores have.

    `continued` says whether the target held a part of it before.
    """

    revision: int
    digest: Digest
    continued: bool


def migrate(
    source: Store,
    target: Store,
    *,
    told: Callable[[str, int], None] = lambda _what, _done: None,
    batch: int = BATCH,
) -> Migrated:
    """Make `target` hold all that `source` keeps, up to the newest revision at the end of the migration.

    `told` hears what is being copied and how many rows of it are done. Raises InvalidSetting for a target that holds
    something else, StoreUnavailable when it has to be run again.
    """
    mark, continued = _begun(source, target)
    if not mark.whole:
        for part in PARTS:
            _copy(source, target, mark, part, told, batch)
        whole = Mark(mark.source, mark.goal, whole=True)
        with target.intake() as intake:
            _check_mark(intake, mark)
            intake.note(whole)
            intake.commit()
        mark = whole
    return _finished(source, target, mark, told, batch, continued=continued)


def digest(history: History, floor: Revision, batch: int = BATCH) -> Digest:
    """Read a history in full. What had ended or expired by `floor` does not count, be it still there or not."""
    counts: dict[Part, int] = {}
    found = hashlib.sha256()
    for part in PARTS:
        found.update(f"{part}\n".encode())
        counts[part] = 0
        for row in _counting(part, _rows(history, part, batch), floor):
            counts[part] += 1
            # Numbers, texts, bytes and None, each spelled so that it can be nothing else.
            found.update(f"{row!r}\n".encode())
    return Digest(MappingProxyType(counts), found.hexdigest())


def _rows(history: History, part: Part, batch: int, behind: Key | None = None) -> Iterator[HistoryRow]:
    """All rows of a part behind a key."""
    size = PARTS[part].key
    behind = behind or (0,) * size
    while rows := history.rows(part, behind, batch):
        yield from rows
        behind = _key(rows[-1], size)


def _key(row: HistoryRow, size: int) -> Key:
    return tuple(each for each in row[:size] if isinstance(each, int))


def _counting(part: Part, rows: Iterator[HistoryRow], floor: Revision) -> Iterator[HistoryRow]:
    """Those rows that say something about a revision from `floor` on."""
    if part == "revisions":
        return (row for row in rows if _number(row[0]) >= floor.number)
    if part == "tuples":
        return (row for row in rows if not _passed(row, floor))
    if part == "schemas":
        kept = list(rows)
        in_force = max((_number(row[0]) for row in kept if _number(row[0]) <= floor.number), default=0)
        return (row for row in kept if _number(row[0]) >= in_force)
    return rows


def _passed(row: HistoryRow, floor: Revision) -> bool:
    """Whether a tuple had ended by a revision, or expired: a collection may have taken it, or not yet."""
    _, _, _, _, created, deleted, _, _, expires = row
    ended = deleted is not None and _number(deleted) <= floor.number
    return ended or (expires is not None and _number(expires) <= floor.stamp and _number(created) <= floor.number)


def _number(value: int | str | bytes | None) -> int:
    assert isinstance(value, int)
    return value


def _begun(source: Store, target: Store) -> tuple[Mark, bool]:
    """Begin, or take up what was begun; say whether the target held something before."""
    if source.id == target.id:
        raise InvalidSetting("the source and the target of the migration are one store; name another target")
    with source.snapshot() as snapshot, target.intake() as intake:
        mark, head = intake.mark, intake.head
        if mark is None and head is not None and not head.number:
            intake.note(mark := Mark(source.id, snapshot.head.number, whole=False))
            intake.commit()
            return mark, False
        if mark is not None and mark.source != source.id:
            raise InvalidSetting(
                "the target holds the beginning of a migration from another store; name that one as the source, "
                "or an empty target"
            )
        [number] = intake.last("revisions")
        _check_beginning(snapshot, intake, number)
        if mark is None:
            intake.note(mark := Mark(source.id, number, whole=True))
            intake.commit()
        return mark, True


def _check_beginning(snapshot: Snapshot, intake: Intake, number: int) -> None:
    """Raise InvalidSetting unless the revision `number`, the newest that the target holds, is the source's own."""
    kept = snapshot.revision(number)
    held = intake.history.rows("revisions", (number - 1,), 1)
    if number and (kept is None or held[0][:2] != (kept.number, kept.nonce)):
        raise InvalidSetting(
            f"the target holds a revision {number} that the source has not, or keeps no longer; "
            "name an empty target, or another source",
            {"revision": str(number)},
        )


def _check_mark(intake: Intake, mark: Mark) -> None:
    if intake.mark != mark:
        raise StoreUnavailable(
            "another migration to the same target has overtaken this one; let that one come to its end"
        )


def _copy(source: Store, target: Store, mark: Mark, part: Part, told: Callable[[str, int], None], batch: int) -> None:
    """Copy the rows of a part up to the mark's goal, a batch a transaction."""
    done = 0
    while True:
        # A view a batch: one kept for all of them would keep the source from tidying up.
        with source.snapshot() as snapshot, target.intake() as intake:
            _check_mark(intake, mark)
            rows = snapshot.history(mark.goal).rows(part, intake.last(part), batch)
            intake.add(part, rows)
            intake.commit()
        done += len(rows)
        told(part, done)
        if len(rows) < batch:
            return


def _finished(
    source: Store, target: Store, mark: Mark, told: Callable[[str, int], None], batch: int, *, continued: bool
) -> Migrated:
    """Follow the source to its head, compare, and open the target."""
    while True:
        with source.snapshot() as snapshot, target.intake() as intake:
            _check_mark(intake, mark)
            head = snapshot.head.number
            following = Mark(mark.source, min(head, mark.goal + _STEP), whole=True)
            _follow(snapshot, intake, mark.goal, following, batch)
            told("followed", following.goal)
            if following.goal == head:
                found = _compared(snapshot, intake, told, batch)
                intake.commit()
                return Migrated(head, found, continued)
            intake.commit()
            mark = following


def _follow(snapshot: Snapshot, intake: Intake, after: int, mark: Mark, batch: int) -> None:
    """Bring in what the source wrote behind a revision, which it must still keep."""
    history = snapshot.history(mark.goal)
    if after < snapshot.floor:
        raise StoreUnavailable(
            f"the source no longer keeps what it wrote since revision {after}, where the migration had come to; "
            "begin with an empty target, and let the source keep its history for longer meanwhile",
            {"revision": str(after)},
        )
    intake.end(history.ended(after))
    intake.add("tuples", history.created(after))
    for part in PARTS:
        if part != "tuples":
            intake.add(part, list(_rows(history, part, batch, intake.last(part))))
    intake.note(mark)


def _compared(snapshot: Snapshot, intake: Intake, told: Callable[[str, int], None], batch: int) -> Digest:
    """Open the target if it holds what the source does. Raises StoreUnavailable where they differ."""
    told("comparing", 0)
    theirs = snapshot.history(snapshot.head.number)
    # Either may have collected what the other still keeps; never the target's floor lower than it was.
    floor = snapshot.revision(max(snapshot.floor, intake.floor))
    assert floor is not None  # the floor itself is kept, and the target's is a revision of the source
    if floor.number:
        # Collected meanwhile by the source, and its key perhaps taken again: it must not stand beside that.
        intake.forget(floor)
    wanted, found = (digest(each, floor, batch) for each in (theirs, intake.history))
    if wanted != found:
        parts = [f"{part} {found.counts[part]} of {wanted.counts[part]}" for part in PARTS]
        raise StoreUnavailable(
            f"the target does not hold what the source does ({', '.join(parts)}); begin again with an empty target",
            {"wanted": wanted.sha256, "found": found.sha256},
        )
    intake.count_under(snapshot.counters())
    intake.finish()
    return wanted

"""Watching: what is committed, told revision by revision as it happens, with a token to go on behind.

Rule 1: no gap and no repeat. A watch stands behind one revision and takes the next one only where that names it as its
predecessor; whatever else it finds (a store that was replaced, a history that was collected) ends it with an error.
Rule 2: a revision is told as a whole, or not at all where nothing in it was asked for; then a checkpoint says so later.
Rule 3: a watch holds nothing between two looks at the store but a page of what it read: no thread, no connection.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from relgraph.answers import Checkpoint, LogEntry
from relgraph.api.history import entry_of
from relgraph.errors import InvalidInput, NoSchema, RelgraphError, RevisionUnavailable, quoted
from relgraph.revision import Revision, Token
from relgraph.tuples import TupleFilter, check_relation, check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from relgraph.api.following import Following
    from relgraph.schema import Schema
    from relgraph.store.base import Snapshot
    from relgraph.tuples import RelationTuple

__all__ = ["Selection", "Watch", "open_watch"]

_Event = TypeVar("_Event", LogEntry, Checkpoint)

_PAGE_REVISIONS: Final = 20
_LOOK_S_MAX: Final = 0.25


@dataclass(frozen=True, slots=True)
class Selection:
    """Which changes are told: of one of the types, one of the relations and by one of the filters, where given any.

    A change of the schema is always told.
    """

    types: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()
    filters: tuple[TupleFilter, ...] = ()

    @classmethod
    def of(cls, types: Iterable[str], relations: Iterable[str], filters: Iterable[TupleFilter]) -> Selection:
        """Return the selection. Raises InvalidName for a name that none can have."""
        return cls(frozenset(map(check_type, types)), frozenset(map(check_relation, relations)), tuple(filters))

    def told(self, entry: LogEntry) -> LogEntry | None:
        """Return what of a revision is told: all of it where nothing was chosen, None where nothing of it was."""
        if not (self.types or self.relations or self.filters):
            return entry
        created = tuple(filter(self._selects, entry.created))
        deleted = tuple(filter(self._selects, entry.deleted))
        if not created and not deleted and entry.schema is None:
            return None
        return replace(entry, created=created, deleted=deleted)

    def _selects(self, each: RelationTuple) -> bool:
        return (
            (not self.types or each.resource.type in self.types)
            and (not self.relations or each.relation in self.relations)
            and (not self.filters or any(filter_.matches(each) for filter_ in self.filters))
        )

    def check(self, schemas: Sequence[Schema]) -> None:
        """Return if one of the schemas knows each name: a misspelt one must not wait for ever.

        Raises what the last schema says of the name.
        """
        asked = [TupleFilter(type_) for type_ in sorted(self.types)]
        asked += [TupleFilter(relation=relation) for relation in sorted(self.relations)]
        for each in (*asked, *self.filters):
            for schema in schemas:
                try:
                    schema.check_filter(each)
                except RelgraphError:
                    if schema is schemas[-1]:
                        raise
                else:
                    break


class Watch:
    """Tells what is committed, for ever: an iterator over `LogEntry` and `Checkpoint`, to be closed when done.

    It opens with a checkpoint, which names where it begins. Both carry the `token` to go on behind: whoever keeps that
    of the last one it dealt with misses nothing and sees nothing twice. One thread iterates; any may close, and then
    the iteration ends. Raises RevisionUnavailable where what comes next is not kept, or the store is not the one that
    it was; StoreUnavailable.
    """

    def __init__(
        self, following: Following, start: Revision, selection: Selection, heartbeat: float, timer: Callable[[], float]
    ) -> None:
        self._following = following
        self._position = start
        self._selection = selection
        self._heartbeat = heartbeat
        self._timer = timer
        self._page: deque[tuple[Revision, LogEntry]] = deque()
        self._told_at = -math.inf
        self._closed = False

    @property
    def revision(self) -> int:
        """The last revision that was dealt with: told, or passed over."""
        return self._position.number

    @property
    def token(self) -> str:
        """The token to go on behind."""
        return self._following.token(self._position)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration. Closing twice is fine."""
        self._closed = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LogEntry | Checkpoint:
        """Wait for the next thing to tell."""
        while not self._closed:
            if self._timer() - self._told_at >= self._heartbeat:
                return self._told(Checkpoint(self.revision, self.token))
            if not self._page and not self._read():
                rest = self._told_at + self._heartbeat - self._timer()
                self._following.store.wait(self._position, max(0.0, min(rest, _LOOK_S_MAX)))
                continue
            self._position, entry = self._page.popleft()
            told = self._selection.told(entry)
            if told is not None:
                return self._told(told)
        raise StopIteration

    def _told(self, event: _Event) -> _Event:
        self._told_at = self._timer()
        return event

    def poll(self) -> list[LogEntry]:
        """Return the next few revisions that are committed already, selected or not, and none at the newest one.

        For who has something better to do than to wait. Raises as the iteration.
        """
        if not self._page:
            self._read()
        found = [entry for _, entry in self._page]
        if found:
            self._position = self._page[-1][0]
            self._page.clear()
        return found

    def _read(self) -> bool:
        """Read the next page behind where the watch stands; say whether there was any."""
        following = self._following
        following.check_process()
        store = following.store
        if store.head() == self._position:
            return False
        # The horizon and the entries in one snapshot: between two, what is to be told could be collected.
        with store.snapshot() as snapshot:
            before = following.kept(snapshot, Token.parse(self.token))
            found = snapshot.log(before.number, _PAGE_REVISIONS)
        for entry in found:
            if entry.predecessor != before.nonce or entry.revision.number != before.number + 1:
                raise RevisionUnavailable(
                    f"revision {entry.revision.number} does not follow the revision {before.number} that was told "
                    "before; the store may have been replaced: read it anew",
                    {"revision": str(entry.revision.number)},
                )
            before = entry.revision
            self._page.append((before, entry_of(following, entry)))
        return bool(found)


def open_watch(
    following: Following,
    after: str | Token | None,
    selection: Selection,
    heartbeat: float,
    timer: Callable[[], float],
) -> Watch:
    """See `Authorizer.watch`."""
    if math.isnan(heartbeat) or heartbeat <= 0:
        raise InvalidInput(
            f"a heartbeat every {quoted(str(heartbeat))} seconds cannot be kept; give a number above 0",
        )
    following.check_process()
    token = Token.parse(after) if isinstance(after, str) else after
    with following.store.snapshot() as snapshot:
        start = snapshot.head if token is None else following.kept(snapshot, token)
        if selection != Selection():
            selection.check(_schemas(following, snapshot, start))
    return Watch(following, start, selection, heartbeat, timer)


def _schemas(following: Following, snapshot: Snapshot, start: Revision) -> list[Schema]:
    """The schemas in force where a watch begins and now: what was removed between them is still to be told."""
    found = [snapshot.schema(number) for number in (start.number, snapshot.head.number)]
    schemas = [following.parsed(version) for version in found if version is not None]
    if not schemas:
        raise NoSchema("the store has no schema yet, so nothing can be chosen; watch it all, or write a schema first")
    return schemas

"""The feed: the newest revisions of a store, read from it once for all who watch, in a thread of their own.

Rule 1: the feed's state belongs to the event loop; its thread only hands over what it read.
Rule 2: what the feed holds is bounded, in revisions and in changed tuples; only a revision that is larger than that by
itself is kept all the same, alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.answers import LogEntry
from relgraph.errors import RelgraphError, RevisionUnavailable, ServerUnavailable
from relgraph.revision import Token
from relgraph.wire.watches import change_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.api import Watch
    from relgraph.v1 import authorizer_pb2 as pb
    from relgraph_server.settings import Settings

__all__ = ["Feed", "Item", "Stand"]

_log: Final = logging.getLogger(__name__)

_TAKEN_MAX: Final = 100


class Stand(NamedTuple):
    """The last revision that was dealt with."""

    number: int
    nonce: bytes
    token: str

    @classmethod
    def of(cls, token: str) -> Stand:
        """Return where a token stands."""
        parsed = Token.parse(token)
        return cls(parsed.revision, parsed.nonce, token)


class Item(NamedTuple):
    """A revision, and all of it as messages."""

    stand: Stand
    entry: LogEntry
    parts: list[pb.Change]

    @classmethod
    def of(cls, entry: LogEntry) -> Item:
        """Build the messages of a revision."""
        return cls(Stand.of(entry.token), entry, change_parts(entry))

    @property
    def changes(self) -> int:
        """How many tuples it changed."""
        return len(self.entry.created) + len(self.entry.deleted)


class Feed:
    """The newest revisions of a store, from where it stands when this is made."""

    def __init__(self, watch: Watch, settings: Settings) -> None:
        self._watch = watch
        self._revisions_max = settings.watch_backlog_revisions_max
        self._changes_max = settings.watch_backlog_changes_max
        self._items: deque[Item] = deque()
        self._changes = 0
        self._loop = asyncio.get_running_loop()
        self.base = self.head = Stand.of(watch.token)
        self.moved: asyncio.Future[None] = self._loop.create_future()
        self.problem: RelgraphError | None = None
        self._thread = threading.Thread(target=self._read, name="relgraph-watch-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the reading soon."""
        self._watch.close()

    @property
    def running(self) -> bool:
        """Whether its thread has not ended yet."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the reading to end."""
        self._thread.join()

    def _read(self) -> None:
        problem: RelgraphError = ServerUnavailable("the watch was ended; watch again behind the last token")
        try:
            for event in self._watch:
                if isinstance(event, LogEntry):
                    self._hand(self._take, Item.of(event))
        except RelgraphError as error:
            problem = error
        except Exception:  # noqa: BLE001 - whatever it is, nobody must go on waiting for what is not read any more
            _log.exception("the feed of the watches failed")
            problem = ServerUnavailable(
                "the server failed while it read what is watched; its log tells why, watch again behind the last token"
            )
        self._hand(self.end, problem)

    def _hand(self, take: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the thread did
            self._loop.call_soon_threadsafe(take, *arguments)

    def _take(self, item: Item) -> None:
        self._items.append(item)
        self._changes += item.changes
        self.head = item.stand
        while len(self._items) > 1 and (len(self._items) > self._revisions_max or self._changes > self._changes_max):
            gone = self._items.popleft()
            self._changes -= gone.changes
            self.base = gone.stand
        self._wake()

    def end(self, problem: RelgraphError) -> None:
        """Raise `problem` to everybody, unless something has ended the feed before."""
        self.problem = self.problem or problem
        self._wake()

    def _wake(self) -> None:
        moved, self.moved = self.moved, self._loop.create_future()
        moved.set_result(None)

    def check(self) -> None:
        """Raise what ended the feed, if something did."""
        if self.problem is not None:
            # Each watch raises one of its own: a traceback grows with every raise.
            raise type(self.problem)(self.problem.message, self.problem.details)

    def behind(self, stand: Stand) -> list[Item]:
        """Return what is behind a revision that the feed reaches back to, a good deal of it.

        Raises RevisionUnavailable where the feed knows another revision of that number, and what ended the feed.
        """
        self.check()
        if stand.number >= self.head.number:
            found, before = [], self.head if stand.number == self.head.number else stand
        else:
            count = self.head.number - stand.number
            first = len(self._items) - count
            found = [self._items[index] for index in range(first, min(first + _TAKEN_MAX, len(self._items)))]
            before = self.base if count == len(self._items) else self._items[-count - 1].stand
        if before.nonce != stand.nonce:
            raise RevisionUnavailable(
                f"revision {stand.number} is not the one that was told before; the store may have been replaced: "
                "read it anew",
                {"revision": str(stand.number)},
            )
        return found

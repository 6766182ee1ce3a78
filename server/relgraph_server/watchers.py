"""Watches: each caller told at its own pace, of what the feed has read for all of them.

Whoever begins further back than the feed reaches catches up from the store first. The log on disk is everybody's
backlog: nothing is queued for a caller but the message that it is being sent.

Rule 1: nothing is dropped. A watch that stands behind what the feed still holds, or that catches up and did not take a
message while all of that was replaced, ends with LAGGED and the token to watch behind again.
Rule 2: what ends the feed ends every watch: the next ones begin anew, behind tokens that the store knows or refuses.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from relgraph.api import Selection
from relgraph.errors import Lagged, LimitExceeded, RevisionUnavailable, ServerUnavailable
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.watches import change_parts, read_heartbeat, read_selected, watch_messages
from relgraph_server.feed import Feed, Item, Stand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from relgraph.api import Authorizer, Watch
    from relgraph_server.settings import Settings

__all__ = ["Telling", "Watchers"]

_Result = TypeVar("_Result")
_Part = TypeVar("_Part")
_Message = TypeVar("_Message")
_Message_co = TypeVar("_Message_co", covariant=True)

_INLINE_CHANGES_MAX: Final = 1_000
_NEVER_S: Final = 1e9


class Telling(Protocol[_Part, _Message_co]):
    """What one caller is told, and in which messages: each dialect has one of its own."""

    @property
    def heartbeat(self) -> float:
        """After how many seconds without a message a checkpoint is due; infinite where none is told."""

    @property
    def prepared(self) -> bool:
        """Whether `parts` takes no work, however much was changed."""

    @property
    def looks(self) -> int:
        """How often `parts` looks at a change: once for each filter, of which there may be very many."""

    def open(self, authorizer: Authorizer) -> Watch:
        """Find where to begin. It waits for the store: for a thread."""

    def parts(self, items: Sequence[Item]) -> list[_Part]:
        """Return what of these revisions is told. Perhaps in a thread."""

    def messages(self, parts: Sequence[_Part], stand: Stand) -> Iterator[tuple[_Message_co, Stand]]:
        """Yield the messages that tell it to who stands there, and where each one leaves its reader."""

    def checkpoint(self, stand: Stand) -> _Message_co | None:
        """Return the message that says that nothing up to there is left to tell; None where that is not told."""


class _Native:
    """What a watch in relgraph.v1 is told."""

    def __init__(self, request: pb.WatchRequest, heartbeat_ms_min: int) -> None:
        self._after = request.after or None
        self._wanted = read_selected(request)
        self._selection = Selection.of(*self._wanted)
        self.heartbeat = read_heartbeat(request, heartbeat_ms_min)
        self.prepared = self._selection == Selection()
        self.looks = max(1, len(self._selection.filters))

    def open(self, authorizer: Authorizer) -> Watch:
        types, relations, filters = self._wanted
        return authorizer.watch(self._after, types=types, relations=relations, filters=filters)

    def parts(self, items: Sequence[Item]) -> list[pb.Change]:
        parts: list[pb.Change] = []
        for item in items:
            told = self._selection.told(item.entry)
            if told is not None:
                parts += item.parts if told is item.entry else change_parts(told)
        return parts

    def messages(self, parts: Sequence[pb.Change], stand: Stand) -> Iterator[tuple[pb.WatchResponse, Stand]]:
        for message in watch_messages(parts, stand.number, stand.token):
            if message.revision > stand.number:
                stand = Stand.of(message.token)
            yield message, stand

    def checkpoint(self, stand: Stand) -> pb.WatchResponse:
        return pb.WatchResponse(revision=stand.number, token=stand.token)


class Watchers:
    """Everybody who watches one store through this server."""

    def __init__(self, authorizer: Authorizer, settings: Settings) -> None:
        self._authorizer = authorizer
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.watch_threads_max, thread_name_prefix="relgraph-watch")
        self._watching: set[_Sighted] = set()
        self._count = 0
        self._feed: asyncio.Task[Feed] | None = None
        self._old: list[Feed] = []
        self._ending = False

    @property
    def count(self) -> int:
        """How many watch now."""
        return self._count

    @property
    def lag(self) -> int:
        """How many revisions the one furthest behind was not told yet."""
        return max((watcher.lag for watcher in self._watching), default=0)

    def stop(self) -> None:
        """End every watch at once, and refuse new ones."""
        self._ending = True
        task = self._feed
        if task is not None and task.done() and not task.cancelled() and task.exception() is None:
            task.result().end(_stopping())

    def close(self) -> None:
        """Wait for the threads to end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for feed in self._old:
            feed.join()

    async def watch(self, request: pb.WatchRequest, send: Callable[[pb.WatchResponse], Awaitable[None]]) -> None:
        """Tell by `send` what is committed, until something ends it. Raises what that is."""
        await self.tell(_Native(request, self._settings.heartbeat_ms_min), send)

    async def tell(self, telling: Telling[_Part, _Message], send: Callable[[_Message], Awaitable[None]]) -> None:
        """Tell by `send` what is committed, in a dialect's messages, until something ends it. Raises what that is."""
        self._check_room()
        self._count += 1
        try:
            feed = await self._fed()
            watch = await self._thread(lambda: telling.open(self._authorizer))
            watcher = _Watcher(feed, telling, send, self._thread)
            self._watching.add(watcher)
            try:
                await watcher.run(watch)
            finally:
                self._watching.discard(watcher)
        finally:
            self._count -= 1
            if not self._count:
                self._drop()

    def _check_room(self) -> None:
        if self._ending:
            raise _stopping()
        if self._count >= self._settings.watchers_max:
            raise LimitExceeded(
                f"{self._count} watches are in progress, and more are not allowed; end one, or raise the server's "
                "`watchers_max`",
                {"limit": "watchers_max", "value": str(self._settings.watchers_max)},
            )

    async def _fed(self) -> Feed:
        """Return the feed; whoever comes first starts it."""
        task = self._feed
        if task is not None and task.done() and (task.exception() or task.result().problem):
            self._drop()
            task = None
        if task is None:
            task = self._feed = asyncio.get_running_loop().create_task(self._start())
        # Shielded: the others still wait for it when the first one goes.
        feed = await asyncio.shield(task)
        if self._ending:
            feed.end(_stopping())
        return feed

    async def _start(self) -> Feed:
        return Feed(await self._thread(lambda: self._authorizer.watch(heartbeat=_NEVER_S)), self._settings)

    def _drop(self) -> None:
        """Stop the feed, now or once it has started."""
        task, self._feed = self._feed, None

        def stop(done: asyncio.Task[Feed]) -> None:
            if not done.cancelled() and done.exception() is None:
                done.result().stop()
                self._old = [each for each in self._old if each.running] + [done.result()]

        if task is not None:
            task.add_done_callback(stop)

    async def _thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Sighted(Protocol):
    """What is told of a caller."""

    @property
    def lag(self) -> int:
        """How many revisions it was not told yet."""


class _Watcher(Generic[_Part, _Message]):
    """One caller, and how far it was told."""

    def __init__(
        self,
        feed: Feed,
        telling: Telling[_Part, _Message],
        send: Callable[[_Message], Awaitable[None]],
        in_thread: Callable[[Callable[[], list[_Part]]], Awaitable[list[_Part]]],
    ) -> None:
        self._feed = feed
        self._telling = telling
        self._heartbeat = telling.heartbeat
        self._send = send
        self._in_thread = in_thread
        self._loop = asyncio.get_running_loop()
        self._sent_at = 0.0
        self._stand = feed.base
        self._live = False

    @property
    def lag(self) -> int:
        """How many revisions it was not told yet."""
        return max(0, self._feed.head.number - self._stand.number)

    async def run(self, watch: Watch) -> None:
        """Tell from where `watch` stands, without end."""
        self._stand = Stand.of(watch.token)
        await self._checkpoint()
        while self._stand.number < self._feed.base.number:
            await self._catch_up(watch)
        self._live = True
        while True:
            self._check()
            items = self._feed.behind(self._stand)
            if not items:
                await self._rest()
            await self._tell(items)

    async def _catch_up(self, watch: Watch) -> None:
        """Tell the next page from the store."""
        items: list[Item] = []

        def page() -> list[_Part]:
            items.extend(map(Item.of, watch.poll()))
            return self._telling.parts(items)

        parts = await self._in_thread(page)
        if not items:
            raise RevisionUnavailable(
                f"the store ends at revision {self._stand.number}, and has told of later ones before; it may have been "
                "replaced by an older copy: read it anew",
                {"revision": str(self._stand.number)},
            )
        await self._tell_parts(parts, items[-1].stand)

    async def _tell(self, items: Sequence[Item]) -> None:
        """Tell what the feed holds."""
        if not items:
            return
        changes = sum(each.changes for each in items)
        if not self._telling.prepared and changes * self._telling.looks > _INLINE_CHANGES_MAX:
            parts = await self._in_thread(lambda: self._telling.parts(items))
        else:
            parts = self._telling.parts(items)
        await self._tell_parts(parts, items[-1].stand)

    async def _tell_parts(self, parts: Sequence[_Part], through: Stand) -> None:
        for message, stand in self._telling.messages(parts, self._stand):
            await self._sent(message)
            self._stand = stand
        self._stand = through
        if self._loop.time() - self._sent_at >= self._heartbeat:
            await self._checkpoint()

    async def _rest(self) -> None:
        """Wait for something to tell, or until a heartbeat is due."""
        left = self._sent_at + self._heartbeat - self._loop.time()
        if left <= 0:
            await self._checkpoint()
            return
        await asyncio.wait({self._feed.moved}, timeout=None if math.isinf(left) else left)

    async def _checkpoint(self) -> None:
        message = self._telling.checkpoint(self._stand)
        if message is not None:
            await self._sent(message)

    async def _sent(self, message: _Message) -> None:
        """Send a message, for as long as the caller may take over it."""
        self._check()
        # Who catches up is behind anyway: what counts is what was committed while one message was not taken.
        mark = self._stand if self._live else self._feed.head
        sending = self._loop.create_task(_whole(self._send(message)))
        try:
            while not sending.done():
                await asyncio.wait({sending, self._feed.moved}, return_when=asyncio.FIRST_COMPLETED)
                if not sending.done():
                    self._check(mark)
            await sending
        finally:
            sending.cancel()
        self._sent_at = self._loop.time()

    def _check(self, mark: Stand | None = None) -> None:
        """Raise what ends the watch, if something does."""
        self._feed.check()
        mark = mark or (self._stand if self._live else None)
        if mark is not None and mark.number < self._feed.base.number:
            raise Lagged(
                f"the watch was told up to revision {self._stand.number} and the store is at {self._feed.head.number}, "
                "further ahead than is kept for who reads slowly; watch again behind the last token, and read faster",
                {"token": self._stand.token, "revision": str(self._stand.number)},
            )


async def _whole(sending: Awaitable[None]) -> None:
    await sending


def _stopping() -> ServerUnavailable:
    return ServerUnavailable("the server is stopping; watch again behind the last token, there or at another one")

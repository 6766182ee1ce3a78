"""Places: how many streams of one kind are in progress at once, who waits for a place, and who has to give one up.

Rule 1: while nobody waits, a stream may take as long as it likes, though not over one message.
Rule 2: while somebody waits, whoever stalls gives its place up soon, and whoever has held one for long does so too.
Rule 3: only so many imports and exports wait; the others are refused at once. They alone never use up the calls that
are allowed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from relgraph.errors import DeadlineExceeded, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from relgraph_server.settings import Settings

__all__ = ["Place", "Places"]

_Result = TypeVar("_Result")

_STALLED: Final = {
    "export": ("was not taken", "read faster, or export again"),
    "lookup": ("was not taken", "read faster, or ask by the page"),
    "import": ("was not sent", "nothing was changed: send faster, or import in parts"),
}


class Places:
    """The places of a kind of stream: `import`, `export` or `lookup`."""

    def __init__(self, kind: str, count: int, settings: Settings) -> None:
        self.kind = kind
        self.settings = settings
        self.waiting = 0
        self.crowd: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done while somebody waits."""
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Hold a place, once there is one. Raises LimitExceeded where too many wait for one already."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            yield Place(self)
        finally:
            self._free.release()

    async def _wait(self) -> None:
        most = self.settings.waiting_max
        # A lookup is a question, and waits as one: who asks is answered, and all calls together are bounded.
        if self.waiting >= most and self.kind != "lookup":
            raise LimitExceeded(
                f"{most} {self.kind}s wait for their turn, and no more may; try again later, or raise the server's "
                f"`waiting_max` or `{self.kind}s_max`",
                {"limit": "waiting_max", "value": str(most)},
            )
        self.waiting += 1
        if not self.crowd.done():
            self.crowd.set_result(None)
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
            if not self.waiting:
                self.crowd = asyncio.get_running_loop().create_future()


class Place:
    """A place that is held, from now on."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    async def within(self, step: Awaitable[_Result]) -> _Result:
        """Wait for one message to come or go. Raises DeadlineExceeded where that takes longer than it may."""
        task = asyncio.ensure_future(step)
        began = self._loop.time()
        try:
            while not task.done():
                crowd = self._places.crowd
                limit, until = self._bound(began, crowded=crowd.done())
                left = until - self._loop.time()
                if left <= 0:
                    raise self._stalled(limit)
                waits: set[asyncio.Future[_Result] | asyncio.Future[None]] = {task}
                if not crowd.done():
                    waits.add(crowd)
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            return task.result()
        finally:
            task.cancel()

    def _bound(self, began: float, *, crowded: bool) -> tuple[str, float]:
        """Return which setting bounds a message now, and until when it may take."""
        settings = self._places.settings
        bounds = [("message_ms_max", began)]
        if crowded:
            bounds += [("crowded_ms_max", began), ("stream_ms_max", self._since)]
        return min(
            ((name, start + getattr(settings, name) / 1000) for name, start in bounds), key=lambda bound: bound[1]
        )

    def _stalled(self, limit: str) -> DeadlineExceeded:
        what, remedy = _STALLED[self._places.kind]
        longest: int = getattr(self._places.settings, limit)
        told = f"a message {what} within {longest} ms"
        if limit == "stream_ms_max":
            told = f"the {self._places.kind} took more than {longest} ms"
        others = "" if limit == "message_ms_max" else " while others wait for its place"
        return DeadlineExceeded(
            f"{told}{others}, and the {self._places.kind} was ended; {remedy}",
            {"limit": limit, "value": str(longest)},
        )

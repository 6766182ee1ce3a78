"""An AsyncClient with the face of a Client, so that what is asked of the one is asked of the other by the same test.

A thread has the event loop; each call is made there and waited for here.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from relgraph.client import AsyncClient
from tests.serving import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from relgraph.client import Client

__all__ = ["awaited"]


class _Face:
    """Something with coroutines for methods, as if they were plain ones."""

    def __init__(self, inner: object, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._tuples: AsyncIterator[object] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            return self._wait(self._made(found, args, kwargs))

        return call

    async def _made(self, method: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        made = method(*args, **kwargs)
        if inspect.isawaitable(made):
            return await made
        # What begins in a block of its own begins at once for a Client.
        await made.__aenter__()
        return _Face(made, self._loop)

    def _wait(self, work: Coroutine[Any, Any, object]) -> object:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        async def step() -> tuple[object, ...]:
            if self._tuples is None:
                self._tuples = aiter(cast("AsyncIterator[object]", self._inner))
            try:
                return (await anext(self._tuples),)
            except StopAsyncIteration:
                return ()

        found = cast("tuple[object, ...]", self._wait(step()))
        if not found:
            raise StopIteration
        return found[0]


@contextmanager
def awaited(address: str, **settings: Any) -> Iterator[Client]:
    """Open an AsyncClient in a loop of its own, with a Client's face."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-tasks")
    thread.start()
    try:
        with _Face(AsyncClient(address, **settings), loop) as face:
            yield cast("Client", face)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()

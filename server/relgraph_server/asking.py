"""What any dialect asks through: questions in reading threads, writes in writing threads, and the places of streams.

Questions share a few threads, and writes have some of their own, which are committed together: writers waiting for the
store's lock never hold up a question.
Rule 1: a call whose caller has gone is dropped if it still waits for its thread; a write that was begun is carried
through, in its principal's name, and recorded.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

from relgraph.errors import DeadlineExceeded
from relgraph_server.calls import CALL, Done
from relgraph_server.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.api import Authorizer
    from relgraph_server.settings import Settings

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Asking", "seconds_left"]

_Answer = TypeVar("_Answer")
_Done = TypeVar("_Done", bound=Done)


def seconds_left(context: Context) -> float | None:
    """Return the seconds the caller still waits, None without end. Raises DeadlineExceeded when there are none."""
    left = cast("float | None", context.time_remaining())  # None without a deadline, though the stubs know of none
    if left is not None and left <= 0:
        raise DeadlineExceeded("the caller's deadline passed before the work began; allow more time, or ask for less")
    return left


class Asking:
    """The threads and places of one server, over one Authorizer, which it uses and does not own.

    Every dialect's streams share the places of their kind: `imports`, `exports`, `lookups`.
    """

    def __init__(self, authorizer: Authorizer, settings: Settings) -> None:
        self.authorizer = authorizer
        self.settings = settings
        self._readers = ThreadPoolExecutor(settings.read_threads_max, thread_name_prefix="relgraph-read")
        self._writers = ThreadPoolExecutor(settings.write_threads_max, thread_name_prefix="relgraph-write")
        self.exports = Places("export", settings.exports_max, settings)
        self.imports = Places("import", settings.imports_max, settings)
        self.lookups = Places("lookup", settings.lookups_max, settings)

    def close(self) -> None:
        """Wait for the work in progress, drop what still waits, and end the threads."""
        for pool in (self._readers, self._writers):
            pool.shutdown(wait=True, cancel_futures=True)

    async def ask(self, question: Callable[[float], _Answer], context: Context) -> _Answer:
        """Run a question in a reading thread, with what is left of its deadline once the thread is free.

        Every question ends: a caller who waits for ever, or has gone, must not keep a thread, nor the server from
        stopping.
        """
        longest = self.settings.question_ms_max / 1000
        call = CALL.get()

        def begin() -> _Answer:
            left = seconds_left(context)
            return call.work(lambda: question(longest if left is None else min(left, longest)))

        call.wait()
        return await asyncio.get_running_loop().run_in_executor(self._readers, begin)

    async def change(self, write: Callable[[Authorizer], _Done], context: Context) -> _Done:
        """Run a write, in its principal's name, in a writing thread. Once begun it is carried through, and recorded."""
        return await asyncio.wrap_future(self.begin_change(write, context))

    def begin_change(self, write: Callable[[Authorizer], _Done], context: Context) -> Future[_Done]:
        """Have a write run as `change` does; whoever has its future can tell when it ends, also without its caller."""
        call = CALL.get()
        authorizer = self.authorizer.by(call.principal) if call.principal else self.authorizer

        def begin() -> _Done:
            seconds_left(context)
            return call.work(lambda: call.carry_out(lambda: write(authorizer)))

        call.wait()
        return self._writers.submit(begin)

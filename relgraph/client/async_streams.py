"""A client's streams for tasks: what it is told in many messages, and what it sends in many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

import grpc
import grpc.aio

from relgraph.client.telling import Batching, Dumped, Watched
from relgraph.errors import DeadlineExceeded, InvalidInput, RelgraphError, quoted
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire import answers
from relgraph.wire.failures import error_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from relgraph.answers import Checkpoint, Imported, LogEntry
    from relgraph.client.terms import Terms
    from relgraph.tuples import RelationTuple

__all__ = ["AsyncDump", "AsyncWatch", "Told", "broken_off", "send"]


class Told(Protocol):
    """A call that is answered with a stream."""

    async def read(self) -> object:
        """Wait for the next message; at the end, for something else."""

    def cancel(self) -> bool:
        """End the call."""


@contextmanager
def broken_off(terms: Terms) -> Iterator[None]:
    """Raise what a call raises as relgraph's own; a client that is closed cancels its calls, and no task."""
    try:
        yield
    except grpc.RpcError as problem:
        raise error_from(problem, terms.target) from None
    except asyncio.CancelledError:
        if _is_cancelled() or not terms.closed:
            raise
        raise terms.shut() from None
    except grpc.aio.UsageError:  # what gRPC says about a channel that was closed meanwhile
        raise terms.shut() from None


def _is_cancelled() -> bool:
    """Whether this very task is wanted to end, rather than a call that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _first(call: Told, terms: Terms) -> object:
    """Wait for the first message of a call, which has to come in time."""
    try:
        async with asyncio.timeout(terms.timeout):
            return await call.read()
    except TimeoutError:
        raise DeadlineExceeded(f"{quoted(terms.target)} did not answer in time; allow more time") from None


class AsyncDump:
    """The dump of `Client`, for tasks: iterated once, by one of them, best in an `async with` block.

    It begins there, or with the first tuple; `schema`, `revision` and `token` are known from then on.
    """

    def __init__(self, begin: Callable[[], Told], terms: Terms, pause: Callable[[float], Awaitable[object]]) -> None:
        self._begin = begin
        self._terms = terms
        self._pause = pause
        self._closed = False
        self._dumped = Dumped(terms)
        self._call: Told | None = None
        self._head: pb.ExportResponse | None = None

    @property
    def schema(self) -> str:
        """The text in force at `revision`."""
        return self._begun().schema

    @property
    def revision(self) -> int:
        """The revision that all of it is of."""
        return self._begun().revision

    @property
    def token(self) -> str:
        """The token of that revision."""
        return self._begun().token

    def _begun(self) -> pb.ExportResponse:
        if self._head is None:
            raise InvalidInput("the dump has not begun; open it with `async with`, or read its tuples first")
        return self._head

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the iteration, and what the server keeps for it. Closing twice is fine."""
        self._closed = True
        if self._call is not None:
            self._call.cancel()

    async def __aiter__(self) -> AsyncIterator[RelationTuple]:
        while page := await self.page():
            for each in page:
                yield each

    async def page(self) -> tuple[RelationTuple, ...]:
        """Return the next many tuples, and none at the end."""
        await self._open()
        while not self._closed and (message := await self._receive()) is not None:
            tuples = self._dumped.take(message)
            if self._dumped.whole:
                await self._end()
            if tuples:
                return tuples
        return ()

    async def _end(self) -> None:
        """Wait for the end of a call that told all: called off, it would count as one whose caller left."""
        assert self._call is not None
        self._closed = True
        try:
            async with asyncio.timeout(self._terms.timeout):
                with broken_off(self._terms):
                    more = await self._call.read()
        except (RelgraphError, TimeoutError):
            more = None
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            more = None
        self._call.cancel()  # nothing, where it has ended
        if isinstance(more, pb.ExportResponse):
            raise self._dumped.short()

    def _ended(self) -> bool:
        return self._closed

    async def _open(self) -> None:
        attempts = self._terms.attempts()
        while self._head is None and not self._ended():
            try:
                self._call = self._begin()
                with broken_off(self._terms):
                    self._head = self._whole(await _first(self._call, self._terms))
                self._terms.note(self._head.token)
            except RelgraphError as error:
                pause = error if self._terms.closed else attempts.after(error)
                if isinstance(pause, RelgraphError):
                    raise pause from None
                await self._pause(pause)
            except asyncio.CancelledError:
                if _is_cancelled() or not self._ended():
                    raise

    async def _receive(self) -> pb.ExportResponse | None:
        """Wait for the next message; None once it was closed."""
        assert self._call is not None
        try:
            with broken_off(self._terms):
                return self._whole(await self._call.read())
        except (RelgraphError, asyncio.CancelledError):
            if self._closed and not _is_cancelled():
                return None
            raise

    def _whole(self, message: object) -> pb.ExportResponse:
        if not isinstance(message, pb.ExportResponse):
            raise self._dumped.short()
        return message


class AsyncWatch:
    """The watch of `Client`, for tasks: an asynchronous iterator, to be closed when done, best by `async with`.

    It begins there, or with the first thing told. One task iterates; any of its loop may close.
    """

    def __init__(
        self,
        begin: Callable[[pb.WatchRequest], Told],
        watched: Watched,
        terms: Terms,
        pause: Callable[[float], Awaitable[object]],
    ) -> None:
        self._begin = begin
        self._watched = watched
        self._terms = terms
        self._pause = pause
        self._closed = False
        self._open = False
        self._call: Told | None = None

    @property
    def revision(self) -> int:
        """The last revision that was told; 0 before it has begun."""
        return self._watched.revision

    @property
    def token(self) -> str:
        """The token to go on behind."""
        return self._watched.token

    async def __aenter__(self) -> Self:
        while not self._watched.begun and not self._closed:
            await self._receive()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the iteration, and what the server keeps for it. Closing twice is fine."""
        self._closed = True
        if self._call is not None:
            self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LogEntry | Checkpoint:
        """Wait for the next thing to tell."""
        while not self._closed:
            event = self._watched.next()
            if event is not None:
                return event
            await self._receive()
        raise StopAsyncIteration

    async def _receive(self) -> None:
        """Take one message in, of a new call where the one before broke off."""
        try:
            with broken_off(self._terms):
                message = await self._message()
            if not isinstance(message, pb.WatchResponse):
                raise self._watched.broken()
            self._open = True
            self._watched.take(message)
        except (RelgraphError, asyncio.CancelledError) as error:
            if self._closed and not _is_cancelled():
                return
            self._open = False
            if isinstance(error, asyncio.CancelledError):
                raise
            pause = self._watched.after(error)
            if isinstance(pause, RelgraphError):
                raise pause from None
            await self._pause(pause)

    async def _message(self) -> object:
        if self._open and self._call is not None:
            return await self._call.read()
        self._call = self._begin(self._watched.request())
        return await _first(self._call, self._terms)


async def send(
    method: grpc.aio.StreamUnaryMultiCallable[pb.ImportRequest, pb.ImportResponse],
    metadata: Sequence[tuple[str, str]],
    tuples: Iterable[str | RelationTuple] | AsyncIterable[str | RelationTuple],
    options: pb.ImportOptions,
    terms: Terms,
) -> Imported:
    """Make an import whose tuples are read here. Raises what the server raised, and what reading them raises."""
    with broken_off(terms):
        call = method(metadata=metadata)
        complete = False
        try:
            async for message in _batches(tuples, options):
                try:
                    await call.write(message)
                except (grpc.RpcError, asyncio.InvalidStateError):
                    break  # the server has ended it early, and the call says why
            await call.done_writing()
            complete = True
        finally:
            # a stream whose source failed is cancelled before it can end: the server must never see it as whole
            if not complete:
                call.cancel()
        response = await call
    terms.note(response.token)
    return answers.read_imported(response)


async def _batches(
    tuples: Iterable[str | RelationTuple] | AsyncIterable[str | RelationTuple], options: pb.ImportOptions
) -> AsyncIterator[pb.ImportRequest]:
    batching = Batching(options)
    if isinstance(tuples, AsyncIterable):
        async for fact in tuples:
            if (full := batching.add(fact)) is not None:
                yield full
    else:
        for fact in tuples:
            if (full := batching.add(fact)) is not None:
                yield full
    yield batching.last()

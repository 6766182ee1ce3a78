"""A client's streams for threads: what it is told in many messages, and what it sends in many."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import grpc

from relgraph.client.telling import Batching, Dumped, Watched
from relgraph.errors import DeadlineExceeded, RelgraphError, ServerUnavailable, quoted
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire import answers
from relgraph.wire.failures import error_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from relgraph.answers import Checkpoint, Imported, LogEntry
    from relgraph.client.terms import Terms
    from relgraph.tuples import RelationTuple

__all__ = ["Dump", "Told", "Watch", "send"]

_BATCHES_AHEAD_MAX: Final = 4
_POLL_SECONDS: Final = 0.1

_Message_co = TypeVar("_Message_co", covariant=True)


class Told(Protocol[_Message_co]):
    """A call that is answered with a stream."""

    def __next__(self) -> _Message_co:
        """Wait for the next message."""

    def cancel(self) -> bool:
        """End the call."""


class Dump:
    """The Authorizer's dump, told by a server: every tuple of one revision once, iterated once and by one thread.

    `schema` is the text in force at `revision`. Iterating raises ServerUnavailable where the stream was cut short,
    whatever came before that, and RevisionUnavailable.
    """

    def __init__(self, call: Told[pb.ExportResponse], terms: Terms) -> None:
        self._call = call
        self._terms = terms
        self._closed = False
        self._dumped = Dumped(terms)
        with _in_time(call, terms):
            first = self._receive() or pb.ExportResponse()
        self.schema = first.schema
        self.revision = first.revision
        self.token = first.token
        terms.note(first.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and what the server keeps for it. Closing twice is fine."""
        self._closed = True
        self._call.cancel()

    def __iter__(self) -> Iterator[RelationTuple]:
        while page := self.page():
            yield from page

    def page(self) -> tuple[RelationTuple, ...]:
        """Return the next many tuples, and none at the end."""
        while not self._closed and (message := self._receive()) is not None:
            tuples = self._dumped.take(message)
            if self._dumped.whole:
                self._end()
            if tuples:
                return tuples
        return ()

    def _end(self) -> None:
        """Wait for the end of a call that told all: called off, it would count as one whose caller left."""
        self._closed = True
        with _in_time(self._call, self._terms), suppress(StopIteration, grpc.RpcError):
            next(self._call)
            self._call.cancel()
            raise self._dumped.short()

    def _receive(self) -> pb.ExportResponse | None:
        """Wait for the next message; None once it was closed."""
        try:
            return next(self._call)
        except StopIteration:
            raise self._dumped.short() from None
        except grpc.RpcError as problem:
            if self._closed:
                return None
            raise error_from(problem, self._terms.target) from None


class Watch:
    """The Authorizer's watch, told by a server: an iterator over `LogEntry` and `Checkpoint`, to be closed when done.

    Both carry the `token` to go on behind. One thread iterates; any may close, and then the iteration ends. Raises
    Lagged for a reader that is too slow, with that token in `details["token"]`; ServerUnavailable when the server stops
    or is gone, unless it was to be resumed and could be; RevisionUnavailable.
    """

    def __init__(
        self, begin: Callable[[pb.WatchRequest], Told[pb.WatchResponse]], watched: Watched, terms: Terms
    ) -> None:
        self._begin = begin
        self._watched = watched
        self._terms = terms
        self._over = threading.Event()
        self._call: Told[pb.WatchResponse] | None = None
        self._latest: Told[pb.WatchResponse] | None = None
        # The server says where the watch begins before anything else: what it refuses is refused here.
        while not watched.begun:
            self._receive()

    @property
    def revision(self) -> int:
        """The last revision that was told."""
        return self._watched.revision

    @property
    def token(self) -> str:
        """The token to go on behind."""
        return self._watched.token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and what the server keeps for it. Closing twice is fine."""
        self._over.set()
        if self._latest is not None:
            self._latest.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LogEntry | Checkpoint:
        """Wait for the next thing to tell."""
        while not self._over.is_set():
            event = self._watched.next()
            if event is not None:
                return event
            self._receive()
        raise StopIteration

    def _receive(self) -> None:
        """Take one message in, of a new call where the one before broke off."""
        try:
            call = self._call
            self._watched.take(self._first() if call is None else self._told(call))
        except RelgraphError as error:
            if self._over.is_set():
                return
            self._call = None
            pause = self._watched.after(error)
            if isinstance(pause, RelgraphError):
                raise pause from None
            self._over.wait(pause)

    def _first(self) -> pb.WatchResponse:
        """Begin a call, and wait for its first message."""
        call = self._latest = self._begin(self._watched.request())
        if self._over.is_set():
            call.cancel()  # closed by another thread, which may have seen only the call before this one
        with _in_time(call, self._terms):
            message = self._told(call)
        self._call = call
        return message

    def _told(self, call: Told[pb.WatchResponse]) -> pb.WatchResponse:
        try:
            return next(call)
        except StopIteration:
            raise self._watched.broken() from None
        except grpc.RpcError as problem:
            raise error_from(problem, self._terms.target) from None


@contextmanager
def _in_time(call: Told[object], terms: Terms) -> Iterator[None]:
    """Cancel a call whose first message does not come in time."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        call.cancel()

    timer = threading.Timer(terms.timeout, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except RelgraphError:
        if late.is_set():
            raise DeadlineExceeded(f"{quoted(terms.target)} did not answer in time; allow more time") from None
        raise
    finally:
        timer.cancel()


# --- imports: batches go from the caller's thread to the one in which gRPC sends ---

_Ahead = queue.Queue[pb.ImportRequest | None]
"""What waits to be sent; None is the end."""


def send(
    method: grpc.StreamUnaryMultiCallable[pb.ImportRequest, pb.ImportResponse],
    tuples: Iterable[str | RelationTuple],
    options: pb.ImportOptions,
    terms: Terms,
) -> Imported:
    """Make an import whose tuples are read here. Raises what the server raised, and what reading them raises."""
    ahead: _Ahead = queue.Queue(_BATCHES_AHEAD_MAX)
    try:
        call = method.future(_sent(ahead))
    except ValueError:  # all that gRPC says about a channel that was closed
        raise terms.shut() from None
    complete = False
    try:
        for message in _batches(tuples, options):
            if not _put(ahead, message, call):
                break
        complete = True
    finally:
        # a stream whose source failed is cancelled before it can end: the server must never see it as whole
        if not complete:
            call.cancel()
        _finish(ahead, call)
    try:
        response = call.result()
    except grpc.RpcError as problem:
        raise error_from(problem, terms.target) from None
    except grpc.FutureCancelledError:
        raise ServerUnavailable(
            f"the import to {quoted(terms.target)} was broken off; nothing was changed unless it had "
            "already been committed: read before you repeat it",
            {"target": terms.target},
        ) from None
    finally:
        call.cancel()  # whoever is interrupted while waiting takes the import back; a finished call ignores it
    terms.note(response.token)
    return answers.read_imported(response)


def _batches(tuples: Iterable[str | RelationTuple], options: pb.ImportOptions) -> Iterator[pb.ImportRequest]:
    batching = Batching(options)
    for fact in tuples:
        full = batching.add(fact)
        if full is not None:
            yield full
    yield batching.last()


def _sent(ahead: _Ahead) -> Iterator[pb.ImportRequest]:
    """Yield what waits to be sent, until the end."""
    while (message := ahead.get()) is not None:
        yield message


def _put(ahead: _Ahead, message: pb.ImportRequest | None, call: grpc.Future[pb.ImportResponse]) -> bool:
    """Queue a message once there is room; False when the call has ended meanwhile."""
    while not call.done():
        try:
            ahead.put(message, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def _finish(ahead: _Ahead, call: grpc.Future[pb.ImportResponse]) -> None:
    """Let the sending thread come to its end, whatever became of the call."""
    if _put(ahead, None, call):
        return
    while True:
        try:
            ahead.put_nowait(None)
        except queue.Full:
            try:
                ahead.get_nowait()
            except queue.Empty:
                continue
        else:
            return

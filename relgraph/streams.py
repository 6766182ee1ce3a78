"""The client's streams: what it is told in many messages, and what it sends in many.

Rule 1: a stream that breaks off is an error, never an end.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import grpc

from relgraph.answers import Checkpoint, LogEntry
from relgraph.errors import DeadlineExceeded, Lagged, RelgraphError, ServerUnavailable, quoted
from relgraph.tuples import RelationTuple
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.failures import error_from
from relgraph.wire.parts import read_tuples, tuple_message
from relgraph.wire.watches import read_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

__all__ = ["BATCHES_AHEAD_MAX", "Ahead", "Dump", "Told", "Watch", "batches", "finish", "put", "sent"]

BATCH_TUPLES: Final = 1_000
BATCHES_AHEAD_MAX: Final = 4
_POLL_SECONDS: Final = 0.1

Ahead = queue.Queue[pb.ImportRequest | None]
"""What waits to be sent; None is the end."""


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

    def __init__(self, call: Told[pb.ExportResponse], target: str, timeout: float) -> None:
        self._call = call
        self._target = target
        self._closed = False
        self._total = 0
        with _in_time(call, target, timeout):
            first = self._receive() or pb.ExportResponse()
        self.schema = first.schema
        self.revision = first.revision
        self.token = first.token

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
            self._total += len(message.tuples)
            if message.HasField("tuples_total"):
                self.close()
                if message.tuples_total != self._total:
                    raise self._short()
            if message.tuples:
                return read_tuples(message.tuples, "tuples")
        return ()

    def _receive(self) -> pb.ExportResponse | None:
        """Wait for the next message; None once it was closed."""
        try:
            return next(self._call)
        except StopIteration:
            raise self._short() from None
        except grpc.RpcError as problem:
            if self._closed:
                return None
            raise error_from(problem, self._target) from None

    def _short(self) -> ServerUnavailable:
        return ServerUnavailable(
            f"the server at {quoted(self._target)} ended the export after {self._total} tuples without the right "
            "total, so it is not whole; export again",
            {"target": self._target},
        )


class Watch:
    """The Authorizer's watch, told by a server: an iterator over `LogEntry` and `Checkpoint`, to be closed when done.

    Both carry the `token` to go on behind. One thread iterates; any may close, and then the iteration ends. Raises
    Lagged for a reader that is too slow, with that token in `details["token"]`; ServerUnavailable when the server stops
    or is gone; RevisionUnavailable.
    """

    def __init__(self, call: Told[pb.WatchResponse], target: str, timeout: float) -> None:
        self._call = call
        self._target = target
        self._closed = False
        self._events: deque[LogEntry | Checkpoint] = deque()
        self._parts: list[pb.Change] = []
        self._token = ""
        self._revision = 0
        # The server says where the watch begins before anything else: what it refuses is refused here.
        with _in_time(call, target, timeout):
            self._receive()
        first = self._events[0]
        self._revision, self._token = first.revision, first.token

    @property
    def revision(self) -> int:
        """The last revision that was told."""
        return self._revision

    @property
    def token(self) -> str:
        """The token to go on behind."""
        return self._token

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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LogEntry | Checkpoint:
        """Wait for the next thing to tell."""
        while not self._closed and not self._events:
            self._receive()
        if self._closed:
            raise StopIteration
        event = self._events.popleft()
        self._revision, self._token = event.revision, event.token
        return event

    def _receive(self) -> None:
        """Take one message in."""
        try:
            message = next(self._call)
        except StopIteration:
            raise self._broken() from None
        except grpc.RpcError as problem:
            if self._closed:
                return
            error = error_from(problem, self._target)
            if isinstance(error, Lagged) and self._token:
                # What the server sent last may have arrived or not; what was told here is known.
                error.details["token"] = self._token
            raise error from None
        for part in message.changes:
            self._parts.append(part)
            if not part.continues:
                self._events.append(read_change(self._parts))
                self._parts = []
        if not message.changes:
            self._events.append(Checkpoint(message.revision, message.token))

    def _broken(self) -> ServerUnavailable:
        return ServerUnavailable(
            f"the server at {quoted(self._target)} ended the watch without a word; watch again behind the last token",
            {"target": self._target, "token": self._token},
        )


@contextmanager
def _in_time(call: Told[object], target: str, timeout: float) -> Iterator[None]:
    """Cancel a call whose first message does not come in time."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        call.cancel()

    timer = threading.Timer(timeout, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except RelgraphError:
        if late.is_set():
            raise DeadlineExceeded(f"{quoted(target)} did not answer in time; allow more time") from None
        raise
    finally:
        timer.cancel()


# --- imports: batches go from the caller's thread to the one in which gRPC sends ---


def batches(tuples: Iterable[str | RelationTuple], options: pb.ImportOptions) -> Iterator[pb.ImportRequest]:
    """Yield the messages of an import: the options in the first, the total in the last."""
    message = pb.ImportRequest(options=options)
    total = 0
    for fact in tuples:
        if len(message.tuples) == BATCH_TUPLES:
            yield message
            message = pb.ImportRequest()
        message.tuples.append(tuple_message(RelationTuple.of(fact)))
        total += 1
    message.tuples_total = total
    yield message


def sent(ahead: Ahead) -> Iterator[pb.ImportRequest]:
    """Yield what waits to be sent, until the end."""
    while (message := ahead.get()) is not None:
        yield message


def put(ahead: Ahead, message: pb.ImportRequest | None, call: grpc.Future[pb.ImportResponse]) -> bool:
    """Queue a message once there is room; False when the call has ended meanwhile."""
    while not call.done():
        try:
            ahead.put(message, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def finish(ahead: Ahead, call: grpc.Future[pb.ImportResponse]) -> None:
    """Let the sending thread come to its end, whatever became of the call."""
    if put(ahead, None, call):
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

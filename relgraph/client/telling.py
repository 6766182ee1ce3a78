"""What is told in many messages, and sent in many: put together and taken apart, whoever waits for them.

Rule 1: a stream that breaks off is an error, never an end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from relgraph.answers import Checkpoint, LogEntry, Lookup
from relgraph.errors import Lagged, RelgraphError, ServerUnavailable, quoted
from relgraph.tuples import RelationTuple
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.lookups import read_rows
from relgraph.wire.parts import PLAIN_BYTES, SHARE_BYTES_MAX, read_tuples, tuple_message
from relgraph.wire.watches import read_change

if TYPE_CHECKING:
    from relgraph.answers import Found
    from relgraph.client.retrying import Attempts
    from relgraph.client.terms import Terms

__all__ = ["Batching", "Dumped", "Gathered", "Watched"]


class Dumped:
    """What a dump was told so far: the messages behind the first one, and whether they are all."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._total = 0
        self.whole = False

    def take(self, message: pb.ExportResponse) -> tuple[RelationTuple, ...]:
        """Return the tuples of a message. Raises ServerUnavailable where the last one has another total."""
        self._total += len(message.tuples)
        if message.HasField("tuples_total"):
            if message.tuples_total != self._total:
                raise self.short()
            self.whole = True
        return read_tuples(message.tuples, "tuples")

    def short(self) -> ServerUnavailable:
        """Return what is raised where the messages end before the last one."""
        target = self._terms.target
        return ServerUnavailable(
            f"the server at {quoted(target)} ended the export after {self._total} tuples without the right "
            "total, so it is not whole; export again",
            {"target": target},
        )


class Gathered:
    """The rows of one lookup, as its messages come."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._rows: list[Found] = []
        self._state: tuple[int, str] | None = None
        self._last: pb.LookupResponse | None = None

    def take(self, message: pb.LookupResponse) -> None:
        """Take one message in. Raises ServerUnavailable for one that cannot belong to those before it."""
        state = (message.revision, message.token)
        if self._last is not None or self._state not in (None, state):
            raise self._short()
        self._state = state
        self._rows.extend(read_rows(message))
        if message.HasField("rows_total"):
            self._last = message

    def whole(self) -> Lookup:
        """Return the lookup, once its messages have ended. Raises ServerUnavailable unless these were all."""
        last = self._last
        if last is None or last.rows_total != len(self._rows):
            raise self._short()
        self._terms.note(last.token)
        return Lookup(tuple(self._rows), last.cursor, last.revision, last.token)

    def _short(self) -> ServerUnavailable:
        target = self._terms.target
        return ServerUnavailable(
            f"the server at {quoted(target)} ended the lookup after {len(self._rows)} rows without the right total, "
            "so it is not whole; ask again",
            {"target": target},
        )


class Watched:
    """What a watch was told, revision by revision; where it goes on, and how often that is tried."""

    def __init__(self, request: pb.WatchRequest, terms: Terms, *, resumes: bool) -> None:
        self._request = request
        self._terms = terms
        self._resumes = resumes
        self._attempts: Attempts | None = None
        self._events: deque[LogEntry | Checkpoint] = deque()
        self._parts: list[pb.Change] = []
        self._fresh = True
        self._failure: RelgraphError | None = None
        self.begun = False
        self.revision = 0
        self.token = request.after

    def request(self) -> pb.WatchRequest:
        """Return what is asked for to begin, or to go on behind what was told."""
        request = pb.WatchRequest()
        request.CopyFrom(self._request)
        request.after = self.token
        # What came of a revision that was not whole comes again.
        self._parts = []
        self._fresh = True
        return request

    def take(self, message: pb.WatchResponse) -> None:
        """Take one message in."""
        for part in message.changes:
            self._parts.append(part)
            if not part.continues:
                self._events.append(read_change(self._parts))
                self._parts = []
        if not message.changes and not (self._fresh and self.begun):
            self._events.append(Checkpoint(message.revision, message.token))
        if not self.begun:
            self.revision, self.token = message.revision, message.token
        self.begun, self._fresh, self._attempts = True, False, None

    def next(self) -> LogEntry | Checkpoint | None:
        """Return the next thing to tell, None when it has not come yet. Raises what has ended it."""
        if not self._events:
            if self._failure is not None:
                raise self._failure
            return None
        event = self._events.popleft()
        self.revision, self.token = event.revision, event.token
        self._terms.note(event.token)
        return event

    def after(self, error: RelgraphError) -> float | RelgraphError:
        """Return the seconds to wait before it is gone on with, or what is to be raised."""
        if isinstance(error, Lagged) and self.token:
            # What the server sent last may have arrived or not; what was told here is known.
            error.details["token"] = self.token
        pause: float | RelgraphError = error
        if not self._terms.closed and (self._resumes or not self.begun):
            if self._attempts is None:
                self._attempts = self._terms.resumption() if self.begun else self._terms.attempts()
            pause = self._attempts.after(error)
        if isinstance(pause, RelgraphError):
            self._failure = pause
        return pause

    def broken(self) -> ServerUnavailable:
        """Return what is raised where the messages end."""
        target = self._terms.target
        return ServerUnavailable(
            f"the server at {quoted(target)} ended the watch without a word; watch again behind the last token",
            {"target": target, "token": self.token},
        )


class Batching:
    """Puts the tuples of an import into messages: the options in the first, the total in the last."""

    def __init__(self, options: pb.ImportOptions) -> None:
        self._message = pb.ImportRequest(options=options)
        self._bytes = 0
        self._total = 0

    def add(self, fact: str | RelationTuple) -> pb.ImportRequest | None:
        """Add a tuple; return the message that is full, if one was. Raises InvalidInput and its kin."""
        full = None
        message = tuple_message(RelationTuple.of(fact))
        size = message.ByteSize() if message.HasField("context") else PLAIN_BYTES
        if self._bytes and self._bytes + size > SHARE_BYTES_MAX:
            full, self._message, self._bytes = self._message, pb.ImportRequest(), 0
        self._message.tuples.append(message)
        self._bytes += size
        self._total += 1
        return full

    def last(self) -> pb.ImportRequest:
        """Return the last message."""
        self._message.tuples_total = self._total
        return self._message

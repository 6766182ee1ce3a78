"""What is seen of each call from outside: how it ended, how long it took, what it read, whose trace it belongs to.

One `Sight` a call. It is told to who counts (`Meter`), to who follows traces (`Tracer`), and to the log when the call
was slow; all three do without the others.

Rule 1: nothing here names an object or a subject, or decides anything; what is told is bounded whatever was sent.
Rule 2: a call is told when it has ended and before its caller can know, so that who counts along counts the same.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from relgraph.errors import DeadlineExceeded, LimitExceeded, NotReady, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from relgraph.answers import Verdict
    from relgraph.errors import RelgraphError

    Metadata = Sequence[tuple[str, str | bytes]]

__all__ = ["SIGHT", "Meter", "Sight", "Sights", "Tracer"]

_log: Final = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_ENDLESS: Final = ("Watch", "authzed.api.v1.WatchService/Watch")
_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class Sight:
    """One call, as it is seen so far. `span` belongs to the tracer."""

    __slots__ = (
        "_metadata",
        "_trace_id",
        "checks",
        "ended",
        "freshness",
        "method",
        "seconds",
        "span",
        "started",
        "waits",
    )

    def __init__(self, method: str, metadata: Metadata, started: float) -> None:
        self.method = method
        self.started = started
        self.seconds = 0.0
        self.freshness = "none"
        self.checks: list[tuple[Verdict, int]] = []
        self.waits = False
        self.ended = False
        self.span: object = None
        self._metadata = metadata
        self._trace_id: str | None = None

    @property
    def trace_id(self) -> str:
        """The trace that the call belongs to, in hexadecimal; empty where its caller named none."""
        if self._trace_id is None:
            parents = [value for name, value in self._metadata if name == "traceparent"]
            found = _PARENT.fullmatch(parents[0]) if len(parents) == 1 and isinstance(parents[0], str) else None
            self._trace_id = found[1] if found else ""
        return self._trace_id

    @trace_id.setter
    def trace_id(self, trace_id: str) -> None:
        self._trace_id = trace_id

    @property
    def metadata(self) -> Metadata:
        """What the caller sent beside the message."""
        return self._metadata

    def work(self, work: Callable[[], _Result]) -> _Result:
        """Run a part of the call in this thread: what the Authorizer tells meanwhile is about this call."""
        self.waits = False
        _WORKING.sight = self
        try:
            return work()
        finally:
            _WORKING.sight = None


class Meter(Protocol):
    """Counts calls and what they did."""

    def begun(self, sight: Sight) -> None:
        """A call has begun."""

    def ended(self, sight: Sight, code: str, shed: str) -> None:
        """It has ended; `shed` says why it was turned away before any work, if it was."""

    def pinned(self, seconds: float) -> None:
        """A question has its revision."""

    def committed(self, revisions: int, seconds: float) -> None:
        """So many revisions were committed at once."""


class Tracer(Protocol):
    """Follows calls as parts of traces."""

    def begun(self, sight: Sight) -> None:
        """A call has begun."""

    def admitted(self, sight: Sight, message: Message) -> None:
        """Its request is known."""

    def stepped(self, sight: Sight, step: str, seconds: float) -> None:
        """A step of it has just ended, and took that long."""

    def ended(self, sight: Sight, code: str) -> None:
        """It has ended."""


class _Working(threading.local):
    sight: Sight | None = None


_WORKING: Final = _Working()

SIGHT: Final[ContextVar[Sight | None]] = ContextVar("SIGHT", default=None)
"""The call that the running task answers, as it is seen."""


class Sights:
    """Sees all calls of one server. It is a `relgraph.api.Observer` of the server's Authorizer."""

    def __init__(
        self,
        *,
        slow_ms: int,
        meter: Meter | None = None,
        tracer: Tracer | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slow_s = slow_ms / 1000
        self._meter = meter
        self._now = now
        self._tracer = tracer

    def begin(self, method: str, metadata: Metadata) -> Sight:
        """A call has come in, of the task that runs this."""
        sight = Sight(method, metadata, self._now())
        SIGHT.set(sight)
        if self._meter is not None:
            self._meter.begun(sight)
        if self._tracer is not None:
            self._tracer.begun(sight)
        return sight

    def admit(self, sight: Sight, message: Message, freshness: str) -> None:
        """Look at the call's message, the first of many; `freshness` says how new an answer it asks for."""
        sight.freshness = freshness
        if self._tracer is not None:
            self._tracer.admitted(sight, message)

    def end(self, sight: Sight, code: str, error: RelgraphError | None = None) -> None:
        """The call has ended, with this status; the first end counts."""
        if sight.ended:
            return
        sight.ended = True
        sight.seconds = self._now() - sight.started
        if self._meter is not None:
            self._meter.ended(sight, code, _shed(sight, code, error))
        if self._tracer is not None:
            self._tracer.ended(sight, code)
        if sight.seconds >= self._slow_s and sight.method not in _ENDLESS:
            fields = {
                "method": sight.method,
                "code": code,
                "ms": round(sight.seconds * 1000, 1),
                "freshness": sight.freshness,
            }
            _log.warning("slow call", extra={"fields": fields})

    def pinned(self, seconds: float) -> None:
        """See `relgraph.api.Observer`."""
        if self._meter is not None:
            self._meter.pinned(seconds)
        self._step("pin", seconds)

    def answered(self, seconds: float) -> None:
        """See `relgraph.api.Observer`."""
        self._step("walk", seconds)

    def checked(self, verdict: Verdict, tuples: int) -> None:
        """See `relgraph.api.Observer`."""
        if _WORKING.sight is not None:
            _WORKING.sight.checks.append((verdict, tuples))

    def committed(self, revisions: int, seconds: float) -> None:
        """See `relgraph.api.Observer`."""
        if self._meter is not None:
            self._meter.committed(revisions, seconds)
        self._step("commit", seconds)

    def _step(self, step: str, seconds: float) -> None:
        if self._tracer is not None and _WORKING.sight is not None:
            self._tracer.stepped(_WORKING.sight, step, seconds)


def _shed(sight: Sight, code: str, error: RelgraphError | None) -> str:
    """Return why a call was turned away before any work was done for it; empty for all others."""
    if isinstance(error, NotReady):
        return "not_ready"
    if isinstance(error, ServerUnavailable):
        return "stopping"
    if isinstance(error, LimitExceeded) and error.details.get("limit") == "watchers_max":
        return "watchers_max"
    if sight.waits and (isinstance(error, DeadlineExceeded) or code == "CANCELLED"):
        return "late"
    return ""

"""What a client is opened with, and what follows from that for each call, whoever waits for the answers."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from relgraph.client.memory import Memory
from relgraph.client.retrying import Attempts, Retries
from relgraph.errors import Forked, InvalidInput, InvalidSetting, ServerUnavailable, quoted

if TYPE_CHECKING:
    from relgraph.revision import Consistency

__all__ = ["OPTIONS", "Terms"]

_ANSWER_BYTES_MAX: Final = 64 << 20
_ONCE: Final = Retries(attempts_max=1)
_FOR_EVER: Final = 1 << 62

OPTIONS: Final = (
    ("grpc.max_receive_message_length", _ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", -1),  # the server says what is too much
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # a proxy for the web is no way to one's own authorizer, least of all on loopback
    ("grpc.enable_http_proxy", 0),
    # a server that comes back is found within a call's own time, not after the minutes that gRPC would wait
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # a client does not wait because another one in this process found nobody
    ("grpc.use_local_subchannel_pool", 1),
)


class Terms:
    """The terms of one client. Without `retries`, each call is made once. Raises InvalidSetting."""

    def __init__(
        self, target: str, timeout: float = 30.0, retries: Retries | None = None, *, read_your_writes: bool = False
    ) -> None:
        if not timeout > 0:
            raise InvalidSetting(f"a call cannot take {quoted(str(timeout))} seconds; give a number above 0")
        self.target = target
        self.timeout = timeout
        self.closed = False
        self._retries = retries or _ONCE
        self._memory = Memory() if read_your_writes else None
        self._pid = os.getpid()
        self.clock = time.monotonic

    def check_process(self) -> None:
        """Raise Forked in a child of the process that opened the client."""
        if os.getpid() != self._pid:
            raise Forked("this client was opened before the process forked; open another one in the child")

    def shut(self) -> ServerUnavailable:
        """Return what is raised by a client that was closed."""
        return ServerUnavailable(
            f"this client of {quoted(self.target)} is closed; open another one", {"target": self.target}
        )

    def at(self, consistency: Consistency | None) -> Consistency | None:
        """Return what a question is asked at: what the caller wants, else what the client has seen."""
        return consistency if consistency is not None or self._memory is None else self._memory.at_least()

    def note(self, token: str) -> None:
        """Take in what an answer says about the state that it was given in."""
        if self._memory is not None:
            self._memory.note(token)

    def request_id(self, given: str) -> str:
        """Return the request id that a write is sent under: the caller's, else the client's where it gives any."""
        return given or (secrets.token_urlsafe(16) if self._retries.own_ids else "")

    def attempts(
        self, deadline: float | None = None, *, repeatable: bool = True, request_id: str = "", endless: bool = False
    ) -> Attempts:
        """Return the attempts at one call, which are over in `deadline` seconds. Raises InvalidInput."""
        seconds = self.timeout if deadline is None else deadline
        if math.isnan(seconds):
            raise InvalidInput("the deadline is not a number; give the seconds that you are willing to wait")
        ends = math.inf if endless else self.clock() + seconds
        return Attempts(self._retries, ends, self.clock, repeatable=repeatable, request_id=request_id)

    def load_attempts(self, tuples: object, request_id: str) -> Attempts:
        """Return the attempts at an import, which takes as long as it takes.

        It is sent again only where `tuples` can be read again: an iterator is read once, and a second import of what
        is left of it would be another one.
        """
        again = isinstance(tuples, Sequence | AbstractSet) and bool(request_id)
        return self.attempts(repeatable=again, request_id=request_id, endless=True)

    def resumption(self) -> Attempts:
        """Return the attempts to go on with a watch that broke off: for as long as one call may take."""
        retries = Retries() if self._retries is _ONCE else self._retries
        pauses = Retries(_FOR_EVER, retries.first_pause_s_max, retries.pause_s_max)
        return Attempts(pauses, self.clock() + self.timeout, self.clock)

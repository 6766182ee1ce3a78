"""The call in progress: which method, whose key, in whose name; and its one entry in the audit log.

Rule 1: a write that was begun is recorded by the thread that carries it out, after the commit and before anything is
acknowledged, whatever has become of its caller. A call that never began is recorded by the edge. Whoever claims the
entry first writes it, and a call whose entry was claimed by the edge is not begun any more.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from relgraph.errors import DeadlineExceeded, OutcomeUnknown, RelgraphError
from relgraph_server.dialects import RELGRAPH

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph_server.audit import AuditLog
    from relgraph_server.dialects import Dialect
    from relgraph_server.keys import Key
    from relgraph_server.sights import Sight

__all__ = ["CALL", "Call", "Done"]

_log: Final = logging.getLogger(__name__)


class Done(Protocol):
    """What a write is answered with."""

    @property
    def revision(self) -> int:
        """The revision that it made, or found things at."""


_Result = TypeVar("_Result", bound=Done)
_Part = TypeVar("_Part")


class Call:
    """One call of a method. Without an audit log it records nothing; without a key its principal is empty."""

    def __init__(
        self,
        method: str,
        *,
        peer: str = "",
        audit: AuditLog | None = None,
        dialect: Dialect = RELGRAPH,
        label: str = "",
    ) -> None:
        self.method = method
        self.dialect = dialect
        self.label = label or method
        """What the method is called where those of other dialects are told of too."""
        self.key: Key | None = None
        self.sight: Sight | None = None
        self.told: dict[str, object] = {}
        """What the entry says of the request: set once it has been read."""
        self._peer = peer
        self._audit = audit
        self._mutex = Lock()
        self._claimed = False
        self.judged = False

    @property
    def writes(self) -> bool:
        """Whether the method is one that changes something."""
        return self.method in self.dialect.writes

    @property
    def principal(self) -> str:
        """Who makes the call: the name of its key."""
        return "" if self.key is None else self.key.name

    def wait(self) -> None:
        """A part of the call waits for a thread now."""
        if self.sight is not None:
            self.sight.waits = True

    def work(self, work: Callable[[], _Part]) -> _Part:
        """Run a part of the call in this thread."""
        return work() if self.sight is None else self.sight.work(work)

    def claim(self) -> bool:
        """Take on the entry; False when somebody has already."""
        with self._mutex:
            claimed, self._claimed = self._claimed, True
            return not claimed

    def carry_out(self, write: Callable[[], _Result]) -> _Result:
        """Make a write and record it. Raises NotReady, before anything is changed, when it could not be recorded."""
        if not self.claim():
            raise DeadlineExceeded("the caller has gone, so the write was not begun; send it again")
        if self._audit is None:
            return write()
        self._audit.check()
        try:
            done = write()
        except BaseException as error:
            self.record(error.code if isinstance(error, RelgraphError) else "INTERNAL")
            raise
        try:
            counted = {name: getattr(done, name) for name in ("read", "changed", "count") if hasattr(done, name)}
            self._append("OK", {"revision": done.revision, **counted})
        except RelgraphError as error:
            raise OutcomeUnknown(
                f"the write was made, as revision {done.revision}, and could not be recorded in the audit log, so it "
                "is not acknowledged; once the log is mended, the same write with the same request id is answered",
                {"revision": str(done.revision)},
            ) from error
        return done

    def record(self, outcome: str) -> None:
        """Write the entry of a call that changed nothing, whose claim was taken; a failure goes to the server's log."""
        if self._audit is None:
            return
        try:
            self._append(outcome, {})
        except RelgraphError as problem:
            _log.error("%s of %s was not recorded: %s", outcome, self.label, problem.message)

    def _append(self, outcome: str, more: dict[str, object]) -> None:
        assert self._audit is not None
        self._audit.append(
            {
                "event": "call",
                "principal": self.principal,
                "peer": self._peer,
                "method": self.label,
                **self.told,
                "outcome": outcome,
                **more,
            }
        )


CALL: Final[ContextVar[Call]] = ContextVar("CALL")
"""The call that the running task answers."""

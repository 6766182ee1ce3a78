"""What tells one dialect from another at the edge: its services, scopes, writes, statuses, cursors, and greetings.

The server speaks `relgraph.v1`, which stands here, and may speak others beside it. The edge, the gate and the audit log
take from a call's dialect all that they need to know of its messages.

Rule 1: a dialect decides nothing that the law decides: it names, and it translates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from relgraph.errors import Unauthenticated
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server.guard import CONTEXTS
from relgraph_server.scopes import OURS, WRITES
from relgraph_server.status import status_of
from relgraph_server.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message
    from google.rpc import status_pb2  # type: ignore[import-untyped]  # carries no py.typed

    from relgraph.errors import RelgraphError
    from relgraph_server.scopes import Scopes

__all__ = ["AUTHZED_SERVICES", "RELGRAPH", "SERVICE_NAME", "CursorField", "Dialect"]

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["AuthorizerService"].full_name
AUTHZED_SERVICES: Final = tuple(
    f"authzed.api.v1.{name}Service" for name in ("Permissions", "Schema", "Watch", "Experimental")
)
"""The services of SpiceDB's dialect, whose package need not be installed."""

_FRESHNESS: Final = {"minimize_latency": "recent", "at_exactly": "exact"}
_PAGES_ASKED: Final = (pb.ReadRequest, pb.LookupResourcesRequest, pb.LookupSubjectsRequest)
_PAGES: Final = (pb.ReadResponse, pb.LookupResponse)

CursorField = tuple["Message", str]
"""Where a cursor's text stands: the message, and the name of its field."""


class Dialect(Protocol):
    """What the edge has to know of a dialect."""

    @property
    def services(self) -> tuple[str, ...]:
        """The full names of its services."""

    @property
    def scopes(self) -> Scopes:
        """Which scopes its methods need."""

    @property
    def writes(self) -> frozenset[str]:
        """Its methods that change something: they are audited, and a key's policy about actors is about them."""

    @property
    def contexts(self) -> Mapping[str, tuple[str, ...]]:
        """Types of messages that lists of its requests hold, and where each of them holds a context."""

    @property
    def actors(self) -> bool:
        """Whether a write can name an actor."""

    def label(self, service: str, method: str) -> str:
        """Return what a method is called in the audit log, in metrics and traces: no other dialect's is called so."""

    def status(self, error: RelgraphError, trace_id: str) -> status_pb2.Status:
        """Return what an error is told as."""

    def stranger(self, *, blank: bool) -> RelgraphError:
        """Return the error for a call without a valid key; `blank`, without any."""

    def freshness(self, message: Message) -> str:
        """Return how new an answer is asked for: `safe`, `recent`, `exact`; `none` where there is no such choice."""

    def summary(self, message: Message) -> dict[str, object]:
        """Return what the audit log tells of a request that writes."""

    def cursor_asked(self, message: Message) -> CursorField | None:
        """Return where a request goes on from, if it can."""

    def cursor_told(self, reply: Message) -> CursorField | None:
        """Return where an answer says that the next page begins, if it can."""


class _Relgraph:
    """`relgraph.v1`."""

    services = (SERVICE_NAME,)
    scopes = OURS
    writes = WRITES
    contexts = CONTEXTS
    actors = True

    def label(self, service: str, method: str) -> str:
        """See `Dialect`."""
        del service
        return method

    def status(self, error: RelgraphError, trace_id: str) -> status_pb2.Status:
        """See `Dialect`."""
        return status_of(error, trace_id)

    def stranger(self, *, blank: bool) -> RelgraphError:
        """See `Dialect`."""
        del blank
        return Unauthenticated(
            "this server wants a valid key; send one as `authorization: Bearer rg_…` (RELGRAPH_TOKEN in the "
            "terminal), or have one made with `relgraph key create`"
        )

    def freshness(self, message: Message) -> str:
        """See `Dialect`."""
        consistency = getattr(message, "consistency", None)
        if consistency is None:
            return "none"
        if message.HasField("at") or bool(getattr(message, "cursor", "")):
            return "exact"
        return _FRESHNESS.get(consistency.WhichOneof("requirement"), "safe")

    def summary(self, message: Message) -> dict[str, object]:
        """See `Dialect`."""
        return summary_of(message)

    def cursor_asked(self, message: Message) -> CursorField | None:
        """See `Dialect`."""
        return (message, "cursor") if isinstance(message, _PAGES_ASKED) else None

    def cursor_told(self, reply: Message) -> CursorField | None:
        """See `Dialect`."""
        return (reply, "cursor") if isinstance(reply, _PAGES) else None


RELGRAPH: Final[Dialect] = _Relgraph()
"""`relgraph.v1`, which is always served."""

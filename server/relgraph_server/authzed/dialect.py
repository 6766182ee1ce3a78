"""The dialect as the edge and the composition root see it: its services, who may call what, and how it greets.

`SERVICES` is the literal table of services; `SCOPES` that of methods. A method without a row is refused to every key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authzed.api.v1 import (
    experimental_service_pb2,
    permission_service_pb2,
    schema_service_pb2,
    watch_service_pb2,
)
from authzed.api.v1.experimental_service_pb2_grpc import add_ExperimentalServiceServicer_to_server
from authzed.api.v1.permission_service_pb2_grpc import add_PermissionsServiceServicer_to_server
from authzed.api.v1.schema_service_pb2_grpc import add_SchemaServiceServicer_to_server
from authzed.api.v1.watch_service_pb2_grpc import add_WatchServiceServicer_to_server

from relgraph.errors import KeyRefused, Unauthenticated
from relgraph_server.authzed.experimental import ExperimentalService
from relgraph_server.authzed.permissions import PermissionsService
from relgraph_server.authzed.schema_service import SchemaService
from relgraph_server.authzed.statuses import error_status
from relgraph_server.authzed.summaries import summary_of
from relgraph_server.authzed.watches import WatchService
from relgraph_server.scopes import Row, Scopes

if TYPE_CHECKING:
    import grpc.aio
    from google.protobuf.message import Message
    from google.rpc import status_pb2  # type: ignore[import-untyped]  # carries no py.typed

    from relgraph.errors import RelgraphError
    from relgraph_server.asking import Asking
    from relgraph_server.dialects import CursorField, Dialect
    from relgraph_server.watchers import Watchers

__all__ = ["AUTHZED", "NEEDS", "SERVICES", "WRITES", "add_services"]

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (permission_service_pb2, "PermissionsService"),
        (schema_service_pb2, "SchemaService"),
        (watch_service_pb2, "WatchService"),
        (experimental_service_pb2, "ExperimentalService"),
    )
)
"""The full names of its services."""

_ASKED: Final = {"at_exact_snapshot": "history"}
_TRACED: Final = {**_ASKED, "with_tracing": "explain"}
# Whether a tuple exists is told by a precondition as well as by reading it.
_IF: Final = {"optional_preconditions": "read"}

NEEDS: Final[dict[str, Row]] = {
    "CheckPermission": Row("check", _TRACED),
    "CheckBulkPermissions": Row("check", _TRACED),
    "BulkCheckPermission": Row("check", _ASKED),
    "ExpandPermissionTree": Row("explain", _ASKED),
    "LookupResources": Row("list", {**_ASKED, "with_debug": "explain"}),
    "LookupSubjects": Row("list", _ASKED),
    "ReadRelationships": Row("read", _ASKED),
    "ExportBulkRelationships": Row("read", _ASKED),
    "BulkExportRelationships": Row("read", _ASKED),
    "WriteRelationships": Row("write", _IF),
    "DeleteRelationships": Row("write", _IF),
    "ImportBulkRelationships": Row("write"),
    "BulkImportRelationships": Row("write"),
    "ReadSchema": Row("read"),
    "WriteSchema": Row("schema"),
    "ReflectSchema": Row("read", _ASKED),
    "ComputablePermissions": Row("read", _ASKED),
    "DependentRelations": Row("read", _ASKED),
    "DiffSchema": Row("read", _ASKED),
    "ExperimentalReflectSchema": Row("read", _ASKED),
    "ExperimentalComputablePermissions": Row("read", _ASKED),
    "ExperimentalDependentRelations": Row("read", _ASKED),
    "ExperimentalDiffSchema": Row("read", _ASKED),
    "ExperimentalRegisterRelationshipCounter": Row("schema"),
    "ExperimentalCountRelationships": Row("read"),
    "ExperimentalUnregisterRelationshipCounter": Row("schema"),
    "Watch": Row("read", {"": "history"}),
}
"""Each method of all its services, with the scopes it needs; no two services have one of the same name."""

WRITES: Final = frozenset(
    {
        "WriteRelationships",
        "DeleteRelationships",
        "ImportBulkRelationships",
        "BulkImportRelationships",
        "WriteSchema",
        "ExperimentalRegisterRelationshipCounter",
        "ExperimentalUnregisterRelationshipCounter",
    }
)
"""Its methods that change something in the store."""


CONTEXTS: Final = {
    "authzed.api.v1.RelationshipUpdate": ("relationship", "optional_caveat", "context"),
    "authzed.api.v1.Relationship": ("optional_caveat", "context"),
    "authzed.api.v1.CheckBulkPermissionsRequestItem": ("context",),
    "authzed.api.v1.BulkCheckPermissionRequestItem": ("context",),
}
"""Types of messages that lists of its requests hold, and where each of them holds a context."""


def _exactly(message: Message) -> bool:
    consistency = getattr(message, "consistency", None)
    return (
        isinstance(consistency, permission_service_pb2.Consistency)
        and consistency.WhichOneof("requirement") == "at_exact_snapshot"
    )


_IS_SET: Final = {
    "": lambda _: True,
    "at_exact_snapshot": _exactly,
    "optional_preconditions": lambda message: bool(getattr(message, "optional_preconditions", ())),
    "with_debug": lambda message: bool(getattr(message, "with_debug", False)),
    "with_tracing": lambda message: bool(getattr(message, "with_tracing", False)),
}
_FRESHNESS: Final = {None: "recent", "minimize_latency": "recent", "at_exact_snapshot": "exact"}


class _Authzed:
    """`authzed.api.v1`."""

    services = SERVICES
    scopes = Scopes(NEEDS, _IS_SET)
    writes = WRITES
    contexts = CONTEXTS
    actors = False

    def label(self, service: str, method: str) -> str:
        """See `relgraph_server.dialects.Dialect`."""
        return f"{service}/{method}"

    def status(self, error: RelgraphError, trace_id: str) -> status_pb2.Status:
        """See `relgraph_server.dialects.Dialect`."""
        return error_status(error, trace_id)

    def stranger(self, *, blank: bool) -> RelgraphError:
        """See `relgraph_server.dialects.Dialect`."""
        if blank:
            return Unauthenticated("missing preshared key: send one as `authorization: Bearer rg_…`")
        return KeyRefused("invalid preshared key: invalid token")

    def freshness(self, message: Message) -> str:
        """See `relgraph_server.dialects.Dialect`."""
        consistency = getattr(message, "consistency", None)
        if not isinstance(consistency, permission_service_pb2.Consistency):
            return "none"
        if "optional_cursor" in message.DESCRIPTOR.fields_by_name and message.HasField("optional_cursor"):
            return "exact"
        return _FRESHNESS.get(consistency.WhichOneof("requirement"), "safe")

    def summary(self, message: Message) -> dict[str, object]:
        """See `relgraph_server.dialects.Dialect`."""
        return summary_of(message)

    def cursor_asked(self, message: Message) -> CursorField | None:
        """See `relgraph_server.dialects.Dialect`."""
        return _cursor(message, "optional_cursor")

    def cursor_told(self, reply: Message) -> CursorField | None:
        """See `relgraph_server.dialects.Dialect`."""
        return _cursor(reply, "after_result_cursor")


def _cursor(message: Message, name: str) -> CursorField | None:
    if name not in message.DESCRIPTOR.fields_by_name or not message.HasField(name):
        return None
    return getattr(message, name), "token"


AUTHZED: Final[Dialect] = _Authzed()
"""`authzed.api.v1`."""


def add_services(server: grpc.aio.Server, asking: Asking, watchers: Watchers) -> None:
    """Serve the dialect's services, by what is asked through and those who watch."""
    add_PermissionsServiceServicer_to_server(PermissionsService(asking), server)
    add_SchemaServiceServicer_to_server(SchemaService(asking), server)
    add_WatchServiceServicer_to_server(WatchService(watchers), server)
    add_ExperimentalServiceServicer_to_server(ExperimentalService(asking), server)

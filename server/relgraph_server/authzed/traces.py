"""Debug traces: how a check was answered, as SpiceDB's tree, with the tuples that were followed as leaves of it.

A node of a trace is a check of its own, and so is every sub-problem: what asking it at the same revision gives.

Rule 1: a sub-problem that leads to itself or is met twice is told once; elsewhere it is `was_cached_result`.
Rule 2: the tree is bounded in nodes, in bytes and in depth, as clients read it. Where more was looked at than is told,
`source` says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import debug_pb2 as debug
from google.protobuf import text_format

from relgraph.answers import Verdict
from relgraph.errors import Refused, RelgraphError
from relgraph.revision import Consistency
from relgraph.wire.contexts import context_message
from relgraph.wire.parts import moment_message
from relgraph_server.authzed.regenerate import regenerated
from relgraph_server.calls import CALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio
    from authzed.api.v1 import permission_service_pb2 as pb
    from google.protobuf.message import Message

    from relgraph.answers import Decision, Page, SchemaText
    from relgraph.api import Authorizer, Trace, TracedCaveat, TraceNode
    from relgraph.contexts import Context as Values
    from relgraph.limits import Limits
    from relgraph.tuples import Object, Subject

    Context = grpc.aio.ServicerContext[Message, Message]
    _Asked = tuple[Subject, str, Object]

__all__ = ["TRACE_DETAIL", "TRACE_HEADER", "Tracing", "debug_information", "decider", "nodes_max"]

TRACE_HEADER: Final = "io.spicedb.requestdebuginfo"
"""What clients send, as metadata, that know no `with_tracing`."""

TRACE_DETAIL: Final = "debug_trace_proto_text"
"""What of an error's details holds a trace, as text of its message."""

WHOLE: Final = "relgraph:whole"
CUT: Final = "relgraph:more"

_NODES_MAX: Final = 1_000
_NODES_MIN: Final = 10
_BULK_NODES_MAX: Final = 10_000
_BYTES_MAX: Final = 1 << 20
_SCHEMAS_BYTES_MAX: Final = 1 << 20
# Of what an error tells, with room for what is added to it on its way.
_DETAILS_BYTES_MAX: Final = 1_600
# A message takes several times its bytes as text; the last one leaves the question alone.
_TEXT_SHARES: Final = (2, 4, 8, 1_000)
# A sub-problem stands two messages deeper than its problem, a value in a context three deeper than what it is in, and
# readers take a hundred in all.
_DEPTH_MAX: Final = 30
_CONTEXT_LEVELS_MAX: Final = 8

_Trace = debug.CheckDebugTrace

_RESULTS: Final = {
    Verdict.NO: _Trace.PERMISSIONSHIP_NO_PERMISSION,
    Verdict.CONDITIONAL: _Trace.PERMISSIONSHIP_CONDITIONAL_PERMISSION,
    Verdict.YES: _Trace.PERMISSIONSHIP_HAS_PERMISSION,
    Verdict.UNDECIDED: _Trace.PERMISSIONSHIP_UNSPECIFIED,
}
_OUTCOMES: Final = {
    Verdict.NO: debug.CaveatEvalInfo.RESULT_FALSE,
    Verdict.CONDITIONAL: debug.CaveatEvalInfo.RESULT_MISSING_SOME_CONTEXT,
    Verdict.YES: debug.CaveatEvalInfo.RESULT_TRUE,
    Verdict.UNDECIDED: debug.CaveatEvalInfo.RESULT_UNEVALUATED,
}


class Tracing:
    """Decides as an Authorizer does, and keeps how: for one request, whose `questions` share the room for traces."""

    def __init__(self, authorizer: Authorizer, questions: int) -> None:
        self._authorizer = authorizer
        self._questions = questions
        self._told: dict[tuple[_Asked, Values], debug.DebugInformation] = {}
        self._schemas_room = _SCHEMAS_BYTES_MAX

    @property
    def limits(self) -> Limits:
        """The Authorizer's."""
        return self._authorizer.limits

    def decide(
        self,
        subject: Subject,
        permission: str,
        resource: Object,
        *,
        context: Values,
        consistency: Consistency,
        deadline: float | None,
    ) -> Decision:
        """See `Authorizer.decide`."""
        asked = subject, permission, resource
        try:
            (found,) = self._traces([asked], context, consistency, deadline)
        except RelgraphError as error:
            # There is no other question that it could be about.
            error.details.pop("index", None)
            raise
        if found.decision.verdict is not Verdict.UNDECIDED:
            return found.decision
        exactly = Consistency.at_exactly(found.decision.token)
        try:
            # It knows best what is undefined about it.
            return self._authorizer.decide(*asked, context=context, consistency=exactly, deadline=deadline)
        except Refused as error:
            _tell_in(error, found)
            raise

    def decide_many(
        self, questions: Sequence[_Asked], *, context: Values, consistency: Consistency, deadline: float | None
    ) -> list[Decision]:
        """See `Authorizer.decide_many`."""
        return [each.decision for each in self._traces(questions, context, consistency, deadline)]

    def _traces(
        self, questions: Sequence[_Asked], context: Values, consistency: Consistency, deadline: float | None
    ) -> list[Trace]:
        traces = self._authorizer.trace(
            questions,
            context=context,
            consistency=consistency,
            deadline=deadline,
            nodes_max=nodes_max(self._questions),
        )
        # One schema for all, and a long one is not told ten thousand times.
        text = regenerated(traces[0].schema) if traces and self._schemas_room > 0 else ""
        for asked, each in zip(questions, traces, strict=True):
            schema = text if self._schemas_room > 0 else ""
            self._schemas_room -= len(schema)
            self._told[asked, context] = debug_information(each, _BYTES_MAX // max(1, self._questions), schema)
        return traces

    def schema(self, *, consistency: Consistency, deadline: float | None) -> SchemaText:
        """See `Authorizer.schema`."""
        return self._authorizer.schema(consistency=consistency, deadline=deadline)

    def read(self, *, limit: int, consistency: Consistency, deadline: float | None) -> Page:
        """See `Authorizer.read`."""
        return self._authorizer.read(limit=limit, consistency=consistency, deadline=deadline)

    def told(self, asked: _Asked, context: Values) -> debug.DebugInformation:
        """Return how a question was decided; of one that was decided by its types alone, that it was NO."""
        found = self._told.get((asked, context))
        if found is None:
            subject, permission, resource = asked
            found = debug.DebugInformation()
            _name(found.check, resource, permission, subject, Verdict.NO)
            found.check.was_cached_result = False
        return found


def decider(
    authorizer: Authorizer,
    request: pb.CheckPermissionRequest | pb.CheckBulkPermissionsRequest,
    context: Context,
    questions: int = 1,
) -> Authorizer | Tracing:
    """Return what decides a request: with traces where it asks for them, by its field or as old clients do.

    Raises KeyRefused for a header that asks for more than the key may.
    """
    if any(name == TRACE_HEADER for name, _ in context.invocation_metadata() or ()):
        request.with_tracing = True
        call = CALL.get()
        if call.key is not None:
            call.dialect.scopes.check(call.method, request, call.key.scopes)
    return Tracing(authorizer, questions) if request.with_tracing else authorizer


def nodes_max(questions: int) -> int:
    """Return how many nodes are told of each of so many questions of one request."""
    return max(_NODES_MIN, min(_NODES_MAX, _BULK_NODES_MAX // max(1, questions)))


def debug_information(trace: Trace, bytes_max: int, schema: str) -> debug.DebugInformation:
    """Build what a trace says, in about so many bytes beside the schema's text."""
    found = debug.DebugInformation(schema_used=schema)
    _tell(trace.nodes, found.check, bytes_max)
    return found


def _tell_in(error: RelgraphError, trace: Trace) -> None:
    """Put as much of a trace as there is room for into an error's details, as text, where SpiceDB has it."""
    room = _DETAILS_BYTES_MAX - sum(len(f"{name}{value}".encode()) for name, value in error.details.items())
    for share in _TEXT_SHARES:
        said = debug_information(trace, room // share, "")
        text = text_format.MessageToString(said, as_one_line=True, as_utf8=True)
        if len(text.encode()) <= room:
            error.details[TRACE_DETAIL] = text
            return


def _tell(nodes: Sequence[TraceNode], root: _Trace, room: int) -> None:
    """Build the tree, breadth first: what is nearest to the question is told before what is far below."""
    told = {0}
    _fill(root, 0, nodes[0])
    room -= root.ByteSize()
    agenda = deque([(0, root, 1)])
    while agenda:
        number, message, depth = agenda.popleft()
        node = nodes[number]
        # Said where nothing stands below: what is not cached was looked at, here and now.
        message.was_cached_result = False
        message.source = CUT if node.more or _is_too_deep(node) else WHOLE
        for child in node.children:
            if room <= 0 or depth >= _DEPTH_MAX:
                message.source = CUT
                break
            below = message.sub_problems.traces.add()
            _fill(below, child, nodes[child])
            room -= below.ByteSize()
            if child in told:
                below.was_cached_result = True
                below.source = WHOLE
            else:
                told.add(child)
                agenda.append((child, below, depth + 1))


def _fill(message: _Trace, number: int, node: TraceNode) -> None:
    """Tell a node by itself."""
    _name(message, node.resource, node.name, node.subject, node.verdict)
    message.permission_type = _Trace.PERMISSION_TYPE_PERMISSION if node.permission else _Trace.PERMISSION_TYPE_RELATION
    message.trace_operation_id = str(number)
    if node.valid_until is not None:
        message.optional_expires_at.CopyFrom(moment_message(node.valid_until))
    if node.caveat is not None:
        message.caveat_evaluation_info.CopyFrom(_caveat(node.caveat))


def _name(message: _Trace, resource: Object, permission: str, subject: Subject, verdict: Verdict) -> None:
    message.resource.object_type, message.resource.object_id = resource.type, resource.id
    message.permission = permission
    message.subject.object.object_type, message.subject.object.object_id = subject.type, subject.id
    message.subject.optional_relation = subject.relation
    message.result = _RESULTS[verdict]


def _is_too_deep(node: TraceNode) -> bool:
    return node.caveat is not None and _levels(node.caveat.context) > _CONTEXT_LEVELS_MAX


def _levels(value: object) -> int:
    """Return how deep values stand in each other; a context's own depth is bounded."""
    if isinstance(value, Mapping):
        return 1 + max(map(_levels, value.values()), default=0)
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


def _caveat(caveat: TracedCaveat) -> debug.CaveatEvalInfo:
    info = debug.CaveatEvalInfo(
        expression=caveat.expression.strip(),
        result=_OUTCOMES[caveat.verdict],
        context=context_message(caveat.context) if _levels(caveat.context) <= _CONTEXT_LEVELS_MAX else None,
        caveat_name=caveat.name,
    )
    if caveat.missing:
        info.partial_caveat_info.missing_required_context.extend(caveat.missing)
    return info

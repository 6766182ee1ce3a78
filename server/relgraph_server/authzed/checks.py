"""CheckPermission and the two bulk checks: questions in SpiceDB's words, answered by the law.

Rule 1: the items of a bulk are answered at one revision, in their order; what is wrong with one is told in its place.
Rule 2: a question that no tuples could ever answer with yes is NO_PERMISSION here: SpiceDB knows no question that is
the wrong way round.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from authzed.api.v1 import core_pb2, debug_pb2
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.answers import Decision, Verdict
from relgraph.errors import InvalidInput, Refused, Undecided
from relgraph.revision import Consistency
from relgraph.tuples import WILDCARD
from relgraph.wire.parts import moment_message
from relgraph_server.authzed import checked
from relgraph_server.authzed.nouns import (
    consistency_of,
    context_of,
    nameless,
    object_of,
    subject_of,
    undecided_here,
    wildcard_refused,
)
from relgraph_server.authzed.statuses import Said, error_status, refusal
from relgraph_server.authzed.tokens import zed_token
from relgraph_server.authzed.traces import Tracing, decider

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.api import Authorizer
    from relgraph.contexts import Context as Values
    from relgraph.errors import RelgraphError
    from relgraph.tuples import Object, Subject
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["ITEMS_MAX", "Checks", "Question", "Results", "decide", "decide_each", "partial_info", "permissionship_of"]

ITEMS_MAX: Final = 10_000
"""Questions in one bulk."""

_PERMISSIONSHIP: Final = {
    Verdict.NO: pb.CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION,
    Verdict.CONDITIONAL: pb.CheckPermissionResponse.PERMISSIONSHIP_CONDITIONAL_PERMISSION,
    Verdict.YES: pb.CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION,
}


class Question(NamedTuple):
    """One question, read."""

    resource: Object
    permission: str
    subject: Subject
    context: Values

    @classmethod
    def of(
        cls,
        message: pb.CheckPermissionRequest
        | pb.CheckBulkPermissionsRequestItem
        | experimental.BulkCheckPermissionRequestItem,
        path: str = "",
    ) -> Question:
        """Read a question; `path` is what stands before its fields. Raises InvalidInput."""
        checked.required(message, "resource", path)
        checked.required(message, "subject", path)
        resource = object_of(message.resource, f"{path}resource")
        # An empty name passes here, as by SpiceDB's pattern, and names nothing.
        permission = message.permission and checked.relation_name(message.permission, f"{path}permission")
        subject = subject_of(message.subject, f"{path}subject")
        return cls(resource, permission, subject, context_of(message, f"{path}context"))

    def trace(self, tracing: Tracing) -> debug_pb2.DebugInformation:
        """Return how it was decided."""
        return tracing.told((self.subject, self.permission, self.resource), self.context)


class Results(NamedTuple):
    """What many questions were answered with, in their order, the token of the one revision, and traces if any."""

    results: Sequence[Decision | RelgraphError]
    token: str
    traces: Sequence[debug_pb2.DebugInformation] = ()


def permissionship_of(verdict: Verdict) -> pb.CheckPermissionResponse.Permissionship.ValueType:
    """Return the word for a verdict other than UNDECIDED, which has none."""
    return _PERMISSIONSHIP[verdict]


def partial_info(missing: Sequence[str]) -> core_pb2.PartialCaveatInfo | None:
    """Build the message of what a conditional answer lacks."""
    return core_pb2.PartialCaveatInfo(missing_required_context=missing) if missing else None


def decide(
    authorizer: Authorizer | Tracing, question: Question, consistency: Consistency, deadline: float | None
) -> Decision:
    """Answer one question. Raises what `Authorizer.decide` does, in this dialect's words."""
    if question.subject.id == WILDCARD:
        raise wildcard_refused(question.subject)
    if not question.permission:
        raise nameless(question.resource)
    try:
        return authorizer.decide(
            question.subject,
            question.permission,
            question.resource,
            context=question.context,
            consistency=consistency,
            deadline=deadline,
        )
    except Undecided as error:
        raise undecided_here(error) from None
    except InvalidInput as error:
        if "swapped" not in error.details:
            raise
        found = authorizer.schema(consistency=consistency, deadline=deadline)
        return Decision(Verdict.NO, (), found.revision, found.token)


def decide_each(
    authorizer: Authorizer | Tracing, questions: Sequence[Question], consistency: Consistency, deadline: float
) -> Results:
    """Answer many questions, each with its own context, at one revision; what is alike is asked once."""
    return _Many(authorizer, consistency, time.monotonic() + deadline).answer(questions)


class _Many:
    """Many questions on their way to their answers."""

    def __init__(self, authorizer: Authorizer | Tracing, consistency: Consistency, ends: float) -> None:
        self._authorizer = authorizer
        self._at = consistency
        self._ends = ends
        self._token = ""
        self._found: dict[Question, Decision | RelgraphError] = {}

    @property
    def _left(self) -> float:
        return self._ends - time.monotonic()

    def answer(self, questions: Sequence[Question]) -> Results:
        """Return all answers."""
        groups: dict[Values, dict[Question, None]] = {}
        for each in questions:
            groups.setdefault(each.context, {})[each] = None
        size = self._authorizer.limits.checks_max
        for context, group in groups.items():
            asked = list(group)
            for start in range(0, len(asked), size):
                self._answer_alike(context, asked[start : start + size])
        if not self._token:
            # Nothing could be asked; the revision that this was found at is told all the same.
            self._pin(self._authorizer.read(limit=1, consistency=self._at, deadline=self._left).token)
        return Results([self._found[each] for each in questions], self._token)

    def _pin(self, token: str) -> None:
        if not self._token:
            self._token, self._at = token, Consistency.at_exactly(token)

    def _answer_alike(self, context: Values, questions: Sequence[Question]) -> None:
        """Answer questions with the same context, all at once where nothing is wrong with any of them."""
        asked = [(each.subject, each.permission, each.resource) for each in questions]
        try:
            decisions = self._authorizer.decide_many(asked, context=context, consistency=self._at, deadline=self._left)
        except (InvalidInput, Refused):
            for each in questions:
                self._answer_alone(each)
            return
        self._pin(decisions[0].token)
        for each, decision in zip(questions, decisions, strict=True):
            if decision.verdict is Verdict.UNDECIDED:
                self._answer_alone(each)
            else:
                self._found[each] = decision

    def _answer_alone(self, question: Question) -> None:
        try:
            decision = decide(self._authorizer, question, self._at, self._left)
        except (InvalidInput, Refused) as error:
            self._found[question] = error
        else:
            self._pin(decision.token)
            self._found[question] = decision


def _items(
    request: pb.CheckBulkPermissionsRequest | experimental.BulkCheckPermissionRequest,
) -> Iterator[pb.CheckBulkPermissionsRequestItem | experimental.BulkCheckPermissionRequestItem]:
    yield from request.items


def _tell(
    result: Decision | RelgraphError, pair: pb.CheckBulkPermissionsPair | experimental.BulkCheckPermissionPair
) -> None:
    """Put an item's answer, or what is wrong with it, beside the item."""
    if isinstance(result, Decision):
        pair.item.permissionship = permissionship_of(result.verdict)
        if result.missing:
            pair.item.partial_caveat_info.missing_required_context.extend(result.missing)
    else:
        pair.error.CopyFrom(error_status(result))


class Checks:
    """The methods that check, over what is asked through."""

    def __init__(self, asking: Asking) -> None:
        self._authorizer = asking.authorizer
        self._ask = asking.ask

    async def one(self, request: pb.CheckPermissionRequest, context: Context) -> pb.CheckPermissionResponse:
        """Answer CheckPermission."""
        question = Question.of(request)
        consistency = consistency_of(request)
        asked = decider(self._authorizer, request, context)
        decision = await self._ask(lambda left: decide(asked, question, consistency, left), context)
        return pb.CheckPermissionResponse(
            checked_at=zed_token(decision.token),
            permissionship=permissionship_of(decision.verdict),
            partial_caveat_info=partial_info(decision.missing),
            debug_trace=question.trace(asked) if isinstance(asked, Tracing) else None,
            optional_expires_at=None if decision.valid_until is None else moment_message(decision.valid_until),
        )

    async def many(self, request: pb.CheckBulkPermissionsRequest, context: Context) -> pb.CheckBulkPermissionsResponse:
        """Answer CheckBulkPermissions."""
        asked = decider(self._authorizer, request, context, len(request.items))
        found = await self._results(request, asked, context)
        response = pb.CheckBulkPermissionsResponse(checked_at=zed_token(found.token))
        for item, result in zip(request.items, found.results, strict=True):
            _tell(result, response.pairs.add(request=item))
        for pair, trace in zip(response.pairs, found.traces, strict=False):
            if pair.HasField("item"):
                pair.item.debug_trace.CopyFrom(trace)
        return response

    async def old_many(
        self, request: experimental.BulkCheckPermissionRequest, context: Context
    ) -> experimental.BulkCheckPermissionResponse:
        """Answer BulkCheckPermission."""
        found = await self._results(request, self._authorizer, context)
        response = experimental.BulkCheckPermissionResponse(checked_at=zed_token(found.token))
        for item, result in zip(request.items, found.results, strict=True):
            _tell(result, response.pairs.add(request=item))
        return response

    async def _results(
        self,
        request: pb.CheckBulkPermissionsRequest | experimental.BulkCheckPermissionRequest,
        asked: Authorizer | Tracing,
        context: Context,
    ) -> Results:
        if len(request.items) > ITEMS_MAX:
            raise refusal(
                Said.MALFORMED,
                f"{len(request.items)} checks are over the limit of {ITEMS_MAX} in one request; split them",
                {"check_count": str(len(request.items)), "maximum_checks_allowed": str(ITEMS_MAX)},
            )
        questions = [Question.of(each, f"items[{index}].") for index, each in enumerate(_items(request))]
        consistency = consistency_of(request)
        found = await self._ask(lambda left: decide_each(asked, questions, consistency, left), context)
        if isinstance(asked, Tracing):
            return found._replace(traces=[each.trace(asked) for each in questions])
        return found

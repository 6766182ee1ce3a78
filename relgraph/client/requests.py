"""Each call of a client as the message that asks and the reading of its answer, whoever waits for that.

Rule 1: what cannot be understood (a status, a verdict, an enum value) is an error, never a "no".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from relgraph.answers import Verdict
from relgraph.errors import Conditional, InvalidInput, RelgraphError, quoted
from relgraph.tuples import Object, Subject, question_of, questions_of
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire import answers
from relgraph.wire import questions as messages
from relgraph.wire.columns import question_columns, read_answer_columns
from relgraph.wire.lookups import read_count, read_permissions
from relgraph.wire.parts import plain_text
from relgraph.wire.status import read_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from typing import Literal

    from relgraph.answers import (
        Best,
        Count,
        Cycles,
        Decision,
        Deleted,
        Expansion,
        Orphans,
        Page,
        Permissions,
        SchemaDiff,
        SchemaText,
        Status,
        Written,
    )
    from relgraph.client.terms import Terms
    from relgraph.revision import Consistency
    from relgraph.tuples import Precondition, Question, RelationTuple, TupleFilter
    from relgraph.wire.brought import Brought

    Ways = Literal["none", "one", "all"]

__all__ = ["Asked", "Dated", "Requests", "allowed", "check_on_conditional"]

_LIMIT_END: Final = 1 << 32

_COLUMNS_FROM: Final = 16
"""From so many questions on, columns take less time than rows: 1.6 times less for a thousand."""


class Dated(Protocol):
    """An answer that says which state it was given in."""

    @property
    def token(self) -> str:
        """The token of that state."""


_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=Dated)
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Asked(Generic[_Request, _Response, _Answer]):
    """A call: what is sent, how its answer is read, and whether it may be sent again."""

    request: _Request
    read: Callable[[_Response], _Answer]
    repeatable: bool = True
    request_id: str = ""


def check_on_conditional(choice: str) -> None:
    """Raise InvalidInput for what is no choice."""
    if choice not in ("raise", "deny"):
        raise InvalidInput(f"on_conditional is {quoted(str(choice))}; use `raise` or `deny`")


def allowed(decision: Decision, on_conditional: str) -> bool:
    """Return a decision as yes or no. Raises Conditional where it is neither."""
    if decision.verdict is Verdict.CONDITIONAL and on_conditional == "raise":
        raise Conditional(
            f"the answer depends on {', '.join(map(quoted, decision.missing))}; give the context, "
            "or decide what a conditional answer means with `on_conditional`",
            {"missing": ", ".join(decision.missing)},
        )
    return decision.allowed


def _rows(limit: int | None) -> int | None:
    if limit is not None and not 0 < limit < _LIMIT_END:
        raise InvalidInput(f"a lookup cannot have {quoted(str(limit))} rows; use a whole number from 1")
    return limit


class Requests:
    """Builds the calls of one client. Each method has the name of the client's, and the same words."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def _at(self, cursor: str, consistency: Consistency | None) -> Consistency | None:
        """Return what a page is asked at; a cursor carries its own revision."""
        return consistency if cursor else self._terms.at(consistency)

    # --- questions ---

    def decide(
        self,
        subject: str | Subject,
        permission: str | None,
        resource: str | Object | None,
        brings: Brought,
        consistency: Consistency | None,
    ) -> Asked[pb.CheckRequest, pb.CheckResponse, Decision]:
        """One question."""
        who, name, what = question_of(subject, permission, resource)
        when = self._terms.at(consistency)
        request = pb.CheckRequest(
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
            subject=str(who),
            permission=name,
            resource=str(what),
            context=brings.context,
            contextual_tuples=brings.tuples,
        )
        return Asked(request, answers.read_decision)

    def decide_many(
        self, questions: Sequence[Question], brings: Brought, consistency: Consistency | None
    ) -> Asked[pb.CheckBulkRequest, pb.CheckBulkResponse, list[Decision]]:
        """Many questions."""
        asked = questions_of(questions)
        wide = len(asked) >= _COLUMNS_FROM
        when = self._terms.at(consistency)

        def read(response: pb.CheckBulkResponse) -> list[Decision]:
            decisions = read_answer_columns(response) if wide else answers.read_decisions(response)
            if len(decisions) != len(asked):
                raise RelgraphError(
                    f"the server at {quoted(self._terms.target)} answered {len(decisions)} of {len(asked)} questions; "
                    "use a server of this version"
                )
            return decisions

        request = pb.CheckBulkRequest(
            questions=() if wide else messages.question_messages(asked),
            columns=question_columns(asked) if wide else None,
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, read)

    def best_many(
        self,
        subject: str | Subject,
        resources: Sequence[str | Object],
        ways: Ways,
        brings: Brought,
        consistency: Consistency | None,
    ) -> Asked[pb.BestAccessRequest, pb.BestAccessResponse, list[Best]]:
        """One subject on many resources."""
        when = self._terms.at(consistency)
        request = pb.BestAccessRequest(
            subject=str(Subject.of(subject)),
            resources=[str(Object.of(resource)) for resource in resources],
            ways=messages.ways_value(ways),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, self._about(list(request.resources), "resources", lambda best: str(best.resource)))

    def best_subjects(
        self,
        subjects: Sequence[str | Subject],
        resource: str | Object,
        ways: Ways,
        brings: Brought,
        consistency: Consistency | None,
    ) -> Asked[pb.BestAccessRequest, pb.BestAccessResponse, list[Best]]:
        """Many subjects on one resource."""
        when = self._terms.at(consistency)
        request = pb.BestAccessRequest(
            subjects=[str(Subject.of(subject)) for subject in subjects],
            resource=str(Object.of(resource)),
            ways=messages.ways_value(ways),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, self._about(list(request.subjects), "subjects", lambda best: str(best.subject)))

    def _about(
        self, asked: list[str], kind: str, name: Callable[[Best], str]
    ) -> Callable[[pb.BestAccessResponse], list[Best]]:
        """Return the reading of best accesses, which must be about what was asked about, in that order."""

        def read(response: pb.BestAccessResponse) -> list[Best]:
            bests = answers.read_best(response)
            if [name(best) for best in bests] != asked:
                raise RelgraphError(
                    f"the server at {quoted(self._terms.target)} answered about other {kind} than it was asked about; "
                    "use a server of this version"
                )
            return bests

        return read

    def expand(
        self,
        resource: str | Object,
        permission: str,
        brings: Brought,
        consistency: Consistency | None,
        *,
        usersets: bool,
    ) -> Asked[pb.ExpandRequest, pb.ExpandResponse, Expansion]:
        """How a permission comes about."""
        when = self._terms.at(consistency)
        request = pb.ExpandRequest(
            resource=str(Object.of(resource)),
            permission=plain_text(permission, "permission"),
            usersets=usersets,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, answers.read_expansion)

    def what(
        self,
        subject: str | Subject,
        permission: str,
        type: str,
        limit: int | None,
        cursor: str,
        brings: Brought,
        consistency: Consistency | None,
    ) -> pb.LookupResourcesRequest:
        """The resources that a subject has a permission on."""
        when = self._at(cursor, consistency)
        return pb.LookupResourcesRequest(
            subject=str(Subject.of(subject)),
            permission=plain_text(permission, "permission"),
            type=plain_text(type, "type"),
            limit=_rows(limit),
            cursor=plain_text(cursor, "cursor"),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )

    def who(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        relation: str,
        limit: int | None,
        cursor: str,
        brings: Brought,
        consistency: Consistency | None,
    ) -> pb.LookupSubjectsRequest:
        """The subjects that have a permission on a resource."""
        when = self._at(cursor, consistency)
        return pb.LookupSubjectsRequest(
            resource=str(Object.of(resource)),
            permission=plain_text(permission, "permission"),
            type=plain_text(type, "type"),
            relation=plain_text(relation, "relation"),
            limit=_rows(limit),
            cursor=plain_text(cursor, "cursor"),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )

    def count_resources(
        self, subject: str | Subject, permission: str, type: str, brings: Brought, consistency: Consistency | None
    ) -> Asked[pb.CountResourcesRequest, pb.CountResponse, Count]:
        """How many resources there are."""
        when = self._terms.at(consistency)
        request = pb.CountResourcesRequest(
            subject=str(Subject.of(subject)),
            permission=plain_text(permission, "permission"),
            type=plain_text(type, "type"),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, read_count)

    def count_subjects(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        relation: str,
        brings: Brought,
        consistency: Consistency | None,
    ) -> Asked[pb.CountSubjectsRequest, pb.CountResponse, Count]:
        """How many subjects there are."""
        when = self._terms.at(consistency)
        request = pb.CountSubjectsRequest(
            resource=str(Object.of(resource)),
            permission=plain_text(permission, "permission"),
            type=plain_text(type, "type"),
            relation=plain_text(relation, "relation"),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, read_count)

    def permissions(
        self, subject: str | Subject, resource: str | Object, brings: Brought, consistency: Consistency | None
    ) -> Asked[pb.AllPermissionsRequest, pb.AllPermissionsResponse, Permissions]:
        """All that a subject has on a resource."""
        when = self._terms.at(consistency)
        request = pb.AllPermissionsRequest(
            subject=str(Subject.of(subject)),
            resource=str(Object.of(resource)),
            context=brings.context,
            contextual_tuples=brings.tuples,
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, read_permissions)

    def orphans(
        self, candidates: Iterable[str | Object], types: Iterable[str], consistency: Consistency | None
    ) -> Asked[pb.ListOrphansRequest, pb.ListOrphansResponse, Orphans]:
        """The resources out of reach."""
        when = self._terms.at(consistency)
        return Asked(messages.survey_message(pb.ListOrphansRequest, candidates, types, when), answers.read_orphans)

    def cycles(
        self, candidates: Iterable[str | Object], types: Iterable[str], consistency: Consistency | None
    ) -> Asked[pb.ListCyclesRequest, pb.ListCyclesResponse, Cycles]:
        """What leads back to itself."""
        when = self._terms.at(consistency)
        return Asked(messages.survey_message(pb.ListCyclesRequest, candidates, types, when), answers.read_cycles)

    def status(self) -> Asked[pb.StatusRequest, pb.StatusResponse, Status]:
        """What the server runs on."""
        return Asked(pb.StatusRequest(), read_status)

    def read(
        self, filter: TupleFilter, limit: int, cursor: str, consistency: Consistency | None
    ) -> Asked[pb.ReadRequest, pb.ReadResponse, Page]:
        """One page of tuples."""
        if not 0 < limit < _LIMIT_END:
            raise InvalidInput(f"a page cannot hold {quoted(str(limit))} tuples; use a whole number from 1")
        when = self._at(cursor, consistency)
        request = pb.ReadRequest(
            filter=messages.filter_message(filter),
            limit=limit,
            cursor=plain_text(cursor, "cursor"),
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, answers.read_page)

    def dump(self, filter: TupleFilter, consistency: Consistency | None) -> pb.ExportRequest:
        """All tuples."""
        when = self._terms.at(consistency)
        return pb.ExportRequest(
            filter=messages.filter_message(filter),
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )

    def schema(self, consistency: Consistency | None) -> Asked[pb.ReadSchemaRequest, pb.ReadSchemaResponse, SchemaText]:
        """The schema."""
        when = self._terms.at(consistency)
        request = pb.ReadSchemaRequest(consistency=messages.consistency_message(when), at=messages.at_message(when))
        return Asked(request, answers.read_schema)

    def diff_schema(
        self, text: str, consistency: Consistency | None
    ) -> Asked[pb.DiffSchemaRequest, pb.DiffSchemaResponse, SchemaDiff]:
        """What another schema would change."""
        when = self._terms.at(consistency)
        request = pb.DiffSchemaRequest(
            text=plain_text(text, "text"),
            consistency=messages.consistency_message(when),
            at=messages.at_message(when),
        )
        return Asked(request, answers.read_diff)

    # --- writes ---

    def write(
        self,
        touch: Sequence[str | RelationTuple],
        create: Sequence[str | RelationTuple],
        delete: Sequence[str | RelationTuple],
        preconditions: Sequence[Precondition],
        actor: str | Object | None,
        reason: str,
        request_id: str,
        not_after: datetime | None,
    ) -> Asked[pb.WriteRequest, pb.WriteResponse, Written]:
        """A change of tuples."""
        request = pb.WriteRequest(
            preconditions=messages.precondition_messages(preconditions),
            actor=messages.actor_text(actor),
            reason=plain_text(reason, "reason"),
            request_id=self._terms.request_id(plain_text(request_id, "request_id")),
            not_after=messages.not_after_message(not_after),
        )
        request.updates.extend(messages.update_messages("touch", touch))
        request.updates.extend(messages.update_messages("create", create))
        request.updates.extend(messages.update_messages("delete", delete))
        return Asked(request, answers.read_written, bool(request.request_id), request.request_id)

    def delete(
        self,
        filter: TupleFilter,
        limit: int | None,
        preconditions: Sequence[Precondition],
        actor: str | Object | None,
        reason: str,
        request_id: str,
        not_after: datetime | None,
        *,
        partial: bool,
    ) -> Asked[pb.DeleteRequest, pb.DeleteResponse, Deleted]:
        """A delete by filter."""
        if limit is not None and not 0 < limit < _LIMIT_END:
            raise InvalidInput(f"a delete cannot take away {quoted(str(limit))} tuples; use a whole number from 1")
        request = pb.DeleteRequest(
            filter=messages.filter_message(filter),
            limit=limit,
            partial=partial,
            preconditions=messages.precondition_messages(preconditions),
            actor=messages.actor_text(actor),
            reason=plain_text(reason, "reason"),
            request_id=self._terms.request_id(plain_text(request_id, "request_id")),
            not_after=messages.not_after_message(not_after),
        )
        return Asked(request, answers.read_deleted, bool(request.request_id), request.request_id)

    def write_schema(
        self, text: str, actor: str | Object | None, reason: str
    ) -> Asked[pb.WriteSchemaRequest, pb.WriteSchemaResponse, Written]:
        """Another schema. It takes no request id, and sent again it could undo what another one wrote meanwhile."""
        request = pb.WriteSchemaRequest(
            text=plain_text(text, "text"), actor=messages.actor_text(actor), reason=plain_text(reason, "reason")
        )
        return Asked(request, answers.read_written, repeatable=False)

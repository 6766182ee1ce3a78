"""The Authorizer's twin over the wire: the same methods, parameters, answers and errors, asked of a server.

    with Client("127.0.0.1:50051") as client:
        client.check("user:anna", "view", "report:q3")

Rule 1: what cannot be understood (a status, a verdict, an enum value) is an error, never a "no".
"""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING, Final, TypeVar

import grpc

from relgraph import errors, streams
from relgraph.answers import Verdict
from relgraph.dialing import Access, dial
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter, question_of, questions_of
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire import answers
from relgraph.wire import questions as messages
from relgraph.wire.columns import question_columns, read_answer_columns
from relgraph.wire.failures import error_from
from relgraph.wire.parts import plain_text
from relgraph.wire.status import read_status
from relgraph.wire.watches import watch_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Literal, Self

    from relgraph.answers import (
        Best,
        Cycles,
        Decision,
        Deleted,
        Expansion,
        Imported,
        Orphans,
        Page,
        SchemaDiff,
        SchemaText,
        Status,
        Written,
    )
    from relgraph.revision import Consistency, Token
    from relgraph.tuples import Precondition, Question

__all__ = ["Access", "Client"]

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

COLUMNS_FROM: Final = 16
"""From so many questions on, columns take less time than rows: 1.6 times less for a thousand."""

ANSWER_BYTES_MAX: Final = 64 << 20
_ANY_TUPLE: Final = TupleFilter()
_PLAIN: Final = Access()
_LIMIT_END: Final = 1 << 32

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", -1),  # the server says what is too much
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # a proxy for the web is no way to one's own authorizer, least of all on loopback
    ("grpc.enable_http_proxy", 0),
)


class Client:
    """An authorizer somewhere else, at `target` (HOST:PORT). May be used from many threads; close it when done.

    `timeout` is in seconds and bounds each call that is not given a `deadline` of its own; an import has no bound.
    Nothing connects before the first call, which raises ServerUnavailable when nobody answers. `access` has the key
    and the files of TLS; without TLS, a key is sent to this machine only. Raises InvalidSetting.
    """

    def __init__(self, target: str, *, timeout: float = 30.0, access: Access = _PLAIN) -> None:
        self._target = target
        self._timeout = timeout
        self._pid = os.getpid()
        self._channel = dial(target, access, _OPTIONS)
        self._stub = AuthorizerServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls in progress fail."""
        self._channel.close()

    # --- questions ---

    def check(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        consistency: Consistency | None = None,
        on_conditional: Literal["raise", "deny"] = "raise",
        deadline: float | None = None,
    ) -> bool:
        """Whether the subject has the permission; also as one text, `check("report:q3#view@user:anna")`.

        Raises Conditional when it depends on context that was not given, unless `on_conditional` is "deny".
        """
        if on_conditional not in ("raise", "deny"):
            raise errors.InvalidInput(f"on_conditional is {errors.quoted(str(on_conditional))}; use `raise` or `deny`")
        decision = self.decide(subject, permission, resource, consistency=consistency, deadline=deadline)
        if decision.verdict is Verdict.CONDITIONAL and on_conditional == "raise":
            raise errors.Conditional(
                f"the answer depends on {', '.join(map(errors.quoted, decision.missing))}; give the context, "
                "or decide what a conditional answer means with `on_conditional`",
                {"missing": ", ".join(decision.missing)},
            )
        return decision.allowed

    def decide(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Decision:
        """The verdict with its revision and what is missing. Raises Undecided when the answer is undefined."""
        who, name, what = question_of(subject, permission, resource)
        request = pb.CheckRequest(
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
            subject=str(who),
            permission=name,
            resource=str(what),
        )
        return answers.read_decision(self._call(self._stub.Check, request, deadline))

    def decide_many(
        self,
        questions: Sequence[Question],
        *,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Decision]:
        """The verdict on each question, in their order, all at one revision; UNDECIDED is one of them here."""
        asked = questions_of(questions)
        wide = len(asked) >= COLUMNS_FROM
        request = pb.CheckBulkRequest(
            questions=() if wide else messages.question_messages(asked),
            columns=question_columns(asked) if wide else None,
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        response = self._call(self._stub.CheckBulk, request, deadline)
        decisions = read_answer_columns(response) if wide else answers.read_decisions(response)
        if len(decisions) != len(asked):
            raise errors.RelgraphError(
                f"the server at {errors.quoted(self._target)} answered {len(decisions)} of {len(asked)} questions; "
                "use a server of this version"
            )
        return decisions

    def best(
        self,
        subject: str | Subject,
        resource: str | Object,
        *,
        ways: Literal["none", "one", "all"] = "one",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Best:
        """The best access of the subject on one resource."""
        return self.best_many(subject, [resource], ways=ways, consistency=consistency, deadline=deadline)[0]

    def best_many(
        self,
        subject: str | Subject,
        resources: Sequence[str | Object],
        *,
        ways: Literal["none", "one", "all"] = "none",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """The best access of the subject on each resource, in their order, all at one revision."""
        request = pb.BestAccessRequest(
            subject=str(Subject.of(subject)),
            resources=[str(Object.of(resource)) for resource in resources],
            ways=messages.ways_value(ways),
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        bests = answers.read_best(self._call(self._stub.BestAccess, request, deadline))
        if [str(best.resource) for best in bests] != list(request.resources):
            raise errors.RelgraphError(
                f"the server at {errors.quoted(self._target)} answered about other resources than it was asked about; "
                "use a server of this version"
            )
        return bests

    def best_subjects(
        self,
        subjects: Sequence[str | Subject],
        resource: str | Object,
        *,
        ways: Literal["none", "one", "all"] = "none",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """The best access of each subject on one resource, in their order, all at one revision."""
        request = pb.BestAccessRequest(
            subjects=[str(Subject.of(subject)) for subject in subjects],
            resource=str(Object.of(resource)),
            ways=messages.ways_value(ways),
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        bests = answers.read_best(self._call(self._stub.BestAccess, request, deadline))
        if [str(best.subject) for best in bests] != list(request.subjects):
            raise errors.RelgraphError(
                f"the server at {errors.quoted(self._target)} answered about other subjects than it was asked about; "
                "use a server of this version"
            )
        return bests

    def expand(
        self,
        resource: str | Object,
        permission: str,
        *,
        usersets: bool = False,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Expansion:
        """How a permission or relation of the resource comes about; with `usersets`, those opened as well."""
        request = pb.ExpandRequest(
            resource=str(Object.of(resource)),
            permission=plain_text(permission, "permission"),
            usersets=usersets,
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        return answers.read_expansion(self._call(self._stub.Expand, request, deadline))

    def orphans(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Orphans:
        """The resources that nobody can reach, among all objects ever named and the candidates."""
        request = messages.survey_message(pb.ListOrphansRequest, candidates, types, consistency)
        return answers.read_orphans(self._call(self._stub.ListOrphans, request, deadline))

    def cycles(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Cycles:
        """What leads back to itself through tuples, among all objects ever named and the candidates."""
        request = messages.survey_message(pb.ListCyclesRequest, candidates, types, consistency)
        return answers.read_cycles(self._call(self._stub.ListCycles, request, deadline))

    def status(self) -> Status:
        """What the server runs on, how it is set, what its store holds, and what is wrong with any of it."""
        return read_status(self._call(self._stub.Status, pb.StatusRequest()))

    def read(
        self,
        filter: TupleFilter = _ANY_TUPLE,
        *,
        limit: int = 1000,
        cursor: str = "",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Page:
        """One page of living tuples that match the filter; `cursor` continues after the page before."""
        if not 0 < limit < _LIMIT_END:
            raise errors.InvalidInput(
                f"a page cannot hold {errors.quoted(str(limit))} tuples; use a whole number from 1"
            )
        request = pb.ReadRequest(
            filter=messages.filter_message(filter),
            limit=limit,
            cursor=plain_text(cursor, "cursor"),
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        return answers.read_page(self._call(self._stub.Read, request, deadline))

    def dump(self, filter: TupleFilter = _ANY_TUPLE, *, consistency: Consistency | None = None) -> streams.Dump:
        """Every tuple that matches, and the schema, all at one revision."""
        request = pb.ExportRequest(
            filter=messages.filter_message(filter),
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        return streams.Dump(self._stream(self._stub.Export, request), self._target, self._timeout)

    def schema(self, *, consistency: Consistency | None = None, deadline: float | None = None) -> SchemaText:
        """The schema as it was written. Raises NoSchema before the first."""
        request = pb.ReadSchemaRequest(
            consistency=messages.consistency_message(consistency), at=messages.at_message(consistency)
        )
        return answers.read_schema(self._call(self._stub.ReadSchema, request, deadline))

    def diff_schema(
        self, text: str, *, consistency: Consistency | None = None, deadline: float | None = None
    ) -> SchemaDiff:
        """What `text` would change, were it written in place of the schema in force."""
        request = pb.DiffSchemaRequest(
            text=plain_text(text, "text"),
            consistency=messages.consistency_message(consistency),
            at=messages.at_message(consistency),
        )
        return answers.read_diff(self._call(self._stub.DiffSchema, request, deadline))

    # --- writes ---

    def write(
        self,
        *,
        touch: Sequence[str | RelationTuple] = (),
        create: Sequence[str | RelationTuple] = (),
        delete: Sequence[str | RelationTuple] = (),
        preconditions: Sequence[Precondition] = (),
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
        deadline: float | None = None,
    ) -> Written:
        """Change tuples, all or none, in one revision.

        When the connection breaks, or the `deadline` passes, only a `request_id` tells a write that was made from one
        that was not: repeat it.
        """
        request = pb.WriteRequest(
            preconditions=messages.precondition_messages(preconditions),
            actor=messages.actor_text(actor),
            reason=plain_text(reason, "reason"),
            request_id=plain_text(request_id, "request_id"),
            not_after=messages.not_after_message(not_after),
        )
        request.updates.extend(messages.update_messages("touch", touch))
        request.updates.extend(messages.update_messages("create", create))
        request.updates.extend(messages.update_messages("delete", delete))
        return answers.read_written(self._call(self._stub.Write, request, deadline))

    def delete(
        self,
        filter: TupleFilter,
        *,
        limit: int | None = None,
        partial: bool = False,
        preconditions: Sequence[Precondition] = (),
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
    ) -> Deleted:
        """Delete all tuples that match, in one revision; with `partial`, at most `limit` of them."""
        if limit is not None and not 0 < limit < _LIMIT_END:
            raise errors.InvalidInput(
                f"a delete cannot take away {errors.quoted(str(limit))} tuples; use a whole number from 1"
            )
        request = pb.DeleteRequest(
            filter=messages.filter_message(filter),
            limit=limit,
            partial=partial,
            preconditions=messages.precondition_messages(preconditions),
            actor=messages.actor_text(actor),
            reason=plain_text(reason, "reason"),
            request_id=plain_text(request_id, "request_id"),
            not_after=messages.not_after_message(not_after),
        )
        return answers.read_deleted(self._call(self._stub.Delete, request))

    def write_schema(self, text: str, *, actor: str | Object | None = None, reason: str = "") -> Written:
        """Replace the schema."""
        request = pb.WriteSchemaRequest(
            text=plain_text(text, "text"), actor=messages.actor_text(actor), reason=plain_text(reason, "reason")
        )
        return answers.read_written(self._call(self._stub.WriteSchema, request))

    def load(
        self,
        tuples: Iterable[str | RelationTuple],
        *,
        on_duplicate: Literal["error", "touch", "skip"] = "error",
        allow_universal: bool = False,
        allow_wildcards: bool = False,
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
    ) -> Imported:
        """Load many tuples in one revision, all or nothing. `tuples` is read here, in the caller's thread."""
        self._refuse_fork()
        options = messages.import_options_message(
            on_duplicate,
            allow_universal=allow_universal,
            allow_wildcards=allow_wildcards,
            actor=actor,
            reason=reason,
            request_id=request_id,
            not_after=not_after,
        )
        ahead: streams.Ahead = queue.Queue(streams.BATCHES_AHEAD_MAX)
        try:
            call = self._stub.Import.future(streams.sent(ahead))
        except ValueError:
            raise self._closed() from None
        complete = False
        try:
            for message in streams.batches(tuples, options):
                if not streams.put(ahead, message, call):
                    break
            complete = True
        finally:
            # a stream whose source failed is cancelled before it can end: the server must never see it as whole
            if not complete:
                call.cancel()
            streams.finish(ahead, call)
        try:
            return answers.read_imported(call.result())
        except grpc.RpcError as problem:
            raise error_from(problem, self._target) from None
        except grpc.FutureCancelledError:
            raise errors.ServerUnavailable(
                f"the import to {errors.quoted(self._target)} was broken off; nothing was changed unless it had "
                "already been committed: read before you repeat it",
                {"target": self._target},
            ) from None
        finally:
            call.cancel()  # whoever is interrupted while waiting takes the import back; a finished call ignores it

    def watch(
        self,
        after: str | Token | None = None,
        *,
        types: Iterable[str] = (),
        relations: Iterable[str] = (),
        filters: Iterable[TupleFilter] = (),
        heartbeat: float = 10.0,
    ) -> streams.Watch:
        """Tell what is committed behind a token, or from now on, revision by revision as it happens, without end."""
        request = watch_message(after, types, relations, filters, heartbeat)
        return streams.Watch(self._stream(self._stub.Watch, request), self._target, self._timeout)

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise errors.Forked("this client was opened before the process forked; open another one in the child")

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        deadline: float | None = None,
    ) -> _Response:
        """Make one call. Raises what the server raised."""
        self._refuse_fork()
        try:
            return method(request, timeout=self._timeout if deadline is None else max(deadline, 0.0))
        except grpc.RpcError as problem:
            raise error_from(problem, self._target) from None
        except ValueError:  # all that gRPC says about a channel that was closed
            raise self._closed() from None

    def _stream(
        self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> streams.Told[_Response]:
        """Begin a call that is answered with a stream."""
        self._refuse_fork()
        try:
            return method(request)
        except ValueError:
            raise self._closed() from None

    def _closed(self) -> errors.ServerUnavailable:
        return errors.ServerUnavailable(
            f"this client of {errors.quoted(self._target)} is closed; open another one", {"target": self._target}
        )

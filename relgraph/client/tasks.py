"""The client for tasks: what `Client` is for threads, with the same methods, to be awaited.

async with AsyncClient("127.0.0.1:50051") as client:
    await client.check("user:anna", "view", "report:q3")
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar, cast

from relgraph.client import requests
from relgraph.client.async_lookups import AsyncLookups
from relgraph.client.async_streams import AsyncDump, AsyncWatch, broken_off, send
from relgraph.client.requests import Dated, Requests
from relgraph.client.retrying import Retries
from relgraph.client.telling import Gathered, Watched
from relgraph.client.terms import OPTIONS, Terms
from relgraph.dialing import Access, credentials_of, dial_async, metadata_of
from relgraph.errors import RelgraphError
from relgraph.tuples import TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire.brought import brought_message
from relgraph.wire.questions import import_options_message
from relgraph.wire.watches import watch_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Literal, Self

    import grpc.aio

    from relgraph.answers import (
        Best,
        Cycles,
        Decision,
        Deleted,
        Expansion,
        Imported,
        Lookup,
        Orphans,
        Page,
        SchemaDiff,
        SchemaText,
        Status,
        Written,
    )
    from relgraph.client.async_streams import Told
    from relgraph.client.requests import Asked
    from relgraph.client.retrying import Attempts
    from relgraph.revision import Consistency, Token
    from relgraph.tuples import Object, Precondition, Question, RelationTuple, Subject
    from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceAsyncStub

__all__ = ["AsyncClient"]

_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=Dated)
_Message = TypeVar("_Message")
_Answer = TypeVar("_Answer")

_ANY_TUPLE: Final = TupleFilter()
_PLAIN: Final = Access()
_RETRIES: Final = Retries()


class AsyncClient(AsyncLookups):
    """An authorizer somewhere else, as `Client`, with the same parameters. May be used from many tasks of one loop.

    It may be made anywhere, and belongs to the event loop of its first call: in another one, it raises RuntimeError.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 30.0,
        access: Access = _PLAIN,
        retries: Retries | None = _RETRIES,
        read_your_writes: bool = False,
    ) -> None:
        self._terms = Terms(target, timeout, retries, read_your_writes=read_your_writes)
        self._requests = Requests(self._terms)
        self._credentials = credentials_of(target, access)
        self._metadata = metadata_of(access)
        self._pause: Callable[[float], Awaitable[object]] = asyncio.sleep
        self._opened: tuple[asyncio.AbstractEventLoop, grpc.aio.Channel, AuthorizerServiceAsyncStub] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in progress fail. Closing twice is fine."""
        self._terms.closed = True
        if self._opened is not None:
            await self._opened[1].close()

    # --- questions ---

    async def check(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        on_conditional: Literal["raise", "deny"] = "raise",
        deadline: float | None = None,
    ) -> bool:
        """Whether the subject has the permission; also as one text, `check("report:q3#view@user:anna")`.

        Raises Conditional when it depends on context that was not given, unless `on_conditional` is "deny".
        """
        requests.check_on_conditional(on_conditional)
        decision = await self.decide(
            subject,
            permission,
            resource,
            context=context,
            contextual=contextual,
            consistency=consistency,
            deadline=deadline,
        )
        return requests.allowed(decision, on_conditional)

    async def decide(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Decision:
        """The verdict with its revision and what is missing. Raises Undecided when the answer is undefined."""
        asked = self._requests.decide(subject, permission, resource, brought_message(context, contextual), consistency)
        return await self._call(self._stub().Check, asked, deadline)

    async def decide_many(
        self,
        questions: Sequence[Question],
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Decision]:
        """The verdict on each question, in their order, all at one revision; UNDECIDED is one of them here."""
        asked = self._requests.decide_many(questions, brought_message(context, contextual), consistency)
        return await self._call(self._stub().CheckBulk, asked, deadline)

    async def best(
        self,
        subject: str | Subject,
        resource: str | Object,
        *,
        ways: Literal["none", "one", "all"] = "one",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Best:
        """The best access of the subject on one resource."""
        found = await self.best_many(
            subject,
            [resource],
            ways=ways,
            context=context,
            contextual=contextual,
            consistency=consistency,
            deadline=deadline,
        )
        return found[0]

    async def best_many(
        self,
        subject: str | Subject,
        resources: Sequence[str | Object],
        *,
        ways: Literal["none", "one", "all"] = "none",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """The best access of the subject on each resource, in their order, all at one revision."""
        asked = self._requests.best_many(subject, resources, ways, brought_message(context, contextual), consistency)
        return await self._call(self._stub().BestAccess, asked, deadline)

    async def best_subjects(
        self,
        subjects: Sequence[str | Subject],
        resource: str | Object,
        *,
        ways: Literal["none", "one", "all"] = "none",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """The best access of each subject on one resource, in their order, all at one revision."""
        asked = self._requests.best_subjects(
            subjects, resource, ways, brought_message(context, contextual), consistency
        )
        return await self._call(self._stub().BestAccess, asked, deadline)

    async def expand(
        self,
        resource: str | Object,
        permission: str,
        *,
        usersets: bool = False,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Expansion:
        """How a permission or relation of the resource comes about; with `usersets`, those opened as well."""
        asked = self._requests.expand(
            resource, permission, brought_message(None, contextual), consistency, usersets=usersets
        )
        return await self._call(self._stub().Expand, asked, deadline)

    async def orphans(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Orphans:
        """The resources that nobody can reach, among all objects ever named and the candidates."""
        return await self._call(
            self._stub().ListOrphans, self._requests.orphans(candidates, types, consistency), deadline
        )

    async def cycles(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Cycles:
        """What leads back to itself through tuples, among all objects ever named and the candidates."""
        return await self._call(
            self._stub().ListCycles, self._requests.cycles(candidates, types, consistency), deadline
        )

    async def status(self) -> Status:
        """What the server runs on, how it is set, what its store holds, and what is wrong with any of it."""
        return await self._call(self._stub().Status, self._requests.status())

    async def read(
        self,
        filter: TupleFilter = _ANY_TUPLE,
        *,
        limit: int = 1000,
        cursor: str = "",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Page:
        """One page of living tuples that match the filter; `cursor` continues after the page before."""
        return await self._call(self._stub().Read, self._requests.read(filter, limit, cursor, consistency), deadline)

    def dump(self, filter: TupleFilter = _ANY_TUPLE, *, consistency: Consistency | None = None) -> AsyncDump:
        """Every tuple that matches, and the schema, all at one revision."""
        request = self._requests.dump(filter, consistency)
        return AsyncDump(lambda: self._stream(self._stub().Export, request), self._terms, self._pause)

    async def schema(self, *, consistency: Consistency | None = None, deadline: float | None = None) -> SchemaText:
        """The schema as it was written. Raises NoSchema before the first."""
        return await self._call(self._stub().ReadSchema, self._requests.schema(consistency), deadline)

    async def diff_schema(
        self, text: str, *, consistency: Consistency | None = None, deadline: float | None = None
    ) -> SchemaDiff:
        """What `text` would change, were it written in place of the schema in force."""
        return await self._call(self._stub().DiffSchema, self._requests.diff_schema(text, consistency), deadline)

    # --- writes ---

    async def write(
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
        that was not: repeat it. The one that the write was sent under is in the error's details.
        """
        asked = self._requests.write(touch, create, delete, preconditions, actor, reason, request_id, not_after)
        return await self._call(self._stub().Write, asked, deadline)

    async def delete(
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
        asked = self._requests.delete(
            filter, limit, preconditions, actor, reason, request_id, not_after, partial=partial
        )
        return await self._call(self._stub().Delete, asked)

    async def write_schema(self, text: str, *, actor: str | Object | None = None, reason: str = "") -> Written:
        """Replace the schema. This is sent once: it has no request id, and another one may write a schema meanwhile."""
        return await self._call(self._stub().WriteSchema, self._requests.write_schema(text, actor, reason))

    async def load(
        self,
        tuples: Iterable[str | RelationTuple] | AsyncIterable[str | RelationTuple],
        *,
        on_duplicate: Literal["error", "touch", "skip"] = "error",
        allow_universal: bool = False,
        allow_wildcards: bool = False,
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
    ) -> Imported:
        """Load many tuples in one revision, all or nothing. `tuples` is read here, in the caller's task.

        It is sent again, as a write is, only where `tuples` is a list, a tuple or a set, which can be read again.
        """
        request_id = self._terms.request_id(request_id)
        options = import_options_message(
            on_duplicate,
            allow_universal=allow_universal,
            allow_wildcards=allow_wildcards,
            actor=actor,
            reason=reason,
            request_id=request_id,
            not_after=not_after,
        )
        return await self._repeat(
            lambda _: send(self._stub().Import, self._metadata, tuples, options, self._terms),
            self._terms.load_attempts(tuples, request_id),
        )

    def watch(
        self,
        after: str | Token | None = None,
        *,
        types: Iterable[str] = (),
        relations: Iterable[str] = (),
        filters: Iterable[TupleFilter] = (),
        heartbeat: float = 10.0,
        resume: bool = False,
    ) -> AsyncWatch:
        """Tell what is committed behind a token, or from now on, revision by revision as it happens, without end.

        With `resume`, a stream that breaks off is gone on with behind what was told, without a gap or a repeat; only
        when that fails for as long as the client's `timeout` is it an error.
        """
        request = watch_message(after, types, relations, filters, heartbeat)
        watched = Watched(request, self._terms, resumes=resume)
        return AsyncWatch(lambda wanted: self._stream(self._stub().Watch, wanted), watched, self._terms, self._pause)

    def _stub(self) -> AuthorizerServiceAsyncStub:
        """Return the server's methods, over a channel that is opened by the first call."""
        self._terms.check_process()
        if self._terms.closed:
            raise self._terms.shut()
        loop = asyncio.get_running_loop()
        if self._opened is None:
            channel = dial_async(self._terms.target, self._credentials, OPTIONS)
            self._opened = loop, channel, cast("AuthorizerServiceAsyncStub", AuthorizerServiceStub(channel))
        if self._opened[0] is not loop:
            raise RuntimeError("this AsyncClient belongs to another event loop; open one in each loop")
        return self._opened[2]

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        asked: Asked[_Request, _Response, _Answer],
        deadline: float | None = None,
    ) -> _Answer:
        """Make one call. Raises what the server raised."""

        async def act(left: float | None) -> _Answer:
            with broken_off(self._terms):
                response = await method(asked.request, timeout=left, metadata=self._metadata)
            self._terms.note(response.token)
            return asked.read(response)

        attempts = self._terms.attempts(deadline, repeatable=asked.repeatable, request_id=asked.request_id)
        return await self._repeat(act, attempts)

    async def _gather(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, pb.LookupResponse],
        request: _Request,
        deadline: float | None,
    ) -> Lookup:
        """Make one lookup. Raises what the server raised, and ServerUnavailable where it is not whole."""

        async def act(left: float | None) -> Lookup:
            gathered = Gathered(self._terms)
            with broken_off(self._terms):
                call = self._stream(method, request, left)
                try:
                    while isinstance(message := await call.read(), pb.LookupResponse):
                        gathered.take(message)
                finally:
                    call.cancel()  # nothing, where it has ended
            return gathered.whole()

        return await self._repeat(act, self._terms.attempts(deadline))

    async def _repeat(self, act: Callable[[float | None], Awaitable[_Answer]], attempts: Attempts) -> _Answer:
        """Act until there is an answer, or nothing more to be done about it."""
        while True:
            self._terms.check_process()
            try:
                return await act(attempts.left)
            except RelgraphError as error:
                pause = error if self._terms.closed else attempts.after(error)
                if isinstance(pause, RelgraphError):
                    raise pause from None
            await self._pause(pause)

    def _stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Message],
        request: _Request,
        timeout: float | None = None,
    ) -> Told:
        """Begin a call that is answered with a stream."""
        return method(request, timeout=timeout, metadata=self._metadata)

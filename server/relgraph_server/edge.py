"""What stands between the network and every method of the service: keys, bytes, errors and sizes, each handled once.

Rule 1: whatever a method raises leaves as one status, from the table of its dialect.
Rule 2: what was not raised on purpose leaves as INTERNAL with an incident number; the traceback goes to the log only.
Rule 3: a method that is answered in many messages sends them itself, and its end is the end of the stream.
Rule 4: no message is looked at before its caller's key was found, and none reaches a method before the gate admits it;
a stream ends once its key is not valid any more.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from relgraph.errors import InvalidInput, LimitExceeded, RelgraphError
from relgraph_server.calls import CALL
from relgraph_server.guard import check_items

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import Never

    from relgraph_server.calls import Call
    from relgraph_server.dialects import Dialect
    from relgraph_server.gate import Gate
    from relgraph_server.sights import Sight, Sights

    Context = grpc.aio.ServicerContext[Message, Message]
    _Parse = Callable[[bytes], Message]

__all__ = ["Edge"]

_log: Final = logging.getLogger(__name__)

_Reply = TypeVar("_Reply")


class Edge(grpc.aio.ServerInterceptor):
    """Wraps the methods of the dialects' services; other services (health, reflection) pass untouched.

    `sights` sees every call. `request_items_max` bounds what is in the lists of a request message. `answer_bytes_max`
    bounds the size of an answer: beyond it the caller is told so, instead of losing the connection. `unserved` has the
    names of services that callers may look for, and for each what to do about it.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        gate: Gate,
        sights: Sights,
        *,
        request_items_max: int,
        answer_bytes_max: int,
        unserved: Mapping[str, str] = {},
    ) -> None:
        self._dialects = {name: dialect for dialect in dialects for name in dialect.services}
        self._unserved = {name: _refusal(remedy) for name, remedy in unserved.items()}
        self._gate = gate
        self._sights = sights
        self._request_items_max = request_items_max
        self._answer_bytes_max = answer_bytes_max

    async def intercept_service(self, continuation, handler_call_details):  # type: ignore[no-untyped-def]  # noqa: ANN001,ANN201 - gRPC types the sync form only
        """Return the method's handler, wrapped."""
        handler = await continuation(handler_call_details)
        service, _, method_name = handler_call_details.method.removeprefix("/").rpartition("/")
        dialect = self._dialects.get(service)
        if handler is None and service in self._unserved:
            return grpc.stream_stream_rpc_method_handler(self._unserved[service])
        if handler is None or dialect is None:
            return handler
        parse = handler.request_deserializer

        def begin(context: Context) -> Call:
            return self._gate.call(method_name, context.peer(), dialect, service)

        if handler.request_streaming:

            async def answer_stream(messages: AsyncIterable[bytes], context: Context) -> Message:
                async def method(call: Call) -> Message:
                    self._gate.await_messages(call)
                    reply: Message = await handler.stream_unary(self._admitted(call, parse, messages), context)
                    return reply

                return await self._answer(begin, method, context)

            return grpc.stream_unary_rpc_method_handler(answer_stream, None, handler.response_serializer)

        if handler.response_streaming:

            async def answer_many(data: bytes, context: Context) -> None:
                async def method(call: Call) -> None:
                    message = self._admit(call, parse, data)
                    await handler.unary_stream(message, _Renewed(context, lambda reply: self._pass_out(call, reply)))

                await self._guarded(begin, method, context)

            return grpc.unary_stream_rpc_method_handler(answer_many, None, handler.response_serializer)

        async def answer(data: bytes, context: Context) -> Message:
            async def method(call: Call) -> Message:
                reply: Message = await handler.unary_unary(self._admit(call, parse, data), context)
                return reply

            return await self._answer(begin, method, context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _admit(self, call: Call, parse: _Parse, data: bytes) -> Message:
        """Read a message of a call whose key was found, and have it judged. Raises InvalidInput, LimitExceeded."""
        try:
            message = parse(data)
        except DecodeError:
            # gRPC itself would answer INTERNAL, as if the fault were the server's
            raise InvalidInput(
                "the request's bytes are not a message of its type; use a client made from the same proto"
            ) from None
        check_items(message, self._request_items_max, call.dialect.contexts)
        if call.sight is not None:
            self._sights.admit(call.sight, message, call.dialect.freshness(message))
        self._gate.admit(call, message)
        return message

    def _pass_out(self, call: Call, reply: Message) -> None:
        """Judge a message of a stream before it is sent. Raises Unauthenticated, NotReady."""
        self._gate.renew(call)
        self._gate.seal(call, reply)

    async def _admitted(self, call: Call, parse: _Parse, messages: AsyncIterable[bytes]) -> AsyncIterator[Message]:
        async for data in messages:
            self._gate.renew(call)
            yield self._admit(call, parse, data)
        # What the stream asked for is begun now, however long ago the last message came.
        self._gate.renew(call)

    async def _answer(
        self, begin: Callable[[Context], Call], method: Callable[[Call], Awaitable[Message]], context: Context
    ) -> Message:
        """Run a method that returns its answer."""

        async def answered(call: Call) -> Message:
            reply = await method(call)
            self._gate.seal(call, reply)
            _check_size(reply, self._answer_bytes_max)
            return reply

        return await self._guarded(begin, answered, context)

    async def _guarded(
        self, begin: Callable[[Context], Call], method: Callable[[Call], Awaitable[_Reply]], context: Context
    ) -> _Reply:
        """Run a method for whom the gate lets in, and turn whatever it raises into a status."""
        call = begin(context)
        CALL.set(call)  # a call has a task of its own, and so a context
        metadata = _metadata(context)
        sight = call.sight = self._sights.begin(call.label, metadata)
        try:
            self._gate.identify(call, metadata)
            reply = await method(call)
        except RelgraphError as error:
            if type(error) is RelgraphError:
                _log.exception("an error without a class of its own")
            await self._refuse(call, sight, error, context)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            self._gate.abandoned(call)
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets a status
            incident = secrets.token_hex(4)
            _log.exception("incident %s", incident)
            problem = RelgraphError(
                f"the server failed on this request; its log tells why under incident `{incident}`",
                {"incident": incident},
            )
            await self._refuse(call, sight, problem, context)
        else:
            self._sights.end(sight, "OK")
            return reply
        finally:
            self._sights.end(sight, "CANCELLED")  # nothing, where it has ended already

    async def _refuse(self, call: Call, sight: Sight, error: RelgraphError, context: Context) -> Never:
        """End a call with an error; it is recorded and counted before its caller is told."""
        await self._gate.failed(call, error)
        status = rpc_status.to_status(call.dialect.status(error, sight.trace_id))
        self._sights.end(sight, status.code.name, error)
        await context.abort(status.code, status.details or "", tuple(status.trailing_metadata or ()))


class _Renewed:
    """A stream's context: before each message it is made sure that the stream may go on."""

    def __init__(self, context: Context, renew: Callable[[Message], None]) -> None:
        self._context = context
        self._renew = renew

    async def write(self, message: Message) -> None:
        """Send a message. Ends the call's task, as gRPC itself does it a moment later, when the caller has gone."""
        self._renew(message)
        try:
            await self._context.write(message)
        except grpc.aio.InternalError:
            raise asyncio.CancelledError from None

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)


def _refusal(remedy: str) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
    """Return the method of a service that is not served, whatever its kind."""

    async def refuse(_: AsyncIterator[bytes], context: Context) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, remedy)

    return refuse


def _metadata(context: Context) -> list[tuple[str, str | bytes]]:
    return [(name, value) for name, value in context.invocation_metadata() or ()]


def _check_size(reply: Message, bytes_max: int) -> None:
    size = reply.ByteSize()
    if size > bytes_max:
        raise LimitExceeded(
            f"the answer takes {size} bytes, and at most {bytes_max} are sent; ask for less, or raise the server's "
            "`answer_bytes_max`",
            {"limit": "answer_bytes_max", "value": str(bytes_max)},
        )

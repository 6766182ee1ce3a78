"""ExperimentalService's counters: filters registered under a name, and how many tuples each counts.

They are the store's: they outlive the server, and every server on the store knows them. Nothing is ever "still
calculating": a count is taken when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1 import experimental_service_pb2 as pb

from relgraph.errors import InvalidInput
from relgraph.tuples import TupleFilter
from relgraph_server.authzed import checked
from relgraph_server.authzed.nouns import filter_of
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.tokens import zed_token

if TYPE_CHECKING:
    import grpc.aio
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Counters"]


class Counters:
    """Registers counters, counts, and forgets them."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def register(
        self, request: pb.ExperimentalRegisterRelationshipCounterRequest, context: Context
    ) -> pb.ExperimentalRegisterRelationshipCounterResponse:
        """Count under a name from now on."""
        name = _name(request.name)
        checked.required(request, "relationship_filter")
        wanted = filter_of(request.relationship_filter, "relationship_filter")
        if wanted == TupleFilter():
            raise refusal(Said.FILTER, "relationship_filter names nothing; name at least a type, an id or a relation")
        await self._asking.change(lambda authorizer: authorizer.counters.register(name, wanted), context)
        return pb.ExperimentalRegisterRelationshipCounterResponse()

    async def unregister(
        self, request: pb.ExperimentalUnregisterRelationshipCounterRequest, context: Context
    ) -> pb.ExperimentalUnregisterRelationshipCounterResponse:
        """Forget a counter."""
        name = _name(request.name)
        await self._asking.change(lambda authorizer: authorizer.counters.unregister(name), context)
        return pb.ExperimentalUnregisterRelationshipCounterResponse()

    async def count(
        self, request: pb.ExperimentalCountRelationshipsRequest, context: Context
    ) -> pb.ExperimentalCountRelationshipsResponse:
        """Count at the newest revision."""
        name = _name(request.name)
        counted = await self._asking.ask(
            lambda left: self._asking.authorizer.counters.count(name, deadline=left), context
        )
        value = pb.ReadCounterValue(relationship_count=counted.count, read_at=zed_token(counted.token))
        return pb.ExperimentalCountRelationshipsResponse(read_counter_value=value)


def _name(text: str) -> str:
    """Return the name of a counter. Raises InvalidInput."""
    if not text:
        raise InvalidInput("name must be provided", {"field": "name"})
    return checked.counter_name(text, "name")

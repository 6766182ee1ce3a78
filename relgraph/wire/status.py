"""The status of a server as a message: what the server builds and a client reads."""

from __future__ import annotations

from relgraph.answers import Fact, Problem, Status
from relgraph.v1 import authorizer_pb2 as pb

__all__ = ["read_status", "status_message"]


def status_message(status: Status) -> pb.StatusResponse:
    """Build a status."""
    return pb.StatusResponse(
        revision=status.revision,
        token=status.token,
        facts=[
            pb.Fact(area=each.area, name=each.name, source=each.source, number=each.value)
            if isinstance(each.value, int)
            else pb.Fact(area=each.area, name=each.name, source=each.source, text=each.value)
            for each in status.facts
        ],
        problems=[pb.Problem(area=each.area, message=each.message, remedy=each.remedy) for each in status.problems],
    )


def read_status(message: pb.StatusResponse) -> Status:
    """Read a status."""
    return Status(
        tuple(
            Fact(each.area, each.name, each.number if each.HasField("number") else each.text, each.source)
            for each in message.facts
        ),
        tuple(Problem(each.area, each.message, each.remedy) for each in message.problems),
        message.revision,
        message.token,
    )

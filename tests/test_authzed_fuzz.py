"""Every method of SpiceDB's dialect under hostile messages: clear errors with SpiceDB's reasons, and nothing else."""

from __future__ import annotations

import os
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, cast

import grpc
from authzed.api.v1 import InsecureClient, permission_service_pb2, schema_service_pb2, watch_service_pb2
from authzed.api.v1 import experimental_service_pb2 as experimental
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

from relgraph.api import open_authorizer
from relgraph_server.authzed.statuses import REASONS
from tests.authzed_calls import ask
from tests.fuzzing import damaged, valid
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

SEED = int(os.environ.get("RELGRAPH_SEED", "0")) or Random().randrange(1, 10**9)
CALLS = 40 if not os.environ.get("RELGRAPH_LONG") else 2_000
"""Of each method."""

METHODS: list[MethodDescriptor] = [
    method
    for module in (permission_service_pb2, schema_service_pb2, watch_service_pb2, experimental)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
CLEAR = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
}


def _send(channel: grpc.Channel, method: MethodDescriptor, data: bytes) -> grpc.RpcError | None:
    """Make a call of whatever kind, to its first answer; gives what it failed with."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            sends: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
            sends(iter([data]), timeout=30)
        elif method.server_streaming:
            tells: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            # A watch has nothing to tell, and is listened to for a moment only.
            stream = tells(data, timeout=0.2 if method.name == "Watch" else 30)
            next(iter(stream), None)
            stream.cancel()
        else:
            asks: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            asks(data, timeout=30)
    except grpc.RpcError as problem:
        return problem
    return None


def _complaint(method: MethodDescriptor, problem: grpc.RpcError) -> str:
    """What is wrong with how a call was refused; empty where nothing is."""
    if problem.code() is grpc.StatusCode.DEADLINE_EXCEEDED and method.name == "Watch":
        return ""
    if problem.code() not in CLEAR:
        return f"{method.name}: {problem.code()}: {problem.details()}"
    status = rpc_status.from_call(cast("grpc.Call", problem))
    info = error_details_pb2.ErrorInfo()
    if status is None or not status.details or not status.details[0].Unpack(info):
        return f"{method.name}: {problem.code()} without a reason: {problem.details()}"
    known = info.domain == "authzed.com" and info.reason.removeprefix("ERROR_REASON_") in REASONS
    return "" if known else f"{method.name}: {info}"


def test_every_method_answers_hostile_messages_clearly() -> None:
    """Messages made at random, whole and damaged, are answered or refused with a reason; then all is as before."""
    random = Random(SEED)
    codes: Counter[str] = Counter()
    complaints = []
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=TUPLES)
        with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
            for _ in range(CALLS):
                for method in METHODS:
                    data = valid(random, method.input_type).SerializeToString()
                    if random.random() < 0.2:
                        data = damaged(random, data)
                    problem = _send(channel, method, data)
                    codes["OK" if problem is None else problem.code().name] += 1
                    if problem is not None and (told := _complaint(method, problem)):
                        complaints.append(told)
            assert [] == complaints[:5], f"RELGRAPH_SEED={SEED}"
            assert {"OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION"} <= set(codes), codes
            authorizer.write_schema(SCHEMA)
            authorizer.write(touch=TUPLES)
            answer = InsecureClient(address, "any").CheckPermission(
                ask("report:q3#manage@user:anna", consistency=permission_service_pb2.Consistency(fully_consistent=True))
            )
            assert answer.permissionship == permission_service_pb2.CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION

"""Health: whether the process serves at all (the name `liveness`) and whether it can answer (the service's, and none).

Rule 1: asking is bounded in time. What is told is what the last look at the store found, and a look that takes too long
counts as a failed one; nobody who asks waits for the store.
Rule 2: a stopping server says so to all who watch its health, and ends their streams: they would hold up its end.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

__all__ = ["LIVENESS", "Health"]

_log: Final = logging.getLogger(__name__)

LIVENESS: Final = "liveness"
"""The name that health tells whether the process serves under. It says so until it stops: starting it anew where the
store is out of reach would help nobody.
"""

_SERVING: Final = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
_NOT_SERVING: Final = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
_UNKNOWN: Final = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)


class Health(health_pb2_grpc.HealthServicer):
    """Tells that the process serves, and by `look`, every so many milliseconds, whether the services `names` can.

    A look that raises, or takes longer than `look_ms_max`, says that it cannot. Anybody may watch, without a key: no
    more than `watches_max` do at once.
    """

    def __init__(
        self, names: Sequence[str], look: Callable[[], object], *, every_ms: int, look_ms_max: int, watches_max: int
    ) -> None:
        self._readiness = (*names, "")
        self._look = look
        self._every_s = every_ms / 1000
        self._longest_s = look_ms_max / 1000
        self._told = dict.fromkeys((*self._readiness, LIVENESS), _SERVING)
        self._moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._room = watches_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="relgraph-ready")
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look whether all is well."""
        self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    def tells(self, name: str) -> bool:
        """Whether SERVING is told under a name of its own, at this moment."""
        return self._told[name] is _SERVING

    def stop(self) -> None:
        """Say that the server stops, to whoever asks or watches. Stopping twice is fine."""
        self._ending.set()
        self._tell(dict.fromkeys(self._told, _NOT_SERVING))
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _tell(self, told: dict[str, health_pb2.HealthCheckResponse]) -> None:
        self._told = {**self._told, **told}
        moved, self._moved = self._moved, asyncio.get_running_loop().create_future()
        moved.set_result(None)

    async def _keep_looking(self) -> None:
        ready, look = True, None
        while not self._ending.is_set():
            # One at a time: a store that does not answer must not gather threads.
            if look is None:
                look = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
                # A look that ends behind the server's own end is nobody's concern.
                look.add_done_callback(lambda done: done.cancelled() or done.exception())
            await self._wait(look, self._longest_s)
            if self._ending.is_set():
                return
            problem: object = look.exception() if look.done() else f"no answer within {self._longest_s} s"
            if look.done():
                look = None
            if ready is not (problem is None):
                ready = problem is None
                _log.warning("ready again" if ready else "not ready: %s", *(() if ready else (problem,)))
                self._tell(dict.fromkeys(self._readiness, _SERVING if ready else _NOT_SERVING))
            await self._wait(None, self._every_s)

    async def _wait(self, work: asyncio.Future[object] | None, seconds: float) -> None:
        """Wait for so long, for the work or for the end."""
        ending = asyncio.get_running_loop().create_task(self._ending.wait())
        waited: set[asyncio.Future[object]] = {ending} if work is None else {ending, work}  # type: ignore[arg-type]  # a task is one
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()

    async def Check(  # noqa: N802 - gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell a service's health."""
        told = self._told.get(request.service)
        if told is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no service of that name")
        return told

    async def Watch(  # noqa: N802 - gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> None:
        """Tell each change of a service's health, until the server stops."""
        if not self._room:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch this server's health already; use Check"
            )
        self._room -= 1
        try:
            await self._watch(request, context)
        finally:
            self._room += 1

    async def _watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        last = None
        while True:
            moved, ending = self._moved, self._ending.is_set()
            told = self._told.get(request.service, _UNKNOWN)
            if told is not last:
                await context.write(told)
                last = told
            if ending:
                return
            await asyncio.wait({moved})

"""Health: whether the process serves at all (liveness: the empty name) and whether it can answer (the service's name).

Rule 1: asking is bounded in time. What is told is what the last look at the store found, and a look that takes too long
counts as a failed one; nobody who asks waits for the store.
Rule 2: a stopping server says so to all who watch its health, and ends their streams: they would hold up its end.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio

__all__ = ["Health"]

_log: Final = logging.getLogger(__name__)

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health.HealthServicer):
    """Tells that the process serves, and by `look`, every so many milliseconds, whether the service called `name` can.

    A look that raises, or takes longer than `look_ms_max`, says that it cannot.
    """

    def __init__(self, name: str, look: Callable[[], object], *, every_ms: int, look_ms_max: int) -> None:
        super().__init__()
        self._name = name
        self._look = look
        self._every_s = every_ms / 1000
        self._longest_s = look_ms_max / 1000
        self._ending = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="relgraph-ready")
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Say that all is well, and begin to look whether it is."""
        for name in (self._name, ""):
            await self.set(name, _SERVING)
        self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    async def stop(self) -> None:
        """Say that the server stops, to whoever asks or watches. Stopping twice is fine."""
        await self.enter_graceful_shutdown()
        self._ending.set()
        if self._looking is not None:
            self._looking.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _keep_looking(self) -> None:
        ready, look = True, None
        while not self._ending.is_set():
            # One at a time: a store that does not answer must not gather threads.
            look = look or asyncio.get_running_loop().run_in_executor(self._thread, self._look)
            # A look that ends behind the server's own end is nobody's concern.
            look.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait({look}, timeout=self._longest_s)
            problem: object = look.exception() if look.done() else f"no answer within {self._longest_s} s"
            if look.done():
                look = None
            if ready is not (problem is None):
                ready = problem is None
                _log.warning("ready again" if ready else "not ready: %s", *(() if ready else (problem,)))
            await self.set(self._name, _SERVING if ready else _NOT_SERVING)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._every_s)

    async def Watch(  # noqa: N802 - gRPC's name
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse],
    ) -> None:
        """Tell each change of a service's health, until the server stops."""
        loop = asyncio.get_running_loop()
        watching = loop.create_task(super().Watch(request, context))
        ending = loop.create_task(self._ending.wait())
        try:
            await asyncio.wait({watching, ending}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                await watching
                return
        finally:
            ending.cancel()
            watching.cancel()
        # What the stream itself would say once it comes to that.
        await context.write(health_pb2.HealthCheckResponse(status=_NOT_SERVING))

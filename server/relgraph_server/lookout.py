"""What the outside sees of one server: who looks on each call, the metrics, the traces, the HTTP listener.

What is not asked for is not there: it costs nothing, and its packages need not be installed.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from relgraph.errors import InvalidSetting, quoted
from relgraph_server.readiness import LIVENESS
from relgraph_server.settings import parse_address
from relgraph_server.sights import Sights
from relgraph_server.web import Page, Web

if TYPE_CHECKING:
    from relgraph.api import Authorizer
    from relgraph_server.metrics import Metrics
    from relgraph_server.readiness import Health
    from relgraph_server.settings import Settings
    from relgraph_server.tracing import Tracing
    from relgraph_server.watchers import Watchers

__all__ = ["Lookout", "open_lookout"]


class Lookout:
    """All of it, while the server runs. Probes are told what `health` tells."""

    def __init__(self, health: Health) -> None:
        self.health = health
        self.metrics: Metrics | None = None
        self.address = ""
        self.sights: Sights
        self._tracing: Tracing | None = None
        self._web: Web | None = None
        self._authorizer: Authorizer | None = None

    async def open(self, authorizer: Authorizer, watchers: Watchers, settings: Settings, service: str) -> None:
        """Begin what the settings ask for. Raises InvalidSetting."""
        if settings.traces:
            self._tracing = _tracing(service, ids=settings.trace_ids)
        if settings.metrics:
            self.metrics = metrics = _metrics(self, authorizer, watchers, settings)
            host, port = parse_address(settings.metrics, "metrics")
            self._web = Web(
                {
                    "/metrics": lambda accept: Page(200, *metrics.page(accept)),
                    "/livez": lambda _: _probe(self.health.tells(LIVENESS), "alive"),
                    "/readyz": lambda _: _probe(self.health.tells(""), "ready"),
                }
            )
            bound = await self._web.start(host, port)
            self.address = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        self.sights = Sights(slow_ms=settings.slow_call_ms, meter=self.metrics, tracer=self._tracing)
        if self.metrics is not None or self._tracing is not None:
            self._authorizer = authorizer
            authorizer.observe(self.sights)

    async def close(self) -> None:
        """End all of it: the traces that are not sent yet are, if that is quick."""
        if self._authorizer is not None:
            self._authorizer.observe(None)
        if self._web is not None:
            await self._web.stop()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)


async def open_lookout(
    authorizer: Authorizer, watchers: Watchers, settings: Settings, service: str, health: Health
) -> Lookout:
    """Return the lookout of the settings, begun. Raises InvalidSetting."""
    lookout = Lookout(health)
    try:
        await lookout.open(authorizer, watchers, settings, service)
    except BaseException:
        await lookout.close()
        raise
    return lookout


def _probe(good: bool, word: str) -> Page:
    return Page(200, f"{word}\n".encode()) if good else Page(503, f"not {word}\n".encode())


def _metrics(lookout: Lookout, authorizer: Authorizer, watchers: Watchers, settings: Settings) -> Metrics:
    try:
        from relgraph_server.metrics import Metrics  # noqa: PLC0415 - only where it is wanted
    except ModuleNotFoundError as error:
        raise _missing(error, "metrics", "server") from error
    return Metrics(
        calls_max=settings.calls_max,
        head=lambda: authorizer.head,
        ready=lambda: lookout.health.tells(""),
        watches=lambda: watchers.count,
        watch_lag=lambda: watchers.lag,
    )


def _tracing(service: str, *, ids: bool) -> Tracing:
    try:
        from relgraph_server.tracing import open_tracing  # noqa: PLC0415 - only where it is wanted, and slow to import
    except ModuleNotFoundError as error:
        raise _missing(error, "traces", "otel") from error
    return open_tracing(service, ids=ids, environ=os.environ)


def _missing(error: ModuleNotFoundError, setting: str, extra: str) -> InvalidSetting:
    if error.name is None or error.name.startswith("relgraph"):
        raise error
    return InvalidSetting(
        f"`{setting}` needs {quoted(error.name)}, which is not installed; run `pip install 'relgraph[{extra}]'`",
        {"setting": setting},
    )

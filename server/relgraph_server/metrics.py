"""What is counted, for Prometheus: one table of metrics, made anew for each server, in a registry of its own.

Rule 1: a metric is here because something moves it. Labels have few values, and none of them is a caller's.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from relgraph.answers import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.answers import Collected
    from relgraph_server.sights import Sight

__all__ = ["Metrics"]

# The same for calls and commits, so that they can be laid over each other.
_SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_ROWS: Final = (0, 1, 3, 10, 30, 100, 300, 1_000, 10_000, 100_000, 1_000_000)
_WRITES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_RESULTS: Final = {Verdict.YES: "allow", Verdict.NO: "deny", Verdict.CONDITIONAL: "conditional"}
_CHECKS: Final = frozenset({"Check", "CheckBulk"})
_SHED: Final = ("late", "not_ready", "stopping", "watchers_max")


class Metrics:
    """All that one server counts. What stands somewhere else is asked for when somebody looks."""

    def __init__(
        self,
        *,
        calls_max: int,
        head: Callable[[], int],
        ready: Callable[[], bool],
        watches: Callable[[], int],
        watch_lag: Callable[[], int],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("relgraph_build", "What is running", registry=registry).info(
            {"version": _version(), "python": platform.python_version()}
        )
        self._handling = Histogram(
            "relgraph_grpc_server_handling_seconds",
            "Seconds from a call's coming in to its status",
            ("method", "code", "freshness"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_progress = Gauge(
            "relgraph_grpc_server_in_progress", "Calls in progress", ("method",), registry=registry
        )
        self._count_checks(registry)
        self._pin = Histogram(
            "relgraph_pin_seconds",
            "Seconds until a question has its revision, catching up with the store included",
            buckets=_SECONDS,
            registry=registry,
        )
        self._group = Histogram(
            "relgraph_write_group_size", "Revisions committed at once", buckets=_WRITES, registry=registry
        )
        self._commit = Histogram(
            "relgraph_db_commit_seconds",
            "Seconds of one commit, until the database has made it durable",
            buckets=_SECONDS,
            registry=registry,
        )
        self._count_history(registry)
        for name, text, ask in (
            ("relgraph_grpc_server_in_progress_max", "Calls that may be in progress at once", lambda: calls_max),
            ("relgraph_ready", "Whether health says SERVING", ready),
            ("relgraph_revision_head", "The newest revision that this server has taken in", head),
            ("relgraph_watches", "Watches in progress", watches),
            ("relgraph_watch_lag_revisions", "Revisions that the watch furthest behind was not told yet", watch_lag),
        ):
            Gauge(name, text, registry=registry).set_function(ask)

    def _count_checks(self, registry: CollectorRegistry) -> None:
        self._checks = Counter(
            "relgraph_check", "Checks, of Check and CheckBulk, by what was answered", ("result",), registry=registry
        )
        self._shed = Counter(
            "relgraph_shed", "Calls that were turned away before any work", ("reason",), registry=registry
        )
        for result in (*_RESULTS.values(), "undecided", "error"):
            self._checks.labels(result)
        for reason in _SHED:
            self._shed.labels(reason)
        self._rows = Histogram(
            "relgraph_check_rows_read", "Tuples read for one check", buckets=_ROWS, registry=registry
        )

    def _count_history(self, registry: CollectorRegistry) -> None:
        self._collected = Counter(
            "relgraph_history_collected_tuples", "Tuples that left the history", registry=registry
        )
        self._collect_failures = Counter(
            "relgraph_history_collect_failures", "Collections of history that failed", registry=registry
        )
        self._collected_at = Gauge(
            "relgraph_history_collect_last_success_timestamp_seconds",
            "When history was last collected, in seconds since 1970",
            registry=registry,
        )

    def begun(self, sight: Sight) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._in_progress.labels(sight.method).inc()

    def ended(self, sight: Sight, code: str, shed: str) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._in_progress.labels(sight.method).dec()
        self._handling.labels(sight.method, code, sight.freshness).observe(sight.seconds)
        if shed:
            self._shed.labels(shed).inc()
        if sight.method not in _CHECKS:
            return
        if code != "OK":
            undecided = sight.method == "Check" and [each for each, _ in sight.checks] == [Verdict.UNDECIDED]
            self._checks.labels("undecided" if undecided else "error").inc()
            return
        for verdict, tuples in sight.checks:
            self._checks.labels(_RESULTS.get(verdict, "undecided")).inc()
            self._rows.observe(tuples)

    def pinned(self, seconds: float) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._pin.observe(seconds)

    def committed(self, revisions: int, seconds: float) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._group.observe(revisions)
        self._commit.observe(seconds)

    def collected(self, collected: Collected | None) -> None:
        """History was collected; None: it could not be."""
        if collected is None:
            self._collect_failures.inc()
        else:
            self._collected.inc(collected.tuples)
            self._collected_at.set_to_current_time()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return all of it as text, and the text's type, as far as possible one that the reader accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _version() -> str:
    try:
        return version("relgraph")
    except PackageNotFoundError:
        return "unknown"  # a checkout that is not installed

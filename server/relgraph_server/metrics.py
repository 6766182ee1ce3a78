"""What is counted, for Prometheus: one table of metrics, made anew for each server, in a registry of its own.

Rule 1: a metric is here because something moves it. Labels have few values, and none of them is a caller's.
Rule 2: calls are counted by the event loop alone, which also tells the page; what threads count has a mutex.
"""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from time import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from relgraph.answers import Verdict
from relgraph_server.tallies import SharedTally, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from relgraph.answers import Collected
    from relgraph_server.sights import Sight

__all__ = ["Metrics"]

# The same for calls and commits, so that they can be laid over each other.
_SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_ROWS: Final = (0, 1, 3, 10, 30, 100, 300, 1_000, 10_000, 100_000, 1_000_000)
_WRITES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_RESULTS: Final = {
    Verdict.YES: "allow",
    Verdict.NO: "deny",
    Verdict.CONDITIONAL: "conditional",
    Verdict.UNDECIDED: "undecided",
}
_CHECKS_ONE: Final = frozenset({"Check", "authzed.api.v1.PermissionsService/CheckPermission"})
_CHECKS: Final = _CHECKS_ONE | {
    "CheckBulk",
    "authzed.api.v1.PermissionsService/CheckBulkPermissions",
    "authzed.api.v1.ExperimentalService/BulkCheckPermission",
}
_SHED: Final = ("late", "not_ready", "stopping", "watchers_max")


class Metrics(Collector):
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
        self._asked: tuple[tuple[str, str, Callable[[], int]], ...] = (
            ("relgraph_grpc_server_in_progress_max", "Calls that may be in progress at once", lambda: calls_max),
            ("relgraph_ready", "Whether health says SERVING", ready),
            ("relgraph_revision_head", "The newest revision that this server has taken in", head),
            ("relgraph_watches", "Watches in progress", watches),
            ("relgraph_watch_lag_revisions", "Revisions that the watch furthest behind was not told yet", watch_lag),
        )
        self._handling: dict[tuple[str, str, str], Tally] = {}
        self._in_progress: Counter[str] = Counter()
        self._checks = Counter(dict.fromkeys((*_RESULTS.values(), "error"), 0))
        self._shed = Counter(dict.fromkeys(_SHED, 0))
        self._rows = Tally(_ROWS)
        self._pin = SharedTally(_SECONDS)
        self._group = SharedTally(_WRITES)
        self._commit = SharedTally(_SECONDS)
        self._collected_tuples = self._collect_failures = 0
        self._collected_at = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def begun(self, sight: Sight) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._in_progress[sight.method] += 1

    def ended(self, sight: Sight, code: str, shed: str) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._in_progress[sight.method] -= 1
        labels = (sight.method, code, sight.freshness)
        tally = self._handling.get(labels)
        if tally is None:
            tally = self._handling[labels] = Tally(_SECONDS)
        tally.add(sight.seconds)
        if shed:
            self._shed[shed] += 1
        if sight.method not in _CHECKS:
            return
        if code != "OK":
            undecided = sight.method in _CHECKS_ONE and [each for each, _ in sight.checks] == [Verdict.UNDECIDED]
            self._checks["undecided" if undecided else "error"] += 1
            return
        for verdict, tuples in sight.checks:
            self._checks[_RESULTS[verdict]] += 1
            self._rows.add(tuples)

    def pinned(self, seconds: float) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._pin.add(seconds)

    def committed(self, revisions: int, seconds: float) -> None:
        """See `relgraph_server.sights.Meter`."""
        self._group.add(revisions)
        self._commit.add(seconds)

    def collected(self, collected: Collected | None) -> None:
        """History was collected; None: it could not be."""
        if collected is None:
            self._collect_failures += 1
        else:
            self._collected_tuples += collected.tuples
            self._collected_at = time()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Return all of it as text, and the text's type, as far as possible one that the reader accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, for the registry."""
        told = {"version": _version(), "python": platform.python_version()}
        yield InfoMetricFamily("relgraph_build", "What is running", told)
        for name, text, ask in self._asked:
            yield GaugeMetricFamily(name, text, float(ask()))
        yield from self._calls()
        for name, text, tally in (
            ("relgraph_check_rows_read", "Tuples read for one check", self._rows),
            ("relgraph_pin_seconds", "Seconds until a question has its revision, catching up included", self._pin),
            ("relgraph_write_group_size", "Revisions committed at once", self._group),
            ("relgraph_db_commit_seconds", "Seconds of one commit, until it is durable", self._commit),
        ):
            family = HistogramMetricFamily(name, text)
            tally.tell(family)
            yield family
        yield from self._history()

    def _calls(self) -> Iterator[Metric]:
        handling = HistogramMetricFamily(
            "relgraph_grpc_server_handling_seconds",
            "Seconds from a call's coming in to its status",
            labels=("method", "code", "freshness"),
        )
        for labels, tally in self._handling.items():
            tally.tell(handling, labels)
        yield handling
        progress = GaugeMetricFamily("relgraph_grpc_server_in_progress", "Calls in progress", labels=("method",))
        for method, count in self._in_progress.items():
            progress.add_metric((method,), count)
        yield progress
        for name, text, label, counts in (
            ("relgraph_check", "Checks, of Check and CheckBulk, by what was answered", "result", self._checks),
            ("relgraph_shed", "Calls that were turned away before any work", "reason", self._shed),
        ):
            family = CounterMetricFamily(name, text, labels=(label,))
            for value, count in counts.items():
                family.add_metric((value,), count)
            yield family

    def _history(self) -> Iterator[Metric]:
        for name, text, count in (
            ("relgraph_history_collected_tuples", "Tuples that left the history", self._collected_tuples),
            ("relgraph_history_collect_failures", "Collections of history that failed", self._collect_failures),
        ):
            yield CounterMetricFamily(name, text, float(count))
        yield GaugeMetricFamily(
            "relgraph_history_collect_last_success_timestamp_seconds",
            "When history was last collected, in seconds since 1970",
            self._collected_at,
        )


def _version() -> str:
    try:
        return version("relgraph")
    except PackageNotFoundError:
        return "unknown"  # a checkout that is not installed

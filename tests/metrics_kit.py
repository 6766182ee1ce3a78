"""Reading what a server tells over HTTP, as Prometheus and probes do."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Scrape", "get", "scrape"]


def get(address: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Ask for a page; gives its status, type and text."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


class Scrape:
    """Every sample of one look at `/metrics`."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.families = {family.name: family.type for family in families}
        self.samples = [sample for family in families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of a name's samples that have these labels, 0 for none."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def calls(self) -> dict[tuple[str, str, str], int]:
        """Return how many calls ended: by method, code and freshness."""
        return {
            (sample.labels["method"], sample.labels["code"], sample.labels["freshness"]): int(sample.value)
            for sample in self.samples
            if sample.name == "relgraph_grpc_server_handling_seconds_count"
        }


def scrape(address: str) -> Scrape:
    """Look at a server's metrics."""
    status, _, text = get(address, "/metrics")
    assert 200 == status
    return Scrape(text)

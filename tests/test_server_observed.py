"""A whole server that is looked at: what it prints and logs, and that deploy/ names what it really tells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from relgraph.client import Client
from relgraph.errors import RelgraphError
from tests.metrics_kit import Scrape, get, scrape
from tests.serving import SCHEMA, TUPLES, program_environment

ROOT = Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "deploy" / "grafana" / "relgraph.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
PAGE = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
NAME = re.compile(r"\b(?:relgraph|process)_[a-z_]+\b")


class Looked:
    """What was seen of a server from its start to its end."""

    def __init__(self, line: str, told: Scrape, log: list[str]) -> None:
        self.line: dict[str, str] = json.loads(line)
        self.told = told
        self.log = log


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """Serve as `relgraph serve` does, make calls, read the metrics, and stop."""
    folder = tmp_path_factory.mktemp("observed")
    options = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log-format", "json"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "relgraph.cli", "serve", "--store", f"sqlite:///{folder / 'a.db'}", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=program_environment(),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = json.loads(line)["metrics"]
        assert (200, "ready\n") == get(address, "/readyz")[::2]
        with Client(json.loads(line)["grpc"]) as client:
            client.write_schema(SCHEMA)
            client.write(touch=TUPLES)
            assert client.check("user:anna", "administer", "report:q3")
            with pytest.raises(RelgraphError):
                client.check("user:anna", "nonsense", "report:q3")
        told = scrape(address)
        while not told.value("relgraph_history_collect_last_success_timestamp_seconds"):
            told = scrape(address)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
    assert 0 == process.returncode
    return Looked(line, told, (folder / "log").read_text(encoding="utf-8").splitlines())


def test_a_server_says_where_its_metrics_are(looked: Looked) -> None:
    """The line that tells readiness names the gRPC and the HTTP listener, with the ports that they have."""
    assert ["grpc", "metrics"] == list(looked.line)
    assert [] == [each for each in looked.line.values() if not re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", each)]


def test_every_line_of_the_log_is_an_event(looked: Looked) -> None:
    """With JSON asked for, nothing else comes to stderr from the start to the end."""
    events = [json.loads(line) for line in looked.log]
    assert [] == [event for event in events if not {"time", "level", "logger", "message"} <= set(event)]
    assert "serving sqlite:///" in events[0]["message"]
    assert any(event["message"].startswith("stopping") for event in events)


def test_a_server_tells_what_it_is(looked: Looked) -> None:
    """The server tells its version, and when it collected history last."""
    (build,) = (sample for sample in looked.told.samples if sample.name == "relgraph_build_info")
    assert {"version", "python"} == set(build.labels)
    assert looked.told.value("relgraph_history_collect_last_success_timestamp_seconds") > 1.7e9
    assert 0 == looked.told.value("relgraph_history_collect_failures_total")


def expressions() -> list[str]:
    """Every PromQL expression of the files in deploy/."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    alerts = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return found + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


def test_what_the_dashboard_and_the_alerts_name_is_told(looked: Looked) -> None:
    """Every metric that a panel or a rule asks for is one that the server tells."""
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert set() == asked - looked.told.names
    assert {"relgraph_ready", "relgraph_grpc_server_handling_seconds_bucket"} <= asked


def test_every_metric_stands_in_the_readme(looked: Looked) -> None:
    """The table of docs/observing.md has each metric that the server tells, and no other."""
    rows = re.findall(r"^\| `(relgraph_\w+)", PAGE, re.MULTILINE)
    names = {
        f"{name}_total" if kind == "counter" else name
        for name, kind in looked.told.families.items()
        if name.startswith("relgraph")
    }
    assert sorted(names) == sorted(rows)


def test_panels_are_drawn_from_one_source() -> None:
    """Each panel has a title, a place of its own, and queries; all of them ask the source that was chosen."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len(panels) == len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels})
    assert [] == [panel["title"] for panel in panels if not panel["targets"]]
    assert {"${source}"} == {panel["datasource"]["uid"] for panel in panels}
    assert "source" in {variable["name"] for variable in dashboard["templating"]["list"]}


def test_alerts_say_what_to_do() -> None:
    """Each rule has a severity, a summary, and a description of what to look at."""
    alerts = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules})
    for rule in rules:
        assert {"alert", "expr", "for", "labels", "annotations"} == set(rule)
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} == set(rule["annotations"])

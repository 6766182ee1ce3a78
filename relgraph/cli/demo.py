"""`relgraph demo`: one real system, end to end. A server on an empty SQLite file, a bulk import, questions, changes.

Rule 1: everything is asked through the public door, over gRPC, of a server of its own that is stopped at the end.
Rule 2: what the scenario file says must hold is compared with what came back; a difference ends with exit code 4.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from relgraph.cli.exits import OK, TEST_FAILED
from relgraph.cli.options import Terminal, pass_terminal
from relgraph.cli.scenario import find_scenario, read_scenario
from relgraph.client import Client
from relgraph.errors import InvalidSetting, RelgraphError, ServerUnavailable, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from relgraph.answers import Best, Written
    from relgraph.cli.scenario import BestCase, Change, Claims, Refusal, Scenario

__all__ = ["demo"]

_STOP_SECONDS_MAX = 20


@click.command()
@pass_terminal
def demo(terminal: Terminal) -> int:
    """Show one real system: imported into SQLite, served over gRPC, asked, explained and changed."""
    if terminal.store or terminal.server or terminal.json:
        raise InvalidSetting("the demo brings its own store and server and is for people; leave the options out")
    scenario = read_scenario(find_scenario("catglobe"))
    with (
        tempfile.TemporaryDirectory(prefix="relgraph-demo-") as folder,
        _server(Path(folder)) as address,
        Client(address) as client,
    ):
        teller = _Teller(client, scenario)
        teller.tell(address)
    return TEST_FAILED if teller.differences else OK


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Run a server of its own on an empty SQLite file, and stop it."""
    command = [sys.executable, "-m", "relgraph.cli", "serve", "--listen", "127.0.0.1:0"]
    command += ["--store", f"sqlite:///{folder / 'demo.db'}"]
    # Settings of the person who runs the demo are not the demo's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELGRAPH_")}
    with (
        (folder / "server.log").open("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True) as process,  # noqa: S603  # ours
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                raise ServerUnavailable(f"the demo's server did not start; it said: {log.read().strip()}")
            yield json.loads(line)["grpc"]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


class _Teller:
    """Asks the server and tells the answers."""

    def __init__(self, client: Client, scenario: Scenario) -> None:
        self._client = client
        self._scenario = scenario
        self._console = Console(highlight=False)
        self.differences = 0

    def tell(self, address: str) -> None:
        """Tell the whole scenario."""
        scenario, client = self._scenario, self._client
        self._say(scenario.title, style="bold")
        self._say(f"a server at {address}, over an empty SQLite file")
        client.write_schema(scenario.schema)
        loaded = client.load(scenario.tuples, allow_universal=True, allow_wildcards=True)
        self._say(f"imported {loaded.changed} tuples in one transaction, revision {loaded.revision}")
        self._claims(f"Best access and every way it came about, at revision {loaded.revision}", scenario.claims)
        for change in scenario.changes:
            self._say("")
            self._say(change.title, style="bold")
            written = self._change(change)
            self._claims(f"now, at revision {written.revision}", change.claims)
        self._say("")
        if self.differences:
            self._say(f"{self.differences} answers differ from what the scenario says", style="bold red")
        else:
            self._say("every answer is what the scenario says", style="bold green")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def _differs(self, expected: object, found: object) -> bool:
        differs = expected != found
        self.differences += differs
        return differs

    def _change(self, change: Change) -> Written:
        if change.schema is not None:
            self._say("  another schema")
            return self._client.write_schema(change.schema, reason=change.title)
        for sign, tuples in (("-", change.delete), ("+", (*change.create, *change.touch))):
            for each in tuples:
                self._say(f"  {sign} {each}")
        if change.actor is not None:
            self._say(f"  on behalf of {change.actor}")
        return self._client.write(
            touch=change.touch,
            create=change.create,
            delete=change.delete,
            actor=change.actor,
            reason=change.title,
        )

    def _claims(self, title: str, claims: Claims) -> None:
        self._checks(claims)
        self._best(title, claims.best)
        self._orphans(claims.orphans)
        self._refused(claims.refused)

    def _checks(self, claims: Claims) -> None:
        if not claims.checks:
            return
        table = Table("Question", "Answer", title="Checks", title_justify="left")
        for question, expected in claims.checks:
            found = self._verdict(question)
            wrong = " (expected otherwise)" if self._differs(expected, found) else ""
            table.add_row(Text(question), Text(found + wrong, "green" if found == "yes" else "red"))
        self._console.print(table)

    def _verdict(self, question: str) -> str:
        try:
            return "yes" if self._client.check(question) else "no"
        except Undecided:
            return "undecided"

    def _refused(self, refusals: Iterable[Refusal]) -> None:
        client = self._client
        for refusal in refusals:
            words, text, actor = [refusal.text], refusal.text, refusal.actor
            calls: dict[str, Callable[[], object]] = {
                "check": partial(client.check, text),
                "touch": partial(client.write, touch=words, actor=actor),
                "create": partial(client.write, create=words, actor=actor),
                "delete": partial(client.write, delete=words, actor=actor),
                "schema": partial(client.write_schema, text),
            }
            try:
                calls[refusal.kind]()
                found, told = "", "not refused"
            except RelgraphError as error:
                found, told = error.code, error.message
            wrong = " (expected otherwise)" if self._differs(refusal.error, found) else ""
            behalf = "" if actor is None else f" on behalf of {actor}"
            self._say(f"  {refusal.kind} {text}{behalf}: {told}{wrong}")

    def _best(self, title: str, cases: Sequence[BestCase]) -> None:
        if not cases:
            return
        table = Table("Who, on what", title=title, title_justify="left")
        table.add_column("Best access, and every way to it", overflow="fold")
        for case in cases:
            best = self._client.best(case.subject, case.resource, ways="all")
            held = best.role or ", ".join(best.held) or "none"
            if self._differs(*_compared(case, best)):
                held += " (expected otherwise)"
            table.add_row(Text(f"{case.subject}\n{case.resource}"), _access(held, best))
            table.add_section()
        self._console.print(table)

    def _orphans(self, expected: Mapping[str, str] | None) -> None:
        if expected is None:
            return
        found = {str(each.resource): each.kind.value for each in self._client.orphans().orphans}
        self._differs(dict(expected), found)
        table = Table("Resource", "Reached by", title="Out of everybody's reach", title_justify="left")
        for resource, kind in found.items():
            table.add_row(Text(resource), Text(_REACHED_BY[kind]))
        self._console.print(table)


_REACHED_BY = {
    "nobody": "nobody",
    "only-conditional": "nobody for certain",
    "only-universal": "the system group only",
}


def _compared(case: BestCase, best: Best) -> tuple[object, object]:
    """Return what a best access must be and what it is; what the file does not say is as it is."""
    told = sorted(sorted(map(str, way.tuples)) for way in best.ways)
    return (
        (
            case.role,
            best.held if case.held is None else case.held,
            case.undecided,
            sorted(case.ways),
            told if case.tuples is None else sorted(map(sorted, case.tuples)),
        ),
        (best.role, best.held, best.undecided, sorted(way.via for way in best.ways), told),
    )


def _access(held: str, best: Best) -> Text:
    shown = Text()
    shown.append(held, "bold")
    for way in best.ways:
        shown.append(f"\n{way.via}", "italic")
        for each in way.tuples:
            shown.append(f"\n  {each}")
    return shown

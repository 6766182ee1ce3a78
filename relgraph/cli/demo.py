"""`relgraph demo`: four real systems in one store. A server on an empty SQLite file, imports, questions, changes.

Rule 1: everything is asked through the public door, over gRPC, of a server of its own that is stopped at the end.
Rule 2: what the scenario files say must hold is compared with what came back; a difference ends with exit code 4.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from relgraph.bulk import TupleFile
from relgraph.cli.demo_asking import System
from relgraph.cli.demo_crowds import write_crowd
from relgraph.cli.demo_telling import Teller
from relgraph.cli.exits import OK, TEST_FAILED
from relgraph.cli.options import Terminal, pass_terminal
from relgraph.cli.scenario import find_scenario, read_scenario
from relgraph.cli.schema_files import composed
from relgraph.client import Client
from relgraph.errors import InvalidSetting, RelgraphError, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Imported

__all__ = ["demo"]

SYSTEMS: Final = ("catglobe", "alliance-auth", "centurion", "websaw")
_STOP_SECONDS_MAX: Final = 20


@click.command()
@pass_terminal
def demo(terminal: Terminal) -> int:
    """Show four real systems in one store: imported into SQLite, served over gRPC, asked, explained and changed."""
    if terminal.store or terminal.server or terminal.json:
        raise InvalidSetting("the demo brings its own store and server and is for people; leave the options out")
    with (
        _ended_like_interrupted(),
        tempfile.TemporaryDirectory(prefix="relgraph-demo-") as folder,
        _server(Path(folder)) as address,
        Client(address) as client,
    ):
        return OK if _tell(client, address, Path(folder)) else TEST_FAILED


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C meanwhile: what was started is stopped either way."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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


def _tell(client: Client, address: str, folder: Path) -> bool:
    """Tell all of it; return whether every answer was the expected one."""
    teller = Teller()
    paths = {name: find_scenario(name) for name in SYSTEMS}
    systems = {name: System(client, read_scenario(path)) for name, path in paths.items()}
    schema = paths[SYSTEMS[0]].parent / "systems" / "all.zed"
    teller.heading("Four systems in one store")
    teller.say(f"a server at {address}, over an empty SQLite file")
    written = client.write_schema(composed(str(schema)).text)
    teller.say(f"one schema, put together from {schema.parent.name}/{schema.name}: revision {written.revision}")
    teller.say("bulk imports: the story that is told below, and a crowd around it")
    rows = []
    for name, system in systems.items():
        story, imported = _import(client, system, name, folder)
        crowd = imported.changed - len(system.scenario.tuples)
        rows.append((story, f"{len(system.scenario.tuples):,}", f"{crowd:,}", imported.revision))
    teller.rows(("File", "Story", "Crowd", "Revision"), rows)
    for system in systems.values():
        system.tell()
    for system in systems.values():
        system.tell_changes()
    questions = sum(system.questions for system in systems.values())
    differences = sum(system.differences for system in systems.values())
    teller.heading("The end")
    if differences:
        teller.say(f"{differences} of {questions} answers differ from what the scenarios say", "bold red")
    else:
        teller.say(f"all of {questions} answers are what the scenarios say", "bold green")
    return not differences


def _import(client: Client, system: System, name: str, folder: Path) -> tuple[str, Imported]:
    """Load a system's story and its crowd, each from a file, in one revision; return the story's name as well."""
    story = system.scenario.tuples_file
    if story is None:
        raise InvalidSetting(f"the scenario {name} keeps its tuples in itself; the demo imports files")
    crowd = folder / f"crowd{story.suffix}"
    write_crowd(name, story, crowd)
    files = [TupleFile(str(path), allow_universal=True, allow_wildcards=True) for path in (story, crowd)]
    with files[0], files[1]:
        try:
            imported = client.load(
                chain(*files), allow_universal=True, allow_wildcards=True, reason=f"the demo imports {story.name}"
            )
        except RelgraphError as error:
            raise files[0].failure or files[1].failure or error from error
    return story.name, imported

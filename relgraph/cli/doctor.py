"""Whether all is well with a store, or with a server and its store: doctor."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

import click

from relgraph.answers import Fact, Problem, Status
from relgraph.cli.exits import FOUND, OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import counted, print_json, print_lines
from relgraph.errors import InvalidInput, InvalidSetting, RelgraphError
from relgraph.instants import instant_of, parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.cli.target import Target

__all__ = ["doctor"]

_PACKAGES: Final = ("relgraph", "click", "rich", "networkx", "grpcio", "protobuf", "psycopg")
_APART_S_MAX: Final = 5
"""How many seconds the server's clock and ours may differ, the way there and back included."""


@click.command(short_help="Look whether all is well, and say what to do where it is not.")
@click.option("--config", metavar="FILE", help="The server's TOML file of settings (RELGRAPH_CONFIG).")
@common_options
@pass_terminal
def doctor(terminal: Terminal, config: str | None) -> int:
    """Tell versions, settings with their sources, the safety of SQLite, the clock, what history is kept, and sizes.

    On a store, the settings are those that `relgraph serve` would take here; on a server, its own. Ends with 1 when
    something is wrong, which is told with its remedy. `relgraph verify` looks at every row of a store.
    """
    target = terminal.target()
    if target.server and config is not None:
        raise InvalidInput("a server has read its own --config, and tells its settings; take --config away")
    found = _examined(terminal, target, config)
    if terminal.json:
        for fact in found.facts:
            print_json({"area": fact.area, "name": fact.name, "value": fact.value, "source": fact.source})
        for problem in found.problems:
            print_json({"area": problem.area, "problem": problem.message, "remedy": problem.remedy})
    else:
        print_lines(_text(found))
    return FOUND if found.problems else OK


def _examined(terminal: Terminal, target: Target, config: str | None) -> Status:
    """Return the status of the target with what is so here; a target that cannot be reached is a problem, too."""
    facts, problems = _here("here" if target.server else "versions"), list[Problem]()
    try:
        with terminal.open() as door:
            asked = time.time_ns() // 1_000
            status = door.status()
    except RelgraphError as error:
        if isinstance(error, InvalidSetting):
            raise
        problems.append(_problem("server" if target.server else "store", error))
        status = Status((), (), 0, "")
    else:
        if target.server:
            problems += _apart(status, asked)
    if target.store:
        settings, more = _settings(terminal.store, config)
        facts += settings
        problems += more
    # What the store knows better (the version of relgraph) is told once.
    known = {(fact.area, fact.name) for fact in facts}
    kept = [fact for fact in status.facts if (fact.area, fact.name) not in known]
    return Status((*facts, *kept), (*status.problems, *problems), status.revision, status.token)


def _here(area: str) -> list[Fact]:
    return [Fact(area, "Python", platform.python_version()), *(Fact(area, name, _version(name)) for name in _PACKAGES)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _problem(area: str, error: RelgraphError) -> Problem:
    """Return an error as a problem: its message ends with what to do, behind the last semicolon."""
    message, mark, remedy = error.message.rpartition("; ")
    return Problem(area, message, remedy) if mark else Problem(area, remedy, "look at the message")


def _apart(status: Status, asked: int) -> Iterator[Problem]:
    for fact in status.facts:
        if (fact.area, fact.name) == ("clock", "now"):
            apart = (instant_of(parse_moment(str(fact.value))) - asked) / 1_000_000
            if abs(apart) > _APART_S_MAX:
                yield Problem(
                    "clock",
                    f"the server's clock is {abs(apart):,.1f} s {'ahead of' if apart > 0 else 'behind'} this one",
                    "set both by NTP: expirations and --at are judged by the server's",
                )


def _settings(store: str | None, config: str | None) -> tuple[list[Fact], list[Problem]]:
    """Return what `relgraph serve` would be set to here, or why it would not start."""
    from relgraph_server.condition import setting_facts  # noqa: PLC0415  (no other command needs it)
    from relgraph_server.settings import load_settings  # noqa: PLC0415

    try:
        return list(setting_facts(load_settings({"store": store}, os.environ, config))), []
    except InvalidSetting as error:
        return [], [_problem("settings", error)]


def _text(found: Status) -> Iterator[str]:
    """Tell all facts by area, settings at their default by number only, and then what is wrong."""
    for area in dict.fromkeys(fact.area for fact in found.facts):
        some = [fact for fact in found.facts if fact.area == area]
        told = [fact for fact in some if fact.source != "default"]
        width = max((len(fact.name) for fact in told), default=0)
        yield area
        for fact in told:
            value = f"{fact.value:,}" if isinstance(fact.value, int) else fact.value
            yield f"  {fact.name:<{width}}  {value}{f'  ({fact.source})' if fact.source else ''}"
        if len(told) < len(some):
            yield f"  {counted(len(some) - len(told), 'setting')} at the default"
    for problem in found.problems:
        yield f"{problem.area}: {problem.message}"
        yield f"  {problem.remedy}"
    yield counted(len(found.problems), "problem")

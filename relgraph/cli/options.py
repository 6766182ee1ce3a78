"""What several commands take: where to ask, how to print, how fresh an answer must be.

`--store`, `--server` and `--json` are taken before and after the command's name alike; the later one wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from relgraph.cli.target import open_target, target_of
from relgraph.errors import InvalidInput
from relgraph.revision import Consistency

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.cli.target import Door, Target

__all__ = ["Terminal", "access_options", "common_options", "consistency_options", "pass_terminal"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Terminal:
    """What the options said so far: where to ask, and how to print."""

    store: str | None = None
    server: str | None = None
    json: bool = False
    access: dict[str, str] = field(default_factory=dict)

    def target(self) -> Target:
        """Return what to work on. Raises InvalidSetting when it was not named, or named twice."""
        return target_of(self.store, self.server, os.environ, self.access)

    def refuse_place(self) -> None:
        """Refuse `--store`, `--server` and what goes with it, for a command that works on neither."""
        if self.store or self.server or self.access:
            raise InvalidInput("this works on its own file; take --store, --server and how to reach it away")

    def open(self, *, creates: bool = False) -> Door:
        """Open what to work on, as a context manager; a missing store is made only with `creates`."""
        return open_target(self.target(), creates=creates)


pass_terminal = click.make_pass_decorator(Terminal, ensure=True)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    terminal = context.find_root().ensure_object(Terminal)
    if parameter.name == "json":
        terminal.json = terminal.json or bool(value)
    elif isinstance(value, str):
        setattr(terminal, str(parameter.name), value)


def common_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--store`, `--server` and `--json`, which end up in its Terminal."""
    for option in (
        click.option(
            "--json", is_flag=True, expose_value=False, callback=_remember, help="Print JSON, one line a result."
        ),
        click.option(
            "--server",
            metavar="HOST:PORT",
            expose_value=False,
            callback=_remember,
            help="Ask this server (RELGRAPH_SERVER).",
        ),
        click.option(
            "--store",
            metavar="URL",
            expose_value=False,
            callback=_remember,
            help="Work on this store, as in sqlite:///access.db (RELGRAPH_STORE).",
        ),
    ):
        command = option(command)
    return command


def access_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give the group of commands what says how `--server` is reached; it stands before the command's name only."""

    def remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
        if value:
            name = str(parameter.name)
            context.find_root().ensure_object(Terminal).access[name] = "true" if value is True else str(value)

    for name, help_, metavar in (
        ("--insecure", "Send the key in plain text, where the network itself is guarded.", None),
        ("--token-file", "The key's file (RELGRAPH_TOKEN_FILE); else the key is RELGRAPH_TOKEN.", "FILE"),
        ("--tls-key", "The private key of --tls-cert (RELGRAPH_CLIENT_KEY).", "FILE"),
        ("--tls-cert", "A certificate to show to --server (RELGRAPH_CLIENT_CERT).", "FILE"),
        ("--tls-ca", "Reach --server by TLS, with a certificate from this authority (RELGRAPH_TLS_CA).", "FILE"),
        ("--tls", "Reach --server by TLS, with a certificate from a well-known authority (RELGRAPH_TLS).", None),
    ):
        command = click.option(
            name, is_flag=metavar is None, metavar=metavar, expose_value=False, callback=remember, help=help_
        )(command)
    return command


def consistency_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--at-least`, `--at-exactly`, `--at` and `--minimize-latency`, as its one `consistency`.

    That is None without any. Raises InvalidInput for more than one.
    """

    @wraps(command)
    def asked(
        *arguments: object,
        at_least: str | None,
        at_exactly: str | None,
        at: str | None,
        minimize_latency: bool,
        **others: object,
    ) -> R:
        return command(*arguments, consistency=_consistency(at_least, at_exactly, at, minimize_latency), **others)

    for option in (
        click.option(
            "--minimize-latency", is_flag=True, help="Answer from what is at hand, at most a few seconds old."
        ),
        click.option("--at", metavar="TIME", help="Answer as of that time, as in 2027-01-31T12:00:00Z."),
        click.option("--at-exactly", metavar="TOKEN", help="Answer as of the write that returned this token."),
        click.option("--at-least", metavar="TOKEN", help="Answer from any state that has this token's write."),
    ):
        asked = option(asked)
    return asked


def _consistency(
    at_least: str | None, at_exactly: str | None, at: str | None, minimize_latency: bool
) -> Consistency | None:
    given = [
        name
        for name, value in (
            ("--at-least", at_least is not None),
            ("--at-exactly", at_exactly is not None),
            ("--at", at is not None),
            ("--minimize-latency", minimize_latency),
        )
        if value
    ]
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)} contradict each other; keep one")
    if at_least is not None:
        return Consistency.at_least(at_least)
    if at_exactly is not None:
        return Consistency.at_exactly(at_exactly)
    if at is not None:
        return Consistency.at_time(at)
    return Consistency.minimize_latency() if minimize_latency else None

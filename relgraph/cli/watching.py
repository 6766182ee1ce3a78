"""What is told in one go or without end: watch, export."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from relgraph.answers import LogEntry
from relgraph.cli.exits import INTERRUPTED, OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import entry_json, entry_text, print_json, print_lines, tuple_json
from relgraph.tuples import TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Checkpoint
    from relgraph.revision import Consistency

__all__ = ["export", "watch"]


@click.command(short_help="Tell what is committed, as it happens.")
@click.option("--from", "after", metavar="TOKEN", help="Begin behind this token; now by default.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only changes on resources of this type.")
@click.option("--relation", "relations", multiple=True, metavar="NAME", help="Only changes of this relation.")
@click.option("--filter", "filters", multiple=True, metavar="FILTER", help="Only tuples like this, as in `@user:anna`.")
@click.option("--checkpoints", is_flag=True, help="Say now and then up to which revision all was told.")
@common_options
@pass_terminal
def watch(
    terminal: Terminal,
    after: str | None,
    types: tuple[str, ...],
    relations: tuple[str, ...],
    filters: tuple[str, ...],
    checkpoints: bool,
) -> int:
    """Tell each revision as it is committed, as log does, until Ctrl-C.

    --type, --relation and --filter may be given several times each. Changes of the schema are always told; that a tuple
    expires is no change. However it ends, standard error tells the token that --from goes on behind: nothing is missed
    and nothing comes twice.
    """
    chosen = [TupleFilter.parse(each) for each in filters]
    with terminal.open() as door, door.watch(after, types=types, relations=relations, filters=chosen) as watched:
        token, revision = watched.token, watched.revision
        try:
            for event in watched:
                with _uninterrupted():
                    if isinstance(event, LogEntry) or checkpoints:
                        _tell(event, as_json=terminal.json)
                    token, revision = event.token, event.revision
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            _tell_token(token, revision, as_json=terminal.json)
    return OK


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off: what is being told is told, and counts as told, before it strikes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _tell(event: LogEntry | Checkpoint, *, as_json: bool) -> None:
    if isinstance(event, LogEntry):
        if as_json:
            print_json(entry_json(event))
        else:
            print_lines(entry_text(event))
    elif as_json:
        print_json({"checkpoint": event.revision, "token": event.token})
    else:
        print_lines([f"told up to revision {event.revision}"])
    # Whoever reads a pipe is to see it now, not once a buffer is full.
    sys.stdout.flush()


def _tell_token(token: str, revision: int, *, as_json: bool) -> None:
    """Tell on standard error how to go on: standard output holds what was committed only."""
    if as_json:
        click.echo(json.dumps({"token": token, "revision": revision}), err=True)
    else:
        click.echo(f"relgraph: told up to revision {revision}; go on with --from {token}", err=True)


@click.command(short_help="Print the schema and every tuple, all at one revision.")
@click.option("--filter", "chosen", metavar="FILTER", help="Only tuples like this, as in `report:q3#viewer`.")
@consistency_options
@common_options
@pass_terminal
def export(terminal: Terminal, chosen: str | None, consistency: Consistency | None) -> int:
    """Print the schema, as comments, then every tuple, one a line, and last how many there were.

    `relgraph import` reads what this prints; without the last line it is not whole.
    """
    filter_ = TupleFilter() if chosen is None else TupleFilter.parse(chosen)
    count = 0
    with terminal.open() as door, door.dump(filter_, consistency=consistency) as dump:
        if terminal.json:
            print_json({"schema": dump.schema, "revision": dump.revision, "token": dump.token})
        else:
            print_lines(f"// {line}".rstrip() for line in dump.schema.splitlines())
            print_lines([f"// revision {dump.revision}, token {dump.token}"])
        for tuple_ in dump:
            count += 1
            if terminal.json:
                print_json(tuple_json(tuple_))
            else:
                print_lines([str(tuple_)])
    if terminal.json:
        print_json({"tuples": count})
    else:
        print_lines([f"// {count} tuples"])
    return OK

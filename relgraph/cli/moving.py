"""What moves a whole store: migrate."""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import migrated_json, migrated_text, print_json, print_lines
from relgraph.cli.target import open_bare
from relgraph.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["migrate"]

_LINES = {"followed": "followed up to revision {done:,}", "comparing": "comparing both stores"}


@click.command(short_help="Copy a store, with all its history, into another one.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@common_options
@pass_terminal
def migrate(terminal: Terminal, source: str, target: str) -> int:
    """Copy all that the store FROM keeps into TO: schemas, tuples and history, with the same revisions.

    Both are URLs, as in sqlite:///access.db. TO is empty or new, or holds what an earlier migration from FROM copied:
    then this one goes on with it. FROM may be written meanwhile. TO opens when both were compared; it has an identity
    of its own, so tokens of FROM are refused there.
    """
    if terminal.store or terminal.server:
        raise InvalidInput("migrate names both stores by itself; take --store and --server away")
    from relgraph.store.migration import migrate as move  # noqa: PLC0415  (no other command needs it)

    started = time.monotonic()
    with (
        closing(open_bare(source)) as ours,
        closing(open_bare(target, creates=True)) as theirs,
        _progress(shown=not terminal.json) as told,
    ):
        migrated = move(ours, theirs, told=told)
    seconds = time.monotonic() - started
    if terminal.json:
        print_json(migrated_json(migrated, seconds))
    else:
        print_lines(migrated_text(migrated, seconds))
    return OK


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str, int], None]]:
    """Say on standard error how far it has come: on a terminal a line that moves, else a line for each call."""
    moving = sys.stderr.isatty()

    def told(what: str, done: int) -> None:
        if shown:
            line = _LINES.get(what, "copied {done:,} {what}").format(what=what, done=done)
            sys.stderr.write(f"\r\x1b[K{line}" if moving else f"{line}\n")
            sys.stderr.flush()

    try:
        yield told
    finally:
        if shown and moving:
            sys.stderr.write("\n")

"""The history of a store: log, collect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import (
    collected_json,
    collected_text,
    entry_json,
    entry_text,
    on_terminal,
    print_json,
    print_lines,
)
from relgraph.cli.spans import span_of
from relgraph.errors import InvalidSetting

if TYPE_CHECKING:
    from relgraph.answers import Log
    from relgraph.api import Authorizer

__all__ = ["collect", "log"]

_PAGE: Final = 100


@click.command(short_help="Tell what each revision did, and why.")
@click.option("--after", metavar="TOKEN", help="Only what came behind this token; all that is kept by default.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many revisions; all by default.")
@common_options
@pass_terminal
def log(terminal: Terminal, after: str | None, limit: int | None) -> int:
    """Tell what each revision did, oldest first: who wrote it, when and why, and the tuples that came and went.

    A tuple whose expiration changed went and came. With --json, the token of a line is what --after continues with.
    """
    left, first = limit, True
    with _opened(terminal) as authorizer:
        while left is None or left > 0:
            page = authorizer.log(after, limit=_PAGE if left is None else min(left, _PAGE))
            _tell(page, as_json=terminal.json, first=first)
            first = False
            left = None if left is None else left - len(page.entries)
            after = page.cursor
            if not after:
                break
    return OK


@click.command(short_help="Forget history that is older than a time.")
@click.option("--keep", required=True, metavar="TIME", help="How much history to keep, as in 90m, 24h or 30d.")
@common_options
@pass_terminal
def collect(terminal: Terminal, keep: str) -> int:
    """Forget what was true before, and make room for what is to come; others may write meanwhile.

    What was true since can still be asked with --at and --at-exactly; what was before is refused from then on.
    """
    span = span_of(keep)
    with _opened(terminal) as authorizer:
        collected = authorizer.collect(span)
    if terminal.json:
        print_json(collected_json(collected))
    else:
        print_lines(collected_text(collected))
    return OK


def _tell(page: Log, *, as_json: bool, first: bool) -> None:
    if on_terminal() and not as_json:
        from relgraph.cli.screen import show_log  # noqa: PLC0415  (rich is slow to import)

        show_log(page.entries, head=first)
        return
    for entry in page.entries:
        if as_json:
            print_json(entry_json(entry))
        else:
            print_lines(entry_text(entry))


def _opened(terminal: Terminal) -> Authorizer:
    """Open the store; the caller closes it. Raises InvalidSetting for a server."""
    if terminal.target().server is not None:
        raise InvalidSetting("this works on a store, not on its server; run it where the store is, with --store URL")
    door = terminal.open()
    from relgraph.api import Authorizer  # noqa: PLC0415  (the engine is slow to import)

    assert isinstance(door, Authorizer)  # whatever is no server
    return door

"""What changes the facts: write, import."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from relgraph.bulk import FORMATS, TupleFile
from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import imported_json, imported_text, print_json, print_lines, written_json, written_text
from relgraph.errors import InvalidInput, RelgraphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.tuples import RelationTuple

__all__ = ["import_", "write"]

# Often enough to look alive, seldom enough to cost nothing.
_TUPLES_PER_TICK = 1_000


@click.command(short_help="Touch, create and delete tuples, in one revision.")
@click.option("--touch", multiple=True, metavar="TUPLE", help="Write a tuple, whether it is there already or not.")
@click.option("--create", multiple=True, metavar="TUPLE", help="Write a tuple that must not be there yet.")
@click.option("--delete", multiple=True, metavar="TUPLE", help="Take a tuple away, whether it is there or not.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
@click.option("--request-id", default="", metavar="ID", help="The same id again returns the first result.")
@common_options
@pass_terminal
def write(
    terminal: Terminal,
    touch: tuple[str, ...],
    create: tuple[str, ...],
    delete: tuple[str, ...],
    reason: str,
    request_id: str,
) -> int:
    """Write tuples such as report:q3#viewer@user:anna: all of them in one revision, or none.

    --touch, --create and --delete can be repeated.
    """
    if not (touch or create or delete):
        raise InvalidInput("nothing to write; give --touch, --create or --delete with a tuple")
    with terminal.open() as door:
        written = door.write(touch=touch, create=create, delete=delete, reason=reason, request_id=request_id)
    if terminal.json:
        print_json(written_json(written))
    else:
        print_lines(written_text(written))
    return OK


@click.command("import", short_help="Load a file of tuples, in one revision.")
@click.argument("file", metavar="FILE|-")
@click.option("--format", type=click.Choice(list(FORMATS)), help="The format, where the file's suffix does not tell.")
@click.option(
    "--on-duplicate",
    type=click.Choice(["error", "touch", "skip"]),
    default="error",
    show_default=True,
    help="What to do with a tuple that is there already.",
)
@click.option("--allow-universal", is_flag=True, help="Allow `type:*` as resource: it counts for every object.")
@click.option("--allow-wildcards", is_flag=True, help="Allow `type:*` as subject: it covers everybody.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
@common_options
@pass_terminal
def import_(
    terminal: Terminal,
    file: str,
    format: str | None,
    on_duplicate: Literal["error", "touch", "skip"],
    allow_universal: bool,
    allow_wildcards: bool,
    reason: str,
) -> int:
    """Load the tuples of FILE (CSV, JSONL or plain text; - is standard input): all of them in one revision, or none."""
    source = TupleFile(file, format=format, allow_universal=allow_universal, allow_wildcards=allow_wildcards)
    # The file first: a name that is mistyped is found out before anything is opened.
    with source, terminal.open() as door, _progress(source, shown=not terminal.json) as tuples:
        started = time.monotonic()
        try:
            imported = door.load(
                tuples,
                on_duplicate=on_duplicate,
                allow_universal=allow_universal,
                allow_wildcards=allow_wildcards,
                reason=reason,
            )
        except RelgraphError as error:
            # Over the wire, a reader that broke off arrives here as a cancelled stream; the cause is the reader's.
            raise source.failure or source.located(error) from error
        seconds = time.monotonic() - started
    if terminal.json:
        print_json(imported_json(imported, seconds))
    else:
        print_lines(imported_text(imported, seconds))
    return OK


@contextmanager
def _progress(source: TupleFile, *, shown: bool) -> Iterator[Iterable[RelationTuple]]:
    """Hand out the tuples; on a terminal, with a progress bar on standard error."""
    if not shown or not sys.stderr.isatty():
        yield source
        return
    from rich.console import Console  # noqa: PLC0415  (rich is slow to import)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (
        TextColumn("reading", markup=False),
        BarColumn(),
        TextColumn("{task.fields[tuples]:,} tuples", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=source.size, tuples=0)

        def ticking() -> Iterator[RelationTuple]:
            count = 0
            for count, tuple_ in enumerate(source, start=1):
                if count % _TUPLES_PER_TICK == 0:
                    progress.update(task, completed=source.bytes_read, tuples=count)
                yield tuple_
            progress.update(task, completed=source.bytes_read, tuples=count)

        yield ticking()

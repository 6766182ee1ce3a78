"""What changes the facts: write, delete, import."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from relgraph.bulk import FORMATS, TupleFile
from relgraph.cli.exits import FOUND, OK
from relgraph.cli.importing import Manner, imported
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import (
    deleted_json,
    deleted_text,
    imported_json,
    imported_text,
    print_json,
    print_lines,
    written_json,
    written_text,
)
from relgraph.errors import InvalidInput
from relgraph.instants import parse_moment
from relgraph.tuples import TupleFilter, must_exist, must_not_exist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from relgraph.answers import Imported
    from relgraph.bulk import Sieve
    from relgraph.cli.target import Door
    from relgraph.tuples import Precondition, RelationTuple

__all__ = ["delete", "import_", "write"]

R = TypeVar("R")

# Often enough to look alive, seldom enough to cost nothing.
_TUPLES_PER_TICK = 1_000


def _history_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--actor`, `--reason`, `--request-id` and `--not-after`, the last as a datetime."""

    @wraps(command)
    def asked(*arguments: object, not_after: str | None, **others: object) -> R:
        return command(*arguments, not_after=None if not_after is None else parse_moment(not_after), **others)

    for option in (
        click.option("--not-after", metavar="TIME", help="Refuse the request id after that time."),
        click.option("--request-id", default="", metavar="ID", help="The same id again returns the first result."),
        click.option("--reason", default="", metavar="TEXT", help="Why, for the history."),
        click.option("--actor", metavar="SUBJECT", help="On whose behalf: only what the schema lets him grant."),
    ):
        asked = option(asked)
    return asked


def _precondition_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--must-exist` and `--must-not-exist`, as its one `preconditions`."""

    @wraps(command)
    def asked(*arguments: object, must: tuple[str, ...], must_not: tuple[str, ...], **others: object) -> R:
        preconditions = [
            *(must_exist(TupleFilter.parse(each)) for each in must),
            *(must_not_exist(TupleFilter.parse(each)) for each in must_not),
        ]
        return command(*arguments, preconditions=preconditions, **others)

    for option in (
        click.option(
            "--must-not-exist",
            "must_not",
            multiple=True,
            metavar="FILTER",
            help="Change nothing if a tuple matches.",
        ),
        click.option(
            "--must-exist",
            "must",
            multiple=True,
            metavar="FILTER",
            help="Change nothing unless a tuple matches, as in report:q3#viewer, report:q3@user:anna.",
        ),
    ):
        asked = option(asked)
    return asked


@click.command(short_help="Touch, create and delete tuples, in one revision.")
@click.option("--touch", multiple=True, metavar="TUPLE", help="Write a tuple, whether it is there already or not.")
@click.option("--create", multiple=True, metavar="TUPLE", help="Write a tuple that must not be there yet.")
@click.option("--delete", multiple=True, metavar="TUPLE", help="Take a tuple away, whether it is there or not.")
@_precondition_options
@_history_options
@common_options
@pass_terminal
def write(
    terminal: Terminal,
    touch: tuple[str, ...],
    create: tuple[str, ...],
    delete: tuple[str, ...],
    preconditions: list[Precondition],
    actor: str | None,
    reason: str,
    request_id: str,
    not_after: datetime | None,
) -> int:
    """Write tuples such as report:q3#viewer@user:anna: all of them in one revision, or none.

    --touch, --create, --delete, --must-exist and --must-not-exist can be repeated. A FILTER is spelled like a tuple
    with parts left out.
    """
    if not (touch or create or delete):
        raise InvalidInput("nothing to write; give --touch, --create or --delete with a tuple")
    with terminal.open() as door:
        written = door.write(
            touch=touch,
            create=create,
            delete=delete,
            preconditions=preconditions,
            actor=actor,
            reason=reason,
            request_id=request_id,
            not_after=not_after,
        )
    if terminal.json:
        print_json(written_json(written))
    else:
        print_lines(written_text(written))
    return OK


@click.command(short_help="Delete the tuples that match a filter, in one revision.")
@click.argument("filter_", metavar="FILTER")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many tuples; more refuse the command.")
@click.option("--partial", is_flag=True, help="With more than the limit, delete that many.")
@_precondition_options
@_history_options
@common_options
@pass_terminal
def delete(
    terminal: Terminal,
    filter_: str,
    limit: int | None,
    partial: bool,
    preconditions: list[Precondition],
    actor: str | None,
    reason: str,
    request_id: str,
    not_after: datetime | None,
) -> int:
    """Delete all tuples that match FILTER, in one revision, or none.

    A FILTER is spelled like a tuple with parts left out, as in report:q3, report#viewer@group or @user:anna. An id * is
    an id like any other: where universal tuples match that the filter does not name, nothing is deleted.
    """
    with terminal.open() as door:
        deleted = door.delete(
            TupleFilter.parse(filter_),
            limit=limit,
            partial=partial,
            preconditions=preconditions,
            actor=actor,
            reason=reason,
            request_id=request_id,
            not_after=not_after,
        )
    if terminal.json:
        print_json(deleted_json(deleted))
    else:
        print_lines(deleted_text(deleted))
    return OK


@click.command("import", short_help="Load a file of tuples, in one revision or in batches.")
@click.argument("file", metavar="FILE|-", type=click.Path())
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
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="One revision for each N tuples.")
@click.option("--rate", type=click.IntRange(min=1), metavar="N", help="At most N tuples a second, in batches.")
@click.option(
    "--resume",
    metavar="FILE",
    type=click.Path(),
    help="Note how far it came; the same again goes on.",
)
@click.option("--keep-going", is_flag=True, help="Put lines that are refused aside, and load the others.")
@click.option(
    "--refused",
    metavar="FILE",
    type=click.Path(),
    help="With --keep-going: where to put them.",
)
@_history_options
@common_options
@pass_terminal
def import_(
    terminal: Terminal,
    file: str,
    format: str | None,
    on_duplicate: Literal["error", "touch", "skip"],
    allow_universal: bool,
    allow_wildcards: bool,
    batch: int | None,
    rate: int | None,
    resume: str | None,
    keep_going: bool,
    refused: str | None,
    actor: str | None,
    reason: str,
    request_id: str,
    not_after: datetime | None,
) -> int:
    """Load the tuples of FILE (CSV, JSONL or plain text; - is standard input): all of them in one revision, or none.

    With --batch or --rate, in many revisions, each whole or not at all; --resume tells a later run where to go on.
    With --keep-going, lines that are no tuples, or none that the schema admits, go to the --refused file, and the
    command ends with 1 when there are any.
    """
    manner = Manner(batch, rate, resume, keep_going, refused, on_duplicate, actor, request_id)

    def source_of(sieve: Sieve | None) -> TupleFile:
        return TupleFile(
            file, format=format, allow_universal=allow_universal, allow_wildcards=allow_wildcards, sieve=sieve
        )

    def load(door: Door, tuples: Iterable[RelationTuple], request_id: str) -> Imported:
        return door.load(
            tuples,
            on_duplicate=on_duplicate,
            allow_universal=allow_universal,
            allow_wildcards=allow_wildcards,
            actor=actor,
            reason=reason,
            request_id=request_id,
            not_after=not_after,
        )

    with _showing(not terminal.json) as show:
        done, skipped, seconds = imported(terminal, source_of, load, manner, show)
    if terminal.json:
        print_json(imported_json(done, skipped, seconds))
    else:
        print_lines(imported_text(done, skipped, seconds))
    return FOUND if done.refused else OK


@contextmanager
def _showing(shown: bool) -> Iterator[Callable[[TupleFile], Iterable[RelationTuple]]]:
    """Lend what hands out a file's tuples; on a terminal, with a progress bar on standard error."""
    with ExitStack() as stack:
        yield lambda source: stack.enter_context(_progress(source, shown=shown))


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

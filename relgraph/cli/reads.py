"""Reading tuples back: read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import on_terminal, print_json, print_lines, tuple_json
from relgraph.errors import InvalidFilter, quoted
from relgraph.tuples import TupleFilter

if TYPE_CHECKING:
    from relgraph.answers import Page
    from relgraph.revision import Consistency

__all__ = ["filter_of", "read"]

_PAGE = 1_000


@click.command(short_help="Read tuples, all or by filter.")
@click.option(
    "--resource", metavar="TYPE[:ID]", help="Only tuples on this type or object; `type:*` is the universal one."
)
@click.option("--relation", metavar="NAME", help="Only tuples of this relation.")
@click.option(
    "--subject",
    metavar="TYPE[:ID][#RELATION]",
    help="Only tuples with such a subject, as in user, user:anna, group#member.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many tuples; all by default.")
@click.option("--cursor", default="", help="Continue where a limited read ended.")
@consistency_options
@common_options
@pass_terminal
def read(
    terminal: Terminal,
    resource: str | None,
    relation: str | None,
    subject: str | None,
    limit: int | None,
    cursor: str,
    consistency: Consistency | None,
) -> int:
    """Print tuples, one a line, all at one revision; `relgraph import` reads what this prints into a file.

    When --limit leaves tuples over, standard error tells the cursor to continue with.
    """
    filter_ = filter_of(resource, relation, subject)
    left = limit
    with terminal.open() as door:
        while True:
            page = door.read(
                filter_,
                limit=_PAGE if left is None else min(left, _PAGE),
                cursor=cursor,
                consistency=consistency,
            )
            # A cursor carries its revision and instant: only the first page chooses them.
            consistency = None
            _tell(page, as_json=terminal.json, first=not cursor)
            cursor = page.cursor
            left = None if left is None else left - len(page.tuples)
            if not cursor or left == 0:
                break
    if cursor:
        _tell_cursor(page, as_json=terminal.json)
    return OK


def _tell(page: Page, *, as_json: bool, first: bool) -> None:
    if as_json:
        for tuple_ in page.tuples:
            print_json(tuple_json(tuple_))
    elif on_terminal():
        from relgraph.cli.screen import show_tuples  # noqa: PLC0415  (rich is slow to import)

        show_tuples(page.tuples, head=first)
    else:
        print_lines(map(str, page.tuples))


def _tell_cursor(page: Page, *, as_json: bool) -> None:
    """Tell on standard error how to go on: standard output holds tuples only."""
    if as_json:
        click.echo(json.dumps({"cursor": page.cursor, "revision": page.revision, "token": page.token}), err=True)
    else:
        click.echo(f"relgraph: more tuples follow; continue with --cursor {page.cursor}", err=True)


def filter_of(resource: str | None, relation: str | None, subject: str | None) -> TupleFilter:
    """Return the filter that the options spell. Raises InvalidFilter, InvalidName or InvalidId."""
    resource_type, resource_id = _split(resource)
    if resource is not None and "#" in resource:
        raise InvalidFilter(f"{quoted(resource)} names a relation; give that with --relation", {"text": resource})
    object_, hash_, subject_relation = (None, "", "") if subject is None else subject.partition("#")
    subject_type, subject_id = _split(object_)
    return TupleFilter(
        resource_type=resource_type,
        resource_id=resource_id,
        relation=relation,
        subject_type=subject_type,
        subject_id=subject_id,
        subject_relation=subject_relation if hash_ else None,
    )


def _split(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    type_, colon, id_ = text.partition(":")
    return type_, id_ if colon else None

"""Lookups: what, who, permissions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from relgraph.answers import Verdict
from relgraph.cli.bringing import bringing_options
from relgraph.cli.exits import CONDITIONAL, OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import on_terminal, print_json, print_lines
from relgraph.cli.rows import (
    Named,
    count_json,
    count_text,
    found_json,
    found_text,
    permissions_json,
    permissions_text,
)
from relgraph.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.answers import Count, Lookup
    from relgraph.contexts import Context
    from relgraph.revision import Consistency

__all__ = ["permissions", "what", "who"]

P = ParamSpec("P")
R = TypeVar("R")


def _lookup_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--limit`, `--cursor` and `--count`."""
    for option in (
        click.option("--count", is_flag=True, help="Tell how many there are, and not which."),
        click.option("--cursor", default="", help="Continue where a limited lookup ended."),
        click.option("--limit", type=click.IntRange(min=1), help="At most so many rows; all by default."),
    ):
        command = option(command)
    return command


@click.command(short_help="What this subject may do that with: every resource of a type.")
@click.argument("subject")
@click.argument("permission")
@click.argument("type")
@_lookup_options
@bringing_options
@consistency_options
@common_options
@pass_terminal
def what(
    terminal: Terminal,
    subject: str,
    permission: str,
    type: str,
    limit: int | None,
    cursor: str,
    count: bool,
    context: Context | None,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """List every resource of TYPE that SUBJECT has PERMISSION on, all at one revision.

    A line that is an object alone says yes. "every other TYPE" speaks for all objects that have no line; "all but"
    takes one out of that; "perhaps" needs context that was not given. When --limit leaves rows over, standard error
    tells the cursor to continue with. It is all of them or an error, never a part.
    """
    _check_count(count, limit, cursor)
    named = Named("resource", type)
    with terminal.open() as door:
        if count:
            return _tell_count(
                terminal,
                door.count_resources(
                    subject, permission, type, context=context, contextual=contextual, consistency=consistency
                ),
                named,
            )
        found = door.what(
            subject,
            permission,
            type,
            limit=limit,
            cursor=cursor,
            context=context,
            contextual=contextual,
            consistency=consistency,
        )
    return _tell(terminal, found, named)


@click.command(short_help="Who may do that with this resource: every subject of a type.")
@click.argument("resource")
@click.argument("permission")
@click.argument("type", metavar="TYPE[#RELATION]")
@_lookup_options
@bringing_options
@consistency_options
@common_options
@pass_terminal
def who(
    terminal: Terminal,
    resource: str,
    permission: str,
    type: str,
    limit: int | None,
    cursor: str,
    count: bool,
    context: Context | None,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """List every subject of TYPE that has PERMISSION on RESOURCE, all at one revision; of TYPE#RELATION, usersets.

    A line that is a subject alone says yes. "every other TYPE" speaks for all that have no line; "all but" takes one
    out of that; "perhaps" needs context that was not given. When --limit leaves rows over, standard error tells the
    cursor to continue with. It is all of them or an error, never a part.
    """
    _check_count(count, limit, cursor)
    kind, hash_, relation = type.partition("#")
    if hash_ and not relation:
        raise InvalidInput(f"`{kind}#` names no relation; write a type as in `user`, or usersets as in `group#member`")
    named = Named("subject", kind, relation)
    with terminal.open() as door:
        if count:
            counted = door.count_subjects(
                resource,
                permission,
                kind,
                relation=relation,
                context=context,
                contextual=contextual,
                consistency=consistency,
            )
            return _tell_count(terminal, counted, named)
        found = door.who(
            resource,
            permission,
            kind,
            relation=relation,
            limit=limit,
            cursor=cursor,
            context=context,
            contextual=contextual,
            consistency=consistency,
        )
    return _tell(terminal, found, named)


def _check_count(count: bool, limit: int | None, cursor: str) -> None:
    if count and (limit is not None or cursor):
        raise InvalidInput("--count counts all there is, and --limit and --cursor ask for a page; keep one")


def _tell_count(terminal: Terminal, count: Count, named: Named) -> int:
    if terminal.json:
        print_json(count_json(count))
    else:
        print_lines([count_text(count, named)])
    return CONDITIONAL if count.undecided or count.everyone is Verdict.UNDECIDED else OK


def _tell(terminal: Terminal, found: Lookup, named: Named) -> int:
    """Print the rows on standard output, and on standard error how to go on."""
    named.alone = len(found.rows) == 1 and not found.cursor
    if terminal.json:
        for row in found.rows:
            print_json(found_json(row, named))
    elif on_terminal():
        from relgraph.cli.screen import show_found  # noqa: PLC0415  (rich is slow to import)

        show_found(found, named)
    else:
        print_lines(found_text(row, named) for row in found.rows)
    if found.cursor and terminal.json:
        click.echo(json.dumps({"cursor": found.cursor, "revision": found.revision, "token": found.token}), err=True)
    elif found.cursor:
        click.echo(f"relgraph: more rows follow; continue with --cursor {found.cursor}", err=True)
    return CONDITIONAL if any(row.verdict is Verdict.UNDECIDED for row in found.rows) else OK


@click.command(short_help="All that a subject may do with a resource.")
@click.argument("subject")
@click.argument("resource")
@bringing_options
@consistency_options
@common_options
@pass_terminal
def permissions(
    terminal: Terminal,
    subject: str,
    resource: str,
    context: Context | None,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """Tell for every relation and permission of RESOURCE whether SUBJECT has it, in the schema's order."""
    with terminal.open() as door:
        found = door.permissions(subject, resource, context=context, contextual=contextual, consistency=consistency)
    if terminal.json:
        for line in permissions_json(found):
            print_json(line)
    elif on_terminal():
        from relgraph.cli.screen import show_permissions  # noqa: PLC0415  (rich is slow to import)

        show_permissions(found)
    else:
        print_lines(permissions_text(found))
    return CONDITIONAL if any(row.verdict is Verdict.UNDECIDED for row in found.rows) else OK

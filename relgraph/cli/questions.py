"""The questions: check, best, expand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from relgraph.answers import Verdict
from relgraph.cli.bringing import bringing_options, contextual_option
from relgraph.cli.exits import CONDITIONAL, DENIED, OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import (
    best_json,
    best_text,
    decision_json,
    decision_text,
    expansion_json,
    on_terminal,
    print_json,
    print_lines,
)
from relgraph.errors import InvalidInput, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.answers import Best
    from relgraph.contexts import Context
    from relgraph.revision import Consistency

__all__ = ["best", "check", "expand"]

_EXIT_OF = {Verdict.YES: OK, Verdict.NO: DENIED, Verdict.CONDITIONAL: CONDITIONAL, Verdict.UNDECIDED: CONDITIONAL}


@click.command(short_help="May this subject do that with the resource?")
@click.argument("question", nargs=-1, required=True, metavar="SUBJECT PERMISSION RESOURCE")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when denied, with 3 when conditional.")
@bringing_options
@consistency_options
@common_options
@pass_terminal
def check(
    terminal: Terminal,
    question: tuple[str, ...],
    exit_code: bool,
    context: Context | None,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """Answer whether SUBJECT has PERMISSION (or a relation) on RESOURCE.

    The question may be one word as well, in the way a tuple is written:
    report:q3#view@user:anna
    """
    if len(question) not in (1, 3):
        raise InvalidInput(
            f"a check takes SUBJECT PERMISSION RESOURCE, or one word as in `report:q3#view@user:anna`, "
            f"not {len(question)} words"
        )
    with terminal.open() as door:
        decision = door.decide(*question, context=context, contextual=contextual, consistency=consistency)
    if terminal.json:
        print_json(decision_json(decision))
    else:
        print_lines([decision_text(decision)])
    return _EXIT_OF[decision.verdict] if exit_code else OK


@click.command(short_help="The best access of a subject on resources, and the ways it comes about.")
@click.argument("subject")
@click.argument("resources", nargs=-1, required=True, metavar="RESOURCE...")
@click.option(
    "--ways",
    type=click.Choice(["none", "one", "all"]),
    default="one",
    show_default=True,
    help="How many ways to tell for each resource.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there is no access on some resource.")
@bringing_options
@consistency_options
@common_options
@pass_terminal
def best(
    terminal: Terminal,
    subject: str,
    resources: tuple[str, ...],
    ways: Literal["none", "one", "all"],
    exit_code: bool,
    context: Context | None,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """Tell the best access of SUBJECT on each RESOURCE, all at one revision.

    With a ladder of roles that is the strongest role held; without one, every permission held.
    """
    with terminal.open() as door:
        rows = door.best_many(
            subject, resources, ways=ways, context=context, contextual=contextual, consistency=consistency
        )
    if on_terminal() and not terminal.json:
        from relgraph.cli.screen import show_best  # noqa: PLC0415  (rich is slow to import)

        show_best(rows)
        return _best_exit(rows, exit_code)
    for row in rows:
        if terminal.json:
            print_json(best_json(row))
        else:
            print_lines(best_text(row))
    if rows and not terminal.json:
        print_lines([f"revision {rows[0].revision}"])
    return _best_exit(rows, exit_code)


def _best_exit(rows: Sequence[Best], exit_code: bool) -> int:
    if any(row.undecided for row in rows):
        return CONDITIONAL
    without = [row for row in rows if not row.held and row.role is None]
    if not exit_code or not without:
        return OK
    return CONDITIONAL if all(row.conditional for row in without) else DENIED


@click.command(short_help="How a permission comes about, as a tree.")
@click.argument("permission", metavar="RESOURCE#PERMISSION")
@click.option("--usersets", is_flag=True, help="Open every userset as well: who is in it, and so on.")
@contextual_option
@consistency_options
@common_options
@pass_terminal
def expand(
    terminal: Terminal,
    permission: str,
    usersets: bool,
    contextual: tuple[str, ...],
    consistency: Consistency | None,
) -> int:
    """Show how RESOURCE#PERMISSION comes about, whoever asks: its operators, its relations and their tuples."""
    resource, hash_, name = permission.partition("#")
    if not hash_ or not name:
        raise InvalidInput(f"{quoted(permission)} is not RESOURCE#PERMISSION; write it as in `report:q3#view`")
    with terminal.open() as door:
        expansion = door.expand(resource, name, usersets=usersets, contextual=contextual, consistency=consistency)
    if terminal.json:
        print_json(expansion_json(expansion))
    else:
        from relgraph.cli.trees import print_expansion  # noqa: PLC0415  (rich is slow to import)

        print_expansion(expansion)
    return OK

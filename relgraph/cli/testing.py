"""Whether a schema does what its files say: test, with coverage and mutation."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from relgraph.cli.exits import FOUND, OK, TEST_FAILED
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.outcomes import FORMATS
from relgraph.cli.output import print_lines
from relgraph.cli.scenario import read_scenario
from relgraph.cli.trying import Trial
from relgraph.cli.weighing import Changes, reached_branches
from relgraph.errors import InvalidInput

__all__ = ["test"]


@click.command(short_help="Judge what files say about a schema, and what they do not.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", type=click.Choice([*FORMATS]), help="How to write it; text by default.")
@click.option("--coverage", is_flag=True, help="Tell the branches of the schema that no assertion reaches.")
@click.option("--mutate", is_flag=True, help="Tell the changes to the schema that no assertion notices.")
@click.option("--mutants-max", type=click.IntRange(1), default=1_000, show_default=True, help="Changes to try at most.")
@click.option(
    "--checks-max",
    type=click.IntRange(1),
    default=1_000_000,
    show_default=True,
    help="Checks to try them with at most.",
)
@common_options
@pass_terminal
def test(
    terminal: Terminal,
    files: tuple[str, ...],
    format: str | None,
    coverage: bool,
    mutate: bool,
    mutants_max: int,
    checks_max: int,
) -> int:
    """Judge the claims of each FILE in a store in memory: a validation file of SpiceDB, or a scenario of relgraph.

    Ends with 4 where a claim does not hold, else with 1 where a branch is not reached or a change not noticed.
    """
    terminal.refuse_place()
    format_ = format or ("json" if terminal.json else "text")
    if terminal.json and format_ != "json":
        raise InvalidInput(f"--json and --format {format_} contradict each other; keep one")
    from relgraph.api.scratch import Scratch  # noqa: PLC0415  (the help of other commands needs no store)

    changes = Changes(mutants_max, checks_max)
    paths = [Path(file) for file in dict.fromkeys(files)]
    with ExitStack() as stack:
        trials = [Trial(stack.enter_context(Scratch()), read_scenario(path), path) for path in paths]
        for trial in trials:
            trial.run()
        outcomes = [each for trial in trials for each in trial.outcomes]
        failed = not all(each.holds for each in outcomes)
        if coverage:
            outcomes += reached_branches(trials)
        if mutate and failed:
            sys.stderr.write("relgraph: no change was tried, since claims do not hold: mend them first\n")
        elif mutate:
            outcomes += changes.noticed(trials)
    print_lines(FORMATS[format_](outcomes, [str(path) for path in paths]))
    if failed:
        return TEST_FAILED
    if changes.exceeded is not None:
        raise changes.exceeded
    return OK if all(each.holds for each in outcomes) else FOUND

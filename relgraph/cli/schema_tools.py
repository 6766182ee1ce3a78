"""What works on the text of a schema, in a file or in force: schema graph, schema lint, schema diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import FOUND, OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import (
    change_json,
    change_text,
    counted,
    finding_json,
    finding_text,
    print_json,
    print_lines,
)
from relgraph.cli.schema_files import STDIN, composed
from relgraph.errors import InvalidInput
from relgraph.schema.diff import diff
from relgraph.schema.lints import lint
from relgraph.schema.reader import parse_source
from relgraph.schema.source import Source

if TYPE_CHECKING:
    from relgraph.revision import Consistency
    from relgraph.schema import Schema

__all__ = ["diff_command", "graph_command", "lint_command"]


def _read(terminal: Terminal, file: str | None, consistency: Consistency | None) -> tuple[Schema, Source]:
    """Return the schema in a file, or the one in force where no file is named. Raises InvalidInput for both at once."""
    if file is None:
        with terminal.open() as door:
            source = Source(door.schema(consistency=consistency).text)
        return parse_source(source), source
    _refuse_where(terminal, consistency)
    found = composed(file)
    return found.schema, found.source


def _refuse_where(terminal: Terminal, consistency: Consistency | None) -> None:
    """Raise InvalidInput for options that say where or when to read the schema in force, which is not read."""
    if terminal.store or terminal.server:
        raise InvalidInput("a file and --store or --server were both given; one schema is wanted, keep one")
    if consistency is not None:
        raise InvalidInput("a file has no revisions; leave --at-least, --at-exactly, --at and --minimize-latency out")


@click.command("graph", short_help="Draw what leans on what.")
@click.argument("file", metavar="[FILE|-]", required=False)
@click.option("--format", type=click.Choice(["dot", "graphml", "json"]), help="How to write it; dot by default.")
@consistency_options
@common_options
@pass_terminal
def graph_command(terminal: Terminal, file: str | None, format: str | None, consistency: Consistency | None) -> int:
    """Draw the relations and permissions of the schema in FILE, or of the one in force, and what each leans on."""
    from relgraph.cli.schema_drawing import SCHEMA_SPELLINGS, schema_drawing  # noqa: PLC0415  (networkx is slow)

    format_ = format or ("json" if terminal.json else "dot")
    if terminal.json and format_ != "json":
        raise InvalidInput(f"--json and --format {format_} contradict each other; keep one")
    found, _ = _read(terminal, file, consistency)
    print_lines(SCHEMA_SPELLINGS[format_](schema_drawing(found)))
    return OK


@click.command("lint", short_help="Find what is valid and rarely meant.")
@click.argument("file", metavar="[FILE|-]", required=False)
@consistency_options
@common_options
@pass_terminal
def lint_command(terminal: Terminal, file: str | None, consistency: Consistency | None) -> int:
    """Find in the schema in FILE, or in the one in force, what is valid and rarely meant; exit code 1 if there is any.

    A comment before a relation or permission silences one lint there: `// relgraph-ignore-warning: NAME`.
    """
    found = lint(*_read(terminal, file, consistency))
    if terminal.json:
        for each in found:
            print_json(finding_json(each))
    else:
        for each in found:
            print_lines(finding_text(each))
        print_lines([counted(len(found), "finding")])
    return FOUND if found else OK


@click.command("diff", short_help="Tell how two schemas differ.")
@click.argument("files", nargs=-1, metavar="[OLD] NEW|-")
@consistency_options
@common_options
@pass_terminal
def diff_command(terminal: Terminal, files: tuple[str, ...], consistency: Consistency | None) -> int:
    """Tell what the schema in NEW changes in the one in OLD, or in the one in force; exit code 1 if there is anything.

    Order, spacing and comments that belong to nothing make no difference.
    """
    if len(files) not in (1, 2) or files == (STDIN, STDIN):
        raise InvalidInput("a comparison needs one schema file and the schema in force, or two different files")
    if len(files) == 2:
        _refuse_where(terminal, consistency)
        changes = diff(composed(files[0]).schema, composed(files[1]).schema)
    else:
        text = composed(files[0]).text
        with terminal.open() as door:
            changes = door.diff_schema(text, consistency=consistency).changes
    if terminal.json:
        for each in changes:
            print_json(change_json(each))
    else:
        for each in changes:
            print_lines(change_text(each))
        print_lines([counted(len(changes), "difference")])
    return FOUND if changes else OK

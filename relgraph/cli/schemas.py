"""The schema: the group of its commands, schema read and schema write."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import print_json, print_lines, printable, schema_json, written_json, written_text
from relgraph.cli.schema_files import about_file, composed
from relgraph.cli.schema_format import format_command
from relgraph.cli.schema_tools import diff_command, graph_command, lint_command
from relgraph.errors import SchemaParseError, SchemaTypeError, Unsupported

if TYPE_CHECKING:
    from relgraph.revision import Consistency

__all__ = ["schema"]


@click.group(short_help="Read, write and look into the schema.", no_args_is_help=False)
@common_options
def schema() -> None:
    """Read, write and look into the schema."""


for _command in (diff_command, format_command, graph_command, lint_command):
    schema.add_command(_command)


@schema.command("read")
@consistency_options
@common_options
@pass_terminal
def _read(terminal: Terminal, consistency: Consistency | None) -> int:
    """Print the schema, as it was written."""
    with terminal.open() as door:
        found = door.schema(consistency=consistency)
    if terminal.json:
        print_json(schema_json(found))
        return OK
    # A terminal must not be steered by a comment; a file gets the text character for character.
    text = printable(found.text, keep="\n\t") if sys.stdout.isatty() else found.text
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return OK


@schema.command("write", short_help="Make a file's text the schema.")
@click.argument("file", metavar="FILE|-")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
@common_options
@pass_terminal
def _write(terminal: Terminal, file: str, reason: str) -> int:
    """Make the text of FILE (- is standard input) the schema from the next revision on.

    What FILE imports is put before it, so that the store holds one text; it has to lie in FILE's folder or below it.
    """
    # Before a store is made for it: a schema that is refused must not leave an empty one behind.
    text = composed(file).text
    try:
        with terminal.open(creates=True) as door:
            written = door.write_schema(text, reason=reason)
    except (SchemaParseError, SchemaTypeError, Unsupported) as error:
        raise about_file(error, file) from error
    if terminal.json:
        print_json(written_json(written))
    else:
        print_lines(written_text(written))
    return OK

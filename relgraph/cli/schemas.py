"""The schema: schema read, schema write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import print_json, print_lines, printable, schema_json, written_json, written_text
from relgraph.errors import InvalidFile, RelgraphError, SchemaParseError, SchemaTypeError, Unsupported, quoted
from relgraph.schema import parse

if TYPE_CHECKING:
    from relgraph.revision import Consistency

__all__ = ["schema"]

_STDIN = "-"
_SIZE_MAX = 4_000_000


@click.group(short_help="Read and write the schema.", no_args_is_help=False)
@common_options
def schema() -> None:
    """Read and write the schema."""


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
    """Make the text of FILE (- is standard input) the schema from the next revision on."""
    text = _text_of(file)
    try:
        # Before a store is made for it: a schema that is refused must not leave an empty one behind.
        parse(text)
        with terminal.open(creates=True) as door:
            written = door.write_schema(text, reason=reason)
    except (SchemaParseError, SchemaTypeError, Unsupported) as error:
        raise _in_file(error, file) from error
    if terminal.json:
        print_json(written_json(written))
    else:
        print_lines(written_text(written))
    return OK


def _text_of(file: str) -> str:
    try:
        if file == _STDIN:
            data = sys.stdin.buffer.read(_SIZE_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a path").lower()
        raise InvalidFile(
            f"{quoted(file)} cannot be read: {reason}; name a file with a schema, or `-` for stdin", {"file": file}
        ) from error
    if len(data) > _SIZE_MAX:
        raise InvalidFile(f"{quoted(file)} has more than {_SIZE_MAX} bytes; is this a schema?", {"file": file})
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFile(
            f"{quoted(file)}, line {line}: the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8",
            {"file": file, "line": str(line)},
        ) from error


def _in_file(error: RelgraphError, file: str) -> RelgraphError:
    """Return a schema's error, which names line and column, with the file's name before it."""
    name = "stdin" if file == _STDIN else quoted(file, 200)[1:-1]
    return type(error)(f"{name}, {error.message}", {**error.details, "file": file})

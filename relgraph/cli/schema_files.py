"""Schemas in files: read with their imports, and every complaint about one headed by the file's name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from relgraph.errors import InvalidFile, quoted
from relgraph.schema import Composed, compose
from relgraph.schema.reader import parse_source
from relgraph.schema.source import Source

if TYPE_CHECKING:
    from relgraph.errors import RelgraphError

__all__ = ["STDIN", "about_file", "composed", "shown_name", "text_of"]

STDIN = "-"
_SIZE_MAX = 4_000_000


def composed(file: str) -> Composed:
    """Read and validate the schema in a file and its imports, `-` for standard input.

    That, and a pipe as a shell makes for `<(git show HEAD:schema.zed)`, lie in no folder and can import nothing.
    Raises InvalidFile, and SchemaParseError, SchemaTypeError or Unsupported headed by the file's name.
    """
    if file != STDIN and not Path(file).is_fifo():
        return compose(Path(file))
    source = Source(text_of(file), shown_name(file))
    return Composed(source.text, parse_source(source), source)


def text_of(file: str) -> str:
    """Return the text of a file, `-` for standard input. Raises InvalidFile for what is no text of a sensible size."""
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(_SIZE_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a path").lower()
        raise InvalidFile(
            f"{quoted(file, 200)} cannot be read: {reason}; name a file with a schema, or `-` for stdin", {"file": file}
        ) from error
    if len(data) > _SIZE_MAX:
        raise InvalidFile(f"{quoted(file, 200)} has more than {_SIZE_MAX} bytes; is this a schema?", {"file": file})
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFile(
            f"{quoted(file, 200)}, line {line}: the byte 0x{data[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8",
            {"file": file, "line": str(line)},
        ) from error


def about_file(error: RelgraphError, file: str) -> RelgraphError:
    """Return an error about a schema's text with the file's name before it."""
    return type(error)(f"{quoted(shown_name(file), 200)[1:-1]}, {error.message}", {**error.details, "file": file})


def shown_name(file: str) -> str:
    """Return what a file is called where it is spoken of."""
    return "stdin" if file == STDIN else file

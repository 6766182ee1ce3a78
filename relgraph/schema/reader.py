"""Text in, schema out: the size limits, then the parser, then validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError
from relgraph.schema.parser import parse_tree
from relgraph.schema.source import Source
from relgraph.schema.validate import validate

if TYPE_CHECKING:
    from relgraph.schema.model import Schema

__all__ = ["TEXT_BYTES_MAX", "parse"]

TEXT_BYTES_MAX: Final = 4 * 1024 * 1024


def parse(text: str) -> Schema:
    """Read and validate a schema.

    Raises SchemaParseError (grammar), SchemaTypeError (meaning), or Unsupported for a part of SpiceDB's language that
    this version does not serve; each names line and column, shows the line and marks the place in it.
    """
    _check_size(text)
    source = Source(text)
    return validate(parse_tree(source), source)


def _check_size(text: str) -> None:
    """Raise SchemaParseError where a text is too large, or cannot be encoded."""
    details = {"line": "1", "column": "1"}
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        source = Source(text)
        message = "a lone surrogate is not a character, remove it"
        raise source.problem(SchemaParseError, message, source.span(error.start, error.start + 1)) from None
    if size > TEXT_BYTES_MAX:
        raise SchemaParseError(
            f"the schema has {size} bytes, at most {TEXT_BYTES_MAX} are allowed, make it smaller",
            {**details, "limit": "text_bytes_max", "value": str(TEXT_BYTES_MAX)},
        )

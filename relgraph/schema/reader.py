"""Text in, schema out: the size limits, then the parser, then partials, then validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError
from relgraph.schema.caveats import declared
from relgraph.schema.parser import parse_tree
from relgraph.schema.partials import expand
from relgraph.schema.source import Source
from relgraph.schema.validate import validate

if TYPE_CHECKING:
    from relgraph.schema.model import Schema

__all__ = ["TEXT_BYTES_MAX", "check_size", "parse", "parse_source"]

TEXT_BYTES_MAX: Final = 4 * 1024 * 1024

_TEXT_FLAGS: Final = frozenset({"import", "partial"})


def parse(text: str) -> Schema:
    """Read and validate a schema, which must be one text: imports are composed by `relgraph.schema.compose` before.

    Raises SchemaParseError (grammar) or SchemaTypeError (meaning); each names line and column, shows the line and marks
    the place in it. Raises Unsupported for a schema with caveats where no library for CEL is installed.
    """
    return parse_source(Source(text))


def parse_source(source: Source) -> Schema:
    """Read and validate a schema, as `parse` does, from a text that knows where its lines come from.

    Partials are gone from the model, so the flags that only concern the text are as well.
    """
    check_size(source)
    tree = parse_tree(source)
    if tree.imports:
        at = tree.imports[0]
        message = (
            "a schema sent as one text imports nothing; `relgraph schema write FILE` reads a file with its imports and "
            "makes them one text"
        )
        raise source.problem(SchemaParseError, message, source.span(at.word.start, at.value.end))
    caveats = declared(tree.caveats, (*tree.definitions, *tree.partials), source)
    return validate(expand(tree, source), tree.flags - _TEXT_FLAGS, caveats, source)


def check_size(source: Source) -> None:
    """Raise SchemaParseError where a text is too large, or cannot be encoded."""
    try:
        size = len(source.text.encode("utf-8"))
    except UnicodeEncodeError as error:
        message = "a lone surrogate is not a character, remove it"
        raise source.problem(SchemaParseError, message, source.span(error.start, error.start + 1)) from None
    if size > TEXT_BYTES_MAX:
        raise SchemaParseError(
            f"the schema has {size} bytes, at most {TEXT_BYTES_MAX} are allowed, make it smaller",
            {"line": "1", "column": "1", "limit": "text_bytes_max", "value": str(TEXT_BYTES_MAX)},
        )

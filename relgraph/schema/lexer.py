"""Characters to tokens, lazily: what a parser refuses by name is never read further.

Rule 1 (SpiceDB's): a line end after a name, a keyword, `}`, `)` or `*` is a token and ends a statement; after anything
else it is mere space. So an operator at the end of a line continues the statement, one at the start does not.
Rule 2: comments travel as the `doc` of the token that follows them, unless they stand behind code on its own line.
Rule 3: what stands between the braces of a caveat is one token, whatever it holds: where it ends, CEL's own lexer says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.caveats import closing_brace
from relgraph.errors import InvalidCaveat, SchemaParseError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.schema.source import Source

__all__ = ["END", "EXPRESSION", "KEYWORD", "NAME", "NEWLINE", "STRING", "Token", "comment_lines", "tokens"]

NAME: Final = "name"
KEYWORD: Final = "keyword"
NEWLINE: Final = "newline"
STRING: Final = "string"
EXPRESSION: Final = "expression"
END: Final = "end"

_KEYWORDS: Final = frozenset({"definition", "caveat", "relation", "permission", "nil", "with"})
_ENDS_STATEMENT: Final = frozenset({NAME, KEYWORD, "}", ")", "*"})
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOKEN = re.compile(
    r"(?P<space>[ \t]+)"
    r"|(?P<newline>\r\n|\r|\n)"
    r"|(?P<comment>//[^\r\n]*|/\*(?s:.*?)\*/)"
    r"|(?P<string>\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|\"[^\"\r\n]*\"|'[^'\r\n]*')"
    r"|(?P<unclosed>/\*|[\"'])"
    r"|(?P<name>\w+)"
    r"|(?P<symbol>->|\.\.\.|[{}()|:;*#+&=/<>,.\-])"
)


class Token(NamedTuple):
    """One token: `kind` is one of the constants above or the symbol itself; `start` and `end` are offsets."""

    kind: str
    text: str
    start: int
    end: int
    doc: str = ""


def tokens(source: Source) -> Iterator[Token]:
    """Yield the tokens of a text, the last of kind END. Raises SchemaParseError at a character of no token."""
    text = source.text
    position = 0
    last = Token(END, "", 0, 0)
    comments: list[tuple[int, int]] = []
    behind_code = in_caveat = False
    while position < len(text):
        match = _TOKEN.match(text, position)
        group = match.lastgroup if match else None
        if match is None or group == "unclosed":
            raise _stray(source, position)
        start, position = match.span()
        if group == "space":
            continue
        if group == "comment":
            comments.append((start, position))
            continue
        if group == "newline":
            if behind_code:
                comments.clear()
                behind_code = False
            if last.kind not in _ENDS_STATEMENT:
                continue
            last = Token(NEWLINE, "", start, position)
        else:
            word = match.group()
            kind = word if group == "symbol" else STRING if group == "string" else NAME
            if word in _KEYWORDS:
                kind = KEYWORD
                in_caveat = word == "caveat" or (in_caveat and word != "definition")
            last = Token(kind, word, start, position, _doc(source, comments) if comments else "")
            comments.clear()
            behind_code = True
        yield last
        if in_caveat and last.kind == "{":
            last = _expression(source, last)
            position = last.end
            in_caveat = False
            yield last
    # The end is reported right behind the last token, where there is a line to show.
    yield Token(END, "", last.end, last.end)


def _expression(source: Source, opened: Token) -> Token:
    """Return what stands behind the brace of a caveat up to its partner, without the space around it."""
    text = source.text
    try:
        end = closing_brace(text, opened.end)
    except InvalidCaveat as error:
        start = int(error.details["offset"])
        raise source.problem(SchemaParseError, error.message, source.span(start, start + 1)) from None
    if end < 0:
        message = "the caveat is never closed, write `}` behind its expression"
        raise source.problem(SchemaParseError, message, source.span(opened.start, opened.end))
    body = text[opened.end : end]
    start = opened.end + len(body) - len(body.lstrip())
    return Token(EXPRESSION, body.strip(), start, start + len(body.strip()))


def _stray(source: Source, position: int) -> SchemaParseError:
    """Return the error for a character that starts no token."""
    if source.text.startswith("/*", position):
        message = "this comment is never closed, write `*/` behind it"
        return source.problem(SchemaParseError, message, source.span(position, position + 2))
    if source.text[position] in "\"'":
        message = "this quotation mark has no partner in its line, write a second one behind the text"
        return source.problem(SchemaParseError, message, source.span(position, position + 1))
    message = f"{quoted(source.text[position])} has no meaning in a schema, remove it"
    return source.problem(SchemaParseError, message, source.span(position, position + 1))


def _doc(source: Source, comments: list[tuple[int, int]]) -> str:
    """Return comments with their delimiters, one below the other, free of the indentation they had in the text."""
    return "\n".join(line for start, end in comments for line in comment_lines(source, start, end))


def comment_lines(source: Source, start: int, end: int) -> list[str]:
    """Return the lines of the comment at these offsets, free of the indentation that its first line has."""
    first, *others = _LINE_END.split(source.text[start:end])
    indent = source.column(start) - 1
    return [first.rstrip(), *((line[:indent].lstrip(" \t") + line[indent:]).rstrip() for line in others)]

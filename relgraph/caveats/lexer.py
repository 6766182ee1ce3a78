"""CEL's characters to tokens, and where an expression in a schema ends.

Rule 1: a brace within a text or a comment is no brace, so an expression may hold any characters.
Rule 2: what starts no token is refused here, with its offset; nothing is skipped but space and comments.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from relgraph.errors import InvalidCaveat, quoted

__all__ = ["END", "ESCAPED", "NAME", "NUMBER", "TEXT", "Token", "closing_brace", "decoded", "tokens"]

NAME: Final = "name"
ESCAPED: Final = "escaped"
NUMBER: Final = "number"
TEXT: Final = "text"
END: Final = "end"

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n\f]+)"
    r"|(?P<comment>//[^\r\n]*)"
    r"|(?P<text>[bB]?(?:"
    r'"""(?s:(?:[^\\]|\\.)*?)"""|\'\'\'(?s:(?:[^\\]|\\.)*?)\'\'\''
    r'|"(?!"")(?:[^"\\\r\n]|\\[^\r\n])*"|\'(?!\'\')(?:[^\'\\\r\n]|\\[^\r\n])*\'))'
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+"
    r"|[0-9]+[uU]?)"
    r"|(?P<escaped>`[A-Za-z0-9_.\-/ ]+`)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>&&|\|\||[=!<>]=|[-+*/%!<>?:,.()\[\]{}])"
)
_RAW = re.compile(r"[bB]?[rR](?:\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|\"(?!\"\")[^\"\r\n]*\"|'(?!'')[^'\r\n]*')")
_ESCAPE = re.compile(r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    **{each: each for each in "\\?\"'`"},
}
_CODE_POINT_MAX: Final = 0x10FFFF


class Token(NamedTuple):
    """One token: `kind` is one of the constants above or the symbol itself; `start` and `end` are offsets."""

    kind: str
    text: str
    start: int
    end: int


def _next(text: str, position: int) -> re.Match[str] | None:
    """Return the token at an offset; in a raw text a backslash is a character like any other."""
    return _RAW.match(text, position) or _TOKEN.match(text, position)


def tokens(text: str) -> list[Token]:
    """Return the tokens of an expression, the last of kind END. Raises InvalidCaveat."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _next(text, position)
        if match is None:
            raise _stray(text, position)
        start, position = match.span()
        group = match.lastgroup or TEXT
        if group not in ("space", "comment"):
            found.append(Token(match.group() if group == "symbol" else group, match.group(), start, position))
    found.append(Token(END, "", len(text), len(text)))
    return found


def _stray(text: str, position: int) -> InvalidCaveat:
    if text[position] in "\"'":
        message = "this quotation mark has no partner, write a second one behind the text"
    else:
        message = f"{quoted(text[position])} has no meaning in an expression, remove it"
    return InvalidCaveat(message, {"offset": str(position), "length": "1"})


def closing_brace(text: str, position: int) -> int:
    """Return the offset of the `}` that ends the expression starting at `position`, -1 where there is none.

    What is no token is stepped over: whoever reads the expression says what is wrong with it. Raises InvalidCaveat, its
    offset in `text`, for a quotation mark without a partner, as nobody knows what it hides.
    """
    depth = 0
    while position < len(text):
        match = _next(text, position)
        if match is None:
            if text[position] in "\"'":
                raise _stray(text, position)
            position += 1
            continue
        if match.group() == "}":
            if not depth:
                return position
            depth -= 1
        elif match.group() == "{":
            depth += 1
        position = match.end()
    return -1


def decoded(literal: str) -> str:
    """Return what a text between quotation marks says; each byte of one in bytes is a character.

    Raises ValueError for an escape that CEL does not have.
    """
    head = len(literal) - len(literal.lstrip("bBrR"))
    quotes = 3 if literal[head : head + 3] in ('"""', "'''") and len(literal) - head >= 6 else 1
    body = literal[head + quotes : -quotes]
    return body if "r" in literal[:head].lower() else _ESCAPE.sub(_unescaped, body)


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal = match[1] or match[2] or match[3]
    if hexadecimal or match[4]:
        code = int(hexadecimal, 16) if hexadecimal else int(match[4], 8)
        if code > _CODE_POINT_MAX or 0xD800 <= code <= 0xDFFF:
            raise ValueError(match.group())
        return chr(code)
    if match[5] not in _SINGLE:
        raise ValueError(match.group())
    return _SINGLE[match[5]]

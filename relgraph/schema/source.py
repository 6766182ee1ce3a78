"""A schema text and the places in it: offsets to lines and columns, and error texts with a caret line.

What a token is, is none of this module's business. Lines end with LF, CRLF or CR; columns count characters from 1.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, TypeVar

from relgraph.rewrites import Span

if TYPE_CHECKING:
    from relgraph.errors import RelgraphError

__all__ = ["Source"]

_LINE_END = re.compile(r"\r\n|\r|\n")
_BEFORE_MAX: Final = 100
_SHOWN_MAX: Final = 160
_TAB: Final = "    "

E = TypeVar("E", bound="RelgraphError")


class Source:
    """One schema text, with its line starts."""

    __slots__ = ("_ends", "_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        breaks = [match.span() for match in _LINE_END.finditer(text)]
        self._starts = [0, *(end for _, end in breaks)]
        self._ends = [*(start for start, _ in breaks), len(text)]

    def span(self, start: int, end: int) -> Span:
        """Return the place of the characters from offset `start` up to `end`, cut at the end of its first line."""
        line = bisect_right(self._starts, start)
        begin = self._starts[line - 1]
        length = min(end, self._ends[line - 1]) - start
        return Span(line, start - begin + 1, max(length, 1))

    def line(self, number: int) -> str:
        """Return line `number`, counted from 1, without its line end."""
        return self.text[self._starts[number - 1] : self._ends[number - 1]]

    def column(self, offset: int) -> int:
        """Return the column of an offset, from 1."""
        return offset - self._starts[bisect_right(self._starts, offset) - 1] + 1

    def problem(self, error: type[E], message: str, at: Span) -> E:
        """Return an error that names line and column, shows the line and puts a caret under each character of `at`."""
        text = f"line {at.line}, column {at.column}: {message}\n{self.excerpt(at)}"
        return error(text, {"line": str(at.line), "column": str(at.column)})

    def excerpt(self, at: Span) -> str:
        """Return the line, indented by two, and the caret line below it."""
        line = self.line(at.line)
        first = at.column - 1
        begin = min(len(line) - len(line.lstrip(" \t")), first)
        head = ""
        if first - begin > _BEFORE_MAX:
            begin, head = first - _BEFORE_MAX, "…"
        end = begin + _SHOWN_MAX
        tail = "…" if len(line) > end else ""
        shown = head + _printable(line[begin:end]).rstrip() + tail
        pad = len(head) + _width(_printable(line[begin:first]))
        carets = max(1, _width(_printable(line[first : min(first + at.length, end)])))
        return f"  {shown}\n  {' ' * pad}{'^' * carets}"


def _printable(text: str) -> str:
    """Return `text` fit for a terminal: tabs as four spaces, control and bidi characters replaced one for one."""
    return "".join(_TAB if c == "\t" else c if c.isprintable() else "�" for c in text)


def _width(text: str) -> int:
    """Return how many terminal columns a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

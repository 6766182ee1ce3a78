"""A schema text and the places in it: offsets to lines and columns, and error texts with a caret line.

What a token is, is none of this module's business. Lines end with LF, CRLF or CR; columns count characters from 1.
A text that comes from a file says so, and one composed of several files knows where each of its lines comes from.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from relgraph.errors import quoted
from relgraph.rewrites import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.errors import RelgraphError

__all__ = ["Source"]

_LINE_END = re.compile(r"\r\n|\r|\n")
_BEFORE_MAX: Final = 100
_SHOWN_MAX: Final = 160
_FILE_MAX: Final = 200
_TAB: Final = "    "

E = TypeVar("E", bound="RelgraphError")


class Source:
    """One schema text, with its line starts; `file` names where it comes from, `origins` file and line of each line."""

    __slots__ = ("_ends", "_file", "_origins", "_starts", "text")

    def __init__(self, text: str, file: str = "", origins: Sequence[tuple[str, int]] = ()) -> None:
        self.text = text
        self._file = file
        self._origins = origins
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

    def lines(self) -> list[str]:
        """Return all lines with their line ends; the last has none and may be empty."""
        return [self.text[start:end] for start, end in pairwise([*self._starts, len(self.text)])]

    def column(self, offset: int) -> int:
        """Return the column of an offset, from 1."""
        return offset - self._starts[bisect_right(self._starts, offset) - 1] + 1

    def origin(self, at: Span) -> tuple[str, int]:
        """Return the file and the line that a place comes from, an empty file name where the text is all there is."""
        return self._origins[at.line - 1] if self._origins else (self._file, at.line)

    def line_words(self, at: Span) -> str:
        """Return `in line 3`, with the file where the text has several."""
        file, line = self.origin(at)
        return f"in line {line} of {quoted(file, _FILE_MAX)}" if file else f"in line {line}"

    def problem(self, error: type[E], message: str, at: Span) -> E:
        """Return an error that names line and column, shows the line and puts a caret under each character of `at`."""
        file, line = self.origin(at)
        name = f"{quoted(file, _FILE_MAX)[1:-1]}, " if file else ""
        text = f"{name}line {line}, column {at.column}: {message}\n{self.excerpt(at)}"
        details = {"line": str(line), "column": str(at.column)}
        return error(text, {**details, "file": file} if file else details)

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

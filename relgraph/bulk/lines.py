"""Bytes to numbered lines of text: encoding, line ends, sizes, and positions in a file.

Rule 1: a line is read with a bound, so a file without line ends cannot fill the memory.
Rule 2: columns count characters from 1; a byte order mark is not a character of the first line.
What a line means is not known here.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from relgraph.errors import InvalidFile, RelgraphError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LINE_SIZE_MAX", "Lines", "Position"]

# In bytes, without the line end. The longest tuple has under 2,600 characters, each spelled in at most six bytes, and a
# context of 25,000, which a CSV file may spell twice as long.
LINE_SIZE_MAX = 131_072

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in a file: line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        # A file name is free text: escaped as `quoted` does it, without the backticks.
        return f"{quoted(self.file, 200)[1:-1]}, line {self.line}, column {self.column}"

    def on(self, error: RelgraphError, kind: type[RelgraphError] | None = None) -> RelgraphError:
        """The error (as a `kind`, or as its own class), with this position before its message and in its details."""
        details = {**error.details, "file": self.file, "line": str(self.line), "column": str(self.column)}
        if kind is not None and kind is not type(error):
            details["cause"] = error.code
        return (kind or type(error))(f"{self}: {error.message}", details)


class Lines:
    """The lines of an open binary file, decoded one at a time.

    `name` is what errors call the file; `bytes_read` says how far reading has come, and `raw` is the line read last, as
    it stands there. Iterating again goes on behind that line, unless `ended`: then there is no telling where one ends.
    `header` is for a format whose first line says what is in the others.
    """

    def __init__(self, stream: BinaryIO, name: str, *, line_size_max: int = LINE_SIZE_MAX) -> None:
        self.name = name
        self.bytes_read = 0
        self.raw = b""
        self.ended = False
        self.header: list[str] | None = None
        self._number = 0
        self._stream = stream
        self._line_size_max = line_size_max

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield (number, text without line end). Raises InvalidFile for what is not a line of UTF-8 text."""
        while raw := self._next():
            self._number = number = self._number + 1
            self.bytes_read += len(raw)
            if number == 1:
                if raw.startswith(_UTF16):
                    self.ended = True
                    self.refuse(1, 1, "the file is UTF-16; save it as UTF-8")
                raw = raw.removeprefix(codecs.BOM_UTF8)
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")
            self.raw = raw
            if len(raw) > self._line_size_max:
                self.ended = True
                self.refuse(
                    number,
                    1,
                    f"the line is longer than {self._line_size_max} bytes (`line_size_max`), which no tuple needs; "
                    "put each tuple on a line of its own",
                )
            text = self._decoded(raw, number)
            if "\r" in text:
                self.refuse(
                    number, text.index("\r") + 1, r"a carriage return inside a line; end each line with `\n` or `\r\n`"
                )
            yield number, text

    def refuse(self, line: int, column: int, problem: str) -> NoReturn:
        """Raise InvalidFile: `problem` at that line and column, counted from 1."""
        raise Position(self.name, line, column).on(InvalidFile(problem))

    def _next(self) -> bytes:
        try:
            # Room for a byte order mark and `\r\n` beside the longest line, and one byte to see that it is longer.
            return self._stream.readline(self._line_size_max + 6)
        except OSError as error:
            reason = (error.strerror or "read error").lower()
            raise InvalidFile(
                f"{quoted(self.name)} cannot be read: {reason}; nothing was loaded", {"file": self.name}
            ) from error

    def _decoded(self, raw: bytes, number: int) -> str:
        nul = raw.find(b"\0")
        if nul >= 0:
            column = len(raw[:nul].decode("utf-8", "replace")) + 1
            self.refuse(number, column, "a NUL byte, which no file of tuples has; is this a text file, saved as UTF-8?")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode("utf-8")) + 1
            self.refuse(number, column, f"the byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8")

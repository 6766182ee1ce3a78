"""The way in: a file of tuples or stdin, its format, and where in it each tuple stood.

Iterating a `TupleFile` hands out relation tuples while the file is being read. Whoever loads them may refuse one only
later, by its number or by its text; `located` then says where in the file it stands.
"""

from __future__ import annotations

import sys
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from relgraph.bulk.csv_lines import read_csv
from relgraph.bulk.jsonl_lines import read_jsonl
from relgraph.bulk.lines import LINE_SIZE_MAX, Lines, Position
from relgraph.bulk.record import Record, tuple_of
from relgraph.bulk.text_lines import read_text
from relgraph.errors import (
    AlreadyExists,
    CannotUpdatePermission,
    InvalidContext,
    InvalidFile,
    InvalidInput,
    RelgraphError,
    TupleNotAllowed,
    UnknownRelation,
    did_you_mean,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.tuples import RelationTuple

__all__ = ["FORMATS", "STDIN", "Sieve", "TupleFile", "format_of"]

STDIN = "-"

FORMATS: dict[str, Callable[[Lines], Iterator[Record]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "text": read_text,
}

_SUFFIXES = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
    ".tuples": "text",
}

_FIELDS = ("resource", "relation", "subject")


class Sieve:
    """What a file's lines go through when those that are refused are to be put aside; by itself it puts them nowhere.

    `admits` raises for a tuple that is not to be loaded.
    """

    def __init__(self, admits: Callable[[RelationTuple], None]) -> None:
        self._admits = admits

    def admit(self, tuple_: RelationTuple) -> None:
        """Raise for a tuple that is to be put aside."""
        self._admits(tuple_)

    def refuse(self, raw: bytes, error: RelgraphError) -> None:
        """Take a line, as it stands in the file, and the error that tells where and why it is refused."""

    def again(self) -> Sieve:
        """Return a sieve that keeps the same, and puts the rest nowhere."""
        return Sieve(self._admits)


def format_of(path: str) -> str:
    """Return the format that the suffix of `path` names. Raises InvalidInput when it names none."""
    suffix = Path(path).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    known = ", ".join(_SUFFIXES)
    name = "stdin" if path == STDIN else quoted(path)
    raise InvalidInput(
        f"{name} has no suffix that names a format ({known}); pass --format with one of {', '.join(FORMATS)}",
        {"file": path},
    )


class TupleFile:
    """The tuples of one file (`-`: of `stream`, stdin by default), in the file's order; a context manager.

    Iterate it once, inside `with`. `size` is the file's size in bytes, None where it cannot be known beforehand.
    """

    def __init__(
        self,
        path: str,
        *,
        format: str | None = None,
        allow_universal: bool = False,
        allow_wildcards: bool = False,
        stream: BinaryIO | None = None,
        line_size_max: int = LINE_SIZE_MAX,
        sieve: Sieve | None = None,
    ) -> None:
        """Choose the format, reading nothing yet. Raises InvalidInput for a format or suffix that is not known."""
        self.path = path
        self.name = "stdin" if path == STDIN else path
        self.size: int | None = None
        self.failure: RelgraphError | None = None
        self._format = format or format_of(path)
        if self._format not in FORMATS:
            raise InvalidInput(f"{quoted(self._format)} is not a format of tuples{did_you_mean(self._format, FORMATS)}")
        self._allow_universal = allow_universal
        self._allow_wildcards = allow_wildcards
        self._stream = stream
        self._line_size_max = line_size_max
        self._sieve = sieve
        self._lines: Lines | None = None
        self._stack = ExitStack()
        # Per tuple, 20 bytes: the line, and the columns of its resource, relation and subject.
        self._line_of = array("Q")
        self._columns_of = array("I")

    @property
    def format(self) -> str:
        """The name of the format."""
        return self._format

    @property
    def header(self) -> str:
        """The line that a file of this format begins with, once it was read; empty where the format has none."""
        return ",".join(self._lines.header or ()) if self._lines else ""

    @property
    def bytes_read(self) -> int:
        """How many bytes have been read so far."""
        return self._lines.bytes_read if self._lines else 0

    def __enter__(self) -> Self:
        """Open the file. Raises InvalidFile when it cannot be."""
        if self.path == STDIN:
            self._lines = Lines(self._stream or sys.stdin.buffer, self.name, line_size_max=self._line_size_max)
            return self
        path = Path(self.path)
        try:
            stream = self._stack.enter_context(path.open("rb"))
            if path.is_file():
                self.size = path.stat().st_size
        except (OSError, ValueError) as error:
            # ValueError: a NUL in the path.
            reason = (getattr(error, "strerror", None) or "not a path").lower()
            raise InvalidFile(
                f"{quoted(self.path)} cannot be read: {reason}; name a file of tuples, or `-` for stdin",
                {"file": self.path},
            ) from error
        self._lines = Lines(stream, self.name, line_size_max=self._line_size_max)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file (never stdin)."""
        self._stack.close()

    def __iter__(self) -> Iterator[RelationTuple]:
        """Yield the tuples while reading. Raises InvalidFile or Unsupported, and keeps that error as `failure`."""
        if self._lines is None:
            raise InvalidFile(f"{quoted(self.name)} is not open; iterate inside `with`", {"file": self.name})
        try:
            yield from self._tuples(self._lines) if self._sieve is None else self._kept(self._lines, self._sieve)
        except RelgraphError as error:
            # A loader may report only that its input broke off (a cancelled stream): the cause stays here.
            self.failure = error
            raise

    def _tuples(self, lines: Lines) -> Iterator[RelationTuple]:
        for record in FORMATS[self._format](lines):
            tuple_ = tuple_of(
                record, self.name, allow_universal=self._allow_universal, allow_wildcards=self._allow_wildcards
            )
            self._line_of.append(record.line)
            self._columns_of.extend((record.resource_column, record.relation_column, record.subject_column))
            yield tuple_

    def _kept(self, lines: Lines, sieve: Sieve) -> Iterator[RelationTuple]:
        """Yield what the sieve keeps; lines that are no tuples, or none that it admits, go through it."""
        tuples = self._tuples(lines)
        while True:
            try:
                tuple_ = next(tuples, None)
                if tuple_ is None:
                    return
            except RelgraphError as error:
                if lines.ended or "line" not in error.details or (self._format == "csv" and lines.header is None):
                    raise
                sieve.refuse(lines.raw, error)
                # A reader that has raised is at its end; a new one goes on at the next line.
                tuples = self._tuples(lines)
                continue
            try:
                sieve.admit(tuple_)
            except RelgraphError as error:
                error.details["index"] = str(len(self._line_of) - 1)
                sieve.refuse(lines.raw, self.located(error))
                self._line_of.pop()
                del self._columns_of[-3:]
                continue
            yield tuple_

    def position(self, index: int, field: str = "resource") -> Position:
        """Return where the tuple read as number `index` (from 0) stands: its `resource`, `relation` or `subject`."""
        column = self._columns_of[3 * index + _FIELDS.index(field)]
        return Position(self.name, self._line_of[index], column)

    def located(self, error: RelgraphError) -> RelgraphError:
        """Return the error with its place in the file, when it tells which tuple it is about.

        That is `details["index"]`, the tuple's number in reading order, with `details["part"]` for its cell; or
        `details["tuple"]`, its text, which is looked up by reading a file again (stdin cannot be).
        """
        if "line" in error.details:
            return error
        index = self._index_of(error)
        if index is None:
            return error
        part = error.details.get("part", "")
        return self.position(index, part if part in _FIELDS else _field_of(error)).on(error)

    def _index_of(self, error: RelgraphError) -> int | None:
        given = error.details.get("index", "")
        if given.isdecimal() and int(given) < len(self._line_of):
            return int(given)
        text = error.details.get("tuple")
        if text is None or self.path == STDIN or self.size is None:
            return None
        # Of two equal tuples in one file, the second is the one too many.
        wanted = 2 if isinstance(error, AlreadyExists) else 1
        found: list[int] = []
        again = TupleFile(
            self.path,
            format=self._format,
            allow_universal=self._allow_universal,
            allow_wildcards=self._allow_wildcards,
            line_size_max=self._line_size_max,
            sieve=self._sieve and self._sieve.again(),
        )
        try:
            with again:
                for index, tuple_ in enumerate(again):
                    if index >= len(self._line_of):
                        break
                    if tuple_.told == text:
                        found.append(index)
                        if len(found) == wanted:
                            break
        except RelgraphError:
            # The loader's error is the one to tell; a file that changed meanwhile only loses its place in it.
            return None
        return found[-1] if found else None


def _field_of(error: RelgraphError) -> str:
    """The cell to point at when the judge of a tuple names none: the one its complaint is about, else the first."""
    if isinstance(error, TupleNotAllowed | InvalidContext):
        return "subject"
    return "relation" if isinstance(error, CannotUpdatePermission | UnknownRelation) else "resource"

"""CSV: a header `resource,relation,subject[,caveat,context,expires_at]`, then one tuple a line, quoted as in RFC 4180.

Rule 1: one line is one record. No cell of a tuple holds a line end, so a quote left open is found where it was opened
instead of swallowing the rest of the file (this, and columns, are why the standard library's reader is not used).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.bulk.record import COLUMNS, OPTIONAL, REQUIRED, Record
from relgraph.errors import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_csv"]

_HEADER = ",".join(REQUIRED)


def read_csv(lines: Lines) -> Iterator[Record]:
    """Yield the records below the header; empty lines are passed over. Raises InvalidFile.

    Where the header has been read before, what is left of the file.
    """
    numbered = iter(lines)
    header = lines.header or _first(lines, numbered)
    lines.header = header
    resource, relation, subject = (header.index(name) for name in REQUIRED)
    caveat, context, expires_at = (header.index(name) if name in header else None for name in OPTIONAL)
    for line, text in numbered:
        if not text:
            continue
        cells, columns = _cells(lines, line, text)
        if len(cells) != len(header):
            _refuse_width(lines, line, text, columns, header)
        yield Record(
            line,
            cells[resource],
            cells[relation],
            cells[subject],
            columns[resource],
            columns[relation],
            columns[subject],
            *(("", 1) if caveat is None else (cells[caveat], columns[caveat])),
            *(("", 1) if context is None else (cells[context], columns[context])),
            *(("", 1) if expires_at is None else (cells[expires_at], columns[expires_at])),
        )


def _first(lines: Lines, numbered: Iterator[tuple[int, str]]) -> list[str]:
    found = next((each for each in numbered if each[1]), None)
    if found is None:
        lines.refuse(1, 1, f"the file is empty; a CSV file of tuples begins with the line {quoted(_HEADER)}")
    return _header(lines, *found)


def _header(lines: Lines, line: int, text: str) -> list[str]:
    cells, columns = _cells(lines, line, text)
    if len(cells) == 1 and (";" in text or "\t" in text):
        lines.refuse(line, 1, f"the cells are not separated by commas; write the header as {quoted(_HEADER)}")
    for index, (name, column) in enumerate(zip(cells, columns, strict=True)):
        if name not in COLUMNS:
            lines.refuse(
                line,
                column,
                f"{quoted(name)} is not a column of tuples{did_you_mean(name, COLUMNS)}; "
                f"the first line of a CSV file is the header, as in {quoted(_HEADER)}",
            )
        if name in cells[:index]:
            lines.refuse(line, column, f"the column {quoted(name)} stands twice in the header; keep one")
    for name in REQUIRED:
        if name not in cells:
            lines.refuse(line, len(text) + 1, f"the header lacks the column {quoted(name)}; write {quoted(_HEADER)}")
    return cells


def _refuse_width(lines: Lines, line: int, text: str, columns: list[int], header: list[str]) -> None:
    expected, found = len(header), len(columns)
    counted = f"{found} cell{'s' if found > 1 else ''} where the header has {expected}"
    if found < expected:
        lines.refuse(line, len(text) + 1, f"{counted}: {quoted(header[found])} is missing")
    lines.refuse(line, columns[expected], f"{counted}: take this cell away, or put a cell with a comma in quotes")


def _cells(lines: Lines, line: int, text: str) -> tuple[list[str], list[int]]:
    """Return the cells of one line, and the column where each begins."""
    if '"' in text:
        return _quoted_cells(lines, line, text)
    cells = text.split(",")
    columns = [1]
    for cell in cells[:-1]:
        columns.append(columns[-1] + len(cell) + 1)
    return cells, columns


def _quoted_cells(lines: Lines, line: int, text: str) -> tuple[list[str], list[int]]:
    cells: list[str] = []
    columns: list[int] = []
    start = 0
    while start <= len(text):
        columns.append(start + 1)
        if text.startswith('"', start):
            cell, end = _quoted_cell(lines, line, text, start)
        else:
            comma = text.find(",", start)
            end = len(text) if comma < 0 else comma
            cell = text[start:end]
            if '"' in cell:
                lines.refuse(
                    line,
                    start + cell.index('"') + 1,
                    "a quote in the middle of a cell; put the whole cell in quotes, and double each quote inside it",
                )
        cells.append(cell)
        start = end + 1
    return cells, columns


def _quoted_cell(lines: Lines, line: int, text: str, start: int) -> tuple[str, int]:
    """Read the cell whose opening quote is at `start`; return it, and the index right after its closing quote."""
    parts: list[str] = []
    at = start + 1
    while True:
        close = text.find('"', at)
        if close < 0:
            lines.refuse(line, start + 1, "the quote opened here is not closed on this line; close it, or take it away")
        parts.append(text[at:close])
        at = close + 1
        if not text.startswith('"', at):
            break
        parts.append('"')
        at += 1
    if at < len(text) and text[at] != ",":
        lines.refuse(
            line,
            at + 1,
            f"{quoted(text[at])} follows a closing quote; put a comma there, or double each quote inside the cell",
        )
    return "".join(parts), at

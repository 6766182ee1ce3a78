"""JSONL: one JSON object a line, `{"resource": …, "relation": …, "subject": …}`; the keys are CSV's columns.

A key that may be left out may be null as well.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from relgraph.bulk.record import COLUMNS, EXPIRES_AT, REQUIRED, UNSERVED, Record, refuse_unserved
from relgraph.errors import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_jsonl"]

_EXAMPLE = '{"resource": "report:q3", "relation": "viewer", "subject": "user:anna"}'
# Inside a string the quotes would be escaped, and a value is not followed by a colon: only the key itself matches.
_VALUE = {name: re.compile(rf'"{name}"\s*:\s*') for name in COLUMNS}


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it stands in the text, so that a key written twice is seen."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs)


def read_jsonl(lines: Lines) -> Iterator[Record]:
    """Yield one record a line; blank lines are passed over. Raises InvalidFile or Unsupported."""
    for line, text in lines:
        if not text or text.isspace():
            continue
        values = _object(lines, line, text)
        for name in UNSERVED:
            if values.get(name) not in (None, "", []):
                refuse_unserved(lines, line, _column(text, name), name)
        cells: list[str] = []
        columns: list[int] = []
        if values.get(EXPIRES_AT) is None:
            values[EXPIRES_AT] = ""
        for name in (*REQUIRED, EXPIRES_AT):
            if name not in values:
                lines.refuse(line, len(text), f"the key {quoted(name)} is missing; write {_EXAMPLE}")
            value = values[name]
            column = _column(text, name)
            if not isinstance(value, str):
                lines.refuse(line, column, f"the value of {quoted(name)} is not a string; write it in quotes")
            cells.append(value)
            columns.append(column)
        yield Record(line, cells[0], cells[1], cells[2], columns[0], columns[1], columns[2], cells[3], columns[3])


def _object(lines: Lines, line: int, text: str) -> dict[str, object]:
    """Return the object that stands on the line, every key known and there once."""
    try:
        pairs: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        # "Extra data" and its like: the standard library's words, in our case and with our remedy.
        problem = error.msg[:1].lower() + error.msg[1:]
        lines.refuse(line, error.colno, f"not JSON: {problem}; write one object a line, as in {_EXAMPLE}")
    except (ValueError, RecursionError):
        # Numbers of thousands of digits, and brackets nested as deep.
        lines.refuse(line, 1, f"JSON beyond what a tuple needs; write one flat object a line, as in {_EXAMPLE}")
    if not isinstance(pairs, _Pairs):
        lines.refuse(line, 1, f"not a JSON object; write one object a line, as in {_EXAMPLE}")
    values: dict[str, object] = {}
    for key, value in pairs:
        if key not in COLUMNS:
            column = text.find(json.dumps(key)) + 1 or 1
            lines.refuse(line, column, f"{quoted(key)} is not a key of a tuple{did_you_mean(key, COLUMNS)}")
        if key in values:
            lines.refuse(line, _column(text, key, last=True), f"the key {quoted(key)} stands twice; keep one")
        values[key] = value
    return values


def _column(text: str, key: str, *, last: bool = False) -> int:
    """Return the column where the key's value begins, from 1; 1 when the key is spelled with escapes."""
    found = list(_VALUE[key].finditer(text)) if last else [_VALUE[key].search(text)]
    match = found[-1] if found else None
    return match.end() + 1 if match else 1

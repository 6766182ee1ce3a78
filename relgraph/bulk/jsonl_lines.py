"""JSONL: one JSON object a line, `{"resource": …, "relation": …, "subject": …}`; the keys are CSV's columns.

A key that may be left out may be null as well. The value of `context` is an object.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from relgraph.bulk.record import COLUMNS, OPTIONAL, Record
from relgraph.contexts import Pairs, decoded
from relgraph.errors import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_jsonl"]

_EXAMPLE = '{"resource": "report:q3", "relation": "viewer", "subject": "user:anna"}'
# Inside a string the quotes would be escaped, and a value is not followed by a colon: only a key matches.
_SKIPPER = json.JSONDecoder(parse_int=str)
_VALUE = {name: re.compile(rf'"{name}"\s*:\s*') for name in COLUMNS}


def read_jsonl(lines: Lines) -> Iterator[Record]:
    """Yield one record a line; blank lines are passed over. Raises InvalidFile."""
    for line, text in lines:
        if not text or text.isspace():
            continue
        values = _object(lines, line, text)
        for name in OPTIONAL:
            if values.get(name) is None:
                values[name] = ""
        context = values.pop("context")
        if not isinstance(context, Pairs) and context != "":
            lines.refuse(line, _column(text, "context"), "the value of `context` is not an object; write one in braces")
        flat = _without_context(text) if context else text
        cells: dict[str, str] = {}
        for name in COLUMNS:
            if name not in values:
                if name != "context":
                    lines.refuse(line, len(text), f"the key {quoted(name)} is missing; write {_EXAMPLE}")
                continue
            value = values[name]
            if not isinstance(value, str):
                lines.refuse(
                    line, _column(flat, name), f"the value of {quoted(name)} is not a string; write it in quotes"
                )
            cells[name] = value
        resource, relation, subject, caveat, at, expires_at = (_column(flat, name) for name in COLUMNS)
        yield Record(
            line, cells["resource"], cells["relation"], cells["subject"], resource, relation, subject,
            cells["caveat"], caveat, context or "", at, cells["expires_at"], expires_at,
        )  # fmt: skip


def _without_context(text: str) -> str:
    """Blank the context's value: its keys may be spelled as those of a tuple are."""
    start = _column(text, "context") - 1
    _, end = _SKIPPER.raw_decode(text, start)
    return text[:start] + "." * (end - start) + text[end:]


def _object(lines: Lines, line: int, text: str) -> dict[str, object]:
    """Return the object that stands on the line, every key known and there once."""
    try:
        pairs = decoded(text)
    except json.JSONDecodeError as error:
        # "Extra data" and its like: the standard library's words, in our case and with our remedy.
        problem = error.msg[:1].lower() + error.msg[1:]
        lines.refuse(line, error.colno, f"not JSON: {problem}; write one object a line, as in {_EXAMPLE}")
    except RecursionError:
        lines.refuse(line, 1, f"JSON beyond what a tuple needs; write one flat object a line, as in {_EXAMPLE}")
    if not isinstance(pairs, Pairs):
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

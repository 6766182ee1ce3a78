"""What a line of the audit log is: canonical JSON that carries its own hash and that of the line before.

An entry is an object with the keys `number` (from 1), `time`, `event`, and others by its event; `previous` is the
`hash` of the entry before, 64 zeros in the first; `hash` is the SHA-256 of the entry's own canonical JSON without it.

Rule 1: canonical JSON is ASCII, with sorted keys and without spaces. A line that says the same in other bytes is none.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidFile, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["NOTHING", "Verified", "bytes_hash", "entry_line", "entry_of", "is_object", "verify_audit"]

NOTHING: Final = "0" * 64
"""What the first entry names as the hash before it."""

FINDINGS_MAX: Final = 20


def bytes_hash(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _canonical(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode("ascii")


def entry_line(entry: Mapping[str, object]) -> tuple[bytes, str]:
    """Return an entry as its line, without an end, and the hash that it carries."""
    digest = bytes_hash(_canonical(entry))
    return _canonical({**entry, "hash": digest}), digest


def entry_of(line: bytes) -> dict[str, object] | None:
    """Return the entry of a line, None unless it is exactly what `entry_line` made."""
    try:
        shape = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(shape, dict) or not isinstance(shape.get("number"), int) or "hash" not in shape:
        return None
    without = {name: value for name, value in shape.items() if name != "hash"}
    return shape if entry_line(without) == (line, shape["hash"]) else None


def is_object(line: bytes) -> bool:
    """Whether a line is a whole JSON object: then it was not torn, but changed."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@dataclass(slots=True)
class Verified:
    """What was found in an audit log: how many entries, the last one's hash, torn pieces that were sealed, findings."""

    count: int = 0
    head: str = NOTHING
    sealed: int = 0
    findings: list[str] = field(default_factory=list)


def verify_audit(path: Path, *, head: str | None = None, count: int | None = None) -> Verified:
    """Look at every line of an audit log. Raises InvalidFile when it cannot be read.

    Whoever can write the file can also make a whole new chain, or cut the end off; only what was noted elsewhere tells:
    `head`, the hash of an entry that has to be there, and `count`, how many there have to be at least.
    """
    found = Verified()
    seen = head is None or head == NOTHING
    torn: list[bytes] = []
    try:
        with path.open("rb") as file:
            for place, line in enumerate(file, start=1):
                entry = entry_of(line[:-1]) if line.endswith(b"\n") else None
                if entry is None:
                    torn.append(line)
                    if is_object(line):
                        _find(found, f"line {place} was changed: it does not match its own hash")
                    continue
                _follow(found, entry, torn, place)
                torn = []
                seen = seen or entry["hash"] == head
    except OSError as problem:
        raise InvalidFile(
            f"{quoted(str(path))} cannot be read: {(problem.strerror or 'no reason given').lower()}; check its path",
            {"file": str(path)},
        ) from None
    if torn:
        _find(found, "the end is torn; the server seals it when it starts again")
    if not seen:
        _find(found, f"no entry has the expected hash {quoted(head or '')}: the end was cut off, or all was replaced")
    if count is not None and found.count < count:
        _find(found, f"there are {found.count} entries, not {count}: the end was cut off")
    return found


def _follow(found: Verified, entry: Mapping[str, object], torn: list[bytes], place: int) -> None:
    """Judge an entry by the one before it, and by what lies between."""
    if entry.get("previous") != found.head:
        _find(found, f"line {place} does not follow the entry before it: something was taken out, put in or moved")
    elif entry["number"] != found.count + 1:
        _find(found, f"line {place} has the number {entry['number']}, not {found.count + 1}")
    if torn:
        between = b"".join(torn)[:-1]
        if entry.get("event") == "sealed" and entry.get("torn_sha256") == bytes_hash(between):
            found.sealed += 1
        else:
            _find(found, f"before line {place} is something that is no entry, and was never sealed")
    elif entry.get("event") == "sealed":
        _find(found, f"line {place} seals what is not there any more")
    number = entry["number"]
    assert isinstance(number, int)  # entry_of saw to it
    found.count, found.head = number, str(entry["hash"])


def _find(found: Verified, text: str) -> None:
    if len(found.findings) < FINDINGS_MAX:
        found.findings.append(text)

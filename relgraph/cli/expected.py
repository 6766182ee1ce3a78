"""Expected relations, as SpiceDB's validation files have them: all that hold a permission, and where they are named.

    document:first#view:
      - "[user:tom] is <document:first#viewer>/<group:board#member>"
      - "[group:board#member] is <document:first#viewer>"
      - "[user:ann[...]] is <document:first#viewer>"                      perhaps: a caveat lacks context
      - "[user:* - {user:eve, user:bob[...]}] is <document:first#viewer>"  everybody, with exceptions

Listed is whoever a tuple names, a userset or a wildcard as well, and behind `is` every relation whose tuple does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidInput, RelgraphError, quoted
from relgraph.tuples import Object, Subject, check_relation

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Expected", "Holder", "read_expected"]

_PERHAPS: Final = "[...]"
_ROW: Final = re.compile(
    r"\s*\[\s*(?P<subject>[^\[\]\s{}]+)(?P<perhaps>\[\.\.\.\])?(?:\s*-\s*\{(?P<exceptions>[^{}]*)\})?\s*\]"
    r"\s+is\s+(?P<places><[^<>]+>(?:\s*/\s*<[^<>]+>)*)\s*"
)

_PLACE: Final = re.compile(r"<([^<>]+)>")


@dataclass(frozen=True, slots=True)
class Holder:
    """One that holds a permission: the subject as tuples name it, perhaps only, with exceptions if it is a wildcard.

    `exceptions` are subjects, each perhaps only an exception where its flag says so; `places` are `resource#relation`.
    """

    subject: str
    perhaps: bool
    exceptions: frozenset[tuple[str, bool]]
    places: frozenset[str]
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        told = f"{self.subject}{_PERHAPS * self.perhaps}"
        if self.exceptions:
            told += f" - {{{', '.join(f'{name}{_PERHAPS * perhaps}' for name, perhaps in sorted(self.exceptions))}}}"
        return f"[{told}] is {'/'.join(f'<{place}>' for place in sorted(self.places))}"


@dataclass(frozen=True, slots=True)
class Expected:
    """All that hold `permission` on `resource`."""

    resource: str
    permission: str
    holders: tuple[Holder, ...]
    line: int = field(default=0, compare=False)


def read_expected(key: str, rows: Iterable[tuple[str, int]], line: int) -> Expected:
    """Read a `resource#permission` and its rows, each with its line. Raises InvalidInput, with the line in details."""
    at = line
    try:
        resource, permission = _member(key)
        holders = []
        for row, at in rows:  # it is where an error happened
            holders.append(_holder(row, at))
    except RelgraphError as error:
        raise InvalidInput(error.message, {**error.details, "line": str(at)}) from error
    names = [each.subject for each in holders]
    for index, each in enumerate(holders):
        if each.subject in names[:index]:
            message = f"{quoted(each.subject)} is expected twice on {quoted(key)}; make them one"
            raise InvalidInput(message, {"line": str(each.line)})
    return Expected(resource, permission, tuple(holders), line)


def _member(text: str) -> tuple[str, str]:
    resource, _, name = text.strip().partition("#")
    return str(Object.parse(resource)), check_relation(name)


def _holder(row: str, line: int) -> Holder:
    match = _ROW.fullmatch(row)
    if match is None:
        raise InvalidInput(f"{quoted(row)} is no expected relation; write `[user:anna] is <report:q3#viewer>`")
    subject = Subject.parse(match["subject"], wildcard=True)
    exceptions = frozenset(map(_exception, filter(str.strip, (match["exceptions"] or "").split(","))))
    places = frozenset("#".join(_member(place)) for place in _PLACE.findall(match["places"]))
    return Holder(str(subject), bool(match["perhaps"]), exceptions, places, line)


def _exception(text: str) -> tuple[str, bool]:
    name = text.strip()
    return str(Subject.parse(name.removesuffix(_PERHAPS))), name.endswith(_PERHAPS)

"""Rows of lookups on the terminal: as JSON with stable keys, and as text for people.

Rule 1: a line that begins with an id says yes to it. Whoever cuts the first word off a line must not take an exception,
a condition or an open question for access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import Verdict
from relgraph.tuples import WILDCARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Count, Found, Permissions

__all__ = [
    "Named",
    "count_json",
    "count_text",
    "found_json",
    "found_text",
    "permissions_json",
    "permissions_text",
    "verdict_text",
]

Json = dict[str, object]

_UNDEFINED = "it depends on its own negation"


class Named:
    """How the rows of a lookup are named: resources of a type, or subjects of one, with a relation usersets."""

    def __init__(self, what: str, type: str, relation: str = "") -> None:
        self.what = what
        self._type = type
        self._relation = f"#{relation}" if relation else ""
        self.alone = False
        """Whether `*` is all there is: then nothing is other than the others."""

    def one(self, row: Found) -> str:
        """A row's object or userset, as it is asked about; of `*`, what is not to be asked about."""
        return f"{self._type}:{row.id}{self._relation}"

    def shown(self, row: Found) -> str:
        """The same for people."""
        return self.others if row.id == WILDCARD else self.one(row)

    @property
    def others(self) -> str:
        """What `*` stands for."""
        return f"every {'' if self.alone else 'other '}{self._type}{self._relation}"


def found_json(row: Found, named: Named) -> Json:
    """The shape of one row of a lookup; `type:*` is every id without a row."""
    return {named.what: named.one(row), "verdict": row.verdict.value, "missing": list(row.missing)}


def found_text(row: Found, named: Named) -> str:
    """One row of a lookup in a line."""
    name = named.shown(row)
    match row.verdict:
        case Verdict.YES:
            return name
        case Verdict.NO:
            return f"all but {name}"
        case Verdict.CONDITIONAL:
            return f"perhaps {name}, needs {', '.join(row.missing)}"
        case Verdict.UNDECIDED:
            return f"undecided {name}: {_UNDEFINED}"


def verdict_text(verdict: Verdict, missing: tuple[str, ...]) -> str:
    """A verdict and why it is not a plain one, in a few words."""
    if verdict is Verdict.CONDITIONAL:
        return f"{verdict.value}, needs {', '.join(missing)}"
    return f"{verdict.value}: {_UNDEFINED}" if verdict is Verdict.UNDECIDED else verdict.value


def count_json(count: Count) -> Json:
    """The shape of a count; `everyone` is the verdict of every id that is not counted."""
    return {
        "yes": count.yes,
        "conditional": count.conditional,
        "undecided": count.undecided,
        "excluded": count.excluded,
        "everyone": count.everyone.value,
        "revision": count.revision,
        "token": count.token,
    }


def count_text(count: Count, named: Named) -> str:
    """A count in a line."""
    told = []
    named.alone = not (count.yes or count.conditional or count.undecided or count.excluded)
    match count.everyone:
        case Verdict.YES:
            told.append(named.others)
        case Verdict.CONDITIONAL:
            told.append(f"perhaps {named.others}")
        case Verdict.UNDECIDED:
            told.append(f"undecided {named.others}")
        case Verdict.NO:
            pass
    if count.excluded:
        told.append(f"all but {count.excluded:,}")
    if count.yes or not told:
        told.append(f"{count.yes:,} {named.what}{'' if count.yes == 1 else 's'}")
    if count.conditional:
        told.append(f"perhaps {count.conditional:,}")
    if count.undecided:
        told.append(f"undecided {count.undecided:,}")
    return f"{', '.join(told)} (revision {count.revision})"


def permissions_json(found: Permissions) -> Iterator[Json]:
    """The shapes of all relations and permissions, one each."""
    for row in found.rows:
        yield {"name": row.name, "verdict": row.verdict.value, "missing": list(row.missing)}


def permissions_text(found: Permissions) -> Iterator[str]:
    """All relations and permissions, a line each."""
    width = max((len(row.name) for row in found.rows), default=0)
    for row in found.rows:
        yield f"{row.name:<{width}}  {verdict_text(row.verdict, row.missing)}"
    yield f"revision {found.revision}"

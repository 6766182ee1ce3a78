"""How large a store is: what can be counted in SQL, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.answers import Fact
from relgraph.instants import instant_text, moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.store.sql.link import Link

__all__ = ["measure"]

_COUNTS: Final[Mapping[str, str]] = {
    "tuples": "SELECT count(*) FROM tuples WHERE deleted IS NULL",
    "objects": "SELECT count(*) FROM objects",
    "names": "SELECT count(*) FROM names",
}
_KEPT: Final[Mapping[str, str]] = {
    "revisions": "SELECT count(*) FROM revisions",
    "schemas": "SELECT count(*) FROM schemas",
    "ended tuples": "SELECT count(*) FROM tuples WHERE deleted IS NOT NULL",
    "oldest revision": "SELECT floor FROM meta",
}
_OLDEST_CHANGE: Final = "SELECT min(stamp) FROM revisions WHERE number > (SELECT floor FROM meta)"


def measure(link: Link, begin: str = "BEGIN") -> list[Fact]:
    """Count all that a link sees in one transaction, which begins and ends here."""
    link.run(begin)
    try:
        facts = [Fact("store", name, _number(link, query)) for name, query in _COUNTS.items()]
        facts += [Fact("history", name, _number(link, query)) for name, query in _KEPT.items()]
        [(oldest,)] = link.all(_OLDEST_CHANGE)
    finally:
        link.run("ROLLBACK")
    # The oldest revision that is kept stands for all that came before; the one behind it is the first to be forgotten.
    return facts if oldest is None else [*facts, Fact("history", "oldest change", instant_text(moment(int(oldest))))]


def _number(link: Link, query: str) -> int:
    [(number,)] = link.all(query)
    return int(number)

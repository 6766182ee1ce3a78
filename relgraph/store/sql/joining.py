"""A write inside an application's own transaction: all that the application wrote beside it, or nothing of both.

Rule 1: the application begins and ends its transaction; we only set a savepoint in it, which is gone when we return.
What fails of ours is undone to there, and what the application did stays as it was.
Rule 2: one transaction is one revision. The head seen through the application's connection, under the write lock, is
the committed one, unless a write of ours stands in the transaction already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import InvalidInput, Refused, StoreUnavailable, quoted
from relgraph.store.sql.reading import committed_head, identity
from relgraph.store.sql.writing import SQLTransaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Random
    from relgraph.store.sql.link import Link

__all__ = ["JoinedTransaction"]

_SAVEPOINT = "relgraph_joined"
_LOCK = "UPDATE meta SET head = head"
_MISSING = "no such table"
_UNDEFINED = "42P01"
_TEXT = "SELECT text FROM schemas ORDER BY revision DESC LIMIT 1"


class JoinedTransaction(SQLTransaction):
    """One write in a transaction that is somebody else's; see `relgraph.store.base.Store.joining`.

    `link` leads through the application's connection, on which `begin` begins a transaction; `known` is the id and
    epoch of the store that was meant, and `head` reads its committed head elsewhere.
    """

    def __init__(
        self,
        link: Link,
        begin: str,
        known: tuple[bytes, int],
        head: Callable[[], Revision],
        clock: Clock,
        random: Random,
    ) -> None:
        super().__init__(link.where, clock, random, lambda _: None)
        self._theirs = link
        self._how = begin
        self._known = known
        self._committed_head = head

    def _begin(self) -> Link:
        link = self._theirs
        if not link.in_transaction:
            raise InvalidInput(
                f"the connection has no transaction open; begin one with `{self._how}`, write your own rows, pass "
                "the connection to this write, and commit"
            )
        link.run(f"SAVEPOINT {_SAVEPOINT}")
        try:
            # First of all: what the transaction has not read yet, it then sees as it is.
            self._lock(link)
            self._check_identity(link)
            self._refuse_second(link)
        except BaseException:
            if link.in_transaction:
                self._roll_back(link)
            raise
        return link

    def _refuse_second(self, link: Link) -> None:
        if committed_head(link) != self._committed_head():
            raise Refused(
                "the transaction holds a write already, and one transaction is one revision; commit it first, or put "
                "all tuples into one write",
                {"store": self._where},
            )

    def _lock(self, link: Link) -> None:
        try:
            self._take_lock(link)
        except StoreUnavailable as error:
            # The first is SQLite's, the second PostgreSQL's, whose texts are in the language of its server.
            if _MISSING not in str(error.__cause__) and error.details.get("sqlstate") != _UNDEFINED:
                raise
            raise self._another(f"it says {quoted(str(error.__cause__))}") from error

    def _take_lock(self, link: Link) -> None:
        """Keep other writers out from here on; a backend may have a better way."""
        link.run(_LOCK)

    def _check_identity(self, link: Link) -> None:
        found, text = identity(link), link.one(_TEXT)
        if [type(found[0]), type(text[0]) if text else str] != [bytes, str]:
            raise InvalidInput(
                "the connection converts what it reads; pass one that gives numbers, texts and bytes as they are stored"
            )
        if found != self._known:
            raise self._another("its id or epoch is not the store's")

    def _another(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"the connection does not lead to the store {quoted(self._where)}: {why}; open one that does",
            {"store": self._where},
        )

    def _finish(self) -> None:
        self._link.run(f"RELEASE {_SAVEPOINT}")

    def _roll_back(self, link: Link) -> None:
        link.run(f"ROLLBACK TO {_SAVEPOINT}")
        link.run(f"RELEASE {_SAVEPOINT}")

    def _let_go(self) -> None:
        """The transaction goes on without us."""

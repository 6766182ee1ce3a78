"""An application's own connection, as far as a write inside its transaction may use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidInput, StoreUnavailable, quoted
from relgraph.store.sqlite.library import fault
from relgraph.store.sqlite.link import SQLiteLink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.store.sql.link import Row, Values
    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["JoinedLink", "joined_link"]

_BUSY: Final = 5


class JoinedLink(SQLiteLink):
    """An application's connection, whatever it has set up for itself: rows come as tuples and texts as texts here."""

    def run(self, sql: str, values: Values = ()) -> None:
        """Run a statement."""
        self.all(sql, values)

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        for values in rows:
            self.all(sql, values)

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query, through a cursor of our own."""
        connection = self._connection
        theirs = connection.text_factory
        connection.text_factory = str
        try:
            cursor = connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()
        except self._errors as error:
            if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF == _BUSY:
                # Some drivers tell the two apart, others do not; the way out is the same.
                raise StoreUnavailable(
                    f"the store {quoted(self.where)} is locked by another writer for too long, or was written since "
                    "the transaction first read it; roll back, and begin again with `BEGIN IMMEDIATE`",
                    {"store": self.where, "problem": str(error)},
                ) from error
            raise fault(error, self.where) from error
        finally:
            connection.text_factory = theirs

    def iterate(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: what the application sets up must hold again when we return."""
        return iter(self.all(sql, values))

    def close(self) -> None:
        """Do nothing: it is not ours to close."""


def joined_link(library: SQLiteModule, connection: object, where: str, file: tuple[int, int]) -> JoinedLink:
    """Return a link through an application's connection. Raises InvalidInput unless it is one to this very file.

    `file` is the file's device and inode.
    """
    if not isinstance(connection, library.Connection):
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise InvalidInput(
            f"the connection is a {quoted(kind)} and the store was opened with {quoted(library.__name__)}; two SQLite "
            "libraries on one file drop each other's locks, so open the store with yours: "
            "`relgraph.open(url, sqlite=sqlite3)`",
            {"connection": kind, "library": library.__name__},
        )
    link = JoinedLink(library, connection, where)
    names = [row[2] for row in link.all("PRAGMA database_list") if row[1] == "main"]
    try:
        found = Path(names[0]).stat() if names[0] else None
    except OSError:
        found = None
    if found is None or (found.st_dev, found.st_ino) != file:
        raise InvalidInput(
            f"the connection is not to the file of the store {quoted(where)}; open one to it", {"store": where}
        )
    return link

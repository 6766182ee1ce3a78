"""All that a store keeps, row by row, as it is handed from one store to another; `relgraph.store.migration` does that.

Here live the shapes and promises only. A history is read in parts, each a table of rows ascending by their keys. Rows
are plain values in the order of `PARTS`, the same in every store: numbers and texts keep their values when they move,
so whatever was read at some revision of one store is read at that revision of the other.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from relgraph.revision import Revision

__all__ = ["PARTS", "Columns", "History", "HistoryRow", "Intake", "Key", "Mark", "Part"]

Part: TypeAlias = Literal["revisions", "schemas", "names", "objects", "tuples"]

HistoryRow: TypeAlias = tuple[int | str | bytes | None, ...]

Key: TypeAlias = tuple[int, ...]


class Columns(NamedTuple):
    """What the rows of a part say; the first `key` of them tell one row from another, and are numbers above 0."""

    names: tuple[str, ...]
    key: int


PARTS: Final[Mapping[Part, Columns]] = MappingProxyType({
    # First, so that whatever was copied can be told from another store's: each revision has a nonce.
    "revisions": Columns(
        (
            "number", "nonce", "predecessor", "stamp", "principal", "actor", "reason", "request_id", "payload",
            "metadata", "not_after", "answer",
        ),
        1,
    ),
    "schemas": Columns(("revision", "text"), 1),
    "names": Columns(("id", "name"), 1),
    "objects": Columns(("id", "type", "key"), 1),
    "tuples": Columns(
        ("resource", "relation", "subject", "subject_relation", "created", "deleted", "caveat", "context", "expires"), 5
    ),
})  # fmt: skip
"""The parts of a history, in the order in which they are copied."""


class Mark(NamedTuple):
    """What a store says of itself while it holds another one's history in part: whose, and up to which revision.

    With `whole`, it has all of that; without, rows of any part may still be missing.
    """

    source: bytes
    goal: int
    whole: bool


class History(Protocol):
    """What a store kept as of one revision, `until`. Every method may raise StoreUnavailable."""

    def rows(self, part: Part, behind: Key, limit: int) -> list[HistoryRow]:
        """At most `limit` rows of a part, ascending, whose keys are behind that one, as they stood at `until`.

        Names and objects bear no revision: there may be more of them than were known by then.
        """
        ...

    def created(self, after: int) -> list[HistoryRow]:
        """The tuples created behind revision `after`."""
        ...

    def ended(self, after: int) -> list[Key]:
        """The key of each tuple created up to revision `after` and deleted behind it, and when that was."""
        ...


class Intake(Protocol):
    """Takes another store's history in; holds the write lock from `with` on. Leaving without `commit` undoes it all.

    From the first `note` to `finish` the store refuses everybody else: what it holds is nobody's state.
    """

    @property
    def head(self) -> Revision | None:
        """The newest revision of what is here; None while there is a mark."""
        ...

    @property
    def mark(self) -> Mark | None:
        """What was begun here and not finished."""
        ...

    @property
    def floor(self) -> int:
        """The oldest revision that is kept here."""
        ...

    @property
    def history(self) -> History:
        """All that is here by now."""
        ...

    def note(self, mark: Mark) -> None:
        """Say how far it has come, and that it is not finished."""
        ...

    def last(self, part: Part) -> Key:
        """The key of the last row of a part, zeros without any."""
        ...

    def add(self, part: Part, rows: Sequence[HistoryRow]) -> None:
        """Add rows of a part."""
        ...

    def end(self, keys: Sequence[Key]) -> None:
        """End tuples, as `History.ended` told them."""
        ...

    def forget(self, floor: Revision) -> None:
        """Make that the oldest revision that is kept: what had ended or expired by then goes, if it is here."""
        ...

    def count_under(self, counters: Mapping[str, str]) -> None:
        """Make these all that is registered to be counted, by name."""
        ...

    def finish(self) -> None:
        """Open the store to everybody, at the mark's goal."""
        ...

    def commit(self) -> None:
        """Make it durable. Once only, and last; when it raises, nothing was committed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

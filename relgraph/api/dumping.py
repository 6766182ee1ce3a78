"""Dumping: every living tuple at one revision and instant, by the page, behind the schema in force there.

Rule 1: nothing is held between two pages, so that who reads slowly holds up nobody; where the revision was collected
meanwhile, the next page is an error and never a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from relgraph.answers import Page
    from relgraph.tuples import RelationTuple

__all__ = ["Dump"]


class Dump:
    """The tuples of one revision, each once, in the order of `read`: iterated once, by one thread at a time.

    `schema` is the text in force at `revision`. Iterating raises RevisionUnavailable where the revision is no longer
    kept, StoreUnavailable.
    """

    def __init__(self, schema: str, first: Page, following: Callable[[str], Page]) -> None:
        self.schema = schema
        self.revision = first.revision
        self.token = first.token
        self._page: Page | None = first
        self._following = following

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration. Closing twice is fine."""
        self._page = None

    def __iter__(self) -> Iterator[RelationTuple]:
        while page := self.page():
            yield from page

    def page(self) -> tuple[RelationTuple, ...]:
        """Return the next many tuples, and none at the end."""
        page, self._page = self._page, None
        if page is None:
            return ()
        if page.cursor:
            self._page = self._following(page.cursor)
        return page.tuples

"""The arrows: `parent->view` (also written `parent.any(view)`) and `parent.all(view)`.

Both ask for membership in a name of the objects that a relation points at: in one of them, or in every one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from relgraph.rewrites.base import Rewrite, Scope, Span, Term
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AllArrow", "Arrow"]


@dataclass(frozen=True, slots=True, eq=False)
class Arrow:
    """`tupleset->name`: whoever is in `name` of any object that `tupleset` points at; subject relations are ignored.

    `called` says that it was written `tupleset.any(name)`, which is the same in every respect but the spelling.
    """

    tupleset: str
    name: str
    at: Span = field(default_factory=Span)
    called: bool = False

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "arrow"
    symbol: ClassVar[str] = "->"

    def children(self) -> tuple[Rewrite, ...]:
        """Return nothing: both sides are names."""
        return ()

    def names(self) -> tuple[str, ...]:
        """Return the tupleset; the name on the right belongs to other definitions."""
        return (self.tupleset,)

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield, for each tuple of the tupleset, its condition AND membership in the subject's `name`."""
        for edge in scope.tupleset(object_, self.tupleset):
            atom = scope.member(edge.subject, self.name)
            if atom is not None:
                yield Term(edge, atom)

    def text(self) -> str:
        """Return `tupleset->name`."""
        return f"{self.tupleset}->{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class AllArrow:
    """`tupleset.all(name)`: whoever is in `name` of every object that `tupleset` points at, and of at least one.

    Not monotone: one more tuple can take access away, and one that expires can give it.
    """

    tupleset: str
    name: str
    at: Span = field(default_factory=Span)

    combine: ClassVar[Combine] = Combine.EACH
    label: ClassVar[str] = "all"

    def children(self) -> tuple[Rewrite, ...]:
        """Return nothing: both sides are names."""
        return ()

    def names(self) -> tuple[str, ...]:
        """Return the tupleset; the name in parentheses belongs to other definitions."""
        return (self.tupleset,)

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield, for each tuple of the tupleset, its condition AND membership in the subject's `name`."""
        for edge in scope.tupleset(object_, self.tupleset):
            # A subject whose type has no such name still counts: nobody is in it.
            yield Term(edge, scope.member(edge.subject, self.name) or scope.nobody(edge.subject))

    def text(self) -> str:
        """Return `tupleset.all(name)`."""
        return f"{self.tupleset}.all({self.name})"

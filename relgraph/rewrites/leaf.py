"""A bare name: membership in another relation or permission of the same object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from relgraph.rewrites.base import Rewrite, Scope, Span, Term
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Name"]


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """`viewer`: whoever is a member of the object's `viewer`."""

    name: str
    at: Span = field(default_factory=Span)

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "name"

    def children(self) -> tuple[Rewrite, ...]:
        """Return nothing: a name is a leaf."""
        return ()

    def names(self) -> tuple[str, ...]:
        """Return the name itself."""
        return (self.name,)

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield membership in the named relation or permission."""
        atom = scope.member(object_, self.name)
        if atom is not None:
            yield Term(None, atom)

    def text(self) -> str:
        """Return the name."""
        return self.name

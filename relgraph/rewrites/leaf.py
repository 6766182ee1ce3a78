"""The leaves: a bare name (another relation or permission of the same object), `nil` and `self`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from relgraph.rewrites.base import Rewrite, Scope, Span, Term
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Name", "Nil", "SelfObject"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Nil:
    """`nil`: nobody."""

    at: Span = field(default_factory=Span)

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "nil"

    def children(self) -> tuple[Rewrite, ...]:
        """Return nothing: `nil` is a leaf."""
        return ()

    def names(self) -> tuple[str, ...]:
        """Return nothing: `nil` refers to nothing."""
        return ()

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:  # noqa: ARG002  # the same everywhere
        """Yield nothing."""
        return iter(())

    def text(self) -> str:
        """Return the keyword."""
        return "nil"


@dataclass(frozen=True, slots=True, eq=False)
class SelfObject:
    """`self`: the resource itself, as a plain subject. `user:anna#self_view` may so hold for `user:anna`."""

    at: Span = field(default_factory=Span)

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "self"

    def children(self) -> tuple[Rewrite, ...]:
        """Return nothing: `self` is a leaf."""
        return ()

    def names(self) -> tuple[str, ...]:
        """Return nothing: `self` refers to no name."""
        return ()

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield a grant where the asked subject is the object."""
        if scope.is_subject(object_, ""):
            yield Term(None, None)

    def text(self) -> str:
        """Return the keyword."""
        return "self"

"""What a name of a definition stands for: a written relation, or a computed permission.

Membership of S in `object#name` is YES when S is `object#name` itself; otherwise a relation counts its tuples and a
permission its expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from relgraph.rewrites.base import Rewrite, Scope, Term
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Member", "PermissionMember", "RelationMember"]


@dataclass(frozen=True, slots=True, eq=False)
class RelationMember:
    """Whoever a relation's tuples name: directly, by wildcard, or through a userset."""

    name: str

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "relation"

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield identity, then the tuples that matter for the subject."""
        if scope.is_subject(object_, self.name):
            yield Term(None, None)
        yield from scope.grants(object_, self.name)

    def text(self) -> str:
        """Return the relation's name."""
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class PermissionMember:
    """Whoever a permission's expression yields."""

    name: str
    rewrite: Rewrite

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "permission"

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield identity, then the expression."""
        if scope.is_subject(object_, self.name):
            yield Term(None, None)
        yield from scope.operand(object_, self.rewrite, self.combine)

    def text(self) -> str:
        """Return the permission's name and expression."""
        return f"{self.name} = {self.rewrite.text()}"


Member = RelationMember | PermissionMember

"""What an operator is, and what it may ask of the walk that runs it.

Rule 1: an operator lives in one file and answers for itself alone: its syntax, the names it refers to, its operands
for one object, and how the operands combine.
Rule 2: operators never call each other. They yield `Term`s, and the walk evaluates the atoms in them, where memo,
cycles, budget and short cuts live once.
Rule 3: operators know neither subjects nor storage; both are behind `Scope`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.contexts import Context
    from relgraph.rewrites.verdict import Combine

__all__ = ["Atom", "Edge", "Formula", "Rewrite", "Scope", "Span", "Term"]


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a schema text: line and column from 1, length in characters."""

    line: int = 1
    column: int = 1
    length: int = 1


class Edge(Protocol):
    """One living tuple in numbers, valid within one walk."""

    @property
    def resource(self) -> int:
        """The resource's number; of `type:*` in a universal tuple."""

    @property
    def relation(self) -> int:
        """The relation's number."""

    @property
    def subject(self) -> int:
        """The subject's object number."""

    @property
    def subject_relation(self) -> int:
        """The subject's relation number; 0 for a plain subject or a wildcard."""

    @property
    def kind(self) -> tuple[int, int, bool]:
        """What kind of subject it names: the number of its type, of its relation, and whether it is the wildcard."""

    @property
    def expires(self) -> int | None:
        """The instant from which the tuple counts no more, in microseconds since 1970 UTC; None: never."""

    @property
    def caveat(self) -> int:
        """The number of the caveat's name under which the tuple counts; 0 for none."""

    @property
    def context(self) -> Context:
        """What the tuple itself gives to its caveat; `EMPTY` where it gives nothing."""

    @property
    def contextual(self) -> int:
        """Where the tuple stands among those that the request brought, from 1; 0 for a stored one."""


class Atom(NamedTuple):
    """One thing that has a value: a formula at an object. Formulas compare by identity."""

    object: int
    formula: Formula


class Term(NamedTuple):
    """One operand: a tuple's condition AND an atom, either of which may be missing (a missing one is YES)."""

    edge: Edge | None
    atom: Atom | None


class Scope(Protocol):
    """What the walk offers an operator: operands at an object, and tuples that the schema admits."""

    def operand(self, object_: int, rewrite: Rewrite, within: Combine) -> Iterable[Term]:
        """Return a sub-expression at the same object as one term, or as several that `within` joins to the same."""

    def is_subject(self, object_: int, name: str) -> bool:
        """Return whether the asked subject is `object#name` itself, with an empty name the plain object."""

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the living tuples `object#relation@…` that matter for the subject, usersets with their membership."""

    def member(self, object_: int, name: str) -> Atom | None:
        """Return the atom of membership in `object#name`; None where the object's type has no such name."""

    def nobody(self, object_: int) -> Atom:
        """Return an atom that nobody is a member of."""

    def tupleset(self, object_: int, relation: str) -> Iterator[Edge]:
        """Yield the living tuples `object#relation@…`, universal ones included."""


class Formula(Protocol):
    """Anything that has operands at an object and a way to join them."""

    combine: ClassVar[Combine]
    label: ClassVar[str]

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield the operands at `object_`, to be joined by `combine`."""

    def text(self) -> str:
        """Return the formula as a reader of the schema knows it; an expression parses back to itself."""


class Rewrite(Formula, Protocol):
    """One node of a permission's expression."""

    @property
    def at(self) -> Span:
        """Where the schema text says it."""

    def children(self) -> tuple[Rewrite, ...]:
        """Return the sub-expressions, in order."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the own definition that this node itself refers to."""

"""The branches of a schema: what its permissions are made of, and what its relations take, each with its place.

    operand   a name or `self` in an expression (`nil` gives nobody anything, so it is none)
    arrow     an arrow, of either kind
    target    what an arrow leads to, for each type that its relation points at and that has the name
    kind      a kind of subject that a relation takes

Two readings of one text have equal branches. What an answer rests on is told in them (`relgraph.engine.resting`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from relgraph.rewrites import AllArrow, Arrow, Name, SelfObject, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema, SubjectKind

__all__ = ["Branch", "Branches"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of `name` on `type`: its text, and where it stands in the expression, operand by operand from 0."""

    type: str
    name: str
    what: Literal["operand", "arrow", "target", "kind"]
    text: str
    place: tuple[int, ...] = ()
    at: Span = field(default_factory=Span, compare=False)

    def __str__(self) -> str:
        return f"{self.what} {self.text}"


class Branches:
    """All branches of one schema, in text order within each definition; found again by what they were made from."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # A partial's expression may stand in several definitions, so a node alone does not say whose it is.
        self._nodes: dict[tuple[str, Rewrite], Branch] = {}
        self._targets: dict[tuple[str, Rewrite, str], Branch] = {}
        self._kinds: dict[tuple[str, str, SubjectKind], Branch] = {}
        self.all: tuple[Branch, ...] = tuple(
            branch for definition in schema.definitions.values() for branch in self._of(definition)
        )

    def of_node(self, type_: str, node: Rewrite) -> Branch | None:
        """Return the branch that a node of an expression is; None for an operator over others, and for `nil`."""
        return self._nodes.get((type_, node))

    def of_target(self, type_: str, node: Rewrite, target: str) -> Branch | None:
        """Return the branch of an arrow that leads to objects of a type; None where that has not the name."""
        return self._targets.get((type_, node, target))

    def of_kind(self, type_: str, relation: str, kind: SubjectKind) -> Branch | None:
        """Return the branch of a relation that takes subjects of a kind."""
        return self._kinds.get((type_, relation, kind))

    def _of(self, definition: Definition) -> Iterator[Branch]:
        type_ = definition.name
        for relation in definition.relations.values():
            for kind in relation.kinds:
                yield self._kinds.setdefault(
                    (type_, relation.name, kind), Branch(type_, relation.name, "kind", str(kind), at=relation.at)
                )
        for permission in definition.permissions.values():
            agenda: list[tuple[Rewrite, tuple[int, ...]]] = [(permission.rewrite, ())]
            while agenda:
                node, place = agenda.pop()
                agenda += reversed([(child, (*place, index)) for index, child in enumerate(node.children())])
                yield from self._of_node(definition, permission.name, node, place)

    def _of_node(self, definition: Definition, name: str, node: Rewrite, place: tuple[int, ...]) -> Iterator[Branch]:
        type_ = definition.name
        if isinstance(node, Name | SelfObject):
            yield self._nodes.setdefault((type_, node), Branch(type_, name, "operand", node.text(), place, node.at))
        elif isinstance(node, Arrow | AllArrow):
            yield self._nodes.setdefault((type_, node), Branch(type_, name, "arrow", node.text(), place, node.at))
            kinds = definition.relations[node.tupleset].kinds
            for target in dict.fromkeys(kind.type for kind in kinds):
                if self._schema.definitions[target].member(node.name) is not None:
                    text = f"{node.text()} to {target}#{node.name}"
                    yield self._targets.setdefault(
                        (type_, node, target), Branch(type_, name, "target", text, place, node.at)
                    )

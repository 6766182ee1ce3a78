"""What the parser hands to validation: the model's pieces with the places that only error texts need.

Nothing here is checked against anything else yet, and nothing outside this package sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relgraph.rewrites import Span
    from relgraph.schema.model import Permission, SubjectKind

__all__ = ["DefinitionNode", "FileNode", "KindNode", "LadderNode", "RelationNode", "RungNode"]


@dataclass(frozen=True, slots=True)
class KindNode:
    """One subject kind; `relation_at` is the place of the name behind `#`, else that of the type."""

    kind: SubjectKind
    type_at: Span
    relation_at: Span
    at: Span


@dataclass(frozen=True, slots=True)
class RelationNode:
    """A relation; `at` is the place of its name."""

    name: str
    kinds: tuple[KindNode, ...]
    at: Span
    doc: str


@dataclass(frozen=True, slots=True)
class RungNode:
    """One name of a ladder."""

    name: str
    at: Span


@dataclass(frozen=True, slots=True)
class LadderNode:
    """A `roles` line, strongest rung first; `at` is the place of the word `roles`."""

    rungs: tuple[RungNode, ...]
    at: Span


@dataclass(frozen=True, slots=True)
class DefinitionNode:
    """A definition with its members in text order; `at` is the place of its name."""

    name: str
    members: tuple[RelationNode | Permission, ...]
    ladders: tuple[LadderNode, ...]
    at: Span
    doc: str


@dataclass(frozen=True, slots=True)
class FileNode:
    """A whole text: its definitions in order, and what its `use` lines switched on."""

    definitions: tuple[DefinitionNode, ...]
    flags: frozenset[str]

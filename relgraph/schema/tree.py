"""What the parser hands on: the pieces of a text with the places that only error texts need.

Nothing here is checked against anything else yet, and nothing outside this package sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relgraph.caveats import ParameterType
    from relgraph.rewrites import Rewrite, Span
    from relgraph.schema.lexer import Token
    from relgraph.schema.model import SubjectKind

__all__ = [
    "BodyNode",
    "CaveatNode",
    "DefinitionNode",
    "FileNode",
    "GrantNode",
    "KindNode",
    "LadderNode",
    "LineNode",
    "NameNode",
    "ParameterNode",
    "PermissionNode",
    "RelationNode",
    "SpliceNode",
    "StatementNode",
]


@dataclass(frozen=True, slots=True)
class NameNode:
    """A name that means something elsewhere."""

    name: str
    at: Span


@dataclass(frozen=True, slots=True)
class KindNode:
    """One subject kind; `relation_at` is the place of the name behind `#`, `caveat_at` that of the caveat's name.

    Where there is no such name, it is the place of the type.
    """

    kind: SubjectKind
    type_at: Span
    relation_at: Span
    at: Span
    caveat_at: Span


@dataclass(frozen=True, slots=True)
class RelationNode:
    """A relation; `at` is the place of its name."""

    name: str
    kinds: tuple[KindNode, ...]
    at: Span
    doc: str


@dataclass(frozen=True, slots=True)
class PermissionNode:
    """A permission; `annotation` holds the types between its name and `=`, `at` is the place of its name."""

    name: str
    annotation: tuple[NameNode, ...]
    rewrite: Rewrite
    at: Span
    doc: str


@dataclass(frozen=True, slots=True)
class LadderNode:
    """A `roles` line, strongest rung first; `at` is the place of the word `roles`."""

    rungs: tuple[NameNode, ...]
    at: Span


@dataclass(frozen=True, slots=True)
class GrantNode:
    """What a `grant` line says of one of its relations."""

    relation: NameNode
    permission: NameNode
    subject_permission: NameNode | None
    wildcard: NameNode | None


@dataclass(frozen=True, slots=True)
class SpliceNode:
    """A `...name` line, which stands for the lines of a partial; `at` is the place of the name."""

    name: str
    at: Span


@dataclass(frozen=True, slots=True)
class ParameterNode:
    """A parameter of a caveat; `at` is the place of its name."""

    name: str
    type: ParameterType
    at: Span


@dataclass(frozen=True, slots=True)
class CaveatNode:
    """A caveat; `expression` is the token of its text, `at` the place of its name."""

    name: str
    parameters: tuple[ParameterNode, ...]
    expression: Token
    at: Span
    doc: str


LineNode = RelationNode | PermissionNode | LadderNode | GrantNode | SpliceNode


@dataclass(frozen=True, slots=True)
class BodyNode:
    """A definition or a partial with its lines as they were written; `at` is the place of its name."""

    name: str
    lines: tuple[LineNode, ...]
    at: Span
    doc: str


@dataclass(frozen=True, slots=True)
class StatementNode:
    """A `use` or `import` statement: the word, and the flag or path behind it."""

    word: Token
    value: Token


@dataclass(frozen=True, slots=True)
class FileNode:
    """A whole text: its definitions, partials and caveats in order, and what its `use` and `import` lines say."""

    definitions: tuple[BodyNode, ...]
    partials: tuple[BodyNode, ...]
    caveats: tuple[CaveatNode, ...]
    flags: frozenset[str]
    uses: tuple[StatementNode, ...]
    imports: tuple[StatementNode, ...]


@dataclass(frozen=True, slots=True)
class DefinitionNode:
    """A definition whose partials are spliced in, its lines sorted by what they are, each in order."""

    name: str
    members: tuple[RelationNode | PermissionNode, ...]
    ladders: tuple[LadderNode, ...]
    grants: tuple[GrantNode, ...]
    at: Span
    doc: str

    @property
    def relations(self) -> tuple[RelationNode, ...]:
        """Return the relations alone."""
        return tuple(member for member in self.members if isinstance(member, RelationNode))

    @property
    def permissions(self) -> tuple[PermissionNode, ...]:
        """Return the permissions alone."""
        return tuple(member for member in self.members if isinstance(member, PermissionNode))

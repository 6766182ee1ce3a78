"""Partials: lines that several definitions share, spliced into each of them by `...name`.

They are a matter of text: what comes out of here is as if their lines stood in each definition, so the rest of
relgraph never hears of them. A line keeps its place, so an error about it points into the partial.
Rule 1: a text of n names may ask for n * n; the names that are spliced in are counted, and bounded by `SPLICED_MAX`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, did_you_mean, quoted
from relgraph.schema.names import circle
from relgraph.schema.reach import nodes
from relgraph.schema.tree import (
    DefinitionNode,
    GrantNode,
    LadderNode,
    LineNode,
    PermissionNode,
    RelationNode,
    SpliceNode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relgraph.schema.source import Source
    from relgraph.schema.tree import BodyNode, FileNode

__all__ = ["SPLICED_MAX", "expand"]

SPLICED_MAX: Final = 200_000
"""Names that the lines of all partials may bring into all definitions together, as often as they stand there."""


def expand(file: FileNode, source: Source) -> tuple[DefinitionNode, ...]:
    """Return the definitions of a text with their partials spliced in. Raises SchemaParseError."""
    partials = _by_name(file, source)
    for body in (*file.definitions, *file.partials):
        for line in body.lines:
            if isinstance(line, SpliceNode) and line.name not in partials:
                raise source.problem(SchemaParseError, _no_partial(line.name, file, partials), line.at)
    _refuse_circles(partials, source)
    splicer = _Splicer(partials, source)
    return tuple(splicer.definition(body) for body in file.definitions)


def _by_name(file: FileNode, source: Source) -> dict[str, BodyNode]:
    """Return the partials by name. Raises SchemaParseError where a name is taken already."""
    definitions = {body.name: body for body in file.definitions}
    partials: dict[str, BodyNode] = {}
    for body in file.partials:
        for kind, taken in (("partial", partials), ("definition", definitions)):
            if body.name in taken:
                first = source.line_words(taken[body.name].at)
                message = f"{quoted(body.name)} names a {kind} already, {first}, rename one of them"
                raise source.problem(SchemaParseError, message, body.at)
        partials[body.name] = body
    return partials


def _no_partial(name: str, file: FileNode, partials: Mapping[str, BodyNode]) -> str:
    """Return the text for a name that no partial has."""
    if any(body.name == name for body in file.definitions):
        return f"{quoted(name)} is a definition, and only a partial can be spliced in, make its lines a partial"
    return f"{quoted(name)} is not a partial{did_you_mean(name, partials)}"


def _refuse_circles(partials: Mapping[str, BodyNode], source: Source) -> None:
    """Raise SchemaParseError where a partial would have to contain itself."""
    done: set[str] = set()
    for start in partials:
        path: dict[str, Iterator[SpliceNode]] = {}
        if start not in done:
            path[start] = _splices(partials[start])
        while path:
            name = next(reversed(path))
            splice = next(path[name], None)
            if splice is None:
                done.add(name)
                del path[name]
            elif splice.name in path:
                message = f"the partial goes in a circle ({circle(path, splice.name, '→')}), take this line out"
                raise source.problem(SchemaParseError, message, splice.at)
            elif splice.name not in done:
                path[splice.name] = _splices(partials[splice.name])


def _splices(body: BodyNode) -> Iterator[SpliceNode]:
    return (line for line in body.lines if isinstance(line, SpliceNode))


class _Splicer:
    """Puts partials into definitions, and counts what it puts there."""

    def __init__(self, partials: Mapping[str, BodyNode], source: Source) -> None:
        self._partials = partials
        self._source = source
        self._spliced = 0

    def definition(self, body: BodyNode) -> DefinitionNode:
        """Return one definition with the lines of its partials."""
        members: list[RelationNode | PermissionNode] = []
        ladders: list[LadderNode] = []
        grants: list[GrantNode] = []
        for line in self._lines(body):
            if isinstance(line, LadderNode):
                ladders.append(line)
            elif isinstance(line, GrantNode):
                grants.append(line)
            elif not isinstance(line, SpliceNode):
                members.append(line)
        return DefinitionNode(body.name, tuple(members), tuple(ladders), tuple(grants), body.at, body.doc)

    def _lines(self, body: BodyNode) -> Iterator[LineNode]:
        """Yield a definition's lines in order, those of a partial where it is spliced in."""
        spliced: dict[str, SpliceNode] = {}
        open_ = [iter(body.lines)]
        while open_:
            line = next(open_[-1], None)
            if line is None:
                open_.pop()
                continue
            if len(open_) > 1 or isinstance(line, SpliceNode):
                self._count(line)
            if isinstance(line, SpliceNode):
                if line.name in spliced:
                    first = self._source.line_words(spliced[line.name].at)
                    message = f"{quoted(line.name)} is part of {quoted(body.name)} already, {first}, remove one line"
                    raise self._source.problem(SchemaParseError, message, line.at)
                spliced[line.name] = line
                open_.append(iter(self._partials[line.name].lines))
            yield line

    def _count(self, line: LineNode) -> None:
        self._spliced += _names(line)
        if self._spliced > SPLICED_MAX:
            at = line.relation.at if isinstance(line, GrantNode) else line.at
            message = f"partials bring more than {SPLICED_MAX} names into definitions, splice fewer"
            raise self._source.problem(SchemaParseError, message, at)


def _names(line: LineNode) -> int:
    """Return how many names stand in a line; what is neither long nor often counts as one."""
    if isinstance(line, RelationNode):
        return 1 + len(line.kinds)
    if isinstance(line, PermissionNode):
        return 1 + len(line.annotation) + sum(1 for _ in nodes(line.rewrite))
    return len(line.rungs) if isinstance(line, LadderNode) else 1

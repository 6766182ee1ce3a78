"""What each relation and permission of a schema leans on, and why: as a list, and as a networkx graph.

Rule 1: a dependency stands on the very name, keyed by (type, name); the same name in two definitions has nothing in
common.
Rule 2: `negative` is whatever stands in the excluded side of any `-`, however many surround it: a membership that is
read through a NOT twice is still read through a NOT, so recursion through it may be left undecided.
Rule 3: an arrow reads the tuples of its tupleset and not who is a member of it (subject relations are ignored). That
dependency is listed, as `tupleset`, and is no part of any recursion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from relgraph.rewrites import AllArrow, Arrow, Exclusion, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema

__all__ = ["Dependency", "Member", "MemberGraph", "Why", "dependencies", "graph", "memberships", "parts"]

Member: TypeAlias = tuple[str, str]
"""A relation or permission: its type and its name."""

Why = Literal["userset", "name", "arrow", "all", "tupleset"]
"""How one name leans on another: as a subject of its tuples, by name, by either arrow, or as an arrow's tupleset."""

MemberGraph: TypeAlias = "nx.MultiDiGraph[Member]"

_ARROWS: Final[dict[type[object], Why]] = {Arrow: "arrow", AllArrow: "all"}


@dataclass(frozen=True, slots=True)
class Dependency:
    """`source` leans on `target`; `via` names the tupleset of an arrow and is empty otherwise."""

    source: Member
    target: Member
    why: Why
    via: str = ""
    negative: bool = False


def dependencies(schema: Schema) -> Iterator[Dependency]:
    """Yield what everything leans on, in text order; the same dependency may come twice."""
    for definition in schema.definitions.values():
        for relation in definition.relations.values():
            for kind in relation.kinds:
                if kind.relation:
                    yield Dependency((definition.name, relation.name), (kind.type, kind.relation), "userset")
        for permission in definition.permissions.values():
            source = (definition.name, permission.name)
            for node, taken in parts(permission.rewrite):
                yield from _of_node(schema, definition, source, node, negative=taken > 0)


def _of_node(
    schema: Schema, definition: Definition, source: Member, node: Rewrite, *, negative: bool
) -> Iterator[Dependency]:
    if isinstance(node, Name):
        yield Dependency(source, (definition.name, node.name), "name", "", negative)
    elif isinstance(node, Arrow | AllArrow):
        yield Dependency(source, (definition.name, node.tupleset), "tupleset", "", negative)
        for target in memberships(schema, definition, node):
            yield Dependency(source, target, _ARROWS[type(node)], node.tupleset, negative)


def memberships(schema: Schema, definition: Definition, node: Rewrite) -> Iterator[Member]:
    """Yield the names whose members a leaf stands for: one for a name, one a type of object for an arrow."""
    if isinstance(node, Name):
        yield definition.name, node.name
    elif isinstance(node, Arrow | AllArrow):
        types = dict.fromkeys(kind.type for kind in definition.relations[node.tupleset].kinds)
        for type_ in types:
            if schema.definitions[type_].member(node.name) is not None:
                yield type_, node.name


def parts(rewrite: Rewrite) -> Iterator[tuple[Rewrite, int]]:
    """Yield an expression's nodes in text order, each with in how many excluded sides of a `-` it stands."""
    agenda = [(rewrite, 0)]
    while agenda:
        node, taken = agenda.pop()
        yield node, taken
        below = [(child, taken) for child in node.children()]
        if isinstance(node, Exclusion):
            below[1:] = [(child, taken + 1) for child, _ in below[1:]]
        agenda.extend(reversed(below))


def graph(schema: Schema) -> MemberGraph:
    """Return all of it as a graph: a node for each relation and permission, an edge for each dependency.

    Attributes are texts throughout: GraphML knows no others that all readers share.
    """
    import networkx as nx  # noqa: PLC0415  (slow to import, and no question needs it)

    made: MemberGraph = nx.MultiDiGraph()
    for definition in schema.definitions.values():
        for name in definition.names():
            kind = "relation" if name in definition.relations else "permission"
            made.add_node((definition.name, name), type=definition.name, member=name, kind=kind)
    for each in dependencies(schema):
        # The key makes one edge of what is said twice.
        made.add_edge(
            each.source,
            each.target,
            key=f"{each.why} {each.via} {each.negative}",
            why=each.why,
            via=each.via,
            negative="true" if each.negative else "false",
        )
    return made

"""Which types of plain subjects could ever hold a relation or permission, by the schema alone.

An over-estimate: exclusions and intersections are read as if everything in them granted, and `.all` as if it were
`.any`. So a type that is missing here can never hold the name, whatever the tuples say.

Rule 1: the work and the memory stay near the size of the text, since whoever may write a schema chooses it: arrows that
say the same are asked once, what leans on one another is settled together, and types are bits of one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from relgraph.rewrites import AllArrow, Arrow, Name, SelfObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema

__all__ = ["SubjectTypes", "nodes", "subject_types"]

_Member = tuple[str, str]
# A member; or an arrow, as a type, its tupleset and the name wanted.
_Node = tuple[str, ...]


class SubjectTypes(Mapping[_Member, frozenset[str]]):
    """For each (type, name), the types of the plain subjects that could be members."""

    __slots__ = ("_bits", "_masks")

    def __init__(self, masks: Mapping[_Member, int], bits: Mapping[str, int]) -> None:
        self._masks = masks
        self._bits = bits

    def __getitem__(self, member: _Member) -> frozenset[str]:
        digits = reversed(f"{self._masks[member]:b}")
        return frozenset(type_ for type_, digit in zip(self._bits, digits, strict=False) if digit == "1")

    def __iter__(self) -> Iterator[_Member]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def could_hold(self, subject_type: str, type_: str, name: str) -> bool:
        """Return whether a plain subject of the one type could hold `name` on the other; not where there is no such."""
        return bool(self._masks.get((type_, name), 0) >> self._bits[subject_type] & 1)


def subject_types(schema: Schema) -> SubjectTypes:
    """Return, for each (type, name), the types of the plain subjects that could be members."""
    return _Reach(schema).found()


def nodes(rewrite: Rewrite) -> Iterator[Rewrite]:
    """Yield an expression's nodes in text order, itself first."""
    agenda = [rewrite]
    while agenda:
        node = agenda.pop()
        yield node
        agenda.extend(reversed(node.children()))


class _Reach:
    """What each name takes itself, as bits, and what it leans on."""

    def __init__(self, schema: Schema) -> None:
        self._bits = {type_: bit for bit, type_ in enumerate(schema.definitions)}
        self._own: dict[_Node, int] = {}
        self._below: dict[_Node, list[_Node]] = {}
        self._having: dict[str, dict[str, None]] = {}
        for definition in schema.definitions.values():
            for name in definition.names():
                self._own[definition.name, name] = 0
                self._having.setdefault(name, {})[definition.name] = None
        for definition in schema.definitions.values():
            self._relations(definition)
            self._permissions(definition)

    def _relations(self, definition: Definition) -> None:
        for relation in definition.relations.values():
            member = (definition.name, relation.name)
            below = self._below[member] = []
            for kind in relation.kinds:
                if kind.relation:
                    below.append((kind.type, kind.relation))
                else:
                    self._own[member] |= 1 << self._bits[kind.type]

    def _permissions(self, definition: Definition) -> None:
        behind: dict[str, dict[str, None]] = {}
        for permission in definition.permissions.values():
            member = (definition.name, permission.name)
            below = self._below[member] = []
            for rewrite in nodes(permission.rewrite):
                if isinstance(rewrite, SelfObject):
                    self._own[member] |= 1 << self._bits[definition.name]
                elif isinstance(rewrite, Name):
                    below.append((definition.name, rewrite.name))
                elif isinstance(rewrite, Arrow | AllArrow):
                    arrow = (definition.name, rewrite.tupleset, rewrite.name)
                    below.append(arrow)
                    if arrow not in self._below:
                        if rewrite.tupleset not in behind:
                            kinds = definition.relations[rewrite.tupleset].kinds
                            behind[rewrite.tupleset] = dict.fromkeys(kind.type for kind in kinds)
                        self._below[arrow] = self._targets(behind[rewrite.tupleset], rewrite.name)

    def _targets(self, types: dict[str, None], name: str) -> list[_Node]:
        """Return `name` on those of the types that have it, in the time of the shorter list."""
        having = self._having.get(name, {})
        few, many = (types, having) if len(types) < len(having) else (having, types)
        return [(type_, name) for type_ in few if type_ in many]

    def found(self) -> SubjectTypes:
        """Return what all names lead to."""
        masks: dict[_Node, int] = {}
        # Most names lead to the same few types: equal numbers are kept once.
        known: dict[int, int] = {}
        for group in _groups(self._own, self._below):
            mask = 0
            for node in group:
                mask |= self._own.get(node, 0)
                for next_ in self._below.get(node, ()):
                    mask |= masks.get(next_, 0)
            masks.update(dict.fromkeys(group, known.setdefault(mask, mask)))
        return SubjectTypes({(type_, name): masks[type_, name] for type_, name in self._own}, self._bits)


def _groups(roots: Iterable[_Node], below: Mapping[_Node, list[_Node]]) -> Iterator[list[_Node]]:
    """Yield all nodes, those that lean on one another together, and after what they lean on (Tarjan 1972)."""
    number: dict[_Node, int] = {}
    # The first met of the open nodes that a node leads back to.
    lowest: dict[_Node, int] = {}
    done: set[_Node] = set()
    open_: list[_Node] = []
    path: list[tuple[_Node, Iterator[_Node]]] = []

    def enter(node: _Node) -> None:
        number[node] = lowest[node] = len(number)
        open_.append(node)
        path.append((node, iter(below.get(node, ()))))

    for root in roots:
        if root not in number:
            enter(root)
        while path:
            node, rest = path[-1]
            next_ = next(rest, None)
            if next_ is not None:
                if next_ not in number:
                    enter(next_)
                elif next_ not in done:
                    lowest[node] = min(lowest[node], lowest[next_])
                continue
            path.pop()
            if path:
                above = path[-1][0]
                lowest[above] = min(lowest[above], lowest[node])
            if lowest[node] == number[node]:
                group = [open_.pop()]
                while group[-1] != node:
                    group.append(open_.pop())
                done.update(group)
                yield group

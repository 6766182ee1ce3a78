"""How much work an expression can be at most, told from the sizes of its values before it is evaluated.

The engines cannot be stopped: one counts rounds of macros and nothing else, the other nothing at all, and a text that
doubles in each of twenty nested macros is a million times as long. So the work is bounded beforehand, by walking the
tree with sizes in the place of values: what could be too much is not begun.

Rule 1: the bound is never too low: a size is at least that of any value that could stand there, and both sides of `||`
and of `? :` count. Too high is allowed, and an error, never an answer.
Rule 2: a unit of work is about a tenth of a microsecond. What data costs was measured with the C++ engine; what a step
costs, whatever it is made on, is the engine's to say: the one in Python takes a thousand times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.caveats.patterns import JOINED, pattern_work
from relgraph.caveats.syntax import Both, Call, Fold, Literal, Make, Select, Variable, children

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.caveats.syntax import Node

__all__ = ["SCALAR", "Size", "Work"]

_CHARACTERS: Final = 64
"""Characters that are copied or compared within one unit."""
_ROUND: Final = 3
_CIDR: Final = 150
_SUBTREE: Final = 150
_ZONE: Final = 30
_STEPS: Final = 20
"""Pairs of a character and a state of a pattern that are looked at within one unit."""
_CONTAINED: Final = 1_000
_TEXT_KNOWN: Final = 4_096
_SIZED: Final = {str, bytes, bytearray, list, dict}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a value is: characters of a text, or entries, of which `inner` is as large as the largest.

    `pattern` is the work that the text makes as a regular expression, `text` the text itself where it is the only one
    and is worth knowing. `weight` is the work of looking at all of it.
    """

    length: int = 0
    inner: Size | None = None
    pattern: int = 0
    text: str | None = None
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        each = self.inner.weight if self.inner else 0
        object.__setattr__(self, "weight", 1 + (self.length * each if self.inner else self.length // _CHARACTERS))


SCALAR: Final = Size()
"""A number, a boolean, null, a point in time, or any value that is not there."""


def _largest(sizes: Iterable[Size]) -> Size:
    """Return a size that none of these exceeds."""
    found = SCALAR
    for size in sizes:
        inner = found.inner
        if size.inner is not None:
            inner = size.inner if inner is None else _largest((inner, size.inner))
        found = Size(max(found.length, size.length), inner, max(found.pattern, size.pattern))
    return found


class Work:
    """The work of one expression, for values of any sizes."""

    __slots__ = ("_flat", "_literals", "_nodes", "_patterns", "_step", "_tree", "_weight")

    def __init__(self, tree: Node, step: int) -> None:
        nodes = list(_all(tree))
        self._tree = tree
        self._step = step
        self._nodes = len(nodes)
        self._patterns = any(isinstance(node, Call) and node.function == "matches" for node in nodes)
        # What looks at each of its operands once, and at nothing twice, needs no walk: see `within`.
        self._flat = not any(isinstance(node, Fold) or _is_steep(node) for node in nodes)
        self._literals = {node.start: self._literal(node) for node in nodes if isinstance(node, Literal)}
        self._weight = sum(size.weight for size in self._literals.values())

    def size_of(self, value: object) -> Size:
        """Return the size of a converted value."""
        if isinstance(value, str):
            length = len(value) if value.isascii() else len(value.encode())
            return Size(length, None, pattern_work(value), value) if self._patterns else Size(length)
        if isinstance(value, (bytes, bytearray)):
            return Size(len(value))
        if isinstance(value, list):
            if not value or {*map(type, value)}.isdisjoint(_SIZED):
                return Size(len(value), SCALAR)
            return Size(len(value), _largest({self.size_of(each) for each in value}))
        if isinstance(value, Mapping):
            return Size(len(value), _largest(self.size_of(each) for pair in value.items() for each in pair))
        return SCALAR

    def _literal(self, node: Literal) -> Size:
        if node.kind == "text":
            return self.size_of(node.value)
        return Size(len(node.value)) if node.kind == "bytes" else SCALAR

    def within(self, work_max: int, sizes: Mapping[str, Size]) -> bool:
        """Return whether the work is surely no more than this, where parameters have these sizes."""
        if self._flat:
            # No value is larger than all leaves together, and no operator does more than look at its operands.
            weight = self._weight + self._nodes * sum(size.weight for size in sizes.values())
            if self._nodes * (self._step + _CIDR + 20 * weight) <= work_max:
                return True
        return self.at_most(sizes) <= work_max

    def at_most(self, sizes: Mapping[str, Size]) -> int:
        """Return the units of work that evaluating takes at most, where parameters have these sizes."""
        return self._bound(self._tree, sizes)[1]

    def _bound(self, node: Node, sizes: Mapping[str, Size]) -> tuple[Size, int]:
        """Return the size of a node's value, and the work."""
        if isinstance(node, Literal):
            return self._literals[node.start], self._step
        if isinstance(node, Variable):
            size = sizes.get(node.name, SCALAR)
            return size, self._step + (0 if size.inner else size.weight)
        if isinstance(node, Select):
            size, work = self._bound(node.operand, sizes)
            return size.inner or SCALAR, work + self._step
        if isinstance(node, Fold):
            return self._fold(node, sizes)
        found = [self._bound(each, sizes) for each in node.operands]
        work = self._step + sum(each for _, each in found)
        parts = [size for size, _ in found]
        if isinstance(node, Both):
            return SCALAR, work + self._step * len(parts)
        if isinstance(node, Make):
            whole = Size(len(parts), _largest(parts)) if parts else SCALAR
            return whole, work + sum(1 + part.length // _CHARACTERS for part in parts)
        size, own = _call(node, parts)
        return size, work + own

    def _fold(self, node: Fold, sizes: Mapping[str, Size]) -> tuple[Size, int]:
        """Bound a macro: a round for each entry, and lists that are copied whenever they grow."""
        over, work = self._bound(node.range, sizes)
        entry = over.inner or SCALAR
        inside = {**sizes, node.variable: entry}
        rounds = over.length
        size = SCALAR
        for body in node.bodies:
            size, each = self._bound(body, inside)
            work += rounds * (_ROUND * self._step + each)
        if node.macro not in ("map", "filter"):
            return SCALAR, work
        return Size(rounds, entry if node.macro == "filter" else size), work + rounds * rounds


def _all(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    yield node
    for each in children(node):
        yield from _all(each)


def _is_steep(node: Node) -> bool:
    """Return whether a node can do more than look at each of its operands."""
    return isinstance(node, Call) and (node.function in ("matches", "contains") or node.function.startswith("get"))


def _call(node: Call, parts: list[Size]) -> tuple[Size, int]:
    """Bound a function or operator, its operands known."""
    name = node.function
    first = parts[0] if parts else SCALAR
    last = parts[-1] if parts else SCALAR
    if name == "?":
        return _largest(parts[1:]), 1
    if name == "[]":
        return first.inner or SCALAR, 1 + last.weight
    if name == "+" and len(parts) == 2:
        return _joined(first, last)
    if name == "in":
        each = last.inner.weight if last.inner else 0
        return SCALAR, 1 + last.length * min(first.weight, each)
    if name in ("==", "!=", "<", "<=", ">", ">="):
        return SCALAR, 1 + 2 * min(first.weight, last.weight)
    if name == "matches":
        return SCALAR, 20 + last.pattern + last.pattern * first.length // (_STEPS * _STEPS)
    if name == "contains":
        return SCALAR, 1 + first.weight + first.length * last.length // _CONTAINED
    if name == "in_cidr":
        return SCALAR, _CIDR
    if name == "isSubtreeOf":
        return SCALAR, _SUBTREE + 20 * (first.weight + last.weight)
    if name.startswith("get"):
        return SCALAR, 2 if len(parts) == 1 else _ZONE + last.weight
    if name in ("string", "bytes", "dyn"):
        # The text of a number or a point in time is short; a pattern nobody could bound is one nobody evaluates.
        length = max(first.length, 64)
        whole = first if first.inner else Size(length, None, JOINED * max(first.pattern, length * JOINED))
        return whole if name != "dyn" else first, 5 + first.weight
    return SCALAR, 1 + sum(part.weight for part in parts)


def _joined(first: Size, last: Size) -> tuple[Size, int]:
    """Bound `+`, which copies both where they are texts or lists."""
    length = first.length + last.length
    if first.inner or last.inner:
        return Size(length, _largest(part.inner for part in (first, last) if part.inner)), 1 + length
    work = 1 + length // _CHARACTERS
    if first.text is not None and last.text is not None and length <= _TEXT_KNOWN:
        text = first.text + last.text
        return Size(length, None, pattern_work(text), text), work + length // _CHARACTERS
    return Size(length, None, JOINED * (first.pattern + last.pattern)), work

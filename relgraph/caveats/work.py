"""How much work an expression can be at most, told from the sizes of its values before it is evaluated.

The engines cannot be stopped: one counts rounds of macros and nothing else, the other nothing at all, and a text that
doubles in each of twenty nested macros is a million times as long. So the work is bounded beforehand, by walking the
tree with sizes in the place of values: what could be too much is not begun.

Rule 1: the bound is never too low: a size is at least that of any value that could stand there, and both sides of `||`
and of `? :` count. Too high is allowed, and an error, never an answer.
Rule 2: a unit of work is about a tenth of a microsecond of the C++ engine; the figures below were measured with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.caveats.patterns import JOINED, pattern_work
from relgraph.caveats.syntax import Both, Call, Fold, Literal, Make, Select, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.caveats.syntax import Node

__all__ = ["SCALAR", "Size", "size_of", "work_of"]

_CHARACTERS: Final = 64
"""Characters that are copied or compared within one unit."""
_ROUND: Final = 3
_CIDR: Final = 150
_SUBTREE: Final = 100
_ZONE: Final = 30
_STEPS: Final = 20
"""Pairs of a character and a state of a pattern that are looked at within one unit."""
_CONTAINED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a value is: characters of a text, or entries, of which `inner` is as large as the largest.

    `pattern` is the work that the text makes as a regular expression. `weight` is the work of looking at all of it.
    """

    length: int = 0
    inner: Size | None = None
    pattern: int = 0
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        each = self.inner.weight if self.inner else 0
        object.__setattr__(self, "weight", 1 + (self.length * each if self.inner else self.length // _CHARACTERS))


SCALAR: Final = Size()
"""A number, a boolean, null, a point in time, or any value that is not there."""


def size_of(value: object, *, patterns: bool) -> Size:
    """Return the size of a converted value; `patterns` says that texts may be used as regular expressions."""
    if isinstance(value, str):
        length = len(value) if value.isascii() else len(value.encode())
        return Size(length, None, pattern_work(value) if patterns else 0)
    if isinstance(value, bytes):
        return Size(len(value))
    if isinstance(value, list):
        return Size(len(value), _largest(size_of(each, patterns=patterns) for each in value))
    if isinstance(value, Mapping):
        parts = (size_of(each, patterns=patterns) for pair in value.items() for each in pair)
        return Size(len(value), _largest(parts))
    return SCALAR


def _largest(sizes: Iterable[Size]) -> Size:
    """Return a size that none of these exceeds."""
    found = SCALAR
    for size in sizes:
        inner = found.inner
        if size.inner is not None:
            inner = size.inner if inner is None else _largest((inner, size.inner))
        if size is not found:
            found = Size(max(found.length, size.length), inner, max(found.pattern, size.pattern))
    return found


def work_of(node: Node, sizes: Mapping[str, Size]) -> int:
    """Return the units of work that evaluating the tree takes at most, where parameters have these sizes."""
    return _bound(node, sizes)[1]


def _bound(node: Node, sizes: Mapping[str, Size]) -> tuple[Size, int]:
    """Return the size of a node's value, and the work."""
    if isinstance(node, Literal):
        text = node.kind == "text"
        return size_of(node.value, patterns=True) if text or node.kind == "bytes" else SCALAR, 1
    if isinstance(node, Variable):
        size = sizes.get(node.name, SCALAR)
        return size, 1 if size.inner else size.weight
    if isinstance(node, Select):
        size, work = _bound(node.operand, sizes)
        return size.inner or SCALAR, work + 1
    if isinstance(node, Fold):
        return _fold(node, sizes)
    found = [_bound(each, sizes) for each in node.operands]
    work = sum(each for _, each in found)
    parts = [size for size, _ in found]
    if isinstance(node, Both):
        return SCALAR, work + len(parts)
    if isinstance(node, Make):
        whole = Size(len(parts), _largest(parts)) if parts else SCALAR
        return whole, work + 1 + sum(1 + part.length // _CHARACTERS for part in parts)
    size, own = _call(node, parts)
    return size, work + own


def _fold(node: Fold, sizes: Mapping[str, Size]) -> tuple[Size, int]:
    """Bound a macro: a round for each entry, and lists that are copied whenever they grow."""
    over, work = _bound(node.range, sizes)
    entry = over.inner or SCALAR
    inside = {**sizes, node.variable: entry}
    rounds = over.length
    size = SCALAR
    for body in node.bodies:
        size, each = _bound(body, inside)
        work += rounds * (_ROUND + each)
    if node.macro not in ("map", "filter"):
        return SCALAR, work
    return Size(rounds, entry if node.macro == "filter" else size), work + rounds * rounds


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
        inner = _largest(part.inner for part in parts if part.inner) if first.inner or last.inner else None
        joined = JOINED * (first.pattern + last.pattern)
        copied = (first.length + last.length) // (1 if inner else _CHARACTERS)
        return Size(first.length + last.length, inner, joined), 1 + copied
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

"""The grammar of a permission's expression: names, arrows, parentheses and the set operators.

Rule 1: which set operators there are, their symbols and how tightly they bind is read from their classes.
Rule 2: no Python recursion; parentheses wait on a list, so a hostile text meets `NESTING_MAX` and never the
interpreter's own limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, did_you_mean, quoted
from relgraph.rewrites import OPERATORS, AllArrow, Arrow, Exclusion, Name, Nil, Rewrite, SelfObject, SetOperator
from relgraph.schema.lexer import NAME, Token
from relgraph.tuples import check_relation

if TYPE_CHECKING:
    from relgraph.schema.cursor import Cursor

__all__ = ["NESTING_MAX", "SYMBOLS", "expression"]

NESTING_MAX: Final = 100
"""Levels of parentheses, and of operators within one another; `a - b - c` has one level for each `-`."""

_CLASSES: Final[tuple[type[object], ...]] = OPERATORS
SYMBOLS: Final[dict[str, type[SetOperator]]] = {
    operator.symbol: operator for operator in _CLASSES if issubclass(operator, SetOperator)
}

_FUNCTIONS: Final[dict[str, type[Arrow | AllArrow]]] = {"all": AllArrow, "any": Arrow}


@dataclass(slots=True)
class _Operand:
    """A finished sub-expression, with the offsets it covers and the levels of operators in it."""

    node: Rewrite
    start: int
    end: int
    depth: int


@dataclass(slots=True)
class _Pending:
    """An operator that may still take operands."""

    operator: type[SetOperator]
    operands: list[_Operand]


@dataclass(slots=True)
class _Level:
    """What is pending between one `(` and its `)`; tighter operators stand on looser ones."""

    opened: Token
    pending: list[_Pending] = field(default_factory=list)


def expression(cursor: Cursor) -> Rewrite:
    """Read one expression, up to the first token that cannot belong to it. Raises SchemaParseError."""
    levels = [_Level(cursor.token)]
    while True:
        while cursor.token.kind == "(":
            levels.append(_Level(cursor.advance()))
            if len(levels) > NESTING_MAX + 1:
                raise cursor.refused(_too_deep("parentheses"), levels[-1].opened)
        operand = _unit(cursor)
        operator = SYMBOLS.get(cursor.token.kind)
        while operator is None:
            operand = _finish(cursor, levels[-1], operand)
            if len(levels) == 1:
                return operand.node
            opened = levels.pop().opened
            closing = cursor.expect(")", "`)` or an operator")
            operand.start, operand.end = opened.start, closing.end
            _refuse_arrow(cursor, opened, "the left side of an arrow is one relation, not an expression")
            operator = SYMBOLS.get(cursor.token.kind)
        _take(cursor, levels[-1], operand, operator)
        cursor.advance()


def _take(cursor: Cursor, level: _Level, operand: _Operand, operator: type[SetOperator]) -> None:
    """Give `operand`, which `operator` follows, to the operator it belongs to."""
    while level.pending and level.pending[-1].operator.precedence > operator.precedence:
        operand = _close(cursor, level.pending.pop(), operand)
    if not level.pending or level.pending[-1].operator is not operator:
        level.pending.append(_Pending(operator, [operand]))
    elif operator is Exclusion:
        operand = _close(cursor, level.pending.pop(), operand)
        level.pending.append(_Pending(operator, [operand]))
    else:
        level.pending[-1].operands.append(operand)


def _finish(cursor: Cursor, level: _Level, operand: _Operand) -> _Operand:
    """Return all that is pending on a level, with `operand` as the last of it, as one operand."""
    while level.pending:
        operand = _close(cursor, level.pending.pop(), operand)
    return operand


def _close(cursor: Cursor, pending: _Pending, last: _Operand) -> _Operand:
    """Return the pending operator's node, with `last` as its last operand."""
    operands = [*pending.operands, last]
    start, end = operands[0].start, last.end
    depth = 1 + max(operand.depth for operand in operands)
    at = cursor.source.span(start, end)
    if depth > NESTING_MAX:
        place = cursor.source.span(last.start, last.end)
        raise cursor.source.problem(SchemaParseError, _too_deep(f"`{pending.operator.symbol}`"), place)
    node = pending.operator(tuple(operand.node for operand in operands), at)
    return _Operand(node, start, end, depth)


def _too_deep(what: str) -> str:
    """Return the text of the error for too many levels."""
    return f"{what} nested more than {NESTING_MAX} deep, give a part of the expression a permission of its own"


def _unit(cursor: Cursor) -> _Operand:
    """Read a name, an arrow, `nil` or `self`."""
    for word, leaf in (("nil", Nil), ("self", SelfObject)):
        if cursor.at_keyword(word):
            only = cursor.advance()
            advice = f"the left side of an arrow is a relation, and {quoted(word)} is none, name a relation"
            _refuse_arrow(cursor, only, advice)
            return _Operand(leaf(cursor.span(only)), only.start, only.end, 0)
    if cursor.token.kind != NAME:
        cursor.name("the name of a relation or permission, or `(`")
    first = cursor.advance()
    if cursor.token.kind not in ("->", "."):
        return _Operand(Name(first.text, cursor.span(first)), first.start, first.end, 0)
    called = cursor.token.kind == "."
    arrow, name, last = _target(cursor, first)
    right = cursor.checked(check_relation, name)
    advice = (
        f"arrows cannot follow one another; give the type that {quoted(first.text)} points at a permission of its "
        f"own for {quoted(right + '->…')}, say `reached`, and write {quoted(first.text + '->reached')} here"
    )
    _refuse_arrow(cursor, cursor.token, advice)
    at = cursor.span(first, last)
    node = Arrow(first.text, right, at, called) if arrow is Arrow else AllArrow(first.text, right, at)
    return _Operand(node, first.start, last.end, 0)


def _target(cursor: Cursor, left: Token) -> tuple[type[Arrow | AllArrow], Token, Token]:
    """Read `->name`, `.any(name)` or `.all(name)`; return the operator, the name's token and the last one."""
    if cursor.accept("->"):
        if cursor.token.kind == "(":
            raise cursor.refused(
                "the right side of an arrow is one name; give the expression a permission of its own on the type that "
                f"{quoted(left.text)} points at and name that here"
            )
        name = cursor.name("the name of a relation or permission after `->`")
        return Arrow, name, name
    cursor.expect(".", "`.`")
    function = cursor.name("`any` or `all` after `.`")
    arrow = _FUNCTIONS.get(function.text)
    if arrow is None:
        hint = did_you_mean(function.text, _FUNCTIONS)
        raise cursor.refused(f"{quoted(function.text)} is not an arrow function{hint}", function)
    cursor.expect("(", f"`(` after {quoted(function.text)}")
    name = cursor.name(f"the name of a relation or permission in {quoted(function.text + '(…)')}")
    return arrow, name, cursor.expect(")", "`)`")


def _refuse_arrow(cursor: Cursor, token: Token, message: str) -> None:
    """Raise SchemaParseError with `message` where an arrow follows."""
    if cursor.token.kind in ("->", "."):
        raise cursor.refused(message, token)

"""An expression spelled anew from its tree, as CEL's Go library does it: one spelling for all layouts of one.

Whoever compares what a SpiceDB tells of its caveats compares such texts.
Rule 1: the result means what the text meant; what only cel-go could spell is left as it was written.
Rule 2: comments are gone, texts stand in double quotes, and brackets only where they are needed, or where cel-go has
them always: around what `!`, `-` and `? :` apply to.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from relgraph.caveats.lexer import tokens
from relgraph.caveats.syntax import Both, Call, Fold, Literal, Make, Node, Select, Variable, parse_expression

__all__ = ["spelled"]

_WIDTH_MAX: Final = 80
# As an operator counts for the width: cel-go knows `&&` as `_&&_`.
_MARKS: Final = 2
_BINDING: Final = {
    "?": 8,
    "||": 7,
    "&&": 6,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 5),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 3),
}
"""How loosely an operator binds."""
_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}
_EXPONENT_MAX: Final = 6
_EXPONENT_MIN: Final = -4


def spelled(expression: str) -> str:
    """Return the expression's one spelling. Raises InvalidCaveat where it is none."""
    speller = _Speller(expression)
    speller.node(parse_expression(expression))
    return speller.text()


def _is_operator(node: Node) -> bool:
    """Whether a node is an operator on two or three operands."""
    return isinstance(node, Both) or (isinstance(node, Call) and len(node.operands) > 1 and node.function in _BINDING)


def _is_wide(node: Node) -> bool:
    """Whether cel-go brackets a node behind a sign and within `? :`: whatever has two arguments."""
    if isinstance(node, Call):
        return len(node.operands) - node.member > 1
    return isinstance(node, Both)


def _binding(node: Node) -> int:
    if isinstance(node, Both):
        return _BINDING[node.sign]
    return _BINDING[node.function] if isinstance(node, Call) and _is_operator(node) else 0


class _Speller:
    """Writes nodes one behind the other, and breaks the line behind `&&` and `||` where it has become long."""

    __slots__ = ("_parts", "_source", "_width")

    def __init__(self, source: str) -> None:
        self._source = source
        self._parts: list[str] = []
        self._width = 0

    def text(self) -> str:
        """Return what was written."""
        return "".join(self._parts)

    def node(self, node: Node) -> None:
        """Write a node."""
        if isinstance(node, Literal):
            self._write(self._literal(node))
        elif isinstance(node, Variable):
            self._write(node.name)
        elif isinstance(node, Select):
            self._select(node)
        elif isinstance(node, Both):
            self._both(node)
        elif isinstance(node, Make):
            self._make(node)
        elif isinstance(node, Fold):
            self._nested(node.range, bracketed=_is_operator(node.range))
            self._write(f".{node.macro}({node.variable}, ")
            self._list(node.bodies)
            self._write(")")
        else:
            self._call(node)

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._width += len(text.encode())

    def _nested(self, node: Node, *, bracketed: bool) -> None:
        if bracketed:
            self._write("(")
        self.node(node)
        if bracketed:
            self._write(")")

    def _list(self, nodes: tuple[Node, ...]) -> None:
        for index, each in enumerate(nodes):
            if index:
                self._write(", ")
            self.node(each)

    def _select(self, node: Select) -> None:
        if node.tested:
            self._write("has(")
        self._nested(node.operand, bracketed=not node.tested and _is_operator(node.operand))
        field = node.field if node.field.isidentifier() else f"`{node.field}`"
        self._write(f".{field})" if node.tested else f".{field}")

    def _both(self, node: Both) -> None:
        for index, each in enumerate(node.operands):
            if index and self._width + len(node.sign) + _MARKS >= _WIDTH_MAX:
                self._width = 0
                self._write(f" {node.sign}\n")
            elif index:
                self._write(f" {node.sign} ")
            self._nested(each, bracketed=_binding(each) > _BINDING[node.sign])

    def _make(self, node: Make) -> None:
        if node.kind == "list":
            self._write("[")
            self._list(node.operands)
            self._write("]")
            return
        self._write("{")
        for index, each in enumerate(node.operands):
            if index:
                self._write(": " if index % 2 else ", ")
            self.node(each)
        self._write("}")

    def _call(self, node: Call) -> None:
        operands = node.operands
        if node.function in ("!", "-") and len(operands) == 1:
            self._sign(node)
        elif node.function == "?":
            for index, each in enumerate(operands):
                self._write(("", " ? ", " : ")[index])
                self._nested(each, bracketed=_is_wide(each))
        elif node.function == "[]":
            self._nested(operands[0], bracketed=_is_operator(operands[0]))
            self._write("[")
            self.node(operands[1])
            self._write("]")
        elif _is_operator(node):
            binding = _BINDING[node.function]
            self._nested(operands[0], bracketed=_binding(operands[0]) > binding)
            self._write(f" {node.function} ")
            self._nested(operands[1], bracketed=_binding(operands[1]) >= binding)
        else:
            if node.member:
                self._nested(operands[0], bracketed=_is_operator(operands[0]))
                self._write(".")
            self._write(f"{node.function}(")
            self._list(operands[node.member :])
            self._write(")")

    def _sign(self, node: Call) -> None:
        """Write a sign, of which two are none."""
        signs = 0
        for token in tokens(self._source[node.start : node.end]):
            if token.kind != node.function:
                break
            signs += 1
        if signs % 2:
            self._write(node.function)
            self._nested(node.operands[0], bracketed=_is_wide(node.operands[0]))
        else:
            self.node(node.operands[0])

    def _literal(self, node: Literal) -> str:
        if node.kind == "text":
            text = "".join(map(_escaped, node.value))
            return f'"{text}"'
        if node.kind == "number":
            return _number(node.value)
        written = self._source[node.start : node.end]
        # An escape in bytes is one of them; a letter beyond ASCII is several, and can stay as it is.
        if node.kind == "bytes" and written.isascii():
            octets = "".join(f"\\{ord(each):03o}" for each in node.value)
            return f'b"{octets}"'
        return written


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _number(text: str) -> str:
    """Return a number with as few digits as say it."""
    if text[:2] in ("0x", "0X") or text.rstrip("uU").isdigit():
        unsigned = "u" if text[-1] in "uU" else ""
        digits = text.rstrip("uU")
        return f"{int(digits, 16 if digits[:2] in ('0x', '0X') else 10)}{unsigned}"
    value = float(text)
    numerals = Decimal(repr(value)).normalize().as_tuple().digits
    exponent = Decimal(repr(value)).adjusted()
    if value and not _EXPONENT_MIN <= exponent < _EXPONENT_MAX:
        first, rest = str(numerals[0]), "".join(map(str, numerals[1:]))
        return f"{first}{'.' if rest else ''}{rest}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    plain = f"{Decimal(repr(value)).normalize():f}"
    return plain if "." in plain else f"{plain}.0"

"""CEL's grammar: an expression's text to a tree, which knows where each of its parts stands.

The engines read the text themselves. The tree is for what they do not tell: which names an expression refers to, and
how much work it can be (`relgraph.caveats.work`).
Rule 1: macros are told from calls as CEL does, by name and number of arguments, and bind their variable only within.
Rule 2: no tree is deeper than `DEPTH_MAX`, so that whoever walks one may recurse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from relgraph.caveats.lexer import END, ESCAPED, NAME, NUMBER, TEXT, decoded, tokens
from relgraph.errors import InvalidCaveat, quoted

if TYPE_CHECKING:
    from relgraph.caveats.lexer import Token

__all__ = [
    "DEPTH_MAX",
    "MACROS",
    "RESERVED",
    "Both",
    "Call",
    "Fold",
    "Literal",
    "Make",
    "Node",
    "Select",
    "Variable",
    "children",
    "parse_expression",
]

DEPTH_MAX: Final = 32
"""How many operators, calls and brackets may stand in one another; the C++ engine takes no more."""

NODES_MAX: Final = 10_000
"""Names, values and operators in one expression."""

MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "filter": (2,), "map": (2, 3)}
"""The macros that bind a variable, with the numbers of arguments that make them one."""

RESERVED: Final = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    }
)
"""Words that name nothing in CEL."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it stands: `kind` is `text`, `bytes`, `number` or `word`; `value` is what a text says."""

    kind: str
    value: str
    start: int
    end: int
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that stands for a value."""

    name: str
    start: int
    end: int
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; `tested` within `has(…)`."""

    operand: Node
    field: str
    tested: bool
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator on its operands, the receiver first; the names of operators are their signs.

    `? :` is called `?`, an index `[]`; `-` with one operand is the sign.
    """

    function: str
    operands: tuple[Node, ...]
    member: bool
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Both:
    """Operands joined by `&&` or by `||`, however many."""

    sign: str
    operands: tuple[Node, ...]
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Make:
    """A list's entries, or a map's keys and values in turn; `kind` is `list` or `map`."""

    kind: str
    operands: tuple[Node, ...]
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Fold:
    """A macro: `bodies` are evaluated for each entry of `range`, which `variable` names within them only."""

    macro: str
    range: Node
    variable: str
    bodies: tuple[Node, ...]
    start: int
    end: int
    depth: int


Node: TypeAlias = Literal | Variable | Select | Call | Both | Make | Fold


def children(node: Node) -> tuple[Node, ...]:
    """Return the parts of a node, in text order."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Fold):
        return (node.range, *node.bodies)
    return () if isinstance(node, (Literal, Variable)) else node.operands


def parse_expression(text: str) -> Node:
    """Return the tree of an expression. Raises InvalidCaveat, with `offset` and `length` in its details."""
    return _Parser(text).whole()


_BINARY: Final = (
    frozenset({"==", "!=", "<", "<=", ">", ">=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)


class _Parser:
    """Recursive descent; the nesting and the number of nodes are counted while descending."""

    __slots__ = ("_at", "_nested", "_nodes", "_tokens")

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._nested = 0
        self._nodes = 0

    def whole(self) -> Node:
        """Read all of the text."""
        if self._token.kind == END:
            raise _refused("the expression is empty, write a condition", self._token)
        found = self._expression()
        if self._token.kind != END:
            raise self._unexpected("the end of the expression, or an operator")
        return found

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    @property
    def _kind(self) -> str:
        token = self._tokens[self._at]
        return "in" if token.kind == NAME and token.text == "in" else token.kind

    def _advance(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != END:
            self._at += 1
        return token

    def _expect(self, kind: str, wanted: str) -> Token:
        if self._token.kind != kind:
            raise self._unexpected(wanted)
        return self._advance()

    def _unexpected(self, wanted: str) -> InvalidCaveat:
        token = self._token
        found = "the end of the expression" if token.kind == END else quoted(token.text)
        return _refused(f"expected {wanted}, found {found}", token)

    def _deeper(self, *operands: Node) -> int:
        """Return the depth of a node above these, after counting it. Raises InvalidCaveat where it is too deep."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _refused(f"an expression has at most {NODES_MAX} values and operators, make it shorter", self._token)
        depth = 1 + max((each.depth for each in operands), default=0)
        if depth > DEPTH_MAX:
            raise self._too_deep()
        return depth

    def _too_deep(self) -> InvalidCaveat:
        message = f"operators and brackets stand in one another {DEPTH_MAX} deep at most, make the expression flatter"
        return _refused(message, self._token)

    def _expression(self) -> Node:
        self._nested += 1
        if self._nested > DEPTH_MAX:
            raise self._too_deep()
        found = self._logic("||")
        if self._kind == "?":
            self._advance()
            then = self._logic("||")
            self._expect(":", "`:` and what counts otherwise")
            other = self._expression()
            parts = (found, then, other)
            found = Call("?", parts, member=False, start=found.start, end=other.end, depth=self._deeper(*parts))
        self._nested -= 1
        return found

    def _logic(self, sign: str) -> Node:
        operands = [self._logic("&&") if sign == "||" else self._binary(0)]
        while self._kind == sign:
            self._advance()
            operands.append(self._logic("&&") if sign == "||" else self._binary(0))
        if len(operands) == 1:
            return operands[0]
        return Both(sign, tuple(operands), operands[0].start, operands[-1].end, self._deeper(*operands))

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        found = self._binary(level + 1)
        while self._kind in _BINARY[level]:
            sign = self._advance().text
            parts = (found, self._binary(level + 1))
            found = Call(sign, parts, member=False, start=found.start, end=parts[1].end, depth=self._deeper(*parts))
        return found

    def _unary(self) -> Node:
        first = self._token
        if first.kind not in ("!", "-"):
            return self._member()
        while self._token.kind == first.kind:
            self._advance()
        operand = self._member()
        depth = self._deeper(operand)
        return Call(first.text, (operand,), member=False, start=first.start, end=operand.end, depth=depth)

    def _member(self) -> Node:
        found = self._primary()
        while self._kind in (".", "["):
            if self._advance().kind == "[":
                parts = (found, self._expression())
                end = self._expect("]", "`]` behind the index").end
                found = Call("[]", parts, member=False, start=found.start, end=end, depth=self._deeper(*parts))
                continue
            field = self._field()
            if self._token.kind == "(" and field.kind == NAME:
                found = self._call(field, found)
            else:
                name = field.text.strip("`")
                depth = self._deeper(found)
                found = Select(found, name, tested=False, start=found.start, end=field.end, depth=depth)
        if self._token.kind == "{":
            raise _refused("messages are not made in a caveat, use the functions of their types", self._token)
        return found

    def _field(self) -> Token:
        if self._token.kind == "?":
            raise _refused("optional fields are not known here, ask `has(…)` first", self._token)
        return self._advance() if self._token.kind == ESCAPED else self._expect(NAME, "the name of a field")

    def _primary(self) -> Node:
        token = self._advance()
        if token.kind == "(":
            found = self._expression()
            self._expect(")", "`)`")
            return found
        if token.kind in ("[", "{"):
            return self._make(token)
        if token.kind in (TEXT, NUMBER):
            return self._literal(token)
        if token.kind == NAME and token.text in ("true", "false", "null"):
            self._deeper()
            return Literal("word", token.text, token.start, token.end)
        if token.kind == NAME and token.text not in RESERVED:
            if self._token.kind == "(":
                return self._call(token, None)
            self._deeper()
            return Variable(token.text, token.start, token.end)
        if token.kind == NAME and token.text != "in":
            raise _refused(f"{quoted(token.text)} is a reserved word of CEL, use another name", token)
        if token.kind == "." and self._token.kind == NAME:
            raise _refused(f"a name takes no dot before it, write {quoted(self._token.text)}", token)
        self._at -= token.kind != END
        raise self._unexpected("a value, a name or `(`")

    def _literal(self, token: Token) -> Literal:
        self._deeper()
        if token.kind == NUMBER:
            return Literal(NUMBER, token.text, token.start, token.end)
        try:
            value = decoded(token.text)
        except ValueError as error:
            message = f"{quoted(str(error))} is no escape, write a backslash as `\\\\`"
            raise _refused(message, token) from None
        return Literal("bytes" if token.text[0] in "bB" else TEXT, value, token.start, token.end)

    def _make(self, opened: Token) -> Make:
        """Read a list or a map, its bracket read already."""
        kind, closing = ("list", "]") if opened.kind == "[" else ("map", "}")
        entries: list[Node] = []
        while self._token.kind != closing:
            entries.append(self._expression())
            if kind == "map":
                self._expect(":", "`:` and a value")
                entries.append(self._expression())
            if self._token.kind != ",":
                break
            self._advance()
        end = self._expect(closing, f"{quoted(closing)} or `,`").end
        return Make(kind, tuple(entries), opened.start, end, self._deeper(*entries))

    def _call(self, name: Token, receiver: Node | None) -> Node:
        """Read the arguments of a function or macro."""
        opened = self._advance()
        arguments: list[Node] = []
        while not arguments or self._token.kind == ",":
            if arguments:
                self._advance()
            elif self._token.kind == ")":
                break
            arguments.append(self._expression())
        end = self._expect(")", "`)` or `,`").end
        start = name.start if receiver is None else receiver.start
        if receiver is None and name.text == "has":
            return self._has(arguments, opened, start, end)
        if receiver is not None and len(arguments) in MACROS.get(name.text, ()):
            variable = arguments[0]
            if not isinstance(variable, Variable):
                raise _refused(f"{quoted(name.text)} takes the name of a variable first", opened)
            depth = self._deeper(receiver, *arguments)
            return Fold(name.text, receiver, variable.name, tuple(arguments[1:]), start, end, depth)
        operands = (*(() if receiver is None else (receiver,)), *arguments)
        depth = self._deeper(*operands)
        return Call(name.text, operands, member=receiver is not None, start=start, end=end, depth=depth)

    def _has(self, arguments: list[Node], opened: Token, start: int, end: int) -> Select:
        """Return `has(operand.field)`."""
        found = arguments[0] if len(arguments) == 1 else None
        if not isinstance(found, Select) or found.tested:
            raise _refused("`has` takes one field, as in `has(request.owner)`", opened)
        return Select(found.operand, found.field, tested=True, start=start, end=end, depth=found.depth)


def _refused(message: str, token: Token) -> InvalidCaveat:
    length = max(1, token.end - token.start)
    return InvalidCaveat(message, {"offset": str(token.start), "length": str(length)})

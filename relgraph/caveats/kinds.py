"""What can be told of an expression's types without a type checker, for the engine that has none.

Rule 1: only what is surely wrong is refused, save for the result: what is not surely a condition is no condition.
The rest shows when it is evaluated, as a failure and never as an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.caveats.syntax import Both, Call, Fold, Literal, Make, Select, Variable
from relgraph.errors import InvalidCaveat, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.caveats.syntax import Node
    from relgraph.caveats.types import ParameterType

__all__ = ["FUNCTIONS", "check_kinds"]

FUNCTIONS: Final[Mapping[str, tuple[tuple[int, ...], str, str]]] = {
    **dict.fromkeys(("contains", "endsWith", "startsWith"), ((2,), "string", "bool")),
    **dict.fromkeys(("bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"), ((1,), "", "")),
    **dict.fromkeys(("dyn", "type"), ((1,), "", "")),
    "matches": ((2,), "string", "bool"),
    "size": ((1,), "", "int"),
    "in_cidr": ((2,), "ipaddress", "bool"),
    "isSubtreeOf": ((2,), "map", "bool"),
    "getDate": ((1, 2), "timestamp", "int"),
    "getDayOfMonth": ((1, 2), "timestamp", "int"),
    "getDayOfWeek": ((1, 2), "timestamp", "int"),
    "getDayOfYear": ((1, 2), "timestamp", "int"),
    "getFullYear": ((1, 2), "timestamp", "int"),
    "getHours": ((1, 2), "", "int"),
    "getMilliseconds": ((1, 2), "", "int"),
    "getMinutes": ((1, 2), "", "int"),
    "getMonth": ((1, 2), "timestamp", "int"),
    "getSeconds": ((1, 2), "", "int"),
}
"""The functions by name: numbers of operands, the kind that the first one must be, and the result's; empty for any."""

_COMPARED: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_COUNTED: Final = frozenset({"-", "*", "/", "%"})
_NUMBERS: Final = frozenset({"int", "double", "uint"})
_TIMES: Final = frozenset({"duration", "timestamp"})


def check_kinds(tree: Node, parameters: Mapping[str, ParameterType]) -> None:
    """Return if nothing in the expression is surely of a wrong type, and its result is a condition.

    Raises InvalidCaveat.
    """
    kinds = {name: _kind_of(type_) for name, type_ in parameters.items()}
    found = _kind(tree, kinds)
    if found != "bool":
        given = f"{quoted(found)}, and a condition is true or false" if found else "what may be no condition"
        raise _refused(f"the expression gives {given}, compare it with something", tree)


def _kind_of(type_: ParameterType) -> str:
    return {"any": "", "uint": "int"}.get(type_.name, type_.name)


def _refused(message: str, node: Node) -> InvalidCaveat:
    return InvalidCaveat(message, {"offset": str(node.start), "length": str(max(1, node.end - node.start))})


def _kind(node: Node, kinds: Mapping[str, str]) -> str:
    """Return the kind of a node's value, empty where it cannot be told."""
    if isinstance(node, Literal):
        return _literal(node)
    if isinstance(node, Variable):
        return kinds.get(node.name, "")
    if isinstance(node, Select):
        if node.tested and not isinstance(node.operand, Variable):
            raise _refused(
                "`has` is asked of a name, as in `has(request.owner)`, and of a field in the next step", node
            )
        if _kind(node.operand, kinds) not in ("", "map"):
            raise _refused("a field is asked of what has none", node)
        return "bool" if node.tested else ""
    if isinstance(node, Fold):
        if _kind(node.range, kinds) not in ("", "list", "map"):
            raise _refused(f"{quoted(node.macro)} goes through a list or a map, and this is neither", node.range)
        found = [_kind(each, {**kinds, node.variable: ""}) for each in node.bodies]
        if found[0] not in ("", "bool") and (node.macro != "map" or len(found) == 2):
            raise _refused(f"{quoted(node.macro)} takes a condition", node.bodies[0])
        return "list" if node.macro in ("map", "filter") else "bool"
    found = [_kind(each, kinds) for each in node.operands]
    if isinstance(node, Make):
        return node.kind
    if isinstance(node, Both):
        wrong = next((each for each, kind in zip(node.operands, found, strict=True) if kind not in ("", "bool")), None)
        if wrong is not None:
            raise _refused(f"{quoted(node.sign)} joins conditions, and this is none", wrong)
        return "bool"
    return _call(node, found)


def _literal(node: Literal) -> str:
    if node.kind == "word":
        return "null" if node.value == "null" else "bool"
    if node.kind == "number":
        if node.value[-1] in "uU":
            return "uint"
        if not (node.value.isdigit() or node.value[:2] in ("0x", "0X")):
            return "double"
        # Its sign is an operator: the least number is written one too large.
        if int(node.value, 0 if node.value[:2] in ("0x", "0X") else 10) > 2**63:
            raise _refused("the number is too large, at most 64 bits are allowed", node)
        return "int"
    return "string" if node.kind == "text" else "bytes"


def _call(node: Call, found: list[str]) -> str:
    """Return the kind of a function's or operator's result."""
    name = node.function
    first, last = found[0] if found else "", found[-1] if found else ""
    if name in _COMPARED:
        if first and last and first != last:
            raise _refused(f"{quoted(name)} compares {quoted(first)} with {quoted(last)}, make them one type", node)
        return "bool"
    if name == "in":
        if last not in ("", "list", "map"):
            raise _refused("`in` looks into a list or a map, and this is neither", node.operands[-1])
        return "bool"
    if name == "!":
        if first not in ("", "bool"):
            raise _refused("`!` turns a condition round, and this is none", node)
        return "bool"
    if name == "?":
        if first not in ("", "bool"):
            raise _refused("`?` asks a condition, and this is none", node.operands[0])
        return last if found[1] == last else ""
    if name == "[]":
        if first not in ("", "list", "map"):
            raise _refused("an index is asked of what has none", node)
        return ""
    if name == "+" or name in _COUNTED:
        return _counted(node, first, last)
    return _function(node, first)


def _counted(node: Call, first: str, last: str) -> str:
    allowed = {"", *_NUMBERS, *_TIMES} | ({"string", "bytes", "list"} if node.function == "+" else set())
    if {first, last} <= allowed and (not first or not last or first == last or {first, last} <= _TIMES):
        return first if first == last and first not in _TIMES else ""
    raise _refused(f"{quoted(node.function)} is not made for {quoted(first)} and {quoted(last)}", node)


def _function(node: Call, first: str) -> str:
    """Return the kind of a function's result. Raises InvalidCaveat for one that CEL does not have."""
    name = node.function
    if name not in FUNCTIONS:
        raise _refused(f"{quoted(name)} is not a function of CEL{did_you_mean(name, FUNCTIONS)}", node)
    counts, wanted, result = FUNCTIONS[name]
    if len(node.operands) not in counts:
        raise _refused(f"{quoted(name)} takes another number of values", node)
    if wanted and first and first != wanted:
        raise _refused(f"{quoted(name)} is asked of {quoted(wanted)}, and this is {quoted(first)}", node.operands[0])
    if not wanted and not result:
        return "" if name in ("dyn", "type") else name
    return result

"""The engine of `cel-expr-python`: CEL in C++, type-checked when it is compiled.

Rule 1: what the library says of a failure may hold values, so a table of its phrases decides what is told.
Rule 2: an `ipaddress` is a type of its own while types are checked, which the library cannot evaluate: the expression
is compiled a second time with texts in its place, and that is what runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cel_expr_python import cel

from relgraph.caveats.engine import TOO_MUCH
from relgraph.caveats.functions import in_cidr, is_subtree_of
from relgraph.errors import InvalidCaveat, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.caveats.engine import Program
    from relgraph.caveats.syntax import Node
    from relgraph.caveats.types import ParameterType

__all__ = ["ENGINE"]

_TYPE = cel.Type
_ADDRESS: Final = _TYPE.AbstractType("ipaddress")
_SCALARS: Final = {
    "any": _TYPE.DYN,
    "bool": _TYPE.BOOL,
    "bytes": _TYPE.BYTES,
    "double": _TYPE.DOUBLE,
    "duration": _TYPE.DURATION,
    "int": _TYPE.INT,
    "string": _TYPE.STRING,
    "timestamp": _TYPE.TIMESTAMP,
    "uint": _TYPE.INT,
}
_TREE: Final = _TYPE.Map(_TYPE.STRING, _TYPE.DYN)

_PROBLEM: Final = re.compile(r"ERROR: <input>:([0-9]+):([0-9]+): (.*)")
_FAILURES: Final = (
    ("iteration budget", TOO_MUCH),
    ("divide by zero", "it divides by zero"),
    ("modulus by zero", "it divides by zero"),
    ("key not found", "it asks a map for a key that is not there"),
    ("no such key", "it asks a map for a key that is not there"),
    ("index", "it asks a list for an entry that is not there"),
    ("no network", "it asks for a network that is none, write one as `10.0.0.0/8`"),
    ("overflow", "a number in it is too large"),
    ("out of range", "a number in it is too large"),
    ("range", "a value in it is too large"),
    ("no matching overload", "an operator in it is not made for the values given"),
    ("cannot convert", "a text in it is not what it is converted to"),
    ("conversion failed", "a text in it is not what it is converted to"),
    ("regex", "a pattern in it is no regular expression"),
    ("pattern", "a pattern in it is no regular expression"),
)
_OTHER_FAILURE: Final = "it cannot be evaluated with the values given"


def _extension(address: cel.Type) -> cel.CelExtension:
    """Return relgraph's functions, with the type that an address has."""
    cidr = cel.Overload("ip_in_cidr", _TYPE.BOOL, [address, _TYPE.STRING], is_member=True, impl=in_cidr)
    subtree = cel.Overload("map_is_subtree_of", _TYPE.BOOL, [_TREE, _TREE], is_member=True, impl=is_subtree_of)
    return cel.CelExtension(
        "relgraph", [cel.FunctionDecl("in_cidr", [cidr]), cel.FunctionDecl("isSubtreeOf", [subtree])]
    )


def _type(type_: ParameterType, address: cel.Type) -> cel.Type:
    if type_.inner is not None:
        inner = _type(type_.inner, address)
        return _TYPE.List(inner) if type_.name == "list" else _TYPE.Map(_TYPE.STRING, inner)
    return address if type_.name == "ipaddress" else _SCALARS[type_.name]


def _compiled(text: str, parameters: Mapping[str, ParameterType], address: cel.Type) -> cel.Expression:
    variables = {name: _type(type_, address) for name, type_ in parameters.items()}
    environment = cel.NewEnv(variables=variables, extensions=[_extension(address)])
    return environment.compile(text)


class _Program:
    """An expression of the library's."""

    __slots__ = ("_expression",)

    def __init__(self, expression: cel.Expression) -> None:
        self._expression = expression
        # What it prepares when it is run first, a few microseconds for each operator, is done here.
        expression.eval(data={})

    def run(self, values: Mapping[str, object], /) -> bool | str:
        """Return the value, or why there is none."""
        try:
            found = self._expression.eval(data=dict(values))
            value = found.value()
        except RuntimeError as error:
            return _failure(str(error))
        return value if isinstance(value, bool) else _failure(str(value))


def _failure(text: str) -> str:
    lowered = text.lower()
    return next((words for phrase, words in _FAILURES if phrase in lowered), _OTHER_FAILURE)


class _Native:
    """The library as an engine."""

    step: Final = 1

    def compile(self, text: str, tree: Node, parameters: Mapping[str, ParameterType], /) -> Program:  # noqa: ARG002
        """Check the types, then return what runs."""
        try:
            checked = _compiled(text, parameters, _ADDRESS)
            result = checked.return_type()
            if result != _TYPE.BOOL:
                given = "a value of any type" if result == _TYPE.DYN else quoted(result.name().lower())
                message = f"the expression gives {given}, and a condition is true or false, compare it with something"
                raise InvalidCaveat(message, {"offset": "0", "length": str(max(1, len(text)))})
            return _Program(_compiled(text, parameters, _TYPE.STRING))
        except RuntimeError as error:
            raise _refused(text, str(error)) from None


def _refused(text: str, problem: str) -> InvalidCaveat:
    """Return what the library says of a text, with its place there."""
    match = _PROBLEM.search(problem)
    if match is None or match[1] == "0":
        told = "operators and brackets stand in one another too deep, make the expression flatter"
        if "recursion" not in problem:
            told = "the expression cannot be compiled, make it simpler"
        return InvalidCaveat(told, {"offset": "0", "length": "1"})
    lines = text.split("\n")
    line, column = int(match[1]), int(match[2])
    before = sum(len(each) + 1 for each in lines[: line - 1])
    words = match[3].partition(" (in container")[0].replace("'", "`")
    words = words[:1].lower() + words[1:]
    return InvalidCaveat(words.rstrip("."), {"offset": str(min(before + column - 1, len(text))), "length": "1"})


ENGINE: Final = _Native()

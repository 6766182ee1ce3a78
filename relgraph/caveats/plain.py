"""The engine of `cel-python`: CEL in Python, where the C++ one has no wheel. It is slower, and checks no types.

Rule 1: what it is known to do otherwise is listed in `tests/test_caveats_engines.py`: it may fail where the other
answers, and never answers otherwise.
Rule 2: what is wrong for sure is refused when it is compiled (`relgraph.caveats.kinds`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import celpy
import re2
from celpy import celtypes
from celpy.evaluation import base_functions

from relgraph.caveats.convert import duration
from relgraph.caveats.functions import in_cidr, is_subtree_of
from relgraph.caveats.kinds import check_kinds
from relgraph.caveats.lexer import TEXT, tokens
from relgraph.caveats.syntax import Select, Variable, children
from relgraph.errors import InvalidCaveat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.caveats.engine import Program
    from relgraph.caveats.syntax import Node
    from relgraph.caveats.types import ParameterType

__all__ = ["ENGINE"]

_FAILURES: Final = (
    ("divide by zero", "it divides by zero"),
    ("no such member", "it asks a map for a key that is not there"),
    ("no such key", "it asks a map for a key that is not there"),
    ("no network", "it asks for a network that is none, write one as `10.0.0.0/8`"),
    ("pattern", "a pattern in it is no regular expression"),
    ("invalid_argument", "it asks a list for an entry that is not there"),
    ("index", "it asks a list for an entry that is not there"),
    ("no matching overload", "an operator in it is not made for the values given"),
    ("overflow", "a number in it is too large"),
)
# It logs the values that a function failed with, and they may be anybody's.
logging.getLogger("celpy").setLevel(logging.CRITICAL + 1)

_OTHER_FAILURE: Final = "it cannot be evaluated with the values given"


def _given(value: object) -> object:
    """Return a converted value as the library has it."""
    if isinstance(value, bool):
        return celtypes.BoolType(value)
    if isinstance(value, list):
        return celtypes.ListType([_given(each) for each in value])
    if isinstance(value, Mapping):
        return celtypes.MapType({celtypes.StringType(key): _given(each) for key, each in value.items()})
    made: Callable[[object], object] | None = next((each for type_, each in _MADE if isinstance(value, type_)), None)
    return value if made is None else made(value)


_MADE: Final[tuple[tuple[type, Callable[[object], object]], ...]] = (
    (int, celtypes.IntType),
    (float, celtypes.DoubleType),
    (str, celtypes.StringType),
    (bytearray, celtypes.BytesType),
    (datetime, celtypes.TimestampType),
    (timedelta, celtypes.DurationType),
)


def _taken(value: object) -> object:
    """Return a value of the library's as Python has it."""
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    if isinstance(value, list):
        return [_taken(each) for each in value]
    return {str(key): _taken(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _is_subtree_of(part: object, whole: object) -> object:
    one, other = _taken(part), _taken(whole)
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise TypeError("no matching overload")
    return celtypes.BoolType(is_subtree_of(one, other))


def _in_cidr(address: object, cidr: object) -> object:
    return celtypes.BoolType(in_cidr(str(address), str(cidr)))


def _duration(text: object) -> object:
    return celtypes.DurationType(duration(str(text)))


def _matches(text: object, pattern: object) -> object:
    # The library's own writes a pattern that is none, which may come from a request, to the log.
    options = re2.Options()
    options.log_errors = False
    try:
        return celtypes.BoolType(re2.compile(str(pattern), options).search(str(text)) is not None)
    except re2.error:
        raise ValueError("pattern") from None


def _confuses(one: object, other: object) -> bool:
    """Return whether a boolean would be compared with what is none: to the library, `true` is the number 1."""
    if isinstance(one, list) and isinstance(other, list):
        return any(map(_confuses, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return any(_confuses(value, other[key]) for key, value in one.items() if key in other)
    return isinstance(one, celtypes.BoolType) != isinstance(other, celtypes.BoolType)


def _guarded(sign: str) -> Callable[[object, object], object]:
    """Return the library's comparison, which fails where it would confuse truth and numbers."""
    compare = base_functions[sign]

    def compared(one: object, other: object) -> object:
        for each in other if sign == "_in_" and isinstance(other, (list, Mapping)) else (other,):
            if _confuses(one, each):
                raise TypeError("no matching overload")
        return compare(one, other)

    return compared


# The library's own `duration` knows days, which CEL does not.
_FUNCTIONS: Final = {
    **{sign: _guarded(sign) for sign in ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_in_")},
    "duration": _duration,
    "in_cidr": _in_cidr,
    "isSubtreeOf": _is_subtree_of,
    "matches": _matches,
}


class _Program:
    """An expression of the library's, which of its parameters are of `any`, and which ones it asks `has` of."""

    __slots__ = ("_loose", "_runner", "_tested")

    def __init__(self, runner: celpy.Runner, loose: frozenset[str], tested: frozenset[str]) -> None:
        self._runner = runner
        self._loose = loose
        self._tested = tested

    def run(self, values: Mapping[str, object], /) -> bool | str:
        """Return the value, or why there is none."""
        if not self._tested.issubset(values):
            # The library takes what is not there at all for what lacks the field.
            return _OTHER_FAILURE
        given = {name: _given(_whole(value) if name in self._loose else value) for name, value in values.items()}
        try:
            found = self._runner.evaluate(given)
        except Exception as error:  # noqa: BLE001  # the library lets any error of Python's through
            lowered = str(error).lower()
            return next((words for phrase, words in _FAILURES if phrase in lowered), _OTHER_FAILURE)
        return bool(found) if isinstance(found, celtypes.BoolType) else _OTHER_FAILURE


def _whole(value: object) -> object:
    """Return a value of `any` with its whole numbers as such: the library does not compare 1.0 with 1."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _whole(each) for key, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_loose(type_: ParameterType) -> bool:
    return type_.name == "any" or (type_.inner is not None and _is_loose(type_.inner))


def _tested(node: Node) -> Iterator[str]:
    """Yield the names that `has` is asked of."""
    if isinstance(node, Select) and node.tested and isinstance(node.operand, Variable):
        yield node.operand.name
    for each in children(node):
        yield from _tested(each)


def _refuse_long_texts(text: str) -> None:
    """Raise InvalidCaveat for a text in three quotation marks, which the library reads otherwise."""
    for token in tokens(text):
        if token.kind == TEXT and token.text.lstrip("bBrR")[:3] in ("'''", '"""'):
            details = {"offset": str(token.start), "length": str(token.end - token.start)}
            raise InvalidCaveat("a text stands in single quotation marks here, write a line end as `\\n`", details)


class _Plain:
    """The library as an engine."""

    step: Final = 1_500

    def compile(self, text: str, tree: Node, parameters: Mapping[str, ParameterType], /) -> Program:
        """Check what can be checked, then return what runs."""
        check_kinds(tree, parameters)
        _refuse_long_texts(text)
        environment = celpy.Environment()
        loose = frozenset(name for name, type_ in parameters.items() if _is_loose(type_))
        try:
            runner = environment.program(environment.compile(text), functions=dict(_FUNCTIONS))
            return _Program(runner, loose, frozenset(_tested(tree)).intersection(parameters))
        except celpy.CELParseError:
            details = {"offset": str(tree.start), "length": str(max(1, tree.end - tree.start))}
            raise InvalidCaveat("the expression cannot be compiled, make it simpler", details) from None


ENGINE: Final = _Plain()

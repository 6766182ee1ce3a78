"""A caveat: parameters, an expression over them, and what it is worth under what they are given.

Rule 1: a value that is not given may not matter, and then the answer is a plain one.
Rule 2: where it does matter, the answer is open and names every parameter that the expression refers to and nobody
gave. That is so as well where something else failed on the way: what is given later may make that not matter.
Rule 3: what is stored with a tuple wins over what a request says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from relgraph.caveats.checks import check_names, check_parameters
from relgraph.caveats.convert import converted
from relgraph.caveats.engine import TOO_MUCH, WORK_MAX, engine_here
from relgraph.caveats.syntax import parse_expression
from relgraph.caveats.types import ParameterType, parse_type
from relgraph.caveats.work import Work
from relgraph.errors import InvalidCaveat, InvalidContext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relgraph.caveats.engine import Engine, Program
    from relgraph.caveats.work import Size

__all__ = ["EXPRESSION_CHARACTERS_MAX", "UNBOUND", "Bound", "Caveat", "Outcome", "compile_caveat"]

EXPRESSION_CHARACTERS_MAX: Final = 100_000
"""How long an expression may be."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The values of some of a caveat's parameters, converted, with the sizes that they have."""

    values: Mapping[str, object] = field(repr=False)
    sizes: Mapping[str, Size] = field(repr=False)


UNBOUND: Final = Bound(MappingProxyType({}), MappingProxyType({}))
"""No values at all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a caveat is worth: `value`, or the names that are `missing`, or why it `failed`; exactly one of them."""

    value: bool | None = None
    missing: frozenset[str] = frozenset()
    failed: str = ""


_HOLDS: Final = Outcome(value=True)
_FAILS: Final = Outcome(value=False)
_TOO_MUCH: Final = Outcome(failed=TOO_MUCH)


@dataclass(frozen=True, slots=True, eq=False)
class Caveat:
    """A compiled caveat; immutable, and many threads may evaluate it at once.

    `expression` is the text as written, `referenced` the parameters that it refers to, which are all of them.
    """

    name: str
    parameters: Mapping[str, ParameterType]
    expression: str
    referenced: frozenset[str]
    _work: Work = field(repr=False)
    _program: Program = field(repr=False)

    def convert(self, context: Mapping[str, object]) -> Bound:
        """Return the values that a context gives this caveat's parameters; other names in it are passed over.

        Raises InvalidContext naming the parameter, and never its value.
        """
        values: dict[str, object] = {}
        for name, type_ in self.parameters.items():
            if name in context:
                try:
                    values[name] = converted(name, type_, context[name])
                except InvalidContext as error:
                    error.details["caveat"] = self.name
                    raise
        if not values:
            return UNBOUND
        return Bound(values, {name: self._work.size_of(value) for name, value in values.items()})

    def evaluate(self, stored: Bound, request: Bound = UNBOUND) -> Outcome:
        """Return what the caveat is worth; nothing here raises."""
        values, sizes = {**request.values, **stored.values}, {**request.sizes, **stored.sizes}
        if not self._work.within(WORK_MAX, sizes):
            return _TOO_MUCH
        found = self._program.run(values)
        if isinstance(found, bool):
            return _HOLDS if found else _FAILS
        missing = self.referenced.difference(values)
        if missing and found != TOO_MUCH:
            return Outcome(missing=missing)
        return Outcome(failed=found)


def compile_caveat(
    name: str, parameters: Sequence[tuple[str, str | ParameterType]], expression: str, *, engine: Engine | None = None
) -> Caveat:
    """Return the caveat of these parameters, in order, and this expression, for the engine that serves here.

    Raises InvalidCaveat, with `offset` and `length` in the expression or `index`, a parameter's, in its details, and
    Unsupported where no library for CEL is installed. The same caveat is compiled once, however many schemas have it.
    """
    if len(expression) > EXPRESSION_CHARACTERS_MAX:
        raise InvalidCaveat(
            f"the expression has {len(expression)} characters, at most {EXPRESSION_CHARACTERS_MAX} are allowed",
            {"offset": "0", "length": "1"},
        )
    try:
        expression.encode()
    except UnicodeEncodeError as half:
        raise InvalidCaveat(
            "the expression holds half a character, remove it", {"offset": str(half.start), "length": "1"}
        ) from None
    typed = tuple((each, parse_type(type_) if isinstance(type_, str) else type_) for each, type_ in parameters)
    return _compiled(name, typed, expression, engine or engine_here())


@lru_cache(maxsize=1024)
def _compiled(name: str, parameters: tuple[tuple[str, ParameterType], ...], expression: str, engine: Engine) -> Caveat:
    check_parameters(parameters)
    declared = dict(parameters)
    tree = parse_expression(expression)
    referenced = check_names(tree, declared)
    program = engine.compile(expression, tree, declared)
    return Caveat(name, MappingProxyType(declared), expression, referenced, Work(tree, engine.step), program)

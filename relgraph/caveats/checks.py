"""What a caveat's parameters and the names in its expression must be, before any engine sees them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relgraph.caveats.syntax import RESERVED, Fold, Variable, children
from relgraph.errors import InvalidCaveat, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from relgraph.caveats.syntax import Node
    from relgraph.caveats.types import ParameterType

__all__ = ["TYPE_NAMES", "check_names", "check_parameters"]

TYPE_NAMES: Final = frozenset(
    {"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"}
)
"""Names that stand for types in an expression, as in `type(value) == string`."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_CHARACTERS_MAX: Final = 64
_PARAMETERS_MAX: Final = 64
_TYPES_OF_MESSAGES: Final = "google"


def check_parameters(parameters: Sequence[tuple[str, ParameterType]]) -> None:
    """Return if a caveat can have these parameters. Raises InvalidCaveat, with `parameter` in its details."""
    if not parameters:
        raise InvalidCaveat("a caveat has at least one parameter, as in `caveat within(limit int) { limit < 5 }`")
    if len(parameters) > _PARAMETERS_MAX:
        raise InvalidCaveat(f"a caveat has at most {_PARAMETERS_MAX} parameters, put some of them into a `map<any>`")
    seen: set[str] = set()
    for index, (name, _) in enumerate(parameters):
        details = {"parameter": name, "index": str(index)}
        if name in seen:
            raise InvalidCaveat(f"the parameter {quoted(name)} stands twice, rename or remove one", details)
        seen.add(name)
        if not _NAME.fullmatch(name) or len(name) > _NAME_CHARACTERS_MAX:
            message = (
                f"{quoted(name)} cannot name a parameter; use letters a-z and A-Z, digits and _, no digit first, at "
                f"most {_NAME_CHARACTERS_MAX} in all"
            )
            raise InvalidCaveat(message, details)
        if name in RESERVED or name in TYPE_NAMES or name == "__result__":
            raise InvalidCaveat(f"{quoted(name)} is a word of CEL, choose another name for the parameter", details)


def check_names(tree: Node, parameters: Collection[str]) -> frozenset[str]:
    """Return the parameters that an expression refers to, which must be all of them. Raises InvalidCaveat.

    A variable of a macro is none, nor is a field's name or the key of a map, even where it is spelled the same.
    """
    found: set[str] = set()
    for variable in _free(tree, frozenset()):
        if variable.name in parameters:
            found.add(variable.name)
        elif variable.name not in TYPE_NAMES and variable.name != _TYPES_OF_MESSAGES:
            hint = did_you_mean(variable.name, parameters)
            details = {"offset": str(variable.start), "length": str(variable.end - variable.start)}
            raise InvalidCaveat(f"{quoted(variable.name)} is not a parameter of the caveat{hint}", details)
    for index, name in enumerate(parameters):
        if name not in found:
            message = f"the parameter {quoted(name)} is not used in the expression, use or remove it"
            raise InvalidCaveat(message, {"parameter": name, "index": str(index), "unused": "true"})
    return frozenset(found)


def _free(node: Node, inside: frozenset[str]) -> Iterator[Variable]:
    """Yield the variables that no macro around them binds."""
    if isinstance(node, Variable):
        if node.name not in inside:
            yield node
    elif isinstance(node, Fold):
        yield from _free(node.range, inside)
        for body in node.bodies:
            yield from _free(body, inside | {node.variable})
    else:
        for each in children(node):
            yield from _free(each, inside)

"""The types that a caveat's parameters can have, as SpiceDB names them.

Rule 1: a type is a name, with one type inside for lists and maps; keys of maps are always strings.
Rule 2: `uint` is a whole number of at least 0 that expressions see as an `int`, as in SpiceDB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidCaveat, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CONTAINERS", "NAMES", "ParameterType", "parameter_type", "parse_type"]

CONTAINERS: Final = ("list", "map")
"""The types with a type inside."""

NAMES: Final = (
    "any",
    "bool",
    "bytes",
    "double",
    "duration",
    "int",
    "ipaddress",
    *CONTAINERS,
    "string",
    "timestamp",
    "uint",
)
"""All names of types."""

_DEPTH_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class ParameterType:
    """What a parameter can hold; `inner` is the type of a list's or a map's values, None for all others."""

    name: str
    inner: ParameterType | None = None

    def __str__(self) -> str:
        return f"{self.name}<{self.inner}>" if self.inner else self.name

    @property
    def depth(self) -> int:
        """How many types stand in one another."""
        return 1 + (self.inner.depth if self.inner else 0)


def parameter_type(name: str, inner: Sequence[ParameterType] = ()) -> ParameterType:
    """Return the type of this name with the types between its `<` and `>`. Raises InvalidCaveat."""
    if name not in NAMES:
        raise InvalidCaveat(f"{quoted(name)} is not a type of parameters{did_you_mean(name, NAMES)}")
    if name not in CONTAINERS:
        if inner:
            raise InvalidCaveat(f"{quoted(name)} takes no type of values, write it without `<…>`")
        return ParameterType(name)
    if len(inner) != 1:
        example = f"{name}<{inner[-1] if inner else 'string'}>"
        keys = ", its keys are always strings" if name == "map" else ""
        raise InvalidCaveat(f"{quoted(name)} takes the type of its values{keys}, write {quoted(example)}")
    found = ParameterType(name, inner[0])
    if found.depth > _DEPTH_MAX:
        raise InvalidCaveat(f"types stand in one another {_DEPTH_MAX} deep at most, use `any` for what is deeper")
    return found


def parse_type(text: str) -> ParameterType:
    """Read `int` or `list<string>`. Raises InvalidCaveat."""
    names: list[str] = []
    rest = text.strip()
    while rest.endswith(">") and "<" in rest:
        name, _, rest = rest[:-1].partition("<")
        names.append(name.strip())
        rest = rest.strip()
        if len(names) > _DEPTH_MAX:
            raise InvalidCaveat(f"types stand in one another {_DEPTH_MAX} deep at most, use `any` for what is deeper")
    found = parameter_type(rest)
    for name in reversed(names):
        found = parameter_type(name, (found,))
    return found

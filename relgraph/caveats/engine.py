"""The one joint between caveats and the libraries that evaluate CEL, and which of them serves here.

`cel-expr-python` (C++, type-checked) where it can be imported, else `cel-python` (Python, slower, not type-checked):
`relgraph.caveats.native` and `relgraph.caveats.plain`. Neither is imported before a schema has a caveat.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, cast

from relgraph.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.caveats.syntax import Node
    from relgraph.caveats.types import ParameterType

__all__ = ["TOO_MUCH", "WORK_MAX", "Engine", "Program", "engine_here"]

WORK_MAX: Final = 300_000
"""Units of work that one evaluation may be: some 30 ms, so that it ends within 50."""

TOO_MUCH: Final = "its evaluation could take too much work"
"""What a program says that was stopped."""

_LIBRARIES: Final = (("cel_expr_python.cel", "relgraph.caveats.native"), ("celpy", "relgraph.caveats.plain"))


class Program(Protocol):
    """A compiled expression; many threads may run it at once."""

    def run(self, values: Mapping[str, object], /) -> bool | str:
        """Return the condition's value with these of its parameters, or why there is none, without any value."""


class Engine(Hashable, Protocol):
    """A library that compiles and runs CEL."""

    @property
    def step(self) -> int:
        """Units of work (`relgraph.caveats.work`) that a step takes, on whatever it is made."""

    def compile(self, text: str, tree: Node, parameters: Mapping[str, ParameterType], /) -> Program:
        """Return the program of an expression. Raises InvalidCaveat with `offset` and `length`."""


@lru_cache(maxsize=1)
def engine_here() -> Engine:
    """Return the engine that serves in this installation. Raises Unsupported where there is none."""
    for library, module in _LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError:
            continue
        return cast("Engine", importlib.import_module(module).ENGINE)
    raise Unsupported(
        "the schema has caveats, and no library for CEL is installed; install the extra `caveats`, as in "
        "`pip install 'relgraph[caveats]'`"
    )

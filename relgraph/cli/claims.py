"""Claims of scenarios, compared with what is so: the parts that everybody who asks them needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from relgraph.errors import RelgraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.answers import Best
    from relgraph.api import Authorizer
    from relgraph.cli.scenario import BestCase, Refusal
    from relgraph.client import Client

__all__ = ["Access", "compared_best", "refusal_of"]


class Access(NamedTuple):
    """A best access as a scenario words it; `tuples` are the texts of the tuples of each way."""

    role: str | None
    held: tuple[str, ...]
    undecided: tuple[str, ...]
    ways: tuple[str, ...]
    tuples: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        told = [self.role or ", ".join(self.held) or "no access", *(f"{name} undecided" for name in self.undecided)]
        told += [f"by {', '.join(self.ways)}"] if self.ways else []
        return "; ".join([*told, *(f"with {', '.join(way)}" for way in self.tuples if way)])


def compared_best(case: BestCase, best: Best) -> tuple[Access, Access]:
    """Return what a best access must be and what it is; what the file does not say is as it is."""
    told = tuple(sorted(tuple(sorted(map(str, way.tuples))) for way in best.ways))
    return (
        Access(
            case.role,
            best.held if case.held is None else case.held,
            case.undecided,
            tuple(sorted(case.ways)),
            told if case.tuples is None else tuple(sorted(tuple(sorted(each)) for each in case.tuples)),
        ),
        Access(best.role, best.held, best.undecided, tuple(sorted(way.via for way in best.ways)), told),
    )


def refusal_of(door: Authorizer | Client, refusal: Refusal) -> str:
    """Return the code of the error that something is refused with."""
    words, actor = [refusal.text], refusal.actor
    calls: dict[str, Callable[[], object]] = {
        "check": partial(door.check, refusal.text),
        "touch": partial(door.write, touch=words, actor=actor),
        "create": partial(door.write, create=words, actor=actor),
        "delete": partial(door.write, delete=words, actor=actor),
        "schema": partial(door.write_schema, refusal.text),
    }
    try:
        calls[refusal.kind]()
    except RelgraphError as error:
        return error.code
    return "not refused"

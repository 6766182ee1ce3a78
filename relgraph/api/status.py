"""How an Authorizer is: what it runs on, what its store holds, whether the clock can be trusted, what is wrong."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from relgraph.answers import Fact, Problem, Status
from relgraph.instants import instant_text, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.api.following import Following

__all__ = ["status"]

_AHEAD_MAX: Final = 1_000_000
"""How far, in microseconds, the newest stamp may be ahead of the clock before it is told: clocks differ a little."""


def status(following: Following, clock: Callable[[], int]) -> Status:
    """See `Authorizer.status`."""
    following.check_process()
    store = following.store
    condition = store.condition()
    with store.snapshot() as snapshot:
        head, now = snapshot.head, clock()
        schema = snapshot.schema(head.number)
    facts = [
        Fact("versions", "relgraph", _version()),
        Fact("versions", "Python", platform.python_version()),
        Fact("clock", "now", instant_text(moment(now))),
        Fact("clock", "newest stamp", instant_text(moment(head.stamp)) if head.number else "none"),
        Fact("store", "id", store.id.hex()),
        Fact("store", "epoch", store.epoch),
        Fact("store", "newest revision", head.number),
        *condition.facts,
    ]
    problems = list(condition.problems)
    if head.number and head.stamp - now > _AHEAD_MAX:
        ahead = (head.stamp - now) / 1_000_000
        problems.append(
            Problem(
                "clock",
                f"the newest revision is stamped {ahead:,.1f} s after this clock: what expires is gone too early",
                "set the clocks of all that write the store by NTP; until then the newest stamp counts as now",
            )
        )
    if schema is None:
        problems.append(
            Problem(
                "store",
                "the store has no schema yet, so nothing can be written or asked",
                "run `relgraph schema write`",
            )
        )
    return Status(tuple(facts), tuple(problems), head.number, following.token(head))


def _version() -> str:
    try:
        return version("relgraph")
    except PackageNotFoundError:
        return "not installed"

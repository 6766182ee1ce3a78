"""The history of a store: what each kept revision did, and how long revisions are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relgraph.answers import Collected, Log, LogEntry
from relgraph.errors import InvalidInput
from relgraph.instants import moment
from relgraph.revision import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.api.following import Following
    from relgraph.limits import Limits
    from relgraph.store import base

__all__ = ["History", "entry_of"]

_MICROSECOND: Final = timedelta(microseconds=1)


def entry_of(following: Following, entry: base.LogEntry) -> LogEntry:
    """Return what a revision did, as it is told outside."""
    return LogEntry(
        entry.revision.number,
        following.token(entry.revision),
        moment(entry.revision.stamp),
        entry.commit.principal,
        entry.commit.actor,
        entry.commit.reason,
        entry.commit.request_id,
        entry.commit.metadata,
        entry.created,
        entry.deleted,
        entry.schema,
    )


class History:
    """The part of an Authorizer that tells and forgets the past."""

    def __init__(self, following: Following, limits: Limits, clock: Callable[[], int]) -> None:
        self._following = following
        self._limits = limits
        self._clock = clock

    def log(self, after: str | Token | None, limit: int) -> Log:
        """See `Authorizer.log`."""
        if not 1 <= limit <= self._limits.log_page_max:
            raise InvalidInput(f"a page of the log holds 1 to {self._limits.log_page_max} revisions, not {limit}")
        following = self._following
        following.check_process()
        token = Token.parse(after) if isinstance(after, str) else after
        # The horizon and the entries in one snapshot: between two, what is asked for could be collected.
        with following.store.snapshot() as snapshot:
            start = snapshot.floor if token is None else following.kept(snapshot, token).number
            found = snapshot.log(start, limit)
            head = snapshot.head
        told = tuple(entry_of(following, each) for each in found)
        more = bool(told) and told[-1].revision < head.number
        return Log(told, told[-1].token if more else "", head.number, following.token(head))

    def collect(self, keep: timedelta) -> Collected:
        """See `Authorizer.collect`."""
        self._following.check_process()
        if keep < timedelta(0):
            raise InvalidInput(f"a history of {keep} would end in the future; keep none at least")
        found = self._following.store.collect(max(0, self._clock() - keep // _MICROSECOND))
        return Collected(found.tuples, found.revisions, found.floor.number)

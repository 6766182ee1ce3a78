"""Counters: filters registered under a name, and how many tuples each of them counts now.

They are the store's, so every process on it knows the same ones, and a backup or a migration brings them along. They
belong to no revision: registering one is no write, and what is counted is the newest state.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from relgraph.answers import Counted
from relgraph.errors import CounterExists, LimitExceeded, NoSchema, UnknownCounter, did_you_mean, quoted
from relgraph.tuples import TupleFilter, check_relation

if TYPE_CHECKING:
    from relgraph.api.following import Following
    from relgraph.store.base import Transaction

__all__ = ["Counters"]

_COUNTERS_MAX: Final = 1_000


class Counters:
    """The counters of one store."""

    def __init__(self, following: Following) -> None:
        self._following = following

    def register(self, name: str, filter: TupleFilter) -> Counted:
        """Count what `filter` selects under `name` from now on; return what that is.

        Raises InvalidName, CounterExists, NoSchema, UnknownDefinition, UnknownRelation or CannotUpdatePermission as a
        read by the filter would, LimitExceeded.
        """
        check_relation(name)
        self._following.check_process()
        with self._following.store.transaction() as transaction:
            version = transaction.schema(transaction.head.number)
            if version is None:
                raise NoSchema("the store has no schema yet; write one before counters")
            self._following.parsed(version).check_filter(filter)
            known = transaction.counters()
            if name in known:
                raise CounterExists(
                    f"a counter {quoted(name)} is registered already; unregister it first, or take another name",
                    {"counter": name},
                )
            if len(known) >= _COUNTERS_MAX:
                raise LimitExceeded(
                    f"{_COUNTERS_MAX} counters are registered, and there are no more than that; unregister some",
                    {"limit": "counters_max", "value": str(_COUNTERS_MAX)},
                )
            transaction.count_under(name, json.dumps(asdict(filter)))
            found = self._counted(transaction, filter)
            transaction.commit()
        return found

    def unregister(self, name: str) -> Counted:
        """Forget a counter; return what it counted at last. Raises UnknownCounter."""
        self._following.check_process()
        with self._following.store.transaction() as transaction:
            wanted = _filter(name, transaction.counters())
            transaction.count_under(name, None)
            found = self._counted(transaction, wanted)
            transaction.commit()
        return found

    def count(self, name: str, *, deadline: float | None = None) -> Counted:
        """Return how many tuples a counter counts at the newest revision. Raises UnknownCounter."""
        with self._following.pinned(None, deadline) as pinned, self._following.rows(pinned) as snapshot:
            wanted = _filter(name, snapshot.counters())
            count = snapshot.count(wanted, pinned.revision.number, pinned.now)
            return Counted(count, pinned.revision.number, pinned.token)

    def _counted(self, transaction: Transaction, filter: TupleFilter) -> Counted:
        head = transaction.head
        count = transaction.count(filter, head.number, transaction.stamp)
        return Counted(count, head.number, self._following.token(head))


def _filter(name: str, known: dict[str, str]) -> TupleFilter:
    if name not in known:
        raise UnknownCounter(f"no counter {quoted(name)} is registered{did_you_mean(name, known)}", {"counter": name})
    return TupleFilter(**json.loads(known[name]))

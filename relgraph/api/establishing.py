"""Establishing: an empty store becomes one that holds a schema and tuples brought from elsewhere, all at once.

Rule 1: one transaction. Whatever goes wrong, and whoever is killed, the store is as empty as it was.
Rule 2: what is about to be committed is counted against what was brought, type by type, before it is.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from relgraph.api.asking import Asking
from relgraph.api.following import Following
from relgraph.api.judging import Judge
from relgraph.errors import InvalidSetting, StoreUnavailable
from relgraph.limits import Limits
from relgraph.schema import parse
from relgraph.store import open_store, require_store
from relgraph.tuples import TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Transaction
    from relgraph.tuples import RelationTuple

__all__ = ["establish", "require_empty"]


def establish(
    url: str, schema: str, tuples: Iterable[str | RelationTuple], *, reason: str = "", limits: Limits | None = None
) -> Revision:
    """Put a schema and tuples into the store at `url`, which is new or empty; return the revision that holds both.

    Raises as `write_schema` and `load` do, wildcards allowed and universal tuples not; InvalidSetting for a store that
    was written before; StoreUnavailable where it would hold other counts than were brought.
    """
    limits = limits or Limits()
    model = parse(schema)
    asking = Asking(limits)
    asked = asking.asked(reason)
    staged = asking.staged(tuples, allow_universal=False, allow_wildcards=True)
    with closing(open_store(url, clock=_now, random=os.urandom)) as store:
        following = Following(store, limits, _now, time.monotonic)
        transaction = store.transaction()
        transaction.stage(staged)
        with transaction:
            before = transaction.head
            _check_empty(before)
            judge = Judge(transaction, asked, b"", limits, following)
            judge.write_schema(schema, model)
            judge.seal()
            judge.admit_all(staged)
            transaction.load()
            revision = judge.seal()
            _check_counts(transaction, staged)
            following.commit(transaction, before)
    return revision


def require_empty(url: str) -> None:
    """Raise InvalidSetting for a store that was written before. One that is not there yet is empty, and stays away."""
    try:
        require_store(url)
    except StoreUnavailable:
        # What is out of reach says so when it is to be written.
        return
    with closing(open_store(url, clock=_now, random=os.urandom)) as store:
        _check_empty(store.head())


def _check_empty(head: Revision) -> None:
    if head.number:
        raise InvalidSetting(
            f"the target was written before (its newest revision is {head.number}); name a new or empty one",
            {"revision": str(head.number)},
        )


def _check_counts(transaction: Transaction, staged: Sequence[RelationTuple]) -> None:
    """Raise StoreUnavailable unless of each type there live as many tuples as were brought."""
    at, now = transaction.head.number, transaction.stamp
    brought = Counter(each.resource.type for each in staged if each.expires is None or each.expires > now)
    for type_, wanted in brought.items():
        found = transaction.count(TupleFilter(resource_type=type_), at, now)
        if found != wanted:
            raise StoreUnavailable(
                f"the target would hold {found:,} tuples of `{type_}` in place of {wanted:,}; nothing was written: "
                "migrate again",
                {"type": type_, "wanted": str(wanted), "found": str(found)},
            )


def _now() -> int:
    return time.time_ns() // 1000

"""Writes, deletes, imports and schema writes.

Rule 1: words first (`asking`), then under the store's lock in the order of the law (`judging`), then the commit; and
only then the graph, the token and the acknowledgement. Whatever is refused changes nothing.
Rule 2: small writes are committed in groups (`grouping`); what may take long has a transaction to itself.
"""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING

from relgraph.answers import Deleted, Imported, Receipt, Written
from relgraph.api.asking import Asking, payload_of
from relgraph.api.grouping import Group
from relgraph.api.judging import Judge
from relgraph.errors import InvalidInput
from relgraph.schema import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from relgraph.api.asking import Asked
    from relgraph.api.following import Following
    from relgraph.api.grouping import Outcome
    from relgraph.limits import Limits
    from relgraph.revision import Revision
    from relgraph.store.base import OnDuplicate, Transaction
    from relgraph.tuples import RelationTuple, TupleFilter

__all__ = ["Writing"]


class Writing:
    """The writing half of an Authorizer."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits
        self._group = Group(following.store.transaction, following.commit)
        self.asking = Asking(limits)

    def by(self, principal: str) -> Writing:
        """Return the same writing, made by a principal: its writes are committed together with all others."""
        other = copy(self)
        other.asking = Asking(self._limits, principal)
        return other

    def noting(self, metadata: str) -> Writing:
        """Return the same writing, whose writes carry `metadata`."""
        other = copy(self)
        other.asking = Asking(self._limits, self.asking.principal, metadata)
        return other

    def write(
        self,
        touch: Sequence[str | RelationTuple],
        create: Sequence[str | RelationTuple],
        delete: Sequence[str | RelationTuple],
        asked: Asked,
        deadline: float | None,
        conn: object,
    ) -> Written:
        """See `Authorizer.write`."""
        parts = self.asking.updates(touch, create, delete, asked.preconditions)

        def judged(judge: Judge) -> str:
            judge.update(parts)
            return ""

        payload = payload_of(asked, "write", parts=parts)
        self._following.check_process()
        if conn is not None:
            if deadline is not None:
                raise InvalidInput(
                    "a write in your own transaction waits as its connection does; leave the deadline out"
                )
            with self._following.store.joining(conn) as transaction:
                before = transaction.head
                revision, _ = self._sealed(transaction, asked, payload, judged)
                if transaction.head != before:
                    transaction.commit()
            # Not followed: the application has not committed it yet.
            return Receipt(revision.number, self._following.token(revision))
        revision, _ = self._group.run(lambda transaction: self._sealed(transaction, asked, payload, judged), deadline)
        return Written(revision.number, self._token(revision))

    def delete(self, filter: TupleFilter, limit: int | None, asked: Asked, *, partial: bool) -> Deleted:
        """See `Authorizer.delete`."""
        count_max = self.asking.count_max(filter, limit, asked)

        def judged(judge: Judge) -> str:
            return json.dumps(judge.delete(filter, count_max, partial=partial))

        payload = payload_of(asked, "delete", filter, limit, partial, *_prefix(filter))
        revision, answer = self._alone(self._begin(), asked, payload, judged)
        count, complete = json.loads(answer)
        return Deleted(count, complete, revision.number, self._token(revision))

    def load(
        self,
        tuples: Iterable[str | RelationTuple],
        on_duplicate: OnDuplicate,
        asked: Asked,
        *,
        allow_universal: bool,
        allow_wildcards: bool,
    ) -> Imported:
        """See `Authorizer.load`."""
        staged = self.asking.staged(tuples, allow_universal=allow_universal, allow_wildcards=allow_wildcards)
        payload = payload_of(asked, "load", on_duplicate, parts={"load": staged})
        transaction = self._begin()
        transaction.stage(staged)

        def judged(judge: Judge) -> str:
            judge.admit_all(staged)
            return str(transaction.load(on_duplicate))

        revision, answer = self._alone(transaction, asked, payload, judged)
        return Imported(len(staged), int(answer), revision.number, self._token(revision))

    def write_schema(self, text: str, asked: Asked) -> Written:
        """See `Authorizer.write_schema`."""
        schema = parse(text)

        def judged(judge: Judge) -> str:
            judge.write_schema(text, schema)
            return ""

        revision, _ = self._alone(self._begin(), asked, payload_of(asked, "schema", text), judged)
        return Written(revision.number, self._token(revision))

    def _begin(self) -> Transaction:
        self._following.check_process()
        return self._following.store.transaction()

    def _alone(self, transaction: Transaction, asked: Asked, payload: bytes, judged: Callable[[Judge], str]) -> Outcome:
        """Carry a write out in a transaction of its own, and commit it."""
        with transaction:
            before = transaction.head
            revision, answer = self._sealed(transaction, asked, payload, judged)
            if transaction.head != before:
                self._following.commit(transaction, before)
        return revision, answer

    def _sealed(
        self, transaction: Transaction, asked: Asked, payload: bytes, judged: Callable[[Judge], str]
    ) -> Outcome:
        """Carry a write out and seal it; return its revision and its answer, of the first time if repeated."""
        judge = Judge(transaction, asked, payload, self._limits, self._following)
        known = judge.repeated()
        if known is not None:
            return known.revision, known.answer
        answer = judged(judge)
        return judge.seal(answer), answer

    def _token(self, revision: Revision) -> str:
        # The write is durable, whatever becomes of the graph.
        self._following.learn(revision)
        return self._following.token(revision)


def _prefix(filter: TupleFilter) -> tuple[str, ...]:
    """What the other words of a filter do not say, where it says it."""
    return () if filter.resource_id_prefix is None else (filter.resource_id_prefix,)

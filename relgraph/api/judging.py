"""What becomes of a write inside the store's transaction: repeated, refused or carried out, in the order of the law.

Rule 1: catch the schema up and answer a repeated `request_id`; types; an actor's rights; preconditions; rows; seal.
Nothing here commits: whoever began the transaction does, and only then is anything acknowledged.
Rule 2: whatever is refused is refused before or undone by whoever began; nothing here remembers anything.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from relgraph.api.rights import ActorRights, refuse_schema
from relgraph.errors import (
    NoSchema,
    PreconditionFailed,
    RequestExpired,
    RequestIdReused,
    SchemaOrphans,
    TooManyMatches,
    UniversalMatches,
    at_index,
    quoted,
)
from relgraph.instants import instant_text, moment
from relgraph.schema import check_change
from relgraph.store.base import Commit
from relgraph.tuples import WILDCARD, RelationTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.api.asking import Asked
    from relgraph.api.following import Following
    from relgraph.limits import Limits
    from relgraph.revision import Revision
    from relgraph.schema import Schema
    from relgraph.store.base import Request, SchemaVersion, Transaction
    from relgraph.tuples import Object, Precondition, TupleFilter

__all__ = ["Judge"]

_PAGE: Final = 10_000
_KINDS_TOLD_MAX: Final = 100
_MICROSECONDS: Final = 1_000_000


class Judge:
    """Judges one write under the store's lock and carries it out; `following` has schemas parsed and compiled."""

    def __init__(
        self,
        transaction: Transaction,
        asked: Asked,
        payload: bytes,
        limits: Limits,
        following: Following,
    ) -> None:
        self._transaction = transaction
        self._asked = asked
        self._payload = payload
        self._limits = limits
        self._following = following

    def repeated(self) -> Request | None:
        """Return what became of the same request before. Raises RequestExpired or RequestIdReused."""
        asked, stamp = self._asked, self._transaction.stamp
        if asked.not_after is not None and stamp > asked.not_after:
            raise self._expired(asked.not_after)
        known = self._transaction.request(asked.request_id) if asked.request_id else None
        if known is None:
            return None
        # The first result is whose request it was: another principal is told no more than that the id is taken.
        if (known.principal, known.payload) != (asked.principal, self._payload):
            raise RequestIdReused(
                f"the request id {quoted(asked.request_id)} was used for another write; draw a new one for each write",
                {"request_id": asked.request_id},
            )
        if stamp > known.not_after:
            raise self._expired(known.not_after)
        return known

    def _expired(self, not_after: int) -> RequestExpired:
        request_id, until = self._asked.request_id, instant_text(moment(not_after))
        return RequestExpired(
            f"the write came after {quoted(until)}, its last moment; read whether it was made before, and if it still "
            "has to be, send it anew under another request id",
            {"request_id": request_id, "not_after": until},
        )

    def schema(self) -> Schema:
        """Return the schema in force. Raises NoSchema before the first."""
        return self._following.parsed(self._version())

    def _version(self) -> SchemaVersion:
        version = self._transaction.schema(self._transaction.head.number)
        if version is None:
            raise NoSchema("the store has no schema yet; write one before tuples")
        return version

    def update(self, parts: dict[str, list[RelationTuple]]) -> None:
        """Touch, create and delete tuples."""
        schema = self.schema()
        for each in (*parts["touch"], *parts["create"]):
            schema.admit(each)
        for each in parts["delete"]:
            # Named by its key: the schema has to admit it, whatever it says beside.
            if not schema.admits_key(each):
                schema.admit(each)
        self._check_filters(schema)
        if self._asked.actor is not None:
            with self._rights(self._asked.actor) as rights:
                rights.update(parts, self._asked.preconditions)
        self._check_preconditions()
        self._transaction.apply(delete=parts["delete"], touch=parts["touch"], create=parts["create"])

    def delete(self, filter: TupleFilter, count_max: int, *, partial: bool) -> tuple[int, bool]:
        """Delete what matches; return how many tuples, and whether that was all."""
        transaction, schema = self._transaction, self.schema()
        schema.check_filter(filter)
        self._check_filters(schema)
        if self._asked.actor is not None:
            reached_max = count_max if partial else None
            with self._rights(self._asked.actor) as rights:
                rights.delete(filter, reached_max, self._asked.preconditions)
        self._check_preconditions()
        at, now = transaction.head.number, transaction.stamp
        universal = 0 if filter.resource_id == WILDCARD else transaction.count(filter, at, now, universal=True)
        if universal:
            raise UniversalMatches(
                f"{quoted(str(filter))} matches {universal} universal tuple{'s' * (universal > 1)}, each of which "
                "counts for every resource of its type; name `*` as the resource to delete those, an id to spare them",
                {"filter": str(filter), "count": str(universal)},
            )
        count = transaction.count(filter, at, now)
        if count > count_max and not partial:
            raise TooManyMatches(
                f"{quoted(str(filter))} matches {count} tuples and the delete allows {count_max}; nothing was deleted: "
                "allow more, narrow the filter, or delete in parts",
                {"filter": str(filter), "count": str(count), "limit": str(count_max)},
            )
        wanted = left = min(count, count_max)
        last: RelationTuple | None = None
        while left:
            # What this write has deleted is still there at the revision before it, so the pages go on.
            page = transaction.read(filter, at, now, last, min(left, _PAGE))
            transaction.apply(delete=page)
            left, last = left - len(page), page[-1]
        return wanted, count == wanted

    def write_schema(self, text: str, schema: Schema) -> None:
        """Put a schema in force."""
        if self._asked.actor is not None:
            raise refuse_schema(self._asked.actor)
        version = self._transaction.schema(self._transaction.head.number)
        if version is not None:
            check_change(self._following.parsed(version), schema)
        left = [kind for kind in self._transaction.kinds() if not schema.admits(kind.example)]
        if left:
            first = left[0]
            raise SchemaOrphans(
                f"the new schema does not admit what is living: {quoted(first.example.told)}"
                f"{f' and {first.living - 1} more like it' if first.living > 1 else ''}; "
                "delete it first, or keep what admits it",
                {
                    "tuple": first.example.told,
                    "count": str(first.living),
                    "tuples": "\n".join(kind.example.told for kind in left[:_KINDS_TOLD_MAX]),
                },
            )
        names = {*schema.definitions, *schema.caveats}
        for definition in schema.definitions.values():
            names.update(definition.relations, definition.permissions)
        self._transaction.write_schema(text, sorted(names))

    def admit_all(self, staged: Sequence[RelationTuple]) -> None:
        """Judge the tuples of an import, by the schema and by the actor's rights."""
        schema = self.schema()
        for index, each in enumerate(staged):
            # A context is looked at only where there may be one: an import holds a million tuples.
            if each.caveat or not schema.admits(each):
                with at_index(index):
                    schema.admit(each)
        if self._asked.actor is not None:
            with self._rights(self._asked.actor) as rights:
                rights.load(staged)

    @contextmanager
    def _rights(self, actor: Object) -> Iterator[ActorRights]:
        program = self._following.program(self._transaction, self._version())
        with self._following.before(self._transaction) as before:
            yield ActorRights(self._transaction, program, before, actor, self._limits)

    def _check_filters(self, schema: Schema) -> None:
        """Judge the preconditions' names: one that is mistyped matches nothing, which is not "there is none"."""
        for index, each in enumerate(self._asked.preconditions):
            with at_index(index):
                schema.check_filter(each.filter)

    def _check_preconditions(self) -> None:
        """Look at the state before the write's own rows. Raises PreconditionFailed for the first that does not hold."""
        at, now = self._transaction.head.number, self._transaction.stamp
        for index, each in enumerate(self._asked.preconditions):
            if bool(self._transaction.read(each.filter, at, now, None, 1)) is not each.exists:
                raise _failed(each, index)

    def seal(self, answer: str = "") -> Revision:
        """End the write; return its revision, or the one it was judged at where it changed nothing."""
        transaction, asked = self._transaction, self._asked
        if not transaction.changed and not asked.request_id:
            return transaction.head
        actor = "" if asked.actor is None else str(asked.actor)
        if not asked.request_id:
            return transaction.seal(
                Commit(principal=asked.principal, actor=actor, reason=asked.reason, metadata=asked.metadata)
            )
        kept = transaction.stamp + self._limits.request_kept_s * _MICROSECONDS
        return transaction.seal(
            Commit(
                principal=asked.principal,
                actor=actor,
                reason=asked.reason,
                request_id=asked.request_id,
                payload=self._payload,
                not_after=kept if asked.not_after is None else asked.not_after,
                answer=answer,
                metadata=asked.metadata,
            )
        )


def _failed(precondition: Precondition, index: int) -> PreconditionFailed:
    what = quoted(str(precondition.filter)) if str(precondition.filter) else "any filter"
    wanted, found = ("a tuple matches", "none does") if precondition.exists else ("no tuple matches", "one does")
    return PreconditionFailed(
        f"the write was to happen only if {wanted} {what}, and {found}; nothing was changed: "
        "read how things stand, and decide anew",
        {"filter": str(precondition.filter), "index": str(index)},
    )

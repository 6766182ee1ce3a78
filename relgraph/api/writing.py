"""Writes, imports and schema writes, in the order of semantics, part two, each inside one store transaction.

Rule 1: begin and lock; catch the schema up and answer a repeated `request_id`; types; rows; commit; and only then the
graph, the token and the acknowledgement. Whatever is refused changes nothing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from relgraph.answers import Imported, Written
from relgraph.errors import (
    DuplicateUpdate,
    InvalidInput,
    InvalidTuple,
    LimitExceeded,
    NoSchema,
    RelgraphError,
    RequestIdReused,
    SchemaOrphans,
    TooManyUpdates,
    TupleNotAllowed,
    quoted,
)
from relgraph.instants import moment
from relgraph.schema import parse
from relgraph.store.base import Commit
from relgraph.tuples import WILDCARD, RelationTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relgraph.api.following import Following
    from relgraph.limits import Limits
    from relgraph.revision import Revision
    from relgraph.schema import Schema
    from relgraph.store.base import OnDuplicate, Transaction
    from relgraph.tuples import Object, Subject

__all__ = ["Writing"]

# Long enough for a tuple's expiration, which follows the tuple.
_LENGTH_MAX: Final = 240
_SOME_DAY: Final = moment(0)


class Writing:
    """The writing half of an Authorizer."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits

    def write(
        self,
        touch: Sequence[str | RelationTuple],
        create: Sequence[str | RelationTuple],
        delete: Sequence[str | RelationTuple],
        reason: str,
        request_id: str,
    ) -> Written:
        """See `Authorizer.write`."""
        parts = {
            "touch": [RelationTuple.of(each) for each in touch],
            "create": [RelationTuple.of(each) for each in create],
            "delete": [RelationTuple.of(each) for each in delete],
        }
        self._check_updates(parts)
        commit = Commit(reason=self._reason(reason), request_id=self._request_id(request_id), payload=_payload(parts))
        with self._begin() as transaction:
            repeated = self._repeated(transaction, commit)
            if repeated is not None:
                return self._written(repeated)
            schema = self._schema(transaction)
            for each in (*parts["touch"], *parts["create"]):
                schema.admit(each)
            for each in parts["delete"]:
                _admit_key(schema, each)
            transaction.apply(delete=parts["delete"], touch=parts["touch"], create=parts["create"])
            revision = self._commit(transaction, commit)
        return self._written(revision)

    def load(
        self,
        tuples: Iterable[str | RelationTuple],
        on_duplicate: OnDuplicate,
        reason: str,
        *,
        allow_universal: bool,
        allow_wildcards: bool,
    ) -> Imported:
        """See `Authorizer.load`."""
        commit = Commit(reason=self._reason(reason))
        staged = self._staged(tuples, allow_universal=allow_universal, allow_wildcards=allow_wildcards)
        transaction = self._begin()
        transaction.stage(staged)
        with transaction:
            schema = self._schema(transaction)
            for index, each in enumerate(staged):
                if not schema.admits(each):
                    _admit_numbered(schema, each, index)
            changed = transaction.load(on_duplicate)
            revision = self._commit(transaction, commit)
        written = self._written(revision)
        return Imported(len(staged), changed, written.revision, written.token)

    def write_schema(self, text: str, reason: str) -> Written:
        """See `Authorizer.write_schema`."""
        schema = parse(text)
        names = {*schema.definitions}
        for definition in schema.definitions.values():
            names.update(definition.relations, definition.permissions)
        commit = Commit(reason=self._reason(reason))
        with self._begin() as transaction:
            self._refuse_orphans(transaction, schema)
            transaction.write_schema(text, sorted(names))
            revision = self._commit(transaction, commit)
        return self._written(revision)

    def _begin(self) -> Transaction:
        self._following.check_process()
        return self._following.store.transaction()

    def _commit(self, transaction: Transaction, commit: Commit) -> Revision:
        if not transaction.changed and not commit.request_id:
            return transaction.head
        revision = transaction.seal(commit)
        transaction.commit()
        return revision

    def _written(self, revision: Revision) -> Written:
        # The write is durable: that this process cannot follow it just now is no reason to call it failed. The next
        # question catches up, or says what is wrong.
        with suppress(RelgraphError):
            self._following.refresh()
        return Written(revision.number, self._following.token(revision))

    def _schema(self, transaction: Transaction) -> Schema:
        version = transaction.schema(transaction.head.number)
        if version is None:
            raise NoSchema("the store has no schema yet; write one before tuples")
        return self._following.parsed(version)

    @staticmethod
    def _repeated(transaction: Transaction, commit: Commit) -> Revision | None:
        """Return the revision of an earlier write with the same request id and payload."""
        known = transaction.request(commit.request_id) if commit.request_id else None
        if known is None:
            return None
        if (known.principal, known.payload) != (commit.principal, commit.payload):
            raise RequestIdReused(
                f"the request id {quoted(commit.request_id)} was used for another write; draw a new one for each write",
                {"request_id": commit.request_id},
            )
        return known.revision

    def _check_updates(self, parts: dict[str, list[RelationTuple]]) -> None:
        count = sum(map(len, parts.values()))
        if not count:
            raise InvalidInput("a write names no tuple; give at least one to touch, create or delete")
        if count > self._limits.updates_max:
            raise TooManyUpdates(
                f"a write of {count} tuples is over the limit of {self._limits.updates_max}; split it, or import",
                {"limit": "updates_max", "value": str(self._limits.updates_max)},
            )
        for each in parts["delete"]:
            if each.expires_at is not None:
                raise InvalidTuple(
                    f"the write deletes {quoted(str(each), _LENGTH_MAX)} with an expiration; a delete names the tuple "
                    "alone, whenever that expires: leave the expiration out",
                    {"tuple": str(each)},
                )
        seen: dict[tuple[Object, str, Subject], RelationTuple] = {}
        for updates in parts.values():
            for each in updates:
                first = seen.setdefault(each.key, each)
                if first is not each:
                    apart = "" if first == each else f", the other time as {quoted(str(first), _LENGTH_MAX)}"
                    raise DuplicateUpdate(
                        f"the write names {quoted(str(each), _LENGTH_MAX)} twice{apart}; name each tuple once",
                        {"tuple": str(each)},
                    )

    def _reason(self, reason: str) -> str:
        try:
            reason.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"the reason {quoted(reason)} holds half a character; remove it") from None
        if len(reason) > self._limits.reason_size_max:
            raise InvalidInput(
                f"the reason has {len(reason)} characters; at most {self._limits.reason_size_max} are allowed"
            )
        return reason

    def _request_id(self, request_id: str) -> str:
        if len(request_id) > self._limits.request_id_size_max or not request_id.isprintable():
            raise InvalidInput(
                f"the request id {quoted(request_id)} cannot be used; give at most "
                f"{self._limits.request_id_size_max} printable characters"
            )
        return request_id

    def _staged(
        self, tuples: Iterable[str | RelationTuple], *, allow_universal: bool, allow_wildcards: bool
    ) -> list[RelationTuple]:
        staged: list[RelationTuple] = []
        for index, value in enumerate(tuples):
            if index >= self._limits.import_tuples_max:
                raise LimitExceeded(
                    f"an import holds more than {self._limits.import_tuples_max} tuples; split it",
                    {"limit": "import_tuples_max", "value": str(self._limits.import_tuples_max)},
                )
            try:
                each = RelationTuple.of(value)
                _check_marks(each, allow_universal=allow_universal, allow_wildcards=allow_wildcards)
            except RelgraphError as error:
                error.details["index"] = str(index)
                raise
            staged.append(each)
        return staged

    @staticmethod
    def _refuse_orphans(transaction: Transaction, schema: Schema) -> None:
        for kind in transaction.kinds():
            if not schema.admits(kind.example):
                raise SchemaOrphans(
                    f"the new schema does not admit what is living: {quoted(str(kind.example))}"
                    f"{f' and {kind.living - 1} more like it' if kind.living > 1 else ''}; "
                    "delete it first, or keep what admits it",
                    {"tuple": str(kind.example), "count": str(kind.living)},
                )


def _admit_key(schema: Schema, each: RelationTuple) -> None:
    """Judge a tuple to delete, which is named by its key: the schema has to admit it, expiring or not."""
    if not schema.admits(replace(each, expires_at=_SOME_DAY)):
        schema.admit(each)


def _admit_numbered(schema: Schema, each: RelationTuple, index: int) -> None:
    try:
        schema.admit(each)
    except RelgraphError as error:
        error.details["index"] = str(index)
        raise


def _check_marks(each: RelationTuple, *, allow_universal: bool, allow_wildcards: bool) -> None:
    if each.universal and not allow_universal:
        raise TupleNotAllowed(
            f"{quoted(str(each))} counts for every {quoted(each.resource.type)}; allow universal tuples to import it",
            {"tuple": str(each)},
        )
    if each.subject.id == WILDCARD and not allow_wildcards:
        raise TupleNotAllowed(
            f"{quoted(str(each))} is open to every {quoted(each.subject.type)}; allow wildcards to import it",
            {"tuple": str(each)},
        )


def _payload(parts: dict[str, list[RelationTuple]]) -> bytes:
    """Return a hash of what a write asks for; names and tuples are length-prefixed, so no two writes share one."""
    digest = hashlib.sha256()
    for name, updates in parts.items():
        digest.update(f"{name}:{len(updates)};".encode())
        for each in sorted(map(str, updates)):
            text = each.encode()
            digest.update(b"%d:%b" % (len(text), text))
    return digest.digest()

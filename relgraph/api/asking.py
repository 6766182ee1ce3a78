"""What a write asks for, read and checked before any store is touched: tuples, preconditions, reasons, request ids.

Rule 1: whatever can be told from the words alone is refused here, so that the store's lock is held for nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.errors import (
    DuplicateUpdate,
    InvalidContext,
    InvalidFilter,
    InvalidInput,
    InvalidTuple,
    LimitExceeded,
    RelgraphError,
    TooManyUpdates,
    TupleNotAllowed,
    at_index,
    quoted,
)
from relgraph.instants import instant_of
from relgraph.tuples import WILDCARD, Object, RelationTuple, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from relgraph.limits import Limits
    from relgraph.tuples import Precondition, Subject

__all__ = ["Asked", "Asking", "check_size", "payload_of"]

# Long enough for a tuple's expiration, which follows the tuple.
_LENGTH_MAX: Final = 240


@dataclass(frozen=True, slots=True)
class Asked:
    """What any kind of write may carry beside its own words. `not_after` is in microseconds since 1970 UTC."""

    reason: str = ""
    request_id: str = ""
    not_after: int | None = None
    preconditions: tuple[Precondition, ...] = ()
    actor: Object | None = None
    principal: str = ""
    metadata: str = ""


class Asking:
    """Checks the words of writes against the limits. `principal` is who makes them; empty, the application itself.

    `metadata` stands in the log with each, as the caller's own text.
    """

    def __init__(self, limits: Limits, principal: str = "", metadata: str = "") -> None:
        self._limits = limits
        self.principal = principal
        self._metadata = metadata

    def asked(
        self,
        reason: str,
        request_id: str = "",
        not_after: datetime | None = None,
        preconditions: Sequence[Precondition] = (),
        actor: str | Object | None = None,
    ) -> Asked:
        """Return what a write carries beside its own words. Raises InvalidInput."""
        if len(preconditions) > self._limits.preconditions_max:
            raise InvalidInput(
                f"{len(preconditions)} preconditions are over the limit of {self._limits.preconditions_max}; "
                "give fewer",
                {"limit": "preconditions_max", "value": str(self._limits.preconditions_max)},
            )
        until = None if not_after is None else instant_of(not_after)
        # Its text, whatever it was given as: a userset or a wildcard is nobody who acts.
        who = None if actor is None else Object.parse(str(actor))
        if who is not None:
            for index, each in enumerate(preconditions):
                with at_index(index):
                    _check_narrow(each.filter)
        told = self._reason(reason), self._request_id(request_id)
        return Asked(*told, until, tuple(preconditions), who, self.principal, self._metadata)

    def updates(
        self,
        touch: Sequence[str | RelationTuple],
        create: Sequence[str | RelationTuple],
        delete: Sequence[str | RelationTuple],
        preconditions: Sequence[Precondition],
    ) -> dict[str, list[RelationTuple]]:
        """Return the tuples of a write, by what is to become of them; none only where there are preconditions to judge.

        Raises InvalidInput and its kin.
        """
        parts = {
            "touch": [RelationTuple.of(each) for each in touch],
            "create": [RelationTuple.of(each) for each in create],
            "delete": [RelationTuple.of(each) for each in delete],
        }
        count = sum(map(len, parts.values()))
        if not count and not preconditions:
            raise InvalidInput("a write names no tuple; give at least one to touch, create or delete")
        if count > self._limits.updates_max:
            raise TooManyUpdates(
                f"a write of {count} tuples is over the limit of {self._limits.updates_max}; split it, or import",
                {"limit": "updates_max", "value": str(self._limits.updates_max)},
            )
        for each in parts["delete"]:
            if each.expires_at is not None or each.caveat:
                trait = "a caveat" if each.caveat else "an expiration"
                raise InvalidTuple(
                    f"the write deletes {quoted(each.told, _LENGTH_MAX)} with {trait}; a delete names the tuple "
                    "alone, whatever it says beside: leave the brackets out",
                    {"tuple": each.told},
                )
        for each in (*parts["touch"], *parts["create"]):
            check_size(each, self._limits)
        _refuse_duplicates(parts)
        return parts

    def staged(
        self, tuples: Iterable[str | RelationTuple], *, allow_universal: bool, allow_wildcards: bool
    ) -> list[RelationTuple]:
        """Return the tuples of an import. Errors carry the tuple's place, from 0, in `details["index"]`."""
        staged: list[RelationTuple] = []
        for index, value in enumerate(tuples):
            if index >= self._limits.import_tuples_max:
                raise LimitExceeded(
                    f"an import holds more than {self._limits.import_tuples_max} tuples; split it",
                    {"limit": "import_tuples_max", "value": str(self._limits.import_tuples_max)},
                )
            # A context manager for each of a million tuples would double the time.
            try:
                each = RelationTuple.of(value)
                _check_marks(each, allow_universal=allow_universal, allow_wildcards=allow_wildcards)
                if each.caveat:
                    check_size(each, self._limits)
            except RelgraphError as error:
                error.details["index"] = str(index)
                raise
            staged.append(each)
        return staged

    def count_max(self, filter: TupleFilter, limit: int | None, asked: Asked) -> int:
        """Return how many tuples a delete by filter may take away. Raises InvalidFilter or InvalidInput."""
        if filter == TupleFilter():
            raise InvalidFilter("the filter names nothing, so every tuple would go; name at least a type or a relation")
        if asked.actor is not None:
            _check_narrow(filter)
        if limit is None:
            return self._limits.deletes_max
        if not 1 <= limit <= self._limits.deletes_max:
            raise InvalidInput(f"a delete takes away 1 to {self._limits.deletes_max} tuples, not {limit}")
        return limit

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


def check_size(tuple_: RelationTuple, limits: Limits) -> None:
    """Return if a tuple gives its caveat no more than it may. Raises InvalidContext."""
    size, size_max = len(str(tuple_.context)), limits.tuple_context_size_max
    if size > size_max:
        raise InvalidContext(
            f"the context of {quoted(tuple_.told)} takes {size} bytes as JSON, and `tuple_context_size_max` is "
            f"{size_max}; give it less, and the rest with each question",
            {"limit": "tuple_context_size_max", "value": str(size_max)},
        )


def _check_narrow(filter: TupleFilter) -> None:
    """Raise InvalidFilter where an actor's filter leaves open whose permission it takes."""
    if filter.resource_id is None or filter.relation is None:
        raise InvalidFilter(
            f"{quoted(str(filter))} leaves open which resource or relation is meant; on behalf of an actor a filter "
            "names both, as in `report:q3#viewer`",
            {"filter": str(filter)},
        )


def _refuse_duplicates(parts: dict[str, list[RelationTuple]]) -> None:
    seen: dict[tuple[Object, str, Subject], RelationTuple] = {}
    for updates in parts.values():
        for each in updates:
            first = seen.setdefault(each.key, each)
            if first is not each:
                apart = ""
                if first.told != each.told:
                    apart = f", the other time as {quoted(first.told, _LENGTH_MAX)}"
                elif first != each:
                    apart = ", the other time with another context"
                raise DuplicateUpdate(
                    f"the write names {quoted(each.told, _LENGTH_MAX)} twice{apart}; name each tuple once",
                    {"tuple": each.told},
                )


def _check_marks(each: RelationTuple, *, allow_universal: bool, allow_wildcards: bool) -> None:
    if each.universal and not allow_universal:
        raise TupleNotAllowed(
            f"{quoted(each.told)} counts for every {quoted(each.resource.type)}; allow universal tuples to import it",
            {"tuple": each.told},
        )
    if each.subject.id == WILDCARD and not allow_wildcards:
        raise TupleNotAllowed(
            f"{quoted(each.told)} is open to every {quoted(each.subject.type)}; allow wildcards to import it",
            {"tuple": each.told},
        )


def payload_of(asked: Asked, *words: object, parts: dict[str, list[RelationTuple]] | None = None) -> bytes:
    """Return a hash of what a write asks for; the order of its tuples and its reason make no difference.

    Everything is length-prefixed, so that no two writes share one. A write without a request id has none.
    """
    if not asked.request_id:
        return b""
    digest = hashlib.sha256()

    def add(text: str) -> None:
        data = text.encode()
        digest.update(b"%d:%b" % (len(data), data))

    if asked.actor is not None:
        # Without an actor nothing stands here, as before there were any: a retry may come after an update.
        add(repr(("actor", str(asked.actor))))
    for word in (asked.not_after, len(asked.preconditions), *words):
        add(repr(word))
    for each in asked.preconditions:
        add(repr((each.exists, each.filter.words)))
    for name, updates in (parts or {}).items():
        add(f"{name}:{len(updates)}")
        for text in sorted(map(str, updates)):
            add(text)
    return digest.digest()

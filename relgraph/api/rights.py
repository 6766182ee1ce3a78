"""A write on behalf of an actor: each of its tuples and filters judged, and one refusal told for all of them.

Rule 1: judged is the state before any of the write's own rows, so nothing that a write brings is evidence for it.
Rule 2: a refusal is made of the request and the schema alone. It names no tuple that the request did not spell out,
and reads the same whatever exists: a filter is named as a filter, whichever of the tuples it reaches is at fault.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from relgraph.engine import END_OF_TIME, Budget, Rights, World
from relgraph.errors import LimitExceeded, NotPermitted, UnknownDefinition, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.engine import Claim, Program, Reader
    from relgraph.limits import Limits
    from relgraph.store.base import Transaction
    from relgraph.tuples import Object, Precondition, RelationTuple, TupleFilter

__all__ = ["ActorRights", "refuse_schema"]

_BY_FILTER: Final = "delete what matches"
_PAGE: Final = 10_000
_TOLD_MAX: Final = 20
_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was refused: a tuple or filter as the request spells it, how it was named, and what it takes."""

    text: str
    what: str
    needs: tuple[Claim, ...]
    index: int | None = None

    @property
    def is_tuple(self) -> bool:
        return self.what in ("write", "delete")


class ActorRights:
    """What one actor may write, judged inside a write; create one for each. Raises NotPermitted and LimitExceeded.

    `before` reads the tuples as they are before the write.
    """

    def __init__(
        self, transaction: Transaction, program: Program, before: Reader, actor: Object, limits: Limits
    ) -> None:
        definitions = program.schema.definitions
        if actor.type not in definitions:
            raise UnknownDefinition(
                f"the actor {quoted(str(actor))} is of no type of the schema{did_you_mean(actor.type, definitions)}",
                {"definition": actor.type, "actor": str(actor)},
            )
        self._transaction = transaction
        self._actor = actor
        self._budget = Budget(
            replace(limits, nodes_max=limits.rights_nodes_max, tuples_max=limits.rights_tuples_max), time.monotonic
        )
        self._rights = Rights(World(program, before, self._budget, transaction.stamp), actor)

    def update(self, parts: dict[str, list[RelationTuple]], preconditions: Sequence[Precondition]) -> None:
        """Judge a write of tuples and its preconditions."""
        with _limited():
            written = self._tuples([*parts["touch"], *parts["create"]], "write")
            deleted = self._tuples(parts["delete"], "delete")
            self._refuse([*written, *deleted, *self._preconditions(preconditions)])

    def load(self, staged: Sequence[RelationTuple]) -> None:
        """Judge an import."""
        with _limited():
            self._refuse(self._tuples(staged, "write", numbered=True))

    def delete(self, filter: TupleFilter, count_max: int | None, preconditions: Sequence[Precondition]) -> None:
        """Judge a delete by filter: the filter, and each of at most `count_max` tuples that it reaches, or of all."""
        with _limited():
            allowed = self._rights.hold(self._rights.needs_of(filter), self._transaction.stamp)
            allowed = allowed and self._reaches_only_own(filter, count_max)
            refused = [] if allowed else [_Refusal(str(filter), _BY_FILTER, self._rights.needs_of(filter))]
            self._refuse([*refused, *self._preconditions(preconditions)])

    def _tuples(self, tuples: Iterable[RelationTuple], what: str, *, numbered: bool = False) -> Iterator[_Refusal]:
        rights, now = self._rights, self._transaction.stamp
        for index, each in enumerate(tuples):
            self._budget.tick()
            needs = rights.needs(each.resource, each.relation, each.subject)
            expires = each.expires
            last = now if what == "delete" else END_OF_TIME if expires is None else expires - 1
            if not rights.hold(needs, last):
                yield _Refusal(each.told, what, needs, index if numbered else None)

    def _preconditions(self, preconditions: Sequence[Precondition]) -> Iterator[_Refusal]:
        """Judge what a write asks about: it grants nothing, so what matters is now."""
        for index, each in enumerate(preconditions):
            needs = self._rights.needs_of(each.filter)
            if not self._rights.hold(needs, self._transaction.stamp):
                yield _Refusal(str(each.filter), "ask about what matches", needs, index)

    def _reaches_only_own(self, filter: TupleFilter, count_max: int | None) -> bool:
        """Return whether the actor may delete every tuple that a delete by this filter reaches."""
        transaction, rights = self._transaction, self._rights
        at, now = transaction.head.number, transaction.stamp
        last: RelationTuple | None = None
        left = count_max
        while left is None or left:
            size = _PAGE if left is None else min(left, _PAGE)
            page = transaction.read(filter, at, now, last, size)
            self._budget.tuples(len(page))
            if not all(rights.hold(rights.needs(each.resource, each.relation, each.subject), now) for each in page):
                return False
            if len(page) < size:
                return True
            left, last = None if left is None else left - len(page), page[-1]
        return True

    def _refuse(self, refusals: Iterable[_Refusal]) -> None:
        """Raise NotPermitted for all refusals together, if there are any."""
        rest = iter(refusals)
        told = list(islice(rest, _TOLD_MAX))
        if not told:
            return
        total = len(told) + sum(1 for _ in rest)
        first = told[0]
        more = f", and {total - 1} more like it" if total > 1 else ""
        details = {
            "actor": str(self._actor),
            "total": str(total),
            "tuple" if first.is_tuple else "filter": first.text,
            **({} if first.index is None else {"index": str(first.index)}),
            "tuples": "\n".join(" ".join((each.text, *map(str, each.needs))) for each in told),
        }
        raise NotPermitted(
            f"{quoted(str(self._actor))} may not {first.what} {quoted(first.text, _LENGTH_MAX)}{more}: "
            f"{_reason(first)}; nothing was changed",
            details,
        )


def _reason(refusal: _Refusal) -> str:
    """Return why something was refused, and what to do."""
    if not refusal.needs:
        return "no `grant` line lets an actor write it, so only a write that names no actor can"
    wanted = " and ".join(f"{quoted(each.name)} on {quoted(str(each.object), _LENGTH_MAX)}" for each in refusal.needs)
    beside = {
        "write": ", now and for as long as it lives",
        # Whether or not there are any: it must read the same.
        _BY_FILTER: ", and for each tuple that matches what that one takes",
    }.get(refusal.what, "")
    return f"it takes {wanted}{beside}; ask somebody who has it"


def refuse_schema(actor: Object) -> NotPermitted:
    """Return the error for an actor who would write the schema."""
    return NotPermitted(
        f"{quoted(str(actor))} may not write the schema: no actor may, so only a write that names none can; nothing "
        "was changed",
        {"actor": str(actor), "total": "1"},
    )


@contextmanager
def _limited() -> Iterator[None]:
    """Say of a limit that was hit which one it was."""
    try:
        yield
    except LimitExceeded as error:
        limit = f"rights_{error.details['limit']}"
        raise LimitExceeded(
            f"judging what the actor may write takes more work than the limit {quoted(limit)} of "
            f"{error.details['value']} allows; nothing was changed: write less at once, or raise it",
            {**error.details, "limit": limit},
        ) from error

"""Who loses access to which service of Alliance Auth by a change: found by asking before and after it.

Rule 1: only those are asked about whom the change can concern. For a change to a user that is every service; for one to
what a group (or a state) may use, the users in it, and the services that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Final

from relgraph.revision import Consistency
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.answers import Written
    from relgraph.cli.target import Door

__all__ = ["Outcome", "write_and_ask"]

_SERVICE: Final = "auth/service"
_USER: Final = "auth/user"
_QUESTIONS_AT_ONCE: Final = 1_000

_Question = tuple[Subject, str, Object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A write, how many questions were asked before and after it, and who lost, kept and gained access by it.

    Each access is a text, `auth/service:mumble#access@auth/user:bob`. Whoever writes in between has a part in it.
    """

    written: Written
    asked: int
    lost: tuple[str, ...]
    kept: tuple[str, ...]
    gained: tuple[str, ...]


def write_and_ask(
    door: Door,
    *,
    touch: Sequence[str] = (),
    delete: Sequence[str] = (),
    actor: str | None = None,
    reason: str = "",
) -> Outcome:
    """Write, and ask right before and at the very revision written about all whom it can concern."""
    now = Consistency.at_exactly(door.read(limit=1).token)
    concerned = _concerned(door, [RelationTuple.parse(each) for each in (*touch, *delete)], now)
    before = _allowed(door, concerned, now)
    written = door.write(touch=touch, delete=delete, actor=actor, reason=reason)
    after = _allowed(door, concerned, Consistency.at_exactly(written.token))
    return Outcome(
        written=written,
        asked=len(concerned),
        lost=tuple(sorted(before - after)),
        kept=tuple(sorted(before & after)),
        gained=tuple(sorted(after - before)),
    )


def _concerned(door: Door, updates: Iterable[RelationTuple], now: Consistency) -> list[_Question]:
    """Return the questions whose answers the updates can change, each once."""
    updates = list(updates)
    named = {each.resource for each in updates if each.resource.type == _SERVICE}
    services = named | {each.resource for each in _read(door, TupleFilter(_SERVICE), now)}
    services.discard(Object(_SERVICE, WILDCARD))
    found: set[_Question] = set()
    for update in updates:
        one_service = update.resource.type == _SERVICE and update.resource.id != WILDCARD
        looked_at = {update.resource} if one_service else services
        found.update((user, "access", service) for user, service in product(_users(door, update, now), looked_at))
    return sorted(found)


def _users(door: Door, update: RelationTuple, now: Consistency) -> Iterator[Subject]:
    """Yield the user whom a tuple names, or the users in the group or state that it names."""
    subject = update.subject
    if subject.type == _USER:
        yield subject
        return
    members = TupleFilter(subject.type, subject.id, subject.relation)
    yield from (each.subject for each in _read(door, members, now))


def _read(door: Door, filter: TupleFilter, now: Consistency) -> Iterator[RelationTuple]:
    """Yield all tuples that match, page after page."""
    page = door.read(filter, consistency=now)
    yield from page.tuples
    while page.cursor:
        page = door.read(filter, cursor=page.cursor)
        yield from page.tuples


def _allowed(door: Door, questions: Iterable[_Question], when: Consistency) -> set[str]:
    """Return those that are answered with yes."""
    allowed: set[str] = set()
    left = iter(questions)
    while some := list(islice(left, _QUESTIONS_AT_ONCE)):
        decisions = door.decide_many(some, consistency=when)
        allowed.update(
            f"{service}#{permission}@{user}"
            for (user, permission, service), decision in zip(some, decisions, strict=True)
            if decision.allowed
        )
    return allowed

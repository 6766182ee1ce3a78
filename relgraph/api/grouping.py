"""Group commit: the writes of many callers in one transaction and one sync, each a revision of its own.

Who comes while nobody leads, leads: begins a transaction, carries out its own write and those that have come meanwhile,
each judged in the state after the ones before it and undone alone when it is refused, and commits them together. Who
comes while somebody leads waits, and finds its write settled, or leads in turn. No thread of its own, no waiting for
company: a single caller pays nothing.

Rule 1: nothing is told before the commit. A refusal, too, was judged in a state that the commit alone makes true.
Rule 2: a write stays in the queue until it is settled. A leader that is interrupted settles nothing and undoes what it
began; the next one finds the queue as it was, and looks into the store first where a commit may have been under way.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

from relgraph.api.turns import Turn
from relgraph.errors import DeadlineExceeded, OutcomeUnknown, RelgraphError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.revision import Revision
    from relgraph.store.base import Transaction

__all__ = ["SIZE_MAX", "Group", "Outcome", "Work"]

SIZE_MAX: Final = 128
"""How many writes are committed together at most."""

Outcome: TypeAlias = "tuple[Revision, str]"
"""A write's revision and its answer."""

Work: TypeAlias = "Callable[[Transaction], Outcome]"
"""Carries out one write and seals it. It may be called again, in another transaction, when nothing of it was kept."""


class _Waiting:
    """One caller's write, until it is settled. `claimed` and `withdrawn` change under the group's mutex only."""

    def __init__(self, work: Work, deadline: float | None) -> None:
        self.work = work
        self.deadline = deadline
        self.claimed = False
        self.withdrawn = False
        self.outcome: Outcome | Exception | None = None

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def settled(self) -> bool:
        return self.outcome is not None or self.withdrawn

    def result(self) -> Outcome:
        assert self.outcome is not None  # whoever asks has waited for it
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


_Told: TypeAlias = "list[tuple[_Waiting, Outcome | Exception]]"


class Group:
    """Carries out the writes of many threads. `begin` prepares a transaction, `commit` makes what it holds durable."""

    def __init__(
        self,
        begin: Callable[[], Transaction],
        commit: Callable[[Transaction, Revision], None],
        *,
        size_max: int = SIZE_MAX,
    ) -> None:
        self._begin = begin
        self._commit = commit
        self._size_max = size_max
        self._mutex = Lock()
        self._leading = Turn()
        self._queue: deque[_Waiting] = deque()
        # What a commit under way will make true: the last revision of it, and what is then to be told.
        self._doubt: tuple[Revision, _Told] | None = None

    def run(self, work: Work, deadline: float | None = None) -> Outcome:
        """Carry a write out; return its revision and answer once committed, or raise what refused it.

        `deadline` is an instant of the monotonic clock. A write that has not been begun by then never is, and raises
        DeadlineExceeded; one that has is carried through.
        """
        mine = _Waiting(work, deadline)
        self._queue.append(mine)
        try:
            self._lead_before(mine, None if deadline is None else deadline - time.monotonic())
        finally:
            # Whoever was interrupted does not want it done later. It changes nothing about what is settled.
            mine.withdrawn = True
        return mine.result()

    def _lead_before(self, mine: _Waiting, seconds: float | None) -> None:
        try:
            self._leading.take(lambda: self._lead(mine), seconds)
        except TimeoutError:
            with self._mutex:
                if not mine.claimed and not mine.settled:
                    mine.outcome = _too_late()
            if not mine.settled:
                # Somebody has begun it, so it is carried through.
                self._leading.take(lambda: self._lead(mine))

    def _lead(self, mine: _Waiting) -> None:
        """Settle this write, if nobody has, and those before it."""
        while not mine.settled:
            if self._doubt is not None:
                self._look(None)
            else:
                self._settle_some()
            while self._queue and self._queue[0].settled:
                self._queue.popleft()

    def _settle_some(self) -> None:
        """Carry out the writes at the head of the queue, in one transaction, and settle them."""
        waited = list(self._queue)
        told: _Told = []
        problem: Exception | None = None
        committed = False
        try:
            with self._begin() as transaction:
                before = transaction.head
                if not self._carry_out(transaction, told):
                    return
                if transaction.head != before:
                    self._doubt = transaction.head, told
                    self._commit(transaction, before)
                    committed = True
        except Exception as error:  # noqa: BLE001 - told to whom it belongs; an interrupt belongs to this thread
            problem = error
        if problem is None or committed:
            self._tell(told)
            self._doubt = None
        elif self._doubt is not None:
            self._look(problem)
        else:
            # The store cannot be written: so it was for everybody who has waited as long.
            self._tell([(each, problem) for each in waited])

    def _carry_out(self, transaction: Transaction, told: _Told) -> bool:
        """Carry out what waits, one after the other; False when one of them took the transaction with it."""
        for write in self._claimed():
            # A failure undoes the whole transaction where nothing else is in it; a savepoint would cost for nothing.
            alone = not told and len(self._queue) == 1
            try:
                if alone:
                    told.append((write, write.work(transaction)))
                else:
                    with transaction.savepoint():
                        outcome = write.work(transaction)
                    told.append((write, outcome))
            except Exception as error:  # noqa: BLE001 - as above
                if alone or isinstance(error, StoreUnavailable) or not isinstance(error, RelgraphError):
                    # The others are carried out anew, without it.
                    self._tell([(write, error)])
                    return False
                told.append((write, error))
            if len(told) == self._size_max:
                break
        return True

    def _claimed(self) -> Iterator[_Waiting]:
        """Take the writes that wait, those included that come meanwhile. Nobody else takes any out of the queue."""
        place = 0
        while place < len(self._queue):
            write = self._queue[place]
            place += 1
            with self._mutex:
                if write.late and not write.claimed and not write.settled:
                    write.outcome = _too_late()
                if write.settled:
                    continue
                write.claimed = True
            yield write

    def _look(self, problem: Exception | None) -> None:
        """Find out what became of a commit that raised, or whose leader was interrupted: without a `problem`."""
        assert self._doubt is not None
        last, told = self._doubt
        made: bool | None = False
        if problem is None or isinstance(problem, OutcomeUnknown):
            try:
                # Under the lock: a commit that is still under way somewhere ends first.
                with self._begin() as transaction:
                    # What others have written since, and collected, cannot be told from what never was.
                    if transaction.floor > last.number:
                        made, problem = None, problem or _unknown(made=None)
                    else:
                        made = transaction.revision(last.number) == last
            except RelgraphError as error:
                made, problem = None, problem or error
        if made:
            self._tell(told)
        elif problem is not None:
            failure = problem if made is False and not isinstance(problem, OutcomeUnknown) else _unknown(made=made)
            self._tell([(write, failure) for write, _ in told])
        self._doubt = None

    @staticmethod
    def _tell(told: _Told) -> None:
        for write, outcome in told:
            if write.outcome is None:
                write.outcome = _copy(outcome) if isinstance(outcome, RelgraphError) else outcome


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the write was begun; nothing was changed, allow more time")


def _unknown(*, made: bool | None) -> RelgraphError:
    if made is None:
        return OutcomeUnknown(
            "the store was lost while the write was being committed, so it may or may not have been made; send the "
            "same write again with the same request id, which tells"
        )
    return StoreUnavailable("the store was lost while the write was being committed, and it was not made; try again")


def _copy(error: RelgraphError) -> RelgraphError:
    """Return an error of one's own: many threads raise it, and each adds its traceback."""
    copy = type(error)(error.message, error.details)
    copy.__cause__ = error
    return copy

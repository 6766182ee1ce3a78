"""Following the store: the graph in memory, the schemas, and which revision a question is answered at.

Rule 1: the graph learns only from committed, chained revisions, its own process's writes included: after a commit it
reads them back from the store like anybody else's. A chain that does not fit drops everything and starts over.
Rule 2: a token is honoured exactly or refused (OUT_OF_RANGE); it never degrades to what happens to be there.
Rule 3: a request has one instant, chosen here: the clock's, but never before the token's nor before the newest stamp. A
read at a time has that time instead, and the pages of one read have the instant of the first.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relgraph.api.turns import Turn
from relgraph.engine import Program
from relgraph.errors import (
    DeadlineExceeded,
    Forked,
    InvalidInput,
    NoSchema,
    RelgraphError,
    RevisionUnavailable,
    quoted,
)
from relgraph.graph import Graph, GraphView, PastView, RowsView
from relgraph.instants import instant_text, moment
from relgraph.revision import Consistency, Revision, Token
from relgraph.schema import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.api.observing import Observer
    from relgraph.engine import Reader
    from relgraph.limits import Limits
    from relgraph.schema import Schema
    from relgraph.store.base import Changes, Image, SchemaVersion, Snapshot, Store, Transaction

__all__ = ["Following", "Pinned"]

_PARSED_MAX = 16


@dataclass(frozen=True, slots=True)
class Pinned:
    """A revision to answer at: its tuples and its schema, until `release` is called.

    `now` is the request's one instant, in microseconds since 1970 UTC.
    """

    reader: GraphView | PastView
    program: Program | None
    revision: Revision
    now: int
    token: str

    @property
    def rules(self) -> Program:
        """The schema in force. Raises NoSchema before the first."""
        if self.program is None:
            raise NoSchema("the store has no schema yet; write one first")
        return self.program

    @property
    def view(self) -> Reader:
        """The tuples, as the engine reads them."""
        return self.reader

    def release(self) -> None:
        """Let the revision go."""
        self.reader.__exit__(None, None, None)


class _State:
    """One graph with the schemas that belong to its chain; replaced whole when the chain does not fit any more."""

    def __init__(self, image: Image) -> None:
        self.graph = Graph(image)
        self.versions = image.schemas
        self.torn = False
        self._programs: dict[int, Program] = {}

    def apply(self, changes: Changes) -> None:
        """Take in changes that the graph follows. One caller at a time."""
        # INVARIANT: an interrupt (a signal's exception, memory) may strike anywhere in here. Half a change must not be
        # applied again on top of itself, so a state that did not get to the end is dropped.
        self.torn = True
        # INVARIANT: versions first: whoever sees the new head must find its schema, and looks no further than its head.
        self.versions = (*self.versions, *changes.schemas)
        self.graph.apply(changes)
        self.torn = False

    def program_at(self, number: int, parsed: Callable[[SchemaVersion], Schema]) -> Program | None:
        """Return the schema in force at a revision that the graph has, compiled once."""
        version = next((each for each in reversed(self.versions) if each.revision <= number), None)
        if version is None:
            return None
        program = self._programs.get(version.revision)
        if program is None:
            program = self._programs[version.revision] = Program(parsed(version), self.graph.names.name_number)
        return program


class Following:
    """Keeps one process's graph up with its store, from any number of threads."""

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], int], timer: Callable[[], float]) -> None:
        self.store = store
        self._limits = limits
        self._clock = clock
        self._timer = timer
        self._process = os.getpid()
        self._turn = Turn()
        self._parsed: OrderedDict[str, Schema] = OrderedDict()
        self._fresh_at = timer()
        self._state = self._loaded()
        self.observer: Observer | None = None

    @property
    def head(self) -> int:
        """The revision that the graph stands at."""
        return self._state.graph.head.number

    def _loaded(self) -> _State:
        with self.store.snapshot() as snapshot:
            return _State(snapshot.image())

    def check_process(self) -> None:
        """Raise Forked in a child of the process that opened the store."""
        if os.getpid() != self._process:
            raise Forked("an Authorizer does not survive a fork; open the store again in the child")

    def refresh(self, deadline: float | None = None) -> None:
        """Catch up with the newest committed revision; `deadline`, an instant of the timer, bounds the waiting."""
        self.check_process()
        started = self._timer()
        if self._behind(self.store.head()):
            try:
                self._turn.take(self._catch_up, None if deadline is None else deadline - started)
            except TimeoutError:
                raise DeadlineExceeded(
                    "the deadline passed while another thread read the newest changes; allow more"
                ) from None
        self._fresh_at = max(self._fresh_at, started)

    def learn(self, revision: Revision) -> None:
        """Catch up with a revision that this process has committed, unless another thread just did.

        That it cannot be followed just now is nobody's failure: the next question catches up, or says what is wrong.
        """
        state = self._state
        if state.torn or state.graph.head.number < revision.number:
            with suppress(RelgraphError):
                self.refresh()

    def follow(self, timeout: float) -> bool:
        """Wait for another revision than the one here and take it in; False when none came within `timeout` seconds."""
        self.check_process()
        started = self._timer()
        if self.store.wait(self._state.graph.head, timeout):
            self.refresh()
            return True
        # The store was looked at after that instant, and had nothing new.
        self._fresh_at = max(self._fresh_at, started)
        return False

    def _behind(self, head: Revision) -> bool:
        known = self._state.graph.head
        return self._state.torn or (known.number, known.nonce) != (head.number, head.nonce)

    def _catch_up(self) -> None:
        if not self._behind(self.store.head()):
            return
        state = self._state
        if state.torn:
            self._state = self._loaded()
            return
        names = state.graph.names
        try:
            with self.store.snapshot() as snapshot:
                changes = snapshot.changes(state.graph.head.number, names.name_max, names.object_max)
        except RevisionUnavailable:
            changes = None
        if changes is None or not state.graph.follows(changes):
            self._state = self._loaded()
        else:
            state.apply(changes)

    def parsed(self, version: SchemaVersion) -> Schema:
        """Return a schema version, parsed once."""
        schema = self._parsed.get(version.text)
        if schema is None:
            schema = self._parsed[version.text] = parse(version.text)
            while len(self._parsed) > _PARSED_MAX:
                self._parsed.popitem(last=False)
        return schema

    def program(self, transaction: Transaction, version: SchemaVersion) -> Program:
        """Return a schema version against the numbers of a write in the making.

        The graph's will do where its chain is the write's own, nonce by nonce: every name of a schema that is in force
        was numbered when it was committed.
        """
        state = self._state
        head = state.graph.head
        if version.revision <= head.number <= transaction.head.number and transaction.revision(head.number) == head:
            known = state.program_at(version.revision, self.parsed)
            if known is not None:
                return known
        return Program(self.parsed(version), transaction.name_id)

    @contextmanager
    def before(self, transaction: Transaction) -> Iterator[Reader]:
        """Hold the tuples that a write in the making finds: the graph's where it stands there, nonce by nonce.

        Otherwise they are the store's own rows, a query for each step, while everybody who writes waits.
        """
        state, head = self._state, transaction.head
        view = state.graph.view(head.number) if not state.torn and state.graph.head == head else None
        if view is None:
            yield RowsView(transaction, head.number)
            return
        with view:
            yield view

    def token(self, revision: Revision) -> str:
        """Return the token of a committed revision."""
        return self._token(revision, self._now(revision))

    def _now(self, newest: Revision) -> int:
        """Return the instant of a request without a token."""
        return max(self._clock(), newest.stamp)

    def _token(self, revision: Revision, now: int) -> str:
        return str(Token(self.store.id, self.store.epoch, revision.number, revision.nonce, now))

    def pin(self, consistency: Consistency | None, deadline: float | None = None) -> Pinned:
        """Choose the revision that `consistency` asks for and hold it.

        Raises RevisionUnavailable; DeadlineExceeded at `deadline`, an instant of the timer.
        """
        wanted = consistency or Consistency()
        self.check_process()
        if wanted.token is not None:
            self._check_origin(wanted.token)
        if wanted.mode == "at_exactly" and wanted.token is not None:
            return self._pin_exactly(wanted.token)
        if wanted.instant is not None:
            return self._pin_time(wanted.instant)
        if wanted.mode == "at_least" and wanted.token is not None:
            self._reach(wanted.token, deadline)
        elif wanted.mode == "fully_consistent" or self._stale():
            self.refresh(deadline)
        return self._pin_head(wanted.token.instant if wanted.token else 0)

    @contextmanager
    def pinned(
        self,
        consistency: Consistency | None,
        deadline: float | None = None,
        page: Token | None = None,
        *,
        walks: bool = False,
    ) -> Iterator[Pinned]:
        """Hold what to answer from: what a page before was answered from, or what `consistency` asks for.

        Where a page `walks`, the graph is held for it if it still has that revision.
        """
        observer = self.observer
        started = 0.0 if observer is None else self._timer()
        held = self._pin_graph(page) if page is not None and walks else None
        if held is None:
            held = self.pin(consistency, deadline) if page is None else self.pin_again(page)
        pinned = held
        if observer is not None:
            began, started = started, self._timer()
            observer.pinned(started - began)
        try:
            yield pinned
        finally:
            pinned.release()
            if observer is not None:
                observer.answered(self._timer() - started)

    def commit(self, transaction: Transaction, before: Revision) -> None:
        """Commit what was sealed since `before`."""
        observer = self.observer
        started = 0.0 if observer is None else self._timer()
        transaction.commit()
        if observer is not None:
            observer.committed(transaction.head.number - before.number, self._timer() - started)

    def _stale(self) -> bool:
        return (self._timer() - self._fresh_at) * 1000 >= self._limits.staleness_ms_max

    def _pin_head(self, instant: int) -> Pinned:
        while True:
            state = self._state
            revision = state.graph.head
            view = state.graph.view(revision.number)
            if view is not None:
                program = state.program_at(revision.number, self.parsed)
                now = max(self._now(revision), instant)
                return Pinned(view, program, revision, now, self._token(revision, now))

    def pin_again(self, token: Token) -> Pinned:
        """Hold the revision of a page's token once more, and its instant, whatever the clock says by now.

        Raises RevisionUnavailable.
        """
        self.check_process()
        self._check_origin(token)
        return self._pin_past(lambda snapshot: (self.kept(snapshot, token), token.instant))

    def _pin_graph(self, token: Token) -> Pinned | None:
        """Hold the revision of a page's token, and its instant, in the graph; None where that does not have it."""
        self.check_process()
        state = self._state
        head = state.graph.head
        with self.store.snapshot() as snapshot:
            revision = self.kept(snapshot, token)
            # The graph's chain is the store's own, nonce by nonce, up to the token's revision.
            chained = not state.torn and revision.number <= head.number and snapshot.revision(head.number) == head
        view = state.graph.view(revision.number) if chained else None
        if view is None:
            return None
        program = state.program_at(revision.number, self.parsed)
        return Pinned(view, program, revision, token.instant, self._token(revision, token.instant))

    def _pin_exactly(self, token: Token) -> Pinned:
        return self._pin_past(
            lambda snapshot: (self.kept(snapshot, token), max(self._now(snapshot.head), token.instant))
        )

    def _pin_time(self, instant: int) -> Pinned:
        return self._pin_past(lambda snapshot: (self._standing_at(snapshot, instant), instant))

    def _pin_past(self, choose: Callable[[Snapshot], tuple[Revision, int]]) -> Pinned:
        """Hold the revision that `choose` finds in a snapshot of the store, at the instant that it names."""
        snapshot = self.store.snapshot()
        try:
            revision, now = choose(snapshot)
            version = snapshot.schema(revision.number)
            program = None if version is None else Program(self.parsed(version), snapshot.name_id)
        except BaseException:
            snapshot.close()
            raise
        return Pinned(PastView(snapshot, revision.number), program, revision, now, self._token(revision, now))

    @contextmanager
    def rows(self, pinned: Pinned) -> Iterator[Snapshot]:
        """Hold the store's rows, for reading at a revision that is held already.

        Raises RevisionUnavailable where they are no longer kept: a graph may stand at a revision whose history was
        collected since.
        """
        if isinstance(pinned.reader, PastView):
            # Its own connection: one that is held while another one is waited for may keep everybody waiting.
            yield pinned.reader.snapshot
            return
        with self.store.snapshot() as snapshot:
            if snapshot.head != pinned.revision:
                self.kept(snapshot, Token.parse(pinned.token))
            yield snapshot

    def _standing_at(self, snapshot: Snapshot, instant: int) -> Revision:
        """Return the last revision stamped up to an instant that has passed."""
        now = self._now(snapshot.head)
        if instant > now:
            asked, present = instant_text(moment(instant)), instant_text(moment(now))
            raise InvalidInput(
                f"{quoted(asked)} has not come yet: it is {quoted(present)}; ask about a time that has passed",
                {"time": asked, "now": present},
            )
        revision = snapshot.revision_at(instant)
        if revision is None:
            asked = instant_text(moment(instant))
            raise RevisionUnavailable(
                f"no revision as old as {quoted(asked)} is kept; ask about a later time", {"time": asked}
            )
        return revision

    def kept(self, snapshot: Snapshot, token: Token) -> Revision:
        """Return a token's revision. Raises RevisionUnavailable where the store does not have it, or not any more."""
        self._check_origin(token)
        revision = self._known(snapshot, token)
        if revision is None:
            raise RevisionUnavailable(
                f"revision {token.revision} is no longer kept; read at a newer one", {"revision": str(token.revision)}
            )
        return revision

    def _reach(self, token: Token, deadline: float | None) -> None:
        head = self._state.graph.head
        if (head.number, head.nonce) == (token.revision, token.nonce):
            return
        self.refresh(deadline)
        with self.store.snapshot() as snapshot:
            self._known(snapshot, token)

    def _check_origin(self, token: Token) -> None:
        if token.store != self.store.id:
            raise RevisionUnavailable("the token is of another store; use a token that this store returned")
        if token.epoch != self.store.epoch:
            raise RevisionUnavailable("the token is from before the store was restored; use a newer one")

    @staticmethod
    def _known(snapshot: Snapshot, token: Token) -> Revision | None:
        """Return the token's revision, None when it is no longer kept; refuse one that this store never committed."""
        if token.revision > snapshot.head.number:
            raise RevisionUnavailable(
                f"revision {token.revision} is beyond the newest, {snapshot.head.number}; "
                "the store may have been replaced by an older copy",
                {"revision": str(token.revision), "head": str(snapshot.head.number)},
            )
        revision = snapshot.revision(token.revision)
        if revision is not None and revision.nonce != token.nonce:
            raise RevisionUnavailable(
                f"revision {token.revision} of this store is not the one of the token; "
                "the store may have been replaced by an older copy",
                {"revision": str(token.revision)},
            )
        return revision

"""Following the store: the graph in memory, the schemas, and which revision a question is answered at.

Rule 1: the graph learns only from committed, chained revisions, its own process's writes included: after a commit it
reads them back from the store like anybody else's. A chain that does not fit drops everything and starts over.
Rule 2: a token is honoured exactly or refused (OUT_OF_RANGE); it never degrades to what happens to be there.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from relgraph.engine import Program
from relgraph.errors import Forked, NoSchema, RevisionUnavailable
from relgraph.graph import Graph, GraphView, PastView
from relgraph.revision import Consistency, Revision, Token
from relgraph.schema import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.engine import Reader
    from relgraph.limits import Limits
    from relgraph.schema import Schema
    from relgraph.store.base import SchemaVersion, Snapshot, Store

__all__ = ["Following", "Pinned"]

_PARSED_MAX = 16


@dataclass(frozen=True, slots=True)
class Pinned:
    """A revision to answer at: its tuples and its schema, until `release` is called."""

    reader: GraphView | PastView
    program: Program | None
    revision: Revision
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


class Following:
    """Keeps one process's graph up with its store, from any number of threads."""

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], int], timer: Callable[[], float]) -> None:
        self.store = store
        self._limits = limits
        self._clock = clock
        self._timer = timer
        self._process = os.getpid()
        self._lock = Lock()
        self._parsed: OrderedDict[str, Schema] = OrderedDict()
        self._programs: dict[int, Program] = {}
        self._versions: tuple[SchemaVersion, ...] = ()
        self._graph = self._loaded()

    def _loaded(self) -> Graph:
        with self.store.snapshot() as snapshot:
            image = snapshot.image()
            graph = Graph(image)
            self._programs = {}
            self._versions = image.schemas
        self._fresh_at = self._timer()
        return graph

    def check_process(self) -> None:
        """Raise Forked in a child of the process that opened the store."""
        if os.getpid() != self._process:
            raise Forked("an Authorizer does not survive a fork; open the store again in the child")

    def refresh(self) -> Graph:
        """Catch up with the newest committed revision and return the graph, which has it."""
        self.check_process()
        started = self._timer()
        graph, head = self._graph, self.store.head()
        if (graph.head.number, graph.head.nonce) != (head.number, head.nonce):
            with self._lock:
                graph = self._graph
                if (graph.head.number, graph.head.nonce) != (head.number, head.nonce):
                    graph = self._caught_up(graph)
        self._fresh_at = max(self._fresh_at, started)
        return graph

    def _caught_up(self, graph: Graph) -> Graph:
        try:
            with self.store.snapshot() as snapshot:
                changes = snapshot.changes(graph.head.number, graph.names.name_max, graph.names.object_max)
        except RevisionUnavailable:
            changes = None
        if changes is None or not graph.follows(changes):
            self._graph = self._loaded()
            return self._graph
        self._versions = (*self._versions, *changes.schemas)
        graph.apply(changes)
        return graph

    def parsed(self, version: SchemaVersion) -> Schema:
        """Return a schema version, parsed once."""
        schema = self._parsed.get(version.text)
        if schema is None:
            schema = self._parsed[version.text] = parse(version.text)
            while len(self._parsed) > _PARSED_MAX:
                self._parsed.popitem(last=False)
        return schema

    def token(self, revision: Revision, instant: int = 0) -> str:
        """Return the token of a committed revision."""
        now = max(self._clock(), revision.stamp, instant)
        return str(Token(self.store.id, self.store.epoch, revision.number, revision.nonce, now))

    def pin(self, consistency: Consistency | None) -> Pinned:
        """Choose the revision that `consistency` asks for and hold it. Raises RevisionUnavailable."""
        wanted = consistency or Consistency()
        self.check_process()
        if wanted.token is not None:
            self._check_origin(wanted.token)
        if wanted.mode == "at_exactly" and wanted.token is not None:
            return self._pin_exactly(wanted.token)
        if wanted.mode == "at_least" and wanted.token is not None:
            self._reach(wanted.token)
        elif wanted.mode == "fully_consistent" or self._stale():
            self.refresh()
        return self._pin_head(wanted.token.instant if wanted.token else 0)

    def _stale(self) -> bool:
        return (self._timer() - self._fresh_at) * 1000 >= self._limits.staleness_ms_max

    def _pin_head(self, instant: int) -> Pinned:
        while True:
            graph = self._graph
            revision = graph.head
            view = graph.view(revision.number)
            if view is not None:
                return Pinned(view, self._program_at(graph, revision.number), revision, self.token(revision, instant))

    def _program_at(self, graph: Graph, number: int) -> Program | None:
        version = next((each for each in reversed(self._versions) if each.revision <= number), None)
        if version is None:
            return None
        program = self._programs.get(version.revision)
        if program is None:
            program = Program(self.parsed(version), graph.names.name_number)
            self._programs[version.revision] = program
        return program

    def _pin_exactly(self, token: Token) -> Pinned:
        snapshot = self.store.snapshot()
        try:
            revision = self._kept(snapshot, token)
            version = snapshot.schema(revision.number)
            program = None if version is None else Program(self.parsed(version), snapshot.name_id)
        except BaseException:
            snapshot.close()
            raise
        return Pinned(PastView(snapshot, revision.number), program, revision, self.token(revision, token.instant))

    def _kept(self, snapshot: Snapshot, token: Token) -> Revision:
        revision = self._known(snapshot, token)
        if revision is None:
            raise RevisionUnavailable(
                f"revision {token.revision} is no longer kept; read at a newer one", {"revision": str(token.revision)}
            )
        return revision

    def _reach(self, token: Token) -> None:
        graph = self._graph
        if graph.head.number == token.revision and graph.head.nonce == token.nonce:
            return
        self.refresh()
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

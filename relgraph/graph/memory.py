"""The living tuples in memory, versioned, so that a walk pinned at one revision never sees a later write.

Rule 1: one writer at a time (the Authorizer's lock); any number of readers, who take no lock.
Rule 2: readers see an entry only through `lives_at(their revision)`; the writer appends entries and sets `deleted`,
and advances `head` last. Lists are only appended to or replaced whole, so an iteration in progress stays valid.
Rule 3: versions that no pinned view can see any more are dropped by `fold`; `floor` is the oldest revision that is
still exact.
Rule 4: who holds which subject is indexed when that is first asked, for lookups alone need it; the one lock that this
takes keeps the writer out until the index is there, and no reader who does not ask for it.
"""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock
from typing import TYPE_CHECKING, Self

from relgraph.graph.edges import edge_of
from relgraph.graph.names import Names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from relgraph.graph.edges import TupleEdge
    from relgraph.revision import Revision
    from relgraph.store.base import Changes, Image, NumberedRow
    from relgraph.tuples import Object

__all__ = ["Graph", "GraphView"]

_DEAD_MAX = 4096


class _Node:
    """The tuples of one relation of one resource."""

    __slots__ = ("newest", "plain", "usersets")

    def __init__(self) -> None:
        self.newest: dict[tuple[int, int], TupleEdge] = {}
        self.plain: list[TupleEdge] = []
        self.usersets: list[TupleEdge] = []

    def add(self, row: NumberedRow, kind: tuple[int, int, bool]) -> TupleEdge:
        key = (row.subject, row.subject_relation)
        edge = edge_of(row, kind, self.newest.get(key))
        (self.usersets if row.subject_relation else self.plain).append(edge)
        self.newest[key] = edge
        return edge

    def without(self, floor: int) -> _Node:
        """Return a copy without what died at or before `floor`."""
        kept = _Node()
        for edge in (*self.plain, *self.usersets):
            if edge.deleted is None or edge.deleted > floor:
                key = (edge.subject, edge.subject_relation)
                edge.older = kept.newest.get(key)
                (kept.usersets if edge.subject_relation else kept.plain).append(edge)
                kept.newest[key] = edge
        return kept


class Graph:
    """All living tuples of one store, and those that died since it was loaded and may still be read."""

    def __init__(self, image: Image) -> None:
        self.names = Names()
        self.names.add_names(image.names)
        self.names.add_objects(image.objects)
        self._nodes: dict[tuple[int, int], _Node] = {}
        for row in image.rows:
            self._node(row).add(row, self.names.kind_of(row.subject, row.subject_relation))
        self._dead: deque[TupleEdge] = deque()
        self._pins: Counter[int] = Counter()
        self._pins_lock = Lock()
        # The tuples that name an object as their subject, or behind their subject; None until they are asked for.
        self._holders: dict[int, list[TupleEdge]] | None = None
        self._holders_lock = Lock()
        self.floor = image.head.number
        self.head: Revision = image.head

    def _node(self, row: NumberedRow | TupleEdge) -> _Node:
        key = (row.resource, row.relation)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = _Node()
        return node

    def follows(self, changes: Changes) -> bool:
        """Return whether `changes` continue this graph's chain, nonce by nonce."""
        nonce = self.head.nonce
        number = self.head.number
        for revision, predecessor in changes.chain:
            if revision.number != number + 1 or predecessor != nonce:
                return False
            number, nonce = revision.number, revision.nonce
        return changes.head.number == number and changes.head.nonce == nonce

    def apply(self, changes: Changes) -> None:
        """Take in committed changes that `follows` accepted. One caller at a time."""
        self.names.add_names(changes.names)
        self.names.add_objects(changes.objects)
        with self._holders_lock:
            self._take(changes.rows)
        # INVARIANT: the head moves last; until then no reader's revision can see the entries above.
        self.head = changes.head
        if len(self._dead) > _DEAD_MAX:
            self.fold()

    def _take(self, rows: list[NumberedRow]) -> None:
        for row in sorted(rows, key=lambda row: row.created):
            node = self._node(row)
            if row.created > self.head.number:
                edge = node.add(row, self.names.kind_of(row.subject, row.subject_relation))
                if self._holders is not None:
                    self._holders.setdefault(edge.subject, []).append(edge)
            if row.deleted is not None:
                edge = node.newest[row.subject, row.subject_relation]
                while edge.created != row.created:
                    assert edge.older is not None  # the chain holds every version that died after loading
                    edge = edge.older
                edge.deleted = row.deleted
                self._dead.append(edge)

    def fold(self) -> None:
        """Drop the versions that died at or before the oldest pinned revision."""
        with self._pins_lock:
            floor = min(self._pins, default=self.head.number)
            self.floor = max(self.floor, floor)
        touched: set[tuple[int, int]] = set()
        held: set[int] = set()
        keep: deque[TupleEdge] = deque()
        for edge in self._dead:
            if edge.deleted is not None and edge.deleted <= floor:
                touched.add((edge.resource, edge.relation))
                held.add(edge.subject)
            else:
                keep.append(edge)
        with self._holders_lock:
            for key in touched:
                self._nodes[key] = self._nodes[key].without(floor)
            index = self._holders or {}
            for subject in held if index else ():
                edges = index[subject]
                index[subject] = [one for one in edges if one.deleted is None or one.deleted > floor]
        self._dead = keep

    @property
    def holders(self) -> Mapping[int, list[TupleEdge]]:
        """The tuples of each object that is their subject, or behind it; for views only. The first call takes long."""
        if self._holders is None:
            with self._holders_lock:
                if self._holders is None:
                    found: dict[int, list[TupleEdge]] = {}
                    for node in self._nodes.values():
                        for edge in (*node.plain, *node.usersets):
                            found.setdefault(edge.subject, []).append(edge)
                    self._holders = found
        return self._holders

    def view(self, revision: int | None = None) -> GraphView | None:
        """Pin and return a view at `revision` (the head without one); None when the graph no longer has it exactly."""
        with self._pins_lock:
            number = self.head.number if revision is None else revision
            if not self.floor <= number <= self.head.number:
                return None
            self._pins[number] += 1
        return GraphView(self, number)

    def release(self, revision: int) -> None:
        """Undo one pin; views call it when they are left."""
        with self._pins_lock:
            self._pins[revision] -= 1
            if not self._pins[revision]:
                del self._pins[revision]

    @property
    def nodes(self) -> Mapping[tuple[int, int], _Node]:
        """The tuples of each relation of each resource; for views only."""
        return self._nodes


class GraphView:
    """The graph at one pinned revision: the engine's reader. A context manager; leave it to unpin."""

    def __init__(self, graph: Graph, revision: int) -> None:
        self._graph = graph
        self._nodes = graph.nodes
        self._names = graph.names
        # Asked for with every tuple that is read: one call less.
        self.type_of = graph.names.type_of
        self.revision = revision

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._graph.release(self.revision)

    def name(self, number: int) -> str:
        """Return the name of a type or relation number."""
        return self._names.name(number)

    def name_number(self, name: str) -> int | None:
        """Return the number of a type or relation name, or None."""
        return self._names.name_number(name)

    def object(self, number: int) -> Object:
        """Return the object of a number."""
        return self._names.object(number)

    def object_number(self, type_number: int, key: str) -> int | None:
        """Return the number of an object, or None where no committed write mentioned it."""
        return self._names.object_number(type_number, key)

    def edges_to(self, resource: int, relation: int, subject: int, subject_relation: int) -> Sequence[TupleEdge]:
        """Return exactly that tuple, if it lives."""
        node = self._nodes.get((resource, relation))
        edge = None if node is None else node.newest.get((subject, subject_relation))
        while edge is not None and not edge.lives_at(self.revision):
            edge = edge.older
        return () if edge is None else (edge,)

    def usersets(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return the tuples of that relation whose subject is a userset."""
        node = self._nodes.get((resource, relation))
        if node is None or not node.usersets:
            return ()
        revision = self.revision
        # `TupleEdge.lives_at`, here and below, without a call for each of what may be very many.
        return [
            edge
            for edge in node.usersets
            if edge.created <= revision and (edge.deleted is None or edge.deleted > revision)
        ]

    def edges(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return all tuples of that relation."""
        node = self._nodes.get((resource, relation))
        if node is None:
            return ()
        revision = self.revision
        return [
            edge
            for edge in ([*node.plain, *node.usersets] if node.plain and node.usersets else node.plain or node.usersets)
            if edge.created <= revision and (edge.deleted is None or edge.deleted > revision)
        ]

    def holders(self, subject: int, subject_relation: int) -> Sequence[TupleEdge]:
        """Return all tuples that name exactly this subject."""
        revision = self.revision
        return [
            edge
            for edge in self._graph.holders.get(subject, ())
            if edge.subject_relation == subject_relation
            and edge.created <= revision
            and (edge.deleted is None or edge.deleted > revision)
        ]

    def objects(self, type_number: int) -> Sequence[int]:
        """Return the numbers of all objects of a type, `*` and those that later writes named among them."""
        return self._names.objects(type_number)

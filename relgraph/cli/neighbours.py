"""The part of the graph around one object, as a networkx graph.

Nodes are objects and usersets (`group:board#member`), edges are tuples from resource to subject. A userset is tied to
its object by an edge of its own kind, so that the tuples that fill it are seen from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from relgraph.errors import LimitExceeded, quoted
from relgraph.revision import Consistency
from relgraph.tuples import Object, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.cli.drawing import Graph
    from relgraph.cli.target import Door
    from relgraph.tuples import RelationTuple

__all__ = ["neighbourhood"]

_PAGE = 1_000


def neighbourhood(door: Door, center: Object, *, depth: int, nodes_max: int, consistency: Consistency | None) -> Graph:
    """Return what is at most `depth` tuples away from `center`, in either direction, all at one revision.

    Raises LimitExceeded when that is more than `nodes_max` nodes: a part would look like the whole.
    """
    graph: Graph = nx.MultiDiGraph()
    graph.add_node(str(center), type=center.type, id=center.id, kind="object", center="true")
    reader = _Reader(door, consistency)
    seen = {center}
    rim = [center]
    for _ in range(depth):
        outside: list[Object] = []
        for object_ in rim:
            for tuple_ in reader.around(object_):
                _add(graph, tuple_)
                if graph.number_of_nodes() > nodes_max:
                    raise LimitExceeded(
                        f"more than {nodes_max} nodes lie within {depth} of {quoted(str(center))}; "
                        "ask with a smaller --depth or a larger --nodes-max",
                        {"limit": "nodes_max", "value": str(nodes_max)},
                    )
                for other in (tuple_.resource, tuple_.subject.object):
                    if other not in seen:
                        seen.add(other)
                        outside.append(other)
        rim = outside
    return graph


class _Reader:
    """Reads tuples page by page, every page at the revision of the first, and at one time where that was asked for."""

    def __init__(self, door: Door, consistency: Consistency | None) -> None:
        self._door = door
        self._consistency = consistency
        self._pinned = consistency is not None and consistency.mode == "at_time"

    def around(self, object_: Object) -> Iterator[RelationTuple]:
        """Yield the tuples with this object as resource, then those with it in the subject."""
        yield from self._read(TupleFilter(resource_type=object_.type, resource_id=object_.id))
        yield from self._read(TupleFilter(subject_type=object_.type, subject_id=object_.id))

    def _read(self, filter_: TupleFilter) -> Iterator[RelationTuple]:
        cursor = ""
        while True:
            page = self._door.read(
                filter_, limit=_PAGE, cursor=cursor, consistency=None if cursor else self._consistency
            )
            if not self._pinned:
                self._consistency = Consistency.at_exactly(page.token)
                self._pinned = True
            yield from page.tuples
            cursor = page.cursor
            if not cursor:
                return


def _add(graph: Graph, tuple_: RelationTuple) -> None:
    resource, subject = tuple_.resource, tuple_.subject
    graph.add_node(str(resource), type=resource.type, id=resource.id, kind="object")
    if subject.relation:
        graph.add_node(str(subject.object), type=subject.type, id=subject.id, kind="object")
        graph.add_node(str(subject), type=subject.type, id=subject.id, kind="userset")
        graph.add_edge(
            str(subject), str(subject.object), key=f"userset {subject}", relation=subject.relation, kind="userset"
        )
    else:
        graph.add_node(str(subject), type=subject.type, id=subject.id, kind="object")
    # An edge that counts under a condition alone must not look like one that always does.
    shown = {"caveat": tuple_.caveat, "label": f"{tuple_.relation} [{tuple_.caveat}]"} if tuple_.caveat else {}
    # Keyed by the tuple, which is met from both of its ends.
    graph.add_edge(str(resource), str(subject), key=str(tuple_), relation=tuple_.relation, kind="tuple", **shown)

"""Expand as `authzed.api.v1` tells it: a tree, built of relgraph's flat list of nodes.

    permission   an intermediate node of its operator; an expression that has none is a union of one
    operator     below its permission, an intermediate node; a union in a union is one, so is an intersection
    arrow        a union over the tuples of its relation, an intersection for `.all`
    relation     a leaf of its subjects, usersets closed and last
    nil, self    a leaf of nobody, or of the object itself

A name is opened wherever it stands, so a node of the list may stand in the tree many times.

Rule 1: how large the tree becomes is worked out before any of it is built: a short list may be a tree of 2^40 nodes.
Rule 2: nothing is cut off. A tree without end, or one that messages cannot carry, is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.errors import LimitExceeded, RelgraphError, quoted
from relgraph.tuples import Subject
from relgraph_server.authzed import checked
from relgraph_server.authzed.nouns import consistency_of, nameless, object_message, object_of, subject_message
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.tokens import zed_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import ExpandNode, Expansion
    from relgraph.tuples import Object
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["LEVELS_MAX", "Expanding", "tree_of"]

LEVELS_MAX: Final = 48
"""Levels of a tree. Each takes two messages in each other, and protobuf's libraries read a hundred of them."""

_OPERATIONS: Final = {
    "union": core.AlgebraicSubjectSet.OPERATION_UNION,
    "intersection": core.AlgebraicSubjectSet.OPERATION_INTERSECTION,
    "exclusion": core.AlgebraicSubjectSet.OPERATION_EXCLUSION,
    "arrow": core.AlgebraicSubjectSet.OPERATION_UNION,
    "all": core.AlgebraicSubjectSet.OPERATION_INTERSECTION,
}
_COLLAPSED: Final = ("union", "intersection")
# What the tags and lengths of a node's messages take at the most, and those of one subject in a leaf.
_NODE_BYTES: Final = 32
_SUBJECT_BYTES: Final = 16


class _Place(NamedTuple):
    """A node of the list under a permission: operators and `nil` are told as parts of it."""

    node: int
    owner: int


class _Shape(NamedTuple):
    """What stands at a place: an operation over places, None for a leaf."""

    operation: core.AlgebraicSubjectSet.Operation.ValueType | None
    below: tuple[_Place, ...]


class _Measure(NamedTuple):
    """How large the tree below a place is: levels, and bytes at the most."""

    levels: int
    bytes: int


class Expanding:
    """The method, over what is asked through."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def expand(
        self, request: pb.ExpandPermissionTreeRequest, context: Context
    ) -> pb.ExpandPermissionTreeResponse:
        """Show how a permission or relation comes about."""
        checked.required(request, "resource")
        resource = object_of(request.resource, "resource")
        permission = request.permission and checked.relation_name(request.permission, "permission")
        consistency = consistency_of(request)
        if not permission:
            raise nameless(resource)
        bytes_max = self._asking.settings.answer_bytes_max

        def answer(left: float) -> pb.ExpandPermissionTreeResponse:
            found = self._asking.authorizer.expand(resource, permission, consistency=consistency, deadline=left)
            return pb.ExpandPermissionTreeResponse(
                expanded_at=zed_token(found.token), tree_root=tree_of(found, bytes_max)
            )

        return await self._asking.ask(answer, context)


def tree_of(expansion: Expansion, bytes_max: int) -> core.PermissionRelationshipTree:
    """Return the tree of an expansion. Raises Refused for one too deep or without end, and LimitExceeded."""
    return _Trees(expansion.nodes).tree(bytes_max)


class _Trees:
    """The trees of one list of nodes, each worked out once."""

    def __init__(self, nodes: Sequence[ExpandNode]) -> None:
        self._nodes = nodes

    def tree(self, bytes_max: int) -> core.PermissionRelationshipTree:
        """Return the tree of node 0."""
        root = _Place(0, 0)
        cycle = next((node for node in self._nodes if node.cycle), None)
        if cycle is not None:
            raise _too_deep(f"{quoted(str(cycle.object))} leads back to itself, so its tree has no end")
        shapes = self._shapes(root)
        measures: dict[_Place, _Measure] = {}
        for place in reversed(shapes):
            measures[place] = self._measure(place, [measures[each] for each in shapes[place].below])
        levels, size = measures[root]
        if levels > LEVELS_MAX:
            raise _too_deep(f"the tree has {levels} levels, and one of {LEVELS_MAX} can be told")
        if size > bytes_max:
            raise LimitExceeded(
                f"the tree may take {size} bytes, and an answer at most {bytes_max}; ask `Expand` of `relgraph.v1`, "
                "which tells each node once",
                {"limit": "answer_bytes_max", "value": str(bytes_max)},
            )
        built: dict[_Place, core.PermissionRelationshipTree] = {}
        for place in reversed(shapes):
            built[place] = self._message(place, shapes[place], built)
        return built[root]

    def _shapes(self, root: _Place) -> dict[_Place, _Shape]:
        """Return every place with what stands there, each behind all that it stands below."""
        order: list[_Place] = []
        shapes: dict[_Place, _Shape] = {}
        agenda: list[tuple[_Place, bool]] = [(root, False)]
        while agenda:
            place, done = agenda.pop()
            if done:
                order.append(place)
            elif place not in shapes:
                shape = shapes[place] = self._shape(place)
                agenda.append((place, True))
                agenda.extend((each, False) for each in shape.below)
        return {place: shapes[place] for place in reversed(order)}

    def _shape(self, place: _Place) -> _Shape:
        node = self._nodes[place.node]
        if node.kind == "permission":
            (child,) = node.children
            kind = self._nodes[child].kind
            if kind in ("union", "intersection", "exclusion"):
                return self._operator(child, place.node)
            return _Shape(core.AlgebraicSubjectSet.OPERATION_UNION, (_Place(child, place.node),))
        if node.kind in ("arrow", "all"):
            # An expansion leaves out no tuple that an arrow follows, so each has its child.
            pairs = sorted(zip((fact.subject for fact in node.tuples), node.children, strict=True))
            return _Shape(_OPERATIONS[node.kind], tuple(_Place(child, place.owner) for _, child in pairs))
        if node.kind in _OPERATIONS:
            return self._operator(place.node, place.owner)
        return _Shape(None, ())

    def _operator(self, number: int, owner: int) -> _Shape:
        node = self._nodes[number]
        operands = self._operands(node) if node.kind in _COLLAPSED else node.children
        return _Shape(_OPERATIONS[node.kind], tuple(_Place(each, owner) for each in operands))

    def _operands(self, node: ExpandNode) -> list[int]:
        """Return the operands of a union or intersection, those of the same in it among them."""
        found = []
        agenda = list(reversed(node.children))
        while agenda:
            each = agenda.pop()
            if self._nodes[each].kind == node.kind:
                agenda.extend(reversed(self._nodes[each].children))
            else:
                found.append(each)
        return found

    def _expanded(self, place: _Place) -> tuple[Object, str]:
        """Return what a place is told to belong to: an operator, `nil` and `self` to their permission."""
        node = self._nodes[place.node]
        if node.kind not in ("permission", "relation"):
            node = self._nodes[place.owner]
        return node.object, node.text.partition(" = ")[0]

    def _subjects(self, place: _Place) -> list[Subject]:
        """Return the subjects of a leaf: plain ones first, usersets behind them."""
        node = self._nodes[place.node]
        if node.kind == "self":
            return [Subject(node.object.type, node.object.id)]
        subjects = {fact.subject for fact in node.tuples} if node.kind == "relation" else set()
        return sorted(subjects, key=lambda subject: (bool(subject.relation), subject))

    def _measure(self, place: _Place, below: list[_Measure]) -> _Measure:
        object_, name = self._expanded(place)
        size = _NODE_BYTES + len(object_.type) + len(object_.id) + len(name) + sum(each.bytes for each in below)
        for subject in self._subjects(place) if not below else ():
            size += _SUBJECT_BYTES + len(subject.type) + len(subject.id) + len(subject.relation)
        return _Measure(1 + max((each.levels for each in below), default=0), size)

    def _message(
        self, place: _Place, shape: _Shape, built: dict[_Place, core.PermissionRelationshipTree]
    ) -> core.PermissionRelationshipTree:
        object_, name = self._expanded(place)
        told = core.PermissionRelationshipTree(expanded_object=object_message(object_), expanded_relation=name)
        if shape.operation is None:
            told.leaf.CopyFrom(core.DirectSubjectSet(subjects=map(subject_message, self._subjects(place))))
        else:
            children = [built[each] for each in shape.below]
            told.intermediate.CopyFrom(core.AlgebraicSubjectSet(operation=shape.operation, children=children))
        return told


def _too_deep(problem: str) -> RelgraphError:
    return refusal(
        Said.TOO_DEEP, f"{problem}; ask `Expand` of relgraph.v1, which tells each node once, however deep it lies"
    )

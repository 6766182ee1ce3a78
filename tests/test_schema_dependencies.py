"""What relations and permissions lean on, and why."""

from __future__ import annotations

from relgraph.schema import parse
from relgraph.schema.dependencies import Dependency, dependencies, graph

TEXT = """\
definition user {}
definition group { relation member: user | group#member }
definition folder {
    relation parent: folder
    relation owner: user
    permission view = owner + parent->view
}
definition doc {
    relation parent: folder | group
    relation viewer: user | group#member
    relation banned: user
    permission view = viewer + parent->view - (banned - viewer)
}
"""


def test_each_dependency_says_why() -> None:
    """Usersets, names, arrows and tuplesets are told apart; an arrow reaches only types that have the name."""
    found = [each for each in dependencies(parse(TEXT)) if each.source[0] == "doc"]
    view = ("doc", "view")
    assert found == [
        Dependency(("doc", "viewer"), ("group", "member"), "userset"),
        Dependency(view, ("doc", "viewer"), "name"),
        Dependency(view, ("doc", "parent"), "tupleset"),
        Dependency(view, ("folder", "view"), "arrow", "parent"),
        Dependency(view, ("doc", "banned"), "name", "", negative=True),
        Dependency(view, ("doc", "viewer"), "name", "", negative=True),
    ]


def test_the_graph_has_every_name() -> None:
    """Every relation and permission is a node, also one that nothing leans on, and every dependency one edge."""
    made = graph(parse(TEXT))
    assert set(made.nodes) == {
        ("group", "member"),
        ("folder", "parent"),
        ("folder", "owner"),
        ("folder", "view"),
        ("doc", "parent"),
        ("doc", "viewer"),
        ("doc", "banned"),
        ("doc", "view"),
    }
    assert made.nodes["doc", "view"] == {"type": "doc", "member": "view", "kind": "permission"}
    between = made.get_edge_data(("doc", "view"), ("doc", "viewer"))
    assert sorted(edge["negative"] for edge in between.values()) == ["false", "true"]
    assert made.number_of_edges() == len(set(dependencies(parse(TEXT))))

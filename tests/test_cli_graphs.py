"""Drawings in the terminal: surroundings and proofs in every spelling, cycles, and pictures that are sound."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.answers import Cycle, CycleClass, Cycles
from relgraph.cli import main
from relgraph.cli.drawing import dot_lines
from relgraph.cli.svg import svg_lines
from relgraph.tuples import RelationTuple, Subject
from tests.cli_doors import DOORS, behind
from tests.cli_double import TOKEN, Double

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.cli.drawing import Graph

SCHEMA = """
use roles
definition user {}
definition group { relation member: user | group#member }
definition report {
    relation parent: report
    relation administrator: user | group#member
    relation viewer: user
    permission administer = administrator + parent->administer
    permission observe = administer + viewer
    permission other = viewer
    roles administer > observe
}
"""
TUPLES = [
    "group:all#member@group:board#member",
    "group:board#member@group:all#member",
    "group:board#member@user:anna",
    "report:draft#administrator@user:anna",
    "report:draft#parent@report:q3",
    "report:q3#administrator@group:board#member",
    "report:q3#viewer@user:bob",
]
SVG = "{http://www.w3.org/2000/svg}"

Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", params=DOORS)
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A store with the tuples above, through either door."""
    with behind(request.param, tmp_path_factory.mktemp("graphs"), SCHEMA, TUPLES) as door:
        yield door


def told(capsys: Screen, where: list[str], *arguments: str) -> str:
    """Run a command that succeeds, and return what it prints."""
    assert main([*where, *arguments]) == 0
    return capsys.readouterr().out


def test_a_proof_leads_from_the_claim_to_the_subject(where: list[str], capsys: Screen) -> None:
    """All ways together are one graph: a step that several ways take stands once, with the numbers of these ways."""
    found = json.loads(told(capsys, where, "graph", "--why", "user:anna", "report:draft", "--ways", "all", "--json"))
    drawing = nx.node_link_graph(found, name="name", edges="edges")
    assert {node for node, data in drawing.nodes(data=True) if data.get("center")} == {"report:draft#administer"}
    edges = {
        (source, target): (data["rule"], data["tuple"], data["ways"])
        for source, target, data in drawing.edges(data=True)
    }
    assert edges == {
        ("report:draft#administer", "report:draft#administrator"): ("permission", "", "1"),
        ("report:draft#administrator", "user:anna"): ("tuple", "report:draft#administrator@user:anna", "1"),
        ("report:draft#administer", "report:q3#administer"): ("arrow", "report:draft#parent@report:q3", "2"),
        ("report:q3#administer", "report:q3#administrator"): ("permission", "", "2"),
        ("report:q3#administrator", "group:board#member"): (
            "userset",
            "report:q3#administrator@group:board#member",
            "2",
        ),
        ("group:board#member", "user:anna"): ("tuple", "group:board#member@user:anna", "2"),
    }


def test_a_proof_of_one_permission(where: list[str], capsys: Screen) -> None:
    """A stronger role proves a weaker one; what nothing proves is refused, and no drawing is printed."""
    for words in (["user:anna", "report:q3"], ["user:anna", "observe", "report:q3"]):
        assert '"report:q3#administer" -> "report:q3#administrator"' in told(capsys, where, "graph", "--why", *words)
    for words, has in (
        (["user:bob", "administer", "report:q3"], "`user:bob` has `observe` on `report:q3`, and no way that `adminis"),
        (["user:eve", "report:q3"], "`user:eve` has no access on `report:q3`, and no way; there is nothing to draw"),
        (["user:bob"], "--why takes SUBJECT and RESOURCE"),
    ):
        assert main([*where, "graph", "--why", *words]) == 2
        screen = capsys.readouterr()
        assert (screen.out, has in screen.err) == ("", True)


@pytest.mark.parametrize("words", [["report:q3"], ["--why", "user:anna", "report:draft", "--ways", "all"]], ids=len)
def test_every_spelling_has_the_same_nodes_and_edges(where: list[str], capsys: Screen, words: list[str]) -> None:
    """DOT, GraphML, JSON and SVG of one drawing have as many nodes and edges as each other."""
    shape = json.loads(told(capsys, where, "graph", *words, "--format", "json"))
    nodes = sorted(node["name"] for node in shape["nodes"])
    graphml = nx.parse_graphml(told(capsys, where, "graph", *words, "--format", "graphml"))
    assert (sorted(graphml), graphml.number_of_edges()) == (nodes, len(shape["edges"]))
    dot = told(capsys, where, "graph", *words)
    assert sorted(re.findall(r'^  "([^"]+)" \[shape', dot, re.MULTILINE)) == nodes
    assert dot.count(" -> ") == len(shape["edges"])
    picture = ElementTree.fromstring(told(capsys, where, "graph", *words, "--format", "svg"))
    assert sorted(text.text or "" for text in picture.findall(f"{SVG}g/{SVG}text")) == nodes
    assert len(picture.findall(f"{SVG}path")) == len(shape["edges"])


def test_cycles_are_listed(where: list[str], capsys: Screen) -> None:
    """Cycles are listed with their class, names and tuples, through either door."""
    assert json.loads(told(capsys, where, "graph", "--cycles", "--json")) == {
        "class": "usersets",
        "names": ["group:all#member", "group:board#member"],
        "tuples": TUPLES[:2],
        "subjects": [],
    }
    assert told(capsys, where, "graph", "--cycles", "--type", "report") == "no cycles (revision 2)\n"


def test_a_long_cycle_is_cut_for_people_only(double: Double, capsys: Screen) -> None:
    """The text shows the first names, tuples and subjects, and how many more there are; JSON has them all."""
    names = tuple(Subject("group", f"g{number:03}", "member") for number in range(120))
    tuples = tuple(RelationTuple.parse(f"{name}@group:g000#member") for name in names)
    cycle = Cycle(CycleClass.UNDEFINED, names, tuples, (Subject("user", "anna"),))
    double.answers["cycles"] = Cycles((cycle,), 7, TOKEN)
    text = told(capsys, [], "graph", "--cycles", "group:x", "--type", "group")
    assert double.calls == [("cycles", (("group:x",),), {"types": ("group",), "consistency": None})]
    assert text.startswith("undefined  group:g000#member, group:g001#member, ")
    assert text.count("and 100 more") == 2
    assert text.endswith("\n1 cycle (revision 7)\n")
    assert "undecided for user:anna\n" in text
    assert len(json.loads(told(capsys, [], "graph", "--cycles", "--json"))["names"]) == 120


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cycles", "--orphans"],
        ["--cycles", "--format", "svg"],
        ["--why", "user:anna", "report:q3", "--depth", "2"],
        ["--why", "user:anna", "report:q3", "--type", "report"],
        ["--why", "user:anna", "report:q3", "--format", "svg", "--json"],
        ["report:q3", "--ways", "all"],
    ],
    ids=" ".join,
)
def test_options_that_mean_nothing_are_refused(double: Double, arguments: list[str]) -> None:
    """An option that another one makes meaningless is refused before anything is asked."""
    assert main(["graph", *arguments]) == 2
    assert double.calls == []


# --- pictures ---------------------------------------------------------------------------------------------------------


def drawn(edges: list[tuple[int, int, str]]) -> Graph:
    """Return a graph with such edges, whose nodes have awkward names."""
    made: Graph = nx.MultiDiGraph()
    for source, target, label in edges:
        for node in (source, target):
            made.add_node(f"t:<{node}>&\"'" + "x" * node, kind="object" if node % 2 else "userset")
        ends = [f"t:<{node}>&\"'" + "x" * node for node in (source, target)]
        made.add_edge(*ends, kind="tuple", relation=label)
    return made


@given(
    edges=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from(["", "member", "<&>\x1b[31m"])),
        min_size=1,
        max_size=25,
    )
)
def test_pictures_are_sound(edges: list[tuple[int, int, str]]) -> None:
    """A picture of any graph is XML with every node once and every label, inside the frame, none over another."""
    graph = drawn(edges)
    lines = [line.replace("\x1b", "?") for line in svg_lines(graph)]
    assert not [line for line in lines if "\n" in line or "nan" in line]
    picture = ElementTree.fromstring("".join(lines))
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    assert sorted(text.text or "" for text in picture.findall(f"{SVG}g/{SVG}text")) == sorted(graph)
    assert len(picture.findall(f"{SVG}path")) == graph.number_of_edges()
    assert len(picture.findall(f"{SVG}text")) == sum(1 for *_, label in edges if label)
    for which in (f"{SVG}g/{SVG}rect", f"{SVG}rect[@class='plate']"):
        boxes = [
            tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height")) for rect in picture.findall(which)
        ]
        assert all(x >= 0 and y >= 0 and x + w <= width + 0.1 and y + h <= height + 0.1 for x, y, w, h in boxes)
        for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
            # Places are written with one decimal.
            assert x + w < x2 + 0.2 or x2 + w2 < x + 0.2 or y + h < y2 + 0.2 or y2 + h2 < y + 0.2


def test_drawings_are_the_same_at_every_run() -> None:
    """The same graph is drawn by the same lines, whatever order its edges came in."""
    edges = [(1, 2, "a"), (2, 3, "b"), (3, 1, "c"), (1, 3, "d")]
    assert list(svg_lines(drawn(edges))) == list(svg_lines(drawn(edges)))
    assert sorted(dot_lines(drawn(edges))) == sorted(dot_lines(drawn(edges[::-1])))

"""Traces of checks: every node is an answer of its own, and what was found stands where it was found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note, settings

import relgraph
from relgraph.answers import Verdict
from relgraph.engine import trace
from relgraph.errors import InvalidInput, UnknownRelation
from tests.engine_worlds import EngineWorld
from tests.oracle import Oracle
from tests.oracle_model import object_of, subject_of
from tests.worlds import FEATURES_SERVED, questions, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.api import TraceNode
    from tests.oracle import World

SCHEMA = """use universal
use expiration
caveat near(site string, limit int) { site == 'north' && limit > 1 }
definition user {}
definition group { relation member: user | group#member }
definition doc {
    relation parent: doc | doc with universal
    relation owner: user | user with near | group#member
    relation viewer: user:* | user with expiration
    relation banned: user
    permission edit = owner + parent->edit
    permission view = (edit + viewer) - banned
    permission audit = parent.all(view)
}
"""
WORLDS = 120


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        yield opened


def told(nodes: Sequence[TraceNode], number: int = 0, depth: int = 0, seen: tuple[int, ...] = ()) -> list[str]:
    """A trace as indented lines, a node that is told further up as one line only."""
    node = nodes[number]
    line = f"{'  ' * depth}{node.resource}#{node.name}@{node.subject} {node.verdict.value}"
    if number in seen:
        return [f"{line} …"]
    below = [told(nodes, child, depth + 1, (*seen, number)) for child in node.children]
    return [line, *(each for lines in below for each in lines)]


def traced(authorizer: relgraph.Authorizer, question: str, **brought: object) -> list[str]:
    """The trace of one question, as lines."""
    return told(authorizer.trace([question], context=brought)[0].nodes)


@settings(max_examples=WORLDS)
@given(world=worlds(FEATURES_SERVED) | worlds(FEATURES_SERVED | {"conditions"}))
def test_each_node_is_the_answer_to_its_own_question(world: World) -> None:
    """Of any question about any world, every node of the trace that can be asked about has the oracle's verdict."""
    note(world_text(world))
    oracle, engine = Oracle(world), EngineWorld(world)
    for question in questions(world):
        walk = engine.walk(str(question.subject), searches=False)
        nodes = trace(walk, engine.object(question.resource), question.name, 1_000)
        assert question.text == f"{nodes[0].resource}#{nodes[0].name}@{nodes[0].subject}"
        for node in nodes:
            if "*" not in (node.resource.id, node.subject.id):
                asked = subject_of(str(node.subject)), node.name, object_of(str(node.resource))
                assert oracle.verdict(*asked).kind == node.verdict.value


def test_a_trace_leads_to_the_tuples(authorizer: relgraph.Authorizer) -> None:
    """Tuples that were followed stand as leaves beside what they led to; the subject's own tuple is its own node."""
    authorizer.write(
        touch=[
            "doc:a#parent@doc:b",
            "doc:b#owner@group:eng#member",
            "group:eng#member@user:anna",
            "doc:a#viewer@user:*",
        ]
    )
    assert traced(authorizer, "doc:a#edit@user:anna") == [
        "doc:a#edit@user:anna yes",
        "  doc:a#owner@user:anna no",
        "  doc:a#parent@doc:b yes",
        "  doc:b#edit@user:anna yes",
        "    doc:b#owner@user:anna yes",
        "      doc:b#owner@group:eng#member yes",
        "      group:eng#member@user:anna yes",
    ]
    assert traced(authorizer, "doc:a#view@user:bob") == [
        "doc:a#view@user:bob yes",
        "  doc:a#edit@user:bob no",
        "    doc:a#owner@user:bob no",
        "    doc:a#parent@doc:b yes",
        "    doc:b#edit@user:bob no",
        "      doc:b#owner@user:bob no",
        "        doc:b#owner@group:eng#member yes",
        "        group:eng#member@user:bob no",
        "  doc:a#viewer@user:bob yes",
        "    doc:a#viewer@user:* yes",
        "  doc:a#banned@user:bob no",
    ]


def test_a_universal_tuple_stands_as_what_it_is(authorizer: relgraph.Authorizer) -> None:
    """A tuple that counts for every object is a leaf of `type:*`, and a cycle through it ends where it began."""
    authorizer.write(touch=["doc:*#parent@doc:root", "doc:root#owner@user:anna"])
    assert traced(authorizer, "doc:new#edit@user:bob") == [
        "doc:new#edit@user:bob no",
        "  doc:new#owner@user:bob no",
        "  doc:*#parent@doc:root yes",
        "  doc:root#edit@user:bob no",
        "    doc:root#owner@user:bob no",
        "    doc:*#parent@doc:root yes",
        "    doc:root#edit@user:bob no …",
    ]
    assert traced(authorizer, "doc:new#audit@user:anna")[-1] == "    doc:root#banned@user:anna no"


def test_caveats_are_told_where_they_were_evaluated(authorizer: relgraph.Authorizer) -> None:
    """The node of a caveated tuple has the caveat, what it was given, what it lacks and what it is worth."""
    authorizer.write(touch=['doc:a#owner@user:anna[near:{"limit":5}]'])
    expected = {
        "": (Verdict.CONDITIONAL, {"limit": 5}, ("site",)),
        "north": (Verdict.YES, {"limit": 5, "site": "north"}, ()),
        "south": (Verdict.NO, {"limit": 5, "site": "south"}, ()),
    }
    for site, (verdict, context, missing) in expected.items():
        given = {"site": site, "limit": 0, "other": True} if site else {}
        found = authorizer.trace(["doc:a#edit@user:anna"], context=given)[0]
        assert found.decision.verdict is verdict
        node = found.nodes[found.nodes[0].children[0]]
        assert node.caveat is not None
        assert (node.verdict, node.caveat.verdict) == (verdict, verdict)
        assert ("near", context, missing) == (node.caveat.name, node.caveat.context, node.caveat.missing)
        assert "site == 'north'" in node.caveat.expression


def test_a_caveated_way_in_is_not_the_whole_answer(authorizer: relgraph.Authorizer) -> None:
    """A tuple whose caveat fails is a NO of the caveat's, beside the verdict that its subject has all the same."""
    authorizer.write_schema(
        SCHEMA.replace(
            "group#member\n    relation viewer", "group#member | group#member with near\n    relation viewer"
        )
    )
    authorizer.write(touch=["doc:a#owner@group:eng#member[near]", "group:all#member@group:eng#member"])
    authorizer.write(touch=["doc:a#owner@group:all#member"])
    found = authorizer.trace(["doc:a#owner@user:anna"], context={"site": "south", "limit": 1})[0].nodes
    leaf = next(node for node in found if node.caveat is not None)
    assert leaf.caveat is not None
    assert (leaf.caveat.verdict, leaf.verdict) == (Verdict.NO, Verdict.YES)
    assert authorizer.decide("doc:a#owner@group:eng#member", context={"site": "south", "limit": 1}).allowed


def test_a_trace_is_bounded(authorizer: relgraph.Authorizer) -> None:
    """A node with more below it than there is room for says so, and what holds is among what is told."""
    authorizer.write(touch=[f"doc:a#owner@group:g{n}#member" for n in range(300)])
    authorizer.write(touch=["group:g299#member@user:anna"])
    nodes = authorizer.trace(["doc:a#owner@user:anna"])[0].nodes
    assert (nodes[0].more, len(nodes[0].children), len(nodes)) == (True, 100, 101)
    assert "group:g299#member@user:anna" in {
        f"{each.resource}#{each.name}@{each.subject}" for each in nodes if each.verdict is Verdict.YES
    }
    nodes = authorizer.trace(["doc:a#owner@user:anna"], nodes_max=1)[0].nodes
    assert (nodes[0].more, nodes[0].children, len(nodes)) == (True, (), 1)


def test_traces_answer_as_decisions_do(authorizer: relgraph.Authorizer) -> None:
    """Many questions have the decisions that `decide_many` gives, at one revision, and the schema that they went by."""
    authorizer.write(touch=["doc:a#owner@user:anna", "doc:a#viewer@user:bob[expiration:2999-01-01T00:00:00Z]"])
    asked = ["doc:a#edit@user:anna", "doc:a#view@user:bob", "doc:b#view@user:anna", "doc:a#edit@group:x#member"]
    traces = authorizer.trace(asked)
    decided, told_of = authorizer.decide_many(asked), [each.decision for each in traces]
    # A token has the instant of its request.
    assert [replace(each, token="") for each in decided] == [replace(each, token="") for each in told_of]
    assert {SCHEMA} == {each.schema.text for each in traces}
    assert [each.decision.valid_until for each in traces] == [each.nodes[0].valid_until for each in traces]


def test_what_cannot_be_asked_cannot_be_traced(authorizer: relgraph.Authorizer) -> None:
    """Unknown names are refused with the question's place, and so are too many questions."""
    with pytest.raises(UnknownRelation) as raised:
        authorizer.trace(["doc:a#edit@user:anna", "doc:a#edti@user:anna"])
    assert raised.value.details["index"] == "1"
    with pytest.raises(InvalidInput, match="over the limit"):
        authorizer.trace(["doc:a#edit@user:anna"] * (authorizer.limits.checks_max + 1))

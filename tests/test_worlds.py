"""Random worlds are valid ones, and the oracle keeps on them what the law says of all worlds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relgraph.schema import parse
from tests.oracle import (
    FAILED,
    NO,
    YES,
    AllArrow,
    Arrow,
    Name,
    Object,
    Oracle,
    Schema,
    Self,
    Tuple,
    Union,
    World,
    conditional,
    define,
    kinds_of,
    tuple_of,
)
from tests.oracle_examples import USER, V, X
from tests.worlds import FEATURES_SERVED, questions, schema_text, stored_context, worlds

BRIEF = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@BRIEF
@given(worlds())
def test_random_schemas_are_accepted_ones(drawn: World) -> None:
    """No wildcard left of an arrow or behind another's `type#rel`, no kind twice, each rung contains the stronger."""
    for type_, definition in drawn.schema.definitions.items():
        for kinds in definition.relations.values():
            assert len(set(kinds)) == len(kinds)
            others = [kind for kind in kinds if kind.relation and kind.type != type_]
            behind = [drawn.schema.definitions[each.type].relations.get(each.relation, ()) for each in others]
            assert not any(inner.wildcard for each in behind for inner in each)
        for stronger, rung in pairwise(definition.roles):
            expression = definition.permissions[rung]
            assert isinstance(expression, Union)
            assert Name(stronger) in expression.operands
    Oracle(drawn)  # an arrow over a wildcard would be refused here


@BRIEF
@given(worlds(), st.data())
def test_more_context_never_changes_a_yes_or_a_no(drawn: World, data: st.DataObject) -> None:
    """Deciding one conditional tuple leaves every YES and NO as it was."""
    open_ = [i for i, entry in enumerate(drawn.tuples) if entry.condition.kind == "conditional"]
    if not open_:
        return
    at, value = data.draw(st.sampled_from(open_)), data.draw(st.sampled_from([YES, NO]))
    entry = drawn.tuples[at]
    decided = Tuple(*entry.key, value, entry.caveat, entry.expires, entry.created, entry.deleted)
    more = World(drawn.schema, (*drawn.tuples[:at], decided, *drawn.tuples[at + 1 :]), drawn.revision, drawn.now)
    before, after = Oracle(drawn), Oracle(more)
    for question in questions(drawn)[::5]:
        verdict = before.check(question.text)
        if verdict in (YES, NO):
            assert after.check(question.text) == verdict


@BRIEF
@given(worlds())
def test_never_named_ids_are_interchangeable(drawn: World) -> None:
    """Two ids that nothing names get the same verdict, as subject and as resource."""
    oracle = Oracle(drawn)
    for definition_type, definition in drawn.schema.definitions.items():
        for name in (*definition.relations, *definition.permissions):
            one, two = (oracle.verdict("user:nameless1", name, Object(definition_type, id_)) for id_ in ("x1", "x2"))
            assert one == two == oracle.verdict("user:nameless2", name, Object(definition_type, "x1"))


@BRIEF
@given(worlds(FEATURES_SERVED))
def test_the_parser_accepts_its_schemas(drawn: World) -> None:
    """Within the features served, relgraph's parser accepts every schema drawn, and knows its names and kinds."""
    parsed = parse(schema_text(drawn.schema))
    for type_, definition in drawn.schema.definitions.items():
        known = parsed.definition(type_)
        assert (*known.relations, *known.permissions) == (*definition.relations, *definition.permissions)
        assert known.roles == definition.roles
        kinds = {name: [str(kind) for kind in relation.kinds] for name, relation in known.relations.items()}
        assert kinds == {name: [str(kind) for kind in each] for name, each in definition.relations.items()}


def test_schema_text() -> None:
    """The printer writes flags, caveats, kinds, parentheses and the ladder as the language reads them."""
    relations = {"viewer": "user:* | user with near and expiration and universal", "parent": "doc"}
    permissions = {
        "edit": (V - X) & Self(),
        "view": Name("edit") + (AllArrow("parent", "view") + Arrow("parent", "edit")),
    }
    schema = Schema({"user": USER, "doc": define(relations, permissions, "edit > view")})
    assert schema_text(schema).splitlines() == [
        "use roles", "use universal", "use expiration", "use self",
        "caveat near(site int) {", "  10 / site == 10", "}",
        "definition user {", "}",
        "definition doc {",
        "  relation viewer: user:* | user with near and expiration and universal",
        "  relation parent: doc",
        "  permission edit = (viewer - view) & self",
        "  permission view = edit + (parent.all(view) + parent->edit)",
        "  roles edit > view",
        "}",
    ]  # fmt: skip


def test_kinds_and_contexts_round_trip() -> None:
    """Kinds print as they are read, and a stored context gives the caveat's value back by its rule."""
    text = "user | user:* | group#member with paired and expiration and universal"
    contexts = [
        stored_context(tuple_of("d:a#v@u:a", each, caveat="paired")) for each in (YES, conditional("site"), FAILED)
    ]
    assert " | ".join(map(str, kinds_of(text))) == text
    assert contexts == [{"limit": 1, "site": 1}, {"limit": 1}, {"limit": 0, "site": 0}]

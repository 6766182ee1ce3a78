"""The oracle's other questions are right: refusals, lookups, best access, ways, nobody can reach; by hand."""

from __future__ import annotations

import pytest

from tests.oracle import (
    FAILED,
    NO,
    YES,
    Best,
    Definition,
    Name,
    Oracle,
    Refused,
    Rows,
    Self,
    Tuple,
    World,
    conditional,
    define,
    tuple_of,
)
from tests.oracle_examples import B, E, V, check, doc, world


@pytest.mark.parametrize("question", ["doc:*#viewer@user:a", "doc:a#viewer@user:*", "doc:a#nothing@user:a",
                                      "book:a#view@user:a", "doc:a#view@cat:a", "doc:a#viewer@group:g#x"])  # fmt: skip
def test_refused_questions(question: str) -> None:
    """`*` is nothing to ask about, as resource or subject, and an unknown name is an error, not a NO."""
    with pytest.raises(Refused):
        check(world(doc(), "doc:a#viewer@user:*"), question)


def test_lookup_subjects() -> None:
    """`*` views doc:a, bob is banned and carol conditionally so: never-named is YES, and those two differ."""
    tuples = ("doc:a#viewer@user:*", "doc:a#viewer@user:anna", "doc:a#banned@user:bob")
    w = world(doc(view=V - B), *tuples, tuple_of("doc:a#banned@user:carol", conditional("x")))
    assert Oracle(w).lookup_subjects("doc:a", "view", "user") == Rows(YES, {"bob": NO, "carol": conditional("x")})


def test_lookup_rows_differ_by_missing_names_too() -> None:
    """All users miss x by the wildcard, anna misses x and y: her verdict differs from the never-named one."""
    everyone = tuple_of("doc:a#viewer@user:*", conditional("x"))
    w = world(doc(), everyone, tuple_of("doc:a#viewer@user:anna", conditional("y")))
    expected = Rows(conditional("x"), {"anna": conditional("x", "y")})
    assert Oracle(w).lookup_subjects("doc:a", "viewer", "user") == expected


def test_lookup_of_usersets_reports_identity() -> None:
    """Among `doc#view`, doc:a itself has view on doc:a without a tuple, and no other userset does."""
    w = world(doc(view=V))
    assert Oracle(w).lookup_subjects("doc:a", "view", "doc", "view") == Rows(NO, {"a": YES})


def test_lookup_resources() -> None:
    """By a universal tuple anna edits every doc but doc:a, where she is banned: it differs from the never-named."""
    w = world(doc(edit=E - B), "doc:*#editor@user:anna", "doc:a#banned@user:anna", "doc:b#viewer@user:anna")
    assert Oracle(w).lookup_resources("user:anna", "doc", "edit") == Rows(YES, {"a": NO})


def test_lookup_resources_reports_identity() -> None:
    """Asking for `doc:q#view` names doc:q, which has it on itself although no tuple names it."""
    assert Oracle(world(doc(view=V))).lookup_resources("doc:q#view", "doc", "view") == Rows(NO, {"q": YES})


def ladder() -> dict[str, Definition]:
    """Return a doc with admin > edit > view."""
    relations = {"admin": "user", "editor": "user", "viewer": "user"}
    return {"doc": define(relations, {"edit": E + Name("admin"), "view": Name("edit") + V}, "admin > edit > view")}


def test_best_on_a_ladder() -> None:
    """Here anna edits and is conditionally admin: her role is edit, view is held too, admin listed as conditional."""
    w = world(ladder(), "doc:a#editor@user:anna", tuple_of("doc:a#admin@user:anna", conditional("x")))
    expected = Best("edit", ("edit", "view"), (("admin", frozenset({"x"})),), ())
    assert Oracle(w).best("user:anna", "doc:a") == expected


def test_best_reports_the_undecided() -> None:
    """A failed caveat on admin leaves admin and edit open; view is held."""
    w = world(ladder(), tuple_of("doc:a#admin@user:anna", FAILED), "doc:a#viewer@user:anna")
    assert Oracle(w).best("user:anna", "doc:a") == Best("view", ("view",), (), ("admin", "edit"))


def test_best_without_a_ladder() -> None:
    """Without an order it is the set of permissions held, relations not among them."""
    w = world(doc(view=V, edit=E, both=V & E), "doc:a#viewer@user:a", tuple_of("doc:a#editor@user:a", conditional("x")))
    missing = frozenset({"x"})
    assert Oracle(w).best("user:a", "doc:a") == Best(None, ("view",), (("edit", missing), ("both", missing)), ())


# ------------------------------------------------------------------------------------------------ ways


def ways(given_world: World, question: str) -> set[tuple[str, ...]]:
    """Return the ways behind a question as sorted tuples of text."""
    asked = tuple_of(question)
    found = Oracle(given_world).ways(asked.subject, asked.relation, asked.resource)
    return {tuple(sorted(entry.text for entry in way)) for way in found}


def test_ways_of_a_diamond() -> None:
    """Directly and through g, anna reaches doc:a in two ways; what serves neither is in none."""
    direct, edge, member = "doc:a#viewer@user:anna", "doc:a#viewer@group:g#member", "group:g#member@user:anna"
    w = world(doc(view=V), direct, edge, member, "group:g#member@user:bob")
    assert ways(w, "doc:a#view@user:anna") == {(direct,), (edge, member)}


def test_identity_is_the_empty_way() -> None:
    """Identity and self need no tuple, and no other way is minimal beside the empty one."""
    w = world(doc(view=V + Self()), "doc:a#viewer@doc:a#view")
    assert [ways(w, f"doc:a#view@doc:a{s}") for s in ("#view", "")] == [{()}, {()}]


def test_ways_under_exclusion() -> None:
    """Here a is doubly granted and not banned; a ban of bob's is in no way."""
    w = world(doc(view=(V + E) - B), "doc:a#viewer@user:a", "doc:a#editor@user:a", "doc:a#banned@user:b")
    assert ways(w, "doc:a#view@user:a") == {("doc:a#viewer@user:a",), ("doc:a#editor@user:a",)}


def test_a_way_keeps_what_lifts_a_ban() -> None:
    """`viewer - (banned - editor)`: without the editor tuple the ban bites, so that tuple is in the way."""
    tuples = ("doc:a#viewer@user:a", "doc:a#banned@user:a", "doc:a#editor@user:a")
    w = world(doc(view=V - (B - E)), *tuples)
    assert ways(w, "doc:a#view@user:a") == {("doc:a#editor@user:a", "doc:a#viewer@user:a")}


def test_a_way_may_be_stronger_on_its_own() -> None:
    """A conditional ban makes the grant conditional: the grant alone is the way, although without the ban it is YES."""
    w = world(doc(view=V - B), "doc:a#viewer@user:a", tuple_of("doc:a#banned@user:a", conditional("x")))
    assert ways(w, "doc:a#view@user:a") == {("doc:a#viewer@user:a",)}


def test_a_conditional_way() -> None:
    """Two conditional grants are two ways for CONDITIONAL; a YES beside them leaves only its own."""
    maybe = [tuple_of("doc:a#viewer@user:a", conditional("x")), tuple_of("doc:a#editor@user:a", conditional("y"))]
    sure = world(doc(view=V + E), *maybe, "doc:a#viewer@user:*")
    assert len(ways(world(doc(view=V + E), *maybe), "doc:a#view@user:a")) == 2
    assert ways(sure, "doc:a#view@user:a") == {("doc:a#viewer@user:*",)}


def test_no_ways_behind_no_and_undecided() -> None:
    """Ways stand behind YES and CONDITIONAL only."""
    w = world(doc(u=V - Name("u")), "doc:a#viewer@user:a")
    assert (ways(w, "doc:a#u@user:a"), ways(w, "doc:a#u@user:b")) == (set(), set())


def test_ways_refuse_too_many_tuples() -> None:
    """Thirteen tuples that can matter are too many to try all subsets of."""
    w = world(doc(), *(f"doc:a#viewer@user:u{i}" for i in range(13)))
    with pytest.raises(Refused, match="13 tuples"):
        Oracle(w).ways("user:u1", "viewer", "doc:a")


# ------------------------------------------------------------------------------------------------ nobody can reach


UNREACHABLE = [
    (("doc:a#viewer@user:u",), None),
    (("doc:a#viewer@user:*",), None),
    (("doc:a#banned@user:u",), "nobody"),
    (("doc:a#viewer@group:empty#member",), "nobody"),
    (("doc:a#viewer@user:u", "doc:a#banned@user:u"), "nobody"),
    ((tuple_of("doc:a#viewer@user:u", conditional("x")),), "only-conditional"),
    ((tuple_of("doc:a#viewer@user:u", FAILED),), "only-conditional"),
    (("doc:*#editor@user:u", "doc:a#parent@doc:b"), "only-universal"),
    (("doc:*#editor@user:u", "doc:a#viewer@user:u"), None),
]


@pytest.mark.parametrize(("tuples", "expected"), UNREACHABLE)
def test_nobody_can_reach(tuples: tuple[str | Tuple, ...], expected: str | None) -> None:
    """No plain subject is YES: nobody, or only conditionally; or YES only through universal tuples."""
    assert Oracle(world(doc(view=(V + E) - B), *tuples)).unreachable("doc:a") == expected

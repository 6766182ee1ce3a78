"""The oracle's verdicts are right: worlds small enough to reason out by hand, for each sentence of the law."""

from __future__ import annotations

import pytest

from tests.oracle import (
    FAILED,
    NO,
    UNDECIDED,
    YES,
    AllArrow,
    Arrow,
    Name,
    Nil,
    Oracle,
    Schema,
    Self,
    Tuple,
    Verdict,
    World,
    conditional,
    define,
    living,
    tuple_of,
)
from tests.oracle_examples import GROUP, USER, B, E, V, check, doc, world

# ------------------------------------------------------------------------------------------------ membership


def test_direct() -> None:
    """A living tuple is membership; another subject, object or relation is not."""
    w = world(doc(), "doc:a#viewer@user:anna")
    found = [check(w, q).kind for q in ("doc:a#viewer@user:anna", "doc:a#viewer@user:bob", "doc:b#viewer@user:anna",
                                        "doc:a#editor@user:anna", "doc:a#viewer@doc:anna")]  # fmt: skip
    assert found == ["yes", "no", "no", "no", "no"]


@pytest.mark.parametrize("name", ["viewer", "view"])
def test_identity(name: str) -> None:
    """`o#n` is a member of itself without any tuple, relation or permission; `o` and another `p#n` are not."""
    w = world(doc(view=V))
    assert [check(w, f"doc:a#{name}@doc:{who}") for who in (f"a#{name}", "a", f"b#{name}")] == [YES, NO, NO]


def test_identity_under_exclusion() -> None:
    """`doc:a#banned` is in banned by identity, so `viewer - banned` takes it away although it is a viewer's userset."""
    definitions = {"doc": define({"viewer": "doc#banned", "banned": "user"}, {"view": V - B})}
    w = world(definitions, "doc:a#viewer@doc:a#banned")
    assert (check(w, "doc:a#viewer@doc:a#banned"), check(w, "doc:a#view@doc:a#banned")) == (YES, NO)


def test_identity_under_arrow_and_userset() -> None:
    """`doc:p#view` is met below `parent->view` of doc:a, and `group:g#member` below a viewer tuple of it."""
    w = world(doc(view=V + Arrow("parent", "view")), "doc:a#parent@doc:p", "doc:p#viewer@group:g#member")
    assert (check(w, "doc:a#view@doc:p#view"), check(w, "doc:a#view@group:g#member")) == (YES, YES)


def test_identity_is_not_aliasing() -> None:
    """With `view = viewer`, `doc:a#view` is not a member of `doc:a#viewer`, while `doc:a#viewer` is one of view."""
    w = world(doc(view=V))
    assert (check(w, "doc:a#viewer@doc:a#view"), check(w, "doc:a#view@doc:a#viewer")) == (NO, YES)


def test_wildcard_plain_only() -> None:
    """`user:*` covers every plain user, never-mentioned ones too, but no userset and no other type."""
    w = world(doc(), "doc:a#viewer@user:*")
    found = [check(w, f"doc:a#viewer@{who}") for who in ("user:zed", "group:g#member", "group:g")]
    assert found == [YES, NO, NO]


def test_wildcard_never_covers_a_userset_of_its_type() -> None:
    """`group:*` covers group:g, and not `group:g#member`."""
    w = world({"group": GROUP, "doc": define({"viewer": "group:*"})}, "doc:a#viewer@group:*")
    assert (check(w, "doc:a#viewer@group:g"), check(w, "doc:a#viewer@group:g#member")) == (YES, NO)


def test_wildcard_on_the_subtracted_side() -> None:
    """`banned@user:*` takes every plain user away from `viewer - banned`, but not the userset that views."""
    w = world(doc(view=V - B), "doc:a#viewer@user:a", "doc:a#viewer@group:g#member", "doc:a#banned@user:*")
    assert (check(w, "doc:a#view@user:a"), check(w, "doc:a#view@group:g#member")) == (NO, YES)


def test_nested_usersets() -> None:
    """doc:a is viewed by g's members, h's members are g's, anna is in h; the middle userset is a member too."""
    w = world(doc(), "doc:a#viewer@group:g#member", "group:g#member@group:h#member", "group:h#member@user:anna")
    assert [check(w, f"doc:a#viewer@{s}") for s in ("user:anna", "group:h#member", "group:h")] == [YES, YES, NO]


def test_userset_of_a_permission() -> None:
    """doc:a is viewed by whoever may view doc:b; there bob is banned."""
    tuples = ("doc:a#viewer@doc:b#view", "doc:b#viewer@user:a", "doc:b#viewer@user:b", "doc:b#banned@user:b")
    w = world(doc(view=V - B), *tuples)
    assert (check(w, "doc:a#view@user:a"), check(w, "doc:a#view@user:b")) == (YES, NO)


def test_caveat_and_membership() -> None:
    """A userset tuple gives caveat AND membership: conditional for a member, no for others, no with a false caveat."""
    edge = tuple_of("doc:a#viewer@group:g#member", conditional("x"))
    w = world(doc(), edge, "group:g#member@user:a", tuple_of("doc:b#viewer@group:g#member", NO))
    found = [check(w, q) for q in ("doc:a#viewer@user:a", "doc:a#viewer@user:b", "doc:b#viewer@user:a")]
    assert found == [conditional("x"), NO, NO]


def test_strongest_tuple() -> None:
    """Of a conditional tuple and an unconditional one by wildcard, the stronger counts."""
    w = world(doc(), tuple_of("doc:a#viewer@user:a", conditional("x")), "doc:a#viewer@user:*")
    assert check(w, "doc:a#viewer@user:a") == YES


# ------------------------------------------------------------------------------------------------ living


def test_created_and_deleted() -> None:
    """A tuple counts from the revision that created it until, not including, the one that deleted it."""
    entry = Tuple(*tuple_of("doc:a#viewer@user:a").key, created=3, deleted=5)
    w = world(doc(), entry)
    found = [Oracle(w, revision=at).check("doc:a#viewer@user:a").kind for at in (2, 3, 4, 5, 6)]
    assert found == ["no", "yes", "yes", "no", "no"]


def test_expiry() -> None:
    """A tuple that expires at 10 counts at 9 and no more at 10."""
    definitions = {"doc": define({"viewer": "user with expiration"})}
    w = world(definitions, tuple_of("doc:a#viewer@user:a", expires=10))
    assert [Oracle(w, now=now).check("doc:a#viewer@user:a") for now in (9, 10, 11)] == [YES, NO, NO]


ADMISSION = [
    ("user", "doc:a#viewer@user:a", {}, True),
    ("user", "doc:a#viewer@user:*", {}, False),
    ("user:*", "doc:a#viewer@user:a", {}, False),
    ("group", "doc:a#viewer@group:a#member", {}, False),
    ("group#member", "doc:a#viewer@group:a", {}, False),
    ("user", "doc:*#viewer@user:a", {}, False),
    ("user with universal", "doc:*#viewer@user:a", {}, True),
    ("user with universal", "doc:a#viewer@user:a", {}, False),
    ("user", "doc:a#viewer@user:a", {"caveat": "near"}, False),
    ("user with near", "doc:a#viewer@user:a", {}, False),
    ("user with near", "doc:a#viewer@user:a", {"caveat": "small"}, False),
    ("user with near", "doc:a#viewer@user:a", {"caveat": "near"}, True),
    ("user", "doc:a#viewer@user:a", {"expires": 9}, False),
    ("user with expiration", "doc:a#viewer@user:a", {}, False),
    ("user with near and expiration and universal", "doc:*#viewer@user:a", {"caveat": "near", "expires": 9}, True),
    ("user", "doc:a#editor@user:a", {}, False),
    ("user", "doc:a#view@user:a", {}, False),
    ("user", "folder:a#viewer@user:a", {}, False),
]


@pytest.mark.parametrize(("kinds", "text", "traits", "expected"), ADMISSION)
def test_admitted_as_it_stands(kinds: str, text: str, traits: dict[str, str | int], expected: bool) -> None:
    """A tuple counts when relation, subject kind, caveat, expiration and universal are just what the schema admits."""
    entry = tuple_of(text, caveat=str(traits.get("caveat", "")), expires=9 if "expires" in traits else None)
    definitions = {"doc": define({"viewer": kinds}, {"view": V}), "group": GROUP}
    w = world(definitions, entry)
    assert living(w, 1, 0) == ((entry,) if expected else ())


def test_schema_at_the_revision() -> None:
    """A tuple that a later schema no longer admits counts at the older revision only."""
    first, second = (Schema({"user": USER, "doc": define({"viewer": kinds})}) for kinds in ("user", "user:*"))
    w = World(first, (tuple_of("doc:a#viewer@user:a"),), later=((4, second),))
    assert [Oracle(w, revision=at).check("doc:a#viewer@user:a") for at in (3, 4)] == [YES, NO]


def test_contextual_tuples() -> None:
    """A contextual tuple counts beside the stored one of the same key, and not when the schema does not admit it."""
    w = world(doc(), tuple_of("doc:a#viewer@user:a", NO))
    extra = [Tuple(*tuple_of(text).key, contextual=True) for text in ("doc:a#viewer@user:a", "doc:a#editor@group:g")]
    found = [Oracle(w, contextual=extra).check(q) for q in ("doc:a#viewer@user:a", "doc:a#editor@group:g")]
    assert (check(w, "doc:a#viewer@user:a"), *found) == (NO, YES, NO)


# ------------------------------------------------------------------------------------------------ universal


def test_universal_grant() -> None:
    """`doc:*#editor@user:a` counts for every doc, never-mentioned ones too, and for no other type."""
    w = world(doc(edit=E), "doc:*#editor@user:a", "doc:a#viewer@user:b")
    assert [check(w, f"doc:{d}#edit@user:a") for d in ("a", "zed")] == [YES, YES]


def test_universal_subtraction() -> None:
    """`doc:*#banned@user:a` takes a away everywhere, and nobody else."""
    w = world(doc(view=V - B), "doc:a#viewer@user:*", "doc:*#banned@user:a")
    assert (check(w, "doc:a#view@user:a"), check(w, "doc:a#view@user:b")) == (NO, YES)


def test_universal_tupleset() -> None:
    """`doc:*#parent@doc:root` is an entry of every doc; root becomes its own parent, which is answered."""
    w = world(doc(view=V + Arrow("parent", "view")), "doc:*#parent@doc:root", "doc:root#viewer@user:a")
    found = [check(w, q) for q in ("doc:zed#view@user:a", "doc:root#view@user:a", "doc:root#view@user:b")]
    assert found == [YES, YES, NO]


def test_universal_all_arrow() -> None:
    """A universal entry is one of those that `.all` asks: doc:a's own parent agrees, the universal one does not."""
    w = world(doc(view=V + AllArrow("parent", "viewer")), "doc:a#parent@doc:p", "doc:p#viewer@user:a")
    more = world(doc(view=V + AllArrow("parent", "viewer")), *w.tuples, "doc:*#parent@doc:q")
    assert (check(w, "doc:a#view@user:a"), check(more, "doc:a#view@user:a")) == (YES, NO)


# ------------------------------------------------------------------------------------------------ operators

YES_OR = {"y": YES, "n": NO, "c": conditional("p"), "d": conditional("q")}
TABLE = [
    ("yn", "yes", "no", "yes"), ("ny", "yes", "no", "no"), ("nn", "no", "no", "no"), ("yy", "yes", "yes", "no"),
    ("yc", "yes", "conditional p", "conditional p"), ("cy", "yes", "conditional p", "no"),
    ("nc", "conditional p", "no", "no"), ("cn", "conditional p", "no", "conditional p"),
    ("cd", "conditional p q", "conditional p q", "conditional p q"),
]  # fmt: skip


@pytest.mark.parametrize(("pair", "union", "intersection", "exclusion"), TABLE)
def test_operators(pair: str, union: str, intersection: str, exclusion: str) -> None:
    """`+` is the stronger, `&` the weaker, `-` AND NOT, where NOT keeps CONDITIONAL; names only of CONDITIONAL ones."""
    permissions = {"plus": V + E, "both": V & E, "minus": V - E}
    left, right = YES_OR[pair[0]], YES_OR[pair[1]]
    w = world(doc(**permissions), tuple_of("doc:a#viewer@user:a", left), tuple_of("doc:a#editor@user:a", right))
    found = [check(w, f"doc:a#{name}@user:a") for name in permissions]
    assert [" ".join([v.kind, *sorted(v.missing)]) for v in found] == [union, intersection, exclusion]


def test_undecided_is_absorbed() -> None:
    """With u UNDECIDED: YES + u = YES, NO & u = NO, NO - u = NO, u - YES = NO, and the rest stays UNDECIDED."""
    u = Name("u")
    absorbed = {"one": V + u, "two": E & u, "three": E - u, "four": u - V}
    left = {"five": E + u, "six": V & u, "seven": V - u, "eight": u - E}
    w = world(doc(u=V - Name("u"), **absorbed, **left), "doc:a#viewer@user:a")
    found = {name: check(w, f"doc:a#{name}@user:a") for name in (*absorbed, *left)}
    assert list(found.values()) == [YES, NO, NO, NO, UNDECIDED, UNDECIDED, UNDECIDED, UNDECIDED]


def test_failed_condition_is_the_error() -> None:
    """A failed caveat leaves the answer open, with its tuple's key; where it cannot matter it is absent."""
    tuples = (tuple_of("doc:a#viewer@user:a", FAILED), tuple_of("doc:a#banned@user:a", FAILED), "doc:a#editor@user:a")
    w = world(doc(view=V - B, edit=V + E, none=Nil() & V), *tuples)
    found = [check(w, f"doc:a#{name}@user:a") for name in ("view", "edit", "none")]
    assert found == [Verdict("undecided", error="doc:a#banned@user:a"), YES, NO]


def test_failed_condition_first_by_key() -> None:
    """Two failed tuples leave both answers open: the error names the first by key, whichever operand comes first."""
    tuples = (tuple_of("doc:a#viewer@user:a", FAILED), tuple_of("doc:a#editor@user:a", FAILED))
    w = world(doc(one=V + E, two=E + V), *tuples)
    assert [check(w, f"doc:a#{name}@user:a").error for name in ("one", "two")] == ["doc:a#editor@user:a"] * 2


def test_failed_condition_only_through_open_operands() -> None:
    """Here u is open by its own rule; the failed banned tuple beneath a settled operand is not its error."""
    settled = B & Nil()
    w = world(doc(u=(V + settled) - Name("u")), "doc:a#viewer@user:a", tuple_of("doc:a#banned@user:a", FAILED))
    assert check(w, "doc:a#u@user:a") == UNDECIDED


def test_arrow() -> None:
    """`parent->view` is the strongest over entries of caveat AND view there; a type without view contributes NO."""
    tuples = (tuple_of("doc:a#parent@doc:p", conditional("x")), "doc:a#parent@group:g", "doc:p#viewer@user:a",
              "group:g#member@user:b")  # fmt: skip
    w = world(doc(view=V + Arrow("parent", "view")), *tuples)
    assert (check(w, "doc:a#view@user:a"), check(w, "doc:a#view@user:b")) == (conditional("x"), NO)


def test_arrow_ignores_the_subject_relation() -> None:
    """`doc:a#parent@group:g#admin` walks to group:g, whose members count although admin names others."""
    group = define({"member": "user", "admin": "user"})
    definitions = {"group": group, "doc": define({"parent": "group#admin"}, {"view": Arrow("parent", "member")})}
    w = world(definitions, "doc:a#parent@group:g#admin", "group:g#member@user:a", "group:g#admin@user:b")
    assert (check(w, "doc:a#view@user:a"), check(w, "doc:a#view@user:b")) == (YES, NO)


def test_all_arrow() -> None:
    """`.all` needs one entry at least and every one: both parents agree on a, one on b, no entry grants nothing."""
    tuples = ("doc:a#parent@doc:p", "doc:a#parent@doc:q", "doc:p#viewer@user:a", "doc:q#viewer@user:a",
              "doc:p#viewer@user:b")  # fmt: skip
    w = world(doc(view=AllArrow("parent", "viewer")), *tuples)
    assert [check(w, f"doc:{q}") for q in ("a#view@user:a", "a#view@user:b", "zed#view@user:a")] == [YES, NO, NO]


def test_all_arrow_without_the_name() -> None:
    """An entry of a type without the name is NO, so `.all` is NO."""
    w = world(
        doc(view=AllArrow("parent", "viewer")), "doc:a#parent@doc:p", "doc:p#viewer@user:a", "doc:a#parent@group:g"
    )
    assert check(w, "doc:a#view@user:a") == NO


def test_all_arrow_counts_caveats() -> None:
    """An entry with a false caveat still counts as one of the entries; a conditional one makes it conditional."""
    permission = AllArrow("parent", "viewer")
    both = ("doc:p#viewer@user:a", "doc:q#viewer@user:a", "doc:a#parent@doc:p")
    false = world(doc(view=permission), *both, tuple_of("doc:a#parent@doc:q", NO))
    maybe = world(doc(view=permission), *both, tuple_of("doc:a#parent@doc:q", conditional("x")))
    assert (check(false, "doc:a#view@user:a"), check(maybe, "doc:a#view@user:a")) == (NO, conditional("x"))


def test_nil_and_self() -> None:
    """Nil holds for nobody; self for the very object, not for a userset on it nor for another object."""
    definitions = {"doc": define({"viewer": "user"}, {"nobody": Nil(), "me": Self()})}
    w = world(definitions, "doc:a#viewer@user:a")
    assert [check(w, f"doc:a#{q}") for q in ("nobody@doc:a", "me@doc:a", "me@doc:b", "me@doc:a#viewer")] == [
        NO,
        YES,
        NO,
        NO,
    ]


# ------------------------------------------------------------------------------------------------ recursion


def test_positive_cycle_grants_nothing() -> None:
    """Groups g and h contain each other and nobody else: NO, also when the edges are conditional."""
    ring = ["group:g#member@group:h#member", "group:h#member@group:g#member"]
    plain = world({"group": GROUP}, *ring)
    caveated = world({"group": GROUP}, *(tuple_of(text, conditional("x")) for text in ring))
    assert (check(plain, "group:g#member@user:a"), check(caveated, "group:g#member@user:a")) == (NO, NO)


def test_cycle_with_a_way_in() -> None:
    """Groups g and h contain each other, anna is in h: she is in both."""
    w = world(
        {"group": GROUP}, "group:g#member@group:h#member", "group:h#member@group:g#member", "group:h#member@user:a"
    )
    assert [check(w, f"group:{g}#member@user:a") for g in "gh"] == [YES, YES]


@pytest.mark.parametrize(("condition", "expected"), [(YES, UNDECIDED), (conditional("x"), conditional("x")), (NO, NO)])
def test_recursion_through_exclusion(condition: Verdict, expected: Verdict) -> None:
    """`a = x - b, b = x - a` is UNDECIDED for x YES, CONDITIONAL for x CONDITIONAL, NO for x NO."""
    w = world(doc(a=V - Name("b"), b=V - Name("a")), tuple_of("doc:a#viewer@user:u", condition))
    assert (check(w, "doc:a#a@user:u"), check(w, "doc:a#b@user:u")) == (expected, expected)


def test_settled_recursion_through_exclusion() -> None:
    """In `a = x - b, b = y - a` with y NO, b is NO and a is YES: only what leans on itself is undefined."""
    w = world(doc(a=V - Name("b"), b=E - Name("a")), "doc:a#viewer@user:u")
    assert (check(w, "doc:a#a@user:u"), check(w, "doc:a#b@user:u")) == (YES, NO)


def test_win_and_lose() -> None:
    """In p -> q -> r, r has no move and is lost, q wins, p moves only to a won one; a ring of two is open."""
    doc_ = doc(lost=V - Name("won"), won=Arrow("parent", "lost"))
    viewers = [f"doc:{d}#viewer@user:a" for d in "pqrst"]
    moves = ["doc:p#parent@doc:q", "doc:q#parent@doc:r", "doc:s#parent@doc:t", "doc:t#parent@doc:s"]
    w = world(doc_, *viewers, *moves)
    assert [check(w, f"doc:{d}#won@user:a") for d in "pqrst"] == [NO, YES, NO, UNDECIDED, UNDECIDED]


def test_naming_a_sub_expression_changes_nothing() -> None:
    """`v - (v - (v - loop))` written out and through names gives the same, open or not."""
    loop = Name("loop")
    named = doc(loop=V - loop, one=V - loop, two=V - Name("one"), three=V - Name("two"), flat=V - (V - (V - loop)))
    w = world(named, "doc:a#viewer@user:a")
    assert [check(w, f"doc:a#{n}@{s}") for n in ("three", "flat") for s in ("user:a", "user:b")] == [
        UNDECIDED, NO, UNDECIDED, NO,
    ]  # fmt: skip


def test_all_arrow_round_a_ring() -> None:
    """`.all` is a conjunction, not a negation: in a ring of parents it grants nothing, and stays decided."""
    w = world(doc(view=V + AllArrow("parent", "view")), "doc:a#parent@doc:b", "doc:b#parent@doc:a")
    granted = world(doc(view=V + AllArrow("parent", "view")), *w.tuples, "doc:b#viewer@user:u")
    assert (check(w, "doc:a#view@user:u"), check(granted, "doc:a#view@user:u")) == (NO, YES)


def test_depth_has_no_limit() -> None:
    """A chain of 3,000 folders answers."""
    chain = [f"doc:d{i}#parent@doc:d{i + 1}" for i in range(3000)]
    w = world(doc(view=V + Arrow("parent", "view")), *chain, "doc:d3000#viewer@user:a")
    assert check(w, "doc:d0#view@user:a") == YES


# ------------------------------------------------------------------------------------------------ missing names


def test_missing_is_of_conditional_operands_only() -> None:
    """Caveat x AND a membership that is NO is not conditional, so x is not missing; y is."""
    tuples = (
        tuple_of("doc:a#viewer@group:g#member", conditional("x")),
        tuple_of("doc:a#viewer@user:a", conditional("y")),
    )
    assert check(world(doc(), *tuples), "doc:a#viewer@user:a") == conditional("y")


def test_missing_leaves_the_undecided_out() -> None:
    """`(viewer & u) + editor`: the first is (NO, CONDITIONAL), so UNDECIDED itself; only y is missing."""
    tuples = [tuple_of("doc:a#viewer@user:a", conditional("x")), tuple_of("doc:a#editor@user:a", conditional("y"))]
    w = world(doc(u=B - Name("u"), view=(V & Name("u")) + E), *tuples, "doc:a#banned@user:a")
    assert check(w, "doc:a#view@user:a") == conditional("y")


def test_missing_through_a_cycle_is_least() -> None:
    """A member of h misses x, g contains h, h contains g by an edge that misses z: both union to x and z."""
    ring = ("group:g#member@group:h#member", tuple_of("group:h#member@group:g#member", conditional("z")))
    w = world({"group": GROUP}, *ring, tuple_of("group:h#member@user:a", conditional("x")))
    assert [check(w, f"group:{g}#member@user:a") for g in "gh"] == [conditional("x", "z"), conditional("x", "z")]


def test_missing_of_a_userset_tuple() -> None:
    """Caveat AND membership, both conditional: both names are missing."""
    edge, member = (tuple_of("doc:a#viewer@group:g#member", conditional("x")),
                    tuple_of("group:g#member@user:a", conditional("y")))  # fmt: skip
    assert check(world(doc(), edge, member), "doc:a#viewer@user:a") == conditional("x", "y")

"""Faults of others about whom a tuple names: wildcards, usersets, tuplesets, and tuples that the rules do not take.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.api.judging import Judge
from relgraph.engine import program
from relgraph.engine.plans import Kind, Plans, Reading
from relgraph.engine.program import Program
from relgraph.engine.scope import BaseScope, SubjectScope
from relgraph.errors import SchemaOrphans, SchemaTypeError, TupleNotAllowed
from relgraph.rewrites import Edge, Term
from relgraph.schema import model, validate
from tests.advisories_kit import answers, asked, opened, stale, switched_off

if TYPE_CHECKING:
    from relgraph.schema import Schema
    from relgraph.schema.model import SubjectKind
    from relgraph.tuples import Subject

USERS = "definition user {}\n"

# --- a tupleset is a relation of plain objects ------------------------------------------------------------------------

FOLDERS = """definition folder {{
  relation viewer: user
}}
definition doc {{
  relation parent: {kinds}
  relation near: folder
  permission parents = near
  permission view = {tupleset}->viewer
}}
"""


class Anybody:
    """Any type of subjects, for any name."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def could_hold(self, *_: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("kinds", "tupleset", "tuples"),
    [
        # A wildcard, taken for an object called `*`: whoever views that, views the document.
        ("folder | folder:*", "parent", ["folder:x#viewer@user:anna", "doc:a#parent@folder:*"]),
        # A computed one is read as if it were written: nothing stands there, and an exclusion of it takes nothing away.
        ("folder", "parents", ["folder:x#viewer@user:anna", "doc:a#near@folder:x"]),
    ],
    ids=["wildcard", "permission"],
)
def test_a_tupleset_is_plain_and_written(kinds: str, tupleset: str, tuples: list[str]) -> None:
    """An arrow over a wildcard or over a permission is refused with the schema; run, it would lose who has access."""
    text = USERS + FOLDERS.format(kinds=kinds, tupleset=tupleset)
    with relgraph.open("sqlite://") as authorizer, pytest.raises(SchemaTypeError, match="an arrow"):
        authorizer.write_schema(text)
    # Nor could it be told which subjects such an arrow leads to.
    with switched_off(validate, "_check_names", lambda *_: None), switched_off(model, "subject_types", Anybody):
        assert ["no"] == answers(text, tuples, "doc:a#view@user:anna")


def test_a_userset_holds_no_wildcard() -> None:
    """A relation does not take usersets that are open to everybody: one tuple would open what nobody meant to open."""
    text = (
        USERS + "definition group { relation member: user | user:* }\ndefinition doc { relation viewer: group#member }"
    )
    with relgraph.open("sqlite://") as authorizer, pytest.raises(SchemaTypeError, match="contains a wildcard"):
        authorizer.write_schema(text)
    with switched_off(validate, "_check_usersets", lambda *_: None):
        tuples = ["group:all#member@user:*", "doc:a#viewer@group:all#member"]
        assert ["yes"] == answers(text, tuples, "doc:a#viewer@user:stranger")


# --- a wildcard stands for plain objects ------------------------------------------------------------------------------

GROUPS = """definition group { relation member: user | group#member }
definition doc {
  relation viewer: user | group:* | group#member
  relation banned: group#member
  permission view = viewer
  permission read = viewer - banned
}
"""


@pytest.mark.parametrize("name", ["view", "read"])
def test_a_wildcard_does_not_cover_a_userset(name: str) -> None:
    """`group:*` covers every group and the members of none, in a search as in an expression."""

    def covering(scope: SubjectScope, world: object, subject: Subject, **options: bool) -> None:
        created(scope, world, subject, **options)  # type: ignore[arg-type]
        scope.wildcard = scope.star(scope.type_of(scope.subject_number))

    created = SubjectScope.__init__
    asks = USERS + GROUPS, ["doc:a#viewer@group:*"], f"doc:a#{name}@group:eng#member", f"doc:a#{name}@group:eng"
    assert ["no", "yes"] == answers(*asks)
    with switched_off(SubjectScope, "__init__", covering):
        assert ["yes", "yes"] == answers(*asks)


def test_an_excluded_wildcard_does_not_cover_a_userset_either() -> None:
    """Who is barred by a wildcard are plain objects: a userset that keeps its access is not taken it by mistake."""

    def covering(scope: SubjectScope, world: object, subject: Subject, **options: bool) -> None:
        created(scope, world, subject, **options)  # type: ignore[arg-type]
        scope.wildcard = scope.star(scope.type_of(scope.subject_number))

    created = SubjectScope.__init__
    text = (
        USERS
        + """definition group { relation member: user }
definition doc {
  relation viewer: group | group#member
  relation barred: group:*
  permission view = viewer - barred
}"""
    )
    tuples = ["doc:a#viewer@group:eng#member", "doc:a#viewer@group:eng", "doc:a#barred@group:*"]
    asks = text, tuples, "doc:a#view@group:eng#member", "doc:a#view@group:eng"
    assert ["yes", "no"] == answers(*asks)
    with switched_off(SubjectScope, "__init__", covering):
        assert ["no", "no"] == answers(*asks)


# --- usersets of one type are not one another -------------------------------------------------------------------------

SCOPES = """definition scope {{
  relation open: user
  relation checked: user
  relation gone: user
  permission public = open{}
  permission verified = checked{}
}}
definition doc {{
  relation viewer: scope#public | scope#verified
  permission view = viewer
}}
"""


def merged(plans: Plans, reading: Reading, kind: Kind) -> int | None:
    """The same place behind every userset of a type, for searches."""
    number = onward(plans, reading, kind)
    for other in reading.kinds:
        if other[0] == kind[0]:
            reading.onward[other] = number
    return number


def alike(scope: BaseScope, edge: Edge) -> Term | None:
    """The same again, for expressions."""
    atom = scope.member(edge.subject, "verified")
    return None if atom is None else Term(edge, atom)


onward = Plans.onward


@pytest.mark.parametrize(
    ("more", "twin"),
    [("", (Plans, "onward", merged)), (" - gone", (BaseScope, "userset", alike))],
    ids=["search", "walk"],
)
def test_usersets_of_one_type_are_told_apart(more: str, twin: tuple[object, str, object]) -> None:
    """Where a relation takes two usersets of a type, whoever is in one of them is not in the other."""
    tuples = ["scope:s#open@user:anna", "scope:s#checked@user:bob", "scope:t#open@user:eve"]
    tuples += ["doc:a#viewer@scope:s#verified", "doc:a#viewer@scope:t#public", "doc:b#viewer@scope:s#public"]
    questions = [f"doc:{doc}#view@user:{who}" for doc in "ab" for who in ("anna", "bob", "eve")]
    text = USERS + SCOPES.format(more, more)
    right = ["no", "yes", "yes", "yes", "no", "no"]
    assert right == answers(text, tuples, *questions)
    with switched_off(*twin):
        assert right != answers(text, tuples, *questions)


# --- what the rules do not take does not count ------------------------------------------------------------------------

BEFORE = USERS + "definition group { relation member: user }\n"
OLD = BEFORE + "definition doc { relation viewer: user | user:* | group#member\n permission view = viewer }"
STALE = {
    "type": ("definition doc { relation viewer: group#member\n permission view = viewer }", "user:anna"),
    "wildcard": ("definition doc { relation viewer: user | group#member\n permission view = viewer }", "user:*"),
    "userset": ("definition doc { relation viewer: user | user:*\n permission view = viewer }", "group:g#member"),
    "base": (
        "definition doc { relation viewer: group#member\n relation out: user\n permission view = viewer - out }",
        "user:anna",
    ),
}


def taking_all(program: Program, kind: SubjectKind, kinds: dict[Kind, int]) -> None:
    """Every kind of subject, with any marks, whatever the relation says."""
    member = program._number_of("member")
    for type_ in ("user", "group"):
        number = program._number_of(type_)
        assert number is not None
        kinds.update({(number, 0, False): 15, (number, 0, True): 15})
        if type_ == "group" and member is not None:
            kinds[number, member, False] = 15
    admit(program, kind, kinds)


admit = Program._admit


@pytest.mark.parametrize("case", STALE)
def test_a_tuple_of_an_older_schema_does_not_count(case: str) -> None:
    """A tuple that today's schema does not take as it stands gives nobody anything, though an older one let it in."""
    definition, subject = STALE[case]
    scenario = OLD, [f"doc:a#viewer@{subject}", "group:g#member@user:anna"], BEFORE + definition
    with stale(*scenario) as authorizer:
        assert ["no"] == asked(authorizer, "doc:a#view@user:anna")
        assert "doc:a" not in str(authorizer.best("user:anna", "doc:a").held)
    with switched_off(Program, "_admit", taking_all), stale(*scenario) as authorizer:
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")


def test_a_stale_exclusion_does_not_count_either() -> None:
    """Nobody loses access by a tuple that today's schema does not take."""
    old = (
        BEFORE
        + """definition doc {
  relation viewer: user
  relation barred: user | group#member
  permission view = viewer - barred
}"""
    )
    new = old.replace("barred: user | group#member", "barred: group#member")
    scenario = old, ["doc:a#viewer@user:anna", "doc:a#barred@user:anna"], new
    with stale(*scenario) as authorizer:
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")
    with switched_off(Program, "_admit", taking_all), stale(*scenario) as authorizer:
        assert ["no"] == asked(authorizer, "doc:a#view@user:anna")


def test_a_schema_that_would_orphan_tuples_is_refused() -> None:
    """Before a tuple is left behind by its schema, the schema is refused, so that narrowing it back revives nothing."""
    new = BEFORE + STALE["type"][0]
    with opened(OLD, ["doc:a#viewer@user:anna"]) as authorizer, pytest.raises(SchemaOrphans):
        authorizer.write_schema(new)
    with stale(OLD, ["doc:a#viewer@user:anna"], new) as authorizer:
        authorizer.write_schema(OLD)
        # What nobody could see while it did not count gives access again.
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")


@pytest.mark.parametrize(
    ("kinds", "tuple_", "question"),
    [
        ("user:* with expiration | user", "doc:a#viewer@user:*", "doc:a#view@user:anna"),
        ("user with expiration | user:*", "doc:a#viewer@user:anna", "doc:a#view@user:anna"),
        ("group#member with expiration", "doc:a#viewer@group:g#member", "doc:a#view@user:anna"),
        ("user with universal", "doc:a#viewer@user:anna", "doc:a#view@user:anna"),
    ],
    ids=str,
)
def test_a_trait_is_part_of_what_a_relation_takes(kinds: str, tuple_: str, question: str) -> None:
    """What is taken with an expiration only, or for every object only, is not taken without: not written, not read."""
    use = "use expiration\nuse universal\n"
    loose = use + BEFORE + "definition doc { relation viewer: user | user:* | group#member\n permission view = viewer }"
    strict = use + BEFORE + f"definition doc {{ relation viewer: {kinds}\n permission view = viewer }}"
    scenario = loose, [tuple_, "group:g#member@user:anna"], strict
    with opened(strict, ["group:g#member@user:anna"]) as authorizer, pytest.raises(TupleNotAllowed):
        authorizer.write(touch=[tuple_])
    with stale(*scenario) as authorizer:
        assert ["no"] == asked(authorizer, question)
    with switched_off(program, "marks", lambda *_: 15), stale(*scenario) as authorizer:
        assert ["yes"] == asked(authorizer, question)


def test_an_import_is_judged_like_a_write() -> None:
    """No tuple gets in by the wide door that the narrow one refuses."""
    strict = BEFORE + STALE["type"][0]
    with opened(strict, ["group:g#member@user:bob"]) as authorizer, pytest.raises(TupleNotAllowed):
        authorizer.load(["doc:a#viewer@user:anna"])
    with (
        switched_off(Judge, "admit_all", lambda *_: None),
        switched_off(Program, "_admit", taking_all),
        opened(strict, ["group:g#member@user:bob"]) as authorizer,
    ):
        authorizer.load(["doc:a#viewer@user:anna"])
        assert ["yes"] == asked(authorizer, "doc:a#view@user:anna")

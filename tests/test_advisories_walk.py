"""Faults of others in the evaluation itself: cycles, exclusions, what was left open, and short ways that were wrong.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from relgraph.engine import walk
from relgraph.engine.budget import Budget
from relgraph.engine.plans import Plans
from relgraph.engine.reach import Reach
from relgraph.engine.walk import Walk, _Frame
from relgraph.errors import DeadlineExceeded, LimitExceeded, SchemaTypeError
from relgraph.limits import Limits
from relgraph.rewrites import Combine
from relgraph.rewrites.verdict import REFUSED
from relgraph.schema import validate
from tests.advisories_kit import answers, asked, opened, switched_off

if TYPE_CHECKING:
    from relgraph.engine.plans import Plan
    from relgraph.rewrites import Atom, Term, Value

# Exclusions all over, so that nothing here is searched as a plain union.
GROUPS = """definition user {}
definition group {
  relation member: user | group#everyone
  relation gone: user
  permission everyone = member - gone
}
definition doc {
  relation parent: doc
  relation viewer: user | group#everyone
  permission view = viewer + parent->view
}
"""
PLAIN = GROUPS.replace("member - gone", "member")
CIRCLE = ["group:a#member@group:b#everyone", "group:b#member@group:a#everyone", "doc:one#viewer@group:a#everyone"]

# --- cycles and depth -------------------------------------------------------------------------------------------------


class Forgetful(dict["Atom", int]):
    """Open questions that nobody finds again."""

    def get(self, *_: object) -> None:  # type: ignore[override]  # what is never found
        return None


def forgetful(self: Walk, *arguments: object, **options: bool) -> None:
    walk_made(self, *arguments, **options)  # type: ignore[arg-type]
    self._indexes = Forgetful()


walk_made = Walk.__init__


def test_a_circle_of_groups_is_answered() -> None:
    """Groups that contain each other end in an answer; a walk that does not see what is open goes round for ever."""
    limits = Limits(nodes_max=2_000)
    question = "doc:one#view@user:anna"
    assert ["no"] == answers(GROUPS, CIRCLE, question, limits=limits)
    assert ["yes"] == answers(GROUPS, [*CIRCLE, "group:b#member@user:anna"], question, limits=limits)
    with switched_off(Walk, "__init__", forgetful), pytest.raises(LimitExceeded):
        answers(GROUPS, CIRCLE, question, limits=limits)


@pytest.mark.parametrize("text", [GROUPS, PLAIN], ids=["walk", "search"])
def test_a_resource_that_is_its_own_parent_is_answered(text: str) -> None:
    """A permission that leads to itself through the tuples grants what it grants without that."""
    tuples = ["doc:one#parent@doc:one", "doc:one#parent@doc:two", "doc:two#parent@doc:one", "doc:two#viewer@user:anna"]
    questions = ["doc:one#view@user:anna", "doc:two#view@user:anna", "doc:one#view@user:bob"]
    assert ["yes", "yes", "no"] == answers(text, tuples, *questions)
    with (
        switched_off(Walk, "__init__", forgetful),
        switched_off(Plans, "of", lambda *_: None),
        pytest.raises(LimitExceeded),
    ):
        answers(text, tuples, *questions, limits=Limits(nodes_max=2_000))


def recursive(self: Walk, root: Atom) -> Value:
    """The walk on Python's own stack."""
    known = self._known(root)
    if known is not None:
        return known
    frame = self._open(root)
    while (deeper := self._read(frame)) is not None:
        self.value(deeper)
    self._close(frame)
    return self.values[root]


def test_depth_needs_no_stack() -> None:
    """A chain of 3,000 groups is answered; a walk on the language's own stack falls over."""
    chain = [f"group:g{number}#member@group:g{number + 1}#everyone" for number in range(3_000)]
    tuples = [*chain, "doc:one#viewer@group:g0#everyone", "group:g3000#member@user:anna"]
    limits = Limits(updates_max=10_000)
    asks = "doc:one#view@user:anna", "doc:one#view@user:bob"
    assert ["yes", "no"] == answers(GROUPS, tuples, *asks, limits=limits)
    with switched_off(Walk, "value", recursive), pytest.raises(RecursionError):
        answers(GROUPS, tuples, *asks, limits=limits)


def test_permissions_that_are_only_each_other_are_refused() -> None:
    """Names in a circle are no rule: the schema is refused, where it would have granted nothing without a word."""
    text = "definition user {}\ndefinition doc { relation viewer: user\n permission aaa = bbb\n permission bbb = aaa }"
    tuples = ["doc:one#viewer@user:anna"]
    with pytest.raises(SchemaTypeError, match="circle"):
        answers(text, tuples, "doc:one#aaa@user:anna")
    with switched_off(validate, "_check_aliases", lambda *_: None):
        assert ["no"] == answers(text, tuples, "doc:one#aaa@user:anna")


# --- what leans on something open -------------------------------------------------------------------------------------

GATES = """definition user {}
definition gate {
  relation keeper: user
  permission left = keeper - right
  permission right = keeper - left
  permission either = left + keeper
  permission both = left & right
}
"""


class Certain:
    """What a frame read of open questions, taken for final."""

    def __get__(self, frame: object, owner: type) -> bool:
        return False

    def __set__(self, frame: object, leans: bool) -> None:
        """Forget it."""


def test_an_open_question_is_not_a_no() -> None:
    """A circle through exclusions is undecided, whichever end is asked first; below it, `not open` would be a yes."""
    names = ["left", "right", "either", "both"]
    right = {"left": "undecided", "right": "undecided", "either": "yes", "both": "undecided"}
    for order in itertools.permutations(names):
        found = answers(GATES, ["gate:one#keeper@user:anna"], *(f"gate:one#{name}@user:anna" for name in order))
        assert [right[name] for name in order] == found
    with switched_off(walk, "OPEN", REFUSED), switched_off(_Frame, "leans", Certain()):
        first, second = (
            answers(GATES, ["gate:one#keeper@user:anna"], *(f"gate:one#{name}@user:anna" for name in order))
            for order in (["left", "right"], ["right", "left"])
        )
    # Granted to whom it is not, and to another one in another order.
    assert "yes" in first
    assert first == second
    assert first != ["undecided", "undecided"]


LEANING = [
    "group:a#member@group:b#everyone",
    "group:a#member@group:c#everyone",
    "group:b#member@group:a#everyone",
    "group:c#member@user:anna",
]


def tainted(self: Reach, node: int, above: dict[int, int], read: dict[int, object]) -> None:
    """All that a search met on its way to a yes is refuted but the way itself."""
    held(self, node, above, read)  # type: ignore[arg-type]
    self._refuted.update(above)


held = Reach._hold


@pytest.mark.parametrize(
    ("text", "twin"),
    [(GROUPS, (_Frame, "leans", Certain())), (PLAIN, (Reach, "_hold", tainted))],
    ids=["walk", "search"],
)
def test_a_no_below_a_circle_is_not_kept(text: str, twin: tuple[object, str, object]) -> None:
    """What came out while a circle was being cut is not believed by the next question, in whatever order they come."""
    names = "abc"
    for order in itertools.permutations(names):
        questions = [f"group:{name}#everyone@user:anna" for name in order]
        assert ["yes"] * 3 == answers(text, LEANING, *questions)
    with switched_off(*twin), switched_off(walk, "OPEN", REFUSED):
        found = {
            order: answers(text, LEANING, *(f"group:{name}#everyone@user:anna" for name in order))
            for order in itertools.permutations(names)
        }
    assert ["yes", "no", "yes"] == found["a", "b", "c"]


# --- short ways -------------------------------------------------------------------------------------------------------

FAST = """definition user {}
definition group {
  relation member: user
  relation out: user
  permission active = member - out
  permission known = member & vetted
  relation vetted: user
}
definition folder {
  relation reader: group#active | group#known | user
  relation barred: user
  relation parent: folder
  permission view = reader + parent->view
  permission safe = view - barred
  permission wary = parent.all(view)
}
definition doc {
  relation parent: folder
  permission read = parent->safe
  permission heed = parent->wary
}
"""
FAST_TUPLES = [
    "group:g#member@user:anna",
    "group:g#member@user:bob",
    "group:g#out@user:anna",
    "group:g#vetted@user:eve",
    "folder:top#reader@group:g#active",
    "folder:top#reader@group:g#known",
    "folder:top#reader@user:carl",
    "folder:sub#parent@folder:top",
    "folder:sub#parent@folder:other",
    "folder:sub#barred@user:carl",
    "doc:one#parent@folder:sub",
]


def test_the_short_way_is_taken_for_unions_only() -> None:
    """With exclusions, arrows and usersets together, an answer is the one of the long way; a search alone is wrong."""
    questions = [
        f"{what}@user:{who}"
        for what in ("folder:top#view", "folder:sub#safe", "folder:sub#wary", "doc:one#read", "doc:one#heed")
        for who in ("anna", "bob", "carl", "eve")
    ]
    right = [*"nyyn", *"nynn", *"nnnn", *"nynn", *"nnnn"]
    words = {"n": "no", "y": "yes"}
    right = [words[each] for each in right]
    assert right == answers(FAST, FAST_TUPLES, *questions)
    with switched_off(Plans, "of", lambda *_: None):
        assert right == answers(FAST, FAST_TUPLES, *questions)
    with switched_off(Plans, "_unspoilt", lambda plans: set(plans._asked)):
        found = answers(FAST, FAST_TUPLES, *questions)
    wrong = [question for question, given, wanted in zip(questions, found, right, strict=True) if given != wanted]
    assert {"folder:top#view@user:anna", "folder:sub#safe@user:carl", "folder:sub#wary@user:bob"} <= {*wrong}


# --- exclusions -------------------------------------------------------------------------------------------------------

FANNED = """definition user {}
definition group {
  relation member: user
  relation banned: user
  permission view = member - banned
}
definition doc {
  relation group: group
  permission view = group->view
  permission strict = group.all(view)
}
"""


def short_circuit(self: _Frame, term: Term, value: Value) -> bool:
    """One excluded way ends them all."""
    if self.combine is Combine.ANY and term.atom is not None and term.edge is not None and value == REFUSED:
        self.decided = True
        self.value = REFUSED
        return True
    return take(self, term, value)


take = _Frame.take


def test_an_exclusion_behind_one_object_of_an_arrow_says_nothing_of_the_others() -> None:
    """Banned from one group and a member of another: the arrow grants, and `.all` does not, in any order of tuples."""
    found = set()
    for first, second in (("a", "b"), ("b", "a")):
        tuples = [f"doc:one#group@group:{each}" for each in "ab"]
        tuples += [f"group:{each}#member@user:anna" for each in "ab"] + [f"group:{first}#banned@user:anna"]
        questions = ["doc:one#view@user:anna", "doc:one#strict@user:anna", f"group:{second}#view@user:anna"]
        assert ["yes", "no", "yes"] == answers(FANNED, tuples, *questions)
        with switched_off(_Frame, "take", short_circuit):
            found.add(answers(FANNED, tuples, *questions)[0])
    assert "no" in found


EXCLUDING = """definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation viewer: user
  relation blocked: group#member
  relation cleared: user
  permission barred = blocked - cleared
  permission view = viewer - barred
}
"""


def given_up(self: Reach, object_: int, plan: Plan) -> int | None:
    """An error below is nobody's business."""
    try:
        return until(self, object_, plan)
    except (LimitExceeded, DeadlineExceeded):
        return None


until = Reach.until


def late(self: Budget, limits: Limits, _: object, deadline: float | None = None) -> None:
    """An allowance whose clock stands still for one look, and then has run out."""
    looks = itertools.count()
    budget_made(self, limits, lambda: 1e18 if next(looks) else 0.0, deadline)


budget_made = Budget.__init__


@pytest.mark.parametrize("end", ["limit", "deadline"])
def test_an_exclusion_that_could_not_be_read_grants_nothing(end: str) -> None:
    """Where what is taken away cannot be told in time, the request fails; it is neither granted nor refused."""
    chain = [f"group:g{number}#member@group:g{number + 1}#member" for number in range(300)]
    tuples = [*chain, "group:g300#member@user:anna", "doc:one#viewer@user:anna", "doc:one#blocked@group:g0#member"]
    limits = Limits(nodes_max=100 if end == "limit" else 10_000)
    error = LimitExceeded if end == "limit" else DeadlineExceeded
    deadline = None if end == "limit" else 3600.0
    question = "doc:one#view@user:anna"
    assert ["no"] == answers(EXCLUDING, tuples, question)
    with opened(EXCLUDING, tuples, limits) as authorizer:
        for ask in (authorizer.decide, lambda asks, **options: authorizer.decide_many([asks], **options)):
            with switched_off(Budget, "__init__", late), pytest.raises(error):
                ask(question, deadline=deadline)
        # What was given up is remembered by nobody.
        assert ["yes"] == asked(authorizer, "group:g250#member@user:anna")
        with switched_off(Budget, "__init__", late), switched_off(Reach, "until", given_up):
            assert authorizer.check(question, deadline=deadline)

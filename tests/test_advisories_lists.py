"""Faults of others in lists: what was left out, given twice, or went on after its caller had gone.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from relgraph.answers import Verdict
from relgraph.api import lookups
from relgraph.api.following import Pinned
from relgraph.engine import lookup
from relgraph.engine.crowd import Crowd
from relgraph.engine.leads import Leads
from relgraph.engine.lookup import Listing
from relgraph.engine.reach import Reach
from relgraph.engine.scope import SubjectScope
from relgraph.errors import LimitExceeded, RelgraphError
from relgraph.limits import Limits
from tests.advisories_kit import asked, opened, switched_off

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import relgraph
    from relgraph.engine.lookup import Row
    from relgraph.engine.plans import Plan

TEXT = """definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation viewer: user | user:* | group#member
  relation barred: user | user:*
  permission view = viewer
  permission read = viewer - barred
}
"""


def paged(authorizer: relgraph.Authorizer, name: str, size: int, who: str = "user:anna") -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = authorizer.what(who, name, "doc", limit=size, cursor=cursor)
        found += [row.id for row in page.rows]
        cursor = page.cursor
        if not cursor:
            return found


def only_first(self: SubjectScope, *arguments: object, **options: bool) -> Sequence[object]:
    """Of the subject's own tuple and a wildcard that covers it, the one that comes first."""
    return own_edges(self, *arguments, **options)[:1]  # type: ignore[arg-type]


own_edges = SubjectScope.own_edges


@pytest.mark.parametrize("name", ["view", "read"])
def test_a_wildcard_beside_ones_own_tuple_hides_no_other(name: str) -> None:
    """Named by a tuple and by a wildcard, on one object or on several: every object is listed once, as Check says."""
    shapes = (("user:anna",), ("user:*",), ("user:anna", "user:*"), ("group:g#member", "user:*"), ())
    named = {
        f"{number}{doc}": whom
        for number, chosen in enumerate(itertools.product(shapes, repeat=3))
        for doc, whom in zip("amz", chosen, strict=True)
    }
    tuples = [f"doc:{doc}#viewer@{who}" for doc, whom in named.items() for who in whom]
    for order in (tuples, tuples[::-1]):
        with opened(TEXT, ["group:g#member@user:anna", *order]) as authorizer:
            right = sorted(doc for doc, whom in named.items() if whom)
            verdicts = asked(authorizer, *(f"doc:{doc}#{name}@user:anna" for doc in named))
            assert ["yes" if doc in right else "no" for doc in named] == verdicts
            for size in (7, 50, 1_000):
                assert right == paged(authorizer, name, size)
            assert len(right) == authorizer.count_resources("user:anna", name, "doc").yes
    tuples = [f"doc:{doc}#viewer@user:{who}" for doc, who in (("z", "anna"), ("m", "*"), ("a", "*"), ("z", "*"))]
    with opened(TEXT, tuples[:1]) as authorizer:
        authorizer.write(touch=tuples[1:])
        assert list("amz") == paged(authorizer, name, 1)
        # Candidates as they come: a page goes on behind the id before, and what stands in front of that is gone.
        with switched_off(lookup, "sorted", list, shadowing=True):
            assert list("amz") != paged(authorizer, name, 1)


def test_of_two_conditions_on_one_subject_both_count() -> None:
    """A subject's own tuple under a condition that is not met takes nothing from the wildcard beside it."""
    text = "caveat open(flag bool) { flag }\n" + TEXT.replace("viewer: user |", "viewer: user with open |")
    tuples = ['doc:a#viewer@user:anna[open:{"flag":false}]', "doc:a#viewer@user:*", "doc:b#viewer@user:*"]
    with opened(text, tuples) as authorizer:
        assert ["a", "b"] == paged(authorizer, "view", 1)
        assert ["yes", "yes"] == asked(authorizer, "doc:a#view@user:anna", "doc:a#read@user:anna")
        with switched_off(SubjectScope, "own_edges", only_first):
            assert ["b"] == paged(authorizer, "view", 1)
            assert ["no", "no"] == asked(authorizer, "doc:a#view@user:anna", "doc:a#read@user:anna")


def test_a_list_that_fails_leaves_nothing_behind() -> None:
    """Whatever ends a lookup or a count, its revision is let go, on its first page and on a later one."""
    tuples = [f"doc:d{number}#viewer@user:anna" for number in range(300)]

    def failing(authorizer: relgraph.Authorizer) -> int:
        cursor = authorizer.what("user:anna", "view", "doc", limit=1).cursor
        for ask in (
            lambda: authorizer.what("user:anna", "view", "doc"),
            lambda: authorizer.what("user:anna", "view", "doc", deadline=1e-9),
            lambda: authorizer.what("user:anna", "view", "doc", limit=10, cursor=cursor, deadline=1e-9),
            lambda: authorizer.who("doc:d1", "view", "user", deadline=1e-9),
            lambda: authorizer.count_resources("user:anna", "view", "doc", deadline=1e-9),
            lambda: authorizer.count_subjects("doc:d1", "view", "user", deadline=1e-9),
            lambda: authorizer.permissions("user:anna", "doc:d1", deadline=1e-9),
            lambda: authorizer.what("user:anna", "misspelt", "doc"),
        ):
            with pytest.raises(RelgraphError):
                ask()
        return sum(authorizer._following._state.graph._pins.values())

    with opened(TEXT, tuples, Limits(lookup_rows_max=100)) as authorizer:
        assert 0 == failing(authorizer)
        with switched_off(Pinned, "release", lambda _: None):
            assert failing(authorizer) > 0


# --- lists and checks -------------------------------------------------------------------------------------------------

FROM = """definition user {}
definition group {
  relation member: user
  relation manager: user
  relation out: user
  permission active = member - out
}
definition folder {
  relation viewer: user | user:* | group#member | group#manager | group#active
  relation cleared: user | user:*
  relation barred: user
  permission view = viewer & cleared - barred
}
definition doc {
  relation parent: folder
  relation viewer: user | user:*
  relation also: user | user:*
  relation banned: user
  permission read = parent->view
  permission strict = parent.all(view)
  permission both = (viewer - banned) & also
}
"""
FROM_TUPLES = [
    "folder:a#viewer@group:g#member",
    "folder:a#viewer@group:g#manager",
    "folder:a#viewer@group:g#active",
    "folder:a#cleared@user:*",
    "folder:a#barred@user:eve",
    "folder:b#viewer@user:*",
    "folder:b#cleared@user:anna",
    "folder:b#cleared@user:eve",
    "folder:c#viewer@user:*",
    "folder:c#cleared@user:*",
    "folder:c#barred@user:anna",
    "group:g#member@user:anna",
    "group:g#member@user:eve",
    "group:g#manager@user:bob",
    "group:g#member@user:carl",
    "group:g#out@user:carl",
    "doc:one#parent@folder:a",
    "doc:two#parent@folder:b",
    "doc:two#parent@folder:a",
    "doc:three#parent@folder:c",
    "doc:four#viewer@user:*",
    "doc:four#also@user:*",
    "doc:four#banned@user:bob",
]
DOCS = ("four", "one", "three", "two")
USERS = ("anna", "bob", "carl", "eve", "stranger")


def listed(authorizer: relgraph.Authorizer, name: str) -> dict[tuple[str, str], str]:
    """What both kinds of lookup say of each document and user; where they differ, both."""
    found = {}
    for doc in DOCS:
        who = {row.id: row.verdict.value for row in authorizer.who(f"doc:{doc}", name, "user").rows}
        for user in USERS:
            what = {row.id: row.verdict.value for row in authorizer.what(f"user:{user}", name, "doc").rows}
            one, other = what.get(doc, what.get("*", "no")), who.get(user, who.get("*", "no"))
            found[doc, user] = one if one == other else f"{one}/{other}"
    return found


def checked(authorizer: relgraph.Authorizer, name: str) -> dict[tuple[str, str], str]:
    pairs = list(itertools.product(DOCS, USERS))
    return dict(zip(pairs, asked(authorizer, *(f"doc:{doc}#{name}@user:{user}" for doc, user in pairs)), strict=True))


@pytest.mark.parametrize("name", ["read", "strict", "both"])
@pytest.mark.parametrize("side", [lookup._Resources, lookup._Subjects])
def test_a_list_says_what_a_check_says(name: str, side: type) -> None:
    """Through arrows, intersections, exclusions and wildcards, both lookups list exactly whom Check lets in."""

    def believed(_: object, __: str) -> tuple[Verdict, tuple[str, ...]]:
        return Verdict.YES, ()

    with opened(FROM, FROM_TUPLES) as authorizer:
        right = checked(authorizer, name)
        assert {"yes", "no"} == {*right.values()}
        assert right == listed(authorizer, name)
        # Whatever was found on the way counts as an answer.
        with switched_off(side, "_told", believed):
            assert right != listed(authorizer, name)


def test_who_is_excluded_stands_beside_everybody() -> None:
    """Where everybody may but some, those are listed with the row for everybody; without them a list lets them in."""

    def granted(self: Listing, after: str = "") -> Iterator[Row]:
        return (row for row in rows(self, after) if row.told[0] is not Verdict.NO)

    rows = Listing.rows
    with opened(FROM, FROM_TUPLES) as authorizer:
        found = {row.id: row.verdict.value for row in authorizer.who("doc:four", "both", "user").rows}
        assert {"*": "yes", "bob": "no"} == found
        assert 1 == authorizer.count_subjects("doc:four", "both", "user").excluded
        with switched_off(Listing, "rows", granted):
            assert listed(authorizer, "both")["four", "bob"] == "no/yes"


def by_resource(self: Crowd, *arguments: object) -> None:
    """Notes who is named on a resource once, whatever the relation."""

    class Noted(set[tuple[int, int]]):
        def __contains__(self, key: object) -> bool:
            return any(key[0] == each[0] for each in self)  # type: ignore[index]

    crowd_made(self, *arguments)  # type: ignore[arg-type]
    self._noted = Noted()


crowd_made = Crowd.__init__


def test_subjects_reached_through_several_relations_are_all_listed() -> None:
    """Members, managers and all who are active of one group come in by usersets of their own: nobody is dropped."""
    with opened(FROM, FROM_TUPLES) as authorizer:
        assert {"anna", "bob", "carl"} == {row.id for row in authorizer.who("doc:one", "read", "user").rows}
        with switched_off(Crowd, "__init__", by_resource):
            assert {"anna", "bob", "carl"} != {row.id for row in authorizer.who("doc:one", "read", "user").rows}


TWICE = """definition user {}
definition doc {
  relation viewer: user | doc
  permission view = viewer + viewer->view
}
"""


def once(self: Leads, *arguments: object) -> None:
    """Of a relation that is read in two ways, the first one is known."""
    leads_made(self, *arguments)  # type: ignore[arg-type]
    self.arrowed = {}


leads_made = Leads.__init__


def test_a_relation_that_is_read_twice_leads_both_ways() -> None:
    """Read for its own members and as the way to others, a relation misses neither in a list."""
    tuples = ["doc:a#viewer@user:anna", "doc:b#viewer@doc:a", "doc:c#viewer@doc:b", "doc:c#viewer@user:bob"]
    with opened(TWICE, tuples) as authorizer:
        assert ["a", "b", "c"] == paged(authorizer, "view", 1)
        assert ["yes"] * 3 == asked(authorizer, *(f"doc:{doc}#view@user:anna" for doc in "abc"))
        assert ["c"] == paged(authorizer, "view", 1, "user:bob")
        with switched_off(Leads, "__init__", once):
            assert ["a"] == paged(authorizer, "view", 1)


# --- a list that cannot be complete -----------------------------------------------------------------------------------

WIDE = """definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation viewer: user
  relation blocked: group#member
  relation cleared: user
  permission view = viewer - (blocked - cleared)
}
"""


def given_up(self: Reach, object_: int, plan: Plan) -> int | None:
    """An error below is nobody's business."""
    try:
        return until(self, object_, plan)
    except LimitExceeded:
        return None


until = Reach.until


def test_a_list_emits_nothing_that_could_not_be_decided() -> None:
    """Where an exclusion cannot be read to its end, the lookup fails; the object it excludes is not listed."""
    groups = [f"group:g#member@group:h{number}#member" for number in range(300)]
    tuples = [*groups, "group:h299#member@user:anna", "doc:a#viewer@user:anna", "doc:a#blocked@group:g#member"]
    with opened(WIDE, tuples) as authorizer:
        assert [] == paged(authorizer, "view", 5)
    with opened(WIDE, tuples, Limits(nodes_max=100)) as authorizer:
        for ask in (
            lambda: authorizer.what("user:anna", "view", "doc"),
            lambda: authorizer.what("user:anna", "view", "doc", limit=5),
            lambda: authorizer.who("doc:a", "view", "user"),
            lambda: authorizer.count_resources("user:anna", "view", "doc"),
            lambda: authorizer.permissions("user:anna", "doc:a"),
        ):
            with pytest.raises(LimitExceeded):
                ask()
        with switched_off(Reach, "until", given_up):
            assert ["a"] == paged(authorizer, "view", 5)


def test_a_list_that_is_cut_short_says_so() -> None:
    """More rows than one answer holds are an error or a page with a cursor, never a list that looks whole."""
    tuples = [f"doc:d{number}#viewer@user:anna" for number in range(7)]
    with opened(TEXT, tuples, Limits(lookup_rows_max=5)) as authorizer:
        with pytest.raises(LimitExceeded):
            authorizer.what("user:anna", "view", "doc")
        page = authorizer.what("user:anna", "view", "doc", limit=5)
        assert (5, True) == (len(page.rows), bool(page.cursor))
        assert 7 == len(paged(authorizer, "view", 5)) == authorizer.count_resources("user:anna", "view", "doc").yes
        with switched_off(lookups, "islice", lambda rows, count: itertools.islice(rows, count - 1)):
            page = authorizer.what("user:anna", "view", "doc")
            assert (5, "") == (len(page.rows), page.cursor)

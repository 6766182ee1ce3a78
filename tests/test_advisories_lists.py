"""Faults of others in lists: what was left out, given twice, or went on after its caller had gone.

Every test has its vulnerable twin: the protection switched off, and the answer wrong. What lists say otherwise than
checks is tested beside the lookups.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from relgraph.api.following import Pinned
from relgraph.engine import lookup
from relgraph.engine.scope import SubjectScope
from relgraph.errors import RelgraphError
from relgraph.limits import Limits
from tests.advisories_kit import asked, opened, switched_off

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import relgraph

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


def backwards(ids: Iterable[str]) -> list[str]:
    """Some other order."""
    return sorted(ids, reverse=True)


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
        # Candidates in another order: a page goes on behind the id before, and what stands in front of that is gone.
        with switched_off(lookup, "sorted", backwards, shadowing=True):
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

"""What an Authorizer tells who looks on: each pin, answer, check and commit, once, and nothing after that is over."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from relgraph.answers import Verdict
from relgraph.errors import RelgraphError
from relgraph.revision import Consistency
from tests.api_kit import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import relgraph


class Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.verdicts: list[tuple[Verdict, int]] = []
        self.revisions: list[int] = []

    def pinned(self, seconds: float) -> None:
        assert seconds >= 0
        self.count["pinned"] += 1

    def answered(self, seconds: float) -> None:
        assert seconds >= 0
        self.count["answered"] += 1

    def checked(self, verdict: Verdict, tuples: int) -> None:
        self.verdicts.append((verdict, tuples))

    def committed(self, revisions: int, seconds: float) -> None:
        assert seconds >= 0
        self.revisions.append(revisions)


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with opened() as made:
        yield made


def test_each_question_is_told_once(authorizer: relgraph.Authorizer) -> None:
    """A question is pinned and answered once, whichever it is; one that fails ends as well."""
    told = Told()
    authorizer.observe(told)
    authorizer.best("user:anna", "doc:one")
    authorizer.expand("doc:one", "observe")
    authorizer.read()
    authorizer.schema(consistency=Consistency.minimize_latency())
    with pytest.raises(RelgraphError):
        authorizer.check("user:anna", "nonsense", "doc:one")
    assert {"pinned": 5, "answered": 5} == told.count
    assert [] == told.verdicts


def test_each_check_is_told_with_what_it_read(authorizer: relgraph.Authorizer) -> None:
    """A check is told with its verdict; tuples are counted anew for each of many, and none are read for no tuple."""
    told = Told()
    authorizer.observe(told)
    assert authorizer.check("user:anna", "observe", "doc:one")
    asked = ["doc:two#observe@user:anna", "doc:one#observe@user:anna", "doc:one#observe@user:bob"]
    authorizer.decide_many(asked)
    yes, no = Verdict.YES, Verdict.NO
    assert [yes, no, yes, no] == [verdict for verdict, _ in told.verdicts]
    assert told.verdicts[0][1] > 0
    assert 0 == told.verdicts[1][1]


def test_each_commit_is_told_with_its_revisions(authorizer: relgraph.Authorizer) -> None:
    """Commits are told with how many revisions they made; what changes nothing, or is refused, is no commit."""
    told = Told()
    authorizer.observe(told)
    before = authorizer.head
    authorizer.write(touch=["doc:one#viewer@user:bob"])
    authorizer.write(touch=["doc:one#viewer@user:bob"])
    authorizer.by("somebody").load(["doc:one#viewer@user:carl"])
    with pytest.raises(RelgraphError):
        authorizer.write(create=["doc:one#viewer@user:bob"])
    assert [1, 1] == told.revisions
    threads = [
        threading.Thread(target=authorizer.write, kwargs={"touch": [f"doc:d{number}#viewer@user:bob"]})
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 22 == sum(told.revisions) == authorizer.head - before


def test_nobody_is_told_after_that(authorizer: relgraph.Authorizer) -> None:
    """Who stops to look on is told nothing more."""
    told = Told()
    authorizer.observe(told)
    authorizer.observe(None)
    authorizer.check("user:anna", "observe", "doc:one")
    authorizer.write(touch=["doc:one#viewer@user:bob"])
    assert (Counter(), [], []) == (told.count, told.verdicts, told.revisions)

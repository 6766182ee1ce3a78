"""The Authorizer: tokens and consistency, writes that are whole or nothing, faults that change no answer."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph import Consistency, Limits, Object, RelationTuple, Subject, TupleFilter
from relgraph.api.following import Following
from relgraph.errors import (
    CannotUpdatePermission,
    DeadlineExceeded,
    Forked,
    InvalidCursor,
    InvalidId,
    InvalidInput,
    InvalidTuple,
    LimitExceeded,
    NoSchema,
    RelgraphError,
    RequestIdReused,
    RevisionUnavailable,
    StoreUnavailable,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.graph import Graph
from tests.api_kit import SCHEMA, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.store.base import Changes


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with opened() as made:
        yield made


def test_a_surely_swapped_question_is_refused() -> None:
    """Where both types have the permission, the question that can only be no one way round and not the other raises."""
    schema = """
        definition user { relation boss: user
                          permission observe = boss }
        definition doc { relation viewer: user
                         permission observe = viewer }
    """
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        with pytest.raises(InvalidInput, match="swapped"):
            authorizer.check("doc:one", "observe", "user:anna")
        with pytest.raises(InvalidInput, match="swapped"):
            authorizer.best("doc:one", "user:anna")
        assert authorizer.check("user:anna", "observe", "user:bob") is False
        assert authorizer.best("user:anna", "user:bob").held == ()


def test_nothing_can_be_asked_or_written_before_a_schema() -> None:
    """An empty store says that it has no schema, for questions and for writes."""
    with relgraph.open("sqlite://") as authorizer:
        for ask in (
            lambda: authorizer.check("user:a", "bbb", "doc:c"),
            lambda: authorizer.write(touch=["doc:a#viewer@user:b"]),
            authorizer.schema,
            authorizer.orphans,
        ):
            with pytest.raises(NoSchema):
                ask()
        assert authorizer.read().tuples == ()


def test_a_token_reads_exactly_its_revision(authorizer: relgraph.Authorizer) -> None:
    """Each write's token reads the state right after it, whatever came later, and under the schema of that time."""
    first = authorizer.write(touch=["doc:two#viewer@user:carl"])
    second = authorizer.write(touch=["doc:two#banned@user:carl"])
    third = authorizer.write(delete=["doc:two#viewer@user:carl", "doc:two#banned@user:carl"])
    changed = SCHEMA.replace("observe - banned", "observe - banned - viewer")
    fourth = authorizer.write_schema(changed)
    authorizer.write(touch=["doc:two#viewer@user:carl"])
    asked = [
        (at.revision, authorizer.check("doc:two#read@user:carl", consistency=Consistency.at_exactly(at.token)))
        for at in (first, second, third, fourth)
    ]
    assert [(3, True), (4, False), (5, False), (6, False)] == asked
    assert authorizer.schema(consistency=Consistency.at_exactly(first.token)).text == SCHEMA
    assert authorizer.schema().text == changed
    assert authorizer.check("doc:two#read@user:carl") is False


def test_a_token_of_another_store_is_refused(authorizer: relgraph.Authorizer) -> None:
    """A token of another store is out of range, for every mode that takes one."""
    with relgraph.open("sqlite://") as other:
        token = other.write_schema(SCHEMA).token
    for consistency in (Consistency.at_least(token), Consistency.at_exactly(token)):
        with pytest.raises(RevisionUnavailable, match="another store"):
            authorizer.check("user:anna", "observe", "doc:one", consistency=consistency)


def test_a_token_of_a_lost_revision_is_refused(tmp_path: Path) -> None:
    """When an older copy of the file takes revision numbers again, a lost revision's token is noticed by its nonce."""
    path, copy = tmp_path / "access.db", tmp_path / "copy.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        authorizer.write_schema(SCHEMA)
    shutil.copy(path, copy)
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        lost = authorizer.write(touch=["doc:one#viewer@user:anna"])
        beyond = authorizer.write(touch=["doc:one#viewer@user:bob"])
    with relgraph.open(f"sqlite:///{copy}") as authorizer:
        taken_again = authorizer.write(touch=["doc:one#viewer@user:carl"])
        assert lost.revision == taken_again.revision
        for token in (lost.token, beyond.token):
            for consistency in (Consistency.at_least(token), Consistency.at_exactly(token)):
                with pytest.raises(RevisionUnavailable, match="older copy"):
                    authorizer.check("user:anna", "observe", "doc:one", consistency=consistency)


def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    """When another store is moved over an open one, nothing more is answered, or acknowledged, from either."""
    path, other = tmp_path / "access.db", tmp_path / "other.db"
    for each in (path, other):
        with relgraph.open(f"sqlite:///{each}") as made:
            made.write_schema(SCHEMA)
    with relgraph.open(f"sqlite:///{other}") as made:
        made.write(touch=["doc:one#viewer@user:mallory"])
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        assert authorizer.check("user:mallory", "observe", "doc:one") is False
        other.replace(path)
        for ask in (
            lambda: authorizer.check("user:mallory", "observe", "doc:one"),
            lambda: authorizer.write(touch=["doc:one#viewer@user:anna"]),
            authorizer.read,
        ):
            with pytest.raises(StoreUnavailable, match="replaced or removed"):
                ask()


def test_an_interrupted_catch_up_is_begun_anew(
    authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while changes are taken in leaves nothing half taken in: a later revocation is seen."""
    whole = Graph.apply

    def interrupted(self: Graph, changes: Changes) -> None:
        whole(self, changes)
        self.head = before
        raise KeyboardInterrupt

    before = authorizer._following._state.graph.head
    monkeypatch.setattr(Graph, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        authorizer.write(touch=["doc:two#viewer@user:anna"])
    monkeypatch.setattr(Graph, "apply", whole)
    assert authorizer.check("user:anna", "observe", "doc:two") is True
    authorizer.write(delete=["doc:two#viewer@user:anna"])
    assert authorizer.check("user:anna", "observe", "doc:two") is False


def test_a_committed_write_is_acknowledged(authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault after the commit, while this process catches up, does not turn the write into a failure."""

    def unavailable(*_: object) -> None:
        raise StoreUnavailable("not now")

    with monkeypatch.context() as patched:
        patched.setattr(Following, "_catch_up", unavailable)
        written = authorizer.write(create=["doc:two#viewer@user:anna"])
        with pytest.raises(StoreUnavailable):
            authorizer.check("user:anna", "observe", "doc:two")
    assert authorizer.check("user:anna", "observe", "doc:two", consistency=Consistency.at_least(written.token)) is True


def test_parts_are_never_read_as_text(authorizer: relgraph.Authorizer) -> None:
    """An id with a `#` in it is refused, not taken for a userset, whether it is asked, written or imported."""
    sly = [Subject("user", "anna#..."), Subject("group", "board#member"), Subject("user", ""), Subject("user", "a\n")]
    for subject in sly:
        fact = RelationTuple(Object("doc", "one"), "viewer", subject)
        for ask in (
            lambda who=subject: authorizer.check(who, "observe", "doc:one"),
            lambda who=subject: authorizer.best(who, "doc:one"),
            lambda what=fact: authorizer.write(touch=[what]),
            lambda what=fact: authorizer.load([what]),
        ):
            with pytest.raises(InvalidId):
                ask()
    with pytest.raises(InvalidTuple):
        authorizer.check(Subject("user", "*"), "observe", "doc:one")
    with pytest.raises(InvalidId):
        authorizer.expand(Object("doc", "one#x"), "observe")


def test_a_misspelt_filter_is_refused(authorizer: relgraph.Authorizer) -> None:
    """A filter by a type or relation that the schema lacks is an error, never an empty page."""
    for wrong, error in (
        (TupleFilter("dok"), UnknownDefinition),
        (TupleFilter("doc", relation="viewr"), UnknownRelation),
        (TupleFilter("doc", relation="observe"), CannotUpdatePermission),
        (TupleFilter(relation="viewr"), UnknownRelation),
        (TupleFilter(subject_type="usr"), UnknownDefinition),
        (TupleFilter(subject_type="group", subject_relation="membr"), UnknownRelation),
    ):
        with pytest.raises(error, match=r"did you mean|no tuple states"):
            authorizer.read(wrong)
    assert len(authorizer.read(TupleFilter(relation="member")).tuples) == 1


def test_two_processes_worth_of_authorizers_agree(tmp_path: Path) -> None:
    """What one Authorizer wrote, another on the same file answers by at once, schemas included."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with relgraph.open(url) as one, relgraph.open(url) as two:
        one.write_schema(SCHEMA)
        one.write(touch=["doc:one#viewer@user:anna"])
        assert two.check("user:anna", "observe", "doc:one") is True
        two.write(touch=["doc:one#banned@user:anna"])
        assert one.check("user:anna", "read", "doc:one") is False
        two.write_schema(SCHEMA.replace("observe - banned", "observe"))
        assert one.check("user:anna", "read", "doc:one") is True


def test_minimize_latency_may_be_old_but_not_older_than_stated(tmp_path: Path) -> None:
    """With no staleness allowed it sees another's write at once; otherwise it may answer from what it has."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    fast = Consistency.minimize_latency()
    with (
        relgraph.open(url) as writer,
        relgraph.open(url, limits=Limits(staleness_ms_max=0)) as fresh,
        relgraph.open(url, limits=Limits(staleness_ms_max=3_600_000)) as stale,
    ):
        writer.write_schema(SCHEMA)
        stale.schema()
        written = writer.write(touch=["doc:one#viewer@user:anna"])
        assert fresh.check("user:anna", "observe", "doc:one", consistency=fast) is True
        assert stale.check("user:anna", "observe", "doc:one", consistency=fast) is False
        assert stale.check("user:anna", "observe", "doc:one", consistency=Consistency.at_least(written.token)) is True


def test_a_request_id_makes_a_retry_safe(authorizer: relgraph.Authorizer) -> None:
    """The same write under the same id happens once and answers the same; another write under it is refused."""
    first = authorizer.write(create=["doc:two#viewer@user:carl"], request_id="r1")
    authorizer.write(delete=["doc:two#viewer@user:carl"])
    again = authorizer.write(create=["doc:two#viewer@user:carl"], request_id="r1")
    assert first.revision == again.revision
    assert authorizer.check("user:carl", "observe", "doc:two") is False
    with pytest.raises(RequestIdReused):
        authorizer.write(touch=["doc:two#viewer@user:carl"], request_id="r1")
    with pytest.raises(RequestIdReused):
        authorizer.write(create=["doc:two#viewer@user:dora"], request_id="r1")


def test_a_write_that_changes_nothing_takes_no_revision(authorizer: relgraph.Authorizer) -> None:
    """Touching a living tuple, deleting an absent one and writing the same schema leave the head where it is."""
    head = authorizer.read().revision
    assert head == authorizer.write(touch=["doc:one#viewer@user:anna"]).revision
    assert head == authorizer.write(delete=["doc:none#viewer@user:anna"]).revision
    assert head == authorizer.write_schema(SCHEMA).revision
    assert head == authorizer.load(["doc:one#viewer@user:anna"], on_duplicate="skip").revision


def test_pages_stay_at_their_revision(authorizer: relgraph.Authorizer) -> None:
    """Pages of any size hold every tuple once, though others are written and deleted in between."""
    tuples = sorted(f"doc:d{number:02}#viewer@user:anna" for number in range(23))
    authorizer.write(touch=tuples)
    for size in (1, 2, 5, 23, 24):
        page = authorizer.read(TupleFilter("doc", relation="viewer", subject_type="user"), limit=size)
        found = list(map(str, page.tuples))
        while page.cursor:
            authorizer.write(touch=["doc:d07x#viewer@user:anna"], delete=["doc:d22#viewer@user:anna"])
            page = authorizer.read(
                TupleFilter("doc", relation="viewer", subject_type="user"), limit=size, cursor=page.cursor
            )
            found += map(str, page.tuples)
        authorizer.write(delete=["doc:d07x#viewer@user:anna"], touch=["doc:d22#viewer@user:anna"])
        assert [*tuples, "doc:one#viewer@user:anna"] == found


def test_a_cursor_belongs_to_its_filter(authorizer: relgraph.Authorizer) -> None:
    """A cursor with another filter, with a consistency, or with a changed letter is refused."""
    cursor = authorizer.read(limit=1).cursor
    with pytest.raises(InvalidCursor, match="another filter"):
        authorizer.read(TupleFilter("doc"), cursor=cursor)
    with pytest.raises(InvalidCursor, match="its own revision"):
        authorizer.read(cursor=cursor, consistency=Consistency.fully_consistent())
    for place in range(0, len(cursor), 7):
        with pytest.raises(InvalidCursor):
            authorizer.read(cursor=cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :])


def test_limits_are_errors() -> None:
    """Too much work ends in an error that names the limit, on the granting and on the excluded side."""
    with relgraph.open("sqlite://", limits=Limits(nodes_max=50)) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[f"group:g{n}#member@group:g{n + 1}#member" for n in range(100)])
        authorizer.write(touch=["doc:one#viewer@group:g0#member"])
        with pytest.raises(LimitExceeded) as error:
            authorizer.check("user:anna", "read", "doc:one")
        assert error.value.details == {"limit": "nodes_max", "value": "50"}
        with pytest.raises(DeadlineExceeded):
            authorizer.check("user:anna", "read", "doc:one", deadline=0)


def test_depth_has_no_limit() -> None:
    """Chains of groups and of parents far deeper than Python's stack are answered, and so is a cycle of them."""
    deep = 5_000
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        chain = [f"group:g{n}#member@group:g{n + 1}#member" for n in range(deep)]
        parents = [f"doc:d{n}#parent@doc:d{(n + 1) % deep}" for n in range(deep)]
        authorizer.load([*chain, *parents, f"group:g{deep}#member@user:anna", "doc:d4999#administrator@user:bob"])
        assert authorizer.check("user:anna", "member", "group:g0") is True
        assert authorizer.check("user:bob", "member", "group:g0") is False
        assert authorizer.check("user:bob", "administer", "doc:d0") is True
        assert authorizer.check("user:anna", "administer", "doc:d0") is False
        assert len(authorizer.best("user:bob", "doc:d0").ways[0].tuples) == deep
        assert len(authorizer.expand("group:g0", "member", usersets=True).nodes) == deep + 1
        assert len(authorizer.expand("group:g0", "member").nodes) == 1


def test_a_reader_never_sees_half_a_write(authorizer: relgraph.Authorizer) -> None:
    """While one thread swaps a pair of tuples back and forth, others always see exactly one of them."""
    authorizer.write(touch=["doc:left#viewer@user:anna"])
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            left, right = authorizer.best_many("user:anna", ["doc:left", "doc:right"])
            if (left.role is None) == (right.role is None):
                wrong.append((left, right))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    names = ["doc:left#viewer@user:anna", "doc:right#viewer@user:anna"]
    for turn in range(60):
        authorizer.write(delete=[names[turn % 2]], touch=[names[(turn + 1) % 2]])
    stop.set()
    for reader in readers:
        reader.join(30)
    assert [] == wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_told_to_open_again(authorizer: relgraph.Authorizer) -> None:
    """In a forked child, questions and writes raise Forked instead of sharing connections."""
    child = os.fork()
    if not child:
        told = 0
        for ask in (
            lambda: authorizer.check("user:anna", "observe", "doc:one"),
            lambda: authorizer.write(touch=["doc:x#viewer@user:a"]),
        ):
            try:
                ask()
            except Forked:
                told += 1
        os._exit(told)
    assert 2 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert authorizer.check("user:anna", "observe", "doc:one") is True


def test_any_deadline_is_a_number_of_seconds(tmp_path: Path) -> None:
    """A deadline of any size works while another's changes are read, and one that is no number is refused."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with relgraph.open(url) as one, relgraph.open(url) as two:
        two.write_schema(SCHEMA)
        for deadline in (float("inf"), 1e10, 5):
            two.write(touch=[f"doc:d{deadline:.0f}#viewer@user:anna"])
            assert one.check("user:anna", "observe", "doc:one", deadline=deadline) is False
        with pytest.raises(InvalidInput, match="not a number"):
            one.check("user:anna", "observe", "doc:one", deadline=float("nan"))


def test_best_access_asks_what_a_check_may_ask() -> None:
    """A subject type that only a relation takes is no swapped question, though best access there is nothing."""
    schema = """
        definition user { relation manager: robot }
        definition robot { relation owner: user
                           permission use = owner }
    """
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        assert authorizer.best("robot:one", "user:anna").held == ()
        assert authorizer.check("robot:one", "manager", "user:anna") is False


def test_orphans_of_a_revision_are_of_that_revision(authorizer: relgraph.Authorizer) -> None:
    """Objects that only a later write names are not listed at an earlier revision."""
    token = authorizer.write(touch=["doc:two#parent@doc:three"]).token
    authorizer.write(touch=["doc:nine#parent@doc:eight"])
    past = authorizer.orphans(consistency=Consistency.at_exactly(token))
    assert ["doc:three", "doc:two"] == [str(each.resource) for each in past.orphans]
    assert len(authorizer.orphans().orphans) == 4


@pytest.mark.parametrize("url", [f"sqlite:///{'a' * 300}/x.db", f"sqlite:///{'a' * 300}", "sqlite:///\ud800.db"])
def test_a_path_that_cannot_be_is_refused(url: str) -> None:
    """A path that the system does not take is an error of relgraph, not of the system."""
    with pytest.raises(RelgraphError):
        relgraph.open(url)


def test_universal_tuples_count_for_what_was_never_mentioned(authorizer: relgraph.Authorizer) -> None:
    """A group that administers `doc:*` administers documents that no tuple names, and is listed as the way."""
    authorizer.write(touch=["doc:*#administrator@group:board#member"])
    best = authorizer.best("user:bob", Object("doc", "tomorrow"))
    assert ("administer", ("administer", "observe")) == (best.role, best.held)
    assert ["doc:*#administrator@group:board#member", "group:board#member@user:bob"] == list(
        map(str, best.ways[0].tuples)
    )

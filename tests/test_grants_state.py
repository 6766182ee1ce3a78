"""In which state an actor is judged: among many writers, in an application's transaction, and at what cost."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, nullcontext, suppress
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any, cast

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

import relgraph
from relgraph.answers import Receipt, Written
from relgraph.api import following
from relgraph.errors import (
    InvalidFilter,
    LimitExceeded,
    NotPermitted,
    RelgraphError,
    RequestIdReused,
    TooManyMatches,
)
from relgraph.graph import GraphView, RowsView
from relgraph.limits import Limits
from relgraph.tuples import TupleFilter, must_not_exist
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph_server.status import status_of
from tests.grants_kit import SCHEMA, TUPLES
from tests.oracle import Arrow, Name, Object, Oracle, Schema, World, define, tuple_of
from tests.oracle_grants import GrantJudge, Line, granting
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from relgraph.store.base import Reads
    from tests.postgres_kit import Server

NEW = "report:q3#observer@user:new"
RIGHT = "report:q3#administrator@user:anna"
TRAILER_BYTES_MAX = 8 << 10
LONG = bool(os.environ.get("RELGRAPH_LONG"))


def begun(authorizer: relgraph.Authorizer, *tuples: str) -> relgraph.Authorizer:
    """Return the Authorizer with the schema and its tuples in it."""
    authorizer.write_schema(SCHEMA)
    authorizer.load([*TUPLES, *tuples], allow_universal=True, allow_wildcards=True)
    return authorizer


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "SQLite":
        return f"sqlite:///{tmp_path / 'access.db'}"
    postgres: Server = request.getfixturevalue("postgres")
    return postgres.url()


@pytest.fixture
def authorizer(url: str) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(url) as made:
        yield begun(made)


def connected(url: str) -> Any:
    """Return a connection of one's own to the store's database, with a transaction open."""
    if url.startswith("sqlite"):
        connection = relgraph.sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=5)
        connection.execute("BEGIN IMMEDIATE")
        return connection
    return psycopg.connect(url.partition("&relgraph_schema")[0])


def in_one_group(authorizer: relgraph.Authorizer, *writes: Callable[[], object]) -> list[object]:
    """Let writes wait for the store's lock in this order, and be committed together; return what became of each."""
    outcomes: list[object] = [None] * len(writes)
    queue = authorizer._writing._group._queue

    def run(place: int, write: Callable[[], object]) -> None:
        try:
            outcomes[place] = write()
        except RelgraphError as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(writes)]
    with authorizer._store.transaction():
        for place, thread in enumerate(threads):
            thread.start()
            while len(queue) <= place:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    return outcomes


def test_a_right_that_was_just_taken_away_is_none(authorizer: relgraph.Authorizer) -> None:
    """Of writes committed together each is judged after those before it: what they took away and gave counts."""
    gives = "report:fresh#administrator@user:bob"
    outcomes = in_one_group(
        authorizer,
        lambda: authorizer.write(touch=[NEW], actor="user:anna"),
        lambda: authorizer.write(delete=[RIGHT]),
        lambda: authorizer.write(touch=[NEW.replace("new", "newer")], actor="user:anna"),
        lambda: authorizer.write(touch=[gives]),
        lambda: authorizer.write(touch=["report:fresh#observer@user:new"], actor="user:bob"),
        lambda: authorizer.write(delete=[gives], actor="user:bob"),
        lambda: authorizer.write(touch=[gives], actor="user:bob"),
    )
    refused = [isinstance(each, NotPermitted) for each in outcomes]
    assert refused == [False, False, True, False, False, False, True]
    numbers = [each.revision for each in outcomes if isinstance(each, Written)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    living = set(map(str, authorizer.read().tuples))
    assert {NEW, "report:fresh#observer@user:new"} == living - set(TUPLES)


def test_evidence_is_read_from_the_graph_where_it_stands_there(
    authorizer: relgraph.Authorizer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's lock is not held for as many queries as the evidence has steps, unless the graph is behind."""
    asked: list[int] = []

    class Noted(RowsView):
        def __init__(self, rows: Reads, revision: int) -> None:
            super().__init__(rows, revision)
            asked.append(revision)

    monkeypatch.setattr(following, "RowsView", Noted)
    authorizer.write(touch=[NEW], actor="user:anna")
    authorizer.delete(TupleFilter("report", "q3", "observer"), actor="user:anna")
    authorizer.load([NEW], actor="user:anna")
    assert not asked
    with relgraph.open(url) as other:
        other.write(delete=[RIGHT])
    with pytest.raises(NotPermitted):
        authorizer.write(delete=[NEW], actor="user:anna")
    assert asked


def test_an_actor_in_an_applications_transaction(authorizer: relgraph.Authorizer, url: str) -> None:
    """A write in an application's own transaction judges the actor as any other write does, and names him."""
    with closing(connected(url)) as connection:
        with pytest.raises(NotPermitted) as refused:
            authorizer.write(touch=["report:other#observer@user:new"], actor="user:anna", conn=connection)
        assert refused.value.details["total"] == "1"
        receipt = authorizer.write(touch=[NEW], actor="user:anna", conn=connection)
        assert isinstance(receipt, Receipt)
        connection.execute("COMMIT")
    assert NEW in set(map(str, authorizer.read().tuples))
    assert authorizer.log().entries[-1].actor == "user:anna"


def test_the_log_names_the_actor(authorizer: relgraph.Authorizer) -> None:
    """Writes, deletes and imports stand in the log with the actor on whose behalf they were made, or with nobody."""
    authorizer.write(touch=[NEW], actor="user:anna", reason="why")
    authorizer.write(touch=[NEW.replace("new", "newer")], actor="user:anna", request_id="one")
    authorizer.load([NEW.replace("new", "newest")], actor="user:anna")
    authorizer.delete(TupleFilter("report", "q3", "observer"), actor="user:anna")
    authorizer.write(touch=[NEW])
    assert ["", "", "user:anna", "user:anna", "user:anna", "user:anna", ""] == [
        entry.actor for entry in authorizer.log().entries
    ]


def test_a_request_id_is_the_actors(authorizer: relgraph.Authorizer) -> None:
    """Deletes and imports under a request id are repeated by the same actor alone, as writes are."""
    everything = TupleFilter("report", "q3", "observer")
    deleted = [authorizer.delete(everything, actor="user:anna", request_id="one") for _ in range(2)]
    loaded = [authorizer.load([NEW], actor="user:anna", request_id="two") for _ in range(2)]
    assert deleted[0].revision == deleted[1].revision
    assert loaded[0].revision == loaded[1].revision
    for other in ("user:bob", None):
        with pytest.raises(RequestIdReused):
            authorizer.delete(everything, actor=other, request_id="one")
        with pytest.raises(RequestIdReused):
            authorizer.load([NEW], actor=other, request_id="two")


def test_a_partial_delete_is_judged_by_what_it_reaches(authorizer: relgraph.Authorizer) -> None:
    """An actor's delete in parts counts and limits as any other; a tuple beyond the limit is another delete's."""
    authorizer.write(touch=[f"report:q3#observer@user:u{number}" for number in range(5)])
    everything = TupleFilter("report", "q3", "observer")
    with pytest.raises(TooManyMatches):
        authorizer.delete(everything, limit=2, actor="user:anna")
    with pytest.raises(NotPermitted):
        authorizer.delete(everything, limit=2, actor="user:bob")
    deleted = authorizer.delete(everything, limit=2, partial=True, actor="user:anna")
    assert (2, False) == (deleted.count, deleted.complete)
    authorizer.write(touch=["report:q3#observer@user:*"])
    with pytest.raises(NotPermitted):
        authorizer.delete(everything, limit=100, partial=True, actor="user:anna")
    # how many match is nothing that he is told who may not delete them all
    for limit in (1, 2, 3):
        with pytest.raises(NotPermitted):
            authorizer.delete(everything, limit=limit, actor="user:anna")
    with pytest.raises(InvalidFilter):
        authorizer.delete(TupleFilter("report", "q3"), limit=2, partial=True, actor="user:anna")


def test_an_import_names_the_first_line_that_is_refused(authorizer: relgraph.Authorizer) -> None:
    """A refused import carries the place of the first refused tuple, and counts them all."""
    lines = [f"report:q3#observer@user:u{number}" for number in range(100)]
    lines[40:60] = [f"report:other#observer@user:u{number}" for number in range(20)]
    with pytest.raises(NotPermitted) as refused:
        authorizer.load(lines, actor="user:anna")
    assert ("40", "20") == (refused.value.details["index"], refused.value.details["total"])


def test_what_judging_costs_is_bounded(url: str) -> None:
    """A write whose judging takes more work than the limit is an error that names the limit, and is not made."""
    limits = Limits(rights_nodes_max=500, rights_tuples_max=500)
    many = [f"report:r{number}#observer@user:new" for number in range(1000)]
    rights = [f"report:r{number}#administrator@user:anna" for number in range(1000)]
    with relgraph.open(url, limits=limits) as narrow:
        begun(narrow, *rights)
        for write in (
            lambda: narrow.write(touch=many, actor="user:anna"),
            lambda: narrow.load(many, actor="user:anna"),
        ):
            with pytest.raises(LimitExceeded, match="`rights_nodes_max` of 500") as exceeded:
                write()
            assert ("rights_nodes_max", "500") == (exceeded.value.details["limit"], exceeded.value.details["value"])
        # a delete reads what it reaches
        narrow.load([f"report:q3#observer@user:u{number}" for number in range(1000)])
        with pytest.raises(LimitExceeded, match="`rights_tuples_max` of 500"):
            narrow.delete(TupleFilter("report", "q3", "observer"), actor="user:anna")
        assert not [each for each in map(str, narrow.read().tuples) if "#observer@user:new" in each]
    with relgraph.open(url) as wide:
        assert wide.write(touch=many, actor="user:anna").revision
        # one resource is judged once, however many tuples name it
    with relgraph.open(url, limits=limits) as narrow:
        assert narrow.load([f"report:q3#observer@user:v{number}" for number in range(2000)], actor="user:anna").changed


def test_an_undecided_right_is_none(url: str) -> None:
    """Where a permission depends on its own negation it lets nobody write, whichever way one would look at it."""
    with relgraph.open(url) as opened:
        opened.write_schema(
            "use grants; definition user {}; definition gate { relation keeper: user; relation opener: user; "
            "permission left = keeper - right; permission right = keeper - left; grant opener by left }"
        )
        opened.write(touch=["gate:one#keeper@user:anna"])
        for write in (
            lambda: opened.write(touch=["gate:one#opener@user:bob"], actor="user:anna"),
            lambda: opened.load(["gate:one#opener@user:bob"], actor="user:anna"),
            lambda: opened.delete(TupleFilter("gate", "one", "opener"), actor="user:anna"),
        ):
            with pytest.raises(NotPermitted):
                write()


def test_a_filter_that_only_wildcards_match_takes_the_line_of_each(url: str) -> None:
    """Where one of two wildcards has a line, a filter that could match the other as well is refused, by either use."""
    with relgraph.open(url) as opened:
        opened.write_schema(
            "use grants; definition user {}; definition robot {}; definition page { relation editor: user; "
            "relation reader: user:* | robot:*; grant reader to user:* by editor }"
        )
        opened.write(touch=["page:one#editor@user:anna"])
        for text, allowed in (
            ("page:one#reader", False),
            ("page:one#reader@robot", False),
            ("page:one#reader@user", True),
        ):
            filter_ = TupleFilter.parse(text)
            for write in (
                lambda asked=filter_: opened.delete(asked, actor="user:anna"),
                lambda asked=filter_: opened.write(
                    touch=["page:one#reader@user:*"], preconditions=[must_not_exist(asked)], actor="user:anna"
                ),
            ):
                with nullcontext() if allowed else pytest.raises(NotPermitted):
                    write()


def test_evidence_may_be_deep(authorizer: relgraph.Authorizer) -> None:
    """A right through a thousand nested groups is found, and so is that there is none."""
    chain = [f"group:g{number}#member@group:g{number + 1}#member" for number in range(1000)]
    authorizer.load([*chain, "group:g1000#member@user:deep", "report:q3#administrator@group:g0#member"])
    authorizer.write(touch=[NEW], actor="user:deep")
    with pytest.raises(NotPermitted):
        authorizer.write(touch=[NEW], actor="user:shallow")


def test_a_refusal_fits_its_trailer() -> None:
    """However long and many the refused tuples, the status stays below 8 KiB and says how many there were."""
    with begun(relgraph.open("sqlite://")) as authorizer, pytest.raises(NotPermitted) as refused:
        authorizer.write(
            touch=[f"report:{'x' * 900}{n}#observer@user:{'y' * 900}" for n in range(500)], actor="user:bob"
        )
    status = status_of(refused.value)
    assert len(status.SerializeToString()) < TRAILER_BYTES_MAX
    assert refused.value.details["total"] == "500"
    assert b"500" in status.details[0].value


# --- no sequence of writes raises anybody's access beyond what the law lets ---

_COALITION = ("ann", "bea")
_SMALL = Schema(
    {
        "user": define({}),
        "group": define({"admin": "user", "member": "user | group#member"}, {"manage": Name("admin")}),
        "doc": define(
            {"owner": "user | group#member", "viewer": "user | group#member", "parent": "doc"},
            {"edit": Name("owner") + Arrow("parent", "edit"), "view": Name("viewer") + Name("edit")},
        ),
    }
)
_LINES = [
    Line("group", "member", "manage"),
    Line("doc", "owner", "edit"),
    Line("doc", "viewer", "edit"),
    Line("doc", "parent", "edit", "edit"),
]
_CANDIDATES = [
    *(f"group:{g}#{r}@user:{u}" for g, r, u in product(("one", "two"), ("admin", "member"), ("ann", "bea", "eve"))),
    *(f"group:{g}#member@group:{h}#member" for g, h in product(("one", "two"), repeat=2)),
    *(
        f"doc:{d}#{r}@user:{u}"
        for d, r, u in product(("aaa", "bbb", "ccc"), ("owner", "viewer"), ("ann", "bea", "eve"))
    ),
    *(
        f"doc:{d}#{r}@group:{g}#member"
        for d, r, g in product(("aaa", "bbb", "ccc"), ("owner", "viewer"), ("one", "two"))
    ),
    *(f"doc:{d}#parent@doc:{e}" for d, e in product(("aaa", "bbb", "ccc"), repeat=2)),
]
_QUESTIONS = [
    f"doc:{d}#{p}@user:{u}" for d, p, u in product(("aaa", "bbb", "ccc"), ("edit", "view"), ("ann", "bea", "eve"))
]


def _reachable(start: frozenset[str]) -> World:
    """Return the most that the coalition can ever bring about: rights only grow, so all that it may write, written."""
    held = set(start)
    while True:
        world = World(_SMALL, tuple(map(tuple_of, sorted(held))))
        judge = GrantJudge(world, _LINES)
        more = {
            text
            for text in _CANDIDATES
            if text not in held and any(judge.may_write(Object("user", who), tuple_of(text)) for who in _COALITION)
        }
        if not more:
            return world
        held |= more


@pytest.mark.parametrize("seed", range(60 if LONG else 6))
def test_no_sequence_of_writes_goes_beyond_the_law(seed: int) -> None:
    """Two accomplices, writing whatever they like in any order, get what their rights reach, and nothing else."""
    source = Random(seed)
    start = frozenset(source.sample(_CANDIDATES, 6))
    most = _reachable(start)
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(granting(_SMALL, _LINES))
        authorizer.write(touch=sorted(start))
        made = 0
        for _ in range(1_000 if LONG else 250):
            actor = f"user:{source.choice(_COALITION)}"
            batch = source.sample(_CANDIDATES, source.choice((1, 1, 1, 2, 3)))
            cut = source.randint(0, len(batch))
            try:
                authorizer.write(touch=batch[:cut], delete=batch[cut:], actor=actor)
            except NotPermitted:
                continue
            made += 1
        assert made
        living = set(map(str, authorizer.read().tuples))
        allowed = {entry.text for entry in most.tuples}
        assert living <= allowed
        # what nobody of them may write stands as it stood
        judge = GrantJudge(most, _LINES)
        fixed = {
            text
            for text in _CANDIDATES
            if not any(judge.may_delete(Object("user", who), tuple_of(text)) for who in _COALITION)
        }
        assert living & fixed == start & fixed
        oracle = Oracle(most)
        for question in _QUESTIONS:
            if authorizer.check(question):
                assert oracle.check(question).kind == "yes", question


def test_a_compiled_schema_serves_its_own_chain_alone(authorizer: relgraph.Authorizer) -> None:
    """A write is judged with the schema as the graph has it compiled, unless the store's chain is another one's."""
    mine = authorizer._following
    with authorizer._store.transaction() as transaction:
        version = transaction.schema(transaction.head.number)
        assert version is not None
        compiled = mine.program(transaction, version)
        assert compiled is mine.program(transaction, version)
    with begun(relgraph.open("sqlite://")) as other, other._store.transaction() as transaction:
        # the same text and numbers of revisions, and another history
        assert compiled is not mine.program(transaction, version)
        assert compiled is not mine.program(transaction, version)


def test_the_graph_is_evidence_in_its_own_chain_alone(authorizer: relgraph.Authorizer) -> None:
    """A write is judged by the graph where that stands at the very same revision, whole, and else by the rows."""
    mine = authorizer._following
    with authorizer._store.transaction() as transaction:
        with mine.before(transaction) as reader:
            assert isinstance(reader, GraphView)
        mine._state.torn = True
        with mine.before(transaction) as reader:
            assert isinstance(reader, RowsView)
        mine._state.torn = False
    with begun(relgraph.open("sqlite://")) as other, other._store.transaction() as transaction:
        # the same numbers of revisions, and another history
        assert transaction.head.number == mine._state.graph.head.number
        with mine.before(transaction) as reader:
            assert isinstance(reader, RowsView)


def test_every_write_in_the_log_was_right_when_it_was_made(url: str) -> None:
    """Many threads grant and revoke at once, through two Authorizers: each write was allowed in the state before it."""
    with relgraph.open(url) as one, relgraph.open(url) as two:
        one.write_schema(granting(_SMALL, _LINES))
        one.write(touch=["doc:aaa#owner@user:ann", "doc:bbb#owner@user:bea", "group:one#admin@user:bea"])
        threads = [threading.Thread(target=_scramble, args=(each, seed)) for seed, each in enumerate((one, two) * 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        entries = one.log(limit=1_000).entries
        standing: set[str] = set()
        acted = 0
        for entry in entries:
            if entry.actor:
                acted += 1
                judge = GrantJudge(World(_SMALL, tuple(map(tuple_of, sorted(standing)))), _LINES)
                actor = Object("user", entry.actor.removeprefix("user:"))
                for each in (*entry.created, *entry.deleted):
                    assert judge.may_write(actor, tuple_of(str(each))), (entry.revision, each)
            standing -= set(map(str, entry.deleted))
            standing |= set(map(str, entry.created))
        assert acted
        assert standing == set(map(str, one.read().tuples))


def _scramble(authorizer: relgraph.Authorizer, seed: int) -> None:
    """Write at random on behalf of two people, and take rights away and give them as the back end."""
    source = Random(seed)
    rights = [text for text in _CANDIDATES if "#owner@user" in text or "#admin@" in text]
    for _ in range(30):
        actor = source.choice(["user:ann", "user:bea", "user:bea", None])
        batch = source.sample(rights if actor is None else _CANDIDATES, 1)
        with suppress(NotPermitted):
            if source.random() < 0.4:
                authorizer.write(delete=batch, actor=actor)
            else:
                authorizer.write(touch=batch, actor=actor)


def test_a_refusal_tells_the_field(authorizer: relgraph.Authorizer) -> None:
    """On the wire a refusal is PERMISSION_DENIED, with ErrorInfo, and BadRequest naming the first refused update."""
    updates = [
        pb.Update(
            operation=pb.Update.OPERATION_TOUCH,
            tuple=pb.RelationTuple(resource=resource, relation="observer", subject="user:new"),
        )
        for resource in ("report:q3", "report:other", "report:none")
    ]
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            AuthorizerServiceStub(channel).Write(pb.WriteRequest(updates=updates, actor="user:anna"), timeout=10)
        status = rpc_status.from_call(cast("grpc.Call", caught.value))
    assert status is not None
    assert status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert ("NOT_PERMITTED", "2", "user:anna") == (info.reason, info.metadata["total"], info.metadata["actor"])
    assert info.metadata["tuples"].splitlines() == [
        f"report:{name}#observer@user:new report:{name}#moderate" for name in ("other", "none")
    ]
    assert ["updates[1].tuple"] == [each.field for each in bad.field_violations]

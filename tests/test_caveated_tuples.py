"""Tuples under caveats through the library, over gRPC and in the terminal: written, read, loaded, told, deleted."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph import RelationTuple, TupleFilter
from relgraph.answers import LogEntry, Verdict
from relgraph.cli import main
from relgraph.contexts import Context
from relgraph.errors import (
    AlreadyExists,
    DuplicateUpdate,
    InvalidContext,
    InvalidInput,
    InvalidTuple,
    NotPermitted,
    RequestIdReused,
    SchemaOrphans,
    TupleNotAllowed,
)
from relgraph.revision import Consistency
from relgraph.tuples import must_exist
from tests.api_kit import DOORS, door_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api_kit import Door

SCHEMA = """
use expiration
use grants
caveat near(site string, limit int) {
  site == 'north' && limit > 1
}
caveat late(hour int) {
  hour > 20
}
definition user {}
definition group { relation member: user | user with late }
definition doc {
    relation owner: user
    relation viewer: user | user with near | user with near and expiration | user with late | group#member with near
    relation guest: user with near
    permission manage = owner
    permission view = viewer + guest + owner
    grant viewer, guest by manage
}
"""
PLAIN = "doc:one#viewer@user:anna"
BARE = f"{PLAIN}[near]"
NORTH = f'{PLAIN}[near:{{"site":"north"}}]'
FULL = f'{PLAIN}[near:{{"limit":2,"site":"north"}}]'
LATE = f"{PLAIN}[late]"
UNTIL = f'{PLAIN}[near:{{"site":"north"}}][expiration:9000-01-31T12:00:00Z]'


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with door_of(request, SCHEMA) as opened:
        yield opened


def texts(door: Door) -> set[str]:
    return set(map(str, door.read().tuples))


def test_a_tuple_counts_as_its_caveat_says(door: Door) -> None:
    """A tuple grants what its caveat grants with its own context: all, nothing, or something that is missing."""
    other = NORTH.replace("north", "south").replace("one", "two")
    door.write(create=[NORTH, other, FULL.replace("one", "three"), "doc:four#viewer@user:anna[late]"])
    told = {each: door.decide("user:anna", "view", f"doc:{each}") for each in ("one", "two", "three", "four")}
    assert {"one": ("limit",), "two": (), "three": (), "four": ("hour",)} == {
        each: decision.missing for each, decision in told.items()
    }
    verdicts = [told[each].verdict for each in ("one", "two", "three", "four")]
    assert [Verdict.CONDITIONAL, Verdict.NO, Verdict.YES, Verdict.CONDITIONAL] == verdicts


def test_a_caveat_is_told_with_the_tuple(door: Door) -> None:
    """Reads, dumps, ways and expansions tell each tuple with its caveat and its context."""
    wanted = {
        FULL,
        'doc:two#viewer@group:eng#member[near:{"limit":2,"site":"north"}]',
        "group:eng#member@user:anna[late]",
    }
    door.write(create=sorted(wanted))
    assert wanted == texts(door) == set(map(str, door.dump()))
    (found,) = door.read(TupleFilter("doc", "one")).tuples
    assert ("near", {"site": "north", "limit": 2}) == (found.caveat, dict(found.context))
    best = door.best("user:anna", "doc:one", ways="all")
    assert {FULL} == {str(each) for way in best.ways for each in way.tuples}
    told = {str(each) for node in door.expand("doc:two", "view", usersets=True).nodes for each in node.tuples}
    assert wanted - {FULL} == told


def test_the_past_has_the_caveat_that_it_had(door: Door) -> None:
    """At an older revision a tuple has the caveat and the context that it had then."""
    tokens = [door.write(touch=[text]).token for text in (PLAIN, NORTH, LATE)]
    for token, text in zip(tokens, (PLAIN, NORTH, LATE), strict=True):
        then = Consistency.at_exactly(token)
        assert [text] == list(map(str, door.read(consistency=then).tuples))
        verdict = door.decide("user:anna", "view", "doc:one", consistency=then).verdict
        assert (Verdict.YES if text == PLAIN else Verdict.CONDITIONAL) == verdict


def test_a_touch_replaces_caveat_and_context(door: Door) -> None:
    """A touch with another caveat or context is a change; with the same, however spelled, it takes no revision."""
    same = f'{PLAIN}[near:{{ "site": "n\\u006frth" }}]'
    written = (PLAIN, BARE, NORTH, same, FULL, FULL.replace("2", "2.0"), LATE, LATE, UNTIL, PLAIN)
    revisions = [door.write(touch=[text]).revision for text in written]
    assert [2, 3, 4, 4, 5, 5, 6, 6, 7, 8] == revisions
    assert {PLAIN} == texts(door)


def test_create_over_what_lives_is_refused_whatever_its_caveat(door: Door) -> None:
    """A living tuple cannot be created again under another caveat: a key is there once."""
    door.write(create=[NORTH])
    for text in (PLAIN, BARE, LATE, NORTH):
        with pytest.raises(AlreadyExists, match="doc:one#viewer@user:anna"):
            door.write(create=[text])
    assert {NORTH} == texts(door)


def test_a_delete_names_the_key_alone(door: Door) -> None:
    """A delete takes a tuple whatever it says, also where the relation takes no plain one, and names no caveat."""
    door.write(create=[NORTH, "doc:one#guest@user:anna[near]"])
    with pytest.raises(InvalidTuple, match="with a caveat") as caught:
        door.write(delete=[BARE])
    assert BARE == caught.value.details["tuple"]
    door.write(delete=[PLAIN, "doc:one#guest@user:anna"])
    assert set() == texts(door)
    with pytest.raises(TupleNotAllowed):
        door.write(delete=["doc:one#guest@group:eng#member"])


def test_a_filter_looks_at_keys(door: Door) -> None:
    """Filters of reads, deletes and preconditions select a tuple whatever it says beside its key."""
    door.write(create=[NORTH, "doc:two#viewer@user:anna"])
    door.write(touch=[FULL], preconditions=[must_exist(TupleFilter("doc", "one", "viewer", "user", "anna", ""))])
    assert 2 == door.delete(TupleFilter("doc", relation="viewer")).count
    assert set() == texts(door)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("doc:one#owner@user:anna[near]", TupleNotAllowed, "`near`"),
        ("doc:one#guest@user:anna", TupleNotAllowed, "`near`"),
        ("doc:one#guest@user:anna[late]", TupleNotAllowed, "`near`"),
        ("doc:one#viewer@user:anna[nowhere]", TupleNotAllowed, "is not a caveat"),
        (f"{PLAIN}[late][expiration:9000-01-31T12:00:00Z]", TupleNotAllowed, "without an expiration"),
        (f'{PLAIN}[near:{{"sight":"north"}}]', InvalidContext, "`sight` is not a parameter"),
        (f'{PLAIN}[near:{{"site":1}}]', InvalidContext, "`site`"),
        (f'{PLAIN}[near:{{"limit":1.5}}]', InvalidContext, "`limit`"),
        (f'{PLAIN}[near:{{"limit":null}}]', InvalidContext, "`limit`"),
    ],
)
def test_the_schema_says_which_caveats_there_are(text: str, error: type[InvalidInput], says: str, door: Door) -> None:
    """A caveat that the relation does not take, and a context that its parameters do not, are refused at every door."""
    writes: list[Callable[[], object]] = [
        lambda: door.write(touch=[text]),
        lambda: door.write(create=[text]),
        lambda: door.load(["doc:two#viewer@user:anna", text]),
    ]
    for write in writes:
        with pytest.raises(error, match=says):
            write()
    assert set() == texts(door)


def test_a_stored_context_has_a_size(door: Door) -> None:
    """A context of the largest size is kept as it is; one byte more is refused by the limit's name, before anything."""
    site = "x" * (25_000 - len('{"site":""}'))
    tuple_ = RelationTuple.parse(PLAIN)
    largest, larger = (
        RelationTuple(*tuple_.key, caveat="near", context=Context.of({"site": each})) for each in (site, site + "x")
    )
    door.write(touch=[largest])
    assert {str(largest)} == texts(door)
    writes: list[Callable[[], object]] = [
        lambda: door.write(touch=[larger]),
        lambda: door.write(create=[larger]),
        lambda: door.load([larger]),
    ]
    for write in writes:
        with pytest.raises(InvalidContext, match="takes 25001 bytes as JSON, and `tuple_context_size_max` is 25000"):
            write()


def test_many_large_contexts_come_in_and_go_out(door: Door) -> None:
    """An import and a dump whose contexts are far longer than one message may be lose nothing."""
    site = "x" * 24_000
    crowd = [RelationTuple.parse(f'doc:d{n}#viewer@user:anna[near:{{"site":"{site}"}}]') for n in range(300)]
    assert 300 == door.load(crowd).changed
    with door.dump() as dump:
        assert set(crowd) == set(dump)


@pytest.mark.parametrize(
    "parts",
    [
        {"touch": [NORTH, PLAIN]},
        {"touch": [NORTH], "create": [LATE]},
        {"touch": [NORTH], "delete": [PLAIN]},
        {"create": [NORTH, NORTH]},
    ],
)
def test_one_key_twice_in_a_write_is_refused(parts: dict[str, list[str]], door: Door) -> None:
    """Two updates of one tuple are refused, whatever their caveats, and nothing is written."""
    with pytest.raises(DuplicateUpdate, match="twice"):
        door.write(**parts)  # type: ignore[arg-type]  # lists of texts by name
    assert set() == texts(door)


def test_caveat_and_context_belong_to_the_request(door: Door) -> None:
    """The same request id with another caveat or context is another write, and refused; the same is answered again."""
    first = door.write(touch=[NORTH], request_id="r1")
    loaded = door.load([NORTH.replace("one", "two")], request_id="r2")
    door.write(touch=[LATE])
    assert first.revision == door.write(touch=[NORTH], request_id="r1").revision
    assert loaded.revision == door.load([NORTH.replace("one", "two")], request_id="r2").revision
    for text in (PLAIN, BARE, FULL, LATE):
        with pytest.raises(RequestIdReused):
            door.write(touch=[text], request_id="r1")
        with pytest.raises(RequestIdReused):
            door.load([text.replace("one", "two")], request_id="r2")
    assert {LATE, NORTH.replace("one", "two")} == texts(door)


def test_load(door: Door) -> None:
    """A load keeps caveats, replaces them with "touch", keeps what is there with "skip", refuses with "error"."""
    for on_duplicate, text, changed, after in (
        ("error", NORTH, 1, NORTH),
        ("touch", FULL, 1, FULL),
        ("touch", FULL, 0, FULL),
        ("skip", PLAIN, 0, FULL),
        ("touch", PLAIN, 1, PLAIN),
    ):
        loaded = door.load([text], on_duplicate=on_duplicate)  # type: ignore[arg-type]  # one of its words
        assert (changed, {after}) == (loaded.changed, texts(door))
    with pytest.raises(AlreadyExists):
        door.load([NORTH])


def test_a_schema_may_not_orphan_what_stands_under_a_caveat(door: Door) -> None:
    """A schema whose relation does not take the caveat any more is refused while such a tuple lives."""
    without = SCHEMA.replace("user with late | group#member with near", "group#member with near")
    door.write(touch=[LATE])
    with pytest.raises(SchemaOrphans) as caught:
        door.write_schema(without)
    assert LATE == caught.value.details["tuple"]
    door.write(touch=[NORTH])
    door.write_schema(without)
    assert {NORTH} == texts(door)


def test_an_actor_needs_the_permission_that_a_plain_tuple_takes(door: Door) -> None:
    """A tuple under a caveat is judged like any other: a condition on what is granted grants no right to grant it."""
    door.write(create=["doc:one#owner@user:olga"])
    for text in (NORTH, FULL, "doc:one#guest@user:anna[near]"):
        with pytest.raises(NotPermitted):
            door.write(touch=[text], actor="user:anna")
        door.write(touch=[text], actor="user:olga")
    with pytest.raises(NotPermitted):
        door.write(delete=[PLAIN], actor="user:anna")


def test_a_watch_tells_both_versions(door: Door) -> None:
    """Watching tells a tuple whose caveat or context changed as deleted and as created, each as it was."""
    token = door.write(touch=[PLAIN]).token
    with closing(door.watch(token, heartbeat=3_600)) as watch:
        door.write(touch=[NORTH])
        door.write(touch=[FULL])
        door.write(delete=[PLAIN])
        told: list[tuple[list[str], list[str]]] = []
        for event in watch:
            if isinstance(event, LogEntry):
                told.append((list(map(str, event.deleted)), list(map(str, event.created))))
            if event.revision >= 5:
                break
    assert [([PLAIN], [NORTH]), ([NORTH], [FULL]), ([FULL], [])] == told


def test_two_stores_of_one_history_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A migrated store has every caveat and context of every revision, and the digests are equal."""
    source, target = (f"sqlite:///{tmp_path / name}.db" for name in ("a", "b"))
    with relgraph.open(source) as authorizer:
        authorizer.write_schema(SCHEMA)
        tokens = [authorizer.write(touch=[text]).token for text in (NORTH, LATE, FULL)]
        wanted = [entry.created for entry in authorizer.log(tokens[0]).entries]
    assert main(["migrate", source, target]) == 0
    assert "both stores hold the same" in capsys.readouterr().out
    with relgraph.open(target) as authorizer:
        assert {FULL} == texts(authorizer)
        assert wanted == [entry.created for entry in authorizer.log().entries][-2:]


def test_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and --touch bring caveats in; read, export and log print them, and it goes back in the same."""
    store = ["--store", f"sqlite:///{tmp_path / 'access.db'}"]
    schema, csv, jsonl, exported = (tmp_path / each for each in ("s.zed", "t.csv", "t.jsonl", "out.txt"))
    schema.write_text(SCHEMA)
    csv.write_text(
        "resource,relation,subject,caveat,context\n"
        'doc:one,viewer,user:anna,near,"{""site"": ""north""}"\ndoc:one,owner,user:bob,,\n'
    )
    assert main(["schema", "write", str(schema), *store]) == 0
    assert main(["import", str(csv), *store]) == 0
    assert main(["write", "--touch", LATE.replace("one", "two"), "--create", FULL.replace("one", "three"), *store]) == 0
    capsys.readouterr()
    assert main(["read", *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"doc:one#owner@user:bob", NORTH, LATE.replace("one", "two"), FULL.replace("one", "three")} == set(lines)
    assert main(["read", "--json", *store]) == 0
    jsonl.write_text(capsys.readouterr().out)
    rows = [json.loads(line) for line in jsonl.read_text().splitlines()]
    anna = {"resource": "doc:one", "relation": "viewer", "subject": "user:anna", "caveat": "near"}
    assert {**anna, "context": {"site": "north"}} in rows
    assert {**anna, "resource": "doc:two", "caveat": "late"} in rows
    assert main(["export", *store]) == 0
    exported.write_text(capsys.readouterr().out)
    assert main(["log", *store]) == 0
    assert NORTH in capsys.readouterr().out
    other = ["--store", f"sqlite:///{tmp_path / 'other.db'}"]
    assert main(["schema", "write", str(schema), *other]) == 0
    assert main(["import", str(jsonl), *other]) == 0
    capsys.readouterr()
    assert main(["read", *other]) == 0
    assert sorted(lines) == sorted(capsys.readouterr().out.splitlines())
    assert set(lines) <= set(exported.read_text().splitlines())


def test_the_terminal_names_the_line_of_a_wrong_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A context that its caveat does not take is refused at its line of the file, by the parameter's name."""
    store = ["--store", f"sqlite:///{tmp_path / 'access.db'}"]
    schema, text = tmp_path / "s.zed", tmp_path / "t.txt"
    schema.write_text(SCHEMA)
    text.write_text(f'doc:two#viewer@user:anna\n{PLAIN}[near:{{"site":7}}]\n')
    assert main(["schema", "write", str(schema), *store]) == 0
    assert main(["import", str(text), *store]) == 2
    told = capsys.readouterr().err
    assert "line 2" in told
    assert "`site`" in told

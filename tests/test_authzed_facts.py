"""ReadRelationships, WriteRelationships and DeleteRelationships of SpiceDB's dialect, by SpiceDB's own client."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import core_pb2
from authzed.api.v1 import permission_service_pb2 as pb
from google.protobuf import json_format

from relgraph.revision import Token
from relgraph.tuples import TupleFilter
from relgraph_server.authzed.notes import metadata_of
from tests.authzed_calls import TUPLES, ask, context, fact, meta, opened, refusal_of, select, update, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from authzed.api.v1 import InsecureClient

    from relgraph.api import Authorizer

CREATE, TOUCH, DELETE = 1, 2, 3
NOW = pb.Consistency(fully_consistent=True)
COMPLETE = pb.DeleteRelationshipsResponse.DELETION_PROGRESS_COMPLETE
PARTIAL = pb.DeleteRelationshipsResponse.DELETION_PROGRESS_PARTIAL


@pytest.fixture
def served() -> Iterator[tuple[InsecureClient, Authorizer]]:
    with opened() as made:
        yield made


def text_of(message: core_pb2.Relationship) -> str:
    resource, subject = message.resource, message.subject
    relation = f"#{subject.optional_relation}" if subject.optional_relation else ""
    caveat = f"[{message.optional_caveat.caveat_name}]" if message.HasField("optional_caveat") else ""
    return (
        f"{resource.object_type}:{resource.object_id}#{message.relation}"
        f"@{subject.object.object_type}:{subject.object.object_id}{relation}{caveat}"
    )


def rows(client: InsecureClient, wanted: pb.RelationshipFilter, **fields: object) -> list[pb.ReadRelationshipsResponse]:
    fields.setdefault("consistency", NOW)
    return list(client.ReadRelationships(pb.ReadRelationshipsRequest(relationship_filter=wanted, **fields)))  # type: ignore[arg-type]


def texts(found: Sequence[pb.ReadRelationshipsResponse]) -> list[str]:
    return [text_of(each.relationship) for each in found]


FILTERS = {
    "a type": (select("gate"), ["gate:one#keeper@user:ann"]),
    "an id": (select("doc:open"), ["doc:open#viewer@user:*"]),
    "a relation of any type": (select("#parent"), ["doc:child#parent@doc:plan"]),
    "a subject": (select("@user:bob"), ["doc:plan#banned@user:bob"]),
    "a userset": (select("@group:all#member"), ["doc:plan#owner@group:all#member"]),
    "any subject of a type": (
        select("doc:plan@group"),
        ["doc:plan#owner@group:all#member"],
    ),
    "plain subjects only": (select("doc:plan@group#"), []),
    "a wildcard": (select("doc@user:*"), ["doc:open#viewer@user:*"]),
    "what ids begin with": (
        select("doc", prefix="o"),
        ["doc:odd#viewer@user:ann[fails]", "doc:open#viewer@user:*"],
    ),
    "what ids of any type begin with": (
        select(prefix="o"),
        ["doc:odd#viewer@user:ann[fails]", "doc:open#viewer@user:*", "gate:one#keeper@user:ann"],
    ),
    "what no id begins with": (select("doc", prefix="planet"), []),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_selects(name: str, served: tuple[InsecureClient, Authorizer]) -> None:
    """Each part of a filter, alone and with others, selects what it names."""
    wanted, expected = FILTERS[name]
    assert sorted(texts(rows(served[0], wanted))) == expected


def test_a_row_holds_all_of_its_tuple(served: tuple[InsecureClient, Authorizer]) -> None:
    """What a tuple gives to its caveat and when it expires come back as they were written."""
    client, _ = served
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    first = update(TOUCH, "doc:a#viewer@user:ann", "near", context(site="x", limit=3))
    second = update(TOUCH, "doc:b#viewer@user:ann")
    second.relationship.optional_expires_at.FromDatetime(ends)
    token = client.WriteRelationships(write(first, second)).written_at
    found = rows(client, select("doc:a")) + rows(client, select("doc:b"))
    assert [each.relationship for each in found] == [first.relationship, second.relationship]
    assert Token.parse(found[0].read_at.token).revision == Token.parse(token.token).revision


def test_pages_go_on_from_any_row(served: tuple[InsecureClient, Authorizer]) -> None:
    """The cursor of each row goes on right behind it, at the revision of the first page, whatever is asked for now."""
    client, authorizer = served
    authorizer.write(touch=[f"doc:p{n:03}#owner@user:ann" for n in range(300)])
    wanted = select("doc", prefix="p0")
    first = rows(client, wanted, optional_limit=40)
    assert len(first) == 40
    authorizer.write(touch=["doc:p050x#owner@user:ann"], delete=["doc:p099#owner@user:ann"])
    got = texts(first[:25])
    cursor = first[24].after_result_cursor
    while page := rows(client, wanted, optional_limit=40, optional_cursor=cursor):
        got += texts(page)
        cursor = page[-1].after_result_cursor
    assert got == [f"doc:p{n:03}#owner@user:ann" for n in range(100)]


def test_without_a_limit_all_of_it_is_read(served: tuple[InsecureClient, Authorizer]) -> None:
    """A read without a limit goes on over many pages of the store, all at one revision."""
    client, authorizer = served
    for start in (0, 1000):
        authorizer.write(touch=[f"doc:n{n:04}#owner@user:ann" for n in range(start, start + 1000)])
    found = rows(client, select("doc#owner@user:ann"))
    assert texts(found) == [f"doc:n{n:04}#owner@user:ann" for n in range(2000)]
    assert len({Token.parse(each.read_at.token).revision for each in found}) == 1


def test_a_cursor_belongs_to_its_request(served: tuple[InsecureClient, Authorizer]) -> None:
    """With another filter, another limit, or cut by a character, a cursor is refused."""
    client, _ = served
    cursor = rows(client, select("doc"), optional_limit=2)[0].after_result_cursor
    cut = core_pb2.Cursor(token=cursor.token[:-1])
    for wanted, limit, given in ((select("group"), 2, cursor), (select("doc"), 3, cursor), (select("doc"), 2, cut)):
        told = refusal_of(lambda w=wanted, n=limit, c=given: rows(client, w, optional_limit=n, optional_cursor=c))  # type: ignore[misc]
        assert (told.code, told.reason) == ("INVALID_ARGUMENT", "INVALID_CURSOR")


def test_what_this_dialect_cannot_say_is_not_left_out(served: tuple[InsecureClient, Authorizer]) -> None:
    """Among universal tuples a read or delete is refused, and names the dialect that has words for them."""
    client, authorizer = served
    authorizer.write(touch=["doc:*#owner@group:all#member"])
    for call in (
        lambda: rows(client, select("doc#owner")),
        lambda: client.DeleteRelationships(pb.DeleteRelationshipsRequest(relationship_filter=select("doc#owner"))),
    ):
        told = refusal_of(call)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "UNSPECIFIED")
        assert "relgraph.v1" in told.text
    assert len(rows(client, select("doc:plan#owner"))) == 1
    assert client.CheckPermission(ask("doc:any#edit@user:eve", consistency=NOW)).permissionship == 2


def test_a_write_does_each_of_the_three(served: tuple[InsecureClient, Authorizer]) -> None:
    """Creates, touches and deletes of one write happen together, and its token is of their revision."""
    client, authorizer = served
    authorizer.write(touch=["doc:x#owner@user:old"])
    written = client.WriteRelationships(
        write(
            update(CREATE, "doc:x#owner@user:ann"),
            update(TOUCH, "doc:x#owner@user:bob"),
            update(DELETE, "doc:x#owner@user:old"),
            update(DELETE, "doc:x#owner@user:never"),
        )
    )
    page = authorizer.read(TupleFilter("doc", "x"))
    assert sorted(map(str, page.tuples)) == ["doc:x#owner@user:ann", "doc:x#owner@user:bob"]
    assert Token.parse(written.written_at.token).revision == page.revision


def test_a_touch_replaces_what_is_said_beside(served: tuple[InsecureClient, Authorizer]) -> None:
    """Touched again, a tuple has its new caveat and context; a delete takes it away whatever caveat it names."""
    client, authorizer = served
    text = "doc:x#viewer@user:ann"
    client.WriteRelationships(write(update(TOUCH, text, "near", context(site="north"))))
    client.WriteRelationships(write(update(TOUCH, text, "near", context(limit=9))))
    assert [str(each) for each in authorizer.read(TupleFilter("doc", "x")).tuples] == [text + '[near:{"limit":9}]']
    client.WriteRelationships(write(update(DELETE, text, "near")))
    assert authorizer.read(TupleFilter("doc", "x")).tuples == ()


def test_a_refused_write_changes_nothing(served: tuple[InsecureClient, Authorizer]) -> None:
    """Where one update exists already, none of its write is made."""
    client, authorizer = served
    before = authorizer.read().revision
    refusal_of(
        lambda: client.WriteRelationships(write(update(TOUCH, "doc:x#owner@user:ann"), update(CREATE, TUPLES[3])))
    )
    assert authorizer.read().revision == before


def test_preconditions_are_judged_before_the_write(served: tuple[InsecureClient, Authorizer]) -> None:
    """A write happens where all its preconditions hold in the state before it, and the first that fails is told."""
    client, _ = served
    one = update(CREATE, "doc:x#owner@user:ann")
    client.WriteRelationships(
        write(one, optional_preconditions=[meta(True, "doc:plan#owner"), meta(False, "doc:x#owner@user:ann")])
    )
    told = refusal_of(
        lambda: client.WriteRelationships(
            write(
                update(DELETE, "doc:x#owner@user:ann"),
                optional_preconditions=[
                    meta(True, "doc:x"),
                    meta(False, "doc:x#owner@user:ann#"),
                    meta(True, "gate:no"),
                ],
            )
        )
    )
    assert told.metadata["precondition_resource_id"] == "x"
    assert told.metadata["precondition_operation"] == "OPERATION_MUST_NOT_MATCH"
    prefix = pb.Precondition(operation=pb.Precondition.OPERATION_MUST_MATCH, filter=select("doc", prefix="zz"))
    assert (
        refusal_of(lambda: client.WriteRelationships(write(one, optional_preconditions=[prefix]))).metadata[
            "precondition_resource_id_prefix"
        ]
        == "zz"
    )


def test_a_write_of_nothing_tells_where_things_stand(served: tuple[InsecureClient, Authorizer]) -> None:
    """Without updates, preconditions are judged all the same, and the token is of the newest revision."""
    client, authorizer = served
    head = authorizer.read().revision
    for request in (write(), write(optional_preconditions=[meta(True, "doc:plan")])):
        assert Token.parse(client.WriteRelationships(request).written_at.token).revision == head
    told = refusal_of(lambda: client.WriteRelationships(write(optional_preconditions=[meta(False, "doc:plan")])))
    assert told.reason == "WRITE_OR_DELETE_PRECONDITION_FAILURE"


def test_what_is_said_of_a_write_is_kept(served: tuple[InsecureClient, Authorizer]) -> None:
    """The transaction metadata of a write or delete stands in the log, and can be read again as it was given."""
    client, authorizer = served
    said = context(ticket="A-1", nested={"list": [1, True, None, "ü"]})
    client.WriteRelationships(write(update(TOUCH, "doc:x#owner@user:ann"), optional_transaction_metadata=said))
    client.DeleteRelationships(
        pb.DeleteRelationshipsRequest(relationship_filter=select("doc:x"), optional_transaction_metadata=said)
    )
    entries = authorizer.log().entries[-2:]
    assert [metadata_of(each.metadata) for each in entries] == [said, said]
    assert json.loads(entries[0].metadata) == json_format.MessageToDict(said)
    client.WriteRelationships(write(update(TOUCH, "doc:x#owner@user:ann")))
    assert [metadata_of(text) for text in (authorizer.log().entries[-1].metadata, "", "words", "[1]")] == [None] * 4


def test_a_delete_takes_away_what_matches(served: tuple[InsecureClient, Authorizer]) -> None:
    """A delete by filter tells how many tuples it took away, and that these were all."""
    client, authorizer = served
    authorizer.write(touch=[f"doc:d{n}#owner@user:ann" for n in range(5)])
    deleted = client.DeleteRelationships(
        pb.DeleteRelationshipsRequest(relationship_filter=select("doc", prefix="d"), optional_limit=5)
    )
    assert (deleted.relationships_deleted_count, deleted.deletion_progress) == (5, COMPLETE)
    assert rows(client, select("doc", prefix="d")) == []
    assert len(rows(client, select("doc"))) == 7
    assert Token.parse(deleted.deleted_at.token).revision == authorizer.read().revision


def test_a_delete_in_parts_ends(served: tuple[InsecureClient, Authorizer]) -> None:
    """With partial deletions, each call takes away at most its limit, PARTIAL until the last, which is COMPLETE."""
    client, authorizer = served
    authorizer.write(touch=[f"doc:d{n}#owner@user:ann" for n in range(7)])
    progress: list[tuple[int, int]] = []
    while not progress or progress[-1][1] == PARTIAL:
        deleted = client.DeleteRelationships(
            pb.DeleteRelationshipsRequest(
                relationship_filter=select("doc", prefix="d"), optional_limit=3, optional_allow_partial_deletions=True
            )
        )
        progress.append((deleted.relationships_deleted_count, deleted.deletion_progress))
    assert progress == [(3, PARTIAL), (3, PARTIAL), (1, COMPLETE)]


def test_a_delete_of_nothing_is_complete(served: tuple[InsecureClient, Authorizer]) -> None:
    """Where nothing matches, nothing is deleted, and that is all of it."""
    deleted = served[0].DeleteRelationships(pb.DeleteRelationshipsRequest(relationship_filter=select("doc:none")))
    assert (deleted.relationships_deleted_count, deleted.deletion_progress) == (0, COMPLETE)


def test_a_created_tuple_may_follow_an_expired_one(served: tuple[InsecureClient, Authorizer]) -> None:
    """What has expired is not there: the same tuple can be created again, and is read once."""
    client, _ = served
    gone = update(TOUCH, "doc:x#viewer@user:ann")
    gone.relationship.optional_expires_at.FromDatetime(datetime(2020, 1, 1))  # noqa: DTZ001 - protobuf wants it so
    client.WriteRelationships(write(gone))
    assert rows(client, select("doc:x")) == []
    client.WriteRelationships(write(update(CREATE, "doc:x#viewer@user:ann")))
    assert texts(rows(client, select("doc:x"))) == ["doc:x#viewer@user:ann"]
    assert fact("doc:x#viewer@user:ann") == rows(client, select("doc:x"))[0].relationship

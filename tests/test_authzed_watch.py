"""Watch in SpiceDB's dialect, through SpiceDB's own client: one response a revision, of what was asked for."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from authzed.api.v1 import (
    InsecureClient,
    ObjectReference,
    Relationship,
    RelationshipFilter,
    RelationshipUpdate,
    SubjectFilter,
    SubjectReference,
    WatchRequest,
    WatchResponse,
    WriteRelationshipsRequest,
)
from authzed.api.v1 import watch_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

import relgraph
from relgraph.errors import InvalidInput
from relgraph.revision import Token
from relgraph_server.authzed.watches import Telling
from relgraph_server.feed import Stand
from relgraph_server.keyfile import revoke_key
from relgraph_server.settings import Settings
from tests.keys_kit import add_key, guarded
from tests.serving import in_process, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S: Final = 60
SCHEMA: Final = """use universal
use expiration
caveat near(site string) { site == 'north' }
definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation owner: user | user with near | group#member | user with universal | user with expiration
  relation reader: user
}
"""
SCHEMA_TOO: Final = pb.WATCH_KIND_INCLUDE_SCHEMA_UPDATES
CHECKPOINTS: Final = pb.WATCH_KIND_INCLUDE_CHECKPOINTS
WORDS: Final = {
    RelationshipUpdate.OPERATION_TOUCH: "touch",
    RelationshipUpdate.OPERATION_DELETE: "delete",
}


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        yield opened


@contextmanager
def watching(address: str, request: WatchRequest, token: str = "unused") -> Iterator[Iterator[WatchResponse]]:
    """What a request is told, by SpiceDB's own client, until the block ends."""
    stream = InsecureClient(address, token).Watch(request, timeout=PATIENCE_S)
    try:
        yield stream
    finally:
        stream.cancel()


def behind(token: str, request: WatchRequest | None = None) -> WatchRequest:
    """A request for what is committed behind a token."""
    found = WatchRequest() if request is None else request
    found.optional_start_cursor.SetInParent()
    found.optional_start_cursor.token = token
    return found


def through(response: WatchResponse) -> int:
    """The revision that a response is complete up to."""
    return Token.parse(response.changes_through.token).revision


def told(response: WatchResponse) -> list[str]:
    """The updates of a response, each as a word and a tuple's key."""
    found = []
    for each in response.updates:
        at, who = each.relationship.resource, each.relationship.subject
        relation = f"#{who.optional_relation}" if who.optional_relation else ""
        found.append(
            f"{WORDS[each.operation]} {at.object_type}:{at.object_id}#{each.relationship.relation}"
            f"@{who.object.object_type}:{who.object.object_id}{relation}"
        )
    return found


def test_each_revision_is_one_response(authorizer: relgraph.Authorizer) -> None:
    """What a revision created is touched, what it deleted is deleted, and each response names the way on."""
    begin = authorizer.schema().token
    first = authorizer.write(create=["doc:a#owner@user:anna", "doc:a#reader@user:bob"])
    authorizer.write(touch=["doc:a#owner@group:eng#member"], delete=["doc:a#owner@user:anna"])
    with in_process(authorizer) as address:
        with watching(address, behind(begin)) as stream:
            one, two = next(stream), next(stream)
            assert told(one) == ["touch doc:a#owner@user:anna", "touch doc:a#reader@user:bob"]
            assert told(two) == ["delete doc:a#owner@user:anna", "touch doc:a#owner@group:eng#member"]
            assert not one.is_checkpoint
            assert not one.schema_updated
            authorizer.write(touch=["doc:b#owner@user:anna"])
            assert told(next(stream)) == ["touch doc:b#owner@user:anna"]
        assert [through(one), through(two)] == [first.revision, first.revision + 1]
        with watching(address, behind(one.changes_through.token)) as stream:
            assert told(next(stream)) == told(two)


def test_a_watch_begins_now(authorizer: relgraph.Authorizer) -> None:
    """Without a cursor a watch tells what comes, and nothing of what was before; its checkpoint says where it began."""
    authorizer.write(touch=["doc:old#owner@user:anna"])
    with (
        in_process(authorizer) as address,
        watching(address, WatchRequest(optional_update_kinds=[CHECKPOINTS])) as stream,
    ):
        begun = next(stream)
        assert (begun.is_checkpoint, told(begun)) == (True, [])
        written = authorizer.write(touch=["doc:new#owner@user:anna"])
        assert told(next(stream)) == ["touch doc:new#owner@user:anna"]
        later = next(stream)
        assert (later.is_checkpoint, through(later)) == (True, written.revision)


def test_a_replaced_tuple_is_one_touch(authorizer: relgraph.Authorizer) -> None:
    """A touch with another caveat or expiration is told once, as the tuple is now; one that changes nothing is not."""
    begin = authorizer.write(touch=["doc:a#owner@user:anna"]).token
    authorizer.write(touch=['doc:a#owner@user:anna[near:{"site":"north"}]'])
    authorizer.write(touch=['doc:a#owner@user:anna[near:{"site":"north"}]'])
    authorizer.write(touch=["doc:a#owner@user:anna[expiration:2999-01-01T00:00:00Z]"])
    with in_process(authorizer) as address, watching(address, behind(begin)) as stream:
        first, second = next(stream), next(stream)
    for each in (first, second):
        assert told(each) == ["touch doc:a#owner@user:anna"]
    assert first.updates[0].relationship.optional_caveat.caveat_name == "near"
    assert dict(first.updates[0].relationship.optional_caveat.context) == {"site": "north"}
    assert second.updates[0].relationship.optional_expires_at.ToJsonString() == "2999-01-01T00:00:00Z"


def test_only_what_was_chosen_is_told(authorizer: relgraph.Authorizer) -> None:
    """Object types choose by resource, filters by any of them; a revision of which nothing is left is not told."""
    begin = authorizer.schema().token
    authorizer.write(touch=["group:eng#member@user:anna", "doc:a#owner@user:anna"])
    authorizer.write(touch=["doc:b#reader@user:bob"])
    authorizer.write(touch=["group:ops#member@user:bob"])
    of_groups = [["touch group:eng#member@user:anna"], ["touch group:ops#member@user:bob"]]
    of_readers_and_anna = [
        ["touch doc:a#owner@user:anna", "touch group:eng#member@user:anna"],
        ["touch doc:b#reader@user:bob"],
    ]
    groups = RelationshipFilter(resource_type="group")
    prefixed = [RelationshipFilter(optional_resource_id_prefix=each) for each in "eo"]
    readers = RelationshipFilter(resource_type="doc", optional_relation="reader")
    annas = RelationshipFilter(optional_subject_filter=SubjectFilter(subject_type="user", optional_subject_id="anna"))
    expected = [
        (WatchRequest(optional_object_types=["group"]), of_groups),
        (WatchRequest(optional_object_types=["group", "nothing"]), of_groups),
        (WatchRequest(optional_relationship_filters=[groups]), of_groups),
        (WatchRequest(optional_relationship_filters=prefixed), of_groups),
        (WatchRequest(optional_relationship_filters=[readers, annas]), of_readers_and_anna),
    ]
    with in_process(authorizer) as address:
        for request, found in expected:
            with watching(address, behind(begin, request)) as stream:
                assert [told(next(stream)), told(next(stream))] == found


def test_schema_updates_come_where_asked_for(authorizer: relgraph.Authorizer) -> None:
    """A new schema is a response of its own to who asked for it, beside the tuples, and nothing to all others."""
    begin = authorizer.schema().token
    authorizer.write(touch=["doc:a#owner@user:anna"])
    changed = authorizer.write_schema(SCHEMA + "definition more {}\n")
    authorizer.write(touch=["doc:b#owner@user:anna"])
    with in_process(authorizer) as address:
        with watching(address, behind(begin)) as stream:
            assert [told(next(stream)), told(next(stream))] == [
                ["touch doc:a#owner@user:anna"],
                ["touch doc:b#owner@user:anna"],
            ]
        with watching(address, behind(begin, WatchRequest(optional_update_kinds=[SCHEMA_TOO]))) as stream:
            responses = [next(stream) for _ in range(3)]
    assert [each.schema_updated for each in responses] == [False, True, False]
    assert through(responses[1]) == changed.revision
    assert [len(each.updates) for each in responses] == [1, 0, 1]


def test_a_wrong_request_is_refused(authorizer: relgraph.Authorizer) -> None:
    """Types beside filters, unknown names in filters, bad cursors and kinds are refused with SpiceDB's codes."""
    both = WatchRequest(
        optional_object_types=["doc"], optional_relationship_filters=[RelationshipFilter(resource_type="doc")]
    )
    with relgraph.open("sqlite://") as stranger:
        stranger.write_schema(SCHEMA)
        foreign = stranger.write(touch=["doc:a#owner@user:anna"]).token
    codes = grpc.StatusCode
    refused = [
        (both, codes.INVALID_ARGUMENT),
        (WatchRequest(optional_relationship_filters=[RelationshipFilter()]), codes.INVALID_ARGUMENT),
        (
            WatchRequest(optional_relationship_filters=[RelationshipFilter(resource_type="nothing")]),
            codes.FAILED_PRECONDITION,
        ),
        (WatchRequest(optional_object_types=["No Type"]), codes.INVALID_ARGUMENT),
        (WatchRequest.FromString(b"\x20\x4d"), codes.INVALID_ARGUMENT),
        (behind("nonsense"), codes.INVALID_ARGUMENT),
        (behind(""), codes.INVALID_ARGUMENT),
        (behind(foreign), codes.OUT_OF_RANGE),
    ]
    with in_process(authorizer) as address:
        for request, code in refused:
            with pytest.raises(grpc.RpcError) as raised, watching(address, request) as stream:
                next(stream)
            assert raised.value.code() is code, request


def test_what_the_dialect_cannot_say_ends_the_watch(authorizer: relgraph.Authorizer) -> None:
    """A universal tuple has no words here: what came before it is told, then the watch ends and names relgraph.v1."""
    begin = authorizer.schema().token
    authorizer.write(touch=["doc:a#owner@user:anna"])
    authorizer.write(touch=["doc:*#owner@user:root"])
    with in_process(authorizer) as address:
        with watching(address, behind(begin)) as stream:
            assert told(next(stream)) == ["touch doc:a#owner@user:anna"]
            with pytest.raises(grpc.RpcError, match=r"relgraph\.v1") as raised:
                next(stream)
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        with watching(address, behind(begin, WatchRequest(optional_object_types=["group"]))) as stream:
            authorizer.write(touch=["group:eng#member@user:anna"])
            assert told(next(stream)) == ["touch group:eng#member@user:anna"]


def test_a_large_revision_is_told_in_parts_that_repeat_and_never_skip(authorizer: relgraph.Authorizer) -> None:
    """What is larger than clients read comes in several responses, and only the last says that it is complete."""
    begin = authorizer.schema().token
    name = "d" * 900
    authorizer.write(touch=["doc:a#owner@user:anna"])
    loaded = authorizer.load([f"doc:{name}{n}#owner@user:anna" for n in range(5_000)])
    with in_process(authorizer) as address, watching(address, behind(begin)) as stream:
        responses = [next(stream)]
        while through(responses[-1]) != loaded.revision:
            responses.append(next(stream))
        assert sum(len(each.updates) for each in responses) == 5_001
        assert len(responses) == 3
        assert [through(each) for each in responses] == [loaded.revision - 1, loaded.revision - 1, loaded.revision]
        assert all(each.ByteSize() < 4 << 20 for each in responses)


def test_the_metadata_of_a_write_is_told(authorizer: relgraph.Authorizer) -> None:
    """What a write said about itself is told with its changes, alone and in the list of all; others say nothing."""
    begin = authorizer.schema().token
    authorizer.write(touch=["doc:a#owner@user:anna"])
    with in_process(authorizer) as address:
        request = WriteRelationshipsRequest(
            updates=[
                RelationshipUpdate(
                    operation=RelationshipUpdate.OPERATION_CREATE,
                    relationship=Relationship(
                        resource=ObjectReference(object_type="doc", object_id="b"),
                        relation="owner",
                        subject=SubjectReference(object=ObjectReference(object_type="user", object_id="anna")),
                    ),
                )
            ]
        )
        request.optional_transaction_metadata.update({"by": {"ticket": [7, "x"]}})
        written = InsecureClient(address, "unused").WriteRelationships(request)
        with watching(address, behind(begin)) as stream:
            plain, noted = next(stream), next(stream)
    assert not plain.HasField("optional_transaction_metadata")
    assert not plain.full_revision_metadata
    assert through(noted) == Token.parse(written.written_at.token).revision
    assert noted.optional_transaction_metadata == request.optional_transaction_metadata
    assert list(noted.full_revision_metadata) == [request.optional_transaction_metadata]


def test_a_watch_needs_a_key_that_may_read_history(authorizer: relgraph.Authorizer, tmp_path: Path) -> None:
    """Who may not read the past may not watch, as in relgraph.v1."""
    keys = tmp_path / "keys.toml"
    secrets = {"app": add_key(keys, "app", ["read"]), "feed": add_key(keys, "feed", ["read", "history"])}
    with in_process(authorizer, guarded(keys)) as address:
        with pytest.raises(grpc.RpcError) as raised, watching(address, WatchRequest(), secrets["app"]) as stream:
            next(stream)
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        request = WatchRequest(optional_update_kinds=[CHECKPOINTS])
        with watching(address, request, secrets["feed"]) as stream:
            assert next(stream).is_checkpoint


def test_a_key_that_is_taken_away_ends_its_watch(authorizer: relgraph.Authorizer, tmp_path: Path) -> None:
    """Nothing is told any more to who shows a key that was revoked while the watch went on."""
    keys = tmp_path / "keys.toml"
    secret = add_key(keys, "feed", ["read", "history"])
    add_key(keys, "other", ["read"])
    with in_process(authorizer, guarded(keys)) as address:
        with watching(address, WatchRequest(optional_update_kinds=[CHECKPOINTS]), secret) as stream:
            assert next(stream).is_checkpoint
            revoke_key(keys, "feed", datetime.now(UTC))
            with pytest.raises(grpc.RpcError) as raised:
                list(stream)
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_watch_ends_as_the_server_does(authorizer: relgraph.Authorizer) -> None:
    """When the server stops, each watch ends with UNAVAILABLE, on which clients come again by themselves."""
    with in_process(authorizer) as address:
        stream = InsecureClient(address, "unused").Watch(
            WatchRequest(optional_update_kinds=[CHECKPOINTS]), timeout=PATIENCE_S
        )
        assert next(stream).is_checkpoint
    with pytest.raises(grpc.RpcError) as raised:
        list(stream)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


def test_who_does_not_read_is_cut_off_and_told_where_to_go_on(authorizer: relgraph.Authorizer) -> None:
    """A reader that falls behind what is kept ends with RESOURCE_EXHAUSTED; behind its last token it misses nothing."""
    settings = Settings("unused:", listen="127.0.0.1:0", watch_backlog_revisions_max=20)
    with running(authorizer, settings) as server:
        stream = InsecureClient(server.address, "unused").Watch(
            WatchRequest(optional_update_kinds=[CHECKPOINTS]), timeout=PATIENCE_S
        )
        read = [next(stream)]
        while server._watchers.count:
            many = [f"doc:{'d' * 900}{n}#owner@user:anna" for n in range(500)]
            authorizer.write(touch=many)
            authorizer.write(delete=many)
        head = authorizer.write(touch=["doc:a#owner@user:anna"]).revision
        with pytest.raises(grpc.RpcError) as raised:
            read.extend(stream)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert through(read[-1]) < head - 20
        with watching(server.address, behind(read[-1].changes_through.token)) as again:
            while through(read[-1]) < head:
                read.append(next(again))
    assert list(range(through(read[0]), head + 1)) == list(dict.fromkeys(map(through, read)))


_texts = st.sampled_from(["", "doc", "group", "a", "*", "a|b", "No Type", "x" * 200, "\x00", "ä", "..."])
_filters = st.builds(
    RelationshipFilter,
    resource_type=_texts,
    optional_resource_id=_texts,
    optional_resource_id_prefix=_texts,
    optional_relation=_texts,
    optional_subject_filter=st.none() | st.builds(SubjectFilter, subject_type=_texts, optional_subject_id=_texts),
)


@given(types=st.lists(_texts, max_size=3), filters=st.lists(_filters, max_size=3), token=st.none() | _texts)
def test_whatever_is_asked_for_is_read_or_refused(
    types: list[str], filters: list[RelationshipFilter], token: str | None
) -> None:
    """A request brings a selection, or INVALID_ARGUMENT, and nothing else."""
    request = WatchRequest(optional_object_types=types, optional_relationship_filters=filters)
    if token is not None:
        behind(token, request)
    try:
        telling = Telling(request)
    except InvalidInput:
        return
    assert not (types and filters)
    assert telling.checkpoint(Stand(1, b"", "t")) is None

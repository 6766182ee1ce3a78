"""ImportBulkRelationships and ExportBulkRelationships, and their older names: all or nothing in, everything out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest
from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph_server.authzed.nouns import tuple_of
from tests.authzed_kit import NOW, Door, door, obj, refused, rel, sub

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SCHEMA = """use expiration
use universal
caveat cav(x int, note string) { x > 1 && note != '' }
definition user {}
definition group {
  relation member: user | group#member
}
definition doc {
  relation viewer: user | user:* | group#member | user with cav | user with expiration | user with cav and expiration
  relation owner: user | user with universal
  permission view = viewer + owner
}
"""
FACTS = (
    "doc:a#owner@user:u1",
    "doc:b#viewer@group:g#member",
    "doc:c#viewer@user:*",
    'doc:d#viewer@user:u1[cav:{"x":5}]',
    'doc:e#viewer@user:u2[cav:{"note":"n"}][expiration:2201-01-01T00:00:00Z]',
    "doc:f#viewer@user:u3[expiration:2201-01-01T00:00:00.500000Z]",
    "group:g#member@group:h#member",
    "group:h#member@user:u1",
)


def batches(facts: Sequence[str], size: int = 3) -> Iterator[pb.ImportBulkRelationshipsRequest]:
    """The messages of an import."""
    for start in range(0, len(facts), size):
        yield pb.ImportBulkRelationshipsRequest(relationships=map(rel, facts[start : start + size]))


def texts(message: pb.ExportBulkRelationshipsResponse | experimental.BulkExportRelationshipsResponse) -> list[str]:
    """The tuples of one message of an export."""
    return [str(tuple_of(each, "relationships")) for each in message.relationships]


class _Asked(TypedDict, total=False):
    optional_limit: int
    optional_cursor: core.Cursor
    optional_relationship_filter: pb.RelationshipFilter


def export(opened: Door, **asked: Unpack[_Asked]) -> list[pb.ExportBulkRelationshipsResponse]:
    """The messages of an export."""
    return list(opened.permissions.ExportBulkRelationships(pb.ExportBulkRelationshipsRequest(consistency=NOW, **asked)))


def everything(messages: Iterable[pb.ExportBulkRelationshipsResponse]) -> list[str]:
    """The tuples of an export."""
    return [text for message in messages for text in texts(message)]


def test_what_was_imported_is_exported_by_type_and_id() -> None:
    """A stream of messages is one revision; an export tells it back, caveats and expirations included, in order."""
    with door(SCHEMA) as opened:
        before = opened.authorizer.head
        assert opened.permissions.ImportBulkRelationships(batches(FACTS[::-1])).num_loaded == len(FACTS)
        assert opened.authorizer.schema().revision == before + 1
        assert everything(export(opened)) == list(FACTS)
        request = pb.CheckPermissionRequest(
            consistency=NOW, resource=obj("doc:d"), permission="view", subject=sub("user:u1")
        )
        answer = opened.permissions.CheckPermission(request)
        assert list(answer.partial_caveat_info.missing_required_context) == ["note"]


def test_the_older_names_do_the_same() -> None:
    """BulkImportRelationships and BulkExportRelationships are the same, and a cursor goes from one to the other."""
    with door(SCHEMA) as opened:
        older = (
            experimental.BulkImportRelationshipsRequest(relationships=each.relationships) for each in batches(FACTS)
        )
        assert opened.experimental.BulkImportRelationships(older).num_loaded == len(FACTS)
        request = experimental.BulkExportRelationshipsRequest(consistency=NOW, optional_limit=3)
        messages = list(opened.experimental.BulkExportRelationships(request))
        assert [len(message.relationships) for message in messages] == [3, 3, 2]
        found = [text for message in messages for text in texts(message)]
        assert found == everything(export(opened))
        assert everything(export(opened, optional_cursor=messages[0].after_result_cursor)) == found[3:]


def test_types_come_by_their_names() -> None:
    """A definition that came with a later schema stands where its name does."""
    with door(SCHEMA, FACTS) as opened:
        opened.authorizer.write_schema(f"{SCHEMA}definition abc {{\n  relation owner: user\n}}\n")
        opened.authorizer.write(touch=["abc:z#owner@user:u"])
        assert everything(export(opened, optional_limit=2)) == ["abc:z#owner@user:u", *FACTS]


def test_nothing_is_a_stream_too() -> None:
    """An import of no tuple loads none, and an export of nothing has no message."""
    with door(SCHEMA) as opened:
        assert opened.permissions.ImportBulkRelationships(iter(())).num_loaded == 0
        assert export(opened) == []


BROKEN = {
    "exists": ("doc:a#owner@user:u1", "ALREADY_EXISTS", "ATTEMPT_TO_RECREATE_RELATIONSHIP"),
    "twice": ("doc:c#owner@user:u1", "ALREADY_EXISTS", "ATTEMPT_TO_RECREATE_RELATIONSHIP"),
    "permission": ("doc:a#view@user:u1", "INVALID_ARGUMENT", "CANNOT_UPDATE_PERMISSION"),
    "subject": ("doc:a#owner@group:g", "INVALID_ARGUMENT", "INVALID_SUBJECT_TYPE"),
    "type": ("nope:a#owner@user:u1", "FAILED_PRECONDITION", "UNKNOWN_DEFINITION"),
    "relation": ("doc:a#nope@user:u1", "FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_tuple_breaks_the_import(name: str) -> None:
    """What exists, comes twice, or is not admitted ends the whole import with SpiceDB's code; nothing of it is kept."""
    fact, code, reason = BROKEN[name]
    with door(SCHEMA, FACTS[:1]) as opened:
        call = partial(opened.permissions.ImportBulkRelationships, batches(["doc:c#owner@user:u1", fact], 1))
        assert refused(call)[:2] == (code, reason)
        assert everything(export(opened)) == [FACTS[0]]


def test_a_broken_field_is_named_by_its_place_in_the_stream() -> None:
    """A field that breaks its pattern is told with where its tuple stands, in whichever message; nothing is kept."""
    bad = rel("doc:d#owner@user:u1")
    bad.subject.object.object_id = "a b"
    with door(SCHEMA) as opened:
        messages = [*batches(["doc:c#owner@user:u1"]), pb.ImportBulkRelationshipsRequest(relationships=[bad])]
        code, _, text = refused(partial(opened.permissions.ImportBulkRelationships, iter(messages)))
        assert code == "INVALID_ARGUMENT"
        assert "relationships[1].subject.object.object_id" in text
        assert export(opened) == []


@pytest.mark.parametrize("limit", [1, 3, 5, 8, 9, 10_000])
def test_a_limit_bounds_messages_not_the_export(limit: int) -> None:
    """Every message but the last holds as many tuples as asked for; behind each a later export goes on, unchanged."""
    with door(SCHEMA, FACTS) as opened:
        messages = export(opened, optional_limit=limit)
        sizes = [len(message.relationships) for message in messages]
        assert sum(sizes) == len(FACTS)
        assert all(size == limit for size in sizes[:-1])
        whole = everything(messages)
        opened.authorizer.write(touch=["doc:aa#owner@user:new", "group:z#member@user:new"], delete=[FACTS[0]])
        told = 0
        for message, size in zip(messages, sizes, strict=True):
            told += size
            assert everything(export(opened, optional_cursor=message.after_result_cursor)) == whole[told:]


def test_more_than_a_thousand_fit_one_message() -> None:
    """A message holds up to ten thousand where that was asked for, and a thousand where nothing was."""
    facts = [f"doc:d{place:04}#owner@user:u" for place in range(2_500)]
    with door(SCHEMA) as opened:
        opened.permissions.ImportBulkRelationships(batches(facts, 1_000))
        assert [len(message.relationships) for message in export(opened, optional_limit=10_000)] == [2_500]
        assert [len(message.relationships) for message in export(opened)] == [1_000, 1_000, 500]


def test_long_contexts_make_shorter_messages() -> None:
    """A message stays within what clients take, however much its tuples give to their caveats."""
    facts = [f'doc:d{place:03}#viewer@user:u[cav:{{"note":"{"n" * 20_000}"}}]' for place in range(120)]
    with door(SCHEMA) as opened:
        opened.permissions.ImportBulkRelationships(batches(facts, 20))
        messages = export(opened, optional_limit=10_000)
        assert len(messages) > 1
        assert max(message.ByteSize() for message in messages) < 2 << 20
        assert everything(messages) == facts


def test_a_filter_says_what_is_exported() -> None:
    """Only what matches is sent; a cursor is bound to the filter, not to how many tuples a message holds."""
    with door(SCHEMA, FACTS) as opened:
        groups = pb.RelationshipFilter(resource_type="group")
        assert everything(export(opened, optional_relationship_filter=groups)) == list(FACTS[6:])
        prefix = pb.RelationshipFilter(resource_type="doc", optional_resource_id_prefix="a")
        assert len(everything(export(opened, optional_relationship_filter=prefix))) == 1
        cursor = export(opened, optional_relationship_filter=groups, optional_limit=1)[0].after_result_cursor
        more = export(opened, optional_relationship_filter=groups, optional_limit=2, optional_cursor=cursor)
        assert everything(more) == [FACTS[7]]
        for wrong in (
            partial(export, opened, optional_cursor=cursor),
            partial(export, opened, optional_cursor=core.Cursor(token="none")),
        ):
            assert refused(wrong)[:2] == ("INVALID_ARGUMENT", "INVALID_CURSOR")


def test_an_export_is_refused_as_spicedb_does() -> None:
    """A limit over ten thousand, a filter of unknown names, a token that is none: each has its code."""
    with door(SCHEMA, FACTS) as opened:
        code, reason, text = refused(partial(export, opened, optional_limit=10_001))
        assert (code, reason) == ("INVALID_ARGUMENT", "EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT")
        assert "10000" in text
        nope = pb.RelationshipFilter(resource_type="nope")
        assert refused(partial(export, opened, optional_relationship_filter=nope))[1] == "UNKNOWN_DEFINITION"
        stale = pb.ExportBulkRelationshipsRequest(
            consistency=pb.Consistency(at_exact_snapshot=core.ZedToken(token="no token"))
        )
        code, _, text = refused(lambda: list(opened.permissions.ExportBulkRelationships(stale)))
        assert code == "INVALID_ARGUMENT"
        assert "invalid revision requested" in text


def test_a_universal_tuple_is_never_left_out_of_an_export() -> None:
    """What no message can carry ends the export with an error that names relgraph.v1."""
    with door(SCHEMA, (*FACTS, "doc:*#owner@user:u9")) as opened:
        code, _, text = refused(partial(export, opened))
        assert code == "FAILED_PRECONDITION"
        assert "relgraph.v1" in text


def test_an_import_that_breaks_off_changes_nothing() -> None:
    """A stream whose sender fails in the middle loads nothing."""

    def broken() -> Iterator[pb.ImportBulkRelationshipsRequest]:
        yield from batches(FACTS)
        raise ValueError

    with door(SCHEMA) as opened:
        call = opened.permissions.ImportBulkRelationships.future(broken())
        assert call.exception() is not None
        assert export(opened) == []

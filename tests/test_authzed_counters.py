"""ExperimentalService's counters over the wire, and that another server on the same store has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from authzed.api.v1 import experimental_service_pb2 as pb
from authzed.api.v1.permission_service_pb2 import RelationshipFilter, SubjectFilter

from relgraph.revision import Token
from tests.authzed_schemas_kit import door, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.authzed_schemas_kit import Door

SCHEMA = "definition user {}\ndefinition doc { relation reader: user | user:*\n relation writer: user }"


def register(opened: Door, name: str, type_: str = "", relation: str = "", id_: str = "", prefix: str = "") -> None:
    wanted = RelationshipFilter(
        resource_type=type_, optional_relation=relation, optional_resource_id=id_, optional_resource_id_prefix=prefix
    )
    request = pb.ExperimentalRegisterRelationshipCounterRequest(name=name, relationship_filter=wanted)
    opened.experimental.ExperimentalRegisterRelationshipCounter(request)


def unregister(opened: Door, name: str) -> None:
    request = pb.ExperimentalUnregisterRelationshipCounterRequest(name=name)
    opened.experimental.ExperimentalUnregisterRelationshipCounter(request)


def count(opened: Door, name: str) -> int:
    reply = opened.experimental.ExperimentalCountRelationships(pb.ExperimentalCountRelationshipsRequest(name=name))
    assert reply.WhichOneof("counter_result") == "read_counter_value"
    assert Token.parse(reply.read_counter_value.read_at.token).revision == opened.authorizer.head
    return int(reply.read_counter_value.relationship_count)


def test_counters_count(tmp_path: Path) -> None:
    """A counter counts at the newest revision, on every server of the store, and after the last one was stopped."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with door(url) as one, door(url) as other:
        one.write(SCHEMA)
        register(one, "readers", "doc", "reader")
        one.authorizer.write(touch=["doc:a#reader@user:anna", "doc:b#reader@user:*", "doc:a#writer@user:anna"])
        assert [2, 2] == [count(one, "readers"), count(other, "readers")]
        request = pb.ExperimentalRegisterRelationshipCounterRequest(
            name="annas",
            relationship_filter=RelationshipFilter(
                optional_subject_filter=SubjectFilter(subject_type="user", optional_subject_id="anna")
            ),
        )
        other.experimental.ExperimentalRegisterRelationshipCounter(request)
        assert 2 == count(one, "annas")
    with door(url) as again:
        assert [2, 2] == [count(again, "readers"), count(again, "annas")]
        unregister(again, "readers")
        assert "COUNTER_NOT_REGISTERED" == refused(lambda: count(again, "readers")).reason
        register(again, "readers", "doc", id_="a")
        assert 2 == count(again, "readers")
        register(again, "some", "doc", prefix="b")
        assert 1 == count(again, "some")


def test_counters_are_refused_as_spicedb_does() -> None:
    """Each refusal has SpiceDB's code and reason, and names the counter."""
    with door() as opened:
        opened.write(SCHEMA)
        register(opened, "readers", "doc")
        told = refused(lambda: register(opened, "readers", "doc"))
        assert ("FAILED_PRECONDITION", "COUNTER_ALREADY_REGISTERED") == (told.code, told.reason)
        assert "readers" == told.metadata["counter_name"]
        calls: tuple[Callable[[Door, str], object], ...] = (count, unregister)
        for call in calls:
            told = refused(partial(call, opened, "raeders"))
            assert ("FAILED_PRECONDITION", "COUNTER_NOT_REGISTERED") == (told.code, told.reason)
            assert "raeders" == told.metadata["counter_name"]
        for call in (*calls, register):
            told = refused(partial(call, opened, ""))
            assert ("INVALID_ARGUMENT", "UNSPECIFIED") == (told.code, told.reason)
            told = refused(partial(call, opened, "Readers!"))
            assert ("INVALID_ARGUMENT", "validation error: name: ") == (told.code, told.message[:24])
        told = refused(lambda: register(opened, "some"))
        assert ("INVALID_ARGUMENT", "INVALID_FILTER") == (told.code, told.reason)
        told = refused(lambda: register(opened, "some", "folder"))
        assert ("FAILED_PRECONDITION", "UNKNOWN_DEFINITION") == (told.code, told.reason)
        told = refused(lambda: register(opened, "some", "doc", "owner"))
        assert ("FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION") == (told.code, told.reason)

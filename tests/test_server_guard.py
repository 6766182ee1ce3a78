"""What the messages carry and the server does not serve is refused when set: shown for every field there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from google.protobuf.message_factory import GetMessageClass

from relgraph.errors import InvalidTuple, LimitExceeded, Unsupported
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire import questions
from relgraph_server.guard import SERVED, check_items, refuse_unserved

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

SERVICE = pb.DESCRIPTOR.services_by_name["AuthorizerService"]

NOT_SERVED = {
    "context",
    "contextual_tuples",
    "dry_run",
    "expect",
    "request_id",
}
"""Names of fields that are refused somewhere; `request_id` only on imports and schema writes."""


def _reachable(descriptor: Descriptor, seen: dict[str, Descriptor]) -> dict[str, Descriptor]:
    """The messages that a request can hold: of this package, and points in time."""
    ours = descriptor.file.package == "relgraph.v1" or descriptor.full_name == "google.protobuf.Timestamp"
    if ours and descriptor.full_name not in seen:
        seen[descriptor.full_name] = descriptor
        for field in descriptor.fields:
            if field.message_type is not None:
                _reachable(field.message_type, seen)
    return seen


REQUESTS = {method.input_type.full_name: method.input_type for method in SERVICE.methods}
MESSAGES: dict[str, Descriptor] = {}
for _request in REQUESTS.values():
    _reachable(_request, MESSAGES)
FIELDS = [field for descriptor in MESSAGES.values() for field in descriptor.fields]


def _set(message: Message, field: FieldDescriptor) -> None:
    """Set a field to the least that counts as set."""
    value = getattr(message, field.name)
    if hasattr(value, "add"):
        value.add()
    elif hasattr(value, "append"):
        value.append("x" if field.cpp_type == field.CPPTYPE_STRING else 1)
    elif field.message_type is not None:
        value.SetInParent()
    elif field.has_presence and field.containing_oneof is not None and field.cpp_type != field.CPPTYPE_BOOL:
        setattr(message, field.name, value)  # its default counts: the field is present
    else:
        setattr(message, field.name, "x" if field.cpp_type == field.CPPTYPE_STRING else 1)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.full_name.removeprefix("relgraph.v1."))
def test_each_field_is_served_or_refused(field: FieldDescriptor) -> None:
    """A field of a request is either in the table of served fields or refused as soon as it is set."""
    owner = field.containing_type
    assert owner is not None
    message = GetMessageClass(owner)()
    _set(message, field)
    if field.name in SERVED.get(owner.full_name, frozenset()):
        refuse_unserved(message)
    else:
        assert field.name in NOT_SERVED or owner.name == "Expectation"
        with pytest.raises(Unsupported, match=f"`{field.name}` is set") as caught:
            refuse_unserved(message)
        assert {"field": field.name} == caught.value.details


def test_the_table_names_only_what_exists() -> None:
    """Each message and field of the table of served fields is one of the proto's."""
    known = {name: {field.name for field in descriptor.fields} for name, descriptor in MESSAGES.items()}
    assert {} == {
        name: fields - known.get(name, set()) for name, fields in SERVED.items() if fields - known.get(name, set())
    }


@pytest.mark.parametrize("name", ["WriteRequest", "DeleteRequest", "ImportOptions", "WriteSchemaRequest"])
def test_every_write_tells_an_empty_actor_from_none(name: str) -> None:
    """Writes, deletes, imports and schema writes carry an actor; an empty one is refused, not nobody."""
    message = GetMessageClass(MESSAGES[f"relgraph.v1.{name}"])()
    assert questions.read_actor(cast("questions.Acting", message)) is None
    setattr(message, "actor", "")  # noqa: B010 - the messages have no common class that has it
    refuse_unserved(message)
    with pytest.raises(InvalidTuple) as caught:
        questions.read_actor(cast("questions.Acting", message))
    assert caught.value.details["field"] == "actor"


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_field_from_the_future_is_refused(name: str) -> None:
    """A field that this version does not know is refused in every message, at every depth, never dropped."""
    message = GetMessageClass(MESSAGES[name])()
    message.MergeFromString(b"\xfa\x3f\x05alice")  # field 1023, of five bytes
    with pytest.raises(Unsupported, match="field number 1023") as caught:
        refuse_unserved(message)
    assert caught.value.details["field_number"] == "1023"


def test_the_error_names_the_way_to_a_nested_field() -> None:
    """A refused field deep in a request is named with its whole path."""
    fact = pb.RelationTuple.FromString(b"\xfa\x3f\x05alice")
    with pytest.raises(Unsupported) as caught:
        refuse_unserved(pb.WriteRequest(updates=[pb.Update(), pb.Update(tuple=fact)]))
    assert caught.value.details == {"field": "updates[1].tuple", "field_number": "1023"}


def test_a_context_is_looked_through_for_what_is_not_known() -> None:
    """A context is a value as a whole, and a field in it that this version does not know is refused, however deep."""
    fact = pb.RelationTuple(caveat="near")
    fact.context.update({"a": [{"b": None}], "c": {}})
    request = pb.WriteRequest(updates=[pb.Update(tuple=fact)])
    refuse_unserved(request)
    deep = fact.context.fields["a"].list_value.values[0].struct_value.fields["b"]
    deep.MergeFromString(b"\xfa\x3f\x05alice")
    with pytest.raises(Unsupported, match="fields that this version does not know") as caught:
        refuse_unserved(pb.WriteRequest(updates=[pb.Update(tuple=fact)]))
    assert caught.value.details == {"field": "updates[0].tuple.context"}


def test_the_values_of_contexts_are_counted() -> None:
    """Values at any depth of a context count as items do, in writes and imports, until there are too many."""
    fact = pb.RelationTuple(caveat="near")
    fact.context.update({"a": [[1, 2], {"b": 3}], "c": 4})  # a, its two, their three, and c
    for message in (pb.WriteRequest(updates=[pb.Update(tuple=fact)] * 2), pb.ImportRequest(tuples=[fact] * 2)):
        check_items(message, 16)
        with pytest.raises(LimitExceeded) as caught:
            check_items(message, 15)
        assert caught.value.details["limit"] == "request_items_max"
    crowd = pb.RelationTuple(caveat="near")
    crowd.context.fields["a"].list_value.MergeFromString(b"\x0a\x00" * 100_000)
    with pytest.raises(LimitExceeded):
        check_items(pb.WriteRequest(updates=[pb.Update(tuple=crowd)] * 3), 20_000)


def test_every_request_of_the_service_has_a_row() -> None:
    """No method takes a message that the table of served fields does not know."""
    assert set() == set(REQUESTS) - set(SERVED)


def test_a_list_of_nothing_but_items_is_refused_unread() -> None:
    """Millions of empty items, in a list or in columns, are refused by their number, and named by the limit."""
    updates = pb.WriteRequest.FromString(b"\x0a\x00" * 2_000_000)
    columns = pb.CheckBulkRequest(columns=pb.QuestionColumns(subject=[0] * 8_000, permission=[0] * 8_000, resource=[0]))
    for message, count in ((updates, 2_000_000), (columns, 16_001)):
        check_items(message, count)
        with pytest.raises(LimitExceeded, match=f"hold {count} items") as caught:
            check_items(message, count - 1)
        assert caught.value.details == {"limit": "request_items_max", "value": str(count - 1)}


def _served_lists(descriptor: Descriptor) -> list[FieldDescriptor]:
    message = GetMessageClass(descriptor)()
    served = SERVED.get(descriptor.full_name, frozenset())
    return [
        each for each in descriptor.fields if each.name in served and hasattr(getattr(message, each.name), "append")
    ]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_no_item_of_a_list_has_a_list(name: str) -> None:
    """What is in a list has no list of its own that is served: counting the outer items counts all there are."""
    items = [field.message_type for field in _served_lists(MESSAGES[name]) if field.message_type is not None]
    assert [] == [each.full_name for item in items for each in _served_lists(item)]


def test_megabytes_of_strange_fields_are_refused_unread() -> None:
    """A message with a million fields that are not known is refused by their size."""
    message = pb.CheckRequest.FromString(b"\xfa\x3f\x00" * 1_000_000)
    with pytest.raises(Unsupported, match="`CheckRequest` carries 3000000 bytes of fields"):
        refuse_unserved(message)

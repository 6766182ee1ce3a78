"""Tuples with caveats and contexts over the wire: both ways, whole, in messages of a bounded size."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given

from relgraph.answers import LogEntry
from relgraph.client.telling import Batching
from relgraph.contexts import DEPTH_MAX, EMPTY, Context, Json
from relgraph.errors import InvalidContext, InvalidInput, InvalidName, InvalidTuple
from relgraph.tuples import Object, RelationTuple, Subject
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.contexts import context_message, read_context
from relgraph.wire.parts import read_tuple, shares, tuple_message
from relgraph.wire.watches import change_parts, read_change, watch_messages
from tests.test_contexts import OBJECTS

KEY = RelationTuple.parse("report:q3#viewer@user:anna").key


@given(OBJECTS)
def test_a_tuple_is_its_message(values: dict[str, object]) -> None:
    """What is sent arrives equal: values keep their kinds, and a whole number is the same from every client."""
    sent = RelationTuple(*KEY, caveat="near", context=Context.of(values))
    message = pb.RelationTuple.FromString(tuple_message(sent).SerializeToString())
    assert sent == read_tuple(message, "tuple")
    assert str(sent) == str(read_tuple(message, "tuple"))


def test_a_context_as_deep_as_can_be_is_sent() -> None:
    """At the limit of depth a context still fits into a message of every request and answer that carries tuples."""
    value: Json = {}
    for _ in range(DEPTH_MAX - 2):
        value = {"a": value}
    sent = RelationTuple(*KEY, caveat="near", context=Context.of({"a": value}))
    update = pb.Update(operation=pb.Update.OPERATION_TOUCH, tuple=tuple_message(sent))
    write = pb.WriteRequest.FromString(pb.WriteRequest(updates=[update]).SerializeToString())
    assert read_tuple(write.updates[0].tuple, "tuple") == sent
    change = pb.Change(created=[tuple_message(sent)])
    watched = pb.WatchResponse.FromString(pb.WatchResponse(changes=[change]).SerializeToString())
    assert read_tuple(watched.changes[0].created[0], "tuple") == sent


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused(number: float) -> None:
    """Not-a-number and the infinities are refused by the parameter's name and the field's path."""
    message = Struct()
    message.fields["limit"].list_value.values.add().number_value = number
    with pytest.raises(InvalidContext, match="the parameter `limit` holds a number") as caught:
        read_context(message, "updates[0].tuple.context")
    assert caught.value.details == {"parameter": "limit", "field": "updates[0].tuple.context"}


def test_a_value_of_no_kind_is_refused() -> None:
    """A value that is not set is neither null nor absent."""
    message = Struct()
    message.fields["limit"].struct_value.fields["low"].SetInParent()
    with pytest.raises(InvalidContext, match="the parameter `limit` holds a value of no kind"):
        read_context(message, "context")


def test_what_is_deeper_or_longer_than_a_context_is_refused() -> None:
    """A message nested too deep, or longer than any context, is refused before anything is built of it."""
    deep = Struct()
    inner = deep.fields["limit"]
    for _ in range(DEPTH_MAX):
        inner = inner.list_value.values.add()
    inner.bool_value = True
    with pytest.raises(InvalidContext, match="`limit` is nested deeper than 32"):
        read_context(deep, "context")
    long = Struct()
    long.fields["limit"].string_value = "x" * (1 << 20)
    with pytest.raises(InvalidContext, match="more than 1048576 bytes"):
        read_context(long, "context")


def test_an_empty_context_is_none() -> None:
    """An empty context is not sent, and an empty one that arrives is the same as none."""
    assert context_message(EMPTY) is None
    assert read_context(Struct(), "context") is EMPTY
    plain = pb.RelationTuple(resource="report:q3", relation="viewer", subject="user:anna", context=Struct())
    assert read_tuple(plain, "tuple") == RelationTuple(*KEY)


@pytest.mark.parametrize(
    ("caveat", "values", "error", "field"),
    [("ne ar", {}, InvalidName, "tuple.caveat"), ("", {"a": 1}, InvalidTuple, "tuple.context")],
)
def test_a_wrong_caveat_names_its_field(
    caveat: str, values: dict[str, Json], error: type[InvalidInput], field: str
) -> None:
    """A caveat that is no name, and a context without one, are refused at their field."""
    message = pb.RelationTuple(resource="report:q3", relation="viewer", subject="user:anna", caveat=caveat)
    message.context.update(values)
    with pytest.raises(error) as caught:
        read_tuple(message, "tuple")
    assert caught.value.details["field"] == field


def test_an_import_with_long_contexts_is_sent_in_short_messages() -> None:
    """A message of an import holds a thousand plain tuples, fewer with long contexts, and always one at least."""
    longest = RelationTuple(*KEY, caveat="near", context=Context.of({"text": "x" * 24_000}))
    huge = RelationTuple(*KEY, caveat="near", context=Context.of({"text": "x" * 200_000}))
    for fact, each_holds in ((RelationTuple(*KEY), 1_000), (longest, 2), (huge, 1)):
        batching = Batching(pb.ImportOptions())
        full = [message for _ in range(2 * each_holds + 1) if (message := batching.add(fact)) is not None]
        assert [each_holds] * 2 == [len(message.tuples) for message in full]
        last = batching.last()
        assert (1, 2 * each_holds + 1) == (len(last.tuples), last.tuples_total)


def test_shares_are_bounded_and_lose_nothing() -> None:
    """A share holds a thousand plain tuples, fewer with long contexts, and always one at least, in their order."""
    plain = [RelationTuple(Object("report", f"q{n}"), "viewer", Subject("user", "anna")) for n in range(2_001)]
    long = [replace(each, caveat="near", context=Context.of({"text": "x" * 24_000})) for each in plain[:5]]
    huge = [replace(each, caveat="near", context=Context.of({"text": "x" * 100_000})) for each in plain[:2]]
    for tuples, sizes in ((plain, [1_000, 1_000, 1]), (long, [2, 2, 1]), (huge, [1, 1]), ([], [])):
        found = list(shares(tuples))
        assert sizes == [len(each) for each in found]
        assert tuples == [each for share in found for each in share]
    assert sum(map(len, shares([*plain, *long, *huge]))) == 2_008


def test_a_revision_is_told_in_parts_of_a_bounded_size() -> None:
    """A revision with very long contexts comes in many messages, none of them large, and reads back as it was."""
    context = Context.of({"text": "x" * 24_000})
    gone, came = (
        tuple(
            RelationTuple(Object("report", f"q{n}"), "viewer", Subject("user", who), None, "near", context)
            for n in range(100)
        )
        for who in ("anna", "bob")
    )
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    entry = LogEntry(7, "token", moment, "app", "user:anna", "why", "id", "", came, gone, "definition user {}")
    parts = change_parts(entry)
    assert read_change(parts) == entry
    assert [True] * (len(parts) - 1) + [False] == [each.continues for each in parts]
    messages = list(watch_messages([*parts, *parts], 6, "before"))
    assert max(each.ByteSize() for each in messages) < 300_000
    assert [*parts, *parts] == [each for message in messages for each in message.changes]
    empty = replace(entry, created=(), deleted=())
    assert [read_change([each]) for each in change_parts(empty)] == [empty]

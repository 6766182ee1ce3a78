"""CheckPermission and the bulk checks of SpiceDB's dialect, asked by SpiceDB's own client."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph.revision import Token
from tests.authzed_calls import ask, context, item, opened, update, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from authzed.api.v1 import InsecureClient

    from relgraph.api import Authorizer

_Answer = pb.CheckPermissionResponse
HAS, NO = _Answer.PERMISSIONSHIP_HAS_PERMISSION, _Answer.PERMISSIONSHIP_NO_PERMISSION
CONDITIONAL = _Answer.PERMISSIONSHIP_CONDITIONAL_PERMISSION
NOW = pb.Consistency(fully_consistent=True)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[InsecureClient, Authorizer]]:
    with opened() as made:
        yield made


@pytest.fixture(scope="module")
def client(served: tuple[InsecureClient, Authorizer]) -> InsecureClient:
    return served[0]


ANSWERS = {
    "doc:plan#view@user:ann": HAS,
    "doc:plan#edit@user:ann": NO,
    "doc:plan#viewer@user:ann": HAS,
    "doc:plan#edit@user:eve": HAS,
    "doc:child#edit@user:eve": HAS,
    "doc:plan#edit@group:eng#member": HAS,
    "doc:plan#view@user:bob": NO,
    "doc:open#view@user:anybody": HAS,
    "doc:unheard#view@user:of": NO,
    "doc:plan#view@doc:plan#view": HAS,
    "group:eng#member@doc:plan": NO,
}
"""Questions and their answers."""


@pytest.mark.parametrize("text", ANSWERS)
def test_a_check_is_answered(client: InsecureClient, text: str) -> None:
    """Yes and no, by relation and permission, through usersets, arrows, exclusions, wildcards and identity."""
    answer = client.CheckPermission(ask(text))
    assert (answer.permissionship, answer.HasField("partial_caveat_info")) == (ANSWERS[text], False)
    assert Token.parse(answer.checked_at.token).revision == 2


def test_what_could_never_be_is_no(client: InsecureClient) -> None:
    """A question that is the wrong way round is answered with no, as SpiceDB does, where relgraph.v1 refuses it."""
    assert client.CheckPermission(ask("group:eng#member@doc:plan")).permissionship == NO


def test_a_condition_names_what_is_missing(client: InsecureClient) -> None:
    """An answer that hangs on a caveat names what it lacks; what the tuple says counts before what the request says."""
    answer = client.CheckPermission(ask("doc:far#view@user:ann"))
    assert answer.permissionship == CONDITIONAL
    assert answer.partial_caveat_info.missing_required_context == ["limit"]
    given = client.CheckPermission(ask("doc:far#view@user:ann", context=context(limit=2, site="south", stranger=1)))
    assert given.permissionship == HAS
    denied = client.CheckPermission(ask("doc:far#view@user:ann", context=context(limit=1)))
    assert denied.permissionship == NO


def test_until_when_an_answer_stays_is_told() -> None:
    """An answer that rests on a tuple which expires says when that is; one that does not, says nothing."""
    with opened() as (client, _):
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        touched = update(2, "doc:soon#viewer@user:ann")
        touched.relationship.optional_expires_at.FromDatetime(ends)
        client.WriteRelationships(write(touched))
        answer = client.CheckPermission(ask("doc:soon#view@user:ann", consistency=NOW))
        assert answer.permissionship == HAS
        assert answer.optional_expires_at.ToDatetime(UTC) == ends
        assert not client.CheckPermission(ask("doc:plan#view@user:ann")).HasField("optional_expires_at")


def test_what_has_expired_does_not_count() -> None:
    """A tuple that expired before now gives nothing, whichever revision is asked about."""
    with opened() as (client, _):
        touched = update(2, "doc:late#viewer@user:ann")
        touched.relationship.optional_expires_at.FromDatetime(datetime(2020, 1, 1))  # noqa: DTZ001 - protobuf wants it so
        token = client.WriteRelationships(write(touched)).written_at
        exactly = pb.Consistency(at_exact_snapshot=token)
        assert client.CheckPermission(ask("doc:late#view@user:ann", consistency=exactly)).permissionship == NO


def test_a_question_sees_what_it_asks_to_see() -> None:
    """A token of a write is honoured as at least and as exactly; an exact one does not see what came later."""
    with opened() as (client, _):
        first = client.WriteRelationships(write(update(2, "doc:a#owner@user:ann"))).written_at
        second = client.WriteRelationships(write(update(3, "doc:a#owner@user:ann"))).written_at
        asked = "doc:a#edit@user:ann"
        assert (
            client.CheckPermission(ask(asked, consistency=pb.Consistency(at_exact_snapshot=first))).permissionship
            == HAS
        )
        for consistency in (
            pb.Consistency(at_least_as_fresh=first),
            pb.Consistency(at_exact_snapshot=second),
            pb.Consistency(fully_consistent=True),
        ):
            answer = client.CheckPermission(ask(asked, consistency=consistency))
            assert answer.permissionship == NO
            assert answer.checked_at.token
        assert client.CheckPermission(ask(asked, consistency=pb.Consistency(minimize_latency=True))).checked_at.token


def test_many_questions_keep_their_order_and_their_errors(client: InsecureClient) -> None:
    """Each pair of a bulk repeats its item, in the order of the request, with an answer or the item's own error."""
    items = [
        item("doc:plan#view@user:ann"),
        item("doc:plan#view@user:*"),
        item("paper:x#view@user:ann"),
        item("doc:far#view@user:ann"),
        item("doc:far#view@user:ann", context(limit=5)),
        item("doc:far#view@user:ann", context(limit="x")),
        item("gate:one#left@user:ann"),
        item("doc:odd#view@user:ann", context(names=["x"])),
        item("group:eng#member@doc:plan"),
        item("doc:plan#view@user:ann"),
        item("doc:plan#see@user:ann"),
        item("doc:plan@user:ann"),
    ]
    answer = client.CheckBulkPermissions(pb.CheckBulkPermissionsRequest(items=items, consistency=NOW))
    assert [pair.request for pair in answer.pairs] == items
    assert Token.parse(answer.checked_at.token).revision == 2
    told: list[object] = []
    for pair in answer.pairs:
        if pair.HasField("item"):
            told.append(pair.item.permissionship)
        else:
            info = error_details_pb2.ErrorInfo()
            pair.error.details[0].Unpack(info)
            told.append((pair.error.code, info.reason.removeprefix("ERROR_REASON_")))
    assert told == [
        HAS,
        (3, "WILDCARD_NOT_ALLOWED"),
        (9, "UNKNOWN_DEFINITION"),
        CONDITIONAL,
        HAS,
        (3, "CAVEAT_PARAMETER_TYPE_ERROR"),
        (9, "MAXIMUM_DEPTH_EXCEEDED"),
        (3, "CAVEAT_EVALUATION_ERROR"),
        NO,
        HAS,
        (9, "UNKNOWN_RELATION_OR_PERMISSION"),
        (9, "UNKNOWN_RELATION_OR_PERMISSION"),
    ]
    assert answer.pairs[3].item.partial_caveat_info.missing_required_context == ["limit"]


@pytest.mark.parametrize("items", [[], [item("paper:x#view@user:ann")]])
def test_a_bulk_without_answers_has_a_revision(
    client: InsecureClient, items: list[pb.CheckBulkPermissionsRequestItem]
) -> None:
    """A bulk in which nothing was or could be asked says at which revision that was."""
    answer = client.CheckBulkPermissions(pb.CheckBulkPermissionsRequest(items=items, consistency=NOW))
    assert (Token.parse(answer.checked_at.token).revision, len(answer.pairs)) == (2, len(items))


def test_the_older_bulk_answers_the_same(client: InsecureClient) -> None:
    """BulkCheckPermission of the experimental service answers as CheckBulkPermissions does."""
    items = [item("doc:plan#view@user:ann"), item("doc:far#view@user:ann"), item("paper:x#view@user:ann")]
    newer = client.CheckBulkPermissions(pb.CheckBulkPermissionsRequest(items=items))
    older = client.BulkCheckPermission(
        experimental.BulkCheckPermissionRequest(
            items=[experimental.BulkCheckPermissionRequestItem.FromString(each.SerializeToString()) for each in items]
        )
    )
    assert [pair.SerializeToString() for pair in newer.pairs] == [pair.SerializeToString() for pair in older.pairs]


def test_a_bulk_says_what_single_checks_say(served: tuple[InsecureClient, Authorizer]) -> None:
    """Thousands of random questions, many of them alike, are answered in one bulk as each of them alone."""
    client, authorizer = served
    chance = random.Random(7)
    texts = [
        f"doc:{chance.choice(('plan', 'far', 'open', 'child', 'new'))}#{chance.choice(('view', 'edit', 'viewer'))}"
        f"@user:{chance.choice(('ann', 'bob', 'eve', f'u{chance.randrange(400)}'))}"
        for _ in range(2_500)
    ]
    answer = client.CheckBulkPermissions(pb.CheckBulkPermissionsRequest(items=map(item, texts), consistency=NOW))
    words = {HAS: "yes", NO: "no", CONDITIONAL: "conditional"}
    found = [words[pair.item.permissionship] for pair in answer.pairs]
    assert len(texts) > authorizer.limits.checks_max
    for text, word in zip(texts, found, strict=True):
        of = ask(text)
        verdict = authorizer.decide(
            f"user:{of.subject.object.object_id}", of.permission, f"doc:{of.resource.object_id}"
        ).verdict
        assert verdict.value == word, text


def test_deep_data_is_answered() -> None:
    """A chain far deeper than SpiceDB's fifty steps is followed to its end."""
    with opened() as (client, authorizer):
        links = [f"doc:d{n}#parent@doc:d{n + 1}" for n in range(400)]
        authorizer.write(touch=[*links, "doc:d400#owner@user:ann"])
        assert client.CheckPermission(ask("doc:d0#edit@user:ann", consistency=NOW)).permissionship == HAS
        assert client.CheckPermission(ask("doc:d0#edit@user:bob", consistency=NOW)).permissionship == NO


def test_circles_are_answered() -> None:
    """A circle in the data gives nothing and is no error."""
    with opened() as (client, authorizer):
        authorizer.write(touch=["group:one#member@group:two#member", "group:two#member@group:one#member"])
        assert client.CheckPermission(ask("group:one#member@user:ann", consistency=NOW)).permissionship == NO

"""SpiceDB's own client for Python, unmodified, against a relgraph server: the calls of its documentation, both ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from authzed.api.v1 import (
    AsyncClient,
    BulkCheckPermissionRequest,
    BulkCheckPermissionRequestItem,
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    CheckPermissionResponse,
    Client,
    Consistency,
    DeleteRelationshipsRequest,
    ExpandPermissionTreeRequest,
    InsecureClient,
    LookupResourcesRequest,
    LookupSubjectsRequest,
    ObjectReference,
    ReadRelationshipsRequest,
    ReadSchemaRequest,
    Relationship,
    RelationshipFilter,
    RelationshipUpdate,
    SubjectFilter,
    SubjectReference,
    SyncClient,
    WatchRequest,
    WriteRelationshipsRequest,
    WriteSchemaRequest,
    ZedToken,
)
from authzed.api.v1.permission_service_pb2 import ExportBulkRelationshipsRequest, ImportBulkRelationshipsRequest
from google.protobuf.struct_pb2 import Struct
from grpcutil import bearer_token_credentials, insecure_bearer_token_credentials

from relgraph.api import open_authorizer
from relgraph_server.keys import SCOPES
from tests.certificates import Authority
from tests.keys_kit import add_key, guarded
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from google.protobuf.message import Message

    Ask = Callable[[str, Message], Awaitable[Any]]

SCHEMA = """caveat likes_harry_potter(likes bool) {
	likes == true
}

definition post {
	relation writer: user
	relation reader: user
	relation caveated_reader: user with likes_harry_potter
	permission write = writer
	permission view = reader + writer
	permission view_as_fan = caveated_reader + writer
}

definition user {}
"""
EMILIA, BEATRICE, CHARLIE = (
    SubjectReference(object=ObjectReference(object_type="user", object_id=name))
    for name in ("emilia", "beatrice", "charlie")
)
ONE, TWO = (ObjectReference(object_type="post", object_id=name) for name in ("p1", "p2"))
NEWEST = Consistency(fully_consistent=True)
YES = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
NO = CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION
MAYBE = CheckPermissionResponse.PERMISSIONSHIP_CONDITIONAL_PERMISSION


def written(resource: ObjectReference, relation: str, subject: SubjectReference) -> RelationshipUpdate:
    made = Relationship(resource=resource, relation=relation, subject=subject)
    if relation == "caveated_reader":
        made.optional_caveat.caveat_name = "likes_harry_potter"
    return RelationshipUpdate(operation=RelationshipUpdate.OPERATION_CREATE, relationship=made)


POSTS = [
    written(ONE, "writer", EMILIA),
    written(TWO, "writer", EMILIA),
    written(ONE, "reader", BEATRICE),
    written(ONE, "caveated_reader", BEATRICE),
]


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key that may do everything, as a preshared key may."""
    return add_key(tmp_path / "keys", "application", SCOPES)


@pytest.fixture
def address(tmp_path: Path, key: str) -> Iterator[str]:
    """A server that wants the key."""
    del key
    with (
        open_authorizer(f"sqlite:///{tmp_path / 'access.db'}") as authorizer,
        in_process(authorizer, guarded(tmp_path / "keys")) as address,
    ):
        yield address


async def first_app(ask: Ask) -> None:
    """Protect a first application, from its schema to the removal of what it wrote."""
    assert (await ask("WriteSchema", WriteSchemaRequest(schema=SCHEMA))).written_at.token
    assert SCHEMA.strip() == (await ask("ReadSchema", ReadSchemaRequest())).schema_text.strip()
    token: ZedToken = (await ask("WriteRelationships", WriteRelationshipsRequest(updates=POSTS))).written_at
    fresh = Consistency(at_least_as_fresh=token)
    for subject, permission, resource, expected in (
        (EMILIA, "write", ONE, YES),
        (EMILIA, "view", TWO, YES),
        (BEATRICE, "view", ONE, YES),
        (BEATRICE, "write", ONE, NO),
        (CHARLIE, "view", ONE, NO),
        (BEATRICE, "view_as_fan", ONE, MAYBE),
    ):
        question = CheckPermissionRequest(resource=resource, permission=permission, subject=subject, consistency=fresh)
        answer = await ask("CheckPermission", question)
        assert expected == answer.permissionship
        assert (["likes"] if expected == MAYBE else []) == list(answer.partial_caveat_info.missing_required_context)
    fan = Struct()
    fan.update({"likes": True})
    question = CheckPermissionRequest(
        resource=ONE, permission="view_as_fan", subject=BEATRICE, consistency=fresh, context=fan
    )
    assert YES == (await ask("CheckPermission", question)).permissionship


async def lists(ask: Ask) -> None:
    """Ask in bulk, look up both ways, expand and read."""
    items = [
        CheckBulkPermissionsRequestItem(resource=ONE, permission=permission, subject=BEATRICE)
        for permission in ("view", "write", "no_such_thing")
    ]
    answer = await ask("CheckBulkPermissions", CheckBulkPermissionsRequest(consistency=NEWEST, items=items))
    assert [YES, NO] == [pair.item.permissionship for pair in answer.pairs[:2]]
    assert items == [
        CheckBulkPermissionsRequestItem(
            resource=pair.request.resource, permission=pair.request.permission, subject=pair.request.subject
        )
        for pair in answer.pairs
    ]
    assert grpc.StatusCode.FAILED_PRECONDITION.value[0] == answer.pairs[2].error.code
    old = BulkCheckPermissionRequestItem(resource=ONE, permission="view", subject=BEATRICE)
    answer = await ask("BulkCheckPermission", BulkCheckPermissionRequest(consistency=NEWEST, items=[old]))
    assert [YES] == [pair.item.permissionship for pair in answer.pairs]
    posts = await ask(
        "LookupResources",
        LookupResourcesRequest(consistency=NEWEST, resource_object_type="post", permission="write", subject=EMILIA),
    )
    assert {"p1", "p2"} == {each.resource_object_id for each in posts}
    people = await ask(
        "LookupSubjects",
        LookupSubjectsRequest(consistency=NEWEST, resource=ONE, permission="view", subject_object_type="user"),
    )
    assert {"emilia", "beatrice"} == {each.subject.subject_object_id for each in people}
    tree = await ask("ExpandPermissionTree", ExpandPermissionTreeRequest(resource=ONE, permission="view"))
    leaves = [child.leaf.subjects for child in tree.tree_root.intermediate.children]
    assert {"emilia", "beatrice"} == {each.object.object_id for subjects in leaves for each in subjects}
    filter_ = RelationshipFilter(
        resource_type="post", optional_subject_filter=SubjectFilter(subject_type="user", optional_subject_id="emilia")
    )
    read = await ask("ReadRelationships", ReadRelationshipsRequest(consistency=NEWEST, relationship_filter=filter_))
    assert {("p1", "writer"), ("p2", "writer")} == {
        (each.relationship.resource.object_id, each.relationship.relation) for each in read
    }


async def moves(ask: Ask) -> None:
    """Delete by filter, bring all of it back in bulk, and read it in bulk."""
    all_of_it = RelationshipFilter(resource_type="post")
    gone = await ask("DeleteRelationships", DeleteRelationshipsRequest(relationship_filter=all_of_it))
    assert len(POSTS) == gone.relationships_deleted_count
    assert [] == await ask("ExportBulkRelationships", ExportBulkRelationshipsRequest(consistency=NEWEST))
    brought = [each.relationship for each in POSTS]
    loaded = await ask("ImportBulkRelationships", ImportBulkRelationshipsRequest(relationships=brought))
    assert len(POSTS) == loaded.num_loaded
    pages = await ask("ExportBulkRelationships", ExportBulkRelationshipsRequest(consistency=NEWEST, optional_limit=3))
    found = [each for page in pages for each in page.relationships]
    assert [3, 1] == [len(page.relationships) for page in pages]
    assert sorted(map(str, brought)) == sorted(map(str, found))


async def everything(ask: Ask) -> None:
    """All of it, in this order."""
    await first_app(ask)
    await lists(ask)
    await moves(ask)


STREAMED = {"LookupResources", "LookupSubjects", "ReadRelationships", "ExportBulkRelationships"}


def waiting(client: Client) -> Ask:
    """Ask through a client that waits."""

    async def ask(method: str, request: Message) -> Any:
        sent = iter([request]) if method == "ImportBulkRelationships" else request
        answer = getattr(client, method)(sent)
        return list(answer) if method in STREAMED else answer

    return ask


def awaiting(client: Client) -> Ask:
    """Ask through a client that is awaited."""

    async def ask(method: str, request: Message) -> Any:
        sent = iter([request]) if method == "ImportBulkRelationships" else request
        answer = getattr(client, method)(sent)
        return [each async for each in answer] if method in STREAMED else await answer

    return ask


def at_once(asked: Awaitable[None]) -> None:
    """Run what only says that it waits, outside of any event loop: the client looks whether there is one."""
    with pytest.raises(StopIteration):
        asked.__await__().send(None)


@pytest.mark.parametrize("kind", [Client, SyncClient])
def test_the_client_that_waits(kind: type[Client], address: str, key: str) -> None:
    """The client that waits does all that its documentation shows, with a key of relgraph as its preshared key."""
    at_once(everything(waiting(kind(address, insecure_bearer_token_credentials(key)))))


def test_the_client_without_tls(address: str, key: str) -> None:
    """So does the one for networks without TLS."""
    at_once(everything(waiting(InsecureClient(address, key))))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_client_that_is_awaited(kind: type[Client], address: str, key: str) -> None:
    """The client that is awaited does the same; the plain one becomes it within an event loop."""

    async def run() -> None:
        await everything(awaiting(kind(address, insecure_bearer_token_credentials(key))))

    asyncio.run(run())


def test_the_client_over_tls(tmp_path: Path, key: str) -> None:
    """Over TLS it is given the server's authority and nothing else."""
    authority = Authority(tmp_path / "ca")
    signed = authority.sign("server")
    settings = guarded(tmp_path / "keys", tls_cert=str(signed.certificate), tls_key=str(signed.key))
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer, settings) as address:
        credentials = bearer_token_credentials(key, authority.certificate.read_bytes())
        at_once(first_app(waiting(Client(address, credentials))))


def test_a_watch(address: str, key: str) -> None:
    """A watch behind a token tells what was written since, and the token to go on behind."""
    client = Client(address, insecure_bearer_token_credentials(key))
    token = client.WriteSchema(WriteSchemaRequest(schema=SCHEMA)).written_at
    client.WriteRelationships(WriteRelationshipsRequest(updates=POSTS[:2]))
    watch = client.Watch(WatchRequest(optional_object_types=["post"], optional_start_cursor=token))
    first = next(iter(watch))
    assert [update.relationship for update in POSTS[:2]] == [update.relationship for update in first.updates]
    assert {RelationshipUpdate.OPERATION_TOUCH} == {update.operation for update in first.updates}
    last = client.WriteRelationships(WriteRelationshipsRequest(updates=POSTS[2:3])).written_at
    second = next(iter(watch))
    watch.cancel()
    assert [POSTS[2].relationship] == [update.relationship for update in second.updates]
    question = CheckPermissionRequest(
        resource=ONE,
        permission="view",
        subject=BEATRICE,
        consistency=Consistency(at_exact_snapshot=second.changes_through),
    )
    assert YES == client.CheckPermission(question).permissionship
    assert last.token


@pytest.mark.parametrize(
    ("shown", "code", "text"),
    [
        ("another-key", grpc.StatusCode.PERMISSION_DENIED, "invalid preshared key: invalid token"),
        ("", grpc.StatusCode.UNAUTHENTICATED, "preshared key"),
    ],
)
def test_a_wrong_key(address: str, shown: str, code: grpc.StatusCode, text: str) -> None:
    """A key that the server does not know is answered as SpiceDB answers it."""
    with pytest.raises(grpc.RpcError) as caught:
        InsecureClient(address, shown).ReadSchema(ReadSchemaRequest())
    assert code is caught.value.code()
    assert text in str(caught.value.details())

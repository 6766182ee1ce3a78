"""A retrieval on `langchain-spicedb`: its documentation's articles, over the address and key given.

Prints what it found as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from authzed.api.v1 import (
    Client,
    ObjectReference,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
    WriteSchemaRequest,
)
from grpcutil import insecure_bearer_token_credentials
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_spicedb import (
    SpiceDBAuthFilter,
    SpiceDBBulkPermissionTool,
    SpiceDBPermissionTool,
    SpiceDBPreFilterRetriever,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ENDPOINT, KEY = sys.argv[1:]
SCHEMA = """
definition user {}

definition article {
    relation viewer: user
    permission view = viewer
}
"""
VIEWERS = {"doc1": "alice", "doc2": "alice", "doc3": "bob"}
PLACE = {
    "spicedb_endpoint": ENDPOINT,
    "spicedb_token": KEY,
    "subject_type": "user",
    "resource_type": "article",
}


async def write() -> None:
    """Write the schema and who may view what."""
    client = Client(ENDPOINT, insecure_bearer_token_credentials(KEY))
    # Its types know the client that waits only.
    await client.WriteSchema(WriteSchemaRequest(schema=SCHEMA))  # type: ignore[misc]
    updates = [
        RelationshipUpdate(
            operation=RelationshipUpdate.OPERATION_TOUCH,
            relationship=Relationship(
                resource=ObjectReference(object_type="article", object_id=article),
                relation="viewer",
                subject=SubjectReference(object=ObjectReference(object_type="user", object_id=user)),
            ),
        )
        for article, user in VIEWERS.items()
    ]
    await client.WriteRelationships(WriteRelationshipsRequest(updates=updates))  # type: ignore[misc]


class Shelf:
    """A vector store of a few documents, which finds all of them alike."""

    def __init__(self) -> None:
        self._documents = [Document(f"about {name}", metadata={"article_id": name}) for name in VIEWERS]

    async def asimilarity_search(
        self, query: str, k: int, article_ids: Sequence[str] = tuple(VIEWERS)
    ) -> list[Document]:
        """Find up to so many documents."""
        del query
        return [each for each in self._documents if each.metadata["article_id"] in article_ids][:k]


async def retrieve(store: Shelf) -> dict[str, object]:
    """Filter behind a retrieval and before one."""

    async def find(query: str) -> list[Document]:
        return await store.asimilarity_search(query, len(VIEWERS))

    chain = RunnableLambda(find) | SpiceDBAuthFilter(**PLACE, resource_id_key="article_id", permission="view")
    before = SpiceDBPreFilterRetriever(
        **PLACE,
        vector_store=store,
        filter_factory=lambda ids: {"article_ids": ids},
        subject_id="alice",
        permission="view",
    )
    titles = RunnableLambda(lambda documents: sorted(each.metadata["article_id"] for each in documents))
    config = {user: {"configurable": {"subject_id": user}} for user in ("alice", "bob", "carol")}
    return {
        **{user: await (chain | titles).ainvoke("anything", config=config[user]) for user in config},
        "before": await (before | titles).ainvoke("anything"),
    }


def tools() -> dict[str, object]:
    """Ask as an agent does."""
    one = SpiceDBPermissionTool(**PLACE)
    many = SpiceDBBulkPermissionTool(**PLACE)
    return {
        "yes": one.invoke({"subject_id": "alice", "resource_id": "doc1", "permission": "view"}),
        "no": one.invoke({"subject_id": "bob", "resource_id": "doc1", "permission": "view"}),
        "many": many.invoke({"subject_id": "bob", "resource_ids": "doc1,doc3", "permission": "view"}),
    }


def main() -> dict[str, object]:
    """Write, retrieve, and ask as an agent does."""
    asyncio.run(write())
    return {**asyncio.run(retrieve(Shelf())), **tools()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")

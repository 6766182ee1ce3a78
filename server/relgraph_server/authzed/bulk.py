"""ImportBulkRelationships and ExportBulkRelationships: many tuples in, in one transaction, and many out, at one revision.

Rule 1: an import is loaded once its stream has come to its end, and then all of it or nothing. SpiceDB's stream does
not say how many tuples it carries, so an end is its end.
Rule 2: an export's messages are pages: each has a cursor, behind which another export goes on at the same revision and
instant. What no message can carry, a universal tuple, is an error in its place, never left out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.api.cursors import Cursor
from relgraph.revision import Token
from relgraph_server.authzed.lookups import page_limit
from relgraph_server.authzed.nouns import consistency_of, filter_of, relationship_of, tuple_of
from relgraph_server.authzed.tokens import arguments_of, cursor_message, opened_cursor
from relgraph_server.spool import Spooled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Imported, Page
    from relgraph.api import Authorizer
    from relgraph.tuples import RelationTuple, TupleFilter
    from relgraph_server.asking import Asking
    from relgraph_server.places import Place

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["BATCH_MAX", "Bulk"]

BATCH_MAX: Final = 10_000
"""Tuples in one message of an export."""

"""Moving between SpiceDB and a store: a schema and all tuples, as they are at one revision. History stays behind.

Rule 1: all is read and judged first, and only then written; into a store in one transaction, so that an interrupted
migration leaves nothing. SpiceDB takes a schema and tuples in two: where the tuples fail, the schema is taken back.
Rule 2: only into what is empty. Moving is no merging.
Rule 3: it ends with a comparison of counts, type by type, on the side that was written.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.api import establish, open_authorizer, require_empty
from relgraph.errors import Refused, RelgraphError, StoreUnavailable, at_index
from relgraph.schema import parse
from relgraph.schema.diff import diff
from relgraph.spicedb.holding import check_schema, check_tuple
from relgraph.spicedb.messages import message_of, tuple_of
from relgraph.spicedb.remote import PAGE, SpiceDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from authzed.api.v1 import core_pb2 as pb

    from relgraph.schema import Schema
    from relgraph.spicedb.address import Address
    from relgraph.tuples import RelationTuple

    Told = Callable[[str, int], None]

__all__ = ["Moved", "bring", "send"]

# A value in a context takes four bytes at least, so this also bounds how many of them a message holds.
_PAGE_BYTES_MAX: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved. `revision` is the store's: the one that holds it now, or the one that it was read at."""

    definitions: int
    caveats: int
    tuples: int
    revision: int


def bring(address: Address, url: str, *, told: Told = lambda _what, _done: None) -> Moved:
    """Make the new or empty store at `url` hold what a SpiceDB does, at one of its revisions.

    Raises InvalidSetting for a store that was written before, Refused for a SpiceDB without a schema, and what the way
    there, the schema or a tuple fails by.
    """
    require_empty(url)
    with SpiceDB(address) as source:
        text, token = source.schema()
        if not text:
            raise Refused(f"{address} holds no schema, so there is nothing to migrate; check the address")
        schema = parse(text)
        tuples: list[RelationTuple] = []
        for page in source.export(token):
            for message in page:
                with at_index(len(tuples)):
                    tuples.append(tuple_of(message))
            told("read", len(tuples))
    told("writing", len(tuples))
    revision = establish(url, text, tuples, reason=f"migrated from {address}")
    return Moved(len(schema.definitions), len(schema.caveats), len(tuples), revision.number)


def send(url: str, address: Address, *, told: Told = lambda _what, _done: None) -> Moved:
    """Make an empty SpiceDB hold what the store at `url` does, at its newest revision.

    Raises Unsupported for what SpiceDB cannot hold, before anything is sent; Refused for one that is not empty.
    """
    with open_authorizer(url) as authorizer, authorizer.dump() as dump:
        schema = parse(dump.schema)
        check_schema(schema)
        messages: list[pb.Relationship] = []
        while page := dump.page():
            for each in page:
                messages.append(message_of(each))
                check_tuple(schema, each, messages[-1])
            told("read", len(messages))
    with SpiceDB(address) as target:
        _fill(target, schema, messages, told)
    return Moved(len(schema.definitions), len(schema.caveats), len(messages), dump.revision)


def _fill(target: SpiceDB, schema: Schema, messages: Sequence[pb.Relationship], told: Told) -> None:
    text, _ = target.schema()
    # One that an earlier migration left behind when it was killed is this very one.
    if text and diff(parse(text), schema):
        raise Refused(f"{target} holds another schema already; name a SpiceDB that is empty")
    if text and any(target.export()):
        raise Refused(f"{target} holds tuples already; name a SpiceDB that is empty")
    if not text:
        target.write_schema(schema.text)
    try:
        loaded = target.load(_pages(messages, told)) if messages else 0
    except BaseException as error:
        if not text and not _taken_back(target) and isinstance(error, RelgraphError):
            error.message += "; the schema stands there by now, and could not be taken back"
        raise
    started = time.time()
    told("comparing", 0)
    found = Counter(message.resource.object_type for page in target.export() for message in page)
    # What expires meanwhile may be found or not.
    least, most = _living(messages, time.time()), _living(messages, started)
    if loaded != len(messages) or not least <= found <= most:
        raise StoreUnavailable(
            f"{target} took {len(messages):,} tuples, said that it had loaded {loaded:,}, and holds {found.total():,}: "
            "somebody else wrote there, or something is wrong; empty it and migrate again",
            {"wanted": str(len(messages)), "loaded": str(loaded), "found": str(found.total())},
        )


def _pages(messages: Sequence[pb.Relationship], told: Told) -> Iterator[Sequence[pb.Relationship]]:
    """Yield the tuples in messages that a server takes which was told nothing about sizes."""
    start = size = 0
    for end, message in enumerate(messages):
        length = message.ByteSize()
        if end > start and (end - start == PAGE or size + length > _PAGE_BYTES_MAX):
            yield messages[start:end]
            told("sent", end)
            start, size = end, 0
        size += length
    if start < len(messages):
        yield messages[start:]
        told("sent", len(messages))


def _taken_back(target: SpiceDB) -> bool:
    try:
        target.write_schema("")
    except RelgraphError:
        return False
    return True


def _living(messages: Sequence[pb.Relationship], now: float) -> Counter[str]:
    """Count those that have not expired, by the type of their resource."""
    return Counter(
        message.resource.object_type
        for message in messages
        if not message.HasField("optional_expires_at")
        or message.optional_expires_at.seconds + message.optional_expires_at.nanos / 1e9 > now
    )

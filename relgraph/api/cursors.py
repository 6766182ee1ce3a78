"""Cursors: where a page of a read ended."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import astuple
from typing import TYPE_CHECKING

from relgraph.errors import InvalidCursor, InvalidInput
from relgraph.revision import Token
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from relgraph.tuples import TupleFilter

__all__ = ["Cursor"]


class Cursor:
    """Where a page of a read ended: the filter it belongs to, the token it is pinned at, and its last tuple.

    The token tells the revision and the instant of every page: what expires between two of them is missed by none.
    """

    def __init__(self, digest: str, token: Token, last: RelationTuple) -> None:
        self.token = token
        self.last = last
        self._digest = digest

    @staticmethod
    def digest_of(filter_: TupleFilter) -> str:
        """Return what binds a cursor to its filter: length-safe, so that no two filters share one."""
        return hashlib.sha256(json.dumps(astuple(filter_)).encode()).hexdigest()[:16]

    @classmethod
    def after(cls, filter_: TupleFilter, token: Token, last: RelationTuple) -> Cursor:
        """Return the cursor behind `last`."""
        return cls(cls.digest_of(filter_), token, last)

    def __str__(self) -> str:
        body = json.dumps([self._digest, str(self.token), str(self.last)], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(binascii.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, filter_: TupleFilter) -> Cursor:
        """Read a cursor's text. Raises InvalidCursor when it is damaged or belongs to another filter."""
        try:
            data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if binascii.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
                raise InvalidCursor("the cursor is damaged; pass it exactly as the page before returned it")
            digest, token, last = map(str, json.loads(data[4:]))
            cursor = cls(digest, Token.parse(token), RelationTuple.parse(last))
        except (ValueError, TypeError, RecursionError, InvalidInput):
            raise InvalidCursor("the cursor is damaged; pass it exactly as the page before returned it") from None
        if digest != cls.digest_of(filter_):
            raise InvalidCursor("the cursor belongs to another filter; keep the filter, or start without a cursor")
        return cursor

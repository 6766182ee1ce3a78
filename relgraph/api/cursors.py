"""Cursors: where a page of a read or of a lookup ended.

Rule 1: a cursor goes on with what it was handed out for, or is refused: with the same words, at the same revision and
instant, behind the same row. A text that differs from it in one character is damaged.
Rule 2: it is no secret, and proves nothing about who holds it: with a revision's token, one could be made up. What it
shows is what its holder may ask for anyway; the server, where some may not read the past, seals each for its caller.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidCursor, InvalidInput
from relgraph.revision import Token
from relgraph.tuples import WILDCARD, RelationTuple, check_id

if TYPE_CHECKING:
    from relgraph.tuples import TupleFilter

__all__ = ["Cursor", "LookupCursor"]


_DAMAGED: Final = "the cursor is damaged; pass it exactly as the page before returned it"


def _spelled(*parts: str) -> str:
    """Return the text of a cursor, with a checksum."""
    body = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(binascii.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")


def _parts(text: str) -> list[str]:
    """Return what `_spelled` was given. Raises ValueError, TypeError or RecursionError for what it did not return."""
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    parts = list(map(str, json.loads(data[4:])))
    # One spelling only: several texts decode to the same bytes, and several bytes to the same parts.
    if _spelled(*parts) != text:
        raise ValueError(text)
    return parts


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
        return hashlib.sha256(json.dumps(filter_.words).encode()).hexdigest()[:16]

    @classmethod
    def after(cls, filter_: TupleFilter, token: Token, last: RelationTuple) -> Cursor:
        """Return the cursor behind `last`."""
        return cls(cls.digest_of(filter_), token, last)

    def __str__(self) -> str:
        # Its key is where it stands; what else it says may be long, and is nothing to carry about.
        return _spelled(self._digest, str(self.token), str(RelationTuple(*self.last.key)))

    @classmethod
    def parse(cls, text: str, filter_: TupleFilter) -> Cursor:
        """Read a cursor's text. Raises InvalidCursor when it is damaged or belongs to another filter."""
        try:
            digest, token, last = _parts(text)
            cursor = cls(digest, Token.parse(token), RelationTuple.parse(last))
        except (ValueError, TypeError, RecursionError, InvalidInput):
            raise InvalidCursor(_DAMAGED) from None
        if digest != cls.digest_of(filter_):
            raise InvalidCursor("the cursor belongs to another filter; keep the filter, or start without a cursor")
        return cursor


class LookupCursor:
    """Where a page of a lookup ended: the words it belongs to, the token it is pinned at, and its last id.

    The words are all that the lookup was asked with; `last` is `*` behind the first row of all.
    """

    def __init__(self, words: tuple[str, ...], token: Token, last: str) -> None:
        self.token = token
        self.last = last
        # As a list of texts the words are length-safe, so that no two lookups share a digest.
        self._digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]

    def __str__(self) -> str:
        return _spelled(self._digest, str(self.token), self.last)

    @classmethod
    def parse(cls, text: str, words: tuple[str, ...]) -> LookupCursor:
        """Read a cursor's text. Raises InvalidCursor when it is damaged or belongs to another lookup."""
        try:
            digest, token, last = _parts(text)
            cursor = cls(words, Token.parse(token), last if last == WILDCARD else check_id(last))
        except (ValueError, TypeError, RecursionError, InvalidInput):
            raise InvalidCursor(_DAMAGED) from None
        if digest != cursor._digest:
            raise InvalidCursor("the cursor belongs to another lookup; ask the same, or start without a cursor")
        return cursor

"""ZedTokens and cursors of the dialect: both are opaque to who holds them.

A ZedToken is a token of relgraph, as it is. A cursor wraps what the Authorizer goes on from, bound to the method and to
everything that it was asked with, but for its consistency: a cursor carries its own revision.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Final, Protocol

from authzed.api.v1 import core_pb2

from relgraph.errors import InvalidCursor, InvalidToken
from relgraph.revision import Token
from relgraph_server.authzed import checked

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["arguments_of", "cursor_message", "opened_cursor", "sealed_cursor", "token_of", "zed_token"]

_CURSOR_BYTES_MAX: Final = 102_400
_DIGEST_SIZE: Final = 32


class _Text(Protocol):
    """A message that is one text."""

    @property
    def token(self) -> str:
        """The text."""


def zed_token(token: str) -> core_pb2.ZedToken:
    """Build the message of a token."""
    return core_pb2.ZedToken(token=token)


def token_of(message: _Text, path: str) -> Token:
    """Read a ZedToken. Raises InvalidInput for none, and InvalidToken for what relgraph did not make."""
    if not message.token:
        raise checked.invalid(f"{path}.token", "value length must be at least 1 bytes")
    try:
        return Token.parse(message.token)
    except InvalidToken as error:
        raise InvalidToken(f"invalid revision requested: {error.message}", error.details) from None


def arguments_of(request: Message) -> str:
    """Return what binds a cursor to a request: its name and all it asks, but consistency and cursor."""
    asked = type(request)()
    asked.CopyFrom(request)
    for name in ("consistency", "optional_cursor"):
        if name in asked.DESCRIPTOR.fields_by_name:
            asked.ClearField(name)
    data = request.DESCRIPTOR.full_name.encode() + b"\n" + asked.SerializeToString(deterministic=True)
    return hashlib.sha256(data).hexdigest()[:_DIGEST_SIZE]


def sealed_cursor(kind: str, arguments: str, inner: str) -> str:
    """Return the cursor of the method `kind` that goes on from `inner`."""
    body = json.dumps([kind, arguments, inner], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(binascii.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")


def cursor_message(kind: str, arguments: str, inner: str) -> core_pb2.Cursor:
    """Build the message of such a cursor."""
    return core_pb2.Cursor(token=sealed_cursor(kind, arguments, inner))


def opened_cursor(kind: str, arguments: str, message: _Text) -> str:
    """Return what a cursor goes on from. Raises InvalidCursor for a damaged one, or one of another request."""
    text = message.token
    if not text:
        raise checked.invalid("optional_cursor.token", "value length must be at least 1 bytes")
    checked.sized(text, _CURSOR_BYTES_MAX, "optional_cursor.token")
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found_kind, found_arguments, inner = map(str, json.loads(data[4:]))
        # One spelling only: several texts decode to the same bytes.
        damaged = text != sealed_cursor(found_kind, found_arguments, inner)
    except (ValueError, TypeError, RecursionError):
        damaged, found_kind, found_arguments, inner = True, "", "", ""
    if damaged:
        raise InvalidCursor("the cursor is damaged; pass it exactly as the answer before returned it")
    if (found_kind, found_arguments) != (kind, arguments):
        raise InvalidCursor("the cursor belongs to another request; ask the same again, or start without a cursor")
    return inner

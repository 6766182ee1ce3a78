"""When: revisions, the tokens callers hold, and the consistency they ask for.

A *revision* is one committed write, a dense integer with a random nonce that chains it to its predecessor.
A *token* is what callers hold: opaque, and bound to one store, one epoch and one nonce, so that a revision number
that a failover or a copied file took again is noticed instead of believed.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from relgraph.errors import InvalidInput, InvalidToken, quoted
from relgraph.instants import instant_of, parse_moment

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Consistency", "Mode", "Revision", "Token"]

_FORMAT = 1
_LAYOUT = struct.Struct(">B16sIQ16sq")

Mode = Literal["fully_consistent", "at_least", "at_exactly", "at_time", "minimize_latency"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One committed write. `stamp` is in microseconds since 1970 UTC and never goes back; 0 is the empty store."""

    number: int
    nonce: bytes
    stamp: int


@dataclass(frozen=True, slots=True)
class Token:
    """A revision of one store, as callers hold it. `instant` is in microseconds since 1970 UTC."""

    store: bytes
    epoch: int
    revision: int
    nonce: bytes
    instant: int

    def __str__(self) -> str:
        packed = _LAYOUT.pack(_FORMAT, self.store, self.epoch, self.revision, self.nonce, self.instant)
        check = binascii.crc32(packed).to_bytes(4, "big")
        return base64.urlsafe_b64encode(packed + check).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token's text. Raises InvalidToken when relgraph did not make it."""
        problem = InvalidToken(
            f"{quoted(text, 24)} is not a token; pass one exactly as a write or a read returned it",
            {"token": text[:256]},
        )
        try:
            data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise problem from None
        if len(data) != _LAYOUT.size + 4 or binascii.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
            raise problem
        format_, store, epoch, revision, nonce, instant = _LAYOUT.unpack(data[:-4])
        if format_ != _FORMAT:
            raise problem
        return cls(store, epoch, revision, nonce, instant)


@dataclass(frozen=True, slots=True)
class Consistency:
    """Which revision a read uses; the default is the newest one. `instant` is in microseconds since 1970 UTC.

    A read uses one instant, too, and what expires counts before it only. That is now, whichever revision is read, and
    never before the token's own instant; at a time it is that time.
    """

    mode: Mode = "fully_consistent"
    token: Token | None = None
    instant: int | None = None

    def __post_init__(self) -> None:
        if (self.token is not None) != (self.mode in ("at_least", "at_exactly")):
            raise InvalidToken(f"consistency `{self.mode}` {'takes no' if self.token else 'needs a'} token")
        if (self.instant is not None) != (self.mode == "at_time"):
            raise InvalidInput(f"consistency `{self.mode}` {'needs a' if self.instant is None else 'takes no'} time")

    @classmethod
    def at_least(cls, token: Token | str) -> Consistency:
        """Any state that includes the token's write."""
        return cls("at_least", Token.parse(token) if isinstance(token, str) else token)

    @classmethod
    def at_exactly(cls, token: Token | str) -> Consistency:
        """The state right after the token's write."""
        return cls("at_exactly", Token.parse(token) if isinstance(token, str) else token)

    @classmethod
    def at_time(cls, moment: datetime | str) -> Consistency:
        """What was true at a time that has passed: the last revision stamped up to it, judged at that very instant.

        Text is written as in `2027-01-31T12:00:00Z`. A write still being committed may be stamped before a time that
        has only just passed. Raises InvalidInput for a time without a zone.
        """
        return cls("at_time", instant=instant_of(parse_moment(moment) if isinstance(moment, str) else moment))

    @classmethod
    def fully_consistent(cls) -> Consistency:
        """The newest committed state."""
        return cls()

    @classmethod
    def minimize_latency(cls) -> Consistency:
        """What this process already holds, at most a few seconds old."""
        return cls("minimize_latency")

"""Seals on cursors: what tells a page that this server began from one that somebody wrote to look into the past.

A cursor names its own revision and instant, and can be made by anybody who holds a token of that time. Where keys have
scopes, only a cursor that this process gave to the same key is good without the scope `history`.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

__all__ = ["Seals"]

_MARK: Final = "."


class Seals:
    """The seals of one process, which end with it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def _seal(self, cursor: str, name: str) -> str:
        # A key's name holds no line end, so no two pairs are one text.
        return hmac.digest(self._key, f"{name}\n{cursor}".encode("utf-8", "surrogatepass"), "sha256").hex()

    def sealed(self, cursor: str, name: str) -> str:
        """Return a cursor with the seal for the key of that name; none where there is no next page."""
        return f"{cursor}{_MARK}{self._seal(cursor, name)}" if cursor else ""

    def opened(self, text: str, name: str) -> tuple[str, bool]:
        """Return a cursor without its seal, and whether that is this process's, for the key of that name."""
        cursor, _, seal = text.partition(_MARK)
        return cursor, hmac.compare_digest(seal.encode("utf-8", "surrogatepass"), self._seal(cursor, name).encode())

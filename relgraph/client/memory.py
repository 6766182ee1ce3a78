"""What a client has seen: the newest state of any answer, so that no later question is asked of an older one.

Rule 1: it never goes back, whichever thread's answer arrives last; and it stays with one store.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from relgraph.revision import Consistency, Token

__all__ = ["Memory"]


class Memory:
    """The newest state seen. May be used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: Token | None = None

    def note(self, text: str) -> None:
        """Take the token of an answer in. Raises InvalidToken."""
        token = Token.parse(text)
        with self._lock:
            if self._newest is None:
                self._newest = token
            elif token.store == self._newest.store:
                # What had expired in one answer must not live again in the next one, whichever revision that reads.
                instant = max(token.instant, self._newest.instant)
                self._newest = replace(max(token, self._newest, key=_age), instant=instant)

    def at_least(self) -> Consistency | None:
        """Return the consistency that sees all of it; None before anything was seen."""
        newest = self._newest
        return None if newest is None else Consistency.at_least(newest)


def _age(token: Token) -> tuple[int, int]:
    return token.epoch, token.revision

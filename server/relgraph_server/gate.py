"""Who gets in: the key of each call, its scopes, its policy about actors, and what the audit log is told.

Rule 1: who gives no valid key learns nothing: not whether there is such a key, nor whether it was revoked or expired,
nor whether the request was well formed.
Rule 2: every message of a call is judged, before the service sees it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from relgraph.errors import KeyRefused, Unauthenticated
from relgraph_server.audit import AuditLog
from relgraph_server.calls import Call
from relgraph_server.dialects import RELGRAPH, SERVICE_NAME
from relgraph_server.keyring import Keyring
from relgraph_server.seals import Seals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from google.protobuf.message import Message

    from relgraph.errors import RelgraphError
    from relgraph_server.dialects import Dialect
    from relgraph_server.settings import Settings

__all__ = ["Gate", "open_gate"]

_HEADER: Final = "authorization"
_SCHEME: Final = "bearer"
_STRANGERS_MAX: Final = 100
_STRANGERS_S: Final = 60.0


class Gate:
    """Lets calls in. Without a keyring everybody is; without an audit log nothing is recorded."""

    def __init__(
        self, keyring: Keyring | None, audit: AuditLog | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._keyring = keyring
        self._audit = audit
        self._seals = Seals()
        self._strangers = _Bound(monotonic)
        self._recording: set[asyncio.Future[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether calls can be let in, and writes be recorded."""
        return (self._keyring is None or self._keyring.ready) and (self._audit is None or self._audit.ready)

    async def close(self) -> None:
        """Close the audit log, once no call is in progress and all are recorded."""
        if self._audit is not None:
            await asyncio.gather(*self._recording, return_exceptions=True)
            await asyncio.to_thread(self._audit.close)

    def call(self, method: str, peer: str, dialect: Dialect = RELGRAPH, service: str = SERVICE_NAME) -> Call:
        """Begin a call, whose key is not known yet."""
        return Call(method, peer=peer, audit=self._audit, dialect=dialect, label=dialect.label(service, method))

    def identify(self, call: Call, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Find the call's key. Raises Unauthenticated without a valid one, NotReady while keys cannot be read."""
        if self._keyring is None:
            return
        secret = _secret(metadata)
        call.key = self._keyring.find(secret)
        if call.key is None:
            raise call.dialect.stranger(blank=not secret.strip())

    def await_messages(self, call: Call) -> None:
        """Judge a call before its first message, which may never come. Raises KeyRefused for a method it may not call.

        Who may not send holds up nobody who may.
        """
        if call.key is not None:
            call.dialect.scopes.check_method(call.method, call.key.scopes)

    def admit(self, call: Call, message: Message) -> None:
        """Judge a message of the call. Raises KeyRefused for what its key is not made for."""
        if call.writes and not call.told:
            call.told = call.dialect.summary(message)
        if self._keyring is None or call.key is None:
            return
        call.dialect.scopes.check(call.method, message, call.key.scopes)
        asked = call.dialect.cursor_asked(message)
        if asked is not None and (text := getattr(*asked)):
            cursor, ours = self._seals.opened(text, call.key.name)
            setattr(*asked, cursor)
            if not ours and not call.key.scopes & {"history", "admin"}:
                raise KeyRefused(
                    "the cursor is not one that this server gave to the key, and others read the past, which needs the "
                    "scope `history`; start from the first page, or use a key that has it",
                    {"scope": "history", "method": call.method, "field": "cursor"},
                )
        if call.writes:
            _check_actor(call, message)

    def seal(self, call: Call, reply: Message) -> None:
        """Mark what an answer holds that only this caller may come back with."""
        told = None if call.key is None else call.dialect.cursor_told(reply)
        if told is not None and call.key is not None:
            setattr(*told, self._seals.sealed(getattr(*told), call.key.name))

    def renew(self, call: Call) -> None:
        """Judge once more, in the middle of a stream, whether its key is valid. Raises Unauthenticated, NotReady."""
        if self._keyring is not None and (call.key is None or not self._keyring.holds(call.key)):
            raise Unauthenticated("the key that this stream was opened with is not valid any more; use another one")

    async def failed(self, call: Call, error: RelgraphError) -> None:
        """Record a call that was refused or did not come to its write."""
        refused = isinstance(error, Unauthenticated | KeyRefused)
        if self._audit is None or not (refused or call.writes):
            return
        if self._keyring is not None and call.key is None:
            if not self._strangers.one_more():
                return
            if self._strangers.untold:
                call.told = {"unrecorded": self._strangers.take()}
        if call.claim():
            await asyncio.shield(self._record(call, error.code))

    def abandoned(self, call: Call) -> None:
        """Record a write whose caller went before it was begun. Its task is cancelled, so nothing is waited for."""
        if self._audit is not None and call.writes and call.claim():
            self._record(call, "CANCELLED")

    def _record(self, call: Call, outcome: str) -> asyncio.Future[None]:
        """Write a call's entry in a thread, whatever becomes of the caller's task."""
        work = asyncio.get_running_loop().run_in_executor(None, call.record, outcome)
        self._recording.add(work)
        work.add_done_callback(self._recording.discard)
        return work


def open_gate(settings: Settings) -> Gate:
    """Return the gate of the settings. Raises InvalidSetting or InvalidFile for files that cannot be used."""
    keyring = Keyring(settings.keys, _now) if settings.keys else None
    return Gate(keyring, AuditLog(settings.audit, _now) if settings.audit else None)


def _now() -> int:
    return time.time_ns() // 1000


def _secret(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return what was sent as a key; empty for none, and for two, of which it would be unclear who speaks."""
    given = [value for name, value in metadata if name == _HEADER]
    if len(given) != 1 or not isinstance(given[0], str):
        return ""
    scheme, _, secret = given[0].partition(" ")
    return secret if scheme.lower() == _SCHEME else ""


def _check_actor(call: Call, message: Message) -> None:
    assert call.key is not None
    if call.key.actor == "optional":
        return
    if not call.dialect.actors:
        if call.key.actor == "required":
            raise KeyRefused(
                "the key writes in somebody's name only, and this dialect has no way to name one; write through "
                "relgraph.v1, or use a key whose actor is `optional` or `forbidden`"
            )
        return
    holder = message
    if call.method == "Import":
        if call.judged:
            return  # options in a later message are refused by the service, whatever they say
        call.judged = True
        holder = message.options  # type: ignore[attr-defined]  # an ImportRequest's
    named = holder.HasField("actor")
    if call.key.actor == "forbidden" and named:
        raise KeyRefused(
            "the key may not write in anybody's name, and the request names an actor; leave the actor out, or use a "
            "key whose actor is `optional`",
            {"field": "actor"},
        )
    if call.key.actor == "required" and (call.method == "WriteSchema" or not named or not holder.actor):  # type: ignore[attr-defined]
        raise KeyRefused(
            "the key writes in somebody's name only, and "
            + ("a schema has no actor" if call.method == "WriteSchema" else "the request names no actor")
            + "; name one, or use a key whose actor is `optional` or `forbidden`",
            {"field": "actor"},
        )


class _Bound:
    """Bounds how many refusals of strangers are recorded in a while: anybody at all can cause them."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._count = 0
        self.untold = 0

    def one_more(self) -> bool:
        """Whether one more is recorded; those that are not are counted."""
        now = self._monotonic()
        if now - self._began >= _STRANGERS_S:
            self._began, self._count = now, 0
        self._count += 1
        if self._count > _STRANGERS_MAX:
            self.untold += 1
            return False
        return True

    def take(self) -> int:
        """Return how many were not recorded, and begin to count anew."""
        untold, self.untold = self.untold, 0
        return untold

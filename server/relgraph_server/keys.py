"""Keys: who may call a server, and what for. Only a hash of a key's secret is ever kept.

The secret is 32 random bytes, so one round of SHA-256 is the right hash: there is no dictionary to try, and a slow one
would only slow each call. It is shown once, when the key is made, and is nowhere to be found afterwards.

Rule 1: whether a secret belongs to a key is found out in constant time, over all keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from relgraph.errors import InvalidInput, did_you_mean, quoted
from relgraph.instants import instant_of, instant_text, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

__all__ = ["ACTORS", "SCOPES", "ActorPolicy", "Key", "find_key", "key_of", "new_key"]

SCOPES: Final = ("check", "list", "explain", "history", "contextual", "read", "write", "schema", "admin")
"""What a key can be made for; `admin` is all of it."""

ActorPolicy: TypeAlias = Literal["required", "optional", "forbidden"]
"""Whether a write made with the key has to name an actor, whose rights are judged, or must not."""

ACTORS: Final[tuple[ActorPolicy, ...]] = get_args(ActorPolicy)

_PREFIX: Final = "rg_"
_SECRET_BYTES: Final = 32
_SECRET: Final = re.compile(r"rg_[A-Za-z0-9_-]{43}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = ("name", "sha256", "scopes", "actor", "created", "expires", "revoked")


@dataclass(frozen=True, slots=True)
class Key:
    """One key, as the file has it. `digest` is the SHA-256 of its secret, in hexadecimal."""

    name: str
    digest: str
    scopes: frozenset[str]
    actor: ActorPolicy
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    def valid_at(self, now: int) -> bool:
        """Whether the key opens anything at that instant, in microseconds since 1970 UTC."""
        return self.revoked is None and (self.expires is None or now < instant_of(self.expires))

    @property
    def line(self) -> str:
        """The key as a line of its file."""
        shape = {
            "name": self.name,
            "sha256": self.digest,
            "scopes": [scope for scope in SCOPES if scope in self.scopes],
            "actor": self.actor,
            "created": instant_text(self.created),
            "expires": None if self.expires is None else instant_text(self.expires),
            "revoked": None if self.revoked is None else instant_text(self.revoked),
        }
        return json.dumps(shape) + "\n"


def _digest_of(secret: str) -> str:
    """Return what the file keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(
    name: str,
    scopes: Sequence[str],
    actor: str,
    *,
    now: datetime,
    expires: datetime | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> tuple[Key, str]:
    """Return a new key and its secret. Raises InvalidInput for a name, scope or policy that cannot be used."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{quoted(name)} is no name for a key; use 1 to 128 letters, digits and `._@/-`, as in `billing`"
        )
    if not scopes:
        raise InvalidInput(f"the key has no scope, so it would open nothing; give some of {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise InvalidInput(f"there is no scope {quoted(scope)}{did_you_mean(scope, SCOPES)}", {"scope": scope})
    if actor not in ACTORS:
        raise InvalidInput(f"a key cannot have its actor {quoted(actor)}{did_you_mean(actor, ACTORS)}")
    if expires is not None and instant_of(expires) <= instant_of(now):
        raise InvalidInput(f"{quoted(instant_text(expires))} has passed; let the key expire later")
    secret = _PREFIX + base64.urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode("ascii")
    return Key(name, _digest_of(secret), frozenset(scopes), actor, now, expires), secret


def find_key(keys: Sequence[Key], secret: str, now: int) -> Key | None:
    """Return the valid key that a secret belongs to, None without one.

    All keys are compared, and each in constant time: how long it takes tells nothing about which is close.
    """
    given = _digest_of(secret) if _SECRET.fullmatch(secret) else ""
    found: Key | None = None
    for key in keys:
        if hmac.compare_digest(key.digest, given):
            found = key
    return found if found is not None and found.valid_at(now) else None


def key_of(shape: object) -> Key:
    """Read a key from the JSON of its line. Raises InvalidInput, which shows nothing of it but the name of a field."""
    if not isinstance(shape, dict) or sorted(shape) != sorted(_FIELDS):
        raise InvalidInput(f"a key has the fields {', '.join(_FIELDS)}, and no others")
    name, digest, scopes, actor = shape["name"], shape["sha256"], shape["scopes"], shape["actor"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput("the key's `name` cannot be used")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidInput("the key's `sha256` is not 64 hexadecimal digits in lower case")
    if not isinstance(scopes, list) or not scopes or not all(scope in SCOPES for scope in scopes):
        raise InvalidInput(f"the key's `scopes` are not a list of {', '.join(SCOPES)}")
    if actor not in ACTORS:
        raise InvalidInput(f"the key's `actor` is not one of {', '.join(ACTORS)}")
    created = _moment(shape, "created")
    if created is None:
        raise InvalidInput("the key's `created` is missing")
    policy = cast("ActorPolicy", actor)
    expires, revoked = _moment(shape, "expires"), _moment(shape, "revoked")
    return Key(name, digest, frozenset(scopes), policy, created, expires, revoked)


def _moment(shape: dict[str, object], name: str) -> datetime | None:
    value = shape[name]
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInput(f"the key's `{name}` is not a point in time")
    return parse_moment(value)

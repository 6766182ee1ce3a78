"""Where a SpiceDB is, and how it is reached: `spicedb://host:port?token=…&tls_ca=…`.

Rule 1: what is behind `?` is never told again: a key stands there, and whoever mistypes a name still writes a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote

from relgraph.dialing import Access, credentials_of
from relgraph.errors import InvalidSetting, did_you_mean, quoted

__all__ = ["SCHEME", "Address"]

SCHEME: Final = "spicedb://"

_PLACE: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]+")
_SWITCHES: Final = ("insecure", "tls")
_PARAMETERS: Final = (*_SWITCHES, "tls_ca", "tls_cert", "tls_key", "token", "token_file")
_KEY_BYTES_MAX: Final = 4_096
_FORM: Final = "write `spicedb://HOST:PORT?token=KEY`, with `&insecure`, `&tls` or `&tls_ca=FILE`"


@dataclass(frozen=True, slots=True)
class Address:
    """`HOST:PORT` of a server and what is shown and trusted there. Its text is without any secret."""

    target: str
    access: Access = field(default=Access(), repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL. `token_file` names a file in place of the key. Raises InvalidSetting, which tells no value."""
        base, _, query = url.removeprefix(SCHEME).partition("?")
        target = base.removesuffix("/")
        if not url.startswith(SCHEME) or not _PLACE.fullmatch(target):
            # Not shown: what is no address may hold a key anywhere.
            raise InvalidSetting(f"the URL of the SpiceDB cannot be read; {_FORM}")
        given = _parameters(query)
        if "token" in given and "token_file" in given:
            raise InvalidSetting("the URL of the SpiceDB names `token` and `token_file`; keep one")
        token = _key_of(given["token_file"]) if "token_file" in given else given.get("token", "")
        access = Access(
            token=token,
            tls="tls" in given,
            tls_ca=given.get("tls_ca", ""),
            tls_cert=given.get("tls_cert", ""),
            tls_key=given.get("tls_key", ""),
            insecure="insecure" in given,
        )
        credentials_of(target, access)
        return cls(target, access)

    def __str__(self) -> str:
        return f"{SCHEME}{self.target}"


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        if name not in _PARAMETERS:
            # A key may have been written where a name belongs.
            hint = did_you_mean(name, _PARAMETERS) if equals and name.isalpha() else did_you_mean("", _PARAMETERS)
            raise InvalidSetting(f"the URL of the SpiceDB has a parameter that is not known{hint}")
        if name in found:
            raise InvalidSetting(f"the URL of the SpiceDB has two {quoted(name)}; keep one")
        if name in _SWITCHES:
            if value.lower() not in ("", "true"):
                raise InvalidSetting(f"{quoted(name)} takes no value in the URL of the SpiceDB; write it or leave it")
        elif not value:
            raise InvalidSetting(f"{quoted(name)} is empty in the URL of the SpiceDB; give a value or leave it out")
        found[name] = unquote(value)
    return found


def _key_of(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_KEY_BYTES_MAX + 1).decode("ascii").strip()
    except (OSError, ValueError) as problem:
        why = (getattr(problem, "strerror", None) or "it is not one line of ASCII").lower()
        raise InvalidSetting(
            f"the key in {quoted(path)} cannot be read: {why}; check the path", {"file": path}
        ) from None

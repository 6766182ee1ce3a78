"""URLs as people may see them: in errors, logs and listings, where a password has no business."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

__all__ = ["without_password"]

# Between the first `:` behind the scheme and the last `@`: a password that was not encoded may hold any character, and
# the rest of it must not be taken for a host. The scheme may be another program's (`postgresql+psycopg`), or mistyped.
_BEHIND_USER: Final = re.compile(r"(?s)^((?:[\w+.-]*+:(?=/))?+/*[^:@?/]*):.*@")
# Mistyped names included: what they hold is a password all the same.
_SECRET: Final = re.compile(r"(?i)pas|pwd|secret|scram|tok")
# Each word is looked at once, however long it is: what stands for a URL may be anything.
_WORD: Final = re.compile(r"(?<!\w)\w++\s*+=\s*+")
_VALUE: Final = re.compile(r"'[^']*'|\S+")


def without_password(url: str) -> str:
    """Return the URL of a store without what is, or may be, a password in it.

    A connection string (`host=… password=…`) in the place of a URL loses its password, too.
    """
    base, _, query = _BEHIND_USER.sub(r"\1@", url).partition("?")
    if "://" not in base:
        base = _without_secret_words(base)
    kept = [part for part in re.split("[&;]", query) if part and not _SECRET.search(unquote(part.partition("=")[0]))]
    return "?".join((base, "&".join(kept))) if kept else base


def _without_secret_words(text: str) -> str:
    kept, at = [], 0
    for word in _WORD.finditer(text):
        if word.start() >= at and _SECRET.search(word[0]):
            kept.append(text[at : word.start()])
            value = _VALUE.match(text, word.end())
            at = value.end() if value else word.end()
    return "".join((*kept, text[at:]))

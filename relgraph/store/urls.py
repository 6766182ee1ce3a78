"""URLs as people may see them: in errors, logs and listings, where a password has no business."""

from __future__ import annotations

import re

__all__ = ["without_password"]


def without_password(url: str) -> str:
    """Return the URL of a store without what is, or may be, a password in it.

    Everything between the first `:` behind the scheme and the last `@` goes: a password that was not encoded may hold
    any character, and the rest of it must not be taken for a host.
    """
    url = re.sub(r"(?s)^(\w*://[^:@?]*):.*@", r"\1@", url)
    return re.sub(r"(?i)([?&])[^=&]*password=[^&]*&?", r"\1", url).rstrip("?&")

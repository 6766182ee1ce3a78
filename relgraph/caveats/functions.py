"""What `in_cidr` and `isSubtreeOf` do, for whichever engine calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

__all__ = ["in_cidr", "is_subtree_of"]

_CIDR: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}/[0-9]{1,3}")


@lru_cache(maxsize=1024)
def _network(cidr: str) -> IPv4Network | IPv6Network:
    """Return a network; bits beyond its prefix do not matter. Raises ValueError, without the text."""
    if not _CIDR.fullmatch(cidr):
        raise ValueError("no network")
    try:
        return ip_network(cidr, strict=False)
    except ValueError:
        raise ValueError("no network") from None


def in_cidr(address: str, cidr: str) -> bool:
    """Return whether an address, in its one spelling, is of a network. Raises ValueError for what is no network."""
    return ip_address(address) in _network(cidr)


def is_subtree_of(part: Mapping[str, object], whole: Mapping[str, object]) -> bool:
    """Return whether all that a map says, another says as well, maps within them compared in the same way."""
    for key, value in part.items():
        if key not in whole:
            return False
        other = whole[key]
        if isinstance(value, Mapping):
            if not isinstance(other, Mapping) or not is_subtree_of(value, other):
                return False
        elif not _same(value, other):
            return False
    return True


def _same(one: object, other: object) -> bool:
    """Return whether two values are equal as CEL has it: a boolean is no number, whatever Python says."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return len(one) == len(other) and all(key in other and _same(value, other[key]) for key, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and one == other

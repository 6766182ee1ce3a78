"""A context's JSON to the values of parameters, each by its declared type.

Rule 1: an error names the parameter and its type, never the value.
Rule 2: nothing is guessed: a text is a number only where a number is wanted, null is a value of `any` alone, and a
boolean is no number.
Rule 3: a number within `any` is a double, as on the wire, so that 1 and 1.0 say the same.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from math import isfinite
from typing import TYPE_CHECKING, Final, NoReturn

from relgraph.errors import InvalidContext, InvalidInput, quoted
from relgraph.instants import parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from relgraph.caveats.types import ParameterType

__all__ = ["converted"]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")
_DURATION: Final = re.compile(r"[+-]?(?:(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:ns|us|µs|μs|ms|s|m|h))+|[+-]?0")
_PART: Final = re.compile(r"([0-9]*)\.?([0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_INT_MAX: Final = 2**63 - 1
_DURATION_CHARACTERS_MAX: Final = 200
_WANTED: Final = {
    "bool": "true or false",
    "bytes": "a text in base64",
    "double": "a number",
    "duration": "a text such as `1h30m` or `250ms`",
    "int": "a whole number of 64 bits",
    "ipaddress": "a text such as `10.0.0.1` or `2001:db8::1`",
    "list": "a list",
    "map": "an object of names and values",
    "string": "a text",
    "timestamp": "a text such as `2027-01-31T12:00:00Z`",
    "uint": "a whole number that is not negative",
}


def converted(name: str, type_: ParameterType, value: object) -> object:
    """Return the value of the parameter `name` as its type has it. Raises InvalidContext."""
    try:
        return _value(type_, value)
    except _Unfit as unfit:
        inside = "" if unfit.type is type_ else f", with {quoted(str(unfit.type))} inside"
        message = (
            f"the value of {quoted(name)} does not fit its type {quoted(str(type_))}{inside}: "
            f"it takes {_WANTED[unfit.type.name]}"
        )
        raise InvalidContext(message, {"parameter": name, "type": str(type_)}) from None


class _Unfit(Exception):  # noqa: N818  # a remark on the way up, never seen outside
    """A value is none of its type."""

    def __init__(self, type_: ParameterType) -> None:
        super().__init__()
        self.type = type_


def _value(type_: ParameterType, value: object) -> object:
    if type_.name == "any":
        return _any(value)
    if type_.inner is not None:
        if type_.name == "list" and isinstance(value, list):
            return [_value(type_.inner, each) for each in value]
        if type_.name == "map" and isinstance(value, dict):
            return {key: _value(type_.inner, each) for key, each in value.items()}
        raise _Unfit(type_)
    try:
        return _SCALARS[type_.name](value)
    except (ValueError, InvalidInput):
        raise _Unfit(type_) from None


def _any(value: object) -> object:
    if isinstance(value, list):
        return [_any(each) for each in value]
    if isinstance(value, dict):
        return {key: _any(each) for key, each in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unfit() -> NoReturn:
    raise ValueError


def _bool(value: object) -> bool:
    return value if isinstance(value, bool) else _unfit()


def _string(value: object) -> str:
    return value if isinstance(value, str) else _unfit()


def _int(value: object) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        found = int(value)
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        _unfit()
    return found if -_INT_MAX - 1 <= found <= _INT_MAX else _unfit()


def _uint(value: object) -> int:
    found = _int(value)
    return found if found >= 0 else _unfit()


def _double(value: object) -> float:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        _unfit()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        _unfit()
    found = float(value)
    return found if isfinite(found) else _unfit()


def _bytes(value: object) -> bytes:
    try:
        return b64decode(_string(value), validate=True)
    except binascii.Error:
        _unfit()


def _duration(value: object) -> timedelta:
    """Read Go's spelling; what is finer than a microsecond is cut off."""
    text = _string(value)
    if len(text) > _DURATION_CHARACTERS_MAX or not _DURATION.fullmatch(text):
        _unfit()
    total = 0
    for whole, fraction, unit in _PART.findall(text):
        total += int(whole or "0") * _NANOSECONDS[unit]
        total += int(fraction or "0") * _NANOSECONDS[unit] // 10 ** len(fraction)
    if total > _INT_MAX:
        _unfit()
    return timedelta(microseconds=-(total // 1_000) if text[0] == "-" else total // 1_000)


def _timestamp(value: object) -> datetime:
    return parse_moment(_string(value))


def _ipaddress(value: object) -> str:
    """Return an address in its one spelling; one of IPv4 within IPv6 is the one of IPv4."""
    found = ip_address(_string(value))
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            _unfit()
        found = found.ipv4_mapped or found
    return str(found)


_SCALARS: Final[dict[str, Callable[[object], object]]] = {
    "bool": _bool,
    "bytes": _bytes,
    "double": _double,
    "duration": _duration,
    "int": _int,
    "ipaddress": _ipaddress,
    "string": _string,
    "timestamp": _timestamp,
    "uint": _uint,
}

"""A context's JSON to the values of parameters, each by its declared type.

Rule 1: an error names the parameter and its type, never the value.
Rule 2: nothing is guessed: a text is a number only where a number is wanted, null is a value of `any` alone, and a
boolean is no number.
Rule 3: a number within `any` is a double, as on the wire, so that 1 and 1.0 say the same.
Rule 4: what the C++ library would take for something else never reaches it: it ends texts and bytes at a zero, and
takes the first instant of the year 1 for the infinite past and fractions far from today for a second more.
"""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import isfinite
from typing import TYPE_CHECKING, Final, NoReturn

from relgraph.errors import InvalidContext, InvalidInput, quoted
from relgraph.instants import parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.caveats.types import ParameterType

__all__ = ["converted", "duration"]

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
_EXACT: Final = (1800, 2200)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_WANTED: Final = {
    "bool": "true or false",
    "bytes": "a text in base64",
    "double": "a number",
    "duration": "a text such as `1h30m` or `250ms`",
    "int": "a whole number of 64 bits",
    "ipaddress": "a text such as `10.0.0.1` or `2001:db8::1`",
    "list": "a list",
    "any": "anything, its texts without zero characters",
    "map": "an object of names and values, the names without zero characters",
    "string": "a text without zero characters",
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


class _Unfit(Exception):
    """A value is none of its type."""

    def __init__(self, type_: ParameterType) -> None:
        super().__init__()
        self.type = type_


def _value(type_: ParameterType, value: object) -> object:
    try:
        return _fitting(type_, value)
    except (ValueError, InvalidInput):
        raise _Unfit(type_) from None


def _fitting(type_: ParameterType, value: object) -> object:
    """Return the value. Raises _Unfit for one inside, and ValueError or InvalidInput for this one."""
    if type_.name == "any":
        return _any(value)
    if type_.inner is not None:
        if type_.name == "list" and isinstance(value, list):
            return [_value(type_.inner, each) for each in value]
        if type_.name == "map" and isinstance(value, dict):
            return {_string(key): _value(type_.inner, each) for key, each in value.items()}
        _unfit()
    return _SCALARS[type_.name](value)


def _any(value: object) -> object:
    if isinstance(value, list):
        return [_any(each) for each in value]
    if isinstance(value, dict):
        return {_string(key): _any(each) for key, each in value.items()}
    if isinstance(value, str):
        return _string(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unfit() -> NoReturn:
    raise ValueError


def _bool(value: object) -> bool:
    return value if isinstance(value, bool) else _unfit()


def _string(value: object) -> str:
    return value if isinstance(value, str) and "\0" not in value else _unfit()


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        _unfit()
    whole = _WHOLE.fullmatch(value) is not None if isinstance(value, str) else value % 1 == 0
    found = int(value) if whole else _unfit()
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


def _bytes(value: object) -> bytearray:
    # As an array, all of them arrive; see Rule 4.
    return bytearray(b64decode(_string(value), validate=True))


def duration(text: str) -> timedelta:
    """Read Go's spelling; what is finer than a microsecond is cut off. Raises ValueError."""
    if len(text) > _DURATION_CHARACTERS_MAX or not _DURATION.fullmatch(text):
        _unfit()
    total = 0
    for whole, fraction, unit in _PART.findall(text):
        total += int(whole or "0") * _NANOSECONDS[unit]
        total += int(fraction or "0") * _NANOSECONDS[unit] // 10 ** len(fraction)
    if total > _INT_MAX:
        _unfit()
    return timedelta(microseconds=-(total // 1_000) if text[0] == "-" else total // 1_000)


def _duration(value: object) -> timedelta:
    return duration(_string(value))


def _timestamp(value: object) -> datetime:
    """Read RFC 3339; far from today, whole seconds count."""
    found = parse_moment(_string(value))
    if found == _FIRST:
        _unfit()
    return found if _EXACT[0] < found.year < _EXACT[1] else found.replace(microsecond=0)


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

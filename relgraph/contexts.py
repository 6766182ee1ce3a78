"""Contexts: the values that a caveat's parameters are given, by a tuple or by a request.

    Context.of({"limit": 1000, "days": ["mon", "tue"]})
    str(context)                            {"days":["mon","tue"],"limit":1000}

Rule 1: one context has one text, its canonical JSON: keys sorted, no spaces, ASCII only. Equal contexts have equal
texts and others have others, so the text is what is stored, compared and hashed.
Rule 2: a number is a double, as on the wire, so that 1 and 1.0 are one value. What a double cannot hold exactly is
refused, never rounded. True is not 1, and null is not absent.
Rule 3: an error names the parameter, never its value.
What the parameters of a caveat are, and which values suit them, is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache, total_ordering
from math import isfinite
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from relgraph.errors import InvalidContext, StoreFormat, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["EMPTY", "Context", "Json", "Pairs", "decoded"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value of JSON. A whole number of at most 2**53 is always an int, any other number a float."""

DEPTH_MAX: Final = 32
"""How deep objects and lists may stand in each other, the context itself included; protobuf reads little more."""

EXACT_MAX: Final = 2**53
"""Up to here every whole number is a double."""

_CANONICAL: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)
_KEPT: Final = 4096


class Pairs(list[tuple[str, object]]):
    """A JSON object as it stands in a text, so that a key written twice is seen."""


class _Inexact:
    """What a text has in place of a number that no double is."""


_INEXACT: Final = _Inexact()
_DIGITS_MAX: Final = len(str(EXACT_MAX)) + 1


def _whole(digits: str) -> int | _Inexact:
    # No longer text can be exact, and to read it would take its time.
    return int(digits) if len(digits) <= _DIGITS_MAX else _INEXACT


_DECODER: Final = json.JSONDecoder(object_pairs_hook=Pairs, parse_int=_whole, parse_constant=lambda _: _INEXACT)


def decoded(text: str) -> object:
    """Read JSON as it stands: each object is a `Pairs`, and `Context.of` refuses a number that no double is exactly.

    Raises json.JSONDecodeError, and RecursionError for what is nested without end.
    """
    value: object = _DECODER.decode(text)
    return value


@total_ordering
class Context(Mapping[str, Json]):
    """Values by the names of parameters; immutable. `str(context)` is its canonical JSON.

    Two contexts are equal when they say the same, and a context equals a `dict` from which the same would be made.
    """

    __slots__ = ("_text", "_values")

    _text: str
    _values: dict[str, Json] | None

    @classmethod
    def of(cls, value: Mapping[str, object] | Pairs | Context | None, size_max: int | None = None) -> Context:
        """Return the context of a mapping, or of pairs as `decoded`; None is the empty one. Raises InvalidContext.

        `size_max` is how long the canonical text may be.
        """
        if isinstance(value, Context):
            made = value
        elif value is None:
            made = EMPTY
        elif isinstance(value, Mapping | Pairs):
            made = cls._made(value.items() if isinstance(value, Mapping) else value, size_max)
        else:
            raise InvalidContext(f"a context is an object of names and values, not {_named(value)}")
        if size_max is not None and len(str(made)) > size_max:
            _refuse_size(size_max)
        return made

    @classmethod
    def parse(cls, text: str) -> Context:
        """Read a JSON object. Raises InvalidContext."""
        try:
            value = decoded(text)
        except json.JSONDecodeError as error:
            # Some of its messages end as this one goes on.
            problem = (error.msg[:1].lower() + error.msg[1:]).removesuffix(" at")
            raise InvalidContext(
                f"the context is not JSON: {problem} at character {error.pos + 1}; write an object, as in "
                '`{"limit":1000}`'
            ) from None
        except RecursionError:
            raise InvalidContext(f"the context is nested deeper than {DEPTH_MAX} levels; write it flatter") from None
        if not isinstance(value, Pairs):
            raise InvalidContext('a context is a JSON object of names and values, as in `{"limit":1000}`')
        return cls._made(value, None)

    @classmethod
    def stored(cls, data: bytes | None) -> Context:
        """Return the context of what `as_stored` said: it is not looked at before it is needed."""
        return EMPTY if data is None else _kept(data)

    @property
    def as_stored(self) -> bytes | None:
        """The canonical text as a store keeps it: nothing for the empty context."""
        return self._text.encode() if self else None

    @classmethod
    def _made(cls, pairs: Iterable[tuple[object, object]], size_max: int | None) -> Context:
        values = _Freezing(size_max).whole(pairs)
        return _new(_CANONICAL.encode(values), values) if values else EMPTY

    def _read(self) -> dict[str, Json]:
        values = self._values
        if values is None:
            try:
                values = dict(Context.parse(self._text))
            except InvalidContext as error:
                raise _damaged() from error
            object.__setattr__(self, "_values", values)
        return values

    def __getitem__(self, name: str) -> Json:
        value = self._read()[name]
        # INVARIANT: nobody gets hold of what is inside, else one could change a context that another one holds.
        return deepcopy(value) if isinstance(value, (list, dict)) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __bool__(self) -> bool:
        return self is not EMPTY

    def __contains__(self, name: object) -> bool:
        return name in self._read()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a context cannot be changed; make another one to set {quoted(name)}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Context):
            return self._text == other._text
        if isinstance(other, dict):
            try:
                return self._text == Context.of(other)._text
            except InvalidContext:
                return False
        return NotImplemented

    def __lt__(self, other: Context) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return self._text < other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Context.parse, (self._text,)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Context({self._text})"


def _new(text: str, values: dict[str, Json] | None) -> Context:
    made = object.__new__(Context)
    object.__setattr__(made, "_text", text)
    object.__setattr__(made, "_values", values)
    return made


EMPTY: Final = _new("{}", {})
"""The context without any value; there is only this one."""


@lru_cache(maxsize=_KEPT)
def _kept(data: bytes) -> Context:
    # Very many tuples carry one of few contexts.
    try:
        return _new(data.decode("ascii"), None)
    except UnicodeDecodeError as error:
        raise _damaged() from error


def _damaged() -> StoreFormat:
    return StoreFormat(
        "the store is damaged: a tuple's context is not what was written; verify it, and restore it from a backup"
    )


class _Freezing:
    """Copies what a context is to hold, and refuses what it cannot."""

    def __init__(self, size_max: int | None) -> None:
        self._size_max = size_max
        self._met = 0
        self._parameter = ""

    def whole(self, pairs: Iterable[tuple[object, object]]) -> dict[str, Json]:
        """Return the values by their names."""
        values: dict[str, Json] = {}
        for key, value in pairs:
            self._parameter = ""
            name = self._name(key, values)
            self._parameter = name
            values[name] = self._value(value, 1)
        return values

    def _value(self, value: object, depth: int) -> Json:
        self._met += 1
        # Each value takes a character at least: what refers to one part over and over ends here, not in the memory.
        if self._size_max is not None and self._met > self._size_max:
            _refuse_size(self._size_max)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, (int, float)):
            return self._number(value)
        if isinstance(value, (Mapping, list, tuple)):
            return self._container(value, depth + 1)
        if value is _INEXACT:
            self._refuse_number()
        return self._refuse(f"holds {_named(value)}, which JSON has not; write it as text")

    def _container(
        self, value: Mapping[object, object] | list[object] | tuple[object, ...] | Pairs, depth: int
    ) -> list[Json] | dict[str, Json]:
        if depth > DEPTH_MAX:
            self._refuse(f"is nested deeper than {DEPTH_MAX} levels; write it flatter")
        if isinstance(value, Mapping):
            return self._object(value.items(), depth)
        if isinstance(value, Pairs):
            return self._object(value, depth)
        return [self._value(each, depth) for each in value]

    def _object(self, pairs: Iterable[tuple[object, object]], depth: int) -> dict[str, Json]:
        values: dict[str, Json] = {}
        for key, value in pairs:
            values[self._name(key, values)] = self._value(value, depth)
        return values

    def _name(self, key: object, known: Mapping[str, Json]) -> str:
        if not isinstance(key, str):
            self._refuse(f"has {_named(key)} as a key; a key is text")
        name = self._text(str.__str__(key))
        if name in known:
            self._refuse(f"has the key {quoted(name)} twice; keep one")
        return name

    def _text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._refuse("holds half of a surrogate pair, which is not text; write the whole character")
        return text

    def _number(self, value: float) -> int | float:
        # Beyond the bound a double is whole as well, and stays one: its text says that it is not meant digit by digit.
        if isinstance(value, int) or not isfinite(value):
            if not -EXACT_MAX <= value <= EXACT_MAX:
                self._refuse_number()
            return int(value)
        return int(value) if value.is_integer() and abs(value) <= EXACT_MAX else float(value)

    def _refuse_number(self) -> NoReturn:
        self._refuse("holds a number that no double is exactly (beyond 2**53, or not finite); write it as text")

    def _refuse(self, problem: str) -> NoReturn:
        if not self._parameter:
            raise InvalidContext(f"the context {problem}")
        raise InvalidContext(f"the parameter {quoted(self._parameter)} {problem}", {"parameter": self._parameter})


def _refuse_size(size_max: int) -> NoReturn:
    raise InvalidContext(
        f"the context takes more than {size_max} bytes as JSON; give shorter values", {"size_max": str(size_max)}
    )


def _named(value: object) -> str:
    return f"a Python {quoted(type(value).__name__)}"

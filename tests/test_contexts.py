"""Contexts: one text for what is said, both ways, and nothing in them that JSON or a double cannot hold."""

from __future__ import annotations

import copy
import json
import pickle
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.contexts import DEPTH_MAX, EMPTY, Context, Json
from relgraph.errors import InvalidContext, StoreFormat

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = (
    st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0])
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


def _same(one: object, other: object) -> bool:
    """Whether two values say the same, told from the values themselves: a bool is no number, 1 and 1.0 are one."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    return type(one) is type(other) and one == other


@given(OBJECTS)
def test_a_context_is_its_text(values: dict[str, object]) -> None:
    """What is printed reads back to the same context, is plain JSON on one line of ASCII, and says what was given."""
    context = Context.of(values)
    text = str(context)
    assert Context.parse(text) == Context.stored(context.as_stored) == Context.of(context) == context == values
    assert hash(Context.parse(text)) == hash(context)
    assert str(Context.parse(text)) == text == str(Context.of(dict(context)))
    assert text.isascii()
    assert text.isprintable()
    assert _same(json.loads(text), values)
    assert _same(dict(context), values)


@given(OBJECTS, OBJECTS, st.data())
def test_contexts_are_equal_when_their_texts_are(
    one: dict[str, object], other: dict[str, object], data: st.DataObject
) -> None:
    """Two contexts have one text if and only if they say the same, and their order is that of their texts."""
    if data.draw(st.booleans()) and one:
        other = {**one, data.draw(st.sampled_from(sorted(one))): data.draw(VALUES)}
    first, second = Context.of(one), Context.of(other)
    assert (first == second) == (str(first) == str(second)) == _same(one, other)
    assert (first < second) == (str(first) < str(second))
    assert sorted([first, second], key=str) == sorted([second, first])


def test_values_that_look_alike_are_told_apart() -> None:
    """1 and 1.0 are one value, zero has no sign; true, "1", null and absent are values of their own."""
    assert Context.of({"n": 1}) == Context.of({"n": 1.0}) == Context.parse('{"n": 1e0}') == Context.parse('{"n":1.0}')
    assert str(Context.of({"n": -0.0})) == str(Context.parse('{"n":-0.0}')) == '{"n":0}'
    assert type(Context.of({"n": 3.0})["n"]) is int
    apart: list[dict[str, object]] = [
        {}, {"n": 1}, {"n": True}, {"n": "1"}, {"n": None}, {"n": [1]}, {"n": {"n": 1}}, {"n": 0}, {"n": False},
        {"n": []}, {"n": {}}, {"n": ""}, {"n": 1.5}, {"n": "null"}, {"N": 1},
    ]  # fmt: skip
    assert len({str(Context.of(each)) for each in apart}) == len({Context.of(each) for each in apart}) == len(apart)
    for each in apart:
        assert [Context.of(other) == each for other in apart].count(True) == 1
    assert Context.of({"n": 1}) != {"n": b"1"}
    assert Context.of({"n": 1}) != '{"n":1}'


def test_the_largest_numbers_are_exact() -> None:
    """Up to 2**53 every whole number is kept; a double beyond that stays a double, a whole number does not."""
    assert Context.of({"n": 2**53})["n"] == 2**53
    assert Context.parse('{"n":-9007199254740992}')["n"] == -(2**53)
    assert Context.of({"n": 1e300}) == Context.parse('{"n":1e300}')
    assert str(Context.of({"n": 2.0**60})) == '{"n":1.152921504606847e+18}'


def _nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


HALF = "\ud800"
WRONG: dict[str, dict[str, object]] = {
    "not a number": {"limit": float("nan")},
    "infinite": {"limit": [float("inf")]},
    "too large": {"limit": 2**53 + 1},
    "far too large": {"limit": -(10**400)},
    "bytes": {"limit": b"1"},
    "a set": {"limit": {1}},
    "an object": {"limit": object()},
    "half a character": {"limit": HALF},
    "half a character as a key": {"limit": {HALF: 1}},
    "a number as a key": {"limit": {1: 1}},
    "nested": {"limit": _nested(DEPTH_MAX)},
    "nested without end": {"limit": _nested(50_000)},
}


@pytest.mark.parametrize("case", WRONG)
def test_what_json_or_a_double_cannot_hold_is_refused(case: str) -> None:
    """The error names the parameter, and neither shows its value nor rounds it."""
    with pytest.raises(InvalidContext, match=r"^the parameter `limit` ") as caught:
        Context.of(WRONG[case])
    assert caught.value.details == {"parameter": "limit"}
    assert "1" not in caught.value.message.replace("2**53", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"a":1} ', ""),
        ('{"a":1}x', "not JSON: extra data at character 8"),
        ("[1]", "a JSON object"),
        ("null", "a JSON object"),
        ('{"a":NaN}', "`a` holds a number"),
        ('{"a":-Infinity}', "`a` holds a number"),
        ('{"a":1e400}', "`a` holds a number"),
        ('{"a":9007199254740993}', "`a` holds a number"),
        ('{"a":' + "9" * 5000 + "}", "`a` holds a number"),
        ('{"a":1,"a":1}', "the key `a` twice"),
        ('{"b":{"a":1,"\\u0061":1}}', "`b` has the key `a` twice"),
        ('{"a":"\\ud800"}', "`a` holds half"),
        ('{"\\udc00":1}', "the context holds half"),
        ('{"a":' + "[" * 32 + "]" * 32 + "}", "`a` is nested deeper than 32"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper than 32"),
        ("[" * 1_000_000, "nested deeper than 32"),
    ],
)
def test_hostile_texts_are_refused(text: str, says: str) -> None:
    """A text is one JSON object without duplicate keys, of a depth and of numbers that everybody can read."""
    if not says:
        assert Context.parse(text) == {"a": 1}
        return
    with pytest.raises(InvalidContext) as caught:
        Context.parse(text)
    assert says in caught.value.message


def test_depth_is_taken_up_to_its_limit() -> None:
    """One level less than too many is taken, and reads back."""
    context = Context.of({"a": _nested(DEPTH_MAX - 1)})
    assert Context.parse(str(context)) == context


def test_size_is_bounded_before_it_is_built() -> None:
    """A context longer than allowed is refused with the bound, also one that refers to one list over and over."""
    assert Context.of({"a": "x" * 92}, 100) == {"a": "x" * 92}
    for value in ("x" * 93, "ä" * 16):
        with pytest.raises(InvalidContext, match="more than 100 bytes") as caught:
            Context.of({"a": value}, 100)
        assert caught.value.details == {"size_max": "100"}
    with pytest.raises(InvalidContext, match="more than 100 bytes"):
        Context.of(Context.of({"a": "x" * 93}), 100)
    bomb: list[object] = []
    for _ in range(30):
        bomb = [bomb] * 10
    with pytest.raises(InvalidContext, match="more than 25000 bytes"):
        Context.of({"a": bomb}, 25_000)


def test_a_context_cannot_be_changed() -> None:
    """Neither what it was made of, nor what it hands out, nor an attribute changes it."""
    inner: list[object] = [1, {"deep": 1}]
    context = Context.of({"a": inner})
    inner.append(2)
    handed = context["a"]
    assert isinstance(handed, list)
    handed.append(3)
    assert context == {"a": [1, {"deep": 1}]}
    with pytest.raises(AttributeError, match="cannot be changed"):
        context._text = "{}"
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(context, "other", 1)  # noqa: B010 - mypy knows that there is no such name
    for copied in (copy.copy(context), copy.deepcopy(context), pickle.loads(pickle.dumps(context))):
        assert copied == context
    assert pickle.loads(pickle.dumps(EMPTY)) is copy.copy(EMPTY) is EMPTY


def test_the_empty_context_is_one() -> None:
    """However nothing is spelled, it is the same object, and it alone is false."""
    for nothing in (Context.of({}), Context.of(None), Context.parse(" { } "), Context.stored(None)):
        assert nothing is EMPTY
    assert not EMPTY
    assert Context.of({"a": None})
    assert list(Context.of({"b": 1, "a": 2})) in (["a", "b"], ["b", "a"])
    assert "a" in Context.of({"a": None})
    assert "b" not in Context.of({"a": None})


def test_subclasses_of_plain_values_are_taken_as_what_they_are() -> None:
    """An enumeration's member is its value, a tuple is a list."""

    class Level(IntEnum):
        HIGH = 3

    class Day(StrEnum):
        MONDAY = "mon"

    assert (
        str(Context.of({"level": Level.HIGH, "days": (Day.MONDAY,), Day.MONDAY: 1}))
        == '{"days":["mon"],"level":3,"mon":1}'
    )


def test_a_damaged_context_is_an_error() -> None:
    """What a store holds and nobody wrote is told as damage, when it is looked at, and never taken for a context."""
    for data in (b"", b"[]", b"{", b'{"a":NaN}', b'{"a":"\xff"}'):
        with pytest.raises(StoreFormat, match="a tuple's context is not what was written"):
            dict(Context.stored(data))


def test_a_context_is_an_object() -> None:
    """Anything but a mapping is refused by what it is."""
    wrong: object
    for wrong in ([], "{}", 1):
        with pytest.raises(InvalidContext, match="an object of names and values"):
            Context.of(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidContext, match="the context has a Python `int` as a key"):
        Context.of({1: 1})  # type: ignore[dict-item]

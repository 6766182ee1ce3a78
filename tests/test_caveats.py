"""Caveats by themselves: what a context is converted to, what is refused, and that no expression runs away."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import relgraph
from relgraph.caveats import UNBOUND, compile_caveat, parse_type
from relgraph.caveats.caveat import EXPRESSION_CHARACTERS_MAX
from relgraph.caveats.convert import converted
from relgraph.caveats.engine import TOO_MUCH, WORK_MAX
from relgraph.caveats.native import ENGINE as NATIVE
from relgraph.caveats.patterns import pattern_work
from relgraph.caveats.syntax import parse_expression
from relgraph.caveats.work import Work
from relgraph.contexts import Context
from relgraph.errors import InvalidCaveat, InvalidContext

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.caveats import Caveat

# --- conversion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("bool", True, True),
        ("string", "", ""),
        ("int", 5, 5),
        ("int", 5.0, 5),
        ("int", "-5", -5),
        ("int", "9223372036854775807", 2**63 - 1),
        ("int", "-9223372036854775808", -(2**63)),
        ("uint", 0, 0),
        ("uint", "7", 7),
        ("double", 1, 1.0),
        ("double", "-1.5e3", -1500.0),
        ("double", ".5", 0.5),
        ("bytes", "AAE=", b"\x00\x01"),
        ("duration", "1h30m", timedelta(minutes=90)),
        ("duration", "1.5s", timedelta(milliseconds=1500)),
        ("duration", "-2h", timedelta(hours=-2)),
        ("duration", "100ms", timedelta(milliseconds=100)),
        ("duration", "1us", timedelta(microseconds=1)),
        ("duration", "1µs", timedelta(microseconds=1)),
        ("duration", "1999ns", timedelta(microseconds=1)),
        ("duration", "+.5h", timedelta(minutes=30)),
        ("duration", "0", timedelta()),
        ("timestamp", "2026-11-22T10:00:00.5+01:00", datetime(2026, 11, 22, 9, 0, 0, 500_000, UTC)),
        ("timestamp", "9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 0, UTC)),
        ("ipaddress", "::ffff:10.0.0.1", "10.0.0.1"),
        ("ipaddress", "2001:DB8:0:0::1", "2001:db8::1"),
        ("list<int>", ["1", 2], [1, 2]),
        ("map<duration>", {"a": "1s"}, {"a": timedelta(seconds=1)}),
        ("any", {"a": [1, None, True, "x"]}, {"a": [1.0, None, True, "x"]}),
        ("list<map<any>>", [{}], [{}]),
    ],
)
def test_converted(type_: str, value: object, expected: object) -> None:
    """A value of JSON becomes a value of the parameter's type, of that very type."""
    found = converted("limit", parse_type(type_), value)
    assert found == expected
    assert repr(found).replace("bytearray(", "").rstrip(")") == repr(expected).rstrip(")")


UNFIT: dict[str, list[object]] = {
    "bool": [1, "true", None, []],
    "string": [1, True, None, ["a"], "a\0b"],
    "int": [True, 1.5, "1.0", "", "1e3", " 1", "\u0661", "0x1", "9223372036854775808", 2.0**63, None, [1], {"a": 1}],
    "uint": [-1, "-1", True, None, "9" * 10_000],
    "double": [True, "NaN", "inf", "1e999", "1_0", "", ".", None],
    "bytes": ["a", "AAE", "AA==\n", "A-E=", 1, None],
    "duration": ["1", "1d", "", "h", "1h 30m", "1e3s", "3000000h", "-", "1h-30m", 5, None],
    "timestamp": ["2026-11-22", "noon", "2026-11-22T10:00:00", 5, "0001-01-01T00:00:00Z", None],
    "ipaddress": ["10.0.0", "10.0.0.0/8", "fe80::1%eth0", "010.0.0.1", 5, None, ""],
    "list<int>": [1, {"a": 1}, [1, "x"], [None], None],
    "map<int>": [1, [1], {"a": "x"}, {"a\0": 1}, None],
    "any": ["a\0", ["\0"], {"\0": 1}, [{"a": "\0"}]],
}
REFUSED = [(type_, value) for type_, values in UNFIT.items() for value in values]


@pytest.mark.parametrize(("type_", "value"), REFUSED)
def test_what_does_not_fit_is_refused(type_: str, value: object) -> None:
    """What is none of its type is refused by the parameter's name and type, and the value is not shown."""
    with pytest.raises(InvalidContext) as caught:
        converted("limit", parse_type(type_), value)
    assert caught.value.details["parameter"] == "limit"
    words = caught.value.message.partition(": it takes ")[0]
    inside = words.partition(", with ")[2]
    assert words == f"the value of `limit` does not fit its type `{type_}`" + (f", with {inside}" if inside else "")
    assert inside in ("", "`int` inside")


def test_an_error_names_the_type_inside() -> None:
    """Within a list or map, the type that the value should have had is named as well."""
    with pytest.raises(InvalidContext, match="its type `map<list<uint>>`, with `uint` inside: it takes a whole number"):
        converted("limits", parse_type("map<list<uint>>"), {"a": [1, -1]})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("integer", "did you mean `int`?"),
        ("list", "write `list<string>`"),
        ("int<string>", "write it without"),
        ("map<string", "is not a type"),
        ("", "is not a type"),
        ("list<" * 20 + "int" + ">" * 20, "8 deep at most"),
    ],
)
def test_types_are_refused(text: str, part: str) -> None:
    """What is no type of parameters is refused, with what is meant or wanted."""
    with pytest.raises(InvalidCaveat, match=part):
        parse_type(text)


@given(
    st.recursive(st.sampled_from(["any", "int", "ipaddress"]), lambda inner: inner.map("list<{}>".format), max_leaves=4)
)
def test_types_print_as_they_are_read(text: str) -> None:
    """A type's text is read as the same type."""
    assert str(parse_type(text)) == text


# --- what reaches the library is what was given -----------------------------------------------------------------------


MOMENTS = st.datetimes(timezones=st.just(UTC)).filter(lambda each: each > datetime(1, 1, 2, tzinfo=UTC))


@given(MOMENTS, MOMENTS)
def test_points_in_time_keep_their_order(one: datetime, other: datetime) -> None:
    """Any two points in time compare as they did before they were converted, but for fractions far from today."""
    caveat = compile_caveat("late", [("a", "timestamp"), ("b", "timestamp")], "a < b")
    texts = [each.isoformat() for each in (one, other)]
    bound = caveat.convert(Context.of(dict(zip("ab", texts, strict=True))))
    a, b = bound.values["a"], bound.values["b"]
    assert isinstance(a, datetime)
    assert isinstance(b, datetime)
    assert abs(a - one) < timedelta(seconds=1)
    assert 1800 >= one.year or one.year >= 2200 or a == one
    assert caveat.evaluate(bound).value is (a < b)
    same = compile_caveat("same", [("a", "timestamp")], f"a == timestamp('{a.isoformat()}')")
    assert same.evaluate(bound).value is (a != b) or same.evaluate(same.convert({"a": texts[0]})).value is True


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.binary())
def test_texts_and_bytes_arrive_whole(text: str, data: bytes) -> None:
    """A text or bytes are as long for an expression as they are, and equal to nothing else."""
    import base64

    caveat = compile_caveat(
        "whole", [("s", "string"), ("b", "bytes"), ("n", "int"), ("m", "int")], "size(s) == n && size(b) == m"
    )
    context = {"s": text, "b": base64.b64encode(data).decode(), "n": len(text), "m": len(data)}
    assert caveat.evaluate(caveat.convert(Context.of(context))).value is True


# --- outcomes ---------------------------------------------------------------------------------------------------------


def within() -> Caveat:
    return compile_caveat("within", [("limit", "int"), ("amount", "int")], "amount <= limit")


def test_stored_wins_over_requested() -> None:
    """What a tuple stores decides, whatever the request says of the same parameter."""
    caveat = within()
    stored, request = caveat.convert({"limit": 5}), caveat.convert({"limit": 500, "amount": 50, "unknown": None})
    assert caveat.evaluate(stored, request).value is False
    assert caveat.evaluate(UNBOUND, request).value is True
    assert caveat.evaluate(stored).missing == {"amount"}
    assert caveat.evaluate(UNBOUND).missing == caveat.referenced == {"amount", "limit"}


def test_failures_tell_no_values() -> None:
    """Why an expression failed is said in words that hold none of the values."""
    caveat = compile_caveat("sees", [("m", "map<any>"), ("s", "string")], "m[s] == int(s)")
    for context in ({"m": {}, "s": "sesame"}, {"m": {"sesame": 1}, "s": "sesame"}):
        failed = caveat.evaluate(caveat.convert(context)).failed
        assert failed
        assert "sesame" not in failed


def test_one_compilation_serves_all() -> None:
    """The same caveat is compiled once, and evaluated by many threads at once."""
    caveat = within()
    assert within() is caveat
    bounds = [caveat.convert({"limit": each % 7, "amount": 3}) for each in range(500)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(caveat.evaluate, bounds))
    assert [each.value for each in found] == [each % 7 >= 3 for each in range(500)]


def test_a_caveat_needs_parameters() -> None:
    """A caveat has parameters with names of their own, and none named as a word of CEL."""
    for names in ([], ["a", "a"], ["in"], ["int"], ["1a"], ["a-b"], ["a" * 65], ["__result__"], ["é"]):
        with pytest.raises(InvalidCaveat):
            compile_caveat("late", [(name, "int") for name in names], "true" if not names else f"{names[0]} == 1")


# --- work -------------------------------------------------------------------------------------------------------------

DOUBLING = (
    "['" + "a" * 100 + "']" + "".join(f".all(a{i}, [a{i} + a{i}]" for i in range(20)) + ".all(z, z != s)" + ")" * 20
)
NESTED = "l.all(a, l.all(b, l.all(c, a + b + c < 0)))"
BOMBS = {
    "nested macros": NESTED,
    "texts that double": DOUBLING,
    "lists that double": "[l]" + "".join(f".all(a{i}, [a{i} + a{i}]" for i in range(20)) + ".all(z, z != l)" + ")" * 20,
    "a list in a list": "l.all(a, a in l)",
    "lists compared": "l.all(a, l == l)",
    "a list grown": "l.map(a, a + 1).map(a, a + 1).size() > 0",
    "a list filtered": "l.filter(a, a > 0).size() > 0",
    "patterns repeated": "s.matches('((a{100}){10}){1}')",
    "patterns of Unicode": r"s.matches('(\\pL{30}){30}')",
    "patterns of Unicode in a row": "'a'.matches('" + r"\\pL" * 50 + "')",
    "patterns of Unicode in brackets": "'a'.matches('[" + r"\\pL" * 5_000 + "]')",
    "patterns again and again": "l.all(a, s.matches('a+b+' + s))",
    "patterns against long texts": "s.matches(s + s)",
    "texts in long texts": "l.all(a, (s + s + s).contains(s))",
    "trees compared": "l.all(a, {'a': l}.isSubtreeOf({'a': l}))",
    "texts of numbers": "l.all(a, l.map(b, string(b)) == [])",
}
LARGE = {"l": list(range(5_000)), "s": "a" * 20_000}


def bomb(expression: str) -> Caveat:
    """Return a caveat of an expression over `l list<int>` and `s string`, with both used."""
    text = f"({expression}) || l == [] || s == ''"
    return compile_caveat("bomb", [("l", "list<int>"), ("s", "string")], text, engine=NATIVE)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_not_begun(name: str) -> None:
    """An expression that is too much work for its values is not begun, in either engine, and said to be so."""
    caveat = bomb(BOMBS[name])
    bound = caveat.convert(LARGE)
    assert Work(parse_expression(caveat.expression), NATIVE.step).at_most(bound.sizes) > WORK_MAX
    assert caveat.evaluate(bound).failed == TOO_MUCH
    assert caveat.evaluate(caveat.convert({"l": LARGE["l"]}), caveat.convert({"s": LARGE["s"]})).failed == TOO_MUCH


def test_rounds_are_counted() -> None:
    """The bound grows with the rounds of macros, and with those of macros inside them as their product."""
    tree = parse_expression("l.all(a, l.all(b, a < b))")
    work = Work(tree, 1)

    def bound(size: int) -> int:
        return work.at_most({"l": work.size_of(list(range(size)))})

    assert bound(10) >= 100
    assert 90 < bound(100) / bound(10) < 110
    assert Work(tree, 1_500).at_most({"l": work.size_of([1] * 10)}) > WORK_MAX


def test_the_shortcut_is_no_other_bound() -> None:
    """An expression without macros is passed without a walk only where the walk would pass it."""
    work = Work(parse_expression("s + s == s || s in l || size(s) > 3"), 1)
    for size in (0, 10, 100, 1_000, 3_000, 10_000, 30_000):
        sizes = {"s": work.size_of("a" * size), "l": work.size_of(["a" * 10] * size)}
        for limit in (10, 1_000, 10_000, 100_000):
            assert work.at_most(sizes) <= limit or not work.within(limit, sizes)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("a" * 100, 1_000),
        ("a{1000}", 10_000),
        ("(a{10}){100}", 10_000),
        ("((a{10}){10}){10}", 10_000),
        (r"\pL", 10_000),
        (r"\pL{100}", 1_000_000),
        (r"[\pL]{100}", 1_000_000),
        ("[" + r"\pL" * 8_000 + "]", 2_000_000),
        (r"(\pL{30}){30}", 500_000),
        ("[^a]{100}", 50_000),
        ("(?i)" + "é" * 100, 10_000),
        ("[é-ž]{100}", 50_000),
        (r"\Q(\E{1000}", 10_000),
        ("((((", 10),
        ("{,}{1,{", 10),
        ("a{99999999999999999999}", 10),
    ],
)
def test_patterns_are_weighed(text: str, least: int) -> None:
    """A pattern's work counts its repetitions as often as they stand in one another, and classes as what they are."""
    assert pattern_work(text) >= least


@given(st.text("ab(){}[]\\\\*+?.|,0123456789^$:pPQE", max_size=60))
def test_any_text_can_be_weighed(text: str) -> None:
    """Whatever a text is, it weighs no less than each of its characters."""
    assert pattern_work(text) > 0


def test_large_expressions_are_bounded() -> None:
    """An expression is bounded in characters, in values and in depth, when it is compiled."""
    for text, part in (
        ("n == 1 " * 20_000, f"at most {EXPRESSION_CHARACTERS_MAX}"),
        ("n == 1" + " || n == 1" * 4_000, "at most 10000"),
        ("n" + " + n" * 1_000 + " == 1", "32 deep"),
        ("n" + "[0]" * 1_000 + " == 1", "32 deep"),
        ("n" + ".a" * 1_000 + " == 1", "32 deep"),
        ("[" * 1_000 + "n" + "]" * 1_000 + " == []", "32 deep"),
        ("true ? " * 1_000, "32 deep|expected"),
        ("n == 1 ? true : " * 1_000 + "false", "32 deep"),
    ):
        with pytest.raises(InvalidCaveat, match=part):
            compile_caveat("large", [("n", "int")], text)
    many = "n == 1" + " || n == 1" * 1_000
    caveat = compile_caveat("large", [("n", "int")], many)
    assert caveat.evaluate(caveat.convert({"n": 2})).value is False
    assert caveat.evaluate(UNBOUND).missing == {"n"}


# --- which library ----------------------------------------------------------------------------------------------------


def test_nothing_is_imported_before_it_is_needed() -> None:
    """A program that uses relgraph without a caveat imports neither library; the first caveat imports one."""
    program = (
        "import sys, relgraph\n"
        "from relgraph.schema import parse\n"
        "def loaded(): return sorted(each for each in ('cel_expr_python', 'celpy') if each in sys.modules)\n"
        "parse('definition user {}')\n"
        "print(loaded())\n"
        "parse('caveat late(hour int) { hour > 5 }')\n"
        "print(loaded())\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["[]", "['cel_expr_python']"]


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [(("cel_expr_python",), "celpy"), (("cel_expr_python", "celpy"), "UNSUPPORTED relgraph[caveats]")],
)
def test_which_library_serves(hidden: tuple[str, ...], expected: str) -> None:
    """Without the one library the other serves; without both, a schema with caveats is refused naming the extra."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({hidden!r}))\n"
        "from relgraph.errors import Unsupported\n"
        "from relgraph.schema import parse\n"
        "try:\n"
        "    schema = parse('caveat late(hour int) { hour > 5 }')\n"
        "    assert schema.caveats['late'].evaluate(schema.caveats['late'].convert({'hour': 6})).value is True\n"
        "    print('celpy')\n"
        "except Unsupported as error:\n"
        "    print(error.code, 'relgraph[caveats]' * ('relgraph[caveats]' in error.message))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected


def test_a_store_is_not_damaged_where_no_library_is_installed(tmp_path: Path) -> None:
    """Who verifies a store that has caveats where no library serves is told of the library, not of damage."""
    url = f"sqlite:///{tmp_path}/a.db"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema("caveat late(hour int) { hour > 5 } definition user {}")
    assert relgraph.verify(url).findings == ()
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('cel_expr_python', 'celpy')))\n"
        "import relgraph\n"
        "from relgraph.errors import Unsupported\n"
        "try:\n"
        f"    print(relgraph.verify({url!r}).findings)\n"
        "except Unsupported as error:\n"
        "    print(error.code)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "UNSUPPORTED"


def test_half_a_character_is_refused_at_its_place() -> None:
    """An expression that no file could hold is refused like any other, whatever the library would make of it."""
    with pytest.raises(InvalidCaveat, match="half a character") as caught:
        compile_caveat("cav", [("s", "string")], "s == '\udcfb'")
    assert {"offset": "6", "length": "1"} == caught.value.details

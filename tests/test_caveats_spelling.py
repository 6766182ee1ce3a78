"""Expressions spelled anew, as cel-go spells them for SpiceDB 1.56, and that they still mean the same."""

from __future__ import annotations

import pytest

from relgraph.caveats import spelled
from relgraph.caveats.native import ENGINE as NATIVE
from relgraph.errors import InvalidCaveat
from tests.caveat_examples import EXAMPLES, Example
from tests.test_caveats_engines import asked, matches, shown


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a==1&&b", "a == 1 && b"),
        ("(a) // why\n || (b)", "a || b"),
        ("(a || b) && (c && d)", "(a || b) && c && d"),
        ("(a + b) * c - (d - e) - f", "(a + b) * c - (d - e) - f"),
        ("a - (b + c) == (d * e) / f", "a - (b + c) == d * e / f"),
        ("a / (b * c)", "a / (b * c)"),
        ("!!a", "a"),
        ("!!!a", "!a"),
        ("--a == - 5", "a == -5"),
        ("!(a && b)", "!(a && b)"),
        ("!m['k'] == !f(a, b) || !s.startsWith('x')", '!(m["k"]) == !(f(a, b)) || !s.startsWith("x")'),
        ("a ? b : c", "a ? b : c"),
        ("a > 1 ? m['k'] : (b ? c : d)", '(a > 1) ? (m["k"]) : (b ? c : d)'),
        ("(a ? b : c).d == (a + b).size()", "(a ? b : c).d == (a + b).size()"),
        ("m['k'][0].f(x,y)[(a ? b : c)]", 'm["k"][0].f(x, y)[a ? b : c]'),
        ("has(a.b) && has(a[0].c)", "has(a.b) && has(a[0].c)"),
        ("l.all(x,x>1) || l.map(x, x>0, x*2)==[ ]", "l.all(x, x > 1) || l.map(x, x > 0, x * 2) == []"),
        ("a in [1,2,] && b in {'x':1,'y':[2]}", 'a in [1, 2] && b in {"x": 1, "y": [2]}'),
        (
            r"""s == 'a"b' + r'\d' + "\x41\u00e9\t\\" + '''two
lines'''""",
            r'''s == "a\"b" + "\\d" + "Aé\t\\" + "two\nlines"''',
        ),
        ("s == '\\x01\\x7f\\u200b\\U0001F600'", 's == "\\x01\\x7f\\u200b😀"'),
        ("b == b'ab\\x01' || b == B\"\"", 'b == b"\\141\\142\\001" || b == b""'),
        ("b == b'\\xff\\101'", 'b == b"\\377\\101"'),
        ("b == b'é'", "b == b'é'"),
        ("n == 0x1F || n == 0X1fu || n == 7U", "n == 31 || n == 31u || n == 7u"),
        ("d == 1.50 || d == 100.0 || d == .5 || d == 1e3", "d == 1.5 || d == 100.0 || d == 0.5 || d == 1000.0"),
        ("d == 1234567.0 || d == 1.5e-7 || d == 0.0001", "d == 1.234567e+06 || d == 1.5e-07 || d == 0.0001"),
        ("d == 0.0 || d == 1e100", "d == 0.0 || d == 1e+100"),
        ("null == a && true", "null == a && true"),
        ("a.`b-c` == 1", "a.`b-c` == 1"),
    ],
)
def test_spellings(written: str, expected: str) -> None:
    """An expression has one spelling, whatever its layout, quotation marks, brackets and numbers were."""
    assert expected == spelled(written)
    assert expected == spelled(expected)


def test_long_expressions_are_broken() -> None:
    """Behind `&&` or `||` a line ends once it has come to eighty columns; nothing else breaks one."""
    parts = [f"{'x' * 20}{number} == {'y' * 20}{number}" for number in range(5)]
    first, second, third, fourth, fifth = parts
    expected = f"{first} && {second} &&\n{third} && {fourth} &&\n{fifth}"
    assert expected == spelled(" && ".join(parts))
    long = " + ".join(["x" * 30] * 5) + " == 1"
    assert long == spelled(long)


def test_what_is_no_expression_is_refused() -> None:
    """A text that is no expression is refused, with its place."""
    with pytest.raises(InvalidCaveat) as caught:
        spelled("a &&")
    assert "4" == caught.value.details["offset"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.expression} {each.outcome}")
def test_a_spelling_means_the_same(example: Example) -> None:
    """Every example has its outcome as it is spelled anew, and is its own spelling from then on."""
    text = spelled(example.expression)
    assert text == spelled(text)
    found = shown(asked(example._replace(expression=text), NATIVE))
    assert matches(found, example.outcome), text

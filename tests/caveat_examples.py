"""Expressions and what they are worth, whichever library evaluates them: written by hand, one idea each.

A line is the parameters, the expression, what the tuple stores, what the request gives, and the outcome: true, false,
`?` with the names that are missing, or `!` with a part of why it failed.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXAMPLES", "REFUSED", "Example"]


class Example(NamedTuple):
    """One expression, and its outcome."""

    parameters: str
    expression: str
    stored: dict[str, object]
    request: dict[str, object]
    outcome: str


def _of(parameters: str, expression: str, outcome: str, /, **given: object) -> Example:
    return Example(parameters, expression, {}, given, outcome)


DAY = "2026-11-22T10:30:15Z"
LATER = "2026-11-23T00:00:00Z"

SCALARS = [
    _of("n int", "n == 1", "true", n=1),
    _of("n int", "n == 1", "true", n=1.0),
    _of("n int", "n == 1", "true", n="1"),
    _of("n int", "n != 1", "false", n=1),
    _of("n int", "n < 0 && n == -5", "true", n=-5),
    _of("n int", "n * 2 + 3 == 13", "true", n=5),
    _of("n int", "n + 3 * 2 == 11", "true", n=5),
    _of("n int", "(n + 3) * 2 == 16", "true", n=5),
    _of("n int", "n - 2 - 1 == 2", "true", n=5),
    _of("n int", "n / 2 == 2 && n % 2 == 1", "true", n=5),
    _of("n int", "-n == -5", "true", n=5),
    _of("n int", "--n == 5", "true", n=5),
    _of("n int", "n == 0x1F", "true", n=31),
    _of("n int", "n >= 9007199254740993", "true", n="9007199254740993"),
    _of("n int", "n / 0 == 1", "! divides by zero", n=5),
    _of("n int", "n % 0 == 1", "! divides by zero", n=5),
    _of("n int", "n + 9223372036854775807 > 0", "! too large", n=5),
    _of("n uint", "n > 3", "true", n=4),
    _of("n uint, m int", "n - m < 0", "true", n=4, m=5),
    _of("x double", "x == 1.5", "true", x=1.5),
    _of("x double", "x == 1.0", "true", x=1),
    _of("x double", "x > 1e3", "true", x="1000.5"),
    _of("x double", "x / 0.0 > 1.0", "true", x=1),
    _of("b bool", "b", "true", b=True),
    _of("b bool", "!b", "false", b=True),
    _of("b bool", "!!b", "true", b=True),
    _of("b bool", "b == true", "false", b=False),
    _of("b bool, n int", "b ? n == 1 : n == 2", "true", b=False, n=2),
    _of("b bool, n int", "n == 1 ? true : b ? false : true", "true", b=False, n=2),
    _of("n int", "n in [1, 2, 3]", "true", n=2),
    _of("n int", "n in []", "false", n=2),
    _of("n int", "n < 10 && n > 5 || n == 3", "true", n=3),
    _of("n int", "double(n) == 5.0", "true", n=5),
    _of("n int", "string(n) == '5'", "true", n=5),
    _of("n int", "type(n) == int", "true", n=5),
    _of("n int", "n == 5 // the comment } is none of it\n", "true", n=5),
    _of("n int", "\n\tn ==\r\n5", "true", n=5),
]

TEXTS = [
    _of("s string", "s == 'abc'", "true", s="abc"),
    _of("s string", 's == "a\'c"', "true", s="a'c"),
    _of("s string", "s == '''a\n'c'''", "true", s="a\n'c"),
    _of("s string", r"s == 'a\n\x41\u00e9\101'", "true", s="a\nAéA"),
    _of("s string", r"s == r'\d'", "true", s="\\d"),
    _of("s string", "s < 'b'", "true", s="a"),
    _of("s string", "s + s == 'abab'", "true", s="ab"),
    _of("s string", "size(s) == 5", "true", s="héllo"),
    _of("s string", "s.size() == 0", "true", s=""),
    _of("s string", "s.startsWith('ab')", "true", s="abc"),
    _of("s string", "s.endsWith('bc')", "true", s="abc"),
    _of("s string", "s.contains('b')", "true", s="abc"),
    _of("s string", "s.contains('')", "true", s="abc"),
    _of("s string", "s.matches('^a.c$')", "true", s="abc"),
    _of("s string", "s.matches('b')", "true", s="abc"),
    _of("s string", "s.matches('^b')", "false", s="abc"),
    _of("s string", "matches(s, '[[:digit:]]+')", "true", s="abc1"),
    _of("s string, p string", "s.matches(p)", "true", s="anna@example.com", p="^[a-z]+@example[.]com$"),
    _of("s string, p string", "s.matches('^' + p + '$')", "true", s="anna", p="[a-z]{2,8}"),
    _of("s string, p string", "s.matches(p)", "! ", s="anna", p="("),
    _of("s string", "int(s) == 12", "true", s="12"),
    _of("s string", "int(s) == 12", "! ", s="twelve"),
    _of("s string", "s in ['a', 'b']", "true", s="a"),
    _of("s string", "s == '{'", "true", s="{"),
    _of("s bytes", "s == b'abc'", "true", s="YWJj"),
    _of("s bytes", "size(s) == 3", "true", s="YWJj"),
    _of("s bytes", r"s == b'\xff\x00'", "true", s="/wA="),
]

TIMES = [
    _of("t timestamp", "t == timestamp('2026-11-22T10:30:15Z')", "true", t=DAY),
    _of("t timestamp", "t == timestamp('2026-11-22T10:30:15Z')", "true", t="2026-11-22T12:30:15+02:00"),
    _of("t timestamp, u timestamp", "t < u", "true", t=DAY, u=LATER),
    _of("t timestamp, u timestamp", "u - t > duration('13h')", "true", t=DAY, u=LATER),
    _of("t timestamp", "t.getFullYear() == 2026 && t.getMonth() == 10", "true", t=DAY),
    _of("t timestamp", "t.getDayOfMonth() == 21 && t.getDate() == 22", "true", t=DAY),
    _of("t timestamp", "t.getDayOfWeek() == 0", "true", t=DAY),
    _of("t timestamp", "t.getHours() == 10 && t.getMinutes() == 30 && t.getSeconds() == 15", "true", t=DAY),
    _of("t timestamp", "t.getHours('Europe/Berlin') == 11", "true", t=DAY),
    _of("t timestamp", "t.getHours('-05:00') == 5", "true", t=DAY),
    _of("t timestamp", "t.getMilliseconds() == 250", "true", t="2026-11-22T10:30:15.25Z"),
    _of("t timestamp, d duration", "t + d == timestamp('2026-11-22T12:00:15Z')", "true", t=DAY, d="1h30m"),
    _of("t timestamp, d duration", "t - d < t", "true", t=DAY, d="100ms"),
    _of("d duration", "d == duration('90m')", "true", d="1h30m"),
    _of("d duration", "d == duration('1.5s')", "true", d="1500ms"),
    _of("d duration", "d < duration('0s')", "true", d="-2h"),
    _of("d duration", "d + d == duration('2us')", "true", d="1us"),
    _of("d duration", "d.getHours() == 1 && d.getMinutes() == 90", "true", d="1h30m"),
    _of("d duration", "duration('1d') == d", "! ", d="24h"),
    _of("s string, t timestamp", "timestamp(s) < t", "! ", s="noon", t=DAY),
]

ADDRESSES = [
    _of("ip ipaddress", "ip.in_cidr('10.0.0.0/8')", "true", ip="10.1.2.3"),
    _of("ip ipaddress", "ip.in_cidr('10.0.0.0/8')", "false", ip="11.1.2.3"),
    _of("ip ipaddress", "ip.in_cidr('10.1.2.3/8')", "true", ip="10.9.9.9"),
    _of("ip ipaddress", "ip.in_cidr('10.0.0.0/8')", "true", ip="::ffff:10.1.2.3"),
    _of("ip ipaddress", "ip.in_cidr('2001:db8::/32')", "true", ip="2001:DB8::1"),
    _of("ip ipaddress", "ip.in_cidr('2001:db8::/32')", "false", ip="10.1.2.3"),
    _of("ip ipaddress", "ip.in_cidr('0.0.0.0/0')", "false", ip="2001:db8::1"),
    _of("ip ipaddress", "ip.in_cidr('10.0.0.0')", "! asks for a network", ip="10.0.0.0"),
    _of("ip ipaddress", "ip.in_cidr('10.0.0.0/33')", "! asks for a network", ip="10.0.0.0"),
    _of("ip ipaddress", "ip.in_cidr('anything') || ip.in_cidr('10.0.0.0/8')", "true", ip="10.1.2.3"),
    _of("ip ipaddress, to string", "ip.in_cidr(to)", "true", ip="10.1.2.3", to="10.1.2.0/24"),
    _of("ip ipaddress, other ipaddress", "ip == other", "true", ip="2001:db8:0::1", other="2001:db8::1"),
    _of("ips list<ipaddress>", "ips.all(each, each.in_cidr('10.0.0.0/8'))", "true", ips=["10.0.0.1", "10.2.0.1"]),
    _of("ips map<ipaddress>", "ips['home'].in_cidr('10.0.0.0/8')", "true", ips={"home": "10.0.0.1"}),
    _of(
        "ip ipaddress, nets list<string>",
        "nets.exists(n, ip.in_cidr(n))",
        "true",
        ip="10.1.2.3",
        nets=["::/0", "10.0.0.0/8"],
    ),
]

LISTS = [
    _of("l list<int>", "1 in l", "true", l=[3, 2, 1]),
    _of("l list<int>", "l[0] == 3 && l[2] == 1", "true", l=[3, 2, 1]),
    _of("l list<int>", "l[3] == 1", "! not there", l=[3, 2, 1]),
    _of("l list<int>", "size(l) == 3 && l.size() == 3", "true", l=[3, 2, 1]),
    _of("l list<int>", "l == [3, 2, 1]", "true", l=[3, "2", 1.0]),
    _of("l list<int>", "l + [4] == [3, 2, 1, 4]", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.all(i, i > 0)", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.all(i, i > 0)", "true", l=[]),
    _of("l list<int>", "l.exists(i, i == 2)", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.exists(i, i == 2)", "false", l=[]),
    _of("l list<int>", "l.exists_one(i, i > 1)", "false", l=[3, 2, 1]),
    _of("l list<int>", "l.map(i, i * 2) == [6, 4, 2]", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.filter(i, i > 1) == [3, 2]", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.map(i, i > 1, i * 2) == [6, 4]", "true", l=[3, 2, 1]),
    _of("l list<int>", "l.exists(i, 6 / i == 2)", "true", l=[0, 3]),
    _of("l list<int>", "l.all(i, 6 / i == 2)", "false", l=[0, 2]),
    _of("l list<int>", "l.all(i, 6 / i == 2)", "! divides by zero", l=[0, 3]),
    _of("l list<int>", "l.all(l, l > 0)", "true", l=[3, 2, 1]),
    _of("l list<list<string>>", "l.exists(i, i.exists(i, i == 'b'))", "true", l=[["a"], ["b"]]),
    _of("l list<string>, a list<string>", "l.all(i, i in a)", "true", l=["a"], a=["b", "a"]),
    _of("l list<timestamp>", "l.all(t, t < timestamp('2027-01-01T00:00:00Z'))", "true", l=[DAY, LATER]),
    _of("l list<any>", "size(l) == 3", "true", l=[None, True, "a"]),
]

MAPS = [
    _of("m map<int>", "m.a == 1", "true", m={"a": 1}),
    _of("m map<int>", "m['a'] == 1", "true", m={"a": 1}),
    _of("m map<int>", "m.b == 1", "! key that is not there", m={"a": 1}),
    _of("m map<int>", "has(m.a) && !has(m.b)", "true", m={"a": 1}),
    _of("m map<int>", "has(m.b) && m.b == 1", "false", m={"a": 1}),
    _of("m map<int>", "'a' in m", "true", m={"a": 1}),
    _of("m map<int>", "m.all(k, m[k] > 0)", "true", m={"a": 1, "b": 2}),
    _of("m map<int>", "m == {'a': 1}", "true", m={"a": 1}),
    _of("m map<int>", "size(m) == 2", "true", m={"a": 1, "b": 2}),
    _of("m map<any>", "m.a.b == 'c'", "true", m={"a": {"b": "c"}}),
    _of("m map<any>", "m.a[1] == 'c'", "true", m={"a": ["b", "c"]}),
    _of("m map<any>", "m.a == null", "true", m={"a": None}),
    _of("m map<any>", "m.n == 1", "true", m={"n": 1}),
    _of("m map<any>, o map<any>", "m.isSubtreeOf(o)", "true", m={"a": {"b": 1}}, o={"a": {"b": 1.0, "c": 2}, "d": 3}),
    _of("m map<any>, o map<any>", "m.isSubtreeOf(o)", "false", m={"a": {"b": 1}}, o={"a": {"b": 2}}),
    _of("m map<any>, o map<any>", "m.isSubtreeOf(o)", "false", m={"a": 1}, o={"a": True}),
    _of("m map<any>, o map<any>", "m.isSubtreeOf(o)", "false", m={"a": {"b": 1}}, o={"a": 1}),
    _of("m map<any>, o map<any>", "m.isSubtreeOf(o)", "false", m={"a": [1, 2]}, o={"a": [1]}),
    _of("m map<string>", "m.isSubtreeOf({'a': 'b', 'c': 'd'})", "true", m={"a": "b"}),
    _of("m map<string>", "{'a': 'b'}.isSubtreeOf(m)", "true", m={"a": "b", "c": "d"}),
]

ANYTHING = [
    _of("x any", "x == 'a'", "true", x="a"),
    _of("x any", "x == 1", "true", x=1),
    _of("x any", "x == 1", "false", x="1"),
    _of("x any", "x == 1", "false", x=True),
    _of("x any", "x != 1", "true", x=True),
    _of("x any", "x in [1, 2]", "false", x=True),
    _of("x any", "x == [1]", "false", x=[True]),
    _of("x any", "x == {'a': 1}", "false", x={"a": True}),
    _of("x any", "x == null", "true", x=None),
    _of("x any", "x == true", "true", x=True),
    _of("x any", "x > 0.5", "true", x=1.5),
    _of("x any", "x > 1", "true", x=2),
    _of("x any", "x > 1", "! not made for", x="2"),
    _of("x any", "x.a == 'b'", "true", x={"a": "b"}),
    _of("x any", "type(x) == string", "true", x="a"),
    _of("x any", "x == true || x == 'a'", "true", x="a"),
]

MISSING = [
    _of("n int", "n == 1", "? n"),
    _of("n int, m int", "n == m", "? m", n=1),
    _of("n int, m int", "n == m", "? m n"),
    _of("n int, m int, o int", "n == 1 && m == 2 && o == 3", "? m o", n=1),
    _of("n int, m int", "n == 1 || m == 2", "true", n=1),
    _of("n int, m int", "m == 2 || n == 1", "true", n=1),
    _of("n int, m int", "n == 1 && m == 2", "false", n=2),
    _of("n int, m int", "m == 2 && n == 1", "false", n=2),
    _of("b bool, n int, m int", "b ? n == 1 : m == 1", "true", b=True, n=1),
    _of("b bool, n int, m int", "b ? n == 1 : m == 1", "? b m", n=1),
    _of("l list<int>, n int", "l.exists(i, i == n || i == 2)", "true", l=[1, 2]),
    _of("l list<int>, n int", "l.exists(i, i == n)", "? n", l=[1, 2]),
    _of("l list<int>, n int", "l.exists(i, i == n)", "false", l=[]),
    _of("l list<int>, n int", "l.all(n, n > 0) && n > 5", "? n", l=[1]),
    _of("l list<int>, n int", "l.all(n, n > 1) && n > 5", "false", l=[1]),
    _of("m map<any>, n int", "has(m.n) && n == 1", "? m n"),
    _of("m map<any>, n int", "m.n == 1 || n == 1", "? n", m={}),
    _of("n int, m int", "1 / n == 1 || m == 1", "? m", n=0),
    _of("n int, m int", "1 / n == 1 || m == 1", "true", n=0, m=1),
    _of("ip ipaddress, to string", "ip.in_cidr(to)", "? ip", to="10.0.0.0/8"),
    Example("n int", "n == 1", {"n": 1}, {"n": 2}, "true"),
    Example("n int", "n == 1", {"n": 2}, {"n": 1}, "false"),
    Example("n int, m int", "n == 1 && m == 2", {"n": 1}, {"m": 2}, "true"),
    Example("n int, m int", "n == 1 && m == 2", {"n": 1}, {"n": 5}, "? m"),
    Example("n int", "n == 1", {}, {"n": 1, "other": "x"}, "true"),
]

EXAMPLES = [*SCALARS, *TEXTS, *TIMES, *ADDRESSES, *LISTS, *MAPS, *ANYTHING, *MISSING]

REFUSED = {
    "n": "gives `int`",
    "n + 1": "gives `int`",
    "n == 'a'": "",
    "n < 'a'": "",
    "n + 'a' == 'b'": "",
    "n.startsWith('a')": "",
    "n == 1 && 'a'": "",
    "n in 5": "",
    "!n": "",
    "n ? true : false": "",
    "n.field == 1": "",
    "n[0] == 1": "",
    "n.all(i, i == 1)": "",
    "m == 1": "`m` is not a parameter",
    "n == 1 && [1].all(i, true) && i == 1": "`i` is not a parameter",
    "f(n) == 1": "`f`",
    "n.f() == 1": "`f`",
    "n == 1; n == 2": "`;` has no meaning",
    "n ==": "expected a value",
    "n == 1)": "expected the end",
    "(n == 1": "expected `)`",
    "n == 1 n": "expected the end",
    "n = 1": "`=` has no meaning",
    "[n == 1": "expected `]`",
    "{'a': n == 1": "expected `}`",
    "n == 'a": "no partner",
    "has(n)": "takes one field",
    "[n].all(1, true)": "takes the name of a variable",
    "n == if": "reserved word",
    ".n == 1": "takes no dot",
    "Thing{n: n} == 1": "messages",
    "n.?a == 1": "optional",
    r"n == 1 || '\q' == ''": "no escape",
    "\x00n == 1": "no meaning",
    "é == n": "no meaning",
    "n == 99999999999999999999": "",
    "(" * 40 + "n" + ")" * 40 + " == 1": "32 deep at most",
    "+".join(["n"] * 40) + " == 1": "32 deep at most",
    "!" * 40 + "n": "",
}
"""Expressions over `n int` that do not compile, with a part of what is said."""

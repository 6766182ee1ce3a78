"""Everything in relgraph that reads a text or a file from somebody: what it is called, good examples, and a way in.

A way in takes bytes, and raises one of relgraph's own errors or nothing. Where what was read can be written again, it
checks that this is read as the same.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from relgraph.api.cursors import Cursor
from relgraph.bulk import TupleFile
from relgraph.caveats import UNBOUND, compile_caveat, parse_type
from relgraph.cli.scenario import read_scenario
from relgraph.contexts import Context
from relgraph.dialing import host_of
from relgraph.errors import InvalidSetting
from relgraph.instants import instant_text, parse_moment
from relgraph.revision import Consistency, Token
from relgraph.schema import parse, print_schema
from relgraph.schema.compose import compose
from relgraph.store import require_store
from relgraph.store.postgres.urls import place_of
from relgraph.store.urls import without_password
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter, check_relation, check_type
from relgraph_server.auditing import NOTHING, entry_line, entry_of, is_object, verify_audit
from relgraph_server.keyfile import read_keys
from relgraph_server.keys import new_key
from relgraph_server.settings import load_settings, parse_address
from tests.serving import SCHEMA, TUPLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["TARGETS", "Target"]

_Noun = TypeVar("_Noun")

TOKEN = Token(b"s" * 16, 1, 7, b"n" * 16, 1_700_000_000_000_000)
FACT = RelationTuple.parse(TUPLES[0])
SAID = (
    "doc:one#viewer@user:anna[expiration:2027-01-31T12:00:00Z]",
    "doc:one#viewer@user:anna[near]",
    'doc:one#viewer@user:anna[near:{"a":"]#@[","b":[1,null]}][expiration:2027-01-31T12:00:00Z]',
)
KEY, _ = new_key("front", ["check"], "optional", now=datetime(2026, 1, 1, tzinfo=UTC), expires=None)
PARTIAL = """use partial
partial base { relation viewer: user  permission view = viewer }
definition user {}
definition report { ...base }
"""
CAVEATED = """use expiration
// } to be near
caveat org/near(ip ipaddress, nets list<string>) {
  nets.exists(net, ip.in_cidr(net)) || nets == ["{", '}', r"\\"] // }
}
definition user {}
definition report { relation viewer: user with org/near and expiration | user:* with org/near }
"""
EXPRESSIONS = (
    "n == 1 || s.matches('^[a-z]{2,8}$') && size(s) < 5 && m == {}",
    "m.a[0].b == {'c': [dyn(1), 2.5e3, 0x1F, null, true]} && has(m.x) ? n % 2 in [n, 1] : !(s + 'x' != s)",
    '[n].map(i, i > 0, i * 2).exists_one(j, j == n) || m.all(k, k == r"\\d" && b"\\xff" == b"""\\377""") || s == s',
)
SCENARIO = """schema: |
  definition user {}
  definition doc { relation owner: user  permission view = owner }
tuples: |
  doc:one#owner@user:anna
assertions:
  assertTrue: ["doc:one#view@user:anna"]
best:
  - {subject: user:anna, resource: doc:one, held: [view, owner]}
"""
SETTINGS = """store = "sqlite:///x.db"
listen = "127.0.0.1:0"
insecure = false
calls_max = 10
[limits]
nodes_max = 5
"""


class Target(NamedTuple):
    """Something that reads: `read` takes what was written to a file at the path, too, for what reads files only."""

    seeds: tuple[str, ...]
    read: Callable[[bytes, Path], object]


def _text(parse_text: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    """Return the way into something that reads a text, which may hold whatever Python's texts can."""
    return lambda data, _: parse_text(data.decode("utf-8", "surrogateescape"))


def _same(parse_text: Callable[[str], _Noun], write: Callable[[_Noun], str] = str) -> Callable[[bytes, Path], object]:
    """The same, for what can be written again."""

    def read(text: str) -> None:
        found = parse_text(text)
        assert found == parse_text(write(found))

    return _text(read)


def _caveat(text: str) -> None:
    caveat = compile_caveat("late", [("n", "int"), ("s", "string"), ("m", "map<any>")], text)
    outcome = caveat.evaluate(caveat.convert({"n": 1, "s": "aa", "m": {"a": [1, {"b": None}]}}))
    assert (outcome.value is not None) != bool(outcome.failed)
    assert caveat.evaluate(UNBOUND).missing in (set(), {"n", "s", "m"})


def _schema(text: str) -> None:
    printed = print_schema(parse(text))
    assert printed == print_schema(parse(printed))


def _filed(read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Return the way into something that reads files."""

    def write(data: bytes, path: Path) -> None:
        path.write_bytes(data)
        path.chmod(0o600)
        read(path)

    return write


def _tuples(kind: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, _: Path) -> None:
        file = TupleFile("-", format=kind, allow_universal=True, allow_wildcards=True, stream=io.BytesIO(data))
        with file as facts:
            for fact in facts:
                assert fact == RelationTuple.parse(str(fact))

    return read


def _cursor(text: str) -> None:
    found = Cursor.parse(text, TupleFilter())
    assert (found.token, found.last) == (
        Cursor.parse(str(found), TupleFilter()).token,
        Cursor.parse(str(found), TupleFilter()).last,
    )


def _audit(path: Path) -> None:
    found = verify_audit(path)
    for line in path.read_bytes().split(b"\n"):
        entry = entry_of(line)
        if entry is not None:
            assert is_object(line)
            assert entry_line({name: value for name, value in entry.items() if name != "hash"})[0] == line
    assert found.count >= 0


def _store_url(text: str) -> None:
    shown = without_password(text)
    assert without_password(shown) == shown or "://" not in text
    with suppress(InvalidSetting):
        place_of(f"postgresql://{text}")
    if text.startswith("sqlite:"):
        require_store(text)


def _environment(text: str) -> None:
    for name in ("RELGRAPH_CALLS_MAX", "RELGRAPH_INSECURE", "RELGRAPH_LISTEN", "RELGRAPH_LIMITS_NODES_MAX"):
        with suppress(InvalidSetting):
            load_settings({}, {"RELGRAPH_STORE": "sqlite://", name: text})
    load_settings({}, {"RELGRAPH_STORE": "sqlite://", f"RELGRAPH_LIMITS_{text}": "1"})


_ENTRY = entry_line({"number": 1, "time": "2026-01-01T00:00:00Z", "event": "call", "previous": NOTHING})[0].decode()
_JSON = json.dumps({"resource": "doc:one", "relation": "viewer", "subject": "user:anna", "expires_at": None})
_CAVEATED_JSON = json.dumps({**json.loads(_JSON), "caveat": "near", "context": {"site": ["n]", 1, {"caveat": None}]}})
_CAVEATED_CSV = (
    "context,caveat,resource,relation,subject,expires_at\n"
    '"{""site"":""n]"",""limit"":1e0}",near,doc:one,viewer,user:anna,2027-01-31T12:00:00Z\n'
)

TARGETS: dict[str, Target] = {
    "object": Target(("report:q3", "a/bcd:x", "user:*"), _same(Object.parse)),
    "universal": Target(("report:*", "report:q3"), _same(lambda text: Object.parse(text, wildcard=True))),
    "subject": Target(("user:anna", "group:eng#member"), _same(Subject.parse)),
    "wildcard": Target(("user:*", "group:eng#member"), _same(lambda text: Subject.parse(text, wildcard=True))),
    "tuple": Target((*TUPLES, *SAID), _same(RelationTuple.parse)),
    "caveat": Target(EXPRESSIONS, _text(_caveat)),
    "parameter": Target(("list<map<string>>", "ipaddress"), _same(parse_type)),
    "context": Target(('{"a":{"b":[1,-2.5e3,null,true,"]\\u00e9"]}}', "{}"), _same(Context.parse)),
    "filter": Target(("report", "report:q3#viewer", "@group#member", "@user:anna#"), _text(TupleFilter.parse)),
    "relation": Target(("viewer",), _text(check_relation)),
    "type": Target(("report", "team/report"), _text(check_type)),
    "instant": Target(
        ("2027-01-31T12:00:00Z", "0001-01-01T00:00:00.123456789+23:59", "9999-12-31t23:59:59z"),
        _same(parse_moment, instant_text),
    ),
    "time": Target(("2027-01-31T12:00:00Z",), _text(Consistency.at_time)),
    "token": Target((str(TOKEN),), _same(Token.parse)),
    "cursor": Target((str(Cursor.after(TupleFilter(), TOKEN, FACT)),), _text(_cursor)),
    "address": Target(("127.0.0.1:50051", "[::1]:0", "localhost:1"), _text(parse_address)),
    "target": Target(("127.0.0.1:50051", "[::1]:1"), _text(host_of)),
    "store": Target(
        ("sqlite:///x.db", "sqlite://", "postgresql://u:p@h/d?relgraph_schema=x", "host=a password=b"),
        _text(_store_url),
    ),
    "environment": Target(("10", "true", "NODES_MAX", "127.0.0.1:1"), _text(_environment)),
    "schema": Target((SCHEMA, CAVEATED), _text(_schema)),
    "partials": Target((PARTIAL, SCHEMA, CAVEATED), _filed(compose)),
    "scenario": Target((SCENARIO,), _filed(read_scenario)),
    "csv": Target(
        ('resource,relation,subject\nreport:q3,viewer,user:anna\n"doc:a",owner,"user:*"\n', _CAVEATED_CSV),
        _tuples("csv"),
    ),
    "jsonl": Target((f"{_JSON}\n{_JSON}\n", f"{_CAVEATED_JSON}\n{_JSON}\n"), _tuples("jsonl")),
    "lines": Target(("\n".join((*TUPLES, *SAID)) + "\n// more\n",), _tuples("text")),
    "keys": Target((KEY.line,), _filed(read_keys)),
    "audit": Target((_ENTRY + "\n",), _filed(_audit)),
    "settings": Target((SETTINGS,), _filed(lambda path: load_settings({}, {}, str(path)))),
}
"""What is fuzzed, by name."""

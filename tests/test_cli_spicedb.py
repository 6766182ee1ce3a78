"""The terminal's `migrate` from SpiceDB and back: at one snapshot, all or nothing, and no key is ever told."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from relgraph.errors import InvalidSetting
from relgraph.spicedb import Address
from relgraph.spicedb.messages import message_of, tuple_of
from relgraph.tuples import RelationTuple
from tests.spicedb_double import EXPORT, KEY, Double, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """use expiration

caveat near(site string, limit int) {
	site == "north" && limit > 1
}

definition group {
	relation member: user | group#member
}

definition report {
	relation viewer: user | user:* | group#member | user with near | user with near and expiration
	permission view = viewer
}

definition user {}
"""
TUPLES = (
    "group:board#member@user:anna",
    "group:eng#member@group:board#member",
    "report:q3#viewer@group:eng#member",
    "report:q3#viewer@user:*",
    'report:q4#viewer@user:bert[near:{"limit":2,"site":"north"}]',
    'report:q4#viewer@user:carl[near:{"site":"north"}][expiration:2999-01-31T12:00:00.000001Z]',
    "report:q4#viewer@user:dora[near]",
)
LADDER = """use roles
definition user {}
definition report {
  roles own > see
  relation own: user
  relation peer: user
  permission see = own + peer
}
"""
UNIVERSAL = """use universal
definition user {}
definition report { relation own: user | user with universal }
"""
GRANTS = """use grants
definition user {}
definition report {
  relation own: user
  permission see = own
  grant own by see
}
"""
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'access.db'}"


@pytest.fixture
def double() -> Double:
    """A stand-in that holds something."""
    return Double(SCHEMA, [message_of(RelationTuple.parse(text)) for text in TUPLES])


@pytest.fixture
def url(double: Double) -> Iterator[str]:
    """The stand-in's URL."""
    with served(double) as url:
        yield url


def held(store: str) -> list[str]:
    """Every tuple of a store, as text."""
    with relgraph.open(store) as authorizer, authorizer.dump() as dump:
        return sorted(map(str, dump))


@pytest.mark.parametrize("text", TUPLES)
def test_tuples_both_ways(text: str) -> None:
    """A tuple becomes a message and the same tuple again, caveat, context and expiration included."""
    tuple_ = RelationTuple.parse(text)
    assert tuple_ == tuple_of(message_of(tuple_))


def test_from_spicedb(double: Double, url: str, store: str, capsys: Screen) -> None:
    """A new store holds the schema and every tuple, read at the snapshot that the schema was read at."""
    assert 0 == main(["migrate", url, store])
    out, err = capsys.readouterr()
    assert "revision 2: 3 definitions, 1 caveat, 7 tuples, in " in out
    assert ["read 2 tuples", "read 4 tuples", "read 6 tuples", "read 7 tuples", "writing 7 tuples"] == err.splitlines()
    assert ["at-seven"] == double.snapshots
    assert sorted(TUPLES) == held(store)
    with relgraph.open(store) as authorizer:
        assert SCHEMA == authorizer.schema().text
        assert {f"migrated from {url.partition('?')[0]}"} == {entry.reason for entry in authorizer.log().entries}
        assert authorizer.check("user:anna", "view", "report:q3")


def test_and_back(double: Double, url: str, store: str, capsys: Screen) -> None:
    """What was brought into a store goes into an empty SpiceDB as it was, and with --json it is told in one line."""
    assert 0 == main(["migrate", url, store])
    other = Double()
    with served(other) as back:
        capsys.readouterr()
        assert 0 == main(["migrate", store, back, "--json"])
    out, err = capsys.readouterr()
    shape = json.loads(out)
    assert shape.pop("seconds") >= 0
    assert {"revision": 2, "counts": {"definitions": 3, "caveats": 1, "tuples": 7}} == shape
    assert "" == err
    assert SCHEMA == other.schema
    assert sorted(TUPLES) == sorted(str(tuple_of(each)) for each in other.tuples)
    assert double.tuples == sorted(other.tuples, key=double.tuples.index)


def test_what_has_expired_stays_behind(double: Double, url: str, store: str) -> None:
    """A tuple that expires on the way is no difference in the counts, and is absent from birth."""
    gone = RelationTuple.parse('report:q5#viewer@user:emil[near:{"limit":2}][expiration:2001-01-01T00:00:00Z]')
    assert gone.expires_at == datetime(2001, 1, 1, tzinfo=UTC)
    double.tuples.append(message_of(gone))
    assert 0 == main(["migrate", url, store])
    assert sorted(TUPLES) == held(store)


def test_a_store_that_was_written(double: Double, url: str, store: str, capsys: Screen) -> None:
    """A store with a revision of its own is refused before anything is read, and stays as it is."""
    with relgraph.open(store) as authorizer:
        authorizer.write_schema("definition user {}")
    assert 2 == main(["migrate", url, store])
    assert "the target was written before (its newest revision is 1)" in capsys.readouterr().err
    assert [] == double.calls
    assert [] == held(store)


@pytest.mark.parametrize("page", [0, 2])
def test_broken_off(double: Double, url: str, store: str, page: int, capsys: Screen, tmp_path: Path) -> None:
    """An export that breaks off leaves nothing behind, not even an empty store."""
    double.ends_after = page
    assert 5 == main(["migrate", url, store])
    assert "cannot be reached: `the connection was lost`" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("schema", "tuple_", "message"),
    [
        ("definition user {", None, "is never closed"),
        ("definition user { relation boss: usr }", None, "did you mean"),
        (SCHEMA, "report:q3#viewer@group:eng", "`report#viewer` takes no `group`"),
        (SCHEMA, "group:board#member@user:anna", "exists already"),
        (SCHEMA, "report:*#viewer@user:anna", "counts for every `report`"),
    ],
)
def test_what_relgraph_cannot_hold(
    double: Double, url: str, store: str, schema: str, tuple_: str | None, message: str, capsys: Screen
) -> None:
    """A schema or a tuple that is refused is named, and nothing of all that was brought stays."""
    double.schema = schema
    if tuple_:
        double.tuples.append(message_of(RelationTuple.parse(tuple_)))
    assert 2 == main(["migrate", url, store])
    assert message in capsys.readouterr().err
    assert (tuple_ is not None) is (EXPORT in double.calls)
    assert main(["--store", store, "schema", "read"]) != 0


def test_no_schema(url: str, double: Double, store: str, capsys: Screen) -> None:
    """A SpiceDB without a schema is no source, and is told so."""
    double.schema = ""
    assert 2 == main(["migrate", url, store])
    assert "holds no schema, so there is nothing to migrate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("schema", "tuple_", "message"),
    [
        (
            LADDER,
            "report:q3#own@user:anna",
            "SpiceDB's language has no `use roles` (the ladder of `report`)",
        ),
        (
            UNIVERSAL,
            "report:*#own@user:anna",
            "SpiceDB's language has no `use universal` (in `report#own`)",
        ),
        (
            GRANTS,
            "report:q3#own@user:anna",
            "SpiceDB's language has no `use grants` (the grants of `report`)",
        ),
    ],
)
def test_what_spicedb_cannot_hold(store: str, schema: str, tuple_: str, message: str, capsys: Screen) -> None:
    """What SpiceDB has no words for is named, and nothing at all is sent there."""
    with relgraph.open(store) as authorizer:
        authorizer.write_schema(schema)
        authorizer.write(touch=[tuple_])
    other = Double()
    with served(other) as back:
        assert 2 == main(["migrate", store, back])
    assert message in capsys.readouterr().err
    assert [] == other.calls


@pytest.mark.parametrize(
    ("schema", "tuples", "message"),
    [("definition user {}", [], "another schema"), (SCHEMA, [TUPLES[0]], "tuples already")],
)
def test_a_spicedb_that_is_not_empty(
    url: str, store: str, schema: str, tuples: list[str], message: str, capsys: Screen
) -> None:
    """A SpiceDB that holds something is refused and stays as it is."""
    assert 0 == main(["migrate", url, store])
    other = Double(schema, [message_of(RelationTuple.parse(text)) for text in tuples])
    with served(other) as back:
        assert 2 == main(["migrate", store, back])
    assert message in capsys.readouterr().err
    assert (schema, len(tuples)) == (other.schema, len(other.tuples))


def test_taken_up(url: str, store: str) -> None:
    """The schema of a migration that was killed before its tuples is no hindrance."""
    assert 0 == main(["migrate", url, store])
    other = Double(SCHEMA)
    with served(other) as back:
        assert 0 == main(["migrate", store, back])
    assert "WriteSchema" not in other.calls
    assert len(TUPLES) == len(other.tuples)


@pytest.mark.parametrize("stays", [False, True])
def test_an_import_that_fails(url: str, store: str, stays: bool, capsys: Screen) -> None:
    """Where SpiceDB refuses the tuples, the schema is taken back; where that fails too, it is said."""
    assert 0 == main(["migrate", url, store])
    other = Double(refuses_import=True, refuses_taking_back=stays)
    with served(other) as back:
        assert 2 == main(["migrate", store, back])
    err = capsys.readouterr().err
    assert "answered ALREADY_EXISTS: `could not CREATE it`; nothing was changed by this call" in err
    assert stays is ("could not be taken back" in err)
    assert stays is bool(other.schema)


def test_an_import_whose_answer_is_lost(url: str, store: str, capsys: Screen) -> None:
    """Where nobody knows whether the tuples are there, nobody is told that nothing was changed."""
    assert 0 == main(["migrate", url, store])
    other = Double(loses_answer=True, refuses_taking_back=True)
    with served(other) as back:
        assert 5 == main(["migrate", store, back])
    err = capsys.readouterr().err
    assert "answered INTERNAL: `the answer was lost`; look there whether it was carried out" in err
    assert "could not be taken back" in err
    assert len(TUPLES) == len(other.tuples)


def test_a_count_that_differs(url: str, store: str, capsys: Screen) -> None:
    """A SpiceDB that holds fewer tuples than it was sent is found out."""
    assert 0 == main(["migrate", url, store])
    other = Double(loses=True)
    with served(other) as back:
        assert 5 == main(["migrate", store, back])
    assert "took 7 tuples, said that it had loaded 7, and holds 6" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "spicedb://127.0.0.1:1?token={KEY}",
        "spicedb://10.0.0.1:50051?token={KEY}",
        "spicedb://:{KEY}@127.0.0.1:1",
        "spicedb://127.0.0.1?token={KEY}",
        "spicedb://127.0.0.1:1?tken={KEY}",
        "spicedb://127.0.0.1:1?{KEY}",
        "spicedb://127.0.0.1:1?token={KEY}&token={KEY}",
        "spicedb://127.0.0.1:1?token={KEY}&token_file=/nowhere",
        "spicedb://127.0.0.1:1?token_file=/nowhere/at/all&tls",
        "spicedb://127.0.0.1:1?insecure={KEY}",
        "spicedb://127.0.0.1:1?token=",
        "spicedb://127.0.0.1:1?token={KEY}&tls&insecure",
        "spicedb://127.0.0.1:1?token={KEY}%0Aand-more",
        "spicdb://127.0.0.1:1?token={KEY}",
        "spicedb:/127.0.0.1:1?token={KEY}",
    ],
)
def test_no_key_is_told(url: str, store: str, tmp_path: Path, capsys: Screen) -> None:
    """Whatever is wrong with a URL, from or to, the error says so without the key, and nothing comes into being."""
    named = url.format(KEY=KEY)
    assert main(["migrate", named, store]) in (2, 5)
    assert [] == list(tmp_path.iterdir())
    with relgraph.open(store) as authorizer:
        authorizer.write_schema(SCHEMA)
    assert main(["migrate", store, named]) in (2, 5)
    assert main(["migrate", store, named, "--json"]) in (2, 5)
    out, err = capsys.readouterr()
    assert err.count("relgraph: error: ") == 2
    assert "canary" not in out + err


def test_a_key_that_is_refused(url: str, store: str, capsys: Screen) -> None:
    """A wrong key is told as such, without the key."""
    assert 2 == main(["migrate", url.replace("canary", "other"), store])
    err = capsys.readouterr().err
    assert "refuses the key: `invalid preshared key: invalid token`" in err
    assert "other-preshared-key" not in err


def test_a_key_in_a_file(double: Double, url: str, store: str, tmp_path: Path) -> None:
    """The key may be kept in a file, out of the list of processes."""
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    assert 0 == main(["migrate", url.partition("?")[0] + f"?token_file={key}", store])
    assert len(double.tuples) == len(held(store))


def test_both_are_spicedb(url: str, capsys: Screen) -> None:
    """Two of SpiceDB are not moved between by relgraph."""
    assert 2 == main(["migrate", url, url])
    assert "one of the two has to be a store of relgraph" in capsys.readouterr().err


def test_without_its_package(store: str, monkeypatch: pytest.MonkeyPatch, capsys: Screen) -> None:
    """Where the messages of SpiceDB are not installed, the error says what to install."""
    for name in [name for name in sys.modules if name.startswith("relgraph.spicedb")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "authzed.api.v1", None)
    assert 2 == main(["migrate", "spicedb://127.0.0.1:1", store])
    assert "needs `authzed`, which is not installed; run `pip install 'relgraph[authzed]'`" in capsys.readouterr().err


def test_addresses() -> None:
    """An address has a text without its key, and says how the server is reached."""
    address = Address.parse("spicedb://db.example.com:50051/?token=a%2Bb%26c&tls")
    assert "spicedb://db.example.com:50051" == str(address)
    assert ("a+b&c", True, False) == (address.access.token, address.access.tls, address.access.insecure)
    assert "a+b" not in repr(address)
    plain = Address.parse("spicedb://[::1]:50051?insecure")
    assert ("[::1]:50051", "", True) == (plain.target, plain.access.token, plain.access.insecure)
    with pytest.raises(InvalidSetting, match="in plain text"):
        Address.parse("spicedb://db.example.com:50051?token=x")

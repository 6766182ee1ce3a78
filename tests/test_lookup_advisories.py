"""Faults of other authorizers' lists, each with a twin of relgraph that has the fault and fails the same test.

A row in a list is checked against Check itself, for every object and subject that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import Verdict
from relgraph.engine.crowd import Crowd
from relgraph.engine.leads import Leads
from relgraph.engine.lookup import Listing, Row, _Resources, _Subjects
from relgraph.errors import LimitExceeded, RelgraphError
from relgraph.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.api import Authorizer
    from relgraph.engine.plans import Kinds
    from relgraph.rewrites import Edge

Twin = pytest.MonkeyPatch


def _opened(schema: str, *tuples: str, limits: Limits | None = None) -> Authorizer:
    authorizer = relgraph.open("sqlite://", limits=limits)
    authorizer.write_schema(schema)
    authorizer.write(touch=tuples)
    return authorizer


def _wrong(authorizer: Authorizer, permission: str, resources: Sequence[str], subjects: Sequence[str]) -> list[str]:
    """Return where a list says something else than Check: both lookups, of everything."""
    wrong = []
    for who in subjects:
        for what in resources:
            told = authorizer.decide(who, permission, what).verdict
            kind, id_ = what.split(":")
            if told != _row(authorizer.what(who, permission, kind).rows, id_):
                wrong.append(f"{what} for {who}")
            type_, own = who.split(":")
            if told != _row(authorizer.who(what, permission, type_).rows, own):
                wrong.append(f"{who} on {what}")
    return wrong


def _row(rows: Sequence[relgraph.answers.Found], id_: str) -> Verdict:
    told = {row.id: row.verdict for row in rows}
    return told.get(id_, told.get("*", Verdict.NO))


def _trust_candidates(twin: Twin) -> None:
    """Tell every candidate as found, without deciding it."""
    for kind in (_Resources, _Subjects):
        twin.setattr(kind, "_told", lambda self, id_: (Verdict.YES, ()))  # noqa: ARG005  # every candidate alike


WILD = """
    definition user {}
    definition doc {
        relation viewer: user | user:*
        relation member: user
        relation banned: user
        permission both = viewer & member
        permission rest = viewer - banned
    }
"""
WILD_TUPLES = (
    "doc:one#viewer@user:*",
    "doc:one#member@user:anna",
    "doc:one#banned@user:bob",
    "doc:two#viewer@user:bob",
)


@pytest.mark.parametrize("permission", ["both", "rest"])
def test_cve_2022_21646_a_wildcard_under_intersection_and_exclusion(permission: str, monkeypatch: Twin) -> None:
    """SpiceDB: a lookup granted through a wildcard what an intersection or an exclusion takes away."""
    people, docs = ["user:anna", "user:bob", "user:zed"], ["doc:one", "doc:two", "doc:zed"]
    with _opened(WILD, *WILD_TUPLES) as authorizer:
        assert [] == _wrong(authorizer, permission, docs, people)
        _trust_candidates(monkeypatch)
        assert _wrong(authorizer, permission, docs, people)


def test_cve_2024_32001_one_type_through_several_relations(monkeypatch: Twin) -> None:
    """SpiceDB: subjects were dropped where one type of subject leads on through several of its relations."""
    schema = """
        definition user {}
        definition group {
            relation member: user
            relation owner: user
        }
        definition doc {
            relation viewer: group#member | group#owner
            permission view = viewer
        }
    """
    tuples = (
        *("group:g#member@user:anna", "group:g#owner@user:bob"),
        *("doc:one#viewer@group:g#member", "doc:one#viewer@group:g#owner"),
    )
    with _opened(schema, *tuples) as authorizer:
        assert [] == _wrong(authorizer, "view", ["doc:one"], ["user:anna", "user:bob"])
        read = Crowd.userset_edges

        def one_of_each_type(self: Crowd, resource: int, relation: int, kinds: Kinds, *, universal: bool) -> list[Edge]:
            found = read(self, resource, relation, kinds, universal=universal)
            return list({edge.kind[0]: edge for edge in found}.values())

        monkeypatch.setattr(Crowd, "userset_edges", one_of_each_type)
        assert _wrong(authorizer, "view", ["doc:one"], ["user:anna", "user:bob"])


def test_cve_2025_65111_a_relation_read_twice(monkeypatch: Twin) -> None:
    """SpiceDB: resources were missing where a relation grants by itself and is an arrow's tupleset as well."""
    schema = """
        definition user { relation deputy: user }
        definition doc {
            relation viewer: user
            permission view = viewer + viewer->deputy
        }
    """
    tuples = ("doc:one#viewer@user:anna", "doc:two#viewer@user:bob", "user:anna#deputy@user:bob")
    docs, people = ["doc:one", "doc:two"], ["user:anna", "user:bob"]
    with _opened(schema, *tuples) as authorizer:
        assert [] == _wrong(authorizer, "view", docs, people)
        made = Leads.__init__

        def once(self: Leads, *arguments: object) -> None:
            made(self, *arguments)  # type: ignore[arg-type]
            granted = set(self.granted)
            for key, arrows in self.arrowed.items():
                self.arrowed[key] = [each for each in arrows if (each.type, each.relation) not in granted]

        monkeypatch.setattr(Leads, "__init__", once)
        assert _wrong(authorizer, "view", docs, people)


def test_openfga_cve_2023_40579_what_is_inherited_is_decided(monkeypatch: Twin) -> None:
    """OpenFGA: what was found through a parent was listed without its intersection and exclusion."""
    schema = """
        definition user {}
        definition folder {
            relation viewer: user
            relation banned: user
            permission view = viewer - banned
        }
        definition doc {
            relation parent: folder
            relation cleared: user
            permission read = parent->view & cleared
        }
    """
    tuples = (
        *("folder:f#viewer@user:anna", "folder:f#viewer@user:bob", "folder:f#viewer@user:carl"),
        *("folder:f#banned@user:bob", "doc:one#parent@folder:f", "doc:one#cleared@user:anna"),
        *("doc:one#cleared@user:bob", "doc:two#parent@folder:f"),
    )
    docs, people = ["doc:one", "doc:two"], ["user:anna", "user:bob", "user:carl"]
    with _opened(schema, *tuples) as authorizer:
        assert [] == _wrong(authorizer, "read", docs, people)
        _trust_candidates(monkeypatch)
        assert _wrong(authorizer, "read", docs, people)


def test_spicedb_1_54_0_a_subject_excluded_from_a_wildcard_in_an_intersection(monkeypatch: Twin) -> None:
    """SpiceDB before 1.54.0: one who is excluded from a wildcard came back through an intersection with another."""
    schema = """
        definition user {}
        definition doc {
            relation viewer: user:*
            relation reader: user:*
            relation banned: user
            permission view = (viewer - banned) & reader
        }
    """
    tuples = ("doc:one#viewer@user:*", "doc:one#reader@user:*", "doc:one#banned@user:bob")
    people = ["user:anna", "user:bob"]
    with _opened(schema, *tuples) as authorizer:
        assert [] == _wrong(authorizer, "view", ["doc:one"], people)
        monkeypatch.setattr(Listing, "rows", lambda self, after="": iter(()))  # noqa: ARG005  # exclusions are dropped
        assert _wrong(authorizer, "view", ["doc:one"], people)


DEEP = """
    definition user {}
    definition group { relation member: user | group#member }
    definition doc {
        relation viewer: user
        relation banned: group#member
        permission view = viewer - banned
    }
"""


def _deep() -> list[str]:
    chain = [f"group:g{at}#member@group:g{at + 1}#member" for at in range(50)]
    return [*chain, "doc:one#viewer@user:anna", "doc:one#banned@group:g0#member", "group:g50#member@user:anna"]


def test_openfga_3296_an_error_in_an_exclusion_lists_nothing(monkeypatch: Twin) -> None:
    """OpenFGA 1.20.0: what is excluded was listed where finding out about the exclusion failed."""
    with _opened(DEEP, *_deep(), limits=Limits(nodes_max=10)) as authorizer:
        # Deciding fails, not only the search for candidates.
        monkeypatch.setattr(
            "relgraph.engine.lookup.above", lambda scope, *_: {scope.number(relgraph.Object("doc", "one"))}
        )
        with pytest.raises(LimitExceeded):
            authorizer.what("user:anna", "view", "doc")
        decide = _Resources._told

        def trusting(self: _Resources, id_: str) -> tuple[Verdict, tuple[str, ...]]:
            try:
                return decide(self, id_)
            except RelgraphError:
                return Verdict.YES, ()

        monkeypatch.setattr(_Resources, "_told", trusting)
        assert ["one"] == [row.id for row in authorizer.what("user:anna", "view", "doc").rows]


def test_cve_2023_35930_what_is_incomplete_is_an_error(monkeypatch: Twin) -> None:
    """SpiceDB: a lookup of resources returned a part of them, and no error."""
    docs = [f"doc:d{at}#viewer@user:anna" for at in range(30)]
    with _opened(DEEP, *docs, limits=Limits(lookup_rows_max=20)) as authorizer:
        with pytest.raises(LimitExceeded):
            authorizer.what("user:anna", "view", "doc")
        every = Listing.rows

        def fewer(self: Listing, after: str = "") -> Iterator[Row]:
            yield from list(every(self, after))[:20]

        monkeypatch.setattr(Listing, "rows", fewer)
        assert 20 == len(authorizer.what("user:anna", "view", "doc").rows)

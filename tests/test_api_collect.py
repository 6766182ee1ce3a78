"""Collecting history under an open Authorizer: what is no longer kept is refused, never answered from what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.errors import RevisionUnavailable
from relgraph.limits import Limits
from relgraph.revision import Consistency
from relgraph.store.postgres import pool
from relgraph.tuples import TupleFilter
from tests.api_kit import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_kit import Server

SHARES = [f"doc:d{n}#viewer@user:anna" for n in range(4)]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[relgraph.Authorizer, relgraph.Authorizer]]:
    """Two Authorizers on one store, the first of which stays where it is unless it is asked for the newest."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with relgraph.open(url, limits=Limits(staleness_ms_max=3_600_000)) as one, relgraph.open(url) as other:
        one.write_schema(SCHEMA)
        one.write(touch=SHARES)
        yield one, other


def collected(other: relgraph.Authorizer) -> None:
    other.delete(TupleFilter.parse("doc:d1"))
    other.write(touch=["doc:d9#viewer@user:anna"])
    other.collect(timedelta(0))


def test_a_graph_behind_the_floor_lists_nothing(two: tuple[relgraph.Authorizer, relgraph.Authorizer]) -> None:
    """A process whose graph stands at a revision that was collected since refuses to list its tuples."""
    one, other = two
    collected(other)
    stale = Consistency.minimize_latency()
    for ask in (lambda: one.read(consistency=stale), lambda: one.orphans(consistency=stale)):
        with pytest.raises(RevisionUnavailable, match="no longer kept"):
            ask()
    assert ["d0", "d2", "d3", "d9"] == sorted(each.resource.id for each in one.read().tuples)
    assert () == one.orphans(consistency=stale).orphans


def test_a_collection_between_choosing_and_reading(
    two: tuple[relgraph.Authorizer, relgraph.Authorizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is collected right after a revision was chosen is not read at it."""
    one, other = two
    opened = one._store.snapshot

    def late() -> object:
        monkeypatch.undo()
        collected(other)
        return opened()

    monkeypatch.setattr(one._store, "snapshot", late)
    with pytest.raises(RevisionUnavailable, match="no longer kept"):
        one.read()
    assert 4 == len(one.read().tuples)


def test_a_page_of_the_past_needs_one_connection(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading at an older revision waits for no second connection while it holds one, so many at once come through."""
    monkeypatch.setattr(pool, "LINKS_MAX", 1)
    with relgraph.open(postgres.url()) as authorizer:
        authorizer.write_schema(SCHEMA)
        token = authorizer.write(touch=SHARES).token
        authorizer.write(delete=SHARES)
        page = authorizer.read(limit=3, consistency=Consistency.at_exactly(token))
        assert SHARES == [str(each) for each in (*page.tuples, *authorizer.read(limit=3, cursor=page.cursor).tuples)]
        assert 4 == len(authorizer.read(consistency=Consistency.at_exactly(token)).tuples)
        assert () == authorizer.orphans(consistency=Consistency.at_exactly(token)).orphans

"""Migrations between stores that collect their history meanwhile."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import AlreadyExists
from relgraph.store.migration import migrate
from tests.store_kit import FakeClock, texts, until, write
from tests.test_store_migration import file, fill, opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("collecting", ["source", "target", "source, and written again"])
def test_collected_between_two_migrations(tmp_path: Path, collecting: str) -> None:
    """A target is brought up to date whatever either store has collected meanwhile, and keeps no more than both do."""
    clock = FakeClock()
    source, target = (opened(file(tmp_path / name), clock) for name in ("source.db", "target.db"))
    soon = "doc:a#viewer@user:anna"
    with closing(source), closing(target):
        fill(source, clock, 5, 20)
        write(source, touch=[until(soon, clock.now + 5)])
        clock.now += 10
        write(source, touch=["doc:b#viewer@user:anna"])
        write(source, delete=["doc:b#viewer@user:anna"])
        migrate(source, target)
        (target if collecting == "target" else source).collect(clock.now)
        if "written" in collecting:
            write(source, touch=[soon])
        assert source.head().number == migrate(source, target).revision
        with source.snapshot() as ours, target.snapshot() as theirs:
            assert theirs.floor == max(ours.floor, theirs.floor) > 0
        assert texts(source, now=clock.now) == texts(target, now=clock.now)
        assert () == target.verify().findings
        with pytest.raises(AlreadyExists):
            write(target, create=sorted(texts(target, now=clock.now))[:1])

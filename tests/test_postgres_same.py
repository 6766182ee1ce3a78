"""PostgreSQL and SQLite do the same: whatever is written and loaded, rows, numbers, counts and refusals are equal."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import AlreadyExists
from relgraph.store import open_store
from relgraph.store.base import Commit, OnDuplicate, Store
from tests.store_kit import NOW, FakeClock, FakeRandom, many, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.tuples import RelationTuple
    from tests.postgres_kit import Server

POOL = [
    *(f"report:q{n % 4}#viewer@user:u{n // 4}" for n in range(16)),
    *(f"group:g{n % 3}#member@group:g{n // 3}#member" for n in range(9)),
    "report:*#viewer@group:g1#member",
    "report:q1#viewer@user:*",
]
SAID = ["", "", "", "[late]", '[late:{"n":1}]', '[late:{"n":"1"}]', '[member:{"n":1}]']
ON_DUPLICATE: tuple[OnDuplicate, ...] = ("error", "touch", "skip")


def some(random: Random, clock: FakeClock, size: int) -> list[RelationTuple]:
    """Tuples that may repeat each other; some expire soon, some have, some never do; some have a caveat."""
    found = [each + random.choice(SAID) for each in random.choices(POOL, k=size)]
    return many(*(each if random.random() < 0.6 else until(each, clock.now + random.randint(-2, 3)) for each in found))


def outcome(store: Store, made: str, tuples: Sequence[RelationTuple], on_duplicate: OnDuplicate) -> object:
    """Run one write; gives how many tuples changed, or what was refused."""
    transaction = store.transaction()
    if made == "load":
        transaction.stage(tuples)
    try:
        with transaction:
            if made == "load":
                changed = transaction.load(on_duplicate)
            else:
                third = len(tuples) // 3
                changed = transaction.apply(
                    delete=tuples[:third], touch=tuples[third : 2 * third], create=tuples[2 * third :]
                )
            transaction.seal(Commit())
            transaction.commit()
    except AlreadyExists as error:
        return error.message
    return changed


def contents(store: Store) -> tuple[object, ...]:
    with store.snapshot() as snapshot:
        image = snapshot.image()
        return (
            image.head.number, image.names, list(image.objects), list(image.rows),
            sorted(snapshot.changes(0, 0, 0).rows, key=lambda row: row[:5]),
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_the_same_writes_leave_the_same_rows(postgres: Server, seed: int) -> None:
    """Writes and loads at random have equal outcomes and leave equal rows, with equal numbers, on both databases."""
    random, clock = Random(seed), FakeClock(NOW)
    sqlite = open_store("sqlite://", clock=clock, random=FakeRandom())
    with postgres.store(clock, FakeRandom()) as store:
        for _ in range(25):
            made, on_duplicate = random.choice(["load", "apply"]), random.choice(ON_DUPLICATE)
            tuples = some(random, clock, random.choice([1, 3, 12]))
            told = [outcome(each, made, tuples, on_duplicate) for each in (sqlite, store)]
            assert told[0] == told[1], (made, on_duplicate, tuples)
            clock.now += random.randint(0, 2)
        assert contents(sqlite) == contents(store)
    sqlite.close()

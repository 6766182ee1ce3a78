"""Lookups, counts and all permissions at the public doors: on random worlds they are brute force's, page by page."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.client import Client
from relgraph.errors import InvalidInput
from tests.awaited import awaited
from tests.lookup_kit import plainly, widened
from tests.oracle import Oracle
from tests.patience import Patience
from tests.serving import in_process
from tests.worlds import FEATURES_SERVED, NEVER_MENTIONED, schema_text, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from relgraph.answers import Count, Lookup
    from tests.oracle import Rows, Tuple, World

Door = relgraph.Authorizer | Client
Told = list[tuple[str, str, frozenset[str]]]

LONG = bool(os.environ.get("RELGRAPH_LONG"))
QUESTIONS = 200_000 if LONG else 8_000
WORLDS = 2_000 if LONG else 50
LIMITS = (None, 1, 2, 3, 200)
CLIENTS: tuple[Callable[[str], AbstractContextManager[Client]], ...] = (Client, awaited)


def _text(entry: Tuple, now: int) -> str:
    if entry.expires is None:
        return entry.text
    return f"{entry.text}[expiration:{'2001' if entry.expires <= now else '9001'}-01-01T00:00:00Z]"


def _rows(expected: Rows) -> Told:
    """What a lookup has to list: `*` unless that is a no, then the others by the bytes of their ids."""
    never = expected.never_named
    everyone = [] if never.kind == "no" else [("*", never.kind, never.missing)]
    named = sorted(expected.named.items(), key=lambda each: each[0].encode())
    return [*everyone, *((id_, each.kind, each.missing) for id_, each in named)]


def _paged(ask: Callable[[int | None, str], Lookup], limit: int | None) -> Told:
    """All pages of a lookup together; each but the last one is full."""
    rows: Told = []
    cursor = ""
    while True:
        page = ask(limit, cursor)
        rows += [(each.id, each.verdict.value, frozenset(each.missing)) for each in page.rows]
        cursor = page.cursor
        if not cursor:
            return rows
        assert len(page.rows) == limit


def _counted(count: Count) -> Counter[str]:
    every = {"yes": count.yes, "conditional": count.conditional, "undecided": count.undecided, "no": count.excluded}
    return +Counter(every) + Counter({f"everyone {count.everyone.value}": 1})


class _Question:
    """A lookup and what brute force finds: `what` of a type a subject has a name on, or `who` has it on a resource."""

    def __init__(self, oracle: Oracle, kind: str, *words: str) -> None:
        self.what = kind == "what"
        self.words = words
        rows = oracle.lookup_resources(*words) if self.what else oracle.lookup_subjects(*words)
        self.expected = plainly(rows)

    def page(self, door: Door, limit: int | None, cursor: str) -> Lookup:
        """Ask for a page."""
        if self.what:
            subject, type_, name = self.words
            return door.what(subject, name, type_, limit=limit, cursor=cursor)
        resource, name, type_, relation = self.words
        return door.who(resource, name, type_, relation=relation, limit=limit, cursor=cursor)

    def count(self, door: Door) -> Count:
        """Ask how many there are."""
        if self.what:
            subject, type_, name = self.words
            return door.count_resources(subject, name, type_)
        resource, name, type_, relation = self.words
        return door.count_subjects(resource, name, type_, relation=relation)


def _looked_up(door: Door, asked: _Question, limit: int | None) -> Iterator[str]:
    """Ask for a lookup by pages of a size, and for its count, and yield what they agree on."""
    rows = _rows(asked.expected)
    try:
        found = _paged(lambda size, cursor: asked.page(door, size, cursor), limit)
    except InvalidInput:
        assert rows == []  # surely swapped: refused, where the law finds nothing
        return
    assert rows == found, asked.words
    counts = Counter(verdict for id_, verdict, _ in rows if id_ != "*")
    never = asked.expected.never_named.kind
    assert counts + Counter({f"everyone {never}": 1}) == _counted(asked.count(door)), asked.words
    yield "everyone" if never == "yes" else "some" if rows else "none"


def _agreed(door: Door, world: World, chance: random.Random) -> Iterator[str]:
    oracle = Oracle(world)
    names = {type_: (*each.relations, *each.permissions) for type_, each in world.schema.definitions.items()}
    objects = [*map(str, world.objects), *(f"{type_}:{NEVER_MENTIONED}" for type_ in names)]
    subjects = [f"{each}{tail}" for each in objects for tail in ("", *(f"#{n}" for n in names[each.split(":")[0]]))]
    every: list[tuple[str, ...]] = [
        ("what", who, type_, n) for who in subjects for type_ in names for n in names[type_]
    ]
    kinds = [(type_, relation) for type_, some in names.items() for relation in ("", *some)]
    every += [("who", each, name, *kind) for each in objects for name in names[each.split(":")[0]] for kind in kinds]
    for words in chance.sample(every, min(100, len(every))):
        asked = _Question(oracle, *words)
        # Most lookups find nothing, and few of those are enough.
        if _rows(asked.expected) or chance.random() < 1 / 8:
            yield from _looked_up(door, asked, chance.choice(LIMITS))
    for _ in range(20):
        who, what = chance.choice(subjects), chance.choice(objects)
        expected = [(name, oracle.verdict(who, name, what)) for name in names[what.split(":")[0]]]
        held = {each.name: (each.verdict.value, frozenset(each.missing)) for each in door.permissions(who, what).rows}
        assert {name: (each.kind, each.missing) for name, each in expected} == held, (who, what)
        yield "permissions"


def test_lookups_are_the_oracles_at_every_door() -> None:
    """Thousands of lookups at all sizes of pages, counts and permissions, in the library and through both clients."""
    asked: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=WORLDS, phases=set(Phase) - {Phase.explain})
    @given(world=worlds(FEATURES_SERVED - {"stale"}), seed=st.integers(0, 1_000))
    def agree(world: World, seed: int) -> None:
        chance = random.Random(seed)
        world = widened(world, chance) if seed % 2 else world
        note(world_text(world))
        with patience.with_example(f"{seed} {world}"), relgraph.open("sqlite://") as authorizer:
            authorizer.write_schema(schema_text(world.schema))
            if world.tuples:
                authorizer.write(create=[_text(each, world.now) for each in world.tuples])
            asked.update(_agreed(authorizer, world, chance))
            if chance.random() < 1 / 4:
                with in_process(authorizer) as address, chance.choice(CLIENTS)(address) as client:
                    asked.update(f"{each}, served" for each in _agreed(client, world, chance))

    while asked.total() < QUESTIONS:
        agree()
    print(f"{asked.total():,} questions: {dict(asked)}")  # noqa: T201  # seen with -s
    assert all(asked[each] > 20 for each in ("none", "some", "everyone", "permissions"))
    assert all(asked[f"{each}, served"] > 5 for each in ("none", "some", "permissions"))

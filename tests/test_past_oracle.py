"""Random pasts against the law: writes, schema changes and clocks that jump, then everything asked again.

`Ledger` is the model: it knows which revisions there must be, with their stamps, schemas and tuples, and is judged by
the oracle. What a store said of a moment when that was now is noted beside it, and has to be said again later.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph import Consistency
from relgraph.errors import AlreadyExists, NoSchema, SchemaOrphans, TupleNotAllowed
from relgraph.instants import moment
from tests.api_kit import clocked
from tests.oracle import Arrow, Name, Object, Oracle, Schema, World, define, tuple_of
from tests.store_kit import NOW, FakeClock, until
from tests.worlds import schema_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.answers import Expansion, Written
    from relgraph.errors import RelgraphError

EXAMPLES = 1_500 if os.environ.get("RELGRAPH_LONG") else 40

_MEMBERS = "user | user with expiration | group#member with expiration"
_GROUP = define({"member": _MEMBERS})
_VIEWERS = "user | user with expiration | group#member with expiration"


def _schema(viewer: str, **permissions: Name | Arrow) -> Schema:
    relations = {"viewer": viewer, "banned": "user | user with expiration", "parent": "doc with expiration"}
    return Schema({"user": define({}), "group": _GROUP, "doc": define(relations, permissions)})


SCHEMAS = (
    _schema(_VIEWERS, view=Name("viewer") - Name("banned")),  # type: ignore[arg-type]  # an expression of names
    _schema(_VIEWERS, view=Name("viewer") + Arrow("parent", "view")),  # type: ignore[arg-type]  # the same
    # Refused while a group views for ever or one expiring viewer lives.
    _schema("user | group#member with expiration", view=Name("viewer")),
    _schema("user with expiration | group#member with expiration", view=Name("banned")),
)
KEYS = tuple(
    f"{resource}@{subject}"
    for resource, subjects in {
        "doc:a#viewer": ("user:x", "user:y", "group:g#member"),
        "doc:b#viewer": ("user:x",),
        "doc:a#banned": ("user:x",),
        "doc:a#parent": ("doc:b",),
        "doc:b#parent": ("doc:a",),
        "group:g#member": ("user:x", "user:y"),
    }.items()
    for subject in subjects
)
QUESTIONS = tuple(f"doc:{d}#{name}@user:{u}" for d in "ab" for name in ("view", "viewer", "banned") for u in "xyz")
BY_TEXT = {schema_text(schema): schema for schema in SCHEMAS}


@dataclass(frozen=True)
class State:
    """One revision: its number, stamp, schema (None before the first) and rows, a tuple's text to its expiration."""

    number: int = 0
    stamp: int = 0
    schema: Schema | None = None
    rows: dict[str, int | None] = field(default_factory=dict)

    def living(self, now: int) -> dict[str, int | None]:
        """The rows that have not expired."""
        return {text: expires for text, expires in self.rows.items() if expires is None or now < expires}

    def texts(self, now: int) -> set[str]:
        """What a read tells."""
        return {text if expires is None else until(text, expires) for text, expires in self.living(now).items()}

    def oracle(self, now: int) -> Oracle:
        """The law over this revision at an instant."""
        assert self.schema is not None
        rows = tuple(tuple_of(text, expires=expires) for text, expires in self.rows.items())
        return Oracle(World(self.schema, rows, now=now))


def _admits(schema: Schema, rows: dict[str, int | None]) -> bool:
    return all(schema.admits(tuple_of(text, expires=expires)) for text, expires in rows.items())


@dataclass
class Ledger:
    """What the history must be, beside the Authorizer that makes it."""

    authorizer: relgraph.Authorizer
    clock: FakeClock
    states: list[State] = field(default_factory=lambda: [State()])
    tokens: dict[int, str] = field(default_factory=dict)
    noted: list[tuple[int, int, object]] = field(default_factory=list)

    @property
    def head(self) -> State:
        """The newest revision."""
        return self.states[-1]

    @property
    def now(self) -> int:
        """The instant of a request without a token, and the stamp of a write."""
        return max(self.clock.now, self.head.stamp)

    def put(self, schema: Schema) -> None:
        """Write a schema, which is refused exactly when what lives would be orphaned."""
        text = schema_text(schema)
        note(f"{self.now - NOW}: schema {SCHEMAS.index(schema)}")
        if not _admits(schema, self.head.living(self.now)):
            with pytest.raises(SchemaOrphans):
                self.authorizer.write_schema(text)
            return
        self._take(
            self.authorizer.write_schema(text),
            None if schema is self.head.schema else replace(self.head, schema=schema),
        )

    def write(self, touch: dict[str, int | None], create: dict[str, int | None], delete: Iterable[str]) -> None:
        """Write tuples, refused exactly when one is not admitted or one to create is living."""
        head, now = self.head, self.now
        rows = dict(head.rows)
        for text in delete:
            if text in head.living(now):
                del rows[text]
        rows |= touch
        note(f"{now - NOW}: touch {touch} create {create} delete {delete}")
        texts = [[text if e is None else until(text, e) for text, e in part.items()] for part in (touch, create)]
        assert head.schema is not None
        expected: type[RelgraphError] | None = None
        deleted = [(text, expires) for text in delete for expires in (None, 1)]
        if not _admits(head.schema, touch | create) or not all(
            any(_admits(head.schema, {text: expires}) for other, expires in deleted if other == text) for text in delete
        ):
            expected = TupleNotAllowed
        elif set(create) & set(replace(head, rows=rows).living(now)):
            expected = AlreadyExists
        if expected is not None:
            with pytest.raises(expected):
                self.authorizer.write(touch=texts[0], create=texts[1], delete=list(delete))
            return
        written = self.authorizer.write(touch=texts[0], create=texts[1], delete=list(delete))
        self._take(written, replace(head, rows=rows | create) if create or rows != head.rows else None)

    def _take(self, written: Written, state: State | None) -> None:
        if state is not None:
            self.states.append(replace(state, number=self.head.number + 1, stamp=self.now))
        assert written.revision == self.head.number
        self.tokens.setdefault(written.revision, written.token)

    def note_now(self) -> None:
        """Note what is said of now, and let the clock pass on."""
        self.noted.append((self.now, self.head.number, said(self.authorizer, None)))
        self.clock.now = self.now + 1

    def at(self, instant: int) -> State:
        """The last revision stamped up to an instant."""
        return [state for state in self.states if state.stamp <= instant][-1]


def said(authorizer: relgraph.Authorizer, when: Consistency | None) -> object:
    """What every way of reading says, without tokens and in an order of its own."""

    def nodes(expansion: Expansion) -> object:
        return sorted((n.kind, str(n.object), n.text, sorted(map(str, n.tuples))) for n in expansion.nodes)

    page = authorizer.read(consistency=when)
    try:
        text = authorizer.schema(consistency=when).text
    except NoSchema:
        return page.revision, page.tuples
    best = [authorizer.best(f"user:{u}", "doc:a", ways="all", consistency=when) for u in "xy"]
    return (
        page.revision,
        sorted(map(str, page.tuples)),
        text,
        [authorizer.check(question, consistency=when) for question in QUESTIONS],
        [(b.revision, b.held, sorted(sorted(map(str, way.tuples)) for way in b.ways)) for b in best],
        nodes(authorizer.expand("doc:a", "view", consistency=when)),
        sorted(str(each) for each in authorizer.orphans(consistency=when).orphans),
    )


def agree(ledger: Ledger, state: State, now: int, when: Consistency) -> None:
    """Compare what is said of one revision at one instant with the law."""
    authorizer = ledger.authorizer
    page = authorizer.read(consistency=when)
    assert (state.number, state.texts(now)) == (page.revision, set(map(str, page.tuples)))
    if state.schema is None:
        return
    assert BY_TEXT[authorizer.schema(consistency=when).text] is state.schema
    oracle = state.oracle(now)
    for question in QUESTIONS:
        assert (oracle.check(question).kind == "yes") == authorizer.check(question, consistency=when), question
    for user in "xy":
        best = authorizer.best(f"user:{user}", "doc:a", ways="all", consistency=when)
        assert set(oracle.best(f"user:{user}", Object("doc", "a")).held) == set(best.held)
        assert {str(tuple_) for way in best.ways for tuple_ in way.tuples} <= state.texts(now)


EXPIRATIONS = st.one_of(st.none(), st.integers(-5, 30))
STEPS = st.one_of(
    st.tuples(st.just("write"), st.dictionaries(st.sampled_from(KEYS), EXPIRATIONS, min_size=1, max_size=3)),
    st.tuples(st.just("create"), st.dictionaries(st.sampled_from(KEYS), EXPIRATIONS, min_size=1, max_size=2)),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("schema"), st.sampled_from(SCHEMAS)),
    st.tuples(st.just("clock"), st.sampled_from((1, 3, 10, -7))),
    st.tuples(st.just("note"), st.none()),
)


def _run(ledger: Ledger, step: tuple[str, object]) -> None:
    kind, what = step
    if isinstance(what, int):
        ledger.clock.now += what
    elif isinstance(what, Schema):
        ledger.put(what)
    elif isinstance(what, dict):
        tuples = {text: None if e is None else ledger.now + e for text, e in what.items()}
        ledger.write(*((tuples, {}) if kind == "write" else ({}, tuples)), ())
    elif isinstance(what, list):
        ledger.write({}, {}, what)
    else:
        ledger.note_now()


@settings(max_examples=EXAMPLES)
@given(steps=st.lists(STEPS, min_size=4, max_size=14), later=st.sampled_from((0, 1, 8, 100)), data=st.data())
def test_every_past_is_what_it_was(steps: list[tuple[str, object]], later: int, data: st.DataObject) -> None:
    """Each revision and each time of a random past reads as the law says, and as was told when it was now.

    At a token, old tuples are judged by the instant of today.
    """
    clock = FakeClock()
    with clocked(clock) as authorizer:
        ledger = Ledger(authorizer, clock)
        ledger.note_now()
        ledger.put(SCHEMAS[0])
        for step in steps:
            _run(ledger, step)
        # Where the clock went back, what was noted may still be to come.
        clock.now = max(clock.now, *(instant for instant, _, _ in ledger.noted)) + later
        for instant, number, answer in ledger.noted:
            # Where the clock went back, a later write may have been stamped no later.
            if number == ledger.at(instant).number:
                assert answer == said(authorizer, Consistency.at_time(moment(instant)))
        span = ledger.now - NOW
        times = data.draw(st.lists(st.integers(-1, span), max_size=4)) if span else []
        for instant in [NOW - 1, *(NOW + time for time in times), ledger.now]:
            agree(ledger, ledger.at(instant), instant, Consistency.at_time(moment(instant)))
        for number, token in ledger.tokens.items():
            now = max(ledger.now, relgraph.Token.parse(token).instant)
            agree(ledger, ledger.states[number], now, Consistency.at_exactly(token))

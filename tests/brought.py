"""Worlds with caveats, what a request brings along to them, and a door that is asked with it: for agreement tests.

Here is how worlds are drawn, judged and written, and how answers are put as the oracle puts them; nothing is asserted
but that a page is whole.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

import relgraph
from relgraph.errors import CaveatFailed, InvalidInput, Undecided
from relgraph.tuples import RelationTuple
from tests.oracle import FAILED, NO, YES, Kind, Oracle, Rows, Tuple, Verdict, World, conditional
from tests.worlds import CAVEATS, FEATURES_SERVED, contextual_tuples, schema_text, stored_context, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from relgraph import answers
    from relgraph.answers import Count, Expansion, Lookup
    from relgraph.api import Authorizer
    from relgraph.revision import Consistency
    from tests.api_kit import Door
    from tests.oracle import Best, Object, Subject
    from tests.worlds import Question

__all__ = ["Access", "Asker", "Case", "access_of", "brought", "condition_of", "counted", "stored", "written"]

Access = tuple[str | None, frozenset[str], dict[str, frozenset[str]], frozenset[str]]
"""A best access: the role, what is held, what is conditional with what it lacks, and what is undecided."""

_NONE: Access = (None, frozenset(), {}, frozenset())

FEATURES = FEATURES_SERVED - {"stale"}
CONTEXTS = st.fixed_dictionaries({}, optional={name: st.sampled_from((0, 1, 1, 2)) for name in ("limit", "site")})
"""What a request says of the parameters: 1 meets a caveat, 2 does not, with 0 it cannot be evaluated."""


class Case(NamedTuple):
    """A world, the tuples that a request brings along to it, and the context that it gives."""

    world: World
    contextual: tuple[Tuple, ...]
    request: dict[str, int]

    def oracle(self) -> Oracle:
        """Return the judge of this request: every caveat counts for what it is worth under the request's context."""
        judged = tuple(self._judged(each) for each in self.world.tuples)
        return Oracle(replace(self.world, tuples=judged), contextual=map(self._judged, self.contextual))

    def _judged(self, entry: Tuple) -> Tuple:
        if not entry.caveat:
            return entry
        return replace(entry, condition=condition_of(entry.caveat, {**self.request, **stored_context(entry)}))

    def facts(self) -> list[str]:
        """Return the texts of the tuples that are brought along."""
        return [written(each, self.world.now) for each in self.contextual]

    def __str__(self) -> str:
        return f"{world_text(self.world)}\n{self.request} {self.facts()}"


def condition_of(caveat: str, values: Mapping[str, object]) -> Verdict:
    """Return what a caveat is worth where its parameters have these values."""
    given = [values.get(name) for name in CAVEATS[caveat]]
    missing = [name for name in CAVEATS[caveat] if name not in values]
    return NO if 2 in given else conditional(*missing) if missing else FAILED if 0 in given else YES


@st.composite
def brought(draw: st.DrawFn, tuples_max: int = 10) -> Case:
    """Draw a world, tuples that a request brings, and its context. Of the kinds of subjects, half get a caveat."""
    world = draw(worlds(FEATURES, tuples_max=tuples_max))
    contextual = tuple(each for each in draw(contextual_tuples(world, FEATURES)) if not each.universal)
    chance = random.Random(draw(st.integers(0, 1 << 16)))
    given: dict[tuple[str, str, Kind], str] = {}
    definitions = {}
    for type_, definition in world.schema.definitions.items():
        relations = {}
        for relation, kinds in definition.relations.items():
            for kind in kinds:
                given[type_, relation, kind] = chance.choice(["", "", "", *CAVEATS])
            relations[relation] = tuple(replace(kind, caveat=given[type_, relation, kind]) for kind in kinds)
        definitions[type_] = replace(definition, relations=relations)

    def under(entry: Tuple) -> Tuple:
        who = entry.subject
        kind = Kind(who.type, who.relation, who.id == "*", "", entry.expires is not None, entry.universal)
        caveat = given[entry.resource.type, entry.relation, kind]
        names = CAVEATS.get(caveat, ())
        some = [YES, NO, FAILED, *[conditional(*names)] * 4, *map(conditional, names)]
        return replace(entry, caveat=caveat, condition=chance.choice(some)) if caveat else entry

    world = replace(
        world, schema=replace(world.schema, definitions=definitions), tuples=tuple(map(under, world.tuples))
    )
    return Case(world, tuple(map(under, contextual)), draw(CONTEXTS))


def written(entry: Tuple, now: int) -> str:
    """Return a tuple's text, expired long ago or in a distant future as it is in the world."""
    text = entry.text
    if entry.caveat:
        context = stored_context(entry)
        text += f"[{entry.caveat}:{json.dumps(context)}]" if context else f"[{entry.caveat}]"
    if entry.expires is not None:
        text += f"[expiration:{'2001' if entry.expires <= now else '9001'}-01-01T00:00:00Z]"
    return text


def stored(authorizer: Authorizer, world: World, *, past: bool) -> Consistency | None:
    """Write a world; return where it stands, which is in the past where everything is deleted again."""
    token = authorizer.write_schema(schema_text(world.schema)).token
    if world.tuples:
        token = authorizer.write(create=[written(entry, world.now) for entry in world.tuples]).token
    if not past or not world.tuples:
        return None
    authorizer.write(delete=[entry.text for entry in world.tuples])
    return relgraph.Consistency.at_exactly(token)


class Asker:
    """Asks one door about one case, always with the same brought along, and tells the answers as the oracle does."""

    def __init__(self, door: Door, case: Case, consistency: Consistency | None) -> None:
        self._door = door
        self._facts = case.facts()
        self._request = case.request
        self._when = consistency

    def told(self, question: Question) -> tuple[str, frozenset[str], str]:
        """Return verdict, what is missing, and the tuple whose caveat failed."""
        try:
            decision = self._door.decide(
                question.text, context=self._request, contextual=self._facts, consistency=self._when
            )
        except CaveatFailed as error:
            return "undecided", frozenset(), error.details["tuple"]
        except Undecided:
            return "undecided", frozenset(), ""
        except InvalidInput:
            return "no", frozenset(), ""  # surely swapped: refused, where the law's answer is no
        return decision.verdict.value, frozenset(decision.missing), ""

    def told_many(self, asked: Sequence[Question]) -> list[tuple[str, frozenset[str]]]:
        """Return the verdicts of a bulk."""
        decisions = self._door.decide_many(
            [each.text for each in asked], context=self._request, contextual=self._facts, consistency=self._when
        )
        return [(each.verdict.value, frozenset(each.missing)) for each in decisions]

    def best(self, who: Subject, what: Object) -> Access:
        """Return the best access; none at all for a question that is refused as swapped."""
        try:
            found = self._door.best(
                str(who),
                str(what),
                ways="none",
                context=self._request,
                contextual=self._facts,
                consistency=self._when,
            )
        except InvalidInput:
            return _NONE
        return _access(found)

    def best_of(self, everyone: Sequence[Subject], what: Object) -> list[Access]:
        """Return the best access of many subjects; none at all where any of them is refused as swapped."""
        try:
            found = self._door.best_subjects(
                list(map(str, everyone)),
                str(what),
                context=self._request,
                contextual=self._facts,
                consistency=self._when,
            )
        except InvalidInput:
            return [_NONE] * len(everyone)
        return list(map(_access, found))

    def held(self, who: Subject, what: Object) -> dict[str, tuple[str, frozenset[str]]]:
        """Return the verdict on each name of the resource."""
        found = self._door.permissions(
            str(who), str(what), context=self._request, contextual=self._facts, consistency=self._when
        )
        return {each.name: (each.verdict.value, frozenset(each.missing)) for each in found.rows}

    def what(self, who: Subject, type_: str, name: str, limit: int | None) -> Rows:
        """Return what the subject has the name on, read by pages; nothing for a question that is refused as swapped."""

        def page(cursor: str) -> Lookup:
            return self._door.what(
                str(who),
                name,
                type_,
                limit=limit,
                cursor=cursor,
                context=self._request,
                contextual=self._facts,
                consistency=self._when if not cursor else None,
            )

        return _paged(page, limit)

    def who(self, what: Object, name: str, type_: str, relation: str, limit: int | None) -> Rows:
        """Return who has the name on the resource, read by pages; nothing where it is refused as swapped."""

        def page(cursor: str) -> Lookup:
            return self._door.who(
                str(what),
                name,
                type_,
                relation=relation,
                limit=limit,
                cursor=cursor,
                context=self._request,
                contextual=self._facts,
                consistency=self._when if not cursor else None,
            )

        return _paged(page, limit)

    def count_what(self, who: Subject, type_: str, name: str) -> Counter[str]:
        """Return how many there are of each verdict, and `everyone` with that of the never-named."""
        return _counted(
            self._door.count_resources(
                str(who), name, type_, context=self._request, contextual=self._facts, consistency=self._when
            )
        )

    def count_who(self, what: Object, name: str, type_: str, relation: str) -> Counter[str]:
        """Return the same of subjects."""
        return _counted(
            self._door.count_subjects(
                str(what),
                name,
                type_,
                relation=relation,
                context=self._request,
                contextual=self._facts,
                consistency=self._when,
            )
        )

    def expansion(self, what: Object, name: str) -> Expansion:
        """Return the whole expansion, every userset opened."""
        return self._door.expand(str(what), name, usersets=True, contextual=self._facts, consistency=self._when)

    def ways(self, question: Question) -> set[frozenset[str]]:
        """Return the ways to one role, each as the keys of its tuples."""
        found = self._door.best(
            str(question.subject),
            str(question.resource),
            ways="all",
            context=self._request,
            contextual=self._facts,
            consistency=self._when,
        )
        assert not found.truncated
        ways = [way for way in found.ways if way.role == question.name]
        return {frozenset(str(RelationTuple(*fact.key)) for fact in way.tuples) for way in ways}


def _access(found: answers.Best) -> Access:
    missing = {each.role: frozenset(each.missing) for each in found.conditional}
    return found.role, frozenset(found.held), missing, frozenset(found.undecided)


def access_of(expected: Best) -> Access:
    """Return a best access of the oracle's as an Asker tells it."""
    return expected.role, frozenset(expected.held), dict(expected.conditional), frozenset(expected.undecided)


def _paged(ask: Callable[[str], Lookup], limit: int | None) -> Rows:
    """Return the rows of all pages; each but the last has to be full, and no id may stand twice."""
    rows: list[tuple[str, Verdict]] = []
    cursor = ""
    try:
        while True:
            page = ask(cursor)
            rows += [(row.id, Verdict(row.verdict.value, frozenset(row.missing))) for row in page.rows]
            cursor = page.cursor
            if not cursor:
                break
            assert len(page.rows) == limit
    except InvalidInput:
        return Rows(NO, {})  # surely swapped: refused, where the law finds nobody
    ids = [id_ for id_, _ in rows]
    assert ids == sorted(set(ids), key=lambda id_: (id_ != "*", id_))
    named = dict(rows)
    return Rows(named.pop("*", NO), named)


def _counted(count: Count) -> Counter[str]:
    every = {"yes": count.yes, "conditional": count.conditional, "undecided": count.undecided, "no": count.excluded}
    return +Counter(every) + Counter({f"everyone {count.everyone.value}": 1})


def counted(rows: Rows) -> Counter[str]:
    """Return the counts that belong to rows."""
    return Counter(each.kind for each in rows.named.values()) + Counter({f"everyone {rows.never_named.kind}": 1})

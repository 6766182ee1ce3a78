"""A scratch store: an Authorizer over a store in memory of its own, which also tells what its answers rest on.

For those who test a schema. What is asked here may be asked of any revision, as everywhere.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.answers import Verdict
from relgraph.api.authorizer import Authorizer
from relgraph.api.worlds import brought, world_of
from relgraph.engine import Overlay, Program, SubjectScope, Walk, check, find_ways, named, reached, taken
from relgraph.schema.branches import Branches
from relgraph.store import open_store
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, question_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from relgraph.answers import Way
    from relgraph.api.following import Pinned
    from relgraph.contexts import Context
    from relgraph.engine import World
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.schema import Schema
    from relgraph.schema.branches import Branch

__all__ = ["HeldBy", "Question", "Scratch"]

_LESS: Final = {
    Verdict.YES: (Verdict.NO, Verdict.CONDITIONAL, Verdict.UNDECIDED),
    Verdict.CONDITIONAL: (Verdict.NO,),
    Verdict.UNDECIDED: (Verdict.NO,),
}
"""The verdicts that make a subject an exception to a wildcard that has one."""

Question = tuple[str, "Context"]
"""A check, `resource#permission@subject`, and the context that it brings."""


@dataclass(frozen=True, slots=True)
class HeldBy:
    """One that holds a permission, as tuples name it: a subject, a userset, or a wildcard with its `exceptions`.

    `places` are the relations, as `resource#relation`, whose tuples name it and make it hold.
    """

    subject: str
    verdict: Verdict
    exceptions: tuple[tuple[str, Verdict], ...]
    places: frozenset[str]


class Scratch(Authorizer):
    """An Authorizer on an empty store in memory. Close it, or use it in a `with` block."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(
            open_store("sqlite://", clock=lambda: time.time_ns() // 1000, random=os.urandom), limits=limits
        )
        self._named: tuple[int, list[Subject]] | None = None

    def way(self, question: Question) -> Way | None:
        """Return one way that a yes, or a conditional answer, came about; None where there is none to tell."""
        who, name, what = question_of(question[0], None, None)
        with self._following.pinned(None) as pinned:
            scope = SubjectScope(self._world(pinned, question[1]), who)
            walk = Walk(scope)
            if check(walk, what, name)[0] not in (Verdict.YES, Verdict.CONDITIONAL):
                return None
            ways, _ = find_ways(walk, Walk(scope, exhaustive=True), what, name, self.limits, every=False)
            return ways[0] if ways else None

    def taken(self, question: Question) -> list[str]:
        """Return what takes away, by an exclusion, what the question asks for."""
        who, name, what = question_of(question[0], None, None)
        with self._following.pinned(None) as pinned:
            return taken(_exhaustive(self._world(pinned, question[1]), who), what, name)

    def held_by(self, resource: str, permission: str) -> list[HeldBy]:
        """Return all that hold a permission or relation and that some tuple names, in order."""
        what = Object.parse(resource)
        subjects = self._subjects()
        with self._following.pinned(None) as pinned:
            pinned.rules.schema.member(what.type, permission)
            world = self._world(pinned, {})
            verdicts = {each: check(Walk(SubjectScope(world, _asked(each))), what, permission)[0] for each in subjects}
            held = {
                each: frozenset(
                    place
                    for place, wildcard in named(_exhaustive(world, _asked(each)), what, permission)
                    if wildcard is _wild(each)
                )
                for each, verdict in verdicts.items()
                if verdict is not Verdict.NO
            }
        # A wildcard covers plain objects only: they alone can be exceptions, where they hold less.
        plain = [each for each in subjects if not each.relation and not _wild(each)]
        rows = []
        for subject, places in held.items():
            verdict = verdicts[subject]
            less = _LESS[verdict] if _wild(subject) else ()
            others = [each for each in plain if each.type == subject.type and verdicts[each] in less]
            if places:
                rows.append(
                    HeldBy(str(subject), verdict, tuple((str(each), verdicts[each]) for each in others), places)
                )
        return rows

    def _subjects(self) -> list[Subject]:
        """Return all subjects that tuples name, in order; read once for each revision."""
        if self._named is None or self._named[0] != self.head:
            with self.dump() as dump:
                self._named = dump.revision, sorted({each.subject for each in dump})
        return self._named[1]

    def reached(self, questions: Iterable[Question], *, consistency: Consistency | None = None) -> frozenset[Branch]:
        """Return the branches of the schema that some answer rests on, as `relgraph.engine.resting` says."""
        found: set[Branch] = set()
        walks: dict[tuple[Context, Subject], Walk] = {}
        with self._following.pinned(consistency) as pinned:
            branches = Branches(pinned.rules.schema)
            for text, context in questions:
                who, name, what = question_of(text, None, None)
                if (context, who) not in walks:
                    walks[context, who] = _exhaustive(self._world(pinned, context), who)
                walks[context, who].scope.budget.renew()
                found |= reached(walks[context, who], what, name, branches)
        return frozenset(found)

    def under(
        self,
        schema: Schema,
        questions: Sequence[Question],
        added: Sequence[RelationTuple] = (),
        *,
        consistency: Consistency | None = None,
    ) -> Iterator[Verdict]:
        """Yield the verdict that each question would get under another schema, with more tuples.

        All its names are names of the schema in force there. A tuple that it does not admit does not count.
        """
        with self._following.pinned(consistency) as pinned:
            program = Program(schema, pinned.view.name_number)
            reader = Overlay(pinned.view, added) if added else pinned.view
            walks: dict[tuple[Context, Subject], Walk] = {}
            for text, context in questions:
                who, name, what = question_of(text, None, None)
                if (context, who) not in walks:
                    world = self._world(pinned, context)._replace(program=program, reader=reader, conditions=None)
                    walks[context, who] = Walk(SubjectScope(world, who))
                walks[context, who].scope.budget.renew()
                yield check(walks[context, who], what, name)[0]

    def _world(self, pinned: Pinned, context: Mapping[str, object]) -> World:
        return world_of(pinned, self.limits, None, brought(context, (), self.limits))


def _exhaustive(world: World, who: Subject) -> Walk:
    return Walk(SubjectScope(world, who, flattens=False), exhaustive=True)


def _wild(subject: Subject) -> bool:
    return subject.id == WILDCARD


def _asked(subject: Subject) -> Subject:
    """Return whom to ask about: a wildcard stands for whoever is not named, and no id may be spelled like this one."""
    return Subject(subject.type, "?") if _wild(subject) else subject

"""Traces of checks: the same answers as `decide_many` gives, each with how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.answers import Decision
from relgraph.api.deadlines import ends_at
from relgraph.api.worlds import brought, world_of
from relgraph.engine import SubjectScope, Walk, check, trace, valid_until
from relgraph.errors import InvalidInput, at_index
from relgraph.instants import moment
from relgraph.tuples import questions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relgraph.api.following import Following
    from relgraph.engine import TraceNode
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.schema import Schema
    from relgraph.tuples import Question, Subject

__all__ = ["Trace", "Traces"]

NODES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer to one check, and the checks that it was found by: node 0 is the question itself."""

    decision: Decision
    nodes: tuple[TraceNode, ...]
    schema: Schema


class Traces:
    """The part of an Authorizer that tells traces."""

    limits: Limits
    _following: Following

    def trace(
        self,
        questions: Sequence[Question],
        *,
        context: Mapping[str, object] | None = None,
        consistency: Consistency | None = None,
        deadline: float | None = None,
        nodes_max: int = NODES_MAX,
    ) -> list[Trace]:
        """Return the verdict on each question, UNDECIDED among them, all at one revision, and how it was found.

        At most `nodes_max` nodes are told of each, and the schema that it was judged by. Raises as `decide_many`.
        """
        if len(questions) > self.limits.checks_max:
            raise InvalidInput(
                f"{len(questions)} questions are over the limit of {self.limits.checks_max}; split them",
                {"limit": "checks_max", "value": str(self.limits.checks_max)},
            )
        given, ends = brought(context, (), self.limits), ends_at(deadline)
        with self._following.pinned(consistency, ends) as pinned:
            world = world_of(pinned, self.limits, ends, given)
            walks: dict[Subject, Walk] = {}
            traces = []
            for index, (who, name, what) in enumerate(questions_of(questions)):
                with at_index(index):
                    pinned.rules.schema.check_question(who, name, what)
                if who not in walks:
                    walks[who] = Walk(SubjectScope(world, who), searches=False)
                walk = walks[who]
                world.budget.renew()
                verdict, missing = check(walk, what, name)
                instant = valid_until(walk, what, name)
                until = None if instant is None else moment(instant)
                decision = Decision(verdict, missing, pinned.revision.number, pinned.token, until)
                nodes = trace(walk, what, name, nodes_max)
                traces.append(Trace(decision, nodes, pinned.rules.schema))
            return traces

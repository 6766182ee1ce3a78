"""What a question is answered from: a pinned revision, and what the question brings beside it.

Rule 1: what it brings is read and counted before any store is asked, and admitted by the schema of that revision.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relgraph.api.asking import check_size
from relgraph.contexts import EMPTY, Context
from relgraph.engine import Budget, Overlay, World
from relgraph.errors import InvalidContext, InvalidInput, TupleNotAllowed, at_index, quoted
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from relgraph.api.following import Pinned
    from relgraph.limits import Limits
    from relgraph.schema import Schema

__all__ = ["NOTHING", "Brought", "brought", "world_of"]


@dataclass(frozen=True, slots=True)
class Brought:
    """What a question brings: values for caveats, and tuples that count beside the stored ones, for it alone."""

    context: Context = EMPTY
    contextual: tuple[RelationTuple, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of it as texts, for what is bound to a question: nothing else has the same ones."""
        return (str(self.context), *map(str, self.contextual))


NOTHING = Brought()


def brought(context: Mapping[str, object] | None, contextual: Sequence[str | RelationTuple], limits: Limits) -> Brought:
    """Read what a question brings. Raises InvalidContext, and InvalidInput and its kin about a tuple.

    Which of the tuples stands, from 0, in `details["contextual"]`.
    """
    if (context is None or context is EMPTY) and contextual == ():
        return NOTHING
    values = Context.of(context, limits.context_size_max)
    if isinstance(contextual, str):
        raise InvalidInput(f"contextual tuples are a list, not one text; give [{quoted(contextual)}]")
    if len(contextual) > limits.contextual_tuples_max:
        raise InvalidInput(
            f"{len(contextual)} contextual tuples are over the limit of {limits.contextual_tuples_max}; write what "
            "lasts, and bring the rest",
            {"limit": "contextual_tuples_max", "value": str(limits.contextual_tuples_max)},
        )
    facts = []
    for place, each in enumerate(contextual):
        with at_index(place, "contextual"):
            fact = RelationTuple.of(each)
            check_size(fact, limits)
            facts.append(fact)
    _check_contexts(facts, limits)
    return Brought(values, tuple(facts))


def _check_contexts(facts: Sequence[RelationTuple], limits: Limits) -> None:
    # Nobody stored them: what is converted and evaluated for one question is bounded here or nowhere.
    size, size_max = sum(len(str(each.context)) for each in facts if each.caveat), limits.tuple_context_size_max
    if size > size_max:
        raise InvalidContext(
            f"the contexts of the contextual tuples take {size} bytes as JSON, and `tuple_context_size_max` is "
            f"{size_max} for all of them; give them less",
            {"limit": "tuple_context_size_max", "value": str(size_max)},
        )


def world_of(pinned: Pinned, limits: Limits, ends: float | None, given: Brought = NOTHING) -> World:
    """Return the world at a pinned revision, with a fresh allowance.

    Raises TupleNotAllowed and its kin for a contextual tuple that the schema does not admit, NoSchema.
    """
    for place, fact in enumerate(given.contextual):
        with at_index(place, "contextual"):
            _admit(pinned.rules.schema, fact)
    reader = Overlay(pinned.view, given.contextual) if given.contextual else pinned.view
    world = World(pinned.rules, reader, Budget(limits, time.monotonic, ends), pinned.now, given.context)
    return world._replace(conditions=world.judging())


def _admit(schema: Schema, fact: RelationTuple) -> None:
    if fact.universal:
        raise TupleNotAllowed(
            f"{quoted(fact.told)} counts for every {quoted(fact.resource.type)}, and a contextual tuple counts for one "
            "object only; name the object",
            {"tuple": fact.told, "part": "resource"},
        )
    schema.admit(fact)

"""What the tests of advisories share: a protection switched off for a while, and short ways to ask.

Each of those tests runs one scenario twice: as relgraph is, and as its vulnerable twin, whose answer has to be wrong.
Otherwise the scenario would show nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.api.judging import Judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from relgraph.client import Client
    from relgraph.limits import Limits
    from relgraph.tuples import Question

__all__ = ["CAVEATS", "answers", "asked", "opened", "stale", "switched_off"]


CAVEATS = """caveat within(limit int, amount int) { amount <= limit }
caveat among(names list<string>, who string) { who in names }
caveat same(one any, other any) { one == other }
caveat open(flag bool) { flag }
caveat shut(lock bool) { lock }
definition user {}
"""
"""What schemas with conditions begin with."""


@contextmanager
def switched_off(target: object, name: str, instead: object, *, shadowing: bool = False) -> Iterator[None]:
    """Put the faulty thing in the place of a protection, for as long as the block lasts.

    With `shadowing`, in front of one of Python's own names, as a module sees it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, instead, raising=not shadowing)
        yield


def opened(schema: str, tuples: Iterable[str], limits: Limits | None = None) -> relgraph.Authorizer:
    """An Authorizer in memory that holds these tuples under this schema."""
    authorizer = relgraph.open("sqlite://", limits=limits)
    authorizer.write_schema(schema)
    authorizer.write(touch=list(tuples))
    return authorizer


def asked(
    authorizer: relgraph.Authorizer | Client,
    *questions: Question,
    context: Mapping[str, object] | None = None,
    contextual: Sequence[str] = (),
) -> list[str]:
    """The verdicts on questions, all asked at once."""
    decisions = authorizer.decide_many(questions, context=context, contextual=contextual)
    return [decision.verdict.value for decision in decisions]


def answers(schema: str, tuples: Iterable[str], *questions: str, limits: Limits | None = None) -> list[str]:
    """The verdicts on questions, all asked at once of an Authorizer that holds no more than this."""
    with opened(schema, tuples, limits) as authorizer:
        return asked(authorizer, *questions)


@contextmanager
def stale(before: str, tuples: Iterable[str], after: str) -> Iterator[relgraph.Authorizer]:
    """An Authorizer whose tuples an older schema let in, with a newer one that was forced upon it."""

    def forced(judge: Judge, text: str, schema: relgraph.schema.Schema) -> None:
        names = {*schema.definitions, *(name for each in schema.definitions.values() for name in each.names())}
        judge._transaction.write_schema(text, sorted(names))

    with opened(before, tuples) as authorizer:
        with switched_off(Judge, "write_schema", forced):
            authorizer.write_schema(after)
        yield authorizer

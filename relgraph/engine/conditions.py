"""What a tuple's condition is worth in one walk: the joint where caveats enter.

The walk asks for a value of each tuple it meets, and, once an answer is CONDITIONAL, for the names it lacks.

Rule 1: a caveat that cannot be evaluated is (NO, YES): whatever it would have been, an answer that does not hang on it
stands, and one that does is UNDECIDED. So is one for which the request's context holds a value of another type: which
tuples a walk happens to look at never makes the difference between an answer and an error.
Rule 2: nothing is kept beyond the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from relgraph.errors import InvalidContext
from relgraph.rewrites.verdict import CONDITIONAL, OPEN, REFUSED, YES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from relgraph.caveats import Bound, Caveat
    from relgraph.contexts import Context
    from relgraph.engine.budget import Budget
    from relgraph.rewrites import Edge, Value

__all__ = ["Caveats", "Conditions", "Failure", "Unconditional"]

_GRANTED = (YES, YES)
_NOTHING: frozenset[str] = frozenset()


class Conditions(Protocol):
    """The values of tuples' conditions under one request's context, of worlds with fewer tuples too."""

    def presence(self, edge: Edge, /) -> Value:
        """Return whether the tuple is there at all: (YES, YES) in the world as it is."""

    def value(self, edge: Edge, /) -> Value:
        """Return presence AND the condition's value; (YES, YES) for a tuple that is there and has none."""

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that a CONDITIONAL condition lacks."""


class Unconditional:
    """A world in which every tuple is there and none carries a condition: its schema declares no caveat."""

    def presence(self, edge: Edge, /) -> Value:  # noqa: ARG002  # every tuple alike
        """Return (YES, YES)."""
        return _GRANTED

    def value(self, edge: Edge, /) -> Value:  # noqa: ARG002  # every tuple alike
        """Return (YES, YES)."""
        return _GRANTED

    def missing(self, edge: Edge, /) -> frozenset[str]:  # noqa: ARG002  # every tuple alike
        """Return nothing."""
        return _NOTHING


class Failure(NamedTuple):
    """Why a caveat has no value. `refused` is set where that is the request's context's fault."""

    caveat: str
    problem: str
    refused: InvalidContext | None = None


class _Judged(NamedTuple):
    value: Value
    missing: frozenset[str] = _NOTHING
    failure: Failure | None = None


_MET = _Judged(_GRANTED)
_UNMET = _Judged(REFUSED)


class Caveats:
    """The caveats of a schema under one request's context; each is evaluated once for each context stored with it.

    `name` tells the name of a caveat's number. Only tuples that the schema admits may be asked about.
    """

    def __init__(
        self, caveats: Mapping[str, Caveat], name: Callable[[int], str], request: Context, budget: Budget
    ) -> None:
        self._caveats = caveats
        self._name = name
        self._request = request
        self._budget = budget
        self._requests: dict[int, Bound | InvalidContext] = {}
        self._judged: dict[tuple[int, Context], _Judged] = {}
        self.refuses = False
        """Whether any caveat met so far could not take the request's context."""

    def presence(self, edge: Edge, /) -> Value:  # noqa: ARG002  # the world as it is
        """Return (YES, YES)."""
        return _GRANTED

    def value(self, edge: Edge, /) -> Value:
        """Return the value of the tuple's caveat; (YES, YES) without one."""
        return self._found(edge).value if edge.caveat else _GRANTED

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the parameters that the tuple's caveat refers to and nobody gave."""
        return self._found(edge).missing if edge.caveat else _NOTHING

    def failure(self, edge: Edge, /) -> Failure | None:
        """Return why the tuple's caveat has no value; None where it has one."""
        return self._found(edge).failure if edge.caveat else None

    def _found(self, edge: Edge) -> _Judged:
        key = edge.caveat, edge.context
        found = self._judged.get(key)
        if found is None:
            # What a caveat's expression does takes longer than a step of the walk.
            self._budget.look()
            found = self._judged[key] = self._judge(edge)
        return found

    def _judge(self, edge: Edge) -> _Judged:
        name = self._name(edge.caveat)
        caveat = self._caveats[name]
        # INVARIANT: the request's first: whether it is refused is a matter of the caveat alone, whatever the tuple.
        request = self._requests.get(edge.caveat)
        if request is None:
            request = self._requests[edge.caveat] = _converted(caveat, self._request)
        if isinstance(request, InvalidContext):
            self.refuses = True
            return _Judged(OPEN, failure=Failure(name, request.message, request))
        try:
            stored = caveat.convert(edge.context)
        except InvalidContext as error:
            # Written under an older declaration.
            return _Judged(OPEN, failure=Failure(name, f"the context stored with it does not fit it: {error.message}"))
        outcome = caveat.evaluate(stored, request)
        if outcome.failed:
            return _Judged(OPEN, failure=Failure(name, outcome.failed))
        if outcome.missing:
            return _Judged((CONDITIONAL, CONDITIONAL), outcome.missing)
        return _MET if outcome.value else _UNMET


def _converted(caveat: Caveat, request: Context) -> Bound | InvalidContext:
    try:
        return caveat.convert(request)
    except InvalidContext as error:
        return error

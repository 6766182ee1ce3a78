"""Why an answer is neither yes nor no: the error for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.engine import first_failure
from relgraph.errors import CaveatFailed, RelgraphError, Undecided, quoted
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from relgraph.engine import Walk
    from relgraph.tuples import Object

__all__ = ["undecided"]

# Long enough for a tuple as people write them.
_LENGTH_MAX: Final = 240


def undecided(walk: Walk, name: str, what: Object) -> RelgraphError:
    """Return the error for an UNDECIDED answer that the walk has given: what is undefined about it."""
    who = walk.scope.subject
    asked = f"whether {quoted(str(who))} has {quoted(name)} on {quoted(str(what))}"
    details = {"subject": str(who), "permission": name, "resource": str(what)}
    broken = first_failure(walk, what, name)
    if broken is None:
        return Undecided(
            f"{asked} is undefined: it depends on its own negation; look for a permission that excludes itself through "
            "the tuples",
            details,
        )
    key = str(RelationTuple(*broken.fact.key))
    return CaveatFailed(
        f"{asked} hangs on the caveat {quoted(broken.failure.caveat)} of {quoted(key, _LENGTH_MAX)}, which could not "
        f"be evaluated: {broken.failure.problem}; give another context, or mend the caveat",
        {**details, "caveat": broken.failure.caveat, "tuple": key},
    )

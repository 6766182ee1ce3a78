"""The lint for permissions that hold for nobody, whatever tuples are written.

Nobody is meant as where resources out of reach are sought: no plain subject. That `report:q3#view` is in itself, being
`report:q3#view`, helps nobody. Reported is only what no tuples at all could make true; see `relgraph.schema.holders`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import quoted
from relgraph.rewrites import AllArrow, Arrow, Exclusion, Intersection, Nil, Union
from relgraph.schema.dependencies import memberships
from relgraph.schema.holders import Holders
from relgraph.schema.remarks import Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Schema

__all__ = ["permission_never_holds"]


def permission_never_holds(schema: Schema) -> Iterator[Remark]:
    """Yield permissions that no plain subject could hold."""
    holders = Holders(schema)
    for definition in schema.definitions.values():
        for permission in definition.permissions.values():
            if not holders.found[definition.name, permission.name]:
                reason = _reason(schema, holders, definition, permission.rewrite)
                message = (
                    f"{quoted(permission.name)} holds for nobody, whatever tuples are written: {reason}; "
                    "mend its expression, or remove the permission"
                )
                yield Remark(definition.name, permission.name, message, permission.at)


def _reason(schema: Schema, holders: Holders, definition: Definition, rewrite: Rewrite) -> str:
    """Return why an expression that holds for nobody does: the words for the first operand that decides it."""
    if isinstance(rewrite, Nil):
        return "`nil` is nobody"
    if isinstance(rewrite, Arrow | AllArrow):
        if any(memberships(schema, definition, rewrite)):
            return f"{quoted(rewrite.name)} holds for nobody on what {quoted(rewrite.tupleset)} takes"
        return f"nothing that {quoted(rewrite.tupleset)} takes has {quoted(rewrite.name)}"
    held = [(operand, holders.of(definition, operand)) for operand in rewrite.children()]
    if isinstance(rewrite, Exclusion) and held[0][1]:
        return f"{quoted(held[1][0].text())} takes away all of {quoted(held[0][0].text())}"
    if isinstance(rewrite, Intersection) and all(types for _, types in held):
        shown = ", ".join(f"{quoted(operand.text())} ({' '.join(sorted(types))})" for operand, types in held)
        return f"no type of subject is in all of {shown}"
    if isinstance(rewrite, Exclusion | Intersection | Union):
        empty = next(operand for operand, types in held if not types)
        return _reason(schema, holders, definition, empty)
    return f"{quoted(rewrite.text())} holds for nobody"

"""The rule of `use roles`: a ladder's order must be true whatever the tuples say.

So each weaker rung is a union that names the next stronger one, and only the strongest can be a relation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import SchemaTypeError, quoted
from relgraph.rewrites import Name, Union
from relgraph.schema.names import missing

if TYPE_CHECKING:
    from relgraph.schema.model import Definition, Permission
    from relgraph.schema.source import Source
    from relgraph.schema.tree import LadderNode

__all__ = ["check_ladder"]


def check_ladder(definition: Definition, ladder: LadderNode, source: Source) -> None:
    """Raise SchemaTypeError unless each weaker rung is a union that names the next stronger one."""
    seen: set[str] = set()
    stronger = ""
    for rung in ladder.rungs:
        if definition.member(rung.name) is None:
            raise source.problem(SchemaTypeError, missing(rung.name, definition), rung.at)
        if rung.name in seen:
            message = f"{quoted(rung.name)} stands twice on the ladder, remove one"
            raise source.problem(SchemaTypeError, message, rung.at)
        seen.add(rung.name)
        if stronger and not _contains(definition.permissions.get(rung.name), stronger):
            message = (
                f"{quoted(rung.name)} is not a union that names {quoted(stronger)}, so the ladder would not hold; "
                f"write {quoted(f'permission {rung.name} = {stronger} + …')}"
            )
            raise source.problem(SchemaTypeError, message, rung.at)
        stronger = rung.name


def _contains(permission: Permission | None, name: str) -> bool:
    """Return whether the permission's outermost operator is a union with the bare name among its operands."""
    if permission is None or not isinstance(permission.rewrite, Union):
        return False
    return any(isinstance(operand, Name) and operand.name == name for operand in permission.rewrite.operands)

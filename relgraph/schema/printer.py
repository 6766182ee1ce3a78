"""A schema as canonical text that parses to the same schema.

Relations stand before permissions, permissions before grants, each in text order; doc comments are kept, other
comments are not, and what was spliced from a partial stands where it was spliced. So this is no formatter of what
somebody wrote: `Schema.text` is that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.schema.caveats import print_caveat
from relgraph.schema.model import Relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.schema.model import Definition, Grant, Permission, Schema

__all__ = ["print_definition", "print_grant", "print_member", "print_schema"]

_INDENT: Final = "  "


def print_schema(schema: Schema) -> str:
    """Return the canonical text: the schema's flags, sorted, then its caveats, then its definitions, in order."""
    flags = "".join(f"use {flag}\n" for flag in sorted(schema.flags))
    blocks = [flags] if flags else []
    for declared in schema.declared.values():
        doc = "".join(f"{line}\n" for line in _doc(declared.doc, ""))
        blocks.append(doc + print_caveat(declared.caveat))
    blocks.extend(map(print_definition, schema.definitions.values()))
    return "\n".join(blocks)


def print_definition(definition: Definition) -> str:
    """Return the canonical text of one definition."""
    return "".join(f"{line}\n" for line in _lines(definition))


def print_member(member: Relation | Permission) -> str:
    """Return a relation or permission as a line of its own, without its doc."""
    if isinstance(member, Relation):
        return f"relation {member.name}: {' | '.join(map(str, member.kinds))}"
    annotation = f": {' | '.join(member.annotation)}" if member.annotation else ""
    return f"permission {member.name}{annotation} = {member.rewrite.text()}"


def print_grant(grant: Grant) -> str:
    """Return a grant as a line of its own."""
    wildcard = f" to {grant.wildcard}:*" if grant.wildcard else ""
    subject = f" and subject {grant.subject_permission}" if grant.subject_permission else ""
    return f"grant {grant.relation}{wildcard} by {grant.permission}{subject}"


def _lines(definition: Definition) -> Iterator[str]:
    """Yield a definition's lines."""
    yield from _doc(definition.doc, "")
    if not definition.relations and not definition.permissions:
        yield f"definition {definition.name} {{}}"
        return
    yield f"definition {definition.name} {{"
    if definition.roles:
        yield f"{_INDENT}roles {' > '.join(definition.roles)}"
    members: list[Relation | Permission] = [*definition.relations.values(), *definition.permissions.values()]
    for member in members:
        yield from _doc(member.doc, _INDENT)
        yield f"{_INDENT}{print_member(member)}"
    for grant in definition.grants:
        yield f"{_INDENT}{print_grant(grant)}"
    yield "}"


def _doc(doc: str, indent: str) -> Iterator[str]:
    """Yield the lines of comments, indented."""
    for line in doc.split("\n") if doc else ():
        yield f"{indent}{line}" if line else ""

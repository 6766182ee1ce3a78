"""A schema as the text that SpiceDB would tell it in: regenerated, sorted and laid out its way.

`use` lines stand first, then caveats, then definitions, both by name; what stands in a definition keeps its order. Doc
comments stay, other comments and all layout are gone, and every caveat's expression is spelled anew.
Rule 1: the text parses to a schema that answers every question as the one it was made of.
Rule 2: what SpiceDB's language lacks (ladders, grants, universal tuples) stays in the text, under its own `use` lines:
whoever writes the text back to relgraph loses nothing, and a SpiceDB refuses it at its first line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.caveats import spelled
from relgraph.rewrites import Arrow, Intersection, SelfObject, SetOperator, Union
from relgraph.schema.model import Relation
from relgraph.schema.printer import print_grant
from relgraph.schema.reach import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.model import Definition, Permission, Schema

__all__ = ["comments", "expression", "regenerated"]

_COMMENT_ON_ONE_LINE_MAX: Final = 70


def regenerated(schema: Schema) -> str:
    """Return the text of a schema, without a line end behind its last line."""
    # Backwards, as there.
    uses = [f"use {flag}" for flag in reversed(_flags(schema))]
    caveats = ["\n".join(_caveat(schema, name)) for name in sorted(schema.declared)]
    definitions = ["\n".join(_definition(schema.definitions[name])) for name in sorted(schema.definitions)]
    return "\n\n".join((*uses, *caveats, *definitions))


def comments(doc: str) -> list[str]:
    """Return the comments of a doc one by one, with their delimiters, free of all indentation."""
    found: list[str] = []
    block = False
    for line in doc.split("\n") if doc else ():
        shown = line.strip()
        if block:
            found[-1] += f"\n{shown}"
        else:
            found.append(shown)
            block = shown.startswith("/*")
            shown = shown[2:]
        block = block and "*/" not in shown
    return found


def expression(rewrite: Rewrite) -> str:
    """Return a permission's expression, with brackets around all but unions."""
    if isinstance(rewrite, SetOperator):
        operands = _flat(rewrite) if isinstance(rewrite, Union | Intersection) else rewrite.operands
        return f" {rewrite.symbol} ".join(map(_operand, operands))
    if isinstance(rewrite, Arrow) and rewrite.called:
        return f"{rewrite.tupleset}.any({rewrite.name})"
    return rewrite.text()


def _flags(schema: Schema) -> list[str]:
    """Return what the text has to switch on: what is in use, whatever the schema as it was written switched on."""
    kinds = [
        kind
        for definition in schema.definitions.values()
        for relation in definition.relations.values()
        for kind in relation.kinds
    ]
    permissions = [
        permission for definition in schema.definitions.values() for permission in definition.permissions.values()
    ]
    needed = {
        "expiration": any(kind.expiration for kind in kinds),
        "grants": any(definition.grants for definition in schema.definitions.values()),
        "roles": any(definition.roles for definition in schema.definitions.values()),
        "self": any(isinstance(node, SelfObject) for each in permissions for node in nodes(each.rewrite)),
        "typechecking": any(each.annotation for each in permissions),
        "universal": any(kind.universal for kind in kinds),
    }
    return [flag for flag in sorted(needed) if needed[flag]]


def _caveat(schema: Schema, name: str) -> Iterator[str]:
    declared = schema.declared[name]
    caveat = declared.caveat
    yield from _doc(declared.doc, "")
    parameters = ", ".join(f"{each} {caveat.parameters[each]}" for each in sorted(caveat.parameters))
    yield f"caveat {name}({parameters}) {{"
    for line in spelled(caveat.expression).split("\n"):
        yield f"\t{line}"
    yield "}"


def _definition(definition: Definition) -> Iterator[str]:
    yield from _doc(definition.doc, "")
    if not definition.members() and not definition.roles:
        yield f"definition {definition.name} {{}}"
        return
    yield f"definition {definition.name} {{"
    first = True
    if definition.roles:
        yield f"\troles {' > '.join(definition.roles)}"
        first = False
    for member in definition.members():
        if member.doc and not first:
            yield ""
        yield from _doc(member.doc, "\t")
        yield f"\t{_member(member)}"
        first = False
    for grant in definition.grants:
        yield f"\t{print_grant(grant)}"
    yield "}"


def _member(member: Relation | Permission) -> str:
    if isinstance(member, Relation):
        return f"relation {member.name}: {' | '.join(map(str, member.kinds))}"
    annotation = f": {' | '.join(member.annotation)}" if member.annotation else ""
    return f"permission {member.name}{annotation} = {expression(member.rewrite)}"


def _flat(operator: Union | Intersection) -> Iterator[Rewrite]:
    """Yield the operands, those of an operand that is the same operator in its place."""
    for operand in operator.operands:
        if type(operand) is type(operator) and isinstance(operand, Union | Intersection):
            yield from _flat(operand)
        else:
            yield operand


def _operand(operand: Rewrite) -> str:
    text = expression(operand)
    # `+` binds tightest, so a union of leaves needs no brackets anywhere.
    bare = isinstance(operand, Union) and not any(isinstance(each, SetOperator) for each in _flat(operand))
    return f"({text})" if isinstance(operand, SetOperator) and not bare else text


def _doc(doc: str, indent: str) -> Iterator[str]:
    """Yield the lines of doc comments."""
    for comment in comments(doc):
        if comment.startswith("//"):
            yield f"{indent}// {comment[2:].strip()}"
        else:
            yield from _block(comment, indent)


def _block(comment: str, indent: str) -> Iterator[str]:
    """Yield the lines of a comment between `/*` and `*/`: one if it is short."""
    opening = "/**" if comment.startswith("/**") else "/*"
    text = comment.removeprefix(opening).removesuffix("*/").strip()
    lines = [line.strip().removeprefix("*").strip() for line in text.split("\n")]
    if len(lines) == 1 and len(text) <= _COMMENT_ON_ONE_LINE_MAX:
        yield f"{indent}{opening} {lines[0]} */"
        return
    yield f"{indent}{opening}"
    for line in lines:
        yield f"{indent} * {line}"
    yield f"{indent} */"

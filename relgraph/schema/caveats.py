"""Caveats in a schema: their grammar, what makes one valid, and how one is printed.

What an expression means is known in `relgraph.caveats`; here its places become places of the schema's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.caveats import compile_caveat, parameter_type
from relgraph.errors import InvalidCaveat, SchemaParseError, SchemaTypeError, did_you_mean, quoted
from relgraph.schema.lexer import EXPRESSION, NEWLINE
from relgraph.schema.model import DeclaredCaveat
from relgraph.schema.tree import CaveatNode, ParameterNode
from relgraph.tuples import check_caveat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relgraph.caveats import Caveat, ParameterType
    from relgraph.rewrites import Span
    from relgraph.schema.cursor import Cursor
    from relgraph.schema.source import Source
    from relgraph.schema.tree import BodyNode, KindNode

__all__ = ["caveat", "check_caveat_name", "declared", "print_caveat", "print_parameter"]


def caveat(cursor: Cursor) -> CaveatNode:
    """Read `caveat path(name type, name type) { expression }`."""
    word = cursor.advance()
    path = cursor.path("a name after `caveat`")
    name = cursor.checked(check_caveat, path)
    cursor.expect("(", "`(` and the parameters that the caveat takes")
    parameters: list[ParameterNode] = []
    _skip_lines(cursor)
    if cursor.token.kind == ")":
        example = f"caveat {name}(limit int)"
        raise cursor.refused(f"a caveat takes at least one parameter, as in {quoted(example)}")
    while True:
        token = cursor.name("the name of a parameter")
        parameters.append(ParameterNode(token.text, _type(cursor, 0), cursor.span(token)))
        _skip_lines(cursor)
        if not cursor.accept(","):
            break
        _skip_lines(cursor)
    cursor.expect(")", "`,` or `)` behind a parameter")
    cursor.expect("{", "`{` on the same line")
    expression = cursor.expect(EXPRESSION, "an expression")
    if not expression.text:
        raise cursor.refused("the expression is empty, write the condition of the caveat here")
    cursor.expect("}", "`}`")
    return CaveatNode(name, tuple(parameters), expression, cursor.span(path), word.doc)


_DEPTH_MAX = 32


def _type(cursor: Cursor, depth: int) -> ParameterType:
    """Read `name` or `name<type>`."""
    token = cursor.name("the type of the parameter")
    inner: list[ParameterType] = []
    if depth < _DEPTH_MAX and cursor.accept("<"):
        inner.append(_type(cursor, depth + 1))
        while cursor.accept(","):
            inner.append(_type(cursor, depth + 1))
        cursor.expect(">", "`>` behind the type of the values")
    try:
        return parameter_type(token.text, inner)
    except InvalidCaveat as error:
        raise cursor.refused(error.message, token) from None


def _skip_lines(cursor: Cursor) -> None:
    """Step over line ends: between the parentheses they end nothing."""
    while cursor.token.kind == NEWLINE:
        cursor.advance()


def declared(nodes: Iterable[CaveatNode], bodies: Iterable[BodyNode], source: Source) -> dict[str, DeclaredCaveat]:
    """Return the caveats of a text, compiled; `bodies` are its definitions and partials, which share their names.

    Raises SchemaParseError or SchemaTypeError, and Unsupported where no library for CEL is installed.
    """
    found: dict[str, DeclaredCaveat] = {}
    for node in nodes:
        if node.name in found:
            first = source.line_words(found[node.name].at)
            message = f"{quoted(node.name)} names a caveat already, first {first}, rename or remove one"
            raise source.problem(SchemaParseError, message, node.at)
        found[node.name] = DeclaredCaveat(_compiled(node, source), node.at, node.doc)
    for body in bodies:
        if body.name in found:
            first = source.line_words(found[body.name].at)
            message = f"{quoted(body.name)} names a caveat already, {first}, rename one of them"
            raise source.problem(SchemaParseError, message, body.at)
    return found


def _compiled(node: CaveatNode, source: Source) -> Caveat:
    """Return a caveat, what is wrong with it said at its place in the schema."""
    parameters = [(each.name, each.type) for each in node.parameters]
    try:
        return compile_caveat(node.name, parameters, node.expression.text)
    except InvalidCaveat as error:
        # A parameter that nobody uses is a fault of meaning for SpiceDB, all else one of grammar.
        kind = SchemaTypeError if "unused" in error.details else SchemaParseError
        raise source.problem(kind, error.message, _place(node, error.details, source)) from None


def _place(node: CaveatNode, details: Mapping[str, str], source: Source) -> Span:
    """Return the place in the schema that the details of an error about a caveat mean."""
    if "offset" in details:
        start = node.expression.start + int(details["offset"])
        return source.span(start, start + int(details["length"]))
    return node.parameters[int(details["index"])].at if "index" in details else node.at


def check_caveat_name(item: KindNode, caveats: Mapping[str, DeclaredCaveat], source: Source) -> None:
    """Raise SchemaTypeError where a subject kind names a caveat that does not exist."""
    name = item.kind.caveat
    if not name or name in caveats:
        return
    message = f"{quoted(name)} is not a caveat of the schema"
    if name in ("expiration", "universal"):
        meant = "tuples that expire" if name == "expiration" else "tuples for every object"
        message += f"; write {quoted('use ' + name)} before the first definition if {meant} are meant"
    else:
        message += did_you_mean(name, caveats)
    raise source.problem(SchemaTypeError, message, item.caveat_at)


def print_parameter(caveat: Caveat, name: str) -> str:
    """Return a parameter as it stands between the parentheses."""
    return f"{name} {caveat.parameters[name]}"


def print_caveat(caveat: Caveat) -> str:
    """Return a caveat as canonical text, without its doc; its expression as it was written."""
    parameters = ", ".join(print_parameter(caveat, name) for name in caveat.parameters)
    return f"caveat {caveat.name}({parameters}) {{\n  {caveat.expression}\n}}\n"

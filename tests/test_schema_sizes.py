"""Schemas as large and as tangled as somebody could mean them to be: the work stays near the size of the text.

Nothing is timed. Each text here is one on which the square of its size would be hours, or more memory than there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

import relgraph
from relgraph.errors import SchemaTypeError
from relgraph.rewrites import AllArrow, Arrow, Name, SelfObject
from relgraph.schema import Schema, parse
from relgraph.schema.formatter import formatted
from relgraph.schema.lints import lint
from relgraph.schema.reach import nodes
from relgraph.schema.source import Source
from tests.schema_models import models

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 5_000


def doc(*lines: str, before: str = "") -> str:
    """Return a text with a definition `doc` of these lines and a relation `own`."""
    return "\n".join(["definition user {}", before, "definition doc {", "  relation own: user", *lines, "}\n"])


def each(line: str, count: int = MANY) -> str:
    """Return a line once for each number from 1, with `N` for the number and `M` for the one before it."""
    return "\n".join(line.replace("N", f"{number:05}").replace("M", f"{number - 1:05}") for number in range(1, count))


def test_a_long_chain_of_aliases_is_no_circle() -> None:
    """Permissions that are names of one another in a long chain are accepted, and refused once the chain is closed."""
    parse(doc("permission p00000 = own", each("permission pN = pM")))
    with pytest.raises(SchemaTypeError, match=r"line 5, .*`p00000` = .* goes in a circle"):
        parse(doc(f"permission p00000 = p{MANY - 1:05}", each("permission pN = pM")))


def test_a_tail_that_leads_into_a_circle_of_aliases_is_none_of_it() -> None:
    """The error names the circle alone, at the first of its permissions, and not what leads there."""
    with pytest.raises(SchemaTypeError, match="line 6, column 12: `two` = `three` = `two` goes in a circle"):
        parse(doc("permission one = two", "permission two = three", "permission three = two"))


@pytest.mark.parametrize(
    ("chain", "last"),
    [
        (["permission p00000 = r00000", each("permission pN = pM + rN")], f"p{MANY - 1:05}"),
        ([each("permission pM = pN + rM"), f"permission p{MANY - 1:05} = r{MANY - 1:05}"], "p00000"),
    ],
)
def test_each_step_leads_to_one_more_type(chain: list[str], last: str) -> None:
    """A chain on which every name leads to a type more than the one before is known to its end, both ways round."""
    text = doc("relation r00000: user", each("relation rN: tN"), *chain, before=each("definition tN {}"))
    assert parse(text).subject_types["doc", last] == {"user", *(f"t{number:05}" for number in range(1, MANY))}


def test_many_arrows_over_many_types() -> None:
    """Thousands of permissions that walk to thousands of types are one arrow; a check goes by it at once."""
    types = each("definition tN {\n  relation own: user\n}")
    kinds = " | ".join(f"t{number:05}" for number in range(1, MANY))
    text = doc(f"relation parent: {kinds}", each("permission pN = parent->own + own"), before=types)
    assert parse(text).subject_types["doc", "p00001"] == {"user"}
    authorizer = relgraph.open("sqlite://")
    authorizer.write_schema(text)
    authorizer.write(touch=["doc:one#parent@t00007:seven", "t00007:seven#own@user:anna"])
    assert authorizer.check("user:anna", "p00009", "doc:one")
    assert not authorizer.check("user:anna", "p00009", "doc:two")
    authorizer.close()


def test_a_name_many_names_deep() -> None:
    """A check, and a way, go through a name of a name of a name at one object, thousands of times over."""
    authorizer = relgraph.open("sqlite://")
    authorizer.write_schema(doc("permission p00000 = own", each("permission pN = pM + own")))
    authorizer.write(touch=["doc:one#own@user:anna"])
    assert authorizer.check("user:anna", f"p{MANY - 1:05}", "doc:one")
    assert not authorizer.check("user:bert", f"p{MANY - 1:05}", "doc:one")
    authorizer.close()


@pytest.mark.parametrize("symbol", ["+", "&"])
def test_one_line_of_many_operands(symbol: str) -> None:
    """An expression of thirty thousand operands on one line is laid out, and goes through all lints."""
    text = doc(f"permission view = {f' {symbol} '.join(['own'] * 30_000)}")
    assert formatted(Source(text)).count("own") == 30_001
    assert lint(parse(text)) == ()


def closed(schema: Schema) -> dict[tuple[str, str], frozenset[str]]:
    """Return which types lead to which name, by adding to all of them until nothing is new."""
    found: dict[tuple[str, str], frozenset[str]] = {
        (type_, name): frozenset() for type_, definition in schema.definitions.items() for name in definition.names()
    }
    while True:
        before = dict(found)
        for type_, name in found:
            found[type_, name] |= {*leads(schema, before, type_, name)}
        if found == before:
            return found


def leads(schema: Schema, found: dict[tuple[str, str], frozenset[str]], type_: str, name: str) -> Iterator[str]:
    """Yield the types that a name leads to in one step from what is found."""
    definition = schema.definitions[type_]
    for kind in definition.relations[name].kinds if name in definition.relations else ():
        yield from found[kind.type, kind.relation] if kind.relation else (kind.type,)
    for node in nodes(definition.permissions[name].rewrite) if name in definition.permissions else ():
        if isinstance(node, SelfObject):
            yield type_
        elif isinstance(node, Name):
            yield from found[type_, node.name]
        elif isinstance(node, Arrow | AllArrow):
            for kind in definition.relations[node.tupleset].kinds:
                yield from found.get((kind.type, node.name), ())


@given(models())
def test_types_are_found_as_by_trying(schema: Schema) -> None:
    """Which types could hold a name, settled group by group, is what adding until nothing is new finds."""
    found = closed(schema)
    assert dict(schema.subject_types) == found
    for (type_, name), types in found.items():
        could = {subject for subject in schema.definitions if schema.subject_types.could_hold(subject, type_, name)}
        assert could == types

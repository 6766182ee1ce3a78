"""Generated schemas and random texts: printing round-trips, and nothing but relgraph's own errors ever comes out."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from relgraph.errors import RelgraphError
from relgraph.schema import Schema, parse, print_schema
from tests.schema_models import facts, models

RELATIONS = ("owner", "viewer", "parent")
PERMISSIONS = ("edit", "view", "share")
KINDS = ("user", "user:*", "doc#share", "user with universal", "user:* with universal", "doc with universal", "doc")
WORDS = "definition caveat relation permission nil with use roles universal self and any all user doc owner view"
MORE_WORDS = "expiration grants grant by to subject typechecking partial common import"
SYMBOLS = "{ } ( ) | : ; * # + & = / - > -> . ... , < // /* */ é ' \" \"\"\" '''"
PIECES = (*WORDS.split(), *MORE_WORDS.split(), *SYMBOLS.split(), "\n", "\t", "\r\n")

names = st.sampled_from(("owner", "viewer", *PERMISSIONS))


def joined(left: str, operator: str, right: str, *, wrapped: bool) -> str:
    """Return two expressions with an operator between them."""
    return f"({left} {operator} {right})" if wrapped else f"{left} {operator} {right}"


leaves = names | names.map(lambda name: f"parent->{name}") | names.map(lambda name: f"parent.any({name})")
expressions = st.recursive(
    leaves,
    lambda inner: st.builds(joined, inner, st.sampled_from("+&-"), inner, wrapped=st.booleans()),
    max_leaves=12,
)
docs = st.sampled_from(("", "// one\n", "/* two\n      three */\n", "  // four\n// five\n"))


@st.composite
def schemas(draw: st.DrawFn) -> str:
    """Return a schema text that is admitted."""
    lines = ["use roles\n", "use universal\n", draw(docs), "definition user {}\n", draw(docs), "definition doc {\n"]
    for relation in ("owner", "viewer"):
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True))
        lines += [draw(docs), f"\trelation {relation}: {' | '.join(kinds)}\n"]
    lines.append("relation parent: doc\n")
    for permission in PERMISSIONS:
        lines += [draw(docs), f"    permission {permission} = owner + ({draw(expressions)})\n"]
    if draw(st.booleans()):
        lines.append("roles owner > edit\n")
    return "".join([*lines, "}\n"])


@given(schemas())
@settings(max_examples=200, deadline=None)
def test_printing_round_trips(text: str) -> None:
    """What is printed parses, and prints as itself."""
    printed = print_schema(parse(text))
    assert print_schema(parse(printed)) == printed


@given(schemas())
@settings(max_examples=100, deadline=None)
def test_printing_keeps_the_meaning(text: str) -> None:
    """The printed schema has the same kinds, ladders, docs and expressions."""
    assert facts(parse(print_schema(parse(text)))) == facts(parse(text))


@given(models())
def test_a_model_is_what_its_text_says(model: Schema) -> None:
    """What is printed of any schema parses to that schema: flags, kinds, annotations, grants, ladders, docs, all."""
    assert facts(parse(print_schema(model))) == facts(model)


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_text(text: str) -> None:
    """Random text is a schema or one of relgraph's errors."""
    with suppress(RelgraphError):
        parse(text)


@given(st.lists(st.sampled_from(PIECES), max_size=60))
@settings(max_examples=500, deadline=None)
def test_random_tokens(pieces: list[str]) -> None:
    """Random tokens are a schema or one of relgraph's errors, whose text names a line and has a caret."""
    try:
        schema = parse(" ".join(pieces))
    except RelgraphError as error:
        message = error.message
    else:
        printed = print_schema(schema)
        assert print_schema(parse(printed)) == printed
        return
    assert (message[:5], message[-1:]) == ("line ", "^")


@given(schemas() | models().map(print_schema), st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_schema(text: str, data: st.DataObject) -> None:
    """A schema with a piece cut out or put in is a schema or one of relgraph's errors."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 10)))
    with suppress(RelgraphError):
        parse(text[:start] + data.draw(st.sampled_from(("", *PIECES))) + text[end:])

"""Caveats in a schema: which tuples it admits with them, and what it may change about them later."""

from __future__ import annotations

import pytest

import relgraph
from relgraph.errors import InvalidContext, SchemaParseError, SchemaTypeError, TupleNotAllowed
from relgraph.schema import SubjectKind, check_change, parse
from relgraph.schema.formatter import formatted
from relgraph.schema.source import Source
from relgraph.tuples import RelationTuple

SCHEMA = """use expiration
use universal
caveat late(hour int, days list<string>) { hour > 5 && 'sun' in days }
caveat org/near(ip ipaddress) { ip.in_cidr('10.0.0.0/8') }
definition user {}
definition doc {
  relation owner: user | user with late | user:* with late
  relation viewer: user with late and expiration and universal | user:* | doc#plain with org/near
  relation plain: user
}
"""


def test_a_schema_knows_its_caveats() -> None:
    """A schema's caveats are in text order, compiled, and its kinds name them with the other traits behind."""
    schema = parse(SCHEMA)
    assert list(schema.caveats) == ["late", "org/near"]
    assert {name: str(type_) for name, type_ in schema.caveats["late"].parameters.items()} == {
        "hour": "int",
        "days": "list<string>",
    }
    viewer = schema.definitions["doc"].relations["viewer"]
    assert viewer.kinds[0] == SubjectKind("user", expiration=True, universal=True, caveat="late")
    assert str(viewer.kinds[0]) == "user with late and expiration and universal"
    assert str(viewer.kinds[2]) == "doc#plain with org/near"
    with pytest.raises(TypeError):
        schema.caveats["late"] = schema.caveats["org/near"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("doc:a#owner@user:b", True),
        ("doc:a#owner@user:b[late]", True),
        ('doc:a#owner@user:b[late:{"hour":"7"}]', True),
        ("doc:a#owner@user:*[late]", True),
        ("doc:a#owner@user:*", False),
        ("doc:a#owner@user:b[org/near]", False),
        ("doc:a#owner@user:b[late][expiration:2030-01-01T00:00:00Z]", False),
        ("doc:*#viewer@user:b[late][expiration:2030-01-01T00:00:00Z]", True),
        ("doc:*#viewer@user:b[late]", False),
        ("doc:a#viewer@user:*", True),
        ("doc:a#viewer@user:*[late]", False),
        ("doc:a#viewer@doc:b#plain[org/near]", True),
        ("doc:a#viewer@doc:b#plain", False),
    ],
)
def test_a_caveat_is_part_of_the_kind(text: str, admitted: bool) -> None:
    """A tuple is admitted under the very caveat that the kind names, or without one where it names none."""
    schema, fact = parse(SCHEMA), RelationTuple.parse(text)
    assert schema.admits(fact) is admitted
    assert schema.admits_key(fact) or not admitted
    if admitted:
        schema.admit(fact)
    else:
        with pytest.raises(TupleNotAllowed) as caught:
            schema.admit(fact)
        assert caught.value.details["part"] == "subject"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("doc:a#plain@user:b[late]", "takes `user` without the caveat `late`; leave the caveat out"),
        ("doc:a#plain@user:b[lat]", "`lat` is not a caveat of the schema, did you mean `late`?"),
        ("doc:a#owner@user:*", "takes `user:*` with the caveat `late` only; name it"),
        ("doc:a#owner@user:b[org/near]", "takes `user` without the caveat `org/near`"),
    ],
)
def test_why_a_tuple_is_not_admitted(text: str, part: str) -> None:
    """A refusal says whether the caveat is one too many, missing, or none of the schema's."""
    with pytest.raises(TupleNotAllowed) as caught:
        parse(SCHEMA).admit(RelationTuple.parse(text))
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("context", "parameter", "part"),
    [
        ('{"hours":5}', "hours", "is not a parameter of the caveat `late`, did you mean `hour`?"),
        ('{"hour":"secret"}', "hour", "does not fit its type `int`"),
        ('{"hour":null}', "hour", "does not fit its type `int`"),
        ('{"days":["mon",55555]}', "days", "does not fit its type `list<string>`, with `string` inside"),
    ],
)
def test_a_context_is_judged_when_it_is_written(context: str, parameter: str, part: str) -> None:
    """A context gives values to declared parameters that they can take; an error names those and no value."""
    with pytest.raises(InvalidContext) as caught:
        parse(SCHEMA).admit(RelationTuple.parse(f"doc:a#owner@user:b[late:{context}]"))
    assert part in caught.value.message
    assert "secret" not in caught.value.message
    assert "55555" not in caught.value.message
    assert {"parameter": parameter, "caveat": "late", "part": "context"}.items() <= caught.value.details.items()


def test_names_are_known_before_they_are_declared() -> None:
    """A caveat may stand behind the definitions that name it, between them, and beside a `;`."""
    schema = parse(
        "definition user { relation boss: user with late }; caveat late(hour int) { hour > 5 }; definition doc {}"
    )
    assert list(schema.definitions) == ["user", "doc"]
    assert schema.admits(RelationTuple.parse("user:a#boss@user:b[late]"))


def test_a_caveat_named_as_a_trait() -> None:
    """Without their flags `expiration` and `universal` name caveats, with them they mean what the flags say."""
    text = "caveat universal(hour int) { hour > 5 }\ndefinition user { relation boss: user with universal }"
    (kind,) = parse(text).definitions["user"].relations["boss"].kinds
    assert (kind.caveat, kind.universal) == ("universal", False)
    (kind,) = parse(f"use universal\n{text}").definitions["user"].relations["boss"].kinds
    assert (kind.caveat, kind.universal) == ("", True)
    with pytest.raises(SchemaParseError, match="`and expiration` needs a flag, write `use expiration`"):
        parse(text.replace("with universal }", "with universal and expiration }"))


def test_layout() -> None:
    """A caveat's parameters are laid out, its expression stays as it is, and the result is its own layout."""
    text = "definition user {}\ncaveat   late( hour int,day list < any >){hour>5 // }\n\n    && day == []}// end"
    expected = (
        "definition user {}\n\ncaveat late(hour int, day list<any>) {\n  hour>5 // }\n\n    && day == []\n} // end\n"
    )
    assert formatted(Source(text)) == formatted(Source(expected)) == expected
    text = "// what for\ncaveat late(\nhour int, // of day\nday string\n) { // why\nhour > 5 && day == '' }"
    expected = "// what for\ncaveat late(hour int, // of day\n      day string) {\n  // why\nhour > 5 && day == ''\n}\n"
    assert formatted(Source(text)) == formatted(Source(expected)) == expected


BASE = "caveat late(hour int, day string) { hour > 5 && day == '' }\n"


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        "caveat late(day string, hour int) { hour < 5 || day != '' }\n",
        "caveat late(hour int, day string, more any) { hour > 5 && day == '' && more == 1 }\n",
        "definition user {}",
        "caveat later(hour string) { hour == '' }",
    ],
)
def test_what_a_caveat_may_become(text: str) -> None:
    """Another expression, another order, more parameters, and none at all may follow a caveat."""
    check_change(parse(BASE), parse(text))


@pytest.mark.parametrize(
    ("text", "part", "parameter"),
    [
        ("\ncaveat late(hour int) { hour > 5 }\n", "`late` has the parameter `day` in force, which cannot go", "day"),
        (
            "\ncaveat late(hour uint, day string) { hour > 5 && day == '' }\n",
            "the parameter `hour` of `late` is `int` in force and cannot become `uint`",
            "hour",
        ),
    ],
)
def test_what_a_caveat_may_not_become(text: str, part: str, parameter: str) -> None:
    """A caveat keeps its parameters and their types, also where no tuple was ever written under it."""
    with pytest.raises(SchemaTypeError) as caught:
        check_change(parse(BASE), parse(text))
    assert part in caught.value.message
    assert caught.value.details == {"line": "2", "column": "8", "caveat": "late", "parameter": parameter}
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(BASE)
        with pytest.raises(SchemaTypeError, match="in force"):
            authorizer.write_schema(text)
        assert authorizer.schema().text == BASE
        authorizer.write_schema("definition user {}")
        authorizer.write_schema(text)

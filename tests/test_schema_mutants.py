"""Mutants of a schema: the small changes that somebody could make by mistake, each a schema that could be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from relgraph.schema import parse, print_schema
from relgraph.schema.mutants import mutants
from relgraph.tuples import Object, RelationTuple
from tests.worlds import schema_text, schemas

if TYPE_CHECKING:
    from tests.oracle import Schema


def _changes(text: str) -> list[str]:
    return [each.change for each in mutants(parse(text))]


def test_operators_are_changed_and_operands_left_out() -> None:
    """A permission is emptied, its operators are changed into the others, and each operand is left out."""
    text = """
    definition user {}
    definition doc {
      relation viewer: user
      relation editor: user
      relation banned: user
      permission view = (viewer + editor) - banned
    }
    """
    where = "where it says `(viewer + editor) - banned`"
    found = _changes(text)
    assert found[:3] == [f"every `user` is in `doc#{name}`" for name in ("viewer", "editor", "banned")]
    assert found[3:] == [
        f"`doc#view` says `{expression}` {where}"
        for expression in (
            "nil",
            "(viewer + editor) + banned",
            "(viewer + editor) & banned",
            "viewer + editor",
            "(viewer & editor) - banned",
            "(viewer - editor) - banned",
            "editor - banned",
            "viewer - banned",
        )
    ]


def test_arrows_are_led_elsewhere() -> None:
    """An arrow is made `.all` or `.any`, led to every other name that is there, and started at every other relation."""
    text = """
    definition user {}
    definition folder {
      relation viewer: user
      permission view = viewer
    }
    definition doc {
      relation parent: folder
      relation owner: user
      relation archive: folder
      permission view = parent->view
    }
    """
    expected = ["nil", "parent.all(view)", "parent->viewer", "archive->view"]
    found = [each for each in _changes(text) if each.startswith("`doc#view`")]
    assert found == [f"`doc#view` says `{each}` where it says `parent->view`" for each in expected]


def test_a_change_that_cannot_be_written_is_none() -> None:
    """What breaks a ladder, a userset or an arrow is left out; so is a `nil` that may as well not stand there."""
    text = """
    use roles
    definition user {}
    definition group { relation member: user }
    definition doc {
      relation owner: group
      relation viewer: group#member
      permission own = owner->member
      permission view = own + viewer + nil
      roles own > view
    }
    """
    assert _changes(text) == [
        # Neither a relation that arrows start at nor one whose members stand in usersets can be open to everybody.
        "`doc#own` says `nil` where it says `owner->member`",
        "`doc#own` says `owner.all(member)` where it says `owner->member`",
        "`doc#own` says `viewer->member` where it says `owner->member`",
        "`doc#view` says `own + nil` where it says `own + viewer + nil`",
    ]


def test_rungs_stay_unions() -> None:
    """On a ladder, what is left of two operands stands beside `nil`, so that it can be written."""
    text = """
    use roles
    definition user {}
    definition doc {
      relation owner: user
      relation viewer: user
      permission view = owner + viewer
      roles owner > view
    }
    """
    assert _changes(text)[2:] == ["`doc#view` says `owner + nil` where it says `owner + viewer`"]


def test_what_is_opened_and_what_is_freed_brings_its_tuples() -> None:
    """Everybody is in a relation of every object that is there or asked about; a freed tuple stands without caveat."""
    text = """
    use expiration
    caveat within(limit int) { limit > 1 }
    definition user {}
    definition doc { relation viewer: user with within and expiration | user with within }
    """
    tuples = [
        RelationTuple.parse('doc:a#viewer@user:anna[within:{"limit":1}][expiration:9001-01-01T00:00:00Z]'),
        RelationTuple.parse('doc:b#viewer@user:anna[within:{"limit":1}]'),
    ]
    told = [(each.change, list(map(str, each.added(tuples, [Object("doc", "c")])))) for each in mutants(parse(text))]
    assert told == [
        (
            "every `user` is in `doc#viewer`",
            ["doc:c#viewer@user:*", "doc:a#viewer@user:*", "doc:b#viewer@user:*"],
        ),
        (
            "`doc#viewer` takes `user with expiration` where it takes `user with within and expiration`",
            ["doc:a#viewer@user:anna[expiration:9001-01-01T00:00:00Z]"],
        ),
        ("`doc#viewer` takes `user` where it takes `user with within`", ["doc:b#viewer@user:anna"]),
    ]


@settings(max_examples=5)
@given(schema=schemas())
def test_mutants_are_schemas_and_no_two_say_the_same(schema: Schema) -> None:
    """Of random schemas, every mutant parses from its own text, differs from the schema, and comes once."""
    plain = parse(schema_text(schema))
    found = list(mutants(plain))
    texts = [print_schema(each.schema) for each in found if each.opened is None]
    assert len(texts) == len(set(texts))
    assert print_schema(plain) not in texts
    assert all(print_schema(parse(text)) == text for text in texts)
    assert [each.change for each in found] == [each.change for each in mutants(plain)]

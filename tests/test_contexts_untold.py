"""What a context says stays between who gives it and the store: no error tells it, in its message or its details."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.errors import DuplicateUpdate, RelgraphError, quoted, without_context
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CANARY = "CANARY-7"
SCHEMA = """use universal
caveat spoken(word string, count int) { word == "open" && count < 3 }
definition user {}
definition doc {
  relation viewer: user with spoken | user:* with spoken | user with spoken and universal
  relation plain: user
  permission view = viewer
}
"""
TOLD = f'doc:one#viewer@user:ann[spoken:{{"word":"{CANARY}"}}]'


def _turned(old: str, new: str) -> str:
    assert old in TOLD
    return TOLD.replace(old, new)


WRITES = {
    "a relation without the caveat": _turned("viewer", "plain"),
    "a permission": _turned("viewer", "view"),
    "no such relation": _turned("viewer", "reader"),
    "no such definition": _turned("doc", "folder"),
    "no such caveat": _turned("spoken", "whispered"),
    "no such parameter": _turned('{"word"', '{"words"'),
    "another type": _turned('"word"', '"count"'),
    "too long": _turned(CANARY, CANARY * 4_000),
    "resource and subject swapped": 'user:ann#viewer@doc:one[spoken:{"word":"' + CANARY + '"}]',
    "no relation": _turned("#viewer", ""),
    "something behind it": TOLD + " ",
    "a userset and something behind it": _turned("user:ann", "user:ann#viewer") + " ",
    "brackets in another order": _turned("[spoken", "[expiration:2027-01-31T12:00:00Z][spoken"),
    "a blank before the object": _turned("spoken:{", "spoken: {"),
    "a line end in the object": _turned("{", "{\n").replace("}]", "}]]"),
    "not closed": TOLD[:-1],
    "not JSON": _turned('"}', "}"),
}


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    """A store with the schema and the tuple in it."""
    with relgraph.open(f"sqlite:///{tmp_path}/a.db") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=[TOLD])
        yield opened


def _untold(act: Callable[[], object]) -> RelgraphError:
    with pytest.raises(RelgraphError) as caught:
        act()
    error = caught.value
    assert CANARY not in error.message
    assert CANARY not in repr(error.details)
    return error


@pytest.mark.parametrize("text", WRITES.values(), ids=WRITES)
def test_a_refused_tuple_is_told_without_its_context(authorizer: relgraph.Authorizer, text: str) -> None:
    """Whatever is wrong with a tuple, the error names it and not what its caveat is given: written, imported, asked."""
    _untold(lambda: authorizer.write(touch=[text]))
    _untold(lambda: authorizer.write(delete=[text]))
    _untold(lambda: authorizer.load([text]))
    _untold(lambda: authorizer.check("user:ann", "view", "doc:one", contextual=[text]))
    _untold(lambda: authorizer.check(text))


def test_a_tuple_that_fits_is_told_without_its_context(authorizer: relgraph.Authorizer) -> None:
    """So it is where the tuple is in order, and what is done with it is not."""
    other = _turned(CANARY, CANARY + "-too")
    assert "another context" in _untold(lambda: authorizer.write(touch=[TOLD, other])).message
    bare = _untold(lambda: authorizer.write(touch=[TOLD, "doc:one#viewer@user:ann"]))
    assert isinstance(bare, DuplicateUpdate)
    assert "the other time as `doc:one#viewer@user:ann[spoken]`" in bare.message
    assert _untold(lambda: authorizer.write(create=[TOLD])).details["tuple"] == "doc:one#viewer@user:ann[spoken]"
    _untold(lambda: authorizer.write(delete=[TOLD]))
    _untold(lambda: authorizer.write(touch=[TOLD], actor="user:ann"))
    _untold(lambda: authorizer.load([TOLD]))
    _untold(lambda: authorizer.load([_turned("user:ann", "user:*")]))
    _untold(lambda: authorizer.load([_turned("doc:one", "doc:*")]))
    _untold(lambda: authorizer.check("user:ann", "view", "doc:one", contextual=TOLD))
    _untold(lambda: authorizer.check("user:ann", "view", "doc:one", contextual=[_turned("doc:one", "doc:*")]))
    _untold(lambda: authorizer.check("user:ann", "view", "doc:one", context={"word": 1, "count": CANARY}))
    _untold(lambda: TupleFilter.parse(TOLD))
    context = RelationTuple.parse(TOLD).context
    bound = RelationTuple(Object("doc", "one"), "viewer", Subject("user", "ann"), context=context)
    _untold(lambda: authorizer.write(touch=[bound]))


def test_a_schema_that_strands_a_tuple_does_not_tell_its_context(authorizer: relgraph.Authorizer) -> None:
    """Who may write the schema need not be allowed to read the tuples: a stored context is not shown to him."""
    _untold(lambda: authorizer.write_schema(SCHEMA.replace("user with spoken |", "user |")))


def test_a_failed_caveat_does_not_tell_its_values(authorizer: relgraph.Authorizer) -> None:
    """A caveat that cannot be evaluated names itself and its tuple, and no value."""
    authorizer.write_schema(SCHEMA.replace('word == "open"', "int(word) < 3"))
    _untold(lambda: authorizer.check("user:ann", "view", "doc:one", context={"count": 1}))


def test_a_text_meant_as_a_tuple_is_cut_where_its_context_begins() -> None:
    """What stands behind the brace is left out, however it is spelled and wherever it would end; all else is kept."""
    assert quoted(TOLD) == "`doc:one#viewer@user:ann[spoken:{…}]`"
    assert without_context('x[a/b: \n{"q') == "x[a/b: \n{…}]"
    for text in ("doc:one#viewer@user:ann[spoken]", "a:{b}", "[expiration:2027]", "[[[::{{"):
        assert without_context(text) == text
    assert len(without_context("[a:" * 100_000)) == 300_000

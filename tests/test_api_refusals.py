"""Bad input at the Authorizer: one clear error, which names the input and the remedy, and nothing changed."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph import Consistency
from relgraph.errors import (
    AlreadyExists,
    CannotUpdatePermission,
    DuplicateUpdate,
    InvalidCursor,
    InvalidId,
    InvalidInput,
    InvalidToken,
    InvalidTuple,
    RelgraphError,
    SchemaOrphans,
    TooManyUpdates,
    TupleNotAllowed,
    UnknownDefinition,
    UnknownRelation,
)
from tests.api_kit import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with opened() as made:
        yield made


def _forged(body: str) -> str:
    """Return a cursor with a right checksum around anything."""
    data = body.encode()
    return base64.urlsafe_b64encode(binascii.crc32(data).to_bytes(4, "big") + data).decode().rstrip("=")


def _state(authorizer: relgraph.Authorizer) -> tuple[int, list[str], str]:
    page = authorizer.read()
    return page.revision, sorted(map(str, page.tuples)), authorizer.schema().text


def _ask(
    what: str, *, error: type[RelgraphError], says: str
) -> Callable[[relgraph.Authorizer], tuple[type[RelgraphError], str]]:
    def run(authorizer: relgraph.Authorizer) -> tuple[type[RelgraphError], str]:
        with pytest.raises(RelgraphError) as caught:
            eval(what, {"a": authorizer, "Consistency": Consistency, "forged": _forged})
        assert says in caught.value.message, caught.value.message
        return error, type(caught.value).__name__

    return run


REFUSALS = [
    ("a.check('user:anna', 'observe', 'dok:one')", UnknownDefinition, "did you mean `doc`"),
    ("a.check('user:anna', 'observ', 'doc:one')", UnknownRelation, "did you mean `observe`"),
    ("a.check('group:board#membr', 'observe', 'doc:one')", UnknownRelation, "did you mean `member`"),
    ("a.check('doc:one', 'observe', 'user:anna')", UnknownRelation, "swapped"),
    ("a.check('user:*', 'observe', 'doc:one')", InvalidTuple, "name one object"),
    ("a.check('user:anna', 'observe', 'doc:*')", InvalidTuple, "name one object"),
    ("a.check('doc:*#observe@user:anna')", InvalidTuple, "one object"),
    ("a.check('doc:one#observe')", InvalidTuple, "resource#relation@subject"),
    ("a.check('user:anna', 'observe')", InvalidInput, "a subject, a permission and a resource"),
    ("a.check('user:anna@example.com', 'observe', 'doc:one')", InvalidId, "allowed are letters"),
    ("a.check('user:an\\x07na', 'observe', 'doc:one')", InvalidId, "`\\x07`"),
    ("a.check('user:anna', 'observe', 'doc:one', on_conditional='allow')", InvalidInput, "`raise` or `deny`"),
    ("a.best('user:anna', 'doc:one', ways='some')", InvalidInput, "`none`, `one` or `all`"),
    ("a.best_many('user:anna', [])", InvalidInput, "at least one"),
    ("a.best('usr:anna', 'doc:one')", UnknownDefinition, "did you mean `user`"),
    ("a.expand('doc:one', 'reed')", UnknownRelation, "did you mean `read`"),
    ("a.write()", InvalidInput, "at least one"),
    ("a.write(touch=['doc:one#observe@user:anna'])", CannotUpdatePermission, "permission"),
    ("a.write(touch=['doc:one#banned@group:board#member'])", TupleNotAllowed, "banned"),
    ("a.write(touch=['doc:*#viewer@user:anna'])", TupleNotAllowed, "viewer"),
    ("a.write(touch=['doc:one#administrator@user:*'])", TupleNotAllowed, "administrator"),
    ("a.write(touch=['user:anna#viewer@doc:one'])", UnknownRelation, "swapped"),
    ("a.write(touch=['doc:two#viewer@user:anna', 'doc:two#viewer@user:anna'])", DuplicateUpdate, "twice"),
    ("a.write(touch=['doc:two#viewer@user:x'], delete=['doc:two#viewer@user:x'])", DuplicateUpdate, "twice"),
    ("a.write(touch=['doc:two#viewer@user:x'], create=['doc:one#viewer@user:anna'])", AlreadyExists, "doc:one"),
    ("a.write(touch=[f'doc:d{n}#viewer@user:anna' for n in range(1001)])", TooManyUpdates, "1000"),
    ("a.write(touch=['doc:two#viewer@user:x'], request_id='a\\nb')", InvalidInput, "request id"),
    ("a.write(touch=['doc:two#viewer@user:x'], reason='\\ud800')", InvalidInput, "reason"),
    ("a.load(['doc:two#viewer@user:x', 'doc:*#administrator@group:board#member'])", TupleNotAllowed, "universal"),
    ("a.load(['doc:two#viewer@user:x', 'doc:two#viewer@user:*'])", TupleNotAllowed, "wildcards"),
    ("a.load(['doc:two#viewer@user:x', 'doc:two#viewer@user:x'])", AlreadyExists, "doc:two"),
    ("a.load(['doc:two#viewer@user:x', 'doc:two#reader@user:x'])", UnknownRelation, "reader"),
    ("a.load(['doc:two#viewer@user:x'], on_duplicate='ignore')", InvalidInput, "`skip`"),
    ("a.write_schema('definition user {}')", SchemaOrphans, "doc:one#viewer@user:anna"),
    ("a.read(limit=0)", InvalidInput, "1 to 1000"),
    ("a.read(cursor='nonsense')", InvalidCursor, "damaged"),
    ("a.read(cursor=forged('[' * 99999))", InvalidCursor, "damaged"),
    ("a.read(cursor=forged('[1, {}, []]'))", InvalidCursor, "damaged"),
    ("a.best('user:anna', 'dok:one')", UnknownDefinition, "did you mean `doc`"),
    ("a.read(consistency=Consistency.at_least('nonsense'))", InvalidToken, "not a token"),
    ("a.orphans(types=['dok'])", UnknownDefinition, "did you mean `doc`"),
    ("a.orphans(['dok:one'])", UnknownDefinition, "did you mean `doc`"),
]


@pytest.mark.parametrize(("what", "error", "says"), REFUSALS, ids=[what[:60] for what, _, _ in REFUSALS])
def test_bad_input_is_refused_and_changes_nothing(
    what: str, error: type[RelgraphError], says: str, authorizer: relgraph.Authorizer
) -> None:
    """One clear error of the right class, which names the input and the remedy; tuples, schema and head stay."""
    before = _state(authorizer)
    expected, found = _ask(what, error=error, says=says)(authorizer)
    assert expected.__name__ == found
    assert before == _state(authorizer)

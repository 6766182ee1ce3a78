"""Faults of others about tuples that a question brings.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import grpc
import pytest

from relgraph.api import deciding, worlds
from relgraph.engine.program import Program
from relgraph.errors import RelgraphError
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server import scopes
from tests.advisories_kit import CAVEATS, asked, opened, switched_off
from tests.keys_kit import add_key, call, guarded, shown
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import relgraph
    from relgraph.engine.plans import Kind
    from relgraph.schema.model import SubjectKind

BRINGING = (
    CAVEATS
    + """definition role { relation assignee: user }
definition doc {
  relation viewer: user:* | role#assignee
  relation owner: user | user with open
  permission view = viewer + owner
}
"""
)


def every_kind(program: Program, kind: SubjectKind, kinds: dict[Kind, int]) -> None:
    """Whatever subject, with any marks."""
    admit(program, kind, kinds)
    kinds.update({(number, 0, wildcard): 15 for wildcard in (False, True) if (number := program._number_of("user"))})


admit = Program._admit


def test_a_brought_tuple_is_judged_like_a_written_one() -> None:
    """A tuple that a question brings is of a kind that the relation takes, and grants whom it names: nobody else."""
    with opened(BRINGING, ["role:r#assignee@user:bob"]) as authorizer:
        viewers = ["doc:a#viewer@role:r#assignee"]
        questions = ["doc:a#view@user:anna", "doc:a#view@user:bob"]
        assert ["no", "yes"] == asked(authorizer, *questions, contextual=viewers)
        for refused in (
            "doc:a#viewer@user:anna",
            "doc:a#viewer@role:r",
            "doc:a#view@user:anna",
            "doc:*#owner@user:anna",
        ):
            with pytest.raises(RelgraphError):
                asked(authorizer, questions[0], contextual=[refused])
    with (
        switched_off(worlds, "_admit", lambda *_: None),
        switched_off(Program, "_admit", every_kind),
        opened(BRINGING, ["role:r#assignee@user:bob"]) as authorizer,
    ):
        assert ["yes"] == asked(authorizer, questions[0], contextual=["doc:a#viewer@user:anna"])


def test_conditions_of_brought_tuples_count() -> None:
    """A brought tuple's own condition and context decide, each time anew, beside a stored one of the same key."""
    question = "doc:a#view@user:anna"
    brought = {
        'doc:a#owner@user:anna[open:{"flag":true}]': "yes",
        'doc:a#owner@user:anna[open:{"flag":false}]': "no",
        "doc:a#owner@user:anna[open]": "conditional",
    }
    with opened(BRINGING, ["role:r#assignee@user:bob"]) as authorizer:
        for order in itertools.permutations(brought):
            assert [brought[each] for each in order] == [
                asked(authorizer, question, contextual=[each])[0] for each in order
            ]
        first = next(iter(brought))
        with switched_off(deciding, "world_of", Sticky()):
            assert ["yes"] == asked(authorizer, question, contextual=[first])
            assert ["yes"] == asked(authorizer, question, contextual=[list(brought)[1]])
            assert ["yes"] == asked(authorizer, question)
        # Gone with its request.
        assert ["no"] == asked(authorizer, question)
        assert () == authorizer.what("user:anna", "view", "doc").rows
        authorizer.write(touch=[list(brought)[1]])
        assert ["yes"] == asked(authorizer, question, contextual=[first])
        assert ["no"] == asked(authorizer, question)


class Sticky:
    """A world that is made once, and kept for all requests."""

    def __init__(self) -> None:
        self._given: object = None

    def __call__(self, pinned: object, limits: object, ends: object, given: object = worlds.NOTHING) -> object:
        if self._given is None:
            self._given = given
        return worlds.world_of(pinned, limits, ends, self._given)  # type: ignore[arg-type]


def test_the_order_of_brought_tuples_makes_no_difference() -> None:
    """In whatever order they are brought, before, between or behind the stored ones: the same answers and pages."""
    stored = [f"doc:{name}#owner@user:anna" for name in ("b", "d", "f")]
    brought = [f"doc:{name}#owner@user:anna" for name in ("a", "c", "g", "b")]

    def paged(authorizer: relgraph.Authorizer, contextual: Sequence[str], size: int) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = authorizer.what("user:anna", "view", "doc", limit=size, cursor=cursor, contextual=contextual)
            found += [row.id for row in page.rows]
            cursor = page.cursor
            if not cursor:
                return found

    with opened(BRINGING, stored) as authorizer:
        for order in itertools.permutations(brought):
            assert ["yes"] * 6 == asked(
                authorizer, *(f"doc:{name}#view@user:anna" for name in "abcdfg"), contextual=order
            )
            for size in (1, 2, 10):
                assert list("abcdfg") == paged(authorizer, order, size)
        from relgraph.engine import lookup

        with switched_off(lookup, "sorted", lambda ids: sorted(ids, reverse=True), shadowing=True):
            assert list("abcdfg") != paged(authorizer, brought, 2)


def test_bringing_tuples_takes_a_scope(tmp_path: Path) -> None:
    """A key without the scope cannot write itself access for one question."""
    path = tmp_path / "keys.json"
    secret = add_key(path, "asker", ["check"])
    asks = pb.CheckRequest(subject="user:anna", permission="view", resource="doc:a")
    asks.contextual_tuples.add(resource="doc:a", relation="owner", subject="user:anna")
    with (
        opened(BRINGING, ["role:r#assignee@user:bob"]) as authorizer,
        in_process(authorizer, guarded(path)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        assert grpc.StatusCode.PERMISSION_DENIED is call(channel, "Check", asks, shown(secret))[0]
        with switched_off(scopes.OURS, "_is_set", {**scopes._IS_SET, "contextual_tuples": lambda _: False}):
            assert grpc.StatusCode.OK is call(channel, "Check", asks, shown(secret))[0]

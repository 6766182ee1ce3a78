"""Losses found by asking before and after a write, compared with the oracle in random worlds of Alliance Auth."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from hypothesis import example, given
from hypothesis import strategies as st

import relgraph
from relgraph.cli.demo_losses import write_and_ask
from relgraph.cli.schema_files import composed
from tests.oracle import YES, Name, Oracle, Schema, World, define, object_of, tuple_of
from tests.systems_kit import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES: Final = Schema(
    {
        "auth/user": define({}),
        "auth/state": define({"member": "auth/user"}),
        "auth/group": define({"member": "auth/user"}),
        "auth/service": define(
            {
                "granted": "auth/user | auth/state#member | auth/group#member",
                "suspended": "auth/user with universal",
            },
            {"access": Name("granted") - Name("suspended")},
        ),
    }
)
USERS: Final = tuple(f"auth/user:{name}" for name in ("anna", "bob", "carl"))
SERVICES: Final = tuple(f"auth/service:{name}" for name in ("mumble", "discord"))
HOLDERS: Final = ("auth/state:blue", "auth/group:pilots", "auth/group:scouts")
POSSIBLE: Final = (
    *(f"{holder}#member@{user}" for holder, user in product(HOLDERS, USERS)),
    *(f"{service}#granted@{holder}#member" for service, holder in product(SERVICES, HOLDERS)),
    *(f"{service}#granted@{user}" for service, user in product(SERVICES, USERS)),
    *(f"auth/service:*#suspended@{user}" for user in USERS),
)
SCHEMA: Final = composed(str(FOLDER / "auth.zed")).text


def _access(tuples: Iterable[str]) -> set[str]:
    """Return who may use what, as the oracle sees it."""
    objects = tuple(map(object_of, (*USERS, *SERVICES)))
    oracle = Oracle(World(RULES, tuple(map(tuple_of, tuples)), objects=objects))
    questions = (f"{service}#access@{user}" for service, user in product(SERVICES, USERS))
    return {question for question in questions if oracle.check(question) == YES}


@given(
    stored=st.frozensets(st.sampled_from(POSSIBLE)),
    changed=st.frozensets(st.sampled_from(POSSIBLE), min_size=1, max_size=4),
)
@example(stored=frozenset(POSSIBLE[:12]), changed=frozenset({POSSIBLE[9]}))  # a group loses a service
@example(stored=frozenset(POSSIBLE), changed=frozenset(POSSIBLE[-3:]))  # everybody is enabled
@example(stored=frozenset(), changed=frozenset({POSSIBLE[0], POSSIBLE[9]}))  # to a group that is joined, a new service
def test_losses_are_what_the_oracle_says(stored: frozenset[str], changed: frozenset[str]) -> None:
    """Whatever is written, exactly those are reported who had access before and have none after; and the gains too."""
    deleted = stored & changed
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        if stored:
            authorizer.write(touch=sorted(stored))
        outcome = write_and_ask(authorizer, touch=sorted(changed - deleted), delete=sorted(deleted))
    before, after = _access(stored), _access(stored ^ changed)
    assert set(outcome.lost) == before - after
    assert set(outcome.gained) == after - before
    assert set(outcome.kept) <= before & after
    assert outcome.asked <= len(USERS) * len(SERVICES)

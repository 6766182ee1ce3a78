"""Catglobe's rule that you can only grant access to resources on which you are an administrator yourself, over gRPC.

The application names on whose behalf it writes; the server judges that in the write's own transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from relgraph.errors import NotPermitted
from tests.systems_kit import Served, served_systems

if TYPE_CHECKING:
    from collections.abc import Iterator

ZOE: Final = "catglobe/user:zoe"
HERE: Final = "catglobe/resource:here"
ABOVE: Final = "catglobe/resource:above"
MEMBER: Final = f"catglobe/group:five#member@{ZOE}"
SWITCH: Final = f"{HERE}#inherits@{ABOVE}"
ROLES: Final = ("observer", "manager", "administrator")

FIVE_WAYS: Final = {
    "directly": [f"{HERE}#administrator@{ZOE}"],
    "through a group": [MEMBER, f"{HERE}#administrator@catglobe/group:five#member"],
    "through the parent": [SWITCH, f"{ABOVE}#administrator@{ZOE}"],
    "through a group on the parent": [SWITCH, MEMBER, f"{ABOVE}#administrator@catglobe/group:five#member"],
    "through the system group": [f"catglobe/group:system#member@{ZOE}"],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_systems(tmp_path_factory.mktemp("systems")) as systems:
        yield systems


def _refused(served: Served, actor: str, *tuples: str) -> NotPermitted:
    """Write on behalf of the actor, which must be refused and change nothing; return the refusal."""
    before = served.client.read(limit=1).revision
    with pytest.raises(NotPermitted) as refusal:
        served.client.write(touch=tuples, actor=actor)
    assert served.client.read(limit=1).revision == before
    return refusal.value


@pytest.mark.parametrize("way", FIVE_WAYS)
def test_an_administrator_grants_and_takes_back(served: Served, way: str) -> None:
    """By whichever of the five ways you administer a resource, you can give every role there, and take it away."""
    grants = [f"{HERE}#{role}@catglobe/user:yan" for role in ROLES]
    _refused(served, ZOE, *grants)
    with served.changed(touch=FIVE_WAYS[way]):
        served.client.write(touch=grants, actor=ZOE)
        assert served.client.best("catglobe/user:yan", HERE).role == "administer"
        served.client.write(delete=grants, actor=ZOE)
        assert served.client.best("catglobe/user:yan", HERE).role is None
    _refused(served, ZOE, *grants)


@pytest.mark.parametrize("role", ["observer", "manager"])
@pytest.mark.parametrize("given", ROLES)
def test_a_weaker_role_grants_nothing(served: Served, role: str, given: str) -> None:
    """An observer or manager gives nobody any role, not even his own; the refusal says what it would have taken."""
    with served.changed(touch=[f"{HERE}#{role}@{ZOE}"]):
        refusal = _refused(served, ZOE, f"{HERE}#{given}@catglobe/user:yan")
        assert refusal.details["tuples"] == f"{HERE}#{given}@catglobe/user:yan {HERE}#administer"
        _refused(served, ZOE, f"{HERE}#administrator@{ZOE}")


def test_one_resource_that_you_do_not_administer_refuses_all(served: Served) -> None:
    """A write is granted as a whole or not at all, and a grant inside it does not prove another one of it."""
    with served.changed(touch=[f"{HERE}#administrator@{ZOE}"]):
        _refused(served, ZOE, f"{HERE}#observer@catglobe/user:yan", f"{ABOVE}#observer@catglobe/user:yan")
        _refused(served, ZOE, f"{ABOVE}#administrator@{ZOE}", f"{ABOVE}#observer@catglobe/user:yan")
        assert served.client.best("catglobe/user:yan", HERE).role is None


def test_the_right_is_gone_with_the_role(served: Served) -> None:
    """Who was demoted by one write grants nothing by the next: no token and no waiting lies in between."""
    grant = f"{HERE}#observer@catglobe/user:yan"
    role = f"{HERE}#administrator@{ZOE}"
    served.client.write(touch=[role])
    served.client.write(touch=[grant], actor=ZOE)
    served.client.write(delete=[role])
    _refused(served, ZOE, f"{HERE}#manager@catglobe/user:yan")
    with pytest.raises(NotPermitted):
        served.client.write(delete=[grant], actor=ZOE)
    served.client.write(delete=[grant])


@pytest.mark.parametrize("record", ["catglobe/user:zoe", "catglobe/group:five"])
def test_users_and_groups_are_granted_on_like_any_resource(served: Served, record: str) -> None:
    """Nobody grants himself his own record, or his group's; its administrator may, and decides who is in the group."""
    served.client.write(touch=[MEMBER])
    _refused(served, ZOE, f"{record}#observer@{ZOE}")
    with served.changed(touch=[f"{record}#administrator@catglobe/user:yan"]):
        served.client.write(touch=[f"{record}#observer@{ZOE}"], actor="catglobe/user:yan")
        served.client.write(delete=[f"{record}#observer@{ZOE}"], actor="catglobe/user:yan")
    served.client.write(delete=[MEMBER])


def test_only_who_administers_a_group_changes_its_members(served: Served) -> None:
    """Anna keeps the board's list; bob is on it, and puts nobody there."""
    _refused(served, "catglobe/user:bob", f"catglobe/group:board#member@{ZOE}")
    served.client.write(touch=[f"catglobe/group:board#member@{ZOE}"], actor="catglobe/user:anna")
    assert served.yes(f"catglobe/resource:company#administer@{ZOE}")
    served.client.write(delete=[f"catglobe/group:board#member@{ZOE}"], actor="catglobe/user:anna")


def test_inheritance_is_switched_on_by_who_administers_both_sides(served: Served) -> None:
    """One side is not enough: neither may a child be taken over, nor a parent's people be let in from below."""
    for side in (HERE, ABOVE):
        with served.changed(touch=[f"{side}#administrator@{ZOE}"]):
            _refused(served, ZOE, SWITCH)
    with served.changed(touch=[f"{HERE}#administrator@{ZOE}", f"{ABOVE}#administrator@{ZOE}"]):
        served.client.write(touch=[SWITCH], actor=ZOE)
        served.client.write(delete=[SWITCH], actor=ZOE)


def test_the_system_group_grants_everywhere_and_is_widened_by_nobody(served: Served) -> None:
    """Its members grant on records created tomorrow; the tuple that reaches all records is the back end's alone."""
    grant = "catglobe/resource:never-named#observer@catglobe/user:yan"
    served.client.write(touch=[grant], actor="catglobe/user:root")
    assert served.yes("catglobe/resource:never-named#see@catglobe/user:yan")
    served.client.write(delete=[grant], actor="catglobe/user:root")
    _refused(served, "catglobe/user:root", "catglobe/resource:*#administrator@catglobe/group:board#member")


def test_an_import_on_behalf_of_somebody_is_judged_as_a_write(served: Served) -> None:
    """A file of grants is loaded where the actor administers all that it names, and refused as a whole otherwise."""
    ours = [f"{HERE}#observer@catglobe/user:c-{number}" for number in range(50)]
    with served.changed(touch=[f"{HERE}#administrator@{ZOE}"]):
        with pytest.raises(NotPermitted):
            served.client.load([*ours, f"{ABOVE}#observer@catglobe/user:yan"], actor=ZOE)
        assert served.no(f"{HERE}#observe@catglobe/user:c-1")
        assert served.client.load(ours, actor=ZOE).changed == 50
        served.client.write(delete=ours, actor=ZOE)


def test_systems_without_grant_lines_take_no_actor(served: Served) -> None:
    """Where a schema has no grant line for a relation, nobody writes it but the back end."""
    _refused(served, "auth/user:bob", "auth/service:wiki#granted@auth/user:bob")
    _refused(served, "auth/user:bob", "auth/group:pilots#member@auth/user:dora")

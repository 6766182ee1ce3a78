"""The four systems, line by line: each sentence of what they must do is a test, asked over gRPC of one store for all.

A test that changes something undoes it, so that each of them starts from the story in `scenarios/systems/`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest

from relgraph.answers import OrphanClass
from relgraph.cli.demo_losses import write_and_ask
from relgraph.cli.schema_files import composed
from relgraph.instants import instant_text, moment
from relgraph.schema import parse
from relgraph.tuples import TupleFilter
from tests.systems_kit import FOLDER, Served, served_systems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.tuples import RelationTuple

PREFIXES: Final = ("auth/", "catglobe/", "erp/", "websaw/")
OFFICE: Final = ("mail", "calendar", "files")
HOUR: Final = 3_600_000_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_systems(tmp_path_factory.mktemp("systems")) as systems:
        yield systems


def _all(served: Served, filter: TupleFilter) -> Iterator[RelationTuple]:
    """Yield all tuples that match, page after page."""
    page = served.client.read(filter)
    yield from page.tuples
    while page.cursor:
        page = served.client.read(filter, cursor=page.cursor)
        yield from page.tuples


def test_four_systems_share_a_store_and_nothing_else(served: Served) -> None:
    """One schema is put together from four files, and thousands of tuples lie in it; no tuple joins two systems."""
    assert served.client.schema().text == composed(str(FOLDER / "all.zed")).text
    prefixes = {name.partition("/")[0] + "/" for name in parse(served.client.schema().text).definitions}
    assert sorted(prefixes) == list(PREFIXES)
    tuples = list(_all(served, TupleFilter()))
    assert all(each.resource.type.partition("/")[0] == each.subject.type.partition("/")[0] for each in tuples)
    assert len(tuples) > 5_000


# --- Catglobe ---------------------------------------------------------------------------------------------------------


def test_catglobe_has_three_ordered_roles(served: Served) -> None:
    """An observer sees; a manager edits as well, and neither deletes nor grants; an administrator does everything."""
    rights = {}
    for relation in ("observer", "manager", "administrator"):
        with served.changed(touch=[f"catglobe/resource:report#{relation}@catglobe/user:zoe"]):
            rights[relation] = [
                name
                for name in ("see", "edit", "delete", "administer")
                if served.yes(f"catglobe/resource:report#{name}@catglobe/user:zoe")
            ]
    assert rights == {
        "observer": ["see"],
        "manager": ["see", "edit"],
        "administrator": ["see", "edit", "delete", "administer"],
    }


def test_catglobe_gives_roles_to_users_or_to_groups(served: Served) -> None:
    """When the board changes, only the group's members change: one tuple, and no resource is written."""
    company = "catglobe/resource:company#administer@catglobe/user"
    assert served.yes("catglobe/resource:department#manage@catglobe/user:carl")
    assert served.no(f"{company}:zoe")
    with served.changed(
        touch=["catglobe/group:board#member@catglobe/user:zoe"],
        delete=["catglobe/group:board#member@catglobe/user:bob"],
    ):
        assert served.yes(f"{company}:zoe", f"{company}:anna", "catglobe/resource:survey#administer@catglobe/user:zoe")
        assert served.no(f"{company}:bob", "catglobe/resource:survey#observe@catglobe/user:bob")
    assert served.yes(f"{company}:bob")


@pytest.mark.parametrize("record", ["catglobe/user:bob", "catglobe/group:board"])
def test_catglobe_treats_users_and_groups_as_resources(served: Served, record: str) -> None:
    """A user has no access to their own record, nor a member to the group's, unless someone grants it."""
    assert served.held("catglobe/user:bob", record) == ()
    with served.changed(touch=[f"{record}#observer@catglobe/user:bob"]):
        assert served.held("catglobe/user:bob", record) == ("observe",)


@pytest.mark.parametrize("type_", ["resource", "user", "group"])
def test_catglobe_has_a_system_group(served: Served, type_: str) -> None:
    """Its members have access to every resource, those created tomorrow included; others do not."""
    for record in (f"catglobe/{type_}:c-7", f"catglobe/{type_}:never-named"):
        assert served.client.best("catglobe/user:root", record).role == "administer"
        assert served.no(f"{record}#observe@catglobe/user:eve")
    # one row speaks for all of them
    assert served.what("catglobe/user:root", "administer", f"catglobe/{type_}") == ["*"]
    assert "*" not in served.what("catglobe/user:eve", "observe", f"catglobe/{type_}")
    with served.changed(touch=["catglobe/group:system#member@catglobe/user:zoe"]):
        assert served.yes(f"catglobe/{type_}:never-named#delete@catglobe/user:zoe")


def test_catglobe_lists_resources_that_nobody_can_reach(served: Served) -> None:
    """What only the system group reaches is told apart from what nobody reaches, among thousands that are reached."""

    def listed(*candidates: str) -> dict[str, OrphanClass]:
        orphans = served.client.orphans(candidates, types=["catglobe/resource"]).orphans
        return {str(each.resource): each.kind for each in orphans}

    lost, new = "catglobe/resource:archive", "catglobe/resource:created-today"
    # what other tests named and took away again is remembered
    others = dict.fromkeys(listed(), OrphanClass.ONLY_UNIVERSAL)
    assert listed() == others
    assert not any(each == lost or each.startswith("catglobe/resource:c-") for each in others)
    with served.changed(delete=[f"{lost}#observer@catglobe/user:dora"]):
        assert listed() == {**others, lost: OrphanClass.ONLY_UNIVERSAL}
        with served.changed(delete=["catglobe/group:system#member@catglobe/user:root"]):
            # a record that the application has just made, and relgraph has never heard of
            assert listed(new) == dict.fromkeys((*others, lost, new), OrphanClass.NOBODY)
        assert listed(new) == dict.fromkeys((*others, lost, new), OrphanClass.ONLY_UNIVERSAL)


def test_catglobe_switches_inheritance_on_and_off_per_resource(served: Served) -> None:
    """With it on, whoever has a role on the parent has it here, and so on upward; with it off, nobody does by that."""
    chain = [f"catglobe/resource:floor-{number}" for number in range(40)]
    switches = [f"{low}#inherits@{high}" for high, low in pairwise(chain)]
    with served.changed(
        touch=[*switches, f"{chain[0]}#manager@catglobe/user:zoe", f"{chain[0]}#observer@catglobe/user:yan"]
    ):
        assert served.client.best("catglobe/user:zoe", chain[-1]).role == "manage"
        assert served.client.best("catglobe/user:yan", chain[-1]).role == "observe"
        assert served.client.best("catglobe/user:zoe", chain[0]).role == "manage"
        with served.changed(delete=[switches[20]]):
            assert served.client.best("catglobe/user:zoe", chain[20]).role == "manage"
            assert served.client.best("catglobe/user:zoe", chain[21]).role is None
            assert served.client.best("catglobe/user:zoe", chain[-1]).role is None


FIVE: Final = "catglobe/resource:five"
ABOVE: Final = "catglobe/resource:above"
SWITCH: Final = f"{FIVE}#inherits@{ABOVE}"
MEMBER: Final = "catglobe/group:five#member@catglobe/user:zoe"
FIVE_WAYS: Final = {
    "directly": [f"{FIVE}#administrator@catglobe/user:zoe"],
    "through catglobe/group:five#member": [MEMBER, f"{FIVE}#administrator@catglobe/group:five#member"],
    f"inherited from {ABOVE}": [SWITCH, f"{ABOVE}#administrator@catglobe/user:zoe"],
    f"inherited from {ABOVE}, through catglobe/group:five#member": [
        SWITCH,
        MEMBER,
        f"{ABOVE}#administrator@catglobe/group:five#member",
    ],
    "through catglobe/group:system#member, on every object": ["catglobe/group:system#member@catglobe/user:zoe"],
}


@pytest.mark.parametrize("way", FIVE_WAYS)
def test_catglobe_knows_five_ways(served: Served, way: str) -> None:
    """Each of the five ways alone gives the role, and the answer names it."""
    with served.changed(touch=FIVE_WAYS[way]):
        best = served.client.best("catglobe/user:zoe", FIVE)
        assert (best.role, [each.via for each in best.ways]) == ("administer", [way])
    assert served.client.best("catglobe/user:zoe", FIVE).role is None


def test_catglobe_tells_all_five_ways_at_once(served: Served) -> None:
    """Held by all five ways at once, all five are listed when asked; one of them is when not."""
    with served.changed(touch=sorted({each for tuples in FIVE_WAYS.values() for each in tuples})):
        assert served.ways("catglobe/user:zoe", FIVE) == sorted(FIVE_WAYS)
        assert len(served.client.best("catglobe/user:zoe", FIVE).ways) == 1


def test_catglobe_lets_the_best_access_win_cumulatively(served: Served) -> None:
    """Of an observer's, a manager's and an administrator's way, whichever they are, the strongest is the answer."""
    weak = f"{FIVE}#observer@catglobe/user:zoe"
    with served.changed(touch=[weak]):
        assert served.client.best("catglobe/user:zoe", FIVE).role == "observe"
        with served.changed(touch=[MEMBER, f"{FIVE}#manager@catglobe/group:five#member"]):
            assert served.client.best("catglobe/user:zoe", FIVE).role == "manage"
            with served.changed(touch=[SWITCH, f"{ABOVE}#administrator@catglobe/user:zoe"]):
                best = served.client.best("catglobe/user:zoe", FIVE, ways="all")
                assert (best.role, best.held) == ("administer", ("administer", "manage", "observe"))
                assert [each.via for each in best.ways] == [f"inherited from {ABOVE}"]


# --- Alliance Auth ----------------------------------------------------------------------------------------------------


def test_alliance_auth_gives_one_permission_per_service(served: Served) -> None:
    """It comes from a state, from groups, or directly to a user, and that is all that a service has."""
    assert served.ways("auth/user:anna", "auth/service:forum") == ["through auth/state:member#member"]
    assert served.ways("auth/user:carl", "auth/service:discord") == ["through auth/group:pilots#member"]
    assert served.ways("auth/user:bob", "auth/service:wiki") == ["directly"]
    assert served.held("auth/user:bob", "auth/service:wiki") == ("access",)


def test_alliance_auth_ends_access_only_when_the_last_source_is_gone(served: Served) -> None:
    """Of several sources at once any one is enough, in whatever order the others go."""
    mumble = "auth/service:mumble#access@auth/user:bob"
    state, group = "auth/state:member#member@auth/user:bob", "auth/group:pilots#member@auth/user:bob"
    direct = "auth/service:mumble#granted@auth/user:bob"
    with served.changed(touch=[direct]):
        assert len(served.ways("auth/user:bob", "auth/service:mumble")) == 3
        for first, second, last in ((state, group, direct), (direct, state, group), (group, direct, state)):
            with served.changed(delete=[first]):
                assert served.yes(mumble)
                with served.changed(delete=[second]):
                    assert served.yes(mumble)
                    with served.changed(delete=[last]):
                        assert served.no(mumble)


def test_alliance_auth_counts_a_direct_grant_without_membership(served: Served) -> None:
    """Dora has no state and no group, and uses the wiki that she was given; a member's grants count no less."""
    for holder in ("auth/state", "auth/group"):
        members = TupleFilter(holder, relation="member", subject_type="auth/user", subject_id="dora")
        assert served.client.read(members).tuples == ()
    assert served.yes("auth/service:wiki#access@auth/user:dora", "auth/service:wiki#access@auth/user:bob")


def test_alliance_auth_acts_on_removal_at_once(served: Served) -> None:
    """After a change to a user every service of that user is looked at, and what is lost is known at that revision."""
    services = {each.resource.id for each in _all(served, TupleFilter("auth/service"))}
    state = "auth/state:member#member@auth/user:bob"
    outcome = write_and_ask(served.client, delete=[state])
    try:
        assert outcome.asked == len(services)
        # mumble comes from the pilots as well, discord from them alone, the wiki directly
        assert outcome.lost == ("auth/service:forum#access@auth/user:bob",)
        assert len(outcome.kept) == 3
        assert served.no(*outcome.lost)
        assert served.yes(*outcome.kept)
    finally:
        back = write_and_ask(served.client, touch=[state])
    assert back.gained == outcome.lost


def test_alliance_auth_reports_only_who_lost_what_when_a_group_changes(served: Served) -> None:
    """Only the service whose permission changed is looked at, and only the group's users; another source counts."""
    grant = "auth/service:discord#granted@auth/group:pilots#member"
    pilots = {str(each.subject) for each in _all(served, TupleFilter("auth/group", "pilots", "member"))}
    before = served.who("auth/service:discord", "access", "auth/user")
    outcome = write_and_ask(served.client, delete=[grant])
    try:
        assert outcome.asked == len(pilots) == 63
        after = served.who("auth/service:discord", "access", "auth/user")
        lost = {each.rpartition(":")[2] for each in outcome.lost}
        assert ({*before} - {*after}, {*after} - {*before}) == (lost, set())
        assert {each.partition("@")[2] for each in (*outcome.lost, *outcome.kept)} == pilots
        assert {each.partition("#")[0] for each in outcome.lost} == {"auth/service:discord"}
        direct = {
            str(each.subject) for each in _all(served, TupleFilter("auth/service", "discord", "granted", "auth/user"))
        }
        assert {each.partition("@")[2] for each in outcome.kept} == direct & pilots
        assert "auth/service:discord#access@auth/user:eve" in outcome.kept
        assert served.no(*outcome.lost)
    finally:
        served.client.write(touch=[grant])


def test_alliance_auth_disables_and_enables_a_user_by_one_write(served: Served) -> None:
    """A disabled user has no permission at all, whatever is granted still or yet; enabling brings everything back."""
    asked = ("auth/user:bob", "access", "auth/service")
    before = served.what(*asked)
    assert ["discord", "forum", "mumble", "wiki"] == before
    with served.changed(touch=["auth/service:*#suspended@auth/user:bob"]):
        with served.changed(touch=["auth/service:opened-today#granted@auth/user:bob"]):
            assert served.no("auth/service:opened-today#access@auth/user:bob")
        assert served.what(*asked) == []
        assert served.client.count_resources(*asked).yes == 0
        assert served.yes("auth/service:forum#access@auth/user:anna")
    assert before == served.what(*asked)


# --- Centurion --------------------------------------------------------------------------------------------------------

FOUR: Final = ("add", "change", "delete", "view")


def test_centurion_gives_permissions_to_teams_for_their_tenant_only(served: Served) -> None:
    """A tenant holds teams, a team holds users; what a team is given on a kind of record counts in that tenant."""
    assert served.held("erp/user:carl", "erp/record:globex-ticket") == ("change", "view")
    assert served.held("erp/user:carl", "erp/record:acme-ticket") == ()
    # a user comes to it by the team, and a record of another kind is another matter
    with served.changed(touch=["erp/team:acme-intake#member@erp/user:zoe"]):
        assert served.held("erp/user:zoe", "erp/record:acme-ticket") == ("add",)
        assert served.held("erp/user:zoe", "erp/record:acme-device") == ()
    assert served.held("erp/user:zoe", "erp/record:acme-ticket") == ()


@pytest.mark.parametrize("permission", FOUR)
def test_centurion_keeps_permissions_mutually_exclusive(served: Served, permission: str) -> None:
    """None of the four includes another: whoever is given one holds exactly that."""
    relation = {"add": "adder", "change": "changer", "delete": "deleter", "view": "viewer"}[permission]
    grant = f"erp/ledger:acme/ticket#{relation}@erp/team:alone#member"
    with served.changed(touch=["erp/team:alone#member@erp/user:zoe", grant]):
        assert served.held("erp/user:zoe", "erp/record:acme-ticket") == (permission,)


def test_centurion_answers_best_access_with_the_set_of_what_is_held(served: Served) -> None:
    """There is no role, each permission has its ways, and nothing that only helps to work it out is among them."""
    best = served.client.best("erp/user:anna", "erp/record:acme-ticket", ways="all")
    assert (best.role, best.held) == (None, ("add", "view"))
    assert [way.role for way in best.ways] == ["add", "view"]
    everything = [f"erp/ledger:shared/ticket#{each}er@erp/team:all#member" for each in ("add", "view")]
    everything += [f"erp/ledger:shared/ticket#{each}r@erp/team:all#member" for each in ("change", "delete")]
    with served.changed(touch=["erp/team:all#member@erp/user:zoe", *everything]):
        assert served.held("erp/user:zoe", "erp/record:shared-ticket") == FOUR
        assert served.held("erp/user:zoe", "erp/ledger:shared/ticket") == FOUR


def test_centurion_shows_nothing_of_another_tenant(served: Served) -> None:
    """A user with view in one tenant sees nothing of another one unless granted there."""
    assert served.yes("erp/record:acme-ticket#view@erp/user:anna")
    assert served.held("erp/user:anna", "erp/record:globex-ticket") == ()
    with served.changed(touch=["erp/ledger:globex/ticket#viewer@erp/team:acme-desk#member"]):
        assert served.held("erp/user:anna", "erp/record:globex-ticket") == ("view",)


def test_centurion_has_a_global_tenant(served: Served) -> None:
    """One tuple names it; view of a model held in any tenant is view of that model's records in the global one."""
    ticket, device = "erp/record:shared-ticket", "erp/record:shared-device"
    for user in ("anna", "carl"):
        assert served.yes(f"{ticket}#view@erp/user:{user}")
        assert served.no(f"{device}#view@erp/user:{user}")
    # bob may add tickets at acme, and that is not view of them
    assert served.held("erp/user:bob", ticket) == ()
    with served.changed(delete=["erp/tenant:shared#everyone@erp/user:*"]):
        assert served.no(f"{ticket}#view@erp/user:anna", f"{ticket}#view@erp/user:carl")
        with served.changed(touch=["erp/tenant:acme#everyone@erp/user:*"]):
            assert served.yes("erp/record:acme-ticket#view@erp/user:carl")
            assert served.no("erp/record:globex-ticket#view@erp/user:anna", f"{ticket}#view@erp/user:anna")


@pytest.mark.parametrize(("permission", "relation"), [("add", "adder"), ("change", "changer"), ("delete", "deleter")])
def test_centurion_wants_the_rest_granted_in_the_global_tenant(served: Served, permission: str, relation: str) -> None:
    """Add, change and delete held in another tenant are not held there; granted there they are, without view."""
    elsewhere = f"erp/ledger:acme/ticket#{relation}@erp/team:alone#member"
    there = f"erp/ledger:shared/ticket#{relation}@erp/team:alone#member"
    with served.changed(touch=["erp/team:alone#member@erp/user:zoe", elsewhere]):
        assert served.yes(f"erp/record:acme-ticket#{permission}@erp/user:zoe")
        assert served.held("erp/user:zoe", "erp/record:shared-ticket") == ()
        with served.changed(touch=[there]):
            assert served.held("erp/user:zoe", "erp/record:shared-ticket") == (permission,)


# --- Websaw -----------------------------------------------------------------------------------------------------------


def _session(served: Served, application: str, user: str, expires: int) -> str:
    """Return the tuple that a log-in to an application writes: on its group, or on itself where it has none."""
    group = served.client.read(TupleFilter("websaw/application", application, "group")).tuples
    where = f"{group[0].subject}#session" if group else f"websaw/application:{application}#own_session"
    return f"{where}@websaw/user:{user}[expiration:{instant_text(moment(expires))}]"


def _logged_in(served: Served, user: str) -> set[str]:
    return set(served.what(f"websaw/user:{user}", "logged_in", "websaw/application"))


@pytest.mark.parametrize("first", OFFICE)
def test_websaw_logs_in_to_all_of_a_group_whichever_came_first(served: Served, first: str) -> None:
    """Who logs in to one application is logged in to all of its group; those of another or of none see nothing."""
    session = _session(served, first, "zoe", served.clock.now + HOUR)
    assert _logged_in(served, "zoe") == set()
    served.client.write(touch=[session])
    assert _logged_in(served, "zoe") == set(OFFICE)
    served.client.write(delete=[session.partition("[")[0]])


def test_websaw_keeps_the_session_of_an_application_without_a_group_to_itself(served: Served) -> None:
    """Who logs in to the blog, which is in no group, is logged in there and nowhere else; and the store, likewise."""
    for application in ("blog", "store"):
        session = _session(served, application, "zoe", served.clock.now + HOUR)
        served.client.write(touch=[session])
        assert _logged_in(served, "zoe") == {application}
        served.client.write(delete=[session.partition("[")[0]])


def test_websaw_widens_no_rights_by_logging_in(served: Served) -> None:
    """The user reaches only the applications that they are entitled to, and those only while logged in."""
    assert {each for each in OFFICE if served.yes(f"websaw/application:{each}#reach@websaw/user:bob")} == {
        "mail",
        "files",
    }
    assert served.yes("websaw/application:calendar#logged_in@websaw/user:bob")
    assert served.yes("websaw/application:store#entitled@websaw/user:anna")
    assert served.no("websaw/application:store#reach@websaw/user:anna")


def test_websaw_ends_a_session_when_its_time_is_up(served: Served) -> None:
    """Nobody writes anything: until its instant it is there, and says so, and from that instant on it is gone."""
    end = served.clock.now + HOUR
    served.client.write(touch=[_session(served, "mail", "zoe", end)])
    try:
        served.clock.now = end - 1
        assert _logged_in(served, "zoe") == set(OFFICE)
        assert served.client.decide("websaw/application:files#reach@websaw/user:zoe").valid_until == moment(end)
        revision = served.client.decide("websaw/application:files#reach@websaw/user:zoe").revision
        served.clock.now = end
        assert _logged_in(served, "zoe") == set()
        assert served.client.decide("websaw/application:files#reach@websaw/user:zoe").revision == revision
    finally:
        served.client.write(delete=["websaw/group:office#session@websaw/user:zoe"])


def test_websaw_logs_out_everywhere_at_once(served: Served) -> None:
    """One write ends the session in every application of the group, for that user alone; with the same one, in all."""
    end = served.clock.now + HOUR
    both = [_session(served, application, "zoe", end) for application in ("calendar", "blog")]
    served.client.write(touch=both)
    assert _logged_in(served, "zoe") == {*OFFICE, "blog"}
    others = _logged_in(served, "bob")
    written = served.client.write(delete=[both[0].partition("[")[0]])
    assert _logged_in(served, "zoe") == {"blog"}
    assert _logged_in(served, "bob") == others
    served.client.write(touch=both)
    # out of every group and application there is: one transaction as well
    everywhere = [str(each).partition("[")[0] for each in _sessions(served, "zoe")]
    assert served.client.write(delete=everywhere).revision == written.revision + 2
    assert _logged_in(served, "zoe") == set()


def _sessions(served: Served, user: str) -> Iterator[RelationTuple]:
    for type_, relation in (("websaw/group", "session"), ("websaw/application", "own_session")):
        yield from _all(served, TupleFilter(type_, None, relation, "websaw/user", user))

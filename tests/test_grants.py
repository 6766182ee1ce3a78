"""What an actor may write, and every way around it, through every door: library, gRPC, terminal, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.client import Client
from tests.api_kit import lent
from tests.grants_kit import LATE, LATER, MADE, TUPLES, Door, MethodsDoor, Outcome, TerminalDoor
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW = "report:q3#observer@user:new"
ANNA, BOB, CARL = "user:anna", "user:bob", "user:carl"


@pytest.fixture(params=["library", "gRPC", "terminal", "PostgreSQL"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    if request.param == "terminal":
        yield TerminalDoor(tmp_path)
        return
    if request.param == "PostgreSQL":
        with lent(request.getfixturevalue("postgres")) as authorizer:
            yield MethodsDoor(authorizer)
        return
    with relgraph.open("sqlite://") as authorizer:
        if request.param == "library":
            yield MethodsDoor(authorizer)
        else:
            with in_process(authorizer) as address, Client(address) as client:
                yield MethodsDoor(client)


def refused(outcome: Outcome, *tuples: str) -> bool:
    """Return whether a write was refused for the actor's rights, naming these tuples or filters and no other."""
    told = [line.split()[0] for line in outcome.details.get("tuples", "").splitlines()]
    return outcome.code == "NOT_PERMITTED" and told == list(tuples)


def test_a_right_is_used(door: Door) -> None:
    """Whoever has the permission that the line names may touch, create, delete, delete by filter and import."""
    door.begin()
    assert MADE == door.write(ANNA, touch=[NEW], create=["report:q3#observer@group:staff#member"])
    assert MADE == door.write(ANNA, delete=[NEW], must=["report:q3#observer@user:new"])
    assert MADE == door.load(ANNA, NEW, "report:q3#administrator@user:bob", "group:staff#member@user:carl")
    assert {NEW, "report:q3#observer@user:olga", "report:q3#observer@group:staff#member"} < door.living()
    assert MADE == door.delete(ANNA, "report:q3#observer")
    assert not [each for each in door.living() if each.startswith("report:q3#observer")]


def test_without_the_right_nothing_is_written(door: Door) -> None:
    """One tuple without a right refuses the whole write, names what it takes, and leaves everything as it was."""
    door.begin()
    outcome = door.write(ANNA, touch=[NEW, "report:other#observer@user:new"], delete=["report:other#observer@user:x"])
    assert refused(outcome, "report:other#observer@user:new", "report:other#observer@user:x")
    assert outcome.message == (
        "`user:anna` may not write `report:other#observer@user:new`, and 1 more like it: it takes `moderate` on "
        "`report:other`, now and for as long as it lives; ask somebody who has it; nothing was changed"
    )
    assert ["user:anna", "2"] == [outcome.details["actor"], outcome.details["total"]]
    assert outcome.details["tuples"].splitlines()[0] == "report:other#observer@user:new report:other#moderate"
    assert refused(door.load(ANNA, NEW, "report:other#observer@user:new"), "report:other#observer@user:new")
    assert set(TUPLES) == door.living()


def test_a_refusal_tells_twenty_and_the_total(door: Door) -> None:
    """Of many refused tuples, the first twenty are named with the permission each needed, and all are counted."""
    door.begin()
    tuples = [f"report:r{number}#observer@user:new" for number in range(30)]
    outcome = door.write(ANNA, touch=tuples)
    assert refused(outcome, *tuples[:20])
    assert outcome.details["total"] == "30"


def test_a_grant_does_not_prove_itself(door: Door) -> None:
    """What a write brings is no evidence for it: not in itself, and not in another tuple of the same write."""
    door.begin()
    claim, use = "report:other#administrator@user:anna", "report:other#observer@user:friend"
    assert refused(door.write(ANNA, touch=[claim]), claim)
    assert refused(door.write(ANNA, touch=[claim, use]), claim, use)
    assert refused(door.load(ANNA, claim, use), claim, use)
    # nor does a ban count as lifted by the write that lifts it
    assert MADE == door.write(None, touch=["report:q3#banned@user:anna"])
    assert refused(
        door.write(ANNA, touch=[NEW], delete=["report:q3#banned@user:anna"]), NEW, "report:q3#banned@user:anna"
    )
    assert set(TUPLES) | {"report:q3#banned@user:anna"} == door.living()


def test_a_banned_moderator_cannot_lift_his_own_ban(door: Door) -> None:
    """Where the permission subtracts the ban, its bearer can neither delete it, nor filter it, nor let it expire."""
    ban = "report:q3#banned@user:anna"
    door.begin(ban)
    assert refused(door.write(ANNA, delete=[ban]), ban)
    assert refused(door.delete(ANNA, ban), ban)
    assert refused(door.delete(ANNA, "report:q3#banned"), "report:q3#banned")
    gone = f"{ban}[expiration:2020-01-01T00:00:00Z]"
    assert refused(door.write(ANNA, touch=[gone]), gone)
    assert refused(door.load(ANNA, gone), gone)
    assert ban in door.living()


@pytest.mark.parametrize("actor", ["group:staff#member", "user:*", "group:*", "user:anna#friend", "anna", "", "user:"])
def test_an_actor_is_one_object(door: Door, actor: str) -> None:
    """A userset, a wildcard and what is no object at all are refused as an actor: none of them can act."""
    door.begin("report:q3#administrator@group:staff#member")
    for outcome in (door.write(actor, touch=[NEW]), door.delete(actor, "report:q3#observer"), door.load(actor, NEW)):
        assert outcome.code in ("INVALID_TUPLE", "INVALID_ID", "INVALID_NAME"), outcome
    assert NEW not in door.living()


def test_an_actor_is_of_a_known_type(door: Door) -> None:
    """An actor whose type the schema lacks is an error that says so, not somebody without rights."""
    door.begin()
    for outcome in (
        door.write("usr:anna", touch=[NEW]),
        door.delete("usr:anna", "report:q3#observer"),
        door.load("usr:anna", NEW),
    ):
        assert ("UNKNOWN_DEFINITION", "usr:anna") == (outcome.code, outcome.details["actor"])
        assert "did you mean `user`?" in outcome.message


def test_a_grant_does_not_outlive_its_evidence(door: Door) -> None:
    """A right that expires covers tuples that expire no later; a delete takes the right of now alone."""
    door.begin(f"report:q3#administrator@user:carl[expiration:{LATE}]")
    assert refused(door.write(CARL, touch=[NEW]), NEW)
    later, late = f"{NEW}[expiration:{LATER}]", f"{NEW}[expiration:{LATE}]"
    assert refused(door.write(CARL, create=[later]), later)
    assert refused(door.load(CARL, late, later.replace("new", "newer")), later.replace("new", "newer"))
    assert MADE == door.write(CARL, touch=[late])
    assert refused(door.write(CARL, touch=[later]), later)
    assert MADE == door.write(CARL, delete=[NEW, "report:q3#observer@user:olga"])
    assert MADE == door.delete(CARL, "report:q3#observer")


def test_a_ban_that_expires_does_not_make_a_right_of_today(door: Door) -> None:
    """Whoever is banned until later has no right now, though he will have it at the end of time."""
    door.begin(f"report:q3#banned@user:anna[expiration:{LATE}]")
    assert refused(door.write(ANNA, touch=[NEW]), NEW)
    assert refused(door.write(ANNA, delete=["report:q3#observer@user:olga"]), "report:q3#observer@user:olga")


def test_all_of_a_set_that_expires(door: Door) -> None:
    """`.all` gains and loses by expirations: the right must hold now and at the last instant, and only there."""
    note = "report:q3#minutes@user:carl"
    door.begin("report:q3#board@group:staff", f"report:q3#board@group:alien[expiration:{LATE}]")
    # the board that he is no member of expires: yes at the end, no today
    assert refused(door.write(BOB, touch=[note]), note)
    assert MADE == door.write(None, delete=["report:q3#board@group:staff", "report:q3#board@group:alien"])
    assert MADE == door.write(None, touch=[f"report:q3#board@group:staff[expiration:{LATE}]"])
    # the only board expires: yes today, nobody's at the end
    assert refused(door.write(BOB, touch=[note]), note)
    assert MADE == door.write(BOB, touch=[f"{note}[expiration:{LATE}]"])
    assert MADE == door.write(BOB, delete=[note])


def test_nobody_writes_for_every_object(door: Door) -> None:
    """A tuple for every object of a type is refused to any actor, even to one who administers every object."""
    door.begin("report:*#administrator@user:anna", "folder:*#owner@user:anna")
    for tuple_ in ("report:*#administrator@user:bob", "report:*#observer@user:bob", "folder:*#owner@user:anna"):
        assert refused(door.write(ANNA, touch=[tuple_]), tuple_)
        assert refused(door.write(ANNA, delete=[tuple_]), tuple_)
        assert refused(door.load(ANNA, tuple_), tuple_)
        assert refused(door.delete(ANNA, tuple_), tuple_)
    # nor asked about, whether or not there are any
    for filter_ in ("report:*#administrator", "report:*#observer@user:bob"):
        assert refused(door.delete(ANNA, filter_), filter_)
        assert refused(door.write(ANNA, touch=[NEW], must_not=[filter_]), filter_)
    assert MADE == door.write(ANNA, touch=["report:other#observer@user:bob"])


def test_a_public_grant_takes_a_line_of_its_own(door: Door) -> None:
    """`user:*` is written by the permission of the wildcard's line; that one lets nobody write anything else."""
    door.begin()
    public = "report:q3#observer@user:*"
    assert refused(door.write(ANNA, touch=[public]), public)
    assert refused(door.load(ANNA, public), public)
    assert MADE == door.write("user:paul", touch=[public])
    assert refused(door.write("user:paul", touch=[NEW]), NEW)
    assert refused(door.delete("user:paul", "report:q3#observer"), "report:q3#observer")
    # what Anna may delete one by one she may not when the filter reaches what she may not
    assert refused(door.delete(ANNA, "report:q3#observer"), "report:q3#observer")
    assert refused(door.delete(ANNA, public), public)
    assert public in door.living()
    assert MADE == door.delete(ANNA, "report:q3#observer@user:olga")
    assert MADE == door.delete("user:paul", public)
    assert MADE == door.delete(ANNA, "report:q3#observer")


def test_a_relation_without_a_line_is_nobodys(door: Door) -> None:
    """A relation without a grant line cannot be written by any actor, and the refusal says so."""
    door.begin()
    sealed = "report:q3#sealed@user:bob"
    outcome = door.write(ANNA, touch=[sealed])
    assert refused(outcome, sealed)
    assert "no `grant` line" in outcome.message
    assert refused(door.delete(ANNA, "report:q3#sealed"), "report:q3#sealed")
    assert refused(door.write(ANNA, touch=[NEW], must_not=["report:q3#sealed"]), "report:q3#sealed")


def test_a_parent_is_moved_by_who_administers_both(door: Door) -> None:
    """With `and subject administer`, an object goes below another only by somebody who has that on both ends."""
    door.begin("folder:mine#owner@user:anna")
    alien, top = "folder:mine#parent@folder:alien", "folder:mine#parent@folder:top"
    outcome = door.write(ANNA, touch=[alien])
    assert refused(outcome, alien)
    assert outcome.details["tuples"] == f"{alien} folder:mine#administer folder:alien#administer"
    # an object below a folder of one's own would be one's own
    stolen = "folder:alien#parent@folder:top"
    assert refused(door.write(ANNA, touch=[stolen]), stolen)
    assert refused(door.write(ANNA, delete=["folder:alien#parent@folder:far"]), "folder:alien#parent@folder:far")
    assert MADE == door.write(ANNA, touch=[top])
    assert MADE == door.write(None, touch=[alien])
    assert refused(door.write(ANNA, delete=[alien]), alien)
    assert refused(door.delete(ANNA, alien), alien)
    assert refused(door.delete(ANNA, "folder:mine#parent"), "folder:mine#parent")
    assert MADE == door.delete(ANNA, top)
    assert {alien} == {each for each in door.living() if each.startswith("folder:mine#parent")}


def test_identity_is_no_evidence(door: Door) -> None:
    """Nobody has a right on `o#n` for being it: an actor is no userset. `self` is the schema's own word, and counts."""
    door.begin("report:q3#administrator@user:carl")
    assert MADE == door.write(ANNA, touch=["user:anna#friend@user:bob"])
    assert refused(door.write(ANNA, touch=["user:bob#friend@user:anna"]), "user:bob#friend@user:anna")
    assert refused(door.write("group:staff", touch=["group:staff#member@user:x"]), "group:staff#member@user:x")
    # `and subject invite`: being the guest oneself is no invitation
    assert refused(door.write(CARL, touch=["report:q3#guest@user:carl"]), "report:q3#guest@user:carl")
    assert refused(door.write(ANNA, touch=["report:q3#guest@user:bob"]), "report:q3#guest@user:bob")
    assert MADE == door.write(BOB, touch=["user:bob#friend@user:anna"])
    assert MADE == door.write(ANNA, touch=["report:q3#guest@user:bob"])


def test_a_delete_by_filter_is_narrow(door: Door) -> None:
    """An actor's filter names one resource and relation, and one without rights deletes nothing, matches or not."""
    door.begin()
    for wide in ("report", "report:q3", "report#observer", "#observer@user:olga", "@user:olga"):
        assert door.delete(ANNA, wide).code == "INVALID_FILTER"
        assert door.write(ANNA, touch=[NEW], must=[wide]).code == "INVALID_FILTER"
    assert refused(door.delete(ANNA, "report:other#observer"), "report:other#observer")
    assert refused(door.delete(ANNA, "report:none#observer"), "report:none#observer")
    assert refused(door.delete(ANNA, "report:*#observer"), "report:*#observer")
    assert set(TUPLES) == door.living()


def test_a_refusal_does_not_tell_what_exists(door: Door) -> None:
    """What is refused reads the same, byte for byte, whether the tuple, the resource or the match exists or not."""
    door.begin()

    def told(outcome: Outcome, id_: str) -> str:
        assert outcome.code == "NOT_PERMITTED"
        text = repr((outcome.message, outcome.details))
        return text.replace(id_, "…")

    def ways(report: str) -> list[str]:
        there, filter_ = f"report:{report}#observer@user:olga", f"report:{report}#observer"
        return [
            told(outcome, report)
            for outcome in (
                door.write(ANNA, create=[there]),
                door.write(ANNA, touch=[there]),
                door.write(ANNA, delete=[there]),
                door.load(ANNA, there),
                door.delete(ANNA, filter_),
                door.delete(ANNA, there),
                door.write(ANNA, touch=[NEW], must=[there]),
                door.write(ANNA, touch=[NEW], must_not=[there]),
                door.write(ANNA, touch=[NEW], must=[filter_]),
            )
        ]

    assert ways("other") == ways("never")
    # a tuple that stands in the way of a filter is not told apart from the lack of any right
    reached = told(door.delete("user:stranger", "report:q3#observer"), "user:stranger")
    assert MADE == door.write(None, touch=["report:q3#observer@user:*"])
    assert reached == told(door.delete(ANNA, "report:q3#observer"), "user:anna")


def test_rights_come_before_existence(door: Door) -> None:
    """A write without rights is refused for that, not for a precondition that fails or a tuple that exists."""
    door.begin()
    there = "report:other#observer@user:olga"
    assert refused(door.write(ANNA, create=[there], must=["report:q3#observer@user:nobody"]), there)
    assert refused(door.load(ANNA, there), there)
    assert door.write(ANNA, create=["report:q3#observer@user:olga"]).code == "ALREADY_EXISTS"
    assert door.write(ANNA, touch=[NEW], must=["report:q3#observer@user:nobody"]).code == "PRECONDITION_FAILED"
    # types come before rights
    assert door.write(ANNA, touch=["report:other#observer@folder:top"]).code == "TUPLE_NOT_ALLOWED"


def test_preconditions_are_no_probe(door: Door) -> None:
    """Whether a tuple exists is asked only by somebody who may write it."""
    door.begin()
    for probe in ("report:other#observer@user:olga", "report:other#observer", "report:q3#observer@user:*"):
        assert refused(door.write(ANNA, touch=[NEW], must=[probe]), probe)
        assert refused(door.write(ANNA, touch=[NEW], must_not=[probe]), probe)
    assert refused(
        door.write(ANNA, touch=[NEW], must_not=["folder:top#parent@folder:alien"]), "folder:top#parent@folder:alien"
    )
    assert MADE == door.write(ANNA, touch=[NEW], must=["report:q3#observer@user:olga"])
    assert MADE == door.write(ANNA, touch=[NEW], must_not=["folder:top#parent"])


def test_touches_and_deletes_that_change_nothing_are_judged(door: Door) -> None:
    """A touch of what lives and a delete of what does not change nothing, and take the right all the same."""
    door.begin()
    there, absent = "report:other#observer@user:olga", "report:other#observer@user:absent"
    assert refused(door.write(ANNA, touch=[there]), there)
    assert refused(door.write(ANNA, delete=[absent]), absent)
    assert refused(door.load(ANNA, there), there)


def test_a_retry_is_of_the_same_actor(door: Door) -> None:
    """A request id answers a retry by the same actor alone; another actor, or none, cannot use it."""
    door.begin()
    assert MADE == door.write(ANNA, touch=[NEW], request_id="one")
    assert MADE == door.write(None, delete=["report:q3#administrator@user:anna"])
    assert MADE == door.write(ANNA, touch=[NEW], request_id="one")
    for other in (BOB, "user:zoe", None):
        assert door.write(other, touch=[NEW], request_id="one").code == "REQUEST_ID_REUSED"
    assert refused(door.write(ANNA, touch=[NEW], request_id="two"), NEW)


def test_the_first_administrator_comes_from_the_back_end(door: Door) -> None:
    """Nobody claims what is empty: a new object's first tuple comes from a write that names no actor."""
    door.begin()
    for tuple_ in ("report:fresh#administrator@user:anna", "group:fresh#member@user:anna"):
        assert refused(door.write(ANNA, create=[tuple_]), tuple_)
    assert MADE == door.write(None, create=["report:fresh#administrator@user:anna"])
    assert MADE == door.write(ANNA, create=["report:fresh#administrator@user:bob"])
    assert MADE == door.write(BOB, delete=["report:fresh#administrator@user:anna"])


def test_rights_come_as_answers_do(door: Door) -> None:
    """A right through groups, parents and universal tuples is a right: it is what Check says, and no less."""
    door.begin(
        "report:q3#folder@folder:sub",
        "folder:sub#parent@folder:root",
        "folder:root#owner@group:staff#member",
        "report:*#administrator@user:universal",
    )
    assert MADE == door.write(BOB, touch=[NEW])
    assert MADE == door.write("user:universal", touch=["report:unheard#observer@user:new"])
    assert refused(door.write(CARL, touch=[NEW]), NEW)
    assert MADE == door.write(ANNA, touch=["group:staff#member@user:carl"])
    assert MADE == door.write(CARL, touch=["report:q3#observer@user:newer"])


def test_a_schema_is_written_by_no_actor() -> None:
    """A schema write that names an actor is refused, whoever it is, and changes nothing."""
    with relgraph.open("sqlite://") as authorizer:
        MethodsDoor(authorizer).begin()
        before = authorizer.schema().text, authorizer.schema().revision
        with in_process(authorizer) as address, Client(address) as client:
            for door in (authorizer, client):
                with pytest.raises(relgraph.errors.NotPermitted, match="may not write the schema"):
                    door.write_schema("definition user {}", actor=ANNA)
                with pytest.raises(relgraph.errors.InvalidTuple):
                    door.write_schema("definition user {}", actor="group:staff#member")
        assert before == (authorizer.schema().text, authorizer.schema().revision)

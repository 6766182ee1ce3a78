"""LookupResources and LookupSubjects: what they list, page by page, and what a list cannot say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest
from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import permission_service_pb2 as pb

from tests.authzed_kit import NOW, Door, door, obj, refused, sub

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """use self
use universal
caveat cav(x int) { x > 1 }
caveat dog(y int) { y > 1 }
definition user {
  relation friend: user
  permission own = self
}
definition group {
  relation member: user | group#member
}
definition doc {
  relation viewer: user | user:* | user with cav | user:* with cav | user with universal
  relation banned: user | user with dog | user:*
  relation plain: user | group#member
  permission view = viewer - banned
  permission both = viewer & banned
  permission left = plain - right
  permission right = plain - left
}
"""
TUPLES = (
    "doc:a#viewer@user:*",
    "doc:a#viewer@user:tom",
    "doc:a#banned@user:bad",
    "doc:a#banned@user:maybe[dog]",
    "doc:b#viewer@user:*[cav]",
    "doc:b#viewer@user:tom",
    "doc:b#banned@user:bad",
    "doc:c#viewer@user:u1",
    "doc:c#viewer@user:u2[cav]",
    "doc:c#plain@group:g#member",
    "doc:c#plain@user:u1",
    "doc:d#plain@user:u1",
    "group:g#member@user:u3",
)


class _Resources(TypedDict, total=False):
    optional_limit: int
    optional_cursor: core.Cursor


class _Subjects(TypedDict, total=False):
    optional_subject_relation: str
    optional_concrete_limit: int
    optional_cursor: core.Cursor
    wildcard_option: pb.LookupSubjectsRequest.WildcardOption.ValueType


@pytest.fixture(scope="module")
def served() -> Iterator[Door]:
    with door(SCHEMA, TUPLES) as opened:
        yield opened


def resources(
    opened: Door,
    type_: str,
    permission: str,
    subject: str,
    context: dict[str, int] | None = None,
    **more: Unpack[_Resources],
) -> list[pb.LookupResourcesResponse]:
    """The rows of a lookup."""
    request = pb.LookupResourcesRequest(
        consistency=NOW, resource_object_type=type_, permission=permission, subject=sub(subject), **more
    )
    if context:
        request.context.update(context)
    return list(opened.permissions.LookupResources(request))


def subjects(
    opened: Door, resource: str, permission: str, type_: str = "user", **more: Unpack[_Subjects]
) -> list[pb.LookupSubjectsResponse]:
    """The rows of a lookup."""
    request = pb.LookupSubjectsRequest(
        consistency=NOW, resource=obj(resource), permission=permission, subject_object_type=type_, **more
    )
    return list(opened.permissions.LookupSubjects(request))


def _told(id_: str, permissionship: int, missing: core.PartialCaveatInfo) -> str:
    names = ",".join(missing.missing_required_context)
    return id_ + {1: "", 2: f"?{names}"}[permissionship]


def names(rows: list[pb.LookupResourcesResponse]) -> list[str]:
    """Rows as `id`, or `id?missing`."""
    return [_told(row.resource_object_id, row.permissionship, row.partial_caveat_info) for row in rows]


def who(rows: list[pb.LookupSubjectsResponse]) -> list[str]:
    """Rows as `id`, or `id?missing`, `*` with `-excluded` behind it."""

    def one(each: pb.ResolvedSubject) -> str:
        return _told(each.subject_object_id, each.permissionship, each.partial_caveat_info)

    return ["-".join([one(row.subject), *map(one, row.excluded_subjects)]) for row in rows]


RESOURCES = {
    "doc view user:tom": ["a", "b"],
    "doc view user:bad": [],
    "doc view user:maybe": ["a?y", "b?x"],
    "doc viewer user:u2": ["a", "b?x", "c?x"],
    "doc plain user:u3": ["c"],
    "doc plain group:g#member": ["c"],
    "group member group:g#member": ["g"],
    "user own user:anybody": ["anybody"],
    "doc view group:g#member": [],
    "group member doc:a": [],
}


@pytest.mark.parametrize("asked", RESOURCES)
def test_resources_are_those_that_check_grants(asked: str, served: Door) -> None:
    """Held ones and conditional ones with what they lack, each once; a userset is in itself, an object its own self."""
    type_, permission, subject = asked.split()
    rows = resources(served, type_, permission, subject)
    assert names(rows) == RESOURCES[asked]
    assert all(row.looked_up_at.token and row.after_result_cursor.token for row in rows)
    assert all(row.HasField("partial_caveat_info") == (row.permissionship == 2) for row in rows)


def test_context_decides_what_is_conditional(served: Door) -> None:
    """With what a caveat lacks, its rows are held or gone."""
    assert names(resources(served, "doc", "viewer", "user:u2", {"x": 5})) == ["a", "b", "c"]
    assert names(resources(served, "doc", "viewer", "user:u2", {"x": 0})) == ["a"]


SUBJECTS = {
    "doc:a viewer user": ["*", "tom"],
    "doc:a view user": ["*-bad-maybe?y", "tom"],
    "doc:a both user": ["bad", "maybe?y"],
    "doc:b view user": ["*?x-bad", "tom"],
    "doc:c viewer user": ["u1", "u2?x"],
    "doc:c plain user": ["u1", "u3"],
    "doc:c plain group": [],
    "doc:c plain group#member": ["g"],
    "doc:c plain doc": [],
    "doc:nobody plain user": [],
}


@pytest.mark.parametrize("asked", SUBJECTS)
def test_subjects_are_those_that_check_grants(asked: str, served: Door) -> None:
    """Named ones each, those whom `*` covers among them; `*` first, with who is excluded, surely or under a caveat."""
    resource, permission, kind = asked.split()
    type_, _, relation = kind.partition("#")
    rows = subjects(served, resource, permission, type_, optional_subject_relation=relation)
    assert who(rows) == SUBJECTS[asked]


def test_the_older_fields_say_the_same(served: Door) -> None:
    """Each row is told again in the fields that older clients read."""
    for row in subjects(served, "doc:a", "view") + subjects(served, "doc:b", "view"):
        assert row.subject_object_id == row.subject.subject_object_id
        assert row.permissionship == row.subject.permissionship
        assert row.partial_caveat_info == row.subject.partial_caveat_info
        assert list(row.excluded_subject_ids) == [each.subject_object_id for each in row.excluded_subjects]
        assert row.HasField("partial_caveat_info") == row.subject.HasField("partial_caveat_info")


def test_without_wildcards_named_subjects_are_told_alone(served: Door) -> None:
    """Where the request leaves `*` out, whoever may have it under a caveat is told by name."""
    option = pb.LookupSubjectsRequest.WILDCARD_OPTION_EXCLUDE_WILDCARDS
    assert who(subjects(served, "doc:a", "view", wildcard_option=option)) == ["maybe?y", "tom"]
    assert who(subjects(served, "doc:b", "view", wildcard_option=option)) == ["tom"]


@pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
def test_pages_are_full_and_repeat_nothing(limit: int) -> None:
    """Every page but the last has the rows asked for, and together they are the lookup of the first one's time."""
    facts = [f"doc:d{place:02}#plain@user:u{place % 3}" for place in range(20)]
    named = [f"doc:z#viewer@user:n{place}" for place in range(5)]
    with door(SCHEMA, [*facts, *named, "doc:z#viewer@user:*"]) as opened:
        whole = names(resources(opened, "doc", "plain", "user:u0"))
        ask = partial(resources, opened, "doc", "plain", "user:u0", optional_limit=limit)
        pages = []
        rows = ask()
        opened.authorizer.write(touch=["doc:d01#plain@user:u0"], delete=["doc:d18#plain@user:u0"])
        while rows:
            pages.append(names(rows))
            rows = ask(optional_cursor=rows[-1].after_result_cursor)
        assert [row for page in pages for row in page] == whole != names(resources(opened, "doc", "plain", "user:u0"))
        assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
def test_a_limit_of_subjects_is_one_of_named_subjects(limit: int) -> None:
    """`*` comes once, before the first page's named ones, which are as many as asked for."""
    named = [f"doc:z#viewer@user:n{place}" for place in range(5)]
    with door(SCHEMA, [*named, "doc:z#viewer@user:*", "doc:z#banned@user:n2"]) as opened:
        ask = partial(subjects, opened, "doc:z", "view", optional_concrete_limit=limit)
        pages = []
        rows = ask()
        opened.authorizer.write(touch=["doc:z#viewer@user:n9"], delete=["doc:z#viewer@user:n4"])
        while rows:
            pages.append(who(rows))
            rows = ask(optional_cursor=rows[-1].after_result_cursor)
        assert [row for page in pages for row in page] == ["*-n2", "n0", "n1", "n3", "n4"]
        assert pages[0][0] == "*-n2"
        assert all(len(page) == limit + (page is pages[0]) for page in pages[:-1])


def test_every_row_is_a_place_to_go_on_from(served: Door) -> None:
    """The lookup goes on behind any row, `*` included, as if it had ended there, without a limit too."""
    rows = resources(served, "doc", "viewer", "user:u2")
    for place, row in enumerate(rows, 1):
        more = resources(served, "doc", "viewer", "user:u2", optional_cursor=row.after_result_cursor)
        assert names(more) == names(rows[place:])
    found = subjects(served, "doc:a", "view")
    for place, each in enumerate(found, 1):
        assert who(subjects(served, "doc:a", "view", optional_cursor=each.after_result_cursor)) == who(found[place:])


def test_a_cursor_is_bound_to_what_was_asked(served: Door) -> None:
    """With another argument, its limit among them, with a cursor of the other lookup, or damaged, it is refused."""
    cursor = resources(served, "doc", "viewer", "user:tom", optional_limit=1)[0].after_result_cursor
    ask = partial(resources, served, optional_cursor=cursor)
    for wrong in (
        partial(ask, "doc", "view", "user:tom", optional_limit=1),
        partial(ask, "doc", "viewer", "user:bad", optional_limit=1),
        partial(ask, "doc", "viewer", "user:tom", optional_limit=2),
        partial(ask, "doc", "viewer", "user:tom", {"x": 1}, optional_limit=1),
        partial(subjects, served, "doc:a", "view", optional_cursor=cursor),
        partial(resources, served, "doc", "viewer", "user:tom", optional_cursor=core.Cursor(token="no cursor")),
    ):
        assert refused(wrong)[:2] == ("INVALID_ARGUMENT", "INVALID_CURSOR")
    empty = partial(resources, served, "doc", "viewer", "user:tom", optional_cursor=core.Cursor())
    assert refused(empty)[0] == "INVALID_ARGUMENT"


def test_a_list_that_cannot_be_told_is_an_error_that_says_where() -> None:
    """What is undefined, or holds on every resource, is never left out: the lookup fails and names relgraph.v1."""
    with door(SCHEMA, ("doc:*#viewer@user:u", "doc:d#plain@user:u1", "doc:e#viewer@user:u")) as opened:
        for ask in (
            partial(resources, opened, "doc", "viewer", "user:u"),
            partial(resources, opened, "doc", "left", "user:u1"),
            partial(subjects, opened, "doc:d", "left"),
        ):
            code, _, text = refused(ask)
            assert code == "FAILED_PRECONDITION"
            assert "relgraph.v1" in text
        assert who(subjects(opened, "doc:any", "viewer")) == ["u"]


def test_a_caveat_that_fails_is_an_error() -> None:
    """Where an answer hangs on a caveat that cannot be evaluated, the lookup fails as Check does."""
    schema = SCHEMA.replace("{ x > 1 }", "{ 10 / x > 1 }")
    with door(schema, ("doc:c#viewer@user:u2[cav]", "doc:c#viewer@user:u1")) as opened:
        asked = partial(resources, opened, "doc", "viewer", "user:u2", {"x": 0})
        assert refused(asked)[:2] == ("INVALID_ARGUMENT", "CAVEAT_EVALUATION_ERROR")
        assert names(resources(opened, "doc", "viewer", "user:u1", {"x": 0})) == ["c"]


REFUSED = {
    "unknown definition": (("nope", "viewer", "user:a"), "FAILED_PRECONDITION", "UNKNOWN_DEFINITION"),
    "unknown permission": (("doc", "nope", "user:a"), "FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION"),
    "unknown subject": (("doc", "viewer", "nope:a"), "FAILED_PRECONDITION", "UNKNOWN_DEFINITION"),
    "unknown userset": (("doc", "viewer", "group:a#nope"), "FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION"),
    "wildcard": (("doc", "viewer", "user:*"), "INVALID_ARGUMENT", "WILDCARD_NOT_ALLOWED"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_looked_up_is_refused_as_spicedb_does(name: str, served: Door) -> None:
    """Each mistake has SpiceDB's code and reason, in either direction."""
    asked, code, reason = REFUSED[name]
    assert refused(partial(resources, served, *asked))[:2] == (code, reason)


def test_subjects_that_cannot_be_looked_up_are_refused() -> None:
    """An unknown name, an empty permission, a wildcard as resource, an option of no kind: each has its code."""
    with door(SCHEMA) as opened:
        ask = partial(subjects, opened)
        assert refused(partial(ask, "nope:c", "plain"))[1] == "UNKNOWN_DEFINITION"
        assert refused(partial(ask, "doc:c", "nope"))[1] == "UNKNOWN_RELATION_OR_PERMISSION"
        assert refused(partial(ask, "doc:c", ""))[1] == "UNKNOWN_RELATION_OR_PERMISSION"
        assert refused(partial(ask, "doc:c", "plain", "nope"))[1] == "UNKNOWN_DEFINITION"
        unknown = partial(ask, "doc:c", "plain", "group", optional_subject_relation="nope")
        assert refused(unknown)[1] == "UNKNOWN_RELATION_OR_PERMISSION"
        for wrong in (
            partial(ask, "doc:c", "plain", "*"),
            partial(ask, "doc:c", "plain", wildcard_option=7),
            partial(ask, "doc:c", "Plain"),
        ):
            assert refused(wrong)[0] == "INVALID_ARGUMENT"


def test_a_limit_has_a_limit(served: Door) -> None:
    """A thousand rows may be asked for at once, as in SpiceDB; without a limit all come."""
    for ask in (
        partial(resources, served, "doc", "viewer", "user:a", optional_limit=1_001),
        partial(subjects, served, "doc:a", "view", optional_concrete_limit=1_001),
    ):
        code, reason, text = refused(ask)
        assert (code, reason) == ("INVALID_ARGUMENT", "EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT")
        assert "provided limit 1001 is greater than maximum allowed of 1000" in text


def test_a_field_that_is_wrong_is_named(served: Door) -> None:
    """What breaks a pattern is told with the path of its field."""
    assert (
        "subject.object.object_id"
        in refused(
            lambda: list(
                served.permissions.LookupResources(
                    pb.LookupResourcesRequest(
                        resource_object_type="doc",
                        permission="viewer",
                        subject=core.SubjectReference(object=core.ObjectReference(object_type="user", object_id="a b")),
                    )
                )
            )
        )[2]
    )
    assert "permission" in refused(partial(resources, served, "doc", "", "user:a"))[2]
    nobody = pb.LookupResourcesRequest(resource_object_type="doc", permission="viewer")
    assert "subject" in refused(lambda: list(served.permissions.LookupResources(nobody)))[2]
    nothing = pb.LookupSubjectsRequest(subject_object_type="user", permission="viewer")
    assert "resource" in refused(lambda: list(served.permissions.LookupSubjects(nothing)))[2]

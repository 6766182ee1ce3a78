"""ExpandPermissionTree: SpiceDB's shapes, to the last node."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph_server.authzed.expanding import LEVELS_MAX
from tests.authzed_kit import NOW, Door, door, obj, refused, tree_text

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """use self
use universal
use expiration
caveat cav(x int) { x > 1 }
definition user {}
definition other {}
definition group {
  relation member: user | group#member
}
definition folder {
  relation parent: folder | other | folder#owner
  relation owner: user
  relation viewer: user | group#member | user:* with cav | user with universal | user with expiration
  permission view = viewer + parent->view
  permission all = parent.all(view)
  permission none = nil
  permission some = viewer - nil
  permission own = self
  permission nested = (viewer + owner) + (viewer & (owner & none)) + parent->view
  permission alias = (viewer)
  permission exc = viewer - (view - viewer) - owner
  permission missing = parent->member
}
"""
TUPLES = (
    "group:g#member@user:a",
    "group:g#member@group:h#member",
    "folder:r#viewer@user:z",
    "folder:r#viewer@group:g#member",
    "folder:r#viewer@user:b",
    "folder:f#parent@folder:r",
    "folder:f#parent@folder:r#owner",
    "folder:f#parent@other:o",
    "folder:f#viewer@user:c",
    "folder:f#viewer@user:*[cav]",
    "folder:f#viewer@user:old[expiration:2001-01-01T00:00:00Z]",
)


@pytest.fixture(scope="module")
def served() -> Iterator[Door]:
    with door(SCHEMA, TUPLES) as opened:
        yield opened


def expand(opened: Door, resource: str, permission: str) -> str:
    """The tree of a name, on one line."""
    request = pb.ExpandPermissionTreeRequest(consistency=NOW, resource=obj(resource), permission=permission)
    answer = opened.permissions.ExpandPermissionTree(request)
    assert answer.expanded_at.token
    return tree_text(answer.tree_root)


R = "folder:r#viewer[user:b, user:z, group:g#member]"
R_VIEW = f"folder:r#view({R} + folder:r#view(+))"
F = "folder:f#viewer[user:*, user:c]"
F_VIEW = f"folder:f#view({F} + folder:f#view({R_VIEW} + {R_VIEW} + folder:f#view[]))"
OWNER = "folder:f#owner[]"

# Written down from what SpiceDB 1.56 answers.
SHAPES = {
    "folder:r viewer": R,
    "folder:nobody viewer": "folder:nobody#viewer[]",
    "folder:r view": R_VIEW,
    "folder:f view": F_VIEW,
    "folder:f all": f"folder:f#all(folder:f#all({R_VIEW} & {R_VIEW} & folder:f#all[]))",
    "folder:r all": "folder:r#all(folder:r#all(&))",
    "folder:f none": "folder:f#none(folder:f#none[])",
    "folder:f some": f"folder:f#some({F} - folder:f#some[])",
    "folder:f own": "folder:f#own(folder:f#own[folder:f])",
    "folder:f alias": f"folder:f#alias({F})",
    "folder:f nested": (
        f"folder:f#nested({F} + {OWNER} + folder:f#nested({F} & {OWNER} & folder:f#none(folder:f#none[]))"
        f" + folder:f#nested({R_VIEW} + {R_VIEW} + folder:f#nested[]))"
    ),
    "folder:f exc": f"folder:f#exc(folder:f#exc({F} - folder:f#exc({F_VIEW} - {F})) - {OWNER})",
    "folder:f missing": (
        "folder:f#missing(folder:f#missing(folder:f#missing[] + folder:f#missing[] + folder:f#missing[]))"
    ),
    "group:g member": "group:g#member[user:a, group:h#member]",
}


@pytest.mark.parametrize("asked", SHAPES)
def test_trees_have_spicedbs_shapes(asked: str, served: Door) -> None:
    """Relations stay closed, usersets last, names and arrows are opened; what an arrow misses is an empty leaf."""
    assert expand(served, *asked.split()) == SHAPES[asked]


def test_a_universal_tuple_stands_in_the_leaf_of_every_object() -> None:
    """A tuple on every folder is told in each of their leaves, once, whether or not the folder has it itself."""
    with door(SCHEMA, ("folder:*#viewer@user:u", "folder:f#viewer@user:u", "folder:f#viewer@user:c")) as opened:
        assert expand(opened, "folder:f", "viewer") == "folder:f#viewer[user:c, user:u]"
        assert expand(opened, "folder:g", "viewer") == "folder:g#viewer[user:u]"


def test_a_tree_without_end_or_too_deep_is_an_error() -> None:
    """Where folders lead back to themselves, or too many stand in each other, no tree is told; the deepest one is."""
    # A folder takes a level for its permission and one for its arrow, the last one's leaf included.
    hops = LEVELS_MAX // 2
    chain = [f"folder:c{place}#parent@folder:c{place + 1}" for place in range(hops)]
    with door(SCHEMA, (*chain, "folder:x#parent@folder:y", "folder:y#parent@folder:x")) as opened:
        for root in ("folder:x", "folder:c0"):
            code, reason, text = refused(partial(expand, opened, root, "view"))
            assert (code, reason) == ("FAILED_PRECONDITION", "MAXIMUM_DEPTH_EXCEEDED")
            assert "relgraph.v1" in text
        assert f"folder:c{hops}#view(" in expand(opened, "folder:c1", "view")


def test_a_tree_that_is_too_large_is_an_error_before_it_is_built() -> None:
    """Twenty folders with two parents each, which share theirs, are a tree of a million nodes: an error, at once."""
    tuples = [
        f"folder:{side}{place}#parent@folder:{up}{place + 1}" for place in range(18) for side in "ab" for up in "ab"
    ]
    with door(SCHEMA, tuples) as opened:
        code, _, text = refused(lambda: expand(opened, "folder:a0", "view"))
        assert code == "RESOURCE_EXHAUSTED"
        assert "relgraph.v1" in text


REFUSED = {
    "unknown type": (("nothing:f", "view"), "FAILED_PRECONDITION", "UNKNOWN_DEFINITION"),
    "unknown permission": (("folder:f", "viewing"), "FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION"),
    "no permission": (("folder:f", ""), "FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION"),
    "bad permission": (("folder:f", "View"), "INVALID_ARGUMENT", "UNSPECIFIED"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expanded_is_refused_as_spicedb_does(name: str, served: Door) -> None:
    """Each mistake has SpiceDB's code and reason."""
    asked, code, reason = REFUSED[name]
    assert refused(lambda: expand(served, *asked))[:2] == (code, reason)


def test_everything_is_not_a_resource(served: Door) -> None:
    """`*` is no id to expand, and a request without a resource says nothing."""
    request = pb.ExpandPermissionTreeRequest(permission="view")
    assert refused(lambda: served.permissions.ExpandPermissionTree(request))[0] == "INVALID_ARGUMENT"
    request.resource.object_type, request.resource.object_id = "folder", "*"
    code, _, text = refused(lambda: served.permissions.ExpandPermissionTree(request))
    assert code == "INVALID_ARGUMENT"
    assert "resource.object_id" in text

"""Known tricky shapes for `worlds.py`: a schema, tuples that make the shape, and the features it needs.

Here live fixed examples only; the strategies add random tuples beside them and drop some of the fixed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.oracle import AllArrow, Arrow, Definition, Name, Schema, Tuple, define, tuple_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SHAPES", "Shape"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One tricky shape."""

    schema: Schema
    tuples: tuple[Tuple, ...]
    features: frozenset[str]


def _shape(definitions: Mapping[str, Definition], tuples: str, *features: str) -> Shape:
    """Take tuples as text; `[99]` behind one is the instant it expires at, and worlds are asked at 100."""
    entries = tuple(map(_entry, tuples.split()))
    return Shape(Schema({"user": define({}), **definitions}), entries, frozenset(features))


def _entry(text: str) -> Tuple:
    written, _, expires = text.removesuffix("]").partition("[")
    return tuple_of(written, expires=int(expires) if expires else None)


_NESTED = define({"member": "user | group#member"})

SHAPES = (
    # A ring of groups, with one way in.
    _shape(
        {"group": _NESTED, "doc": define({"viewer": "user | group#member"}, {"view": Name("viewer") + Name("edit"),
                                                                           "edit": Name("viewer") & Name("view")})},
        "group:a#member@group:b#member group:b#member@group:c#member group:c#member@group:a#member "
        "group:c#member@user:a doc:a#viewer@group:a#member",
        "usersets", "sets",
    ),
    # A wildcard beside a direct tuple, and wildcards on the subtracted side.
    _shape(
        {"doc": define({"viewer": "user | user:*", "banned": "user | user:*", "member": "user"},
                       {"view": Name("viewer") - Name("banned"),
                        "edit": Name("member") - (Name("viewer") - Name("banned"))})},
        "doc:a#viewer@user:* doc:a#viewer@user:a doc:a#banned@user:a doc:b#banned@user:* doc:b#viewer@user:b",
        "wildcards", "sets",
    ),
    # Universal tuples, granting and subtracting, and as a tupleset that makes the root its own parent.
    _shape(
        {"folder": define({"parent": "folder | folder with universal", "viewer": "user | user with universal",
                           "banned": "user | user with universal | user:* with universal"},
                          {"view": (Name("viewer") + Arrow("parent", "view")) - Name("banned")})},
        "folder:*#parent@folder:a folder:a#viewer@user:a folder:*#banned@user:b folder:b#viewer@user:b "
        "folder:*#viewer@user:c",
        "universal", "sets", "arrows", "wildcards",
    ),
    # A chain of folders that closes to a ring, with an exclusion under each arrow.
    _shape(
        {"folder": define({"parent": "folder", "viewer": "user", "banned": "user"},
                          {"view": (Name("viewer") + Arrow("parent", "view")) - Name("banned"),
                           "edit": Name("viewer") + (Arrow("parent", "edit") - Arrow("parent", "banned"))})},
        "folder:a#parent@folder:b folder:b#parent@folder:c folder:c#parent@folder:d folder:d#parent@folder:e "
        "folder:e#parent@folder:a folder:e#viewer@user:a folder:c#viewer@user:b folder:b#banned@user:b",
        "sets", "arrows",
    ),
    # Recursion through `-`: undefined where both lean on each other, defined where one side is settled.
    _shape(
        {"doc": define({"member": "user", "banned": "user"},
                       {"view": Name("member") - Name("edit"), "edit": Name("member") - Name("view"),
                        "admin": (Name("member") - Name("admin")) + Name("banned")})},
        "doc:a#member@user:a doc:a#member@user:b doc:a#banned@user:b",
        "sets",
    ),
    # Win and lose: a position is won when some move leads to one that is lost.
    _shape(
        {"folder": define({"parent": "folder", "member": "user"},
                          {"view": Arrow("parent", "edit"), "edit": Name("member") - Name("view")})},
        "folder:a#parent@folder:b folder:b#parent@folder:a folder:b#parent@folder:c folder:c#parent@folder:d "
        "folder:a#member@user:a folder:b#member@user:a folder:c#member@user:a folder:d#member@user:a",
        "sets", "arrows",
    ),
    # A userset of a permission, in a ring through the permission's exclusion.
    _shape(
        {"group": define({"member": "user | group#view", "banned": "user | group#view"},
                         {"view": Name("member") - Name("banned")})},
        "group:a#member@group:b#view group:b#member@user:a group:b#banned@group:c#view group:c#member@group:a#view "
        "group:c#member@user:b",
        "usersets", "sets",
    ),
    # The same type reached by two subrelations, and an arrow that ignores them.
    _shape(
        {"group": define({"member": "user", "viewer": "user | group#member"}),
         "doc": define({"parent": "group#member | group#viewer | group", "viewer": "group#member | group#viewer"},
                       {"view": Name("viewer"), "edit": Arrow("parent", "member") & Name("viewer"),
                        "admin": Arrow("parent", "viewer") - Name("view")})},
        "group:a#member@user:a group:a#viewer@user:b doc:a#viewer@group:a#member doc:a#viewer@group:a#viewer "
        "doc:a#parent@group:a#viewer doc:a#parent@group:b doc:b#viewer@group:a#viewer",
        "usersets", "arrows", "sets",
    ),
    # A diamond with a ladder, as in a directory of resources.
    _shape(
        {"group": _NESTED,
         "doc": define({"parent": "doc", "admin": "user | group#member | group#member with universal",
                        "viewer": "user | group#member"},
                       {"edit": Name("admin") + (Name("viewer") & Arrow("parent", "edit")) + Arrow("parent", "edit"),
                        "view": Name("viewer") + Name("edit")}, "admin > edit > view")},
        "doc:a#parent@doc:b doc:a#parent@doc:c doc:b#parent@doc:d doc:c#parent@doc:d doc:d#admin@group:a#member "
        "group:a#member@user:a group:a#member@group:b#member group:b#member@user:b doc:*#admin@group:c#member "
        "group:c#member@user:c",
        "usersets", "arrows", "sets", "roles", "universal",
    ),
    # Every parent must agree, round a ring too.
    _shape(
        {"folder": define({"parent": "folder", "viewer": "user", "banned": "user"},
                          {"view": Name("viewer") + AllArrow("parent", "view"),
                           "edit": AllArrow("parent", "view") - Arrow("parent", "banned")})},
        "folder:a#parent@folder:b folder:a#parent@folder:c folder:b#parent@folder:a folder:b#viewer@user:a "
        "folder:c#viewer@user:a folder:c#viewer@user:b folder:c#banned@user:b",
        "all_arrow", "arrows", "sets",
    ),
    # Bans, parents and grants that have expired, are about to, or last: what is excluded comes back, `.all` gives way.
    _shape(
        {"doc": define({"parent": "doc | doc with expiration", "viewer": "user | user with expiration",
                        "banned": "user | user with expiration | user:* with expiration"},
                       {"view": Name("viewer") - Name("banned"), "edit": AllArrow("parent", "view") + Name("viewer"),
                        "admin": AllArrow("parent", "edit") - Arrow("parent", "banned")})},
        "doc:a#parent@doc:b doc:a#parent@doc:c[101] doc:a#parent@doc:d[100] doc:b#viewer@user:a "
        "doc:c#viewer@user:a[150] doc:d#viewer@user:b[99] doc:b#banned@user:a[101] doc:c#banned@user:*[100] "
        "doc:c#banned@user:b[150] doc:a#viewer@user:b[101]",
        "expiration", "all_arrow", "arrows", "sets", "wildcards",
    ),
    # A parent of all, beside a parent of one: `.all` asks both, for objects never mentioned too.
    _shape(
        {"folder": define({"parent": "folder | folder with universal", "viewer": "user | user with universal",
                           "banned": "user with universal | user with expiration and universal"},
                          {"view": Name("viewer") + AllArrow("parent", "view"),
                           "edit": AllArrow("parent", "viewer") - Name("banned"),
                           "admin": Name("edit") & Arrow("parent", "view")})},
        "folder:*#parent@folder:a folder:b#parent@folder:c folder:a#viewer@user:a folder:c#viewer@user:a "
        "folder:*#viewer@user:b folder:*#banned@user:b[101] folder:*#banned@user:a[100] folder:c#parent@folder:d",
        "universal", "all_arrow", "arrows", "sets", "expiration",
    ),
    # Deep: groups in groups in groups that hold the end of a chain of folders, with `.all` and a ban on the way.
    _shape(
        {"group": _NESTED,
         "folder": define({"parent": "folder", "viewer": "user | group#member", "banned": "user | group#member"},
                          {"view": Name("viewer") + Arrow("parent", "view"),
                           "edit": (Name("viewer") + AllArrow("parent", "edit")) - Name("banned"),
                           "admin": Name("view") & (Name("edit") + Arrow("parent", "admin"))})},
        "group:a#member@group:b#member group:b#member@group:c#member group:c#member@group:d#member "
        "group:d#member@group:e#member group:e#member@group:f#member group:f#member@user:a group:c#member@user:b "
        "folder:a#parent@folder:b folder:b#parent@folder:c folder:c#parent@folder:d folder:d#parent@folder:e "
        "folder:e#viewer@group:a#member folder:c#banned@group:e#member",
        "usersets", "all_arrow", "arrows", "sets",
    ),
    # Diamonds on top of each other, each side of which may be banned.
    _shape(
        {"folder": define({"parent": "folder", "viewer": "user", "banned": "user"},
                          {"view": (Name("viewer") + Arrow("parent", "view")) - Name("banned"),
                           "edit": Name("viewer") + AllArrow("parent", "view"),
                           "admin": AllArrow("parent", "edit") & Arrow("parent", "view")})},
        "folder:a#parent@folder:b folder:a#parent@folder:c folder:b#parent@folder:d folder:c#parent@folder:d "
        "folder:d#parent@folder:e folder:d#parent@folder:f folder:e#parent@folder:g folder:f#parent@folder:g "
        "folder:g#viewer@user:a folder:g#viewer@user:b folder:b#banned@user:b folder:f#banned@user:b",
        "all_arrow", "arrows", "sets",
    ),
)  # fmt: skip
"""Shapes on which evaluators are known to go wrong."""

"""Ten small scopes: a schema, a handful of tuples of which any few may be there, and whom and what to ask about.

Here live fixed examples only, each a different mix of the language; `test_small_scope.py` tries all sets of the tuples.
*Rule 1*: `z` is never named by a tuple.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.oracle import (
    AllArrow,
    Arrow,
    Definition,
    Name,
    Nil,
    Object,
    Schema,
    Self,
    Subject,
    Tuple,
    define,
    object_of,
    subject_of,
    tuple_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCOPES", "Scope"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One small universe."""

    schema: Schema
    tuples: tuple[Tuple, ...]
    subjects: tuple[Subject, ...]
    objects: tuple[Object, ...]


def _scope(definitions: Mapping[str, Definition], subjects: str, objects: str, tuples: str) -> Scope:
    """Take everything as text; `[100]` behind a tuple is the instant it expires at, and 100 the one of the question."""
    entries = []
    for text in tuples.split():
        written, _, expires = text.removesuffix("]").partition("[")
        entries.append(tuple_of(written, expires=int(expires) if expires else None))
    return Scope(
        Schema({"user": define({}), **definitions}),
        tuple(entries),
        tuple(map(subject_of, subjects.split())),
        tuple(map(object_of, objects.split())),
    )


V, M, B = Name("viewer"), Name("member"), Name("banned")

SCOPES: Mapping[str, Scope] = {
    "groups": _scope(
        {
            "group": define({"member": "user | group#member"}),
            "doc": define({"viewer": "user | group#member"}, {"view": V}),
        },
        "user:a user:b user:z group:a#member group:b#member group:z#member",
        "group:a group:b group:c group:z doc:a doc:z",
        "group:a#member@user:a group:b#member@user:a group:b#member@user:b group:a#member@group:b#member "
        "group:b#member@group:a#member group:a#member@group:a#member group:b#member@group:c#member "
        "group:c#member@user:a doc:a#viewer@group:a#member doc:a#viewer@user:b",
    ),
    "folders": _scope(
        {"folder": define({"parent": "folder", "viewer": "user"}, {"view": V + Arrow("parent", "view")})},
        "user:a user:z folder:a#view folder:c#view folder:z#view",
        "folder:a folder:b folder:c folder:d folder:z",
        "folder:a#parent@folder:b folder:a#parent@folder:c folder:b#parent@folder:d folder:c#parent@folder:d "
        "folder:d#parent@folder:a folder:a#parent@folder:a folder:a#viewer@user:a folder:c#viewer@user:a "
        "folder:d#viewer@user:a folder:b#parent@folder:c",
    ),
    "exclusion": _scope(
        {
            "folder": define(
                {"parent": "folder", "member": "user", "banned": "user"},
                {
                    "won": Arrow("parent", "lost"),
                    "lost": M - Name("won"),
                    "odd": M - Arrow("parent", "odd"),
                    "view": (M + Arrow("parent", "view")) - B,
                    "never": M - (Name("never") + B),
                },
            )
        },
        "user:a user:z folder:a#lost folder:b#won",
        "folder:a folder:b folder:c folder:z",
        "folder:a#parent@folder:b folder:b#parent@folder:a folder:b#parent@folder:c folder:c#parent@folder:a "
        "folder:a#parent@folder:a folder:a#member@user:a folder:b#member@user:a folder:c#member@user:a "
        "folder:a#banned@user:a folder:b#banned@user:a",
    ),
    "all": _scope(
        {
            "group": define({"member": "user"}),
            "folder": define(
                {"parent": "folder | group", "viewer": "user", "banned": "user"},
                {
                    "view": V + AllArrow("parent", "view"),
                    "edit": AllArrow("parent", "viewer") - AllArrow("parent", "banned"),
                    "odd": V - AllArrow("parent", "odd"),
                },
            ),
        },
        "user:a user:z folder:a#view folder:b#viewer",
        "folder:a folder:b folder:c folder:z",
        "folder:a#parent@folder:b folder:a#parent@folder:c folder:b#parent@folder:c folder:c#parent@folder:a "
        "folder:a#parent@folder:a folder:a#parent@group:a folder:b#viewer@user:a folder:c#viewer@user:a "
        "folder:b#banned@user:a folder:a#viewer@user:a",
    ),
    "universal": _scope(
        {
            "folder": define(
                {
                    "parent": "folder | folder with universal",
                    "viewer": "user | user with universal | folder#view with universal",
                    "banned": "user | user with universal",
                },
                {"view": (V + Arrow("parent", "view")) - B, "every": AllArrow("parent", "view")},
            )
        },
        "user:a user:z folder:a#view folder:z#view",
        "folder:a folder:b folder:z",
        "folder:*#parent@folder:a folder:*#parent@folder:b folder:a#parent@folder:b folder:b#parent@folder:a "
        "folder:*#viewer@user:a folder:a#viewer@user:a folder:b#viewer@user:a folder:*#viewer@folder:b#view "
        "folder:*#banned@user:a folder:b#banned@user:a",
    ),
    "wildcards": _scope(
        {
            "group": define({"member": "user"}),
            "doc": define(
                {
                    "viewer": "user | user:* | group#member | doc:*",
                    "banned": "user | user:* | user:* with universal",
                    "member": "user | group#member",
                },
                {"view": V - B, "edit": M - Name("view"), "both": V & M},
            ),
        },
        "user:a user:b user:z group:a group:a#member doc:a doc:a#view doc:z",
        "doc:a doc:z",
        "doc:a#viewer@user:* doc:a#viewer@user:a doc:a#viewer@group:a#member group:a#member@user:a doc:a#viewer@doc:* "
        "doc:a#banned@user:* doc:a#banned@user:b doc:*#banned@user:* doc:a#member@user:b doc:a#member@group:a#member",
    ),
    "intersections": _scope(
        {
            "group": define({"member": "user | group#member | group#both", "banned": "user"}, {"both": M & B}),
            "doc": define(
                {"parent": "doc", "viewer": "group#both", "member": "user"},
                {
                    "view": V & (M + Arrow("parent", "view")),
                    "edit": M & Arrow("parent", "edit") & Name("view"),
                    "admin": (M & Name("edit")) + (V & Arrow("parent", "member")),
                },
            ),
        },
        "user:a user:z group:a#both group:b#member",
        "group:a group:b doc:a doc:b doc:z",
        "group:a#member@user:a group:a#banned@user:a group:a#member@group:b#both group:b#member@group:a#member "
        "group:b#banned@user:a doc:a#viewer@group:a#both doc:a#member@user:a doc:a#parent@doc:b doc:b#parent@doc:a "
        "doc:b#member@user:a doc:b#viewer@group:a#both",
    ),
    "self and nil": _scope(
        {
            "user": define(
                {"manager": "user | user#itself"},
                {"itself": Self(), "above": Self() + Arrow("manager", "above"), "other": Name("above") - Self()},
            ),
            "doc": define(
                {"owner": "user | doc", "viewer": "doc#own"},
                {
                    "own": Arrow("owner", "itself") + Nil(),
                    "view": (Arrow("owner", "above") + V) - Self(),
                    "none": Nil() - Name("own"),
                    "odd": (Self() + AllArrow("owner", "above")) - (Nil() + Name("none")),
                },
            ),
        },
        "user:a user:b user:z user:a#itself doc:a doc:a#own doc:z",
        "user:a user:b user:z doc:a doc:z",
        "user:a#manager@user:b user:b#manager@user:a user:a#manager@user:a user:a#manager@user:b#itself "
        "doc:a#owner@user:a doc:a#owner@user:b doc:a#owner@doc:a doc:a#viewer@doc:a#own "
        "doc:a#viewer@doc:b#own doc:b#owner@user:a",
    ),
    "usersets of permissions": _scope(
        {
            "group": define(
                {"member": "user | group#view", "banned": "user | group#view | group#member"},
                {"view": M - B, "edit": Name("view") + Name("banned")},
            ),
            "doc": define({"viewer": "group#view | group#edit"}, {"view": V}),
        },
        "user:a user:z group:a#view group:b#edit group:z#view",
        "group:a group:b group:z doc:a",
        "group:a#member@user:a group:a#banned@user:a group:b#member@user:a group:a#member@group:b#view "
        "group:b#member@group:a#view group:a#banned@group:b#view group:b#banned@group:a#view "
        "group:b#banned@group:a#member doc:a#viewer@group:a#view doc:a#viewer@group:b#edit",
    ),
    "expiration": _scope(
        {
            "doc": define(
                {
                    "parent": "doc | doc with expiration",
                    "viewer": "user with expiration | user:* with expiration",
                    "banned": "user | user with expiration | user with expiration and universal",
                },
                {
                    "view": (V + Arrow("parent", "view")) - B,
                    "edit": AllArrow("parent", "view"),
                    "odd": V - AllArrow("parent", "odd"),
                },
            )
        },
        "user:a user:z doc:a#view",
        "doc:a doc:b doc:c doc:z",
        "doc:a#parent@doc:b[101] doc:a#parent@doc:c[100] doc:b#parent@doc:a doc:b#parent@doc:c[99] "
        "doc:b#viewer@user:a[101] doc:c#viewer@user:*[102] doc:c#viewer@user:a[99] doc:b#banned@user:a[100] "
        "doc:c#banned@user:a doc:*#banned@user:a[101] doc:a#viewer@user:*[100]",
    ),
}
"""The scopes by name."""

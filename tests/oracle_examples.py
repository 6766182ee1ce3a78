"""Helpers for the oracle's hand-worked examples: small worlds written in a line or two.

Here live the shared definitions (`doc` with viewer, editor, banned and parent) and nothing that decides an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.oracle import Definition, Expression, Name, Oracle, Schema, Tuple, Verdict, World, define, tuple_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUP", "USER", "B", "E", "V", "X", "check", "doc", "world"]

V, E, B, X = Name("viewer"), Name("editor"), Name("banned"), Name("view")
USER = define({})
GROUP = define({"member": "user | group#member"})


def world(definitions: Mapping[str, Definition], *tuples: str | Tuple, now: int = 0) -> World:
    """Return a world of `user` and the definitions given, with tuples as text where nothing else is said."""
    entries = tuple(tuple_of(each) if isinstance(each, str) else each for each in tuples)
    return World(Schema({"user": USER, **definitions}), entries, now=now)


def check(given_world: World, question: str) -> Verdict:
    """Return the oracle's verdict on `resource#name@subject`."""
    return Oracle(given_world).check(question)


def doc(**permissions: Expression) -> dict[str, Definition]:
    """Return a definition `doc` with viewer, editor, banned, parent, and the permissions given."""
    relations = {
        "viewer": "user | user:* | doc#view | group#member",
        "editor": "user | user with universal",
        "banned": "user | user:* | user with universal",
        "parent": "doc | doc with universal | group",
    }
    return {"doc": define(relations, permissions), "group": GROUP}

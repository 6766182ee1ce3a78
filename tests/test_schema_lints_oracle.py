"""What two lints claim about every set of tuples, asked of the oracle in random worlds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import example, given, note

from relgraph.schema import parse
from relgraph.schema.lints import lint
from tests.oracle import Name, Nil, Object, Oracle, define
from tests.oracle_examples import world as known_world
from tests.worlds import FEATURES_SERVED, questions, schema_text, world_text, worlds

if TYPE_CHECKING:
    from tests.oracle import World


# Chance alone may draw no world that proves anything: this one has both a name for nobody and an undecided answer,
# which meet in `void`, for nothing taken from itself is more certain than it was.
NOBODY = {"none": Nil() & Name("member"), "void": Name("liar") - Name("liar")}
LIAR = define({"member": "user"}, {"liar": Name("member") - Name("liar"), **NOBODY})
KNOWN = replace(known_world({"doc": LIAR}, "doc:a#member@user:a"), objects=(Object("doc", "a"), Object("user", "a")))


def test_lints_are_right_about_random_worlds() -> None:
    """No plain subject holds what is said to hold for nobody, and only what recurs through an exclusion is undecided.

    The first is never a false alarm, the second never unannounced.
    """
    seen: Counter[str] = Counter()

    @example(world=KNOWN)
    @given(world=worlds(FEATURES_SERVED))
    def agree(world: World) -> None:
        note(world_text(world))
        findings = lint(parse(schema_text(world.schema)))
        never = {(each.type, each.name) for each in findings if each.lint == "permission-never-holds"}
        recurs = any(each.lint == "recursion-through-exclusion" for each in findings)
        oracle = Oracle(world)
        for question in questions(world):
            verdict = oracle.verdict(question.subject, question.name, question.resource).kind
            if (question.resource.type, question.name) in never and not question.subject.relation:
                seen["never"] += 1
                assert verdict in ("no", "undecided"), question.text
            if verdict == "undecided":
                seen["undecided"] += 1
                assert recurs, question.text

    agree()
    assert seen["never"] > 0
    assert seen["undecided"] > 0

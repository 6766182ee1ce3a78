"""Lints: what a valid schema may say and rarely means. `LINTS` is the one list of them.

A lint is silenced for one relation or permission by a comment before it, `// spicedb-ignore-warning: name` (SpiceDB's
word) or `// relgraph-ignore-warning: name`, with a reason behind the name or without; a lint about a grant, by one
before the relation that is granted. A comment that cannot silence anything is a finding itself: it looks like one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.errors import did_you_mean, quoted
from relgraph.schema import lint_exclusions, lint_nobody, lint_shapes
from relgraph.schema.lexer import KEYWORD
from relgraph.schema.remarks import Remark
from relgraph.schema.source import Source
from relgraph.schema.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.schema.model import Schema

__all__ = ["IGNORE_WITHOUT_EFFECT", "LINTS", "Finding", "lint"]

LINTS: Final[dict[str, Callable[[Schema], Iterator[Remark]]]] = {
    "arrow-references-relation": lint_shapes.arrow_references_relation,
    "arrow-references-unreachable-relation": lint_shapes.arrow_references_unreachable_relation,
    "arrow-walks-subject-relation": lint_shapes.arrow_walks_subject_relation,
    "grant-on-subtracted-relation": lint_exclusions.grant_on_subtracted_relation,
    "permission-never-holds": lint_nobody.permission_never_holds,
    "permission-references-itself": lint_shapes.permission_references_itself,
    "recursion-through-exclusion": lint_exclusions.recursion_through_exclusion,
    "relation-name-references-parent": lint_shapes.relation_name_references_parent,
    "wildcard-under-exclusion": lint_exclusions.wildcard_under_exclusion,
}
"""Each lint's name, with the function that yields its remarks."""

IGNORE_WITHOUT_EFFECT: Final = "ignore-without-effect"
"""The name under which comments are reported that silence nothing. It cannot be silenced itself."""

_IGNORE: Final = re.compile(r"//[ \t]*(?:spicedb|relgraph)-ignore-warning(?P<colon>:?)[ \t]*(?P<name>[^ \t]*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a lint found: its name, the words, and the place, with the line and a caret below it in `excerpt`.

    `type` and `name` say whose it is; both are empty for a comment, which belongs to nothing. `file` is empty where
    the text comes from none.
    """

    lint: str
    message: str
    line: int
    column: int
    excerpt: str
    type: str = ""
    name: str = ""
    file: str = ""


def lint(schema: Schema, source: Source | None = None) -> tuple[Finding, ...]:
    """Return all that the lints find in a schema and its comments do not silence, in text order.

    `source` is the schema's text with the files that it comes from.
    """
    source = source or Source(schema.text)
    found: dict[Finding, None] = {}
    for name, check in LINTS.items():
        for remark in check(schema):
            member = schema.definitions[remark.type].member(remark.name)
            if member is None or name not in _silenced(member.doc):
                found[_finding(source, name, remark)] = None
    for remark in _idle(source):
        found[_finding(source, IGNORE_WITHOUT_EFFECT, remark)] = None
    return tuple(sorted(found, key=lambda each: (each.file, each.line, each.column, each.lint, each.message)))


def _finding(source: Source, name: str, remark: Remark) -> Finding:
    at = remark.at
    file, line = source.origin(at)
    return Finding(name, remark.message, line, at.column, source.excerpt(at), remark.type, remark.name, file)


def _silenced(doc: str) -> set[str]:
    """Return the names of the lints that a doc comment silences."""
    return {match["name"] for line in doc.split("\n") if (match := _IGNORE.match(line)) and match["colon"]}


def _idle(source: Source) -> Iterator[Remark]:
    """Yield the comments that name no lint, or stand where they silence nothing."""
    for word in words(source):
        before_member = word.token.kind == KEYWORD and word.token.text in ("relation", "permission")
        for comment in (*word.before, *word.behind):
            match = _IGNORE.match(comment.lines[0])
            if match is None:
                continue
            at = source.span(comment.start, comment.end)
            if not match["colon"] or not match["name"]:
                yield Remark("", "", "this silences nothing; write the name of a lint behind a colon", at)
            elif match["name"] not in LINTS:
                message = f"{quoted(match['name'])} is no lint{did_you_mean(match['name'], LINTS)}"
                yield Remark("", "", message, at)
            elif comment in word.behind or not before_member:
                message = (
                    f"{quoted(match['name'])} is silenced by a comment before a relation or permission, and this one "
                    "stands before none; move it to the line above the one it is meant for"
                )
                yield Remark("", "", message, at)

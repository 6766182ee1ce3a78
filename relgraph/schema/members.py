"""The grammar of a definition's lines: relations with their subject kinds, permissions, ladders, grants and splices.

Which lines may stand where is decided by `relgraph.schema.parser`; whether names mean anything, later still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relgraph.errors import quoted
from relgraph.schema.expressions import expression
from relgraph.schema.model import SubjectKind
from relgraph.schema.tree import (
    GrantNode,
    KindNode,
    LadderNode,
    NameNode,
    PermissionNode,
    RelationNode,
    SpliceNode,
)
from relgraph.tuples import check_relation

if TYPE_CHECKING:
    from relgraph.schema.cursor import Cursor
    from relgraph.schema.lexer import Token

__all__ = ["grants", "ladder", "permission", "relation", "splice"]


def relation(cursor: Cursor) -> RelationNode:
    """Read `relation name: kind | kind`."""
    word = cursor.advance()
    token = cursor.name("a name after `relation`")
    name = cursor.checked(check_relation, token)
    cursor.expect(":", "`:` and the subject types that the relation takes")
    kinds = [_kind(cursor)]
    while cursor.accept("|"):
        kinds.append(_kind(cursor))
    return RelationNode(name, tuple(kinds), cursor.span(token), word.doc)


def _kind(cursor: Cursor) -> KindNode:
    """Read one subject kind."""
    path = cursor.path("a subject type")
    last = part = path
    name, wildcard = "", False
    if cursor.accept(":"):
        last = cursor.expect("*", "`*` after `:`")
        wildcard = True
    elif cursor.accept("#"):
        last = part = cursor.accept("...") or cursor.name("the name of a relation or permission after `#`")
        name = "" if part.kind == "..." else part.text
    if wildcard and cursor.token.kind == "#":
        raise cursor.refused(
            f"a wildcard covers plain objects only and takes no relation, write {quoted(path.text + ':*')}"
        )
    if name and cursor.token.kind == ":":
        raise cursor.refused(
            f"a userset takes no wildcard, write {quoted(path.text + '#' + name)} or {quoted(path.text + ':*')}"
        )
    traits = _Traits()
    if cursor.at_keyword("with"):
        cursor.advance()
        last = _trait(cursor, traits, "with")
        while cursor.accept_word("and"):
            last = _trait(cursor, traits, "and")
    caveat = traits.caveat.text if traits.caveat else ""
    kind = SubjectKind(path.text, name, wildcard, traits.universal, traits.expiration, caveat)
    caveat_at = cursor.span(traits.caveat or path)
    return KindNode(kind, cursor.span(path), cursor.span(part), cursor.span(path, last), caveat_at)


@dataclass(slots=True)
class _Traits:
    """What stands behind `with` so far."""

    caveat: Token | None = None
    expiration: bool = False
    universal: bool = False


def _trait(cursor: Cursor, before: _Traits, word: str) -> Token:
    """Read what stands behind `with` or `and`, put it with those `before`, and return its last token.

    The order is fixed, as in SpiceDB: a caveat, `expiration`, `universal`. Without its flag, each of the two words
    names a caveat.
    """
    if before.universal:
        raise cursor.refused("`universal` comes last, nothing follows it with `and`", cursor.previous)
    if cursor.at_keyword("expiration"):
        if before.expiration:
            raise cursor.refused("`expiration` stands twice, write it once")
        before.expiration = True
        return cursor.advance()
    name = cursor.path(f"a name after {quoted(word)}")
    if name.text == "universal" and "universal" in cursor.flags:
        before.universal = True
        return name
    if before.expiration:
        both = quoted(f"with {name.text} and expiration")
        raise cursor.refused(f"a caveat stands before `expiration`, write {both}", name)
    if before.caveat and name.text in ("expiration", "universal"):
        message = (
            f"{quoted('and ' + name.text)} needs a flag, write {quoted('use ' + name.text)} before the first definition"
        )
        raise cursor.refused(message, name)
    if before.caveat:
        message = f"a kind of subject has one caveat, and {quoted(before.caveat.text)} stands there already"
        raise cursor.refused(f"{message}; join both conditions in one caveat", name)
    before.caveat = name
    return name


def permission(cursor: Cursor) -> PermissionNode:
    """Read `permission name = expression`, also with `: type | type` before the `=`."""
    word = cursor.advance()
    token = cursor.name("a name after `permission`")
    name = cursor.checked(check_relation, token)
    annotation: list[NameNode] = []
    separator = ":"
    while cursor.accept(separator):
        path = cursor.path("a type of subjects")
        if cursor.token.kind in ("#", ":"):
            raise cursor.refused(f"an annotation names types alone, write {quoted(path.text)}")
        annotation.append(NameNode(path.text, cursor.span(path)))
        separator = "|"
    cursor.expect("=", "`=` and an expression")
    return PermissionNode(name, tuple(annotation), expression(cursor), cursor.span(token), word.doc)


def ladder(cursor: Cursor) -> LadderNode:
    """Read `roles strongest > weaker > weakest`."""
    word = cursor.advance()
    rungs = [_reference(cursor, "the name of a relation or permission in `roles`")]
    while cursor.accept(">"):
        rungs.append(_reference(cursor, "the name of a relation or permission in `roles`"))
    if cursor.token.kind in (",", "<", "|"):
        raise cursor.unexpected("`>` between the names, strongest first")
    return LadderNode(tuple(rungs), cursor.span(word))


def grants(cursor: Cursor) -> tuple[GrantNode, ...]:
    """Read `grant relation, relation [to type:*] by permission [and subject permission]`, a node a relation."""
    cursor.advance()
    relations = [_reference(cursor, "the name of a relation after `grant`")]
    while cursor.accept(","):
        relations.append(_reference(cursor, "the name of a relation after `,`"))
    wildcard = subject = None
    if cursor.accept_word("to"):
        path = cursor.path("a subject type after `to`")
        if cursor.token.kind != ":":
            raise cursor.refused(f"`to` is for wildcards alone, write {quoted(path.text + ':*')} or leave it out", path)
        cursor.advance()
        wildcard = NameNode(path.text, cursor.span(path, cursor.expect("*", "`*` after `:`")))
    if not cursor.accept_word("by"):
        raise cursor.unexpected("`by` and the permission that an actor needs")
    by = _reference(cursor, "the name of a relation or permission after `by`")
    conjunction = cursor.accept_word("and")
    if conjunction is not None:
        if wildcard is not None:
            message = "a wildcard is no subject of its own that could have a permission, leave `and subject …` out"
            raise cursor.refused(message, conjunction)
        if not cursor.accept_word("subject"):
            raise cursor.unexpected("`subject` and the permission that an actor needs on it")
        subject = _reference(cursor, "the name of a relation or permission after `subject`")
    return tuple(GrantNode(relation, by, subject, wildcard) for relation in relations)


def splice(cursor: Cursor) -> SpliceNode:
    """Read `...name`."""
    cursor.advance()
    path = cursor.path("the name of a partial after `...`")
    return SpliceNode(path.text, cursor.span(path))


def _reference(cursor: Cursor, wanted: str) -> NameNode:
    token = cursor.name(wanted)
    return NameNode(token.text, cursor.span(token))

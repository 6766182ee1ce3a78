"""The grammar of a schema: `use` lines, definitions, and which lines stand in them.

What SpiceDB's language has beyond that is refused here by name, never skipped. Whether names mean anything is
decided later (`relgraph.schema.validate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, did_you_mean, quoted
from relgraph.schema.cursor import Cursor
from relgraph.schema.expressions import SYMBOLS
from relgraph.schema.lexer import END, KEYWORD, NEWLINE
from relgraph.schema.members import ladder, permission, relation
from relgraph.schema.tree import DefinitionNode, FileNode
from relgraph.tuples import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.schema.model import Permission
    from relgraph.schema.source import Source
    from relgraph.schema.tree import LadderNode, RelationNode

__all__ = ["FLAGS", "FLAGS_UNSUPPORTED", "parse_tree"]

FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "expiration": ("and", "expiration"),
    "roles": (),
    "self": ("self",),
    "universal": (),
}
"""What `use` switches on, with the words that are keywords from then on. relgraph's own flags reserve none."""
FLAGS_UNSUPPORTED: Final = ("grants", "import", "partial", "typechecking")

_CONTINUES: Final = frozenset({*SYMBOLS, "->", ".", "|", ">"})


def parse_tree(source: Source) -> FileNode:
    """Return what a text says, unchecked. Raises SchemaParseError or Unsupported at the first fault."""
    return _Parser(source).file()


class _Parser:
    """Recursive descent, one method a construct; nothing in it nests, so neither do the calls."""

    def __init__(self, source: Source) -> None:
        self._cursor = Cursor(source)

    def file(self) -> FileNode:
        """Read the whole text."""
        cursor = self._cursor
        definitions: list[DefinitionNode] = []
        while True:
            cursor.skip_separators()
            if cursor.token.kind == END:
                return FileNode(tuple(definitions), frozenset(cursor.flags))
            if cursor.at_keyword("definition"):
                definitions.append(self._definition())
            elif cursor.at_word("use"):
                self._use(late=bool(definitions))
            else:
                raise self._not_at_top()

    def _not_at_top(self) -> Exception:
        """Return the error for what cannot stand outside a definition."""
        cursor = self._cursor
        if cursor.at_keyword("caveat"):
            return cursor.unsupported("caveats are not supported yet, remove the caveat and every `with` that names it")
        if cursor.at_word("import"):
            return cursor.unsupported("`import` is not supported yet, write all definitions in one text")
        if cursor.at_word("partial"):
            return cursor.unsupported("partials are not supported yet, write their lines in each definition")
        if cursor.token.kind in _CONTINUES:
            return self._continuation()
        hint = did_you_mean(cursor.token.text, ("definition", "use"))
        return cursor.refused(f"expected `definition` or `use`, found {quoted(cursor.token.text)}{_only_close(hint)}")

    def _use(self, *, late: bool) -> None:
        """Read a `use` line; `late` when a definition came before."""
        cursor = self._cursor
        word = cursor.advance()
        if late:
            raise cursor.refused("`use` must stand before the first definition, move it to the top", word)
        if cursor.token.kind == KEYWORD and cursor.token.text in cursor.flags:
            cursor.advance()
            return
        flag = cursor.name("a flag after `use`")
        if flag.text in FLAGS_UNSUPPORTED:
            raise cursor.unsupported(
                f"{quoted('use ' + flag.text)} is not supported yet, remove it and what needs it", flag
            )
        if flag.text not in FLAGS:
            hint = did_you_mean(flag.text, (*FLAGS, *FLAGS_UNSUPPORTED))
            raise cursor.refused(f"{quoted(flag.text)} is not a flag{hint}", flag)
        cursor.switch_on(flag.text, FLAGS[flag.text])

    def _definition(self) -> DefinitionNode:
        """Read `definition path { … }`."""
        cursor = self._cursor
        word = cursor.advance()
        path = cursor.path("a name after `definition`")
        name = cursor.checked(check_type, path)
        opened = cursor.expect("{", "`{` on the same line")
        members: list[RelationNode | Permission] = []
        ladders: list[LadderNode] = []
        while True:
            cursor.skip_separators()
            if cursor.accept("}"):
                return DefinitionNode(name, tuple(members), tuple(ladders), cursor.span(path), word.doc)
            if cursor.token.kind == END:
                raise cursor.refused(f"the definition {quoted(name)} is never closed, write `}}` at its end", opened)
            if cursor.at_keyword("relation"):
                members.append(relation(cursor))
            elif cursor.at_keyword("permission"):
                members.append(permission(cursor))
            elif cursor.at_word("roles") and "roles" in cursor.flags:
                ladders.append(ladder(cursor))
            else:
                raise self._not_in_body()
            self._end_of_statement()

    def _end_of_statement(self) -> None:
        """Ask for a line end, a semicolon or the definition's end (which SpiceDB wants on a line of its own)."""
        # A line end behind `...` is mere space to the lexer, so that `|` may follow, but it ends the relation as well.
        if self._cursor.previous.kind == "..." and self._cursor.starts_line():
            return
        if self._cursor.token.kind not in (NEWLINE, ";", "}", END):
            raise self._cursor.unexpected("the end of the line or `;`")

    def _not_in_body(self) -> Exception:
        """Return the error for what cannot start a line of a definition."""
        cursor = self._cursor
        if cursor.token.kind == "...":
            return cursor.unsupported("partials are not supported yet, write their lines in each definition")
        if cursor.at_word("roles"):
            return cursor.refused("a ladder of `roles` needs a flag, write `use roles` before the first definition")
        if cursor.at_word("grant"):
            return cursor.unsupported("`grant` lines are not supported yet, remove the line")
        if cursor.token.kind in _CONTINUES:
            return self._continuation()
        hint = _only_close(did_you_mean(cursor.token.text, ("relation", "permission", *cursor.flags & {"roles"})))
        return cursor.refused(f"expected `relation`, `permission` or `}}`, found {quoted(cursor.token.text)}{hint}")

    def _continuation(self) -> SchemaParseError:
        """Return the error for a line that starts with an operator."""
        shown = quoted(self._cursor.token.text)
        return self._cursor.refused(
            f"a line cannot start with {shown}: the statement ended with the line before, move {shown} to its end"
        )


def _only_close(hint: str) -> str:
    """Return a hint that names one close word; drop the list of all words, which the message gives already."""
    return hint if "did you mean" in hint else ""

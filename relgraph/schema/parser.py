"""The grammar of a schema: `use` and `import` lines, definitions, partials and caveats, and which lines stand in them.

Whether names and expressions mean anything is decided later (`relgraph.schema.partials`, `relgraph.schema.validate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, did_you_mean, quoted
from relgraph.schema.caveats import caveat
from relgraph.schema.cursor import Cursor
from relgraph.schema.expressions import SYMBOLS
from relgraph.schema.lexer import END, KEYWORD, NAME, NEWLINE, STRING, tokens
from relgraph.schema.members import grants, ladder, permission, relation, splice
from relgraph.schema.tree import BodyNode, FileNode, StatementNode
from relgraph.tuples import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.schema.lexer import Token
    from relgraph.schema.source import Source
    from relgraph.schema.tree import CaveatNode, LineNode

__all__ = ["FLAGS", "parse_tree"]

FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "expiration": ("and", "expiration"),
    "grants": (),
    "import": ("import",),
    "partial": ("partial",),
    "roles": (),
    "self": ("self",),
    "typechecking": ("typechecking",),
    "universal": (),
}
"""What `use` switches on, with the words that are keywords from then on. relgraph's own flags reserve none."""

_CONTINUES: Final = frozenset({*SYMBOLS, "->", ".", "|", ">", ","})


def parse_tree(source: Source) -> FileNode:
    """Return what a text says, unchecked. Raises SchemaParseError at the first fault."""
    return _Parser(source).file()


class _Parser:
    """Recursive descent, one method a construct; nothing in it nests, so neither do the calls."""

    def __init__(self, source: Source) -> None:
        self._cursor = Cursor(source)
        self._definitions: list[BodyNode] = []
        self._partials: list[BodyNode] = []
        self._caveats: list[CaveatNode] = []
        self._uses: list[StatementNode] = []
        self._imports: list[StatementNode] = []

    def file(self) -> FileNode:
        """Read the whole text."""
        cursor = self._cursor
        while True:
            cursor.skip_separators()
            if cursor.token.kind == END:
                return FileNode(
                    tuple(self._definitions),
                    tuple(self._partials),
                    tuple(self._caveats),
                    frozenset(cursor.flags),
                    tuple(self._uses),
                    tuple(self._imports),
                )
            if cursor.at_keyword("definition"):
                self._definitions.append(self._body("definition"))
            elif cursor.at_keyword("partial"):
                self._partials.append(self._body("partial"))
            elif cursor.at_keyword("caveat"):
                self._caveats.append(caveat(cursor))
            elif cursor.at_keyword("import"):
                word = cursor.advance()
                self._imports.append(StatementNode(word, cursor.expect(STRING, "a path in quotes after `import`")))
            elif cursor.at_word("use"):
                self._use()
            else:
                raise self._not_at_top()

    def _not_at_top(self) -> Exception:
        """Return the error for what cannot stand outside a definition."""
        cursor = self._cursor
        for word, shown in (("import", "`import`"), ("partial", "a partial")):
            if cursor.at_word(word):
                return cursor.refused(f"{shown} needs a flag, write `use {word}` before it")
        if cursor.token.kind in _CONTINUES:
            return self._continuation()
        hint = did_you_mean(cursor.token.text, ("caveat", "definition", "use", *cursor.flags & {"import", "partial"}))
        return cursor.refused(
            f"expected `definition`, `caveat` or `use`, found {quoted(cursor.token.text)}{_only_close(hint)}"
        )

    def _use(self) -> None:
        """Read a `use` line."""
        cursor = self._cursor
        word = cursor.advance()
        if self._definitions or self._caveats:
            first = "definition" if self._definitions else "caveat"
            raise cursor.refused(f"`use` must stand before the first {first}, move it to the top", word)
        if cursor.token.kind == KEYWORD and cursor.token.text in cursor.flags:
            self._uses.append(StatementNode(word, cursor.advance()))
            return
        flag = cursor.name("a flag after `use`")
        if flag.text not in FLAGS:
            raise cursor.refused(f"{quoted(flag.text)} is not a flag{did_you_mean(flag.text, FLAGS)}", flag)
        if self._partials and flag.text not in cursor.flags:
            self._refuse_names(word, flag)
        cursor.switch_on(flag.text, FLAGS[flag.text])
        self._uses.append(StatementNode(word, flag))

    def _refuse_names(self, word: Token, flag: Token) -> None:
        """Raise SchemaParseError where a word that `flag` reserves was a name before: it would change its meaning."""
        for token in tokens(self._cursor.source):
            if token.start >= word.start:
                return
            if token.kind == NAME and token.text in FLAGS[flag.text]:
                message = f"{quoted(token.text)} is a name before {quoted('use ' + flag.text)}, move `use` to the top"
                raise self._cursor.refused(message, flag)

    def _body(self, kind: str) -> BodyNode:
        """Read `definition path { … }` or `partial path { … }`."""
        cursor = self._cursor
        word = cursor.advance()
        path = cursor.path(f"a name after {quoted(kind)}")
        name = cursor.checked(check_type, path)
        opened = cursor.expect("{", "`{` on the same line")
        lines: list[LineNode] = []
        while True:
            cursor.skip_separators()
            if cursor.accept("}"):
                return BodyNode(name, tuple(lines), cursor.span(path), word.doc)
            if cursor.token.kind == END:
                raise cursor.refused(f"the {kind} {quoted(name)} is never closed, write `}}` at its end", opened)
            if cursor.at_keyword("relation"):
                lines.append(relation(cursor))
            elif cursor.at_keyword("permission"):
                lines.append(permission(cursor))
            elif cursor.at_word("roles") and "roles" in cursor.flags:
                lines.append(ladder(cursor))
            elif cursor.at_word("grant") and "grants" in cursor.flags:
                lines.extend(grants(cursor))
            elif cursor.token.kind == "..." and "partial" in cursor.flags:
                lines.append(splice(cursor))
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
            return cursor.refused("`...name` needs a flag, write `use partial` before the first definition")
        if cursor.at_word("roles"):
            return cursor.refused("a ladder of `roles` needs a flag, write `use roles` before the first definition")
        if cursor.at_word("grant"):
            return cursor.refused("a `grant` line needs a flag, write `use grants` before the first definition")
        if cursor.token.kind in _CONTINUES:
            return self._continuation()
        words = [word for word, flag in (("roles", "roles"), ("grant", "grants")) if flag in cursor.flags]
        hint = _only_close(did_you_mean(cursor.token.text, ("relation", "permission", *words)))
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

"""The grammar of a schema: `use` lines, definitions, relations, permissions and ladders.

What SpiceDB's language has beyond that is refused here by name, never skipped. Whether names mean anything is
decided later (`relgraph.schema.validate`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import SchemaParseError, did_you_mean, quoted
from relgraph.schema.cursor import Cursor
from relgraph.schema.expressions import SYMBOLS, expression
from relgraph.schema.lexer import END, NEWLINE, Token
from relgraph.schema.model import Permission, SubjectKind
from relgraph.schema.tree import DefinitionNode, KindNode, LadderNode, RelationNode, RungNode
from relgraph.tuples import check_relation, check_type

if TYPE_CHECKING:
    from relgraph.schema.source import Source

__all__ = ["FLAGS", "FLAGS_UNSUPPORTED", "parse_tree"]

FLAGS: Final = ("roles", "universal")
FLAGS_UNSUPPORTED: Final = ("expiration", "grants", "import", "partial", "self", "typechecking")

_CONTINUES: Final = frozenset({*SYMBOLS, "->", ".", "|", ">"})


def parse_tree(source: Source) -> tuple[DefinitionNode, ...]:
    """Return the definitions of a text, in order. Raises SchemaParseError or Unsupported at the first fault."""
    return _Parser(source).file()


class _Parser:
    """Recursive descent, one method a construct; nothing in it nests, so neither do the calls."""

    def __init__(self, source: Source) -> None:
        self._cursor = Cursor(source)
        self._flags: set[str] = set()

    def file(self) -> tuple[DefinitionNode, ...]:
        """Read the whole text."""
        cursor = self._cursor
        definitions: list[DefinitionNode] = []
        while True:
            cursor.skip_separators()
            if cursor.token.kind == END:
                return tuple(definitions)
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
        flag = cursor.name("a flag after `use`")
        if flag.text in FLAGS_UNSUPPORTED:
            raise cursor.unsupported(
                f"{quoted('use ' + flag.text)} is not supported yet, remove it and what needs it", flag
            )
        if flag.text not in FLAGS:
            hint = did_you_mean(flag.text, (*FLAGS, *FLAGS_UNSUPPORTED))
            raise cursor.refused(f"{quoted(flag.text)} is not a flag{hint}", flag)
        self._flags.add(flag.text)

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
                members.append(self._relation())
            elif cursor.at_keyword("permission"):
                members.append(self._permission())
            elif cursor.at_word("roles") and "roles" in self._flags:
                ladders.append(self._ladder())
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
        hint = _only_close(did_you_mean(cursor.token.text, ("relation", "permission", *self._flags & {"roles"})))
        return cursor.refused(f"expected `relation`, `permission` or `}}`, found {quoted(cursor.token.text)}{hint}")

    def _continuation(self) -> SchemaParseError:
        """Return the error for a line that starts with an operator."""
        shown = quoted(self._cursor.token.text)
        return self._cursor.refused(
            f"a line cannot start with {shown}: the statement ended with the line before, move {shown} to its end"
        )

    def _relation(self) -> RelationNode:
        """Read `relation name: kind | kind`."""
        cursor = self._cursor
        word = cursor.advance()
        token = cursor.name("a name after `relation`")
        name = cursor.checked(check_relation, token)
        cursor.expect(":", "`:` and the subject types that the relation takes")
        kinds = [self._kind()]
        while cursor.accept("|"):
            kinds.append(self._kind())
        return RelationNode(name, tuple(kinds), cursor.span(token), word.doc)

    def _kind(self) -> KindNode:
        """Read one subject kind."""
        cursor = self._cursor
        path = cursor.path("a subject type")
        last = part = path
        relation, wildcard = "", False
        if cursor.accept(":"):
            last = cursor.expect("*", "`*` after `:`")
            wildcard = True
        elif cursor.accept("#"):
            last = part = cursor.accept("...") or cursor.name("the name of a relation or permission after `#`")
            relation = "" if part.kind == "..." else part.text
        if wildcard and cursor.token.kind == "#":
            raise cursor.refused(
                f"a wildcard covers plain objects only and takes no relation, write {quoted(path.text + ':*')}"
            )
        if relation and cursor.token.kind == ":":
            raise cursor.refused(
                f"a userset takes no wildcard, write {quoted(path.text + '#' + relation)} or {quoted(path.text + ':*')}"
            )
        universal = False
        if cursor.at_keyword("with"):
            cursor.advance()
            last, universal = self._universal(), True
        kind = SubjectKind(path.text, relation, wildcard, universal)
        return KindNode(kind, cursor.span(path), cursor.span(part), cursor.span(path, last))

    def _universal(self) -> Token:
        """Read what stands behind `with`, of which this version serves `universal` alone; return the last token."""
        cursor = self._cursor
        name = cursor.path("a name after `with`")
        if name.text == "expiration":
            raise cursor.unsupported("`with expiration` is not supported yet, remove it", name)
        if name.text != "universal":
            raise cursor.unsupported(f"caveats are not supported yet, remove {quoted('with ' + name.text)}", name)
        if "universal" not in self._flags:
            raise cursor.unsupported(
                "without its flag `with universal` names a caveat, and caveats are not supported yet; write "
                "`use universal` before the first definition if tuples for every object are meant",
                name,
            )
        if cursor.at_word("and"):
            raise cursor.refused("`universal` comes last, nothing follows it with `and`")
        return name

    def _permission(self) -> Permission:
        """Read `permission name = expression`."""
        cursor = self._cursor
        word = cursor.advance()
        token = cursor.name("a name after `permission`")
        name = cursor.checked(check_relation, token)
        if cursor.token.kind == ":":
            raise cursor.unsupported("type annotations of permissions are not supported yet, write `=` after the name")
        cursor.expect("=", "`=` and an expression")
        return Permission(name, expression(cursor), cursor.span(token), word.doc)

    def _ladder(self) -> LadderNode:
        """Read `roles strongest > weaker > weakest`."""
        cursor = self._cursor
        word = cursor.advance()
        rungs: list[RungNode] = []
        while True:
            token = cursor.name("the name of a relation or permission in `roles`")
            rungs.append(RungNode(token.text, cursor.span(token)))
            if not cursor.accept(">"):
                break
        if cursor.token.kind in (",", "<", "|"):
            raise cursor.unexpected("`>` between the names, strongest first")
        return LadderNode(tuple(rungs), cursor.span(word))


def _only_close(hint: str) -> str:
    """Return a hint that names one close word; drop the list of all words, which the message gives already."""
    return hint if "did you mean" in hint else ""

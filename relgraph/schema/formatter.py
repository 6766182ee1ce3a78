"""A schema's text laid out anew: the same tokens in the same order, every comment, and nothing of how it was spaced.

Unlike the printer, which spells a model, this keeps what somebody wrote: partials and imports, parentheses, the order
of lines, and comments, each still before or behind what it stood by.

Rule 1: the result parses to the same model, docs included, and is its own result.
Rule 2: a line break within a statement stays where an operator ends the line, and where a comment needs it. No line is
broken or filled: what is too long is the writer's to judge.
Rule 3: one empty line at most stays between two lines; around a definition or a caveat there is always one. A `;`
becomes a line end, save where a comment before it would change hands.
Rule 4: a caveat's expression is CEL's, and left as it was written, save for the space around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.schema.lexer import END
from relgraph.schema.parser import parse_tree
from relgraph.schema.reader import check_size
from relgraph.schema.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.schema.source import Source
    from relgraph.schema.words import Comment, Word

__all__ = ["formatted"]

_INDENT: Final = "  "
_BREAKS_AFTER: Final = frozenset({"=", ":", "|", "+", "&", "-", ">", ","})
_TIGHT_BEFORE: Final = frozenset({":", "#", "/", "->", ".", "...", ")", ","})
_TIGHT_AFTER: Final = frozenset({"#", "/", "->", ".", "("})
_CAVEAT_TIGHT_BEFORE: Final = frozenset({"(", ")", ",", "/", "<", ">"})
_CAVEAT_TIGHT_AFTER: Final = frozenset({"(", "/", "<"})


def formatted(source: Source) -> str:
    """Return the canonical layout of a schema, or of a part of one that others import.

    Raises SchemaParseError where the text is not the language's; whether it means anything is not asked.
    """
    check_size(source)
    parse_tree(source)
    layout = _Layout()
    last = ""
    for line in _statements(_without_semicolons(words(source))):
        kind = line.words[0].token.text
        apart = "{" in (line.opens, last)
        layout.statement(line, apart=apart)
        last = "{" if line.closes else "" if kind == ";" else kind
    return layout.text()


@dataclass(slots=True)
class _Line:
    """A statement, or a half of a definition: what stands up to its `{`, or its `}`, or the end of the text."""

    words: list[Word]
    depth: int = 0
    opens: str = ""
    closes: bool = False
    empty: bool = False


def _without_semicolons(all_words: list[Word]) -> list[Word]:
    """Return the words but for each `;` that can go, which leaves the end of a statement behind."""
    kept: list[Word] = []
    ended = False
    for word in all_words:
        if word.token.kind == ";" and _can_go(kept[-1] if kept else None, word):
            ended = True
            continue
        word.ended |= ended
        ended = False
        kept.append(word)
    return kept


def _can_go(last: Word | None, semicolon: Word) -> bool:
    """Return whether a `;` can go, after giving its comments to the token before it."""
    if semicolon.broken and semicolon.before:
        return False
    comments = [*semicolon.before, *semicolon.behind]
    if comments:
        if last is None or any(each.takes_line for each in last.behind):
            return False
        last.behind = [*last.behind, *comments]
    return True


def _statements(all_words: list[Word]) -> Iterator[_Line]:
    """Split a text that parses into its lines."""
    depth = 0
    line: list[Word] = []
    last = ""
    for word in all_words:
        kind = word.token.kind
        if line and _ends(line, word, depth):
            yield _Line(line, depth)
            line = []
        line.append(word)
        if kind == "{":
            yield _Line(line, opens="{")
            line, depth = [], 1
        elif kind == "}":
            yield _Line(line, closes=True, empty=last == "{")
            line, depth = [], 0
        elif kind in (";", END):
            yield _Line(line, depth)
            line = []
        last = kind


def _ends(line: list[Word], word: Word, depth: int) -> bool:
    """Return whether a statement is complete before `word`."""
    if word.token.kind in (";", "}", END):
        return True
    if not depth:
        # `use flag` and `import "path"` need no line end; a definition's first half ends with its `{`.
        return line[0].token.text in ("use", "import") and len(line) == 2
    # A line end behind `user#...` is no token, so that `|` may follow, and ends the statement for all else.
    open_ended = line[-1].token.kind == "..." and len(line) > 1
    return word.ended or (open_ended and word.broken and word.token.text not in ("|", "with"))


class _Layout:
    """The lines so far; the last one may still grow, and is kept in pieces: it can be as long as the text."""

    __slots__ = ("_fresh", "_last", "_lines", "_width")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._last: list[str] = []
        self._width = 0
        # At the top of the text and of a definition no empty line is kept.
        self._fresh = True

    def text(self) -> str:
        """Return all lines."""
        self._end()
        return "".join(f"{line}\n" for line in self._lines)

    def statement(self, line: _Line, *, apart: bool) -> None:
        """Write a statement on lines of its own, `apart` from what stands before."""
        first, *others = line.words
        inside = _INDENT * (line.depth + line.closes)
        for comment in first.before:
            self._own_lines(comment, inside, blank=comment.blank or apart)
            apart = False
        if first.token.kind == END:
            return
        indent = _INDENT * line.depth
        if line.closes and line.empty and not first.before and self._last[-1] == "{":
            self._add("}")
        else:
            self._start(indent + first.token.text, blank=not line.closes and (first.blank or apart))
        self._rest(line.words, others, indent)
        self._behind(line.words[-1].behind)
        self._fresh = bool(line.opens)

    def _rest(self, line: list[Word], others: list[Word], indent: str) -> None:
        """Write all but the first word of a statement."""
        level = 2
        caveat = line[0].token.text == "caveat"
        for index, word in enumerate(others):
            last = line[index]
            before = line[index - 1].token.text if index else ""
            level += (last.token.kind == "(") - (last.token.kind == ")")
            further = indent + _INDENT * level
            self._behind(last.behind)
            if word.broken:
                for comment in word.before:
                    self._own_lines(comment, further, blank=False)
            else:
                self._behind(word.before)
            commented = bool(last.behind or word.before)
            if word.broken and (commented or _breaks(last, word)):
                self._start(further + word.token.text, blank=False)
            else:
                tight = not commented and _tight(before, last.token.text, word.token.text, caveat=caveat)
                if not tight:
                    self._add(" ")
                self._add(word.token.text)

    def _start(self, text: str, *, blank: bool) -> None:
        """Begin a line, with an empty one before it if need be."""
        self._end()
        if blank and not self._fresh:
            self._lines.append("")
        self._add(text)
        self._fresh = False

    def _add(self, piece: str) -> None:
        """Let the last line grow."""
        self._last.append(piece)
        self._width += len(piece)

    def _end(self) -> None:
        """Let nothing more stand on the last line."""
        if self._last:
            self._lines.append("".join(self._last))
        self._last, self._width = [], 0

    def _further(self, lines: Iterable[str], indent: str) -> None:
        """Write the further lines of a comment, the last of which may still grow."""
        for line in lines:
            self._end()
            self._add(indent + line if line else "")

    def _own_lines(self, comment: Comment, indent: str, *, blank: bool) -> None:
        """Write a comment on lines of its own."""
        first, *others = comment.lines
        self._start(indent + first, blank=blank)
        self._further(others, indent)

    def _behind(self, comments: Iterable[Comment]) -> None:
        """Write comments behind what stands on the line, their further lines below their first."""
        for comment in comments:
            first, *others = comment.lines
            self._add(" ")
            column = self._width
            self._add(first)
            self._further(others, " " * column)


def _breaks(last: Word, word: Word) -> bool:
    """Return whether a line break between two tokens of a statement is worth keeping."""
    return last.token.kind in _BREAKS_AFTER and word.token.kind != "*"


def _tight(before: str, last: str, text: str, *, caveat: bool) -> bool:
    """Return whether no space stands between `last` and `text`; `before` stands before both of them."""
    if caveat:
        return text in _CAVEAT_TIGHT_BEFORE or last in _CAVEAT_TIGHT_AFTER
    if text == "(":
        return before == "." or last == "("
    if last == ":":
        return text == "*"
    if last == "...":
        # A splice begins with it; as in `user#...` it is a name.
        return not before
    return text in _TIGHT_BEFORE or last in _TIGHT_AFTER

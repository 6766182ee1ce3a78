"""The tokens of a text together with the comments and line breaks around them: nothing of what was written is lost.

The lexer drops what a parser has no use for. Here a gap between two tokens is read a second time, so that comments and
blank lines are known by the token they belong to, and the lexer stays the only one that knows what a token is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relgraph.schema.lexer import END, NEWLINE, comment_lines, tokens

if TYPE_CHECKING:
    from relgraph.schema.lexer import Token
    from relgraph.schema.source import Source

__all__ = ["Comment", "Word", "words"]

_GAP = re.compile(r"(?P<comment>//[^\r\n]*|/\*(?s:.*?)\*/)|(?P<line>\r\n|\r|\n)")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment's offsets and its lines, free of indentation; `blank` says that an empty line stands before it."""

    start: int
    end: int
    lines: tuple[str, ...]
    blank: bool = False

    @property
    def takes_line(self) -> bool:
        """Whether nothing can stand behind it on its line."""
        return self.lines[0].startswith("//")


@dataclass(slots=True)
class Word:
    """A token and what surrounds it.

    `before` are the comments that the lexer would call its doc, `behind` those that end its line. `broken` says that
    a line ended since the token before, `ended` that a statement did, `blank` that an empty line stands right before.
    """

    token: Token
    before: list[Comment] = field(default_factory=list)
    behind: list[Comment] = field(default_factory=list)
    broken: bool = False
    ended: bool = False
    blank: bool = False


def words(source: Source) -> list[Word]:
    """Return all tokens but line ends, the last of kind END. Raises SchemaParseError as the lexer does."""
    found: list[Word] = []
    position = 0
    ended = False
    for token in tokens(source):
        if token.kind == NEWLINE:
            ended = True
            continue
        word = Word(token, ended=ended)
        gap_end = len(source.text) if token.kind == END else token.start
        _read_gap(source, position, gap_end, found[-1] if found else None, word)
        found.append(word)
        position, ended = token.end, False
    return found


def _read_gap(source: Source, start: int, end: int, last: Word | None, word: Word) -> None:
    """Share the comments between two tokens out among them, and note the breaks."""
    lines = 0
    first_line: list[Comment] = []
    for match in _GAP.finditer(source.text, start, end):
        if match.lastgroup == "line":
            lines += 1
            word.broken = True
            continue
        shown = tuple(comment_lines(source, match.start(), match.end()))
        comment = Comment(match.start(), match.end(), shown, blank=lines > 1)
        (word.before if word.broken else first_line).append(comment)
        lines = 0
    word.blank = lines > 1
    if last is not None and (word.broken or word.token.kind == END):
        last.behind = first_line
    else:
        word.before = first_line + word.before

"""One token of look-ahead over a schema text, and the errors that a parser raises there.

No grammar lives here: only stepping, expecting, and saying what was found instead.
Rule 1: which names are keywords depends on the flags switched on so far, and is decided here alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import InvalidName, SchemaParseError, quoted
from relgraph.schema.lexer import END, KEYWORD, NAME, NEWLINE, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.rewrites import Span
    from relgraph.schema.source import Source

__all__ = ["Cursor"]


class Cursor:
    """The token at hand, and how to go on from it."""

    __slots__ = ("_reserved", "_tokens", "flags", "previous", "source", "token")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.flags: set[str] = set()
        self._reserved: dict[str, str] = {}
        self._tokens = tokens(source)
        self.token = self.previous = next(self._tokens)

    def switch_on(self, flag: str, words: tuple[str, ...]) -> None:
        """Switch a flag on, which turns `words` into keywords from the token at hand on."""
        self.flags.add(flag)
        self._reserved.update(dict.fromkeys(words, flag))
        self.token = self._as_reserved(self.token)

    def _as_reserved(self, token: Token) -> Token:
        return token._replace(kind=KEYWORD) if token.kind == NAME and token.text in self._reserved else token

    def advance(self) -> Token:
        """Return the token at hand and step to the next; the end stays at hand."""
        self.previous = self.token
        self.token = self._as_reserved(next(self._tokens, self.previous))
        return self.previous

    def accept(self, kind: str) -> Token | None:
        """Step over a token of this kind and return it; None, without a step, where another is at hand."""
        return self.advance() if self.token.kind == kind else None

    def expect(self, kind: str, wanted: str) -> Token:
        """Step over a token of this kind and return it. Raises SchemaParseError naming `wanted` otherwise."""
        if self.token.kind != kind:
            raise self.unexpected(wanted)
        return self.advance()

    def at_word(self, *words: str) -> bool:
        """Return whether a name that is one of `words` is at hand."""
        return self.token.kind == NAME and self.token.text in words

    def at_keyword(self, word: str) -> bool:
        """Return whether this keyword is at hand."""
        return self.token.kind == KEYWORD and self.token.text == word

    def accept_word(self, word: str) -> Token | None:
        """Step over this word, be it a keyword or a name; None, without a step, where another token is at hand."""
        return self.advance() if self.token.kind in (NAME, KEYWORD) and self.token.text == word else None

    def name(self, wanted: str) -> Token:
        """Step over a name. Raises SchemaParseError, with a word of its own for keywords."""
        if self.token.kind == KEYWORD:
            word = self.token.text
            why = f" under {quoted('use ' + self._reserved[word])}" if word in self._reserved else ""
            raise self.refused(f"expected {wanted}, but {quoted(word)} is a keyword{why}, choose another name")
        return self.expect(NAME, wanted)

    def path(self, wanted: str) -> Token:
        """Step over a name with `prefix/` parts before it, and return all of it as one token."""
        first = self.name(wanted)
        parts, end = [first.text], first.end
        while self.accept("/"):
            part = self.name("a name after `/`")
            parts.append(part.text)
            end = part.end
        return Token(NAME, "/".join(parts), first.start, end)

    def skip_separators(self) -> None:
        """Step over line ends and semicolons."""
        while self.token.kind in (NEWLINE, ";"):
            self.advance()

    def starts_line(self) -> bool:
        """Return whether a line ended between the token stepped over last and the one at hand."""
        return self.span(self.previous).line < self.span(self.token).line

    def span(self, first: Token, last: Token | None = None) -> Span:
        """Return the place from `first` to `last`, or of `first` alone."""
        return self.source.span(first.start, (last or first).end)

    def checked(self, check: Callable[[str], str], token: Token) -> str:
        """Return the token's text if `check` passes it, its InvalidName turned into SchemaParseError at the token."""
        try:
            return check(token.text)
        except InvalidName as error:
            raise self.refused(error.message, token) from None

    def refused(self, message: str, token: Token | None = None) -> SchemaParseError:
        """Return the error for a break of the grammar at `token`, or at the one at hand."""
        return self.source.problem(SchemaParseError, message, self.span(token or self.token))

    def unexpected(self, wanted: str) -> SchemaParseError:
        """Return the error for any other token than `wanted`."""
        return self.refused(f"expected {wanted}, found {self._found()}")

    def _found(self) -> str:
        """Return words for the token at hand."""
        if self.token.kind == END:
            return "the end of the text"
        return "the end of the line" if self.token.kind == NEWLINE else quoted(self.token.text)

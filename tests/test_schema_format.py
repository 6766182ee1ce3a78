"""The formatter: what it makes of a text, and that neither meaning, comments nor its own layout ever change."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from relgraph.errors import SchemaParseError
from relgraph.schema import parse, print_schema
from relgraph.schema.formatter import formatted
from relgraph.schema.lexer import EXPRESSION, KEYWORD, NAME, NEWLINE, tokens
from relgraph.schema.source import Source
from relgraph.schema.words import Word, words
from tests.schema_models import facts, models

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UGLY = """\
// header

/* two
     lines */ use   self
use grants;use partial
use roles;use typechecking
/* the person */ definition   user{}  // trailing
// about group
definition group { relation member:user|group  #  boss|
   user:*; /* why */ relation boss : user /* x */ ; // y



   relation one_more:user#...
   | group #  boss }
partial base {

    relation owner: user#... // o
    relation plain:user

    grant owner ,plain by   view
    permission view = owner+
        // inner note
        ( plain -
           owner )

}
definition acme / doc { // open
 roles view
 ...base
 relation parent:
   acme/doc
 permission pick: user|group =
   parent . any ( view ) & parent->
     view - nil
 // before close
}
// end
"""

TIDY = """\
// header

/* two
     lines */
use self
use grants
use partial
use roles
use typechecking

/* the person */
definition user {} // trailing

// about group
definition group {
  relation member: user | group#boss |
      user:*
  /* why */
  relation boss: user /* x */ // y

  relation one_more: user#... | group#boss
}

partial base {
  relation owner: user#... // o
  relation plain: user

  grant owner, plain by view
  permission view = owner +
      // inner note
      (plain -
        owner)
}

definition acme/doc { // open
  roles view
  ...base
  relation parent:
      acme/doc
  permission pick: user | group =
      parent.any(view) & parent->view - nil
  // before close
}

// end
"""


def tidy(text: str) -> str:
    """Return the layout of a text."""
    return formatted(Source(text))


def test_a_layout() -> None:
    """Spacing, indentation and empty lines become canonical; comments, order and wanted line breaks stay."""
    assert tidy(UGLY) == TIDY
    assert tidy(TIDY) == TIDY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n\n", ""),
        ("// alone", "// alone\n"),
        (";;", ""),
        ("definition user {\n\n}", "definition user {}\n"),
        ("definition user { // why\n}", "definition user { // why\n}\n"),
        ("definition user { /* why */ }", "definition user {\n  /* why */\n}\n"),
        ("definition user {\n;\n// late\n}", "definition user {\n  // late\n}\n"),
        ("use import;import 'a.zed'; import \"b.zed\"", "use import\nimport 'a.zed'\nimport \"b.zed\"\n"),
        ("definition a_b {} definition c_d {}", "definition a_b {}\n\ndefinition c_d {}\n"),
        (
            "definition user { relation one: user\n// held\n; relation two: user }",
            "definition user {\n  relation one: user\n  // held\n  ;\n  relation two: user\n}\n",
        ),
        (
            "definition user { relation one: user /* a\n      b */ }",
            "definition user {\n  relation one: user\n  /* a\n  b */\n}\n",
        ),
        (
            "definition user {\n relation one: user /* a\n                     b */\n}",
            "definition user {\n  relation one: user /* a\n                      b */\n}\n",
        ),
    ],
)
def test_small_layouts(text: str, expected: str) -> None:
    """Empty texts, comments in odd places, semicolons and imports have one layout each, which stays as it is."""
    assert tidy(text) == expected
    assert tidy(expected) == expected


def test_a_part_is_formatted_without_the_rest() -> None:
    """A file that others import is laid out though its names mean nothing by themselves."""
    text = "definition doc {\n  relation owner: person | team#member\n}\n"
    assert tidy(text.replace("  ", "\t")) == text


@pytest.mark.parametrize("text", ["definition user {", "caveat small(limit int) { limit < 2 ", "caveat small() {}"])
def test_what_cannot_be_read_is_not_touched(text: str) -> None:
    """A text that is not of the language is refused, and named as where it was read from."""
    with pytest.raises(SchemaParseError, match=r"^here\.zed, line 1"):
        formatted(Source(text, "here.zed"))


# --- the laws, on texts that nobody would write ---

ENDS = frozenset({NAME, KEYWORD, "}", ")", "*"})
SPACES = ("", " ", "\t", "   ", " /* c */ ", " /* two\n      lines */", " /*\n\t// odd\n\n */ /**/ ")
BREAKS = (
    *SPACES,
    "\n",
    "\r\n\r\n",
    "\n\n\n\n",
    " // note\n",
    "\n  // own\n\n",
    "\n/* block\n  of two */\n",
    "\n// a\n// b\n",
)
ENDINGS = ("\n", ";", " ; // gone\n", "\n;\n", " // note\n ; /* x */", "\n// kept\n;", "/* y */ ;", ";;\n\n;", "\n\n")
WRITTEN = (
    UGLY,
    "use partial\nuse import\nimport '''a.zed'''\npartial base { relation one: user#...\n ...more\n}\n",
    "definition user {\n relation one: user#... |\n user:*\n relation two: user#...\n}\n",
    "caveat org / late ( hour int,\n day list < map < string > >\n ) {hour>5&&\n  day != [{'a': '}'}] // why\n}\n",
    "use expiration\nuse universal\ndefinition user { relation one: user with expiration and universal | user # ...\n}",
)


# What stands beside an expression would be part of it.
BESIDE = (" ", "\n", "\r\n\t", "\n\n\n ")


def gap(pick: Callable[[Sequence[str]], str], before: Word | None, last: Word | None, word: Word) -> str:
    """Return something to stand between two tokens that changes neither of them, nor the end of a statement."""
    open_ended = before is not None and before.token.kind == "#" and last is not None and last.token.kind == "..."
    if EXPRESSION in (word.token.kind, "" if last is None else last.token.kind):
        return pick(BESIDE) + "\n"
    if word.ended or (open_ended and word.broken and word.token.kind != "|"):
        return pick(BREAKS) + pick(ENDINGS) + pick(BREAKS)
    free = last is None or (last.token.kind not in ENDS and not open_ended)
    found = pick(BREAKS if free else SPACES)
    wordlike = last is not None and (last.token.text[-1] + word.token.text[:1]).replace("_", "a").isalnum()
    return " " if wordlike and not found else found


@st.composite
def rough(draw: st.DrawFn) -> str:
    """Draw a text that parses, with any comments, line breaks and semicolons its tokens allow."""
    text = draw(st.sampled_from(WRITTEN) | models().map(print_schema))
    # Few draws that repeat: a long text is as fast as a short one, and shrinks as well.
    numbers = itertools.cycle(draw(st.lists(st.integers(0, 200), min_size=1, max_size=30)))
    parts: list[str] = []
    before = last = None
    for word in words(Source(text)):
        parts += [gap(lambda options: options[next(numbers) % len(options)], before, last, word), word.token.text]
        before, last = last, word
    return "".join(parts)


def said(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, ...]]]:
    """Return a text's tokens with their docs, and its comments, each in order."""
    source = Source(text)
    named = ("caveat", "definition", "partial", "relation", "permission")
    found = [
        (token.text, token.doc if token.text in named else "")
        for token in tokens(source)
        if token.kind not in (NEWLINE, ";")
    ]
    comments = [comment for word in words(source) for comment in (*word.before, *word.behind)]
    return found, [comment.lines for comment in sorted(comments, key=lambda each: each.start)]


# Texts are long here, and five thousand of them would take a quarter of an hour.
@settings(max_examples=min(settings().max_examples, 1_000))
@given(text=rough())
def test_nothing_is_lost_and_nothing_moves_twice(text: str) -> None:
    """A layout has the same tokens, docs and comments in the same order, means the same, and is its own layout."""
    found = tidy(text)
    note(found)
    assert said(found) == said(text)
    assert tidy(found) == found
    assert all(line == line.rstrip() for line in found.split("\n"))
    if "import" not in text:
        assert facts(parse(found)) == facts(parse(text))

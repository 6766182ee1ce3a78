"""The nouns as text both ways: patterns and sizes, byte for byte; tokens and consistency; words for people."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.errors import (
    InvalidFilter,
    InvalidId,
    InvalidInput,
    InvalidName,
    InvalidToken,
    InvalidTuple,
    did_you_mean,
    quoted,
)
from relgraph.revision import Consistency, Token
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter

SEGMENT = st.from_regex(r"[a-z][a-z0-9_]{1,10}[a-z0-9]", fullmatch=True)
TYPES = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
IDS = st.from_regex(r"[a-zA-Z0-9/_|\-=+]{1,20}", fullmatch=True)
TOKENS = st.builds(
    Token,
    store=st.binary(min_size=16, max_size=16),
    epoch=st.integers(0, 2**32 - 1),
    revision=st.integers(0, 2**63 - 1),
    nonce=st.binary(min_size=16, max_size=16),
    instant=st.integers(0, 2**62),
)


@given(TYPES, IDS | st.just("*"), SEGMENT, TYPES, IDS, SEGMENT | st.just(""))
def test_a_tuple_is_its_text(type_: str, id_: str, relation: str, other: str, other_id: str, userset: str) -> None:
    """What is printed reads back to the same tuple, and parts that could be read are accepted as parts."""
    made = RelationTuple(Object(type_, id_), relation, Subject(other, other_id, userset))
    assert made == RelationTuple.parse(str(made)) == RelationTuple.of(made)
    assert (id_ == "*") == made.universal


@given(st.text(max_size=40))
def test_any_text_is_a_tuple_or_an_error(text: str) -> None:
    """Nothing but InvalidInput comes of a text that is no tuple, and nothing is trimmed of one that is."""
    for noun in (RelationTuple, Object, Subject):
        with contextlib.suppress(InvalidInput):
            assert str(noun.parse(text)) == text.removesuffix("#...")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("user:anna@example.com", InvalidId, "allowed are letters"),
        ("user:an\x07na", InvalidId, r"`\x07`"),
        ("user:anna ", InvalidId, "` `"),
        ("user:änna", InvalidId, "`ä`"),
        ("user:", InvalidId, "empty"),
        ("user:" + "a" * 1025, InvalidId, "1025"),
        ("User:anna", InvalidName, "cannot name a type"),
        ("us:anna", InvalidName, "3 to 64"),
        ("a/user:anna", InvalidName, "between slashes"),
        ("anna", InvalidTuple, "type:id"),
        ("user:*", InvalidTuple, "name one object"),
        ("group:a#b", InvalidName, "relation or permission"),
        ("group:a#", InvalidName, "relation or permission"),
    ],
)
def test_a_wrong_subject_says_what_is_wrong(text: str, error: type[InvalidInput], says: str) -> None:
    """Each fault has its class, names the input and says what is allowed."""
    with pytest.raises(error) as caught:
        Subject.parse(text)
    assert says in caught.value.message


def test_sizes_and_patterns_are_spicedbs() -> None:
    """The longest id and name are taken, a byte more is not; ids differ by case; `...` is a plain subject."""
    assert len(Object.parse("doc:" + "x" * 1024).id) == 1024
    assert Object.parse("a" * 64 + ":x").type == "a" * 64
    with pytest.raises(InvalidName):
        Object.parse("a" * 65 + ":x")
    with pytest.raises(InvalidName):
        RelationTuple.parse(f"doc:a#{'r' * 65}@user:b")
    assert Object.parse("doc:A") != Object.parse("doc:a")
    assert Subject.parse("user:anna#...") == Subject("user", "anna")
    with pytest.raises(InvalidTuple, match="caveat"):
        RelationTuple.parse("doc:a#viewer@user:b[limit]")
    with pytest.raises(InvalidTuple, match="plain objects only"):
        RelationTuple.parse("doc:a#viewer@user:*#member")


@given(TOKENS, st.integers(0, 200))
def test_a_token_is_its_text_and_nothing_else(token: Token, place: int) -> None:
    """A token reads back to itself; with one character changed it is refused."""
    text = str(token)
    assert token == Token.parse(text)
    place %= len(text) - 1
    with pytest.raises(InvalidToken):
        Token.parse(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :])


def test_consistency_takes_a_token_where_it_needs_one() -> None:
    """A mode without its token, and a token without a mode for it, are refused."""
    token = Token(b"s" * 16, 1, 2, b"n" * 16, 3)
    assert Consistency.at_least(str(token)).token == token
    with pytest.raises(InvalidToken, match="needs a token"):
        Consistency("at_least")
    with pytest.raises(InvalidToken, match="takes no token"):
        Consistency("fully_consistent", token)


def test_a_filter_names_what_it_belongs_to() -> None:
    """An id without its type, an empty relation and a bad name are refused."""
    for wrong in ({"resource_id": "a"}, {"subject_id": "a"}, {"subject_relation": "member"}, {"relation": ""}):
        with pytest.raises(InvalidFilter):
            TupleFilter(**wrong)
    with pytest.raises(InvalidName):
        TupleFilter("Doc")


def test_words_for_people() -> None:
    """Input is quoted on one printable line, its own backticks escaped; the closest word is suggested."""
    assert quoted("a`b\n\x1b") == r"`a\x60b\n\x1b`"
    assert quoted("x" * 100, 5) == "`xxxxx…`"
    assert did_you_mean("viewr", ["viewer", "owner"]) == ", did you mean `viewer`?"
    assert did_you_mean("zzz", ["viewer", "owner"]) == ", known here: `owner`, `viewer`"
    assert did_you_mean("zzz", []) == ""

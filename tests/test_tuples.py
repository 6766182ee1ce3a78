"""The nouns as text both ways: patterns and sizes, byte for byte; tokens and consistency; words for people."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.contexts import EMPTY, Context
from relgraph.errors import (
    InvalidContext,
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
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter, question_of

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


MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
HOSTILE = st.text(st.sampled_from('[]{}@#:"\\expiration,') | st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TYPES, st.dictionaries(HOSTILE, HOSTILE | st.just("[expiration:2027-01-01T00:00:00Z]"), max_size=2), MOMENTS)
def test_a_caveat_and_its_context_are_in_the_text(name: str, values: dict[str, object], until: datetime | None) -> None:
    """Whatever a context's texts hold, brackets and marks of tuples too, what is printed reads back to the same."""
    plain = RelationTuple.parse("doc:a#viewer@group:b#member")
    for caveat in (name, "expiration"):
        made = RelationTuple(*plain.key, until, caveat, Context.of(values))
        assert made == RelationTuple.parse(str(made)) == RelationTuple.of(made)
        assert made.key == plain.key
        assert str(made).startswith(f"{plain}[{caveat}")
        assert made != RelationTuple(*plain.key, until) == RelationTuple.parse(str(RelationTuple(*plain.key, until)))


@pytest.mark.parametrize(
    ("text", "expires", "caveat", "context"),
    [
        ("[limited]", False, "limited", {}),
        ("[limited:{}]", False, "limited", {}),
        ('[acme/limited:{"n": 1.0}]', False, "acme/limited", {"n": 1}),
        ('[limited:{"a":"]["}][expiration:2027-01-31T12:00:00Z]', True, "limited", {"a": "]["}),
        ("[expiration:2027-01-31T12:00:00Z]", True, "", {}),
        ("[expiration]", False, "expiration", {}),
        ('[expiration:{"a":1}]', False, "expiration", {"a": 1}),
    ],
)
def test_traits_are_spelled_as_in_spicedb(text: str, expires: bool, caveat: str, context: dict[str, object]) -> None:
    """The caveat stands first, with its context as JSON where there is one; then until when the tuple counts."""
    made = RelationTuple.parse(f"doc:a#viewer@user:b{text}")
    assert (made.expires_at is not None, made.caveat) == (expires, caveat)
    assert made.context == context


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("[]", InvalidTuple, "behind its subject"),
        ("[lim-ited]", InvalidName, "cannot name a caveat"),
        ("[limited:]", InvalidTuple, "behind its subject"),
        ("[limited:1]", InvalidTuple, "behind its subject"),
        ("[limited:{]", InvalidContext, "not JSON"),
        ('[limited:{"a":1,"a":2}]', InvalidContext, "twice"),
        ("[limited][other]", InvalidName, "cannot name a caveat"),
        ("[expiration:2027-01-31T12:00:00Z][limited]", InvalidTuple, "behind its subject"),
        ("[expiration:soon]", InvalidInput, "not a point in time"),
        ("[limited]x", InvalidId, "not allowed"),
        ("[limited", InvalidId, "not allowed"),
        ("[limited][expiration:2027-01-31T12:00:00Z]]", InvalidTuple, "behind its subject"),
    ],
)
def test_wrong_traits_say_what_is_wrong(text: str, error: type[InvalidInput], says: str) -> None:
    """What stands behind a subject is a caveat and an expiration, each once and in this order, or an error."""
    with pytest.raises(error) as caught:
        RelationTuple.parse(f"doc:a#viewer@user:b{text}")
    assert says in caught.value.message


@pytest.mark.parametrize("name", ["near", "n", "isOwner", "_x", "1a", "acl/isOwner", "x" * 128])
def test_caveats_may_be_named_as_in_spicedb(name: str) -> None:
    """A caveat's name is as free as SpiceDB's, and what is given to it stays untold whatever it is called."""
    text = f'doc:a#viewer@user:b[{name}:{{"key":"secret"}}]'
    fact = RelationTuple.parse(text)
    assert (name, text) == (fact.caveat, str(fact))
    assert "secret" not in quoted(text, 400)


def test_parts_are_checked_as_their_text_is() -> None:
    """A caveat's name keeps its pattern, a context needs a caveat, and a mapping becomes a context."""
    key = RelationTuple.parse("doc:a#viewer@user:b").key
    with pytest.raises(InvalidName, match="cannot name a caveat"):
        RelationTuple.of(RelationTuple(*key, caveat="lim-ited"))
    with pytest.raises(InvalidTuple, match="no caveat that it would be for"):
        RelationTuple.of(RelationTuple(*key, context=Context.of({"n": 1})))
    with pytest.raises(InvalidContext):
        RelationTuple(*key, caveat="limited", context={"n": b""})  # type: ignore[arg-type]
    assert RelationTuple(*key, caveat="limited", context={"n": 1.0}) == RelationTuple.parse(  # type: ignore[arg-type]
        'doc:a#viewer@user:b[limited:{"n":1}]'
    )
    with pytest.raises(InvalidTuple, match="asks with a caveat"):
        question_of("doc:a#viewer@user:b[limited]", None, None)


def test_the_order_of_tuples_is_total() -> None:
    """By key, then by expiration, never last, then by caveat and context: of any two, one comes first."""
    texts = ["", '[limited:{"n":1}]', '[limited:{"n":2}]', "[limited]", "[other]"]
    until = ["[expiration:2026-01-01T00:00:00Z]", "[expiration:2027-01-01T00:00:00Z]", ""]
    ordered = [RelationTuple.parse(f"doc:{i}#viewer@user:b{text}{t}") for i in "ab" for t in until for text in texts]
    backwards = ordered[::-1]
    assert sorted(backwards) == ordered
    assert len({*ordered}) == len(ordered)
    for index, one in enumerate(ordered):
        assert [one < other for other in ordered] == [index < place for place in range(len(ordered))]
    assert RelationTuple.parse("doc:a#viewer@user:b").context is EMPTY


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
    with pytest.raises(InvalidFilter, match="name one of the two"):
        TupleFilter("doc", "a", resource_id_prefix="a")


def test_a_filter_may_name_what_ids_begin_with() -> None:
    """It matches each id that begins so, is told as such, and is bound to nothing that another filter is."""
    filter_ = TupleFilter("doc", resource_id_prefix="pl")
    matched = [
        id_ for id_ in ("plan", "pl", "p", "*", "apl") if filter_.matches(RelationTuple.parse(f"doc:{id_}#view@user:x"))
    ]
    assert matched == ["plan", "pl"]
    assert str(filter_) == "doc:pl…"
    assert len({TupleFilter("doc").words, TupleFilter("doc", "pl").words, filter_.words}) == 3
    with pytest.raises(InvalidId):
        TupleFilter.parse(str(filter_))


def test_words_for_people() -> None:
    """Input is quoted on one printable line, its own backticks escaped; the closest word is suggested."""
    assert quoted("a`b\n\x1b") == r"`a\x60b\n\x1b`"
    assert quoted("x" * 100, 5) == "`xxxxx…`"
    assert did_you_mean("viewr", ["viewer", "owner"]) == ", did you mean `viewer`?"
    assert did_you_mean("zzz", ["viewer", "owner"]) == ", known here: `owner`, `viewer`"
    assert did_you_mean("zzz", []) == ""

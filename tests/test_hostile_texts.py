"""Texts of megabytes from anybody: they are refused as quickly as short ones, and their errors stay short and safe."""

from __future__ import annotations

import pytest

from relgraph.errors import InvalidInput, quoted
from relgraph.tuples import Object, RelationTuple, Subject

SIZE = 4_000_000
PIECES = ("a", "//a:", "a:/", "x:/y:", "/", "rg_", "a.b+c", ":", " a:/", "@", "//a:b@", "\n", "#", "`", "\x00", "é")


@pytest.mark.parametrize("piece", PIECES)
def test_an_endless_text_is_refused(piece: str) -> None:
    """Whatever is repeated in it, a text of megabytes is no object, subject or tuple, and its error is short."""
    text = piece * (SIZE // len(piece))
    for parse in (Object.parse, Subject.parse, RelationTuple.parse):
        for hostile in (text, f"user:{text}", f"report:q3#viewer@user:{text}"):
            with pytest.raises(InvalidInput) as caught:
                parse(hostile)
            assert len(caught.value.message) < 2_000


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"postgresql://relgraph:{'secret' * 1_000}@db", "secret"),
        (f"{'x' * 4_050}postgresql://relgraph:hidden@db", "hidden"),
        (f"rg_{'k' * 60} " * 64 + "rg_visible" + "v" * 40, "visible"),
        (f"{'rg_' + 'k' * 4_080} rg_visible{'v' * 40}", "visible"),
        (f"//{'rg_' + 'k' * 4_080}:pass{'w' * 40}@db", "pass"),
    ],
)
def test_a_secret_at_the_cut_stays_hidden(text: str, secret: str) -> None:
    """A password or key that a long text was cut in is left out of what is shown, like a whole one."""
    assert secret not in quoted(text)

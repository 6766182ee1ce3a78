"""Every text and file that relgraph reads, damaged and made up: only its own errors, fit to be shown, ever come out."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relgraph.errors import RelgraphError
from tests.fuzzing import damaged
from tests.text_targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

LONG = bool(os.environ.get("RELGRAPH_LONG"))
SEED = int(os.environ.get("RELGRAPH_SEED", "0")) or Random().randrange(1, 10**9)
INPUTS = 100_000 if LONG else 300

PIECES = (
    *(bytes([each]) for each in b":#@*,;|/\\\"'`[]{}()<>=-+.&%~!\n\r\t\0 \xff"),
    *(text.encode() for text in ("é", "\u202e", "\ufeff", "\U0001f600", "...", "->", "//", "/*", "*/", "---")),
    *(
        b"null",
        b"true",
        b"1e999",
        b"0x1",
        b"nil",
        b"use",
        b"definition",
        b"relation",
        b"permission",
        b"",
        b"\xed\xa0\x80",
    ),
    b"9" * 30,
    *(b"&a [*a,*a]", b"<<: *a", b"!!python/object:os.system", b"rg_" + b"k" * 43, b"://u:p@h", b"2027-02-30T25:61:61Z"),
)
"""What tends to trip a reader up."""

ENDLESS = (*(piece * 3_000 for piece in (b"99", b"[", b"{", b'{"a":', b"(", b"- ", b"//a:", b"pas=")), b"a" * 70_000)
"""The same at length: put in seldom, since each takes its time."""


def tried(name: str, data: bytes, path: Path) -> None:
    """Let a target read; what is wrong with that is an AssertionError that shows the input."""
    refused: RelgraphError | None = None
    try:
        TARGETS[name].read(data, path)
    except RelgraphError as error:
        refused = error
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} from {name} of {data[:300]!r}: RELGRAPH_SEED={SEED}") from error
    if refused is not None:
        text = refused.message
        assert type(refused) is not RelgraphError, data
        # A caret line may stand below a line with tabs.
        assert text.replace("\n", "").replace("\t", "").isprintable(), (data, text)
        assert 10 < len(text) < 3_000, (data, text)
        assert not text.endswith(". "), (data, text)
        assert all(isinstance(value, str) for value in refused.details.values()), data


def mutated(random: Random, seeds: tuple[str, ...]) -> bytes:
    """Return one of the seeds with pieces put in or taken out, or with its bytes damaged."""
    data = random.choice(seeds).encode()
    for _ in range(random.choice((1, 1, 2, 4))):
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((0, 0, 1, 3, 30)))
        data = data[:start] + random.choice(PIECES if random.random() < 0.98 else ENDLESS) + data[end:]
    return damaged(random, data) if random.random() < 0.3 else data


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_texts_meet_clear_errors(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was good and is damaged is read as something, or refused by an error of relgraph's own that can be shown."""
    monkeypatch.chdir(tmp_path)
    random = Random(SEED)
    for _ in range(INPUTS):
        tried(name, mutated(random, TARGETS[name].seeds), tmp_path / "input")


@pytest.mark.parametrize("name", sorted(TARGETS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_made_up_texts_meet_clear_errors(name: str, data: bytes, tmp_path: Path) -> None:
    """Bytes and texts of any kind are read, or refused by an error of relgraph's own that can be shown."""
    tried(name, data, tmp_path / "input")


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_seeds_are_read(name: str, tmp_path: Path) -> None:
    """The example that is damaged is a good one: some of each target's are read without an error."""
    good = 0
    for seed in TARGETS[name].seeds:
        try:
            TARGETS[name].read(seed.encode(), tmp_path / "input")
            good += 1
        except RelgraphError:
            pass
    assert good

"""The pictures of the README show what the commands print now; `make pictures` draws them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import house, pictures

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("name", "shown"), [("best", pictures.shown_best), ("change", pictures.shown_change)])
def test_pictures_of_the_terminal_are_current(name: str, shown: Callable[[], str]) -> None:
    """A picture of the terminal holds, word for word and line by line, what the command shows now."""
    picture = (pictures.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert pictures.plain(shown()) == pictures.drawn_lines(picture), "run `make pictures`"


def test_the_picture_of_a_proof_is_current() -> None:
    """The picture of a proof is, to the byte, what `relgraph graph --why` draws now."""
    assert pictures.shown_proof() == (pictures.FOLDER / "why.svg").read_text(encoding="utf-8"), "run `make pictures`"


def test_a_picture_of_the_terminal_keeps_text_colours_and_columns() -> None:
    """Nothing is cut off, blanks keep their place, and signs that SVG gives a meaning stand for themselves."""
    shown = f"one \x1b[31mred\x1b[0m word\n\n{'':20}<&>\n{'x' * 110}\n"
    picture = pictures.terminal_svg(shown)
    assert f"one red word\n\n{'':20}<&>\n{'x' * 110}" == pictures.drawn_lines(picture)
    assert picture == pictures.terminal_svg(shown)
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_every_picture_is_shown_and_made() -> None:
    """The README shows each picture that is there, and says of the proof which command draws it."""
    text = (house.ROOT / "README.md").read_text(encoding="utf-8")
    names = sorted(path.name for path in pictures.FOLDER.iterdir())
    assert ["best.svg", "change.svg", "why.svg"] == names
    assert [] == [name for name in names if f"](docs/pictures/{name})" not in text]
    assert f"`{pictures.prompt(pictures.PROOF).removeprefix('$ ')}`" in text

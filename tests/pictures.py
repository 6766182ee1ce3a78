"""Draws the pictures of the README: what a terminal shows, and the proof of an access (`make pictures`).

Rule 1: nothing is drawn by hand; each picture is what a command prints, asked of files that the project comes with.
Rule 2: nothing in a picture depends on the day, the folder or the machine, so that a test can draw it again.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from relgraph.cli import main
from tests import house

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BEST",
    "FOLDER",
    "PROOF",
    "draw",
    "drawn_lines",
    "plain",
    "prompt",
    "shown_best",
    "shown_change",
    "shown_proof",
    "terminal_svg",
]

FOLDER: Final = house.ROOT / "docs" / "pictures"
BEST: Final = ("best", "catglobe/user:anna", "catglobe/resource:survey", "--ways", "all")
PROOF: Final = ("graph", "--why", "user:anna", "report:q3-draft", "--format", "svg")
CHANGE: Final = "A revoked group"
"""How the chapter of the demo begins that is shown."""
COLUMNS: Final = 110

_SGR: Final = re.compile(r"\x1b\[[0-9;]*m")
_LINE_OF: Final = re.compile(r"-line-(\d+)\)$")
_CHARACTER: Final = 12.2
_SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font: 20.26px "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#16191d"/>
<g transform="translate(14, 14)"><g class="{unique_id}-matrix">{backgrounds}{matrix}</g></g>
</svg>
"""
"""What rich fills in; its own frame fetches fonts from the net, which a page does not have to allow."""


class _Terminal(io.StringIO):
    """Standard output that a person looks at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _run(*arguments: str, store: str | None = None) -> str:
    """Return what a command writes to a terminal, colours and all."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELGRAPH_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        environment.pop(name, None)
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    if store:
        environment["RELGRAPH_STORE"] = store
    terminal = _Terminal()
    with mock.patch.dict(os.environ, environment, clear=True), contextlib.redirect_stdout(terminal):
        code = main(list(arguments))
    assert code == 0, f"`relgraph {' '.join(arguments)}` ended with {code}"
    return terminal.getvalue()


def _answered(arguments: Sequence[str], schema: str, tuples: str) -> str:
    """Return what a command writes that is asked of a new store, made of a file with a schema and one with tuples."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'pictures.db'}"
        _run("schema", "write", str(house.ROOT / schema), store=store)
        _run("import", str(house.ROOT / tuples), "--allow-universal", store=store)
        return _run(*arguments, store=store)


def prompt(arguments: Sequence[str]) -> str:
    """Return a command as it is typed."""
    return f"$ relgraph {' '.join(arguments)}"


def shown_best() -> str:
    """Return a best access with all its ways, below the command that asks for it."""
    return f"{prompt(BEST)}\n{_answered(BEST, 'scenarios/systems/all.zed', 'scenarios/systems/catglobe.csv')}"


def shown_proof() -> str:
    """Return a proof as `relgraph graph` draws it: an SVG."""
    return _answered(PROOF, "docs/report.zed", "docs/report.csv")


def shown_change() -> str:
    """Return one change of the demo: what it took away, and from whom."""
    chapters = re.split(r"\n\n(?=\S*[A-Z])", _run("demo"))
    (chapter,) = [each for each in chapters if plain(each).startswith(CHANGE)]
    return f"{prompt(['demo'])}\n…\n{chapter}\n"


def plain(shown: str) -> str:
    """Return what is shown without its colours, and without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in _SGR.sub("", shown).rstrip().splitlines())


def terminal_svg(shown: str) -> str:
    """Return what a terminal shows as a picture."""
    lines = shown.rstrip().splitlines()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, crop=False)
    return console.export_svg(title="", code_format=_SVG, unique_id="terminal")


def drawn_lines(svg: str) -> str:
    """Return the text of such a picture, line by line, each piece at the column where it is drawn."""
    rows: dict[int, str] = {}
    for piece in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        found = _LINE_OF.search(piece.get("clip-path", ""))
        if found:
            row = int(found[1])
            column = round(float(piece.get("x", "0")) / _CHARACTER)
            rows[row] = rows.get(row, "").ljust(column) + (piece.text or "").replace("\xa0", " ")
    return "\n".join(rows.get(row, "").rstrip() for row in range(max(rows, default=-1) + 1))


def draw() -> None:
    """Draw all pictures anew."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "best.svg").write_text(terminal_svg(shown_best()), encoding="utf-8")
    (FOLDER / "change.svg").write_text(terminal_svg(shown_change()), encoding="utf-8")
    (FOLDER / "why.svg").write_text(shown_proof(), encoding="utf-8")


if __name__ == "__main__":
    draw()

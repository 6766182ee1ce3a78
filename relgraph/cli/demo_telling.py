"""What the demo says and shows: headings, tables of who holds what by which way, and what a change took away.

Rule 1: plain text when it is not a terminal; tables fit the width there is, 80 columns at the least.
Rule 2: within a system's part its names stand without their prefix, which its heading names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relgraph.answers import Best, Way

__all__ = ["Teller", "held_text"]

_REACHED_BY = {
    "nobody": "nobody",
    "only-conditional": "nobody for certain",
    "only-universal": "the system group only",
}


def held_text(best: Best) -> str:
    """Return what is held in a few words: the role, or else all that is held."""
    return best.role or ", ".join(best.held) or "nothing"


class Teller:
    """Writes to the terminal, with the prefix of one system left out of its names."""

    def __init__(self, prefix: str = "") -> None:
        self._console = Console(highlight=False)
        self._prefix = prefix

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def say(self, text: str, style: str = "") -> None:
        """Say a sentence, below a heading."""
        self._console.print(Padding(Text(self._short(text), style=style), (0, 0, 0, 2), expand=False))

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show a plain table; numbers stand to the right."""
        content = [list(map(str, row)) for row in rows]
        table = self._table(*columns)
        for index, column in enumerate(table.columns):
            if all(row[index].replace(",", "").isdecimal() for row in content):
                column.justify = "right"
        for row in content:
            table.add_row(*map(self._text, row))
        self._show(table)

    def holds(self, bests: Iterable[tuple[Best, bool]]) -> None:
        """Show who holds what on what, and every way to it; an answer that is not the expected one is marked."""
        table = self._table("Who", "On what", "Holds", "By which ways")
        for best, expected in bests:
            held = self._text(held_text(best), "" if best.held else "red")
            if not expected:
                held.append(" (expected otherwise)", "bold red")
            table.add_row(self._text(best.subject), self._text(best.resource), held, self._text(_ways_text(best)))
        self._show(table)

    def proof(self, best: Best, way: Way) -> None:
        """Show one way tuple by tuple."""
        count = f"{len(way.tuples)} tuple{'' if len(way.tuples) == 1 else 's'}"
        self._console.print()
        self.say(f"{best.subject} has {way.role} on {best.resource} by {count}:")
        for each in way.tuples:
            self.say(f"  {each}", "dim")

    def orphans(self, found: Mapping[str, str]) -> None:
        """Show the resources out of reach."""
        if not found:
            self._console.print()
            self.say("nothing is out of everybody's reach")
            return
        self.rows(("Out of reach", "Reached by"), [(resource, _REACHED_BY[kind]) for resource, kind in found.items()])

    def change(self, title: str, deleted: Iterable[str], written: Iterable[str], actor: str | None = None) -> None:
        """Tell a change, the tuples that it writes, and on whose behalf."""
        self.heading(title)
        for sign, tuples in (("-", deleted), ("+", written)):
            for each in tuples:
                self.say(f"{sign} {each}", "dim")
        if actor is not None:
            self.say(f"on behalf of {actor}", "dim")

    def differences(self, pairs: Sequence[tuple[Best, Best]]) -> None:
        """Show what was held before and what is held after; what nobody took away, with the ways that keep it."""
        if not pairs:
            self.say("nothing was held, so nothing is lost")
            return
        table = self._table("Who", "On what", f"From revision {pairs[0][0].revision} to {pairs[0][1].revision}")
        for before, after in pairs:
            lost = set(before.held) - set(after.held)
            words = (
                f"{held_text(before)} -> {held_text(after)}" if lost else f"{held_text(after)}, still {_kept(after)}"
            )
            who, what = self._text(before.subject), self._text(before.resource)
            table.add_row(who, what, self._text(words, "red" if lost else "dim"))
        self._show(table)

    def _show(self, table: Table) -> None:
        self._console.print()
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def _table(self, *columns: str) -> Table:
        """Make a table whose last column alone is folded where there is no room."""
        table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns[:-1]:
            table.add_column(column, no_wrap=True)
        table.add_column(columns[-1], overflow="fold")
        return table

    def _text(self, value: object, style: str = "") -> Text:
        return Text(self._short(str(value)), style=style)

    def _short(self, text: str) -> str:
        return text.replace(self._prefix, "") if self._prefix else text


def _ways_text(best: Best) -> str:
    """Return the ways in words, one a line, and until when; what is the same for several names is said once."""
    if not best.ways:
        return "no way"
    until = "" if best.valid_until is None else f"\nuntil {best.valid_until:%Y-%m-%d %H:%M}Z"
    names: dict[str, list[str]] = {}
    for way in best.ways:
        held = names.setdefault(way.via, [])
        if way.role not in held:
            held.append(way.role)
    alone = best.role is not None or len(best.held) == 1
    return "\n".join(via if alone else f"{', '.join(held)}: {via}" for via, held in names.items()) + until


def _kept(best: Best) -> str:
    """Return by what the access that remains is held."""
    return " and ".join(dict.fromkeys(way.via for way in best.ways))

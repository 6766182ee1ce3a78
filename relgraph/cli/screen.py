"""What is drawn for people on a terminal: best access and its proofs as trees, and tables. Nothing here is for pipes.

Rule 1: what does not fit is folded, never cut: a terminal may be narrow, and an id is not to be guessed.
Rule 2: a colour only repeats what a word says; with `NO_COLOR` there is none.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from relgraph.answers import Verdict
from relgraph.cli.output import counted, entry_text, print_lines, printable
from relgraph.cli.rows import found_text, permissions_text, verdict_text
from relgraph.instants import instant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relgraph.answers import Best, LogEntry, Lookup, Permissions, Way
    from relgraph.cli.rows import Named
    from relgraph.tuples import RelationTuple

__all__ = ["show_best", "show_found", "show_log", "show_permissions", "show_tuples"]

_DEPTH_MAX: Final = 12
"""Deeper proofs are told by their tuples: no terminal is wide enough for them."""


_STYLES: Final = {
    Verdict.YES: "green",
    Verdict.NO: "red",
    Verdict.CONDITIONAL: "yellow",
    Verdict.UNDECIDED: "magenta",
}
_WIDTH_MIN: Final = 60
_LOG_WIDTH_MIN: Final = 100
"""On a narrower terminal a table would be all folds: then lines are told as they are to a pipe."""


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style, overflow="fold")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def show_best(rows: Sequence[Best]) -> None:
    """Show best access: for many resources a table, then for each the ways it comes about, as trees."""
    console = _console()
    told = [row for row in rows if row.ways or row.truncated]
    if len(rows) > 1 or not told:
        table = _table("resource", "access", "beside")
        for row in rows:
            table.add_row(_text(str(row.resource)), _access(row), _text("; ".join(_beside(row)), "yellow"))
        console.print(table)
    for row in told:
        console.print(_best_tree(row))
    console.print(_text(f"revision {rows[0].revision}", "dim"))


def _access(row: Best) -> Text:
    if row.role is None and not row.held:
        return _text("no access", "red")
    return _text(row.role or ", ".join(row.held), "green")


def _beside(row: Best) -> list[str]:
    return [
        *(f"{each.role} if the context allows it, needs {', '.join(each.missing)}" for each in row.conditional),
        *(f"{name} is undecided: it depends on its own negation" for name in row.undecided),
    ]


def _best_tree(row: Best) -> Tree:
    tree = Tree(Text.assemble(_text(str(row.resource), "bold"), "  ", _access(row)), guide_style="dim")
    for line in _beside(row):
        tree.add(_text(line, "yellow"))
    for way in row.ways:
        branch = tree.add(Text.assemble(_text(way.role, "green"), " ", _text(way.via)))
        if not _add_steps(branch, way):
            for tuple_ in way.tuples:
                branch.add(_text(str(tuple_)))
    if row.truncated:
        ways = counted(len(row.ways), "way")
        told = f"at least {ways}: finding more" if row.ways else "which way"
        tree.add(_text(f"{told} takes more work{'' if row.ways else ' to tell'} than the limits allow", "yellow"))
    return tree


def _add_steps(branch: Tree, way: Way) -> bool:
    """Add the steps of a proof, each below the one that follows from it; return whether that is narrow enough."""
    made: list[tuple[int, Tree, int]] = [(0, Tree(""), 1)]
    top = made[0][1]
    # A step that several lean on is unfolded where it is met first.
    unfolded: set[int] = set()
    while made:
        index, above, depth = made.pop()
        if depth > _DEPTH_MAX:
            return False
        step = way.steps[index]
        rule = step.rule if index not in unfolded else f"{step.rule}, as above"
        node = above.add(Text.assemble(_text(step.claim), "  ", _text(rule, "dim")))
        if index not in unfolded:
            unfolded.add(index)
            if step.tuple is not None:
                node.add(_text(str(step.tuple), "cyan"))
            made.extend((child, node, depth + 1) for child in reversed(step.children))
    branch.children.extend(top.children)
    return True


_TUPLE_COLUMNS: Final = ("resource", "relation", "subject", "caveat", "expires")
_KEY_COLUMNS: Final = 3


def show_tuples(tuples: Sequence[RelationTuple], *, head: bool) -> None:
    """Show a page of tuples as a table; with its head on the first page only."""
    console = _console()
    if console.width < _WIDTH_MIN:
        print_lines(map(str, tuples))
        return
    rows = [_tuple_cells(each) for each in tuples]
    # What no tuple on the page has takes no column.
    kept = [index for index in range(len(_TUPLE_COLUMNS)) if index < _KEY_COLUMNS or any(row[index] for row in rows)]
    table = _table(*(_TUPLE_COLUMNS[index] for index in kept))
    table.show_header = head
    for row in rows:
        table.add_row(*(_text(row[index]) for index in kept))
    console.print(table)


def _tuple_cells(each: RelationTuple) -> tuple[str, ...]:
    caveat = f"{each.caveat}:{each.context}" if each.context else each.caveat
    expires = "" if each.expires_at is None else instant_text(each.expires_at)
    return str(each.resource), each.relation, str(each.subject), caveat, expires


def show_log(entries: Iterable[LogEntry], *, head: bool) -> None:
    """Show revisions as a table: what went is red and begins with -, what came is green and begins with +."""
    console = _console()
    if console.width < _LOG_WIDTH_MIN:
        print_lines(chain.from_iterable(map(entry_text, entries)))
        return
    table = _table("revision", "time", "who", "what, and why")
    table.columns[0].justify = "right"
    table.show_header = head
    for entry in entries:
        what = Text(overflow="fold")
        if entry.reason:
            what.append_text(_text(entry.reason, "italic")).append("\n")
        if entry.schema is not None:
            what.append_text(_text(f"schema, {counted(len(entry.schema.splitlines()), 'line')}", "yellow")).append("\n")
        for each in entry.deleted:
            what.append_text(_text(f"- {each}", "red")).append("\n")
        for each in entry.created:
            what.append_text(_text(f"+ {each}", "green")).append("\n")
        what.rstrip()
        who = ", ".join(filter(None, (entry.actor or entry.principal, entry.request_id)))
        table.add_row(str(entry.revision), instant_text(entry.time), _text(who), what)
    console.print(table)


def show_found(found: Lookup, named: Named) -> None:
    """Show the rows of a lookup: as a list where all are a plain yes, else as a table with their verdicts."""
    console = _console()
    told = f"{counted(len(found.rows), 'row')}, revision {found.revision}"
    if console.width < _WIDTH_MIN or all(row.verdict is Verdict.YES for row in found.rows):
        for row in found.rows:
            console.print(_text(found_text(row, named), "" if row.verdict is Verdict.YES else _STYLES[row.verdict]))
    else:
        table = _table(named.what, "verdict")
        for row in found.rows:
            table.add_row(_text(named.shown(row)), _text(verdict_text(row.verdict, row.missing), _STYLES[row.verdict]))
        console.print(table)
    console.print(_text(told, "dim"))


def show_permissions(found: Permissions) -> None:
    """Show every relation and permission with its verdict, as a table."""
    console = _console()
    if console.width < _WIDTH_MIN:
        print_lines(permissions_text(found))
        return
    table = _table("name", "verdict")
    for row in found.rows:
        table.add_row(_text(row.name), _text(verdict_text(row.verdict, row.missing), _STYLES[row.verdict]))
    console.print(table)
    console.print(_text(f"revision {found.revision}", "dim"))

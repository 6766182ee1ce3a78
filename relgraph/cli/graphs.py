"""The graph as a whole and in part: what nobody can reach, and what surrounds an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import orphan_json, print_json, print_lines
from relgraph.errors import InvalidInput
from relgraph.tuples import Object

if TYPE_CHECKING:
    from relgraph.revision import Consistency

__all__ = ["graph"]

_DEPTH = 2
_NODES_MAX = 1_000


@click.command(short_help="The surroundings of an object, or what nobody can reach.")
@click.argument("objects", nargs=-1, metavar="[RESOURCE | CANDIDATE...]")
@click.option("--orphans", is_flag=True, help="List the resources that nobody can reach.")
@click.option("--type", "types", multiple=True, metavar="NAME", help="With --orphans: only this type; can be repeated.")
@click.option(
    "--format", type=click.Choice(["dot", "graphml", "json"]), help="How to write the surroundings; dot by default."
)
@click.option("--depth", type=click.IntRange(min=1), help=f"How many tuples away; {_DEPTH} by default.")
@click.option("--nodes-max", type=click.IntRange(min=1), help=f"Refuse a larger drawing; {_NODES_MAX} by default.")
@consistency_options
@common_options
@pass_terminal
def graph(
    terminal: Terminal,
    objects: tuple[str, ...],
    orphans: bool,
    types: tuple[str, ...],
    format: str | None,
    depth: int | None,
    nodes_max: int | None,
    consistency: Consistency | None,
) -> int:
    """Draw what surrounds RESOURCE: objects and usersets, tied by tuples.

    With --orphans, list instead the resources that nobody can reach, with their class: nobody, only-conditional or
    only-universal. All objects that tuples mention are looked at, and each CANDIDATE that is named besides.
    """
    if orphans:
        drawing = [("--format", format), ("--depth", depth), ("--nodes-max", nodes_max)]
        _refuse([name for name, value in drawing if value is not None], "with --orphans")
        return _orphans(terminal, objects, types, consistency)
    _refuse(["--type"] if types else [], "without --orphans")
    if len(objects) != 1:
        raise InvalidInput(f"a drawing has one RESOURCE at its center, not {len(objects)}; name one, or give --orphans")
    format_ = format or ("json" if terminal.json else "dot")
    if terminal.json and format_ != "json":
        raise InvalidInput(f"--json and --format {format_} contradict each other; keep one")
    return _drawing(terminal, objects[0], format_, depth or _DEPTH, nodes_max or _NODES_MAX, consistency)


def _refuse(options: list[str], situation: str) -> None:
    if options:
        raise InvalidInput(f"{options[0]} means nothing {situation}; take one of them away")


def _orphans(
    terminal: Terminal, candidates: tuple[str, ...], types: tuple[str, ...], consistency: Consistency | None
) -> int:
    with terminal.open() as door:
        found = door.orphans(candidates, types=types, consistency=consistency)
    if terminal.json:
        for orphan in found.orphans:
            print_json(orphan_json(orphan))
        return OK
    width = max((len(str(orphan.resource)) for orphan in found.orphans), default=0)
    print_lines(f"{orphan.resource!s:<{width}}  {orphan.kind.value}" for orphan in found.orphans)
    count = len(found.orphans)
    summary = "every resource is within somebody's reach" if not count else f"{count} out of reach"
    print_lines([f"{summary} (revision {found.revision})"])
    return OK


def _drawing(
    terminal: Terminal, resource: str, format: str, depth: int, nodes_max: int, consistency: Consistency | None
) -> int:
    from relgraph.cli.neighbours import SPELLINGS, neighbourhood  # noqa: PLC0415  (networkx is slow to import)

    # `type:*` is a node as well: its tuples are the universal ones.
    center = Object.parse(resource, wildcard=True)
    with terminal.open() as door:
        found = neighbourhood(door, center, depth=depth, nodes_max=nodes_max, consistency=consistency)
    print_lines(SPELLINGS[format](found))
    return OK

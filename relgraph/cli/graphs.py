"""The graph as a whole and in part: what surrounds an object, a proof, what nobody can reach, what leads back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, consistency_options, pass_terminal
from relgraph.cli.output import counted, cycle_json, cycle_text, orphan_json, print_json, print_lines
from relgraph.errors import InvalidInput, quoted
from relgraph.tuples import Object

if TYPE_CHECKING:
    from relgraph.answers import Best, Way
    from relgraph.cli.drawing import Graph
    from relgraph.revision import Consistency

__all__ = ["graph"]

_DEPTH = 2
_NODES_MAX = 1_000


@click.command(short_help="Draw what surrounds a resource, or a proof; list orphans or cycles.")
@click.argument("words", nargs=-1, metavar="[RESOURCE | SUBJECT [PERMISSION] RESOURCE | CANDIDATE...]")
@click.option("--why", is_flag=True, help="Draw how SUBJECT comes to its access on RESOURCE.")
@click.option("--orphans", is_flag=True, help="List the resources that nobody can reach.")
@click.option("--cycles", is_flag=True, help="List what leads back to itself through tuples.")
@click.option("--type", "types", multiple=True, metavar="NAME", help="Of a list: only this type; can be repeated.")
@click.option("--format", type=click.Choice(["dot", "graphml", "json", "svg"]), help="How to draw; dot by default.")
@click.option("--ways", type=click.Choice(["one", "all"]), help="With --why: how many ways to draw; one by default.")
@click.option("--depth", type=click.IntRange(min=1), help=f"How many tuples away; {_DEPTH} by default.")
@click.option("--nodes-max", type=click.IntRange(min=1), help=f"Refuse a larger drawing; {_NODES_MAX} by default.")
@consistency_options
@common_options
@pass_terminal
def graph(
    terminal: Terminal,
    words: tuple[str, ...],
    why: bool,
    orphans: bool,
    cycles: bool,
    types: tuple[str, ...],
    format: str | None,
    ways: Literal["one", "all"] | None,
    depth: int | None,
    nodes_max: int | None,
    consistency: Consistency | None,
) -> int:
    """Draw what surrounds RESOURCE: objects and usersets, tied by tuples.

    With --why, draw the proof of an access instead: what follows from which tuple, from the claim to the subject.

    With --orphans, list the resources that nobody can reach, with their class: nobody, only-conditional or
    only-universal. With --cycles, list what leads back to itself: usersets, tuplesets, and undefined where somebody's
    answer depends on its own negation. All objects that tuples mention are looked at, and each CANDIDATE besides.
    """
    modes = [name for name, on in (("--why", why), ("--orphans", orphans), ("--cycles", cycles)) if on]
    if len(modes) > 1:
        raise InvalidInput(f"{' and '.join(modes)} contradict each other; keep one")
    mode = modes[0] if modes else ""
    given = {"--type": types, "--format": format, "--ways": ways, "--depth": depth, "--nodes-max": nodes_max}
    for name in (name for name, value in given.items() if value and name not in _OPTIONS[mode]):
        raise InvalidInput(f"{name} means nothing {f'with {mode}' if mode else 'here'}; take one of them away")
    if mode == "--orphans":
        return _orphans(terminal, words, types, consistency)
    if mode == "--cycles":
        return _cycles(terminal, words, types, consistency)
    format_ = format or ("json" if terminal.json else "dot")
    if terminal.json and format_ != "json":
        raise InvalidInput(f"--json and --format {format_} contradict each other; keep one")
    if why:
        return _draw(format_, _proof(terminal, words, ways or "one", consistency))
    return _draw(format_, _surroundings(terminal, words, depth or _DEPTH, nodes_max or _NODES_MAX, consistency))


_OPTIONS = {
    "": ("--format", "--depth", "--nodes-max"),
    "--why": ("--format", "--ways"),
    "--orphans": ("--type",),
    "--cycles": ("--type",),
}


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


def _cycles(
    terminal: Terminal, candidates: tuple[str, ...], types: tuple[str, ...], consistency: Consistency | None
) -> int:
    with terminal.open() as door:
        found = door.cycles(candidates, types=types, consistency=consistency)
    for cycle in found.cycles:
        if terminal.json:
            print_json(cycle_json(cycle))
        else:
            print_lines(cycle_text(cycle))
    if not terminal.json:
        print_lines([f"{counted(len(found.cycles), 'cycle')} (revision {found.revision})"])
    return OK


def _surroundings(
    terminal: Terminal, words: tuple[str, ...], depth: int, nodes_max: int, consistency: Consistency | None
) -> Graph:
    from relgraph.cli.neighbours import neighbourhood  # noqa: PLC0415  (networkx is slow to import)

    if len(words) != 1:
        raise InvalidInput(
            f"a drawing has one RESOURCE at its center, not {len(words)}; "
            "name one, or give --why, --orphans or --cycles"
        )
    # `type:*` is a node as well: its tuples are the universal ones.
    center = Object.parse(words[0], wildcard=True)
    with terminal.open() as door:
        return neighbourhood(door, center, depth=depth, nodes_max=nodes_max, consistency=consistency)


def _proof(
    terminal: Terminal, words: tuple[str, ...], ways: Literal["one", "all"], consistency: Consistency | None
) -> Graph:
    from relgraph.cli.proofs import proof  # noqa: PLC0415  (networkx is slow to import)

    if len(words) not in (2, 3):
        raise InvalidInput(
            f"--why takes SUBJECT and RESOURCE, with a PERMISSION in between or not; not {len(words)} words"
        )
    subject, resource = words[0], words[-1]
    with terminal.open() as door:
        best = door.best(subject, resource, ways=ways, consistency=consistency)
    return proof(_proving(best, words[1] if len(words) == 3 else None))


def _proving(best: Best, permission: str | None) -> tuple[Way, ...]:
    """Return the ways that prove a permission, or all; with a ladder, a stronger role proves every weaker one."""
    found = tuple(way for way in best.ways if permission in (None, way.role))
    if not found and best.role is not None and permission in best.held:
        found = tuple(way for way in best.ways if way.role == best.role)
    if not found:
        has = quoted(best.role) if best.role else ", ".join(map(quoted, best.held)) or "no access"
        what = "" if permission is None else f" that {quoted(permission)} could follow from"
        raise InvalidInput(
            f"{quoted(str(best.subject))} has {has} on {quoted(str(best.resource))}, and no way{what}; "
            "there is nothing to draw",
            {"subject": str(best.subject), "resource": str(best.resource)},
        )
    return found


def _draw(format: str, drawing: Graph) -> int:
    from relgraph.cli.spellings import SPELLINGS  # noqa: PLC0415  (networkx is slow to import)

    print_lines(SPELLINGS[format](drawing))
    return OK

"""Graphs as pictures: SVG in layers from left to right, drawn with nothing but arithmetic, the same at every run.

What leads back is left out while the layers are found. Lines that cross several layers bend round what stands there,
and nodes stand near what they are tied to (Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

import itertools
import math
from statistics import mean
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import networkx as nx

from relgraph.cli.drawing import label_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.cli.drawing import Graph

__all__ = ["svg_lines"]

_CHARACTER: Final = 7.3
_SMALL_CHARACTER: Final = 6.7
_SMALL_HEIGHT: Final = 13
_HEIGHT: Final = 28
_ROW: Final = 46
_GAP: Final = 60
_MARGIN: Final = 16
_SWEEPS: Final = 8

_STYLE: Final = """
  text { font: 12px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1b2733; text-anchor: middle; }
  .label { font-size: 11px; fill: #52606d; }
  rect { fill: #eef4fb; stroke: #4a6fa5; }
  .plate { fill: #ffffff; stroke: none; opacity: 0.85; }
  .userset rect, .claim rect { fill: #f4f1fa; stroke: #7a5ea8; }
  .center rect { stroke-width: 2.5; }
  path { fill: none; stroke: #52606d; marker-end: url(#tip); }
  .schema { stroke-dasharray: 4 3; }
  marker path { fill: #52606d; stroke: none; marker-end: none; }
"""


class _Spot(NamedTuple):
    """A place in a layer: of a node, or of a line that passes by (with the number of the line)."""

    name: str
    line: int = -1
    layer: int = -1


class _Line(NamedTuple):
    source: str
    target: str
    label: str
    kind: str


class _Label(NamedTuple):
    """A text above a point of a line, on a plate: every viewer draws that, and what crosses stays behind it."""

    text: str
    x: float
    y: float

    @property
    def width(self) -> float:
        return len(self.text) * _SMALL_CHARACTER + 4

    def covers(self, other: _Label) -> bool:
        return abs(self.x - other.x) < (self.width + other.width) / 2 and abs(self.y - other.y) < _SMALL_HEIGHT

    def drawn(self) -> Iterator[str]:
        left, top = self.x - self.width / 2, self.y - _SMALL_HEIGHT - 1
        yield f'<rect class="plate" x="{left:.1f}" y="{top:.1f}" width="{self.width:.1f}" height="{_SMALL_HEIGHT}"/>'
        yield f'<text class="label" x="{self.x:.1f}" y="{self.y - 4:.1f}">{escape(self.text)}</text>'


def svg_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines of an SVG; nodes have a `kind`, edges a `kind` and what `label_of` reads."""
    lines = [
        _Line(source, target, label_of(attributes), attributes["kind"])
        for source, target, attributes in graph.edges(data=True)
    ]
    picture = _Picture(graph, lines)
    labels = _placed([(line.label, *picture.middle(number, line)) for number, line in enumerate(lines) if line.label])
    width, height = picture.size()
    width = max([width, *(math.ceil(label.x + label.width / 2) for label in labels)])
    height = max([height, *(math.ceil(label.y) for label in labels)])
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    yield f"<style>{' '.join(_STYLE.split())}</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    yield f'<rect width="{width}" height="{height}" style="fill:#ffffff;stroke:none"/>'
    for number, line in enumerate(lines):
        yield picture.path(number, line)
    for label in labels:
        yield from label.drawn()
    for name, attributes in graph.nodes(data=True):
        yield picture.box(name, attributes)
    yield "</svg>"


def _placed(wanted: list[tuple[str, float, float]]) -> list[_Label]:
    """Return texts above points of lines, each below those that already stand in its place."""
    placed: list[_Label] = []
    for text, x, y in wanted:
        label = _Label(text, x, y)
        while any(label.covers(other) for other in placed):
            label = label._replace(y=label.y + _SMALL_HEIGHT)
        placed.append(label)
    return placed


class _Picture:
    """Where everything stands."""

    def __init__(self, graph: Graph, lines: list[_Line]) -> None:
        layers = _layers(graph)
        self._layer = {name: number for number, names in enumerate(layers) for name in names}
        spots: list[list[_Spot]] = [[_Spot(name) for name in names] for names in layers]
        self._stops: list[list[_Spot]] = []
        for number, line in enumerate(lines):
            first, last = sorted((self._layer[line.source], self._layer[line.target]))
            stops = [_Spot("", number, layer) for layer in range(first + 1, last)]
            for stop in stops:
                spots[stop.layer].append(stop)
            self._stops.append(stops if self._layer[line.source] <= self._layer[line.target] else stops[::-1])
        self._rows = _ordered(spots, self._ties(lines))
        self._left = self._columns(lines)
        self._tallest = max(map(len, spots), default=1)
        self._places = {
            spot: (self._left[layer], _MARGIN + (row + 0.5 + (self._tallest - len(some)) / 2) * _ROW)
            for layer, some in enumerate(self._rows)
            for row, spot in enumerate(some)
        }

    def _ties(self, lines: list[_Line]) -> list[tuple[_Spot, _Spot]]:
        ties = []
        for number, line in enumerate(lines):
            path = [_Spot(line.source), *self._stops[number], _Spot(line.target)]
            ties += list(itertools.pairwise(path))
        return ties

    def _columns(self, lines: list[_Line]) -> list[float]:
        """Return the left side of each layer, and the right side of the last: boxes and labels fit in between."""
        widths = [max((_width(spot.name) for spot in some), default=0.0) for some in self._rows]
        room = [0] * len(widths)
        for line in lines:
            beside = min(self._layer[line.source], self._layer[line.target])
            room[beside] = max(room[beside], len(line.label))
        left = [float(_MARGIN)]
        for width, label in zip(widths, room, strict=True):
            left.append(left[-1] + width + max(_GAP, label * _CHARACTER + 24))
        self._widths = widths
        return left

    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return round(self._left[-2] + self._widths[-1] + _MARGIN), round(self._tallest * _ROW + 2 * _MARGIN)

    def _points(self, number: int, line: _Line) -> list[tuple[float, float]]:
        """Return the points a line runs through: side to side of each layer that it passes."""
        forward = self._layer[line.source] < self._layer[line.target]
        x, y = self._places[_Spot(line.source)]
        points = [(x + _width(line.source), y)]
        if line.source == line.target:
            # Nothing else stays within a layer.
            return [(points[0][0], y - _HEIGHT / 4), (points[0][0], y + _HEIGHT / 4)]
        # What leads back runs a little lower, so that there and back are two lines.
        lower = 0 if forward else _HEIGHT / 4
        if not forward:
            points = [(x, y + lower)]
        for stop in self._stops[number]:
            x, y = self._places[stop]
            sides = [(x, y), (x + self._widths[stop.layer], y)]
            points += sides if forward else sides[::-1]
        x, y = self._places[_Spot(line.target)]
        return [*points, (x if forward else x + _width(line.target), y + lower)]

    def path(self, number: int, line: _Line) -> str:
        """Return a line as a curve."""
        points = self._points(number, line)
        drawn = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x, y), (end_x, end_y) in itertools.pairwise(points):
            bend = (end_x - x) / 2 or 40
            back = end_x - bend if end_x != x else end_x + bend
            drawn += f"C{x + bend:.1f} {y:.1f} {back:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}"
        style = "" if line.kind == "tuple" else ' class="schema"'
        return f'<path{style} d="{drawn}"/>'

    def middle(self, number: int, line: _Line) -> tuple[float, float]:
        """Return where a line's label stands: in the middle of its first part."""
        (x, y), (end_x, end_y) = self._points(number, line)[:2]
        aside = 30 if x == end_x else 0
        return (x + end_x) / 2 + aside, (y + end_y) / 2

    def box(self, name: str, attributes: dict[str, str]) -> str:
        """Return a node as a box with its name; its tooltip is the whole name."""
        x, y = self._places[_Spot(name)]
        classes = attributes["kind"] + (" center" if attributes.get("center") == "true" else "")
        round_ = 4 if attributes["kind"] == "object" else _HEIGHT / 2
        return (
            f"<g class={quoteattr(classes)}>"
            f'<rect x="{x:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{_width(name):.1f}" height="{_HEIGHT}" rx="{round_}"/>'
            f'<text x="{x + _width(name) / 2:.1f}" y="{y + 4:.1f}">{escape(name)}</text></g>'
        )


def _width(name: str) -> float:
    return len(name) * _CHARACTER + 20 if name else 0.0


def _layers(graph: Graph) -> list[list[str]]:
    """Return the nodes layer by layer, each behind all that lead to it but what leads back."""
    onward: nx.DiGraph[str] = nx.DiGraph()
    onward.add_nodes_from(graph)
    finished = {node: number for number, node in enumerate(nx.dfs_postorder_nodes(graph))}
    # Along every edge but those that lead back, a depth-first search finishes the far end first.
    onward.add_edges_from((a, b) for a, b in graph.edges() if finished[a] > finished[b])
    return [list(some) for some in nx.topological_generations(onward)]


def _ordered(spots: list[list[_Spot]], ties: list[tuple[_Spot, _Spot]]) -> list[list[_Spot]]:
    """Return the layers with their spots near what they are tied to."""
    near: dict[_Spot, list[_Spot]] = {}
    for one, other in ties:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    height = {spot: row - len(some) / 2 for some in spots for row, spot in enumerate(some)}
    for sweep in range(_SWEEPS):
        for some in spots if sweep % 2 else reversed(spots):
            wanted = {spot: mean(height[each] for each in near.get(spot, [spot])) for spot in some}
            some.sort(key=lambda spot: (wanted[spot], spot))
            height.update((spot, row - len(some) / 2) for row, spot in enumerate(some))
    return spots

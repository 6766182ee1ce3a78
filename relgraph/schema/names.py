"""The words for names that mean nothing or go in a circle, and which relations contain a wildcard.

Rule 1: everything is keyed by (type, relation); the same name in two definitions has nothing in common.
Rule 2: "contains a wildcard" follows relations only, as in SpiceDB: through the usersets that a relation takes, and
not into permissions. So `group#view` with a permission `view` may be taken as a subject even where `view` reaches
`user:*`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from relgraph.errors import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relgraph.schema.model import Definition

__all__ = ["circle", "missing", "unknown_type", "wildcards"]

_Key = tuple[str, str]
_CIRCLE_SHOWN_MAX: Final = 8


def circle(names: Iterable[str], start: str, sign: str) -> str:
    """Return the part of a path of names from `start` on, back to `start`, with the middle of a long one left out."""
    path = list(names)
    shown = [quoted(name) for name in [*path[path.index(start) :], start]]
    if len(shown) > _CIRCLE_SHOWN_MAX:
        half = _CIRCLE_SHOWN_MAX // 2
        shown[half:-half] = ["…"]
    return f" {sign} ".join(shown)


def missing(name: str, definition: Definition) -> str:
    """Return the text for a name that a definition does not have."""
    hint = did_you_mean(name, definition.names())
    return f"{quoted(name)} is not a relation or permission of {quoted(definition.name)}{hint}"


def unknown_type(name: str, definitions: Mapping[str, Definition]) -> str:
    """Return the text for a type that the schema does not have."""
    return f"{quoted(name)} is not a definition{did_you_mean(name, definitions)}"


def wildcards(definitions: Mapping[str, Definition]) -> dict[_Key, str]:
    """Return, for each relation that contains a wildcard, the words for the one nearest to it."""
    found: dict[_Key, str] = {}
    takers: dict[_Key, list[_Key]] = {}
    for definition in definitions.values():
        for relation in definition.relations.values():
            key = (definition.name, relation.name)
            for kind in relation.kinds:
                if kind.wildcard:
                    found.setdefault(key, f"{quoted(str(kind))} in {quoted(definition.name + '#' + relation.name)}")
                elif kind.relation in definitions[kind.type].relations:
                    takers.setdefault((kind.type, kind.relation), []).append(key)
    queue = deque(found)
    while queue:
        key = queue.popleft()
        for taker in takers.get(key, ()):
            if taker not in found:
                found[taker] = found[key]
                queue.append(taker)
    return found

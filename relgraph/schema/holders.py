"""Which types of plain subjects could hold a name, more closely than `reach`, or could hold it all at once.

Intersections and exclusions are read as what they are. Both answers are over-estimates: a type that is missing from
them holds the name under no tuples whatever. `reach` is coarser on purpose: it also warns of what a refused question
must not depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.rewrites import Exclusion, Intersection, SelfObject, Union
from relgraph.schema.dependencies import dependencies, memberships

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.rewrites import Rewrite
    from relgraph.schema.dependencies import Member
    from relgraph.schema.model import Definition, Schema, SubjectKind

__all__ = ["Holders"]

_NOBODY: Final[frozenset[str]] = frozenset()


class Holders:
    """For each name, the types whose plain subjects could hold it; with `everyone`, only by wildcard.

    The least fixed point, as in the semantics: what leads only to itself holds for nobody.
    """

    __slots__ = ("_emptied", "_everyone", "_found", "_schema")

    def __init__(self, schema: Schema, *, everyone: bool = False) -> None:
        self._schema = schema
        self._everyone = everyone
        self._emptied: dict[Exclusion, bool] = {}
        self._found: dict[Member, frozenset[str]] = {
            (definition.name, name): _NOBODY
            for definition in schema.definitions.values()
            for name in definition.names()
        }
        readers: dict[Member, set[Member]] = {}
        for each in dependencies(schema):
            if each.why != "tupleset":
                readers.setdefault(each.target, set()).add(each.source)
        # First come, first judged, and nobody stands in line twice: so a union of thousands is not judged for each.
        agenda = dict.fromkeys(self._found)
        while agenda:
            member = next(iter(agenda))
            del agenda[member]
            types = self._judge(*member)
            if types != self._found[member]:
                self._found[member] = types
                agenda.update(dict.fromkeys(readers.get(member, ())))

    @property
    def found(self) -> Mapping[Member, frozenset[str]]:
        """All names with their types."""
        return self._found

    def of(self, definition: Definition, rewrite: Rewrite) -> frozenset[str]:
        """Return the types that an expression of a definition could hold for."""
        below = [self.of(definition, child) for child in rewrite.children()]
        if isinstance(rewrite, Union):
            return _NOBODY.union(*below)
        if isinstance(rewrite, Intersection):
            return below[0].intersection(*below)
        if isinstance(rewrite, Exclusion):
            return _NOBODY if self._is_emptied(rewrite) else below[0]
        if isinstance(rewrite, SelfObject):
            return _NOBODY if self._everyone else frozenset({definition.name})
        return _NOBODY.union(*(self._found[member] for member in memberships(self._schema, definition, rewrite)))

    def _is_emptied(self, exclusion: Exclusion) -> bool:
        """Return whether the excluded side names all of what stands before it, so that nothing is left."""
        known = self._emptied.get(exclusion)
        if known is None:
            left, right = exclusion.operands
            taken = right.operands if isinstance(right, Union) else (right,)
            known = self._emptied[exclusion] = left.text() in {each.text() for each in taken}
        return known

    def _judge(self, type_: str, name: str) -> frozenset[str]:
        definition = self._schema.definitions[type_]
        if name in definition.permissions:
            return self.of(definition, definition.permissions[name].rewrite)
        return _NOBODY.union(*map(self._of_kind, definition.relations[name].kinds))

    def _of_kind(self, kind: SubjectKind) -> frozenset[str]:
        if kind.relation:
            return self._found[kind.type, kind.relation]
        return frozenset({kind.type}) if kind.wildcard or not self._everyone else _NOBODY

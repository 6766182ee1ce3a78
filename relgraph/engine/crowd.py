"""The crowd below a name: the subjects whose answer may differ from that of subjects that nothing names.

Everything below the name is read once, whoever asks, and it is noted where a subject's own answer could come from.

Why nobody is missed: a subject enters the equations below a name through three kinds of operands alone. The operators
ask whether it is this object, or this name of it (`is_subject`: each of these is in the crowd); a tuple names it (it
is in the crowd); or a wildcard covers it, like everybody else of its type. Operators and conditions do not look at
subjects. So whoever is not in the crowd has the equations of somebody whom nothing names.

Why many are asked as one: two subjects that nothing asks about, and that are named by the same relations of the same
resources, under conditions that come to the same, have the same equations, each with the other's name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from relgraph.engine.scope import BaseScope
from relgraph.rewrites import CONDITIONAL, YES, Term

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from relgraph.engine.conditions import Conditions
    from relgraph.engine.scope import World
    from relgraph.rewrites import Atom, Edge
    from relgraph.tuples import Object

__all__ = ["Alike", "Crowd"]

Alike = tuple[int, ...]
"""What subjects share who are asked as one: the places where they are named, each with what its condition comes to."""

_GRANTED = (YES, YES)
_CONDITIONAL = (CONDITIONAL, CONDITIONAL)


class Crowd(BaseScope):
    """The world without a subject, noting those of one kind: objects of a type, or a relation of each (empty: none).

    `members` are the numbers of the objects in the crowd, each with what it shares with those who are asked as one;
    `plain` tells whether every tuple below the name counts, whatever the context.
    """

    def __init__(self, world: World, conditions: Conditions | None, type_: str, relation: str) -> None:
        super().__init__(world, flattens=False)
        # INVARIANT: what is not told of conditions has the world's own: a tuple under a caveat never merely counts.
        self._conditions = conditions or self.conditions
        self._relation = relation
        self._type = self.reader.name_number(type_)
        self._kind = (self._type, self.reader.name_number(relation) if relation else 0, False)
        self._noted: set[tuple[int, int]] = set()
        self._places: dict[Hashable, int] = {}
        self._named: defaultdict[int, list[int]] = defaultdict(list)
        self._asked: set[int] = set()
        self.members: dict[int, Alike] = {}
        self.plain = True

    def read(self, resource: Object, name: str) -> None:
        """Read everything below `resource#name`, and fill `members`. The name was checked before."""
        root = self.member(self.number(resource), name)
        agenda = [] if root is None else [root]
        known: set[Atom] = set(agenda)
        for atom in agenda:
            self.budget.node()
            for term in atom.formula.terms(self, atom.object):
                if term.edge is not None and self.plain and self._conditions is not None:
                    self.plain = self._conditions.value(term.edge) == _GRANTED
                if term.atom is not None and term.atom not in known:
                    known.add(term.atom)
                    agenda.append(term.atom)
        for object_ in self._asked:
            # Nobody else is asked about as this one is.
            self._named[object_].append(self._place(object_))
        self.members = {object_: tuple(places) for object_, places in self._named.items()}

    def is_subject(self, object_: int, name: str) -> bool:
        """Note that it is asked whether the subject is `object#name` itself, with an empty name the plain object."""
        if name == self._relation and self.type_of(object_) == self._type:
            self._asked.add(object_)
        return False

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Note whom the tuples of the relation name, and yield those that lead on: to usersets."""
        for resource, number, kinds, universal in self.places(object_, relation):
            if (resource, number) not in self._noted:
                self._noted.add((resource, number))
                for edge in self.all_edges(resource, number, kinds, universal=universal):
                    if edge.kind == self._kind:
                        self._named[edge.subject].append(self._place_of(edge))
            for edge in self.userset_edges(resource, number, kinds, universal=universal):
                term = self.userset(edge)
                if term is not None:
                    yield term

    def _place_of(self, edge: Edge) -> int:
        """Return the number of a place where a tuple names somebody, under a condition that comes to so much."""
        if self._conditions is None:
            return self._place((edge.resource, edge.relation))
        value = self._conditions.value(edge)
        self.plain = self.plain and value == _GRANTED
        missing = self._conditions.missing(edge) if value == _CONDITIONAL else frozenset[str]()
        return self._place((edge.resource, edge.relation, value, missing))

    def _place(self, what: Hashable) -> int:
        return self._places.setdefault(what, len(self._places))

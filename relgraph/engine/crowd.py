"""The crowd below a name: the subjects whose answer may differ from that of subjects that nothing names.

Everything below the name is read once, whoever asks, and it is noted where a subject's own answer could come from.

Why nobody is missed: a subject enters the equations below a name through three kinds of operands alone. The operators
ask whether it is this object, or this name of it (`is_subject`: each of these is in the crowd); a tuple names it (it
is in the crowd); or a wildcard covers it, like everybody else of its type. Operators and conditions do not look at
subjects. So whoever is not in the crowd has the equations of somebody whom nothing names.

Why many are asked as one: two subjects that nothing asks about, and that are named by the same relations of the same
resources, under conditions that come to the same, have the same equations, each with the other's name.

What is known of each before it is asked (`known`): from the places that name it, upwards through unions and tuples that
count, everything holds. Whatever is a union all the way down, and has no tuple below it whose condition is open, holds
for nobody else.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from relgraph.engine.scope import BaseScope
from relgraph.rewrites.verdict import CONDITIONAL, REFUSED, YES, Combine

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from relgraph.engine.conditions import Conditions
    from relgraph.engine.scope import World
    from relgraph.rewrites import Atom, Edge, Term, Value
    from relgraph.tuples import Object

__all__ = ["Alike", "Crowd"]

Alike = tuple[int, ...]
"""What subjects share who are asked as one: the places where they are named, each with what its condition comes to."""

_Place = tuple[int, int]
"""A relation of a resource (or of all of a type), in numbers."""

_GRANTED = (YES, YES)
_CONDITIONAL = (CONDITIONAL, CONDITIONAL)


class Crowd(BaseScope):
    """The world without a subject, noting those of one kind: objects of a type, or a relation of each (empty: none).

    `members` are the numbers of the objects in the crowd, each with what it shares with those who are asked as one.
    """

    def __init__(self, world: World, conditions: Conditions | None, type_: str, relation: str) -> None:
        super().__init__(world, flattens=False)
        # INVARIANT: what is not told of conditions has the world's own: a tuple under a caveat never merely counts.
        self._conditions = conditions or self.conditions
        self._relation = relation
        self._type = self.reader.name_number(type_)
        self._kind = (self._type, self.reader.name_number(relation) if relation else 0, False)
        self._covering = None if relation else (self._type, 0, True)
        self._atoms: set[Atom] = set()
        self._reading: Atom
        # The atoms that hold when one holds, and those that hold for whom a relation of a resource names.
        self._upwards: defaultdict[Atom, list[Atom]] = defaultdict(list)
        self._readers: defaultdict[_Place, list[Atom]] = defaultdict(list)
        self._open: set[Atom] = set()
        self._open_places: set[_Place] = set()
        self._covered: set[_Place] = set()
        self._marks: dict[Hashable, int] = {}
        # By mark: where it stands if its condition is met, None otherwise.
        self._places: list[_Place | None] = []
        self._named: defaultdict[int, list[int]] = defaultdict(list)
        self._asked: set[int] = set()
        self._everybody: set[Atom] = set()
        self.members: dict[int, Alike] = {}

    def read(self, resource: Object, name: str) -> None:
        """Read everything below `resource#name`, and fill `members`. The name was checked before."""
        root = self.member(self.number(resource), name)
        agenda = [] if root is None else [root]
        self._atoms.update(agenda)
        for atom in agenda:
            self._reading = atom
            self.budget.node()
            for term in atom.formula.terms(self, atom.object):
                value = _GRANTED if term.edge is None else self._value(term.edge)
                if value not in (_GRANTED, REFUSED):
                    self._open.add(atom)
                if term.atom is None:
                    continue
                if value == _GRANTED and atom.formula.combine is Combine.ANY:
                    self._upwards[term.atom].append(atom)
                if term.atom not in self._atoms:
                    self._atoms.add(term.atom)
                    agenda.append(term.atom)
        for place in self._open_places:
            self._open.update(self._readers[place])
        self._open = self._above(self._open)
        self._everybody = self._above(atom for place in self._covered for atom in self._readers[place])
        for object_ in self._asked:
            # Nobody else is asked about as this one is.
            self._named[object_].append(self._mark(object_, None))
        self.members = {object_: tuple(marks) for object_, marks in self._named.items()}

    def known(self, alike: Alike) -> Callable[[Atom], Value | None] | None:
        """Return what tells the value of atoms, where it is known, for subjects that are alike; None: of no atom."""
        if any(self._places[mark] is None for mark in alike):
            return None
        places = [place for mark in alike if (place := self._places[mark]) is not None]
        held = self._above(atom for place in places for atom in self._readers[place])

        def value(atom: Atom) -> Value | None:
            if atom in held or atom in self._everybody:
                return _GRANTED
            if atom in self._open or atom not in self._atoms or self.program.plans.of(atom.formula) is None:
                return None
            return REFUSED

        return value

    def is_subject(self, object_: int, name: str) -> bool:
        """Note that it is asked whether the subject is `object#name` itself, with an empty name the plain object."""
        if name == self._relation and self.type_of(object_) == self._type:
            self._asked.add(object_)
        return False

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Note whom the tuples of the relation name, and yield those that lead on: to usersets."""
        for resource, number, kinds, universal in self.places(object_, relation):
            place = (resource, number)
            if place not in self._readers:
                for edge in self.all_edges(resource, number, kinds, universal=universal):
                    self._note(place, edge)
            self._readers[place].append(self._reading)
            for edge in self.userset_edges(resource, number, kinds, universal=universal):
                term = self.userset(edge)
                if term is not None:
                    yield term

    def _note(self, place: _Place, edge: Edge) -> None:
        """Note whom a tuple names, or that it covers everybody."""
        if edge.kind not in (self._kind, self._covering):
            return
        value = self._value(edge)
        if value == REFUSED:
            return
        if value != _GRANTED:
            self._open_places.add(place)
        if edge.kind == self._kind:
            what: Hashable = place
            if value != _GRANTED:
                missing = self._conditions.missing(edge) if self._conditions and value == _CONDITIONAL else None
                # Whether a caveat refuses the request's context is not the same of all caveats that have no value.
                what = place, value, missing, edge.caveat
            self._named[edge.subject].append(self._mark(what, place if value == _GRANTED else None))
        elif value == _GRANTED:
            self._covered.add(place)

    def _value(self, edge: Edge) -> Value:
        return _GRANTED if self._conditions is None else self._conditions.value(edge)

    def _mark(self, what: Hashable, place: _Place | None) -> int:
        mark = self._marks.setdefault(what, len(self._places))
        if mark == len(self._places):
            self._places.append(place)
        return mark

    def _above(self, atoms: Iterable[Atom]) -> set[Atom]:
        """Return these atoms and all that hold when they do."""
        found = set(atoms)
        agenda = list(found)
        for atom in agenda:
            self.budget.tick()
            for upper in self._upwards.get(atom, ()):
                if upper not in found:
                    found.add(upper)
                    agenda.append(upper)
        return found

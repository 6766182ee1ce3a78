"""What operators see of the world: atoms at an object, and only those tuples that the schema admits as they stand.

Rule 1: admission is judged here, at every read, and nowhere else in the engine: a tuple that an older schema let in
and today's does not admit is never seen by an operator.
Rule 2: universal tuples (`type:*#relation@…`) are read beside those of every object of the type, named or not.
Rule 3: an object that the store never saw gets a negative number that is valid within one walk and never stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from relgraph.engine.program import KindKey
from relgraph.rewrites import Atom, Name, Term
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.engine.budget import Budget
    from relgraph.engine.program import Program
    from relgraph.engine.reader import Reader
    from relgraph.rewrites import Edge, Rewrite

__all__ = ["BaseScope", "EverySubjectScope", "SubjectScope"]


class BaseScope(ABC):
    """What holds whoever is asked about; subclasses say which tuples of a relation matter."""

    def __init__(self, program: Program, reader: Reader, budget: Budget) -> None:
        self.program = program
        self.reader = reader
        self.budget = budget
        self._strangers: dict[int, Object] = {}
        self._stranger_numbers: dict[Object, int] = {}
        self._universal: dict[int, int | None] = {}

    def number(self, object_: Object) -> int:
        """Return the number of an object that the question names, a negative one where the store never saw it."""
        type_number = self.reader.name_number(object_.type)
        if type_number is not None:
            number = self.reader.object_number(type_number, object_.id)
            if number is not None:
                return number
        number = self._stranger_numbers.setdefault(object_, -1 - len(self._stranger_numbers))
        self._strangers[number] = object_
        return number

    def object(self, number: int) -> Object:
        """Return the object of a number, the question's own included."""
        return self._strangers[number] if number < 0 else self.reader.object(number)

    def _type_of(self, number: int) -> int:
        if number >= 0:
            return self.reader.type_of(number)
        # 0 numbers no name: a type that the store never saw has no members and no tuples.
        return self.reader.name_number(self._strangers[number].type) or 0

    def expression(self, object_: int, rewrite: Rewrite) -> Atom:
        """Return the atom of a sub-expression at the same object; a bare name is what it names."""
        if isinstance(rewrite, Name):
            return self.member(object_, rewrite.name) or Atom(object_, rewrite)
        return Atom(object_, rewrite)

    def member(self, object_: int, name: str) -> Atom | None:
        """Return the atom of membership in `object#name`; None where the object's type has no such name."""
        member = self.program.member(self._type_of(object_), name)
        return None if member is None else Atom(object_, member)

    def tupleset(self, object_: int, relation: str) -> Iterator[Edge]:
        """Yield the living tuples `object#relation@…`, universal ones included."""
        for place, number in self._places(object_, relation):
            for edge in self.reader.edges(place, number):
                if self._admits(edge, object_, universal=place != object_):
                    yield edge

    def _places(self, object_: int, relation: str) -> Iterator[tuple[int, int]]:
        """Yield (resource, relation) numbers where tuples of `object#relation` stand: its own and the universal."""
        number = self.program.number(relation)
        if number is None:
            return
        if object_ >= 0:
            yield object_, number
        type_number = self._type_of(object_)
        if type_number not in self._universal:
            self._universal[type_number] = self.reader.object_number(type_number, WILDCARD)
        universal = self._universal[type_number]
        if universal is not None:
            yield universal, number

    def _admits(self, edge: Edge, object_: int, *, universal: bool) -> bool:
        self.budget.tuple()
        subject_type = self.reader.type_of(edge.subject)
        wildcard = edge.subject == self.reader.object_number(subject_type, WILDCARD)
        kind = KindKey(subject_type, edge.subject_relation, wildcard, universal)
        return kind in self.program.kinds(self._type_of(object_), edge.relation)

    def _userset(self, edge: Edge) -> Term | None:
        atom = self.member(edge.subject, self.reader.name(edge.subject_relation))
        return None if atom is None else Term(edge, atom)

    def tuple(self, edge: Edge) -> RelationTuple:
        """Return the relation tuple that an edge stands for."""
        subject = self.reader.object(edge.subject)
        userset = self.reader.name(edge.subject_relation) if edge.subject_relation else ""
        return RelationTuple(
            self.reader.object(edge.resource),
            self.reader.name(edge.relation),
            Subject(subject.type, subject.id, userset),
        )

    @abstractmethod
    def is_subject(self, object_: int, name: str) -> bool:
        """Return whether the asked subject is `object#name` itself."""

    @abstractmethod
    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the tuples of `object#relation` that matter, usersets with their membership."""


class SubjectScope(BaseScope):
    """The world as one subject meets it: tuples that name it, wildcards that cover it, usersets that may hold it."""

    def __init__(self, program: Program, reader: Reader, budget: Budget, subject: Subject) -> None:
        super().__init__(program, reader, budget)
        self.subject = subject
        self._number = self.number(subject.object)
        self._relation = (reader.name_number(subject.relation) or -1) if subject.relation else 0
        wildcard = None if subject.relation else reader.object_number(self._type_of(self._number), WILDCARD)
        self._wildcard = wildcard

    def is_subject(self, object_: int, name: str) -> bool:
        """Return whether the asked subject is `object#name` itself."""
        return object_ == self._number and name == self.subject.relation

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the subject's own tuples, wildcards that cover it (plain subjects only), then usersets."""
        for place, number in self._places(object_, relation):
            universal = place != object_
            own = self.reader.edge(place, number, self._number, self._relation)
            if own is not None and self._admits(own, object_, universal=universal):
                yield Term(own, None)
            # INVARIANT: a wildcard never covers a userset; `_wildcard` is None when one is asked about.
            if self._wildcard is not None:
                covering = self.reader.edge(place, number, self._wildcard, 0)
                if covering is not None and self._admits(covering, object_, universal=universal):
                    yield Term(covering, None)
            for edge in self.reader.usersets(place, number):
                if self._admits(edge, object_, universal=universal):
                    term = self._userset(edge)
                    if term is not None:
                        yield term


class EverySubjectScope(BaseScope):
    """The world without a subject: every tuple matters. For expanding."""

    def is_subject(self, object_: int, name: str) -> bool:  # noqa: ARG002  # nobody is asked about
        """Return False: nobody in particular is asked about."""
        return False

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield all tuples of the relation."""
        for place, number in self._places(object_, relation):
            for edge in self.reader.edges(place, number):
                if self._admits(edge, object_, universal=place != object_):
                    if not edge.subject_relation:
                        yield Term(edge, None)
                        continue
                    term = self._userset(edge)
                    if term is not None:
                        yield term

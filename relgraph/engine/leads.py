"""Leads: which names of a schema lean on which, read off the operators and turned round, to search backwards.

Rule 1: as with plans, the operators are asked by a scope that only writes down what they ask for. So a new operator
needs nothing here.
Rule 2: what stands in the excluded side of a `-` is written down as *taken*: it may change an answer, and can never
make one hold that would not hold without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from relgraph.engine.plans import Recorder
from relgraph.rewrites import Combine, Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.engine.program import Program
    from relgraph.rewrites import Atom, Formula, Rewrite, Term

__all__ = ["Arrowed", "Leads", "Reading"]

_Key = tuple[int, str]
"""The number of a type, and a name of it."""


_What = TypeVar("_What")


class Reading(NamedTuple):
    """A name that leans on something; `taken` where that stands in an excluded side only."""

    name: str
    taken: bool


class Arrowed(NamedTuple):
    """A name of a type that reads another through the tuples of `relation`, whose subjects have such relations."""

    type: int
    name: str
    taken: bool
    relation: int
    subject_relations: tuple[int, ...]


class _Asked(Recorder):
    """Writes down what one name asks for, and whether only an excluded side does."""

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[str, bool] = {}
        self.identical: dict[str, bool] = {}
        self.granted: dict[str, bool] = {}
        self.arrowed: dict[tuple[str, str], bool] = {}
        self.every: set[str] = set()
        self._places: list[int] = []
        self._taken = 0
        self._each = False

    def ask(self, formula: Formula) -> None:
        """Let the formula ask for its operands."""
        each, self._each = self._each, formula.combine is Combine.EACH
        self._places.append(0)
        super().ask(formula)
        self._places.pop()
        self._each = each

    def operand(self, object_: int, rewrite: Rewrite, within: Combine) -> Iterable[Term]:
        """Ask the sub-expression as well: the second one of a `-` is taken away."""
        taken = within is Combine.MINUS and self._places[-1] == 1
        self._places[-1] += 1
        self._taken += taken
        if isinstance(rewrite, Name):
            self._note(self.named, rewrite.name)
        super().operand(object_, rewrite, within)
        self._taken -= taken
        return ()

    def is_subject(self, object_: int, name: str) -> bool:
        """Write down that the object may be the subject."""
        self._note(self.identical, name)
        return super().is_subject(object_, name)

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Write down that the relation's members are asked for."""
        self._note(self.granted, relation)
        return super().grants(object_, relation)

    def member(self, object_: int, name: str) -> Atom | None:
        """Write down which name is asked for, here or behind the tupleset."""
        known = len(self.arrows)
        super().member(object_, name)
        if len(self.arrows) == known:
            self._note(self.named, name)
        else:
            self._note(self.arrowed, self.arrows[-1])
            if self._each:
                self.every.add(self.arrows[-1][0])
        return None

    def _note(self, into: dict[_What, bool], what: _What) -> None:
        into[what] = into.get(what, True) and self._taken > 0


class Leads:
    """All that one name of a type could lean on, each with what leans on it.

    `types` are the types that have such names. Everything is keyed by (type, …), in numbers but for the names of names:

    * `named`: the names of the same object that read a name;
    * `identical`: those that hold by identity, keyed by what the object is asked to be (`""`: the plain object);
    * `granted`: those that read a relation's own tuples, keyed by the relation's number;
    * `every`: those that read it as the tupleset of a `.all`, likewise;
    * `arrowed`: those that read a name through an arrow's tuples;
    * `usersets`: the names that are read through the tuples of a relation that takes them as subjects.
    """

    def __init__(self, program: Program, type_number: int, name: str) -> None:
        self._program = program
        self.named: dict[_Key, list[Reading]] = {}
        self.identical: dict[_Key, list[Reading]] = {}
        self.granted: dict[tuple[int, int], list[Reading]] = {}
        self.every: dict[tuple[int, int], list[Reading]] = {}
        self.arrowed: dict[_Key, list[Arrowed]] = {}
        self.usersets: set[_Key] = set()
        known = {(type_number, name)}
        for key in (agenda := [(type_number, name)]):
            for below in self._read(key):
                if below not in known:
                    known.add(below)
                    agenda.append(below)
        self.types = {type_ for type_, _ in known}

    def _read(self, key: _Key) -> Iterator[_Key]:
        """Note what one name leans on, and yield all other names among that."""
        type_number, name = key
        member = self._program.member(type_number, name)
        if member is None:
            return
        asked = _Asked()
        asked.ask(member)
        for below, taken in asked.named.items():
            self.named.setdefault((type_number, below), []).append(Reading(name, taken))
            yield type_number, below
        for what, taken in asked.identical.items():
            self.identical.setdefault((type_number, what), []).append(Reading(name, taken))
        for relation, taken in asked.granted.items():
            number = self._program.number(relation)
            if number is not None:
                self.granted.setdefault((type_number, number), []).append(Reading(name, taken))
                yield from self._usersets(type_number, number)
        for (relation, wanted), taken in asked.arrowed.items():
            number = self._program.number(relation)
            if number is not None:
                if relation in asked.every:
                    self.every.setdefault((type_number, number), []).append(Reading(name, taken))
                yield from self._arrows(type_number, name, number, wanted, taken=taken)

    def _usersets(self, type_number: int, relation: int) -> Iterator[_Key]:
        for subject_type, subject_relation, _ in self._program.kinds(type_number, relation):
            if subject_relation:
                key = subject_type, self._program.name(subject_relation)
                self.usersets.add(key)
                yield key

    def _arrows(self, type_number: int, name: str, relation: int, wanted: str, *, taken: bool) -> Iterator[_Key]:
        relations: dict[int, set[int]] = {}
        for subject_type, subject_relation, _ in self._program.kinds(type_number, relation):
            relations.setdefault(subject_type, set()).add(subject_relation)
        for subject_type, some in relations.items():
            if self._program.member(subject_type, wanted) is not None:
                arrowed = Arrowed(type_number, name, taken, relation, tuple(some))
                self.arrowed.setdefault((subject_type, wanted), []).append(arrowed)
                yield subject_type, wanted

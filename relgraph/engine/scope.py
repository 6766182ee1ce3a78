"""What operators see of the world: atoms at an object, and only those tuples that the schema admits as they stand.

Rule 1: whether a tuple lives is judged here, at every read, and nowhere else in the engine: one that has expired, or
that an older schema let in and today's does not admit, is never seen by an operator.
Rule 2: universal tuples (`type:*#relation@…`) are read beside those of every object of the type, named or not.
Rule 3: an object that the store never saw gets a negative number that is valid within one walk and never stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from relgraph.contexts import EMPTY
from relgraph.engine.conditions import Caveats
from relgraph.engine.plans import marks
from relgraph.instants import moment
from relgraph.rewrites import Atom, Combine, Name, Nil, PermissionMember, Term
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.contexts import Context
    from relgraph.engine.budget import Budget
    from relgraph.engine.conditions import Conditions
    from relgraph.engine.plans import Kinds
    from relgraph.engine.program import Program
    from relgraph.engine.reader import Reader
    from relgraph.rewrites import Edge, Formula, Rewrite

__all__ = ["BaseScope", "EverySubjectScope", "SubjectScope", "World"]


_NOBODY = Nil()

# The marks of tuples that last and of those that expire.
_PLAIN = marks(False, False), marks(False, True)
_UNIVERSAL = marks(True, False), marks(True, True)


class World(NamedTuple):
    """What a request is answered from: rules, tuples, allowance, and its one instant, in microseconds since 1970 UTC.

    A tuple that expires counts before that instant only. `context` has values for the parameters of caveats, and
    `conditions` what was worked out with them, where several scopes are to share that.
    """

    def judging(self) -> Conditions | None:
        """Return what tuples' conditions are worth; None where the schema declares no caveat: none can count then."""
        caveats = self.program.schema.caveats
        return Caveats(caveats, self.reader.name, self.context, self.budget) if caveats else None

    program: Program
    reader: Reader
    budget: Budget
    now: int
    context: Context = EMPTY
    conditions: Conditions | None = None


class BaseScope(ABC):
    """What holds whoever is asked about; subclasses say which tuples of a relation matter.

    With `flattens`, a union within a union is read as one, and a permission as its expression: fewer atoms, the same
    answers.
    """

    def __init__(self, world: World, *, flattens: bool) -> None:
        self.world = world
        self.program, self.reader, self.budget, self.now = world[:4]
        # INVARIANT: a world that says nothing of conditions has the schema's own, never none.
        self.conditions = world.conditions or world.judging()
        self._flattens = flattens
        self._strangers: dict[int, Object] = {}
        self._stranger_numbers: dict[Object, int] = {}
        self._stars: dict[int, int | None] = {}
        self._shifts: dict[int, int] = {}

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

    def type_of(self, number: int) -> int:
        """Return the number of an object's type, the question's own included; 0 for one that the store never saw."""
        if number >= 0:
            return self.reader.type_of(number)
        # 0 numbers no name: a type that the store never saw has no members and no tuples.
        return self.reader.name_number(self._strangers[number].type) or 0

    def operand(self, object_: int, rewrite: Rewrite, within: Combine) -> Iterable[Term]:
        """Return a sub-expression at the same object: a name as what it names, a union in a union as its operands."""
        if isinstance(rewrite, Name):
            return (Term(None, self.member(object_, rewrite.name) or Atom(object_, rewrite)),)
        if self._flattens and rewrite.combine is within is Combine.ANY:
            return rewrite.terms(self, object_)
        return (Term(None, Atom(object_, rewrite)),)

    def meaning(self, atom: Atom) -> Formula:
        """Return the formula to evaluate for an atom: a permission's expression where identity has no say."""
        formula = atom.formula
        if self._flattens and isinstance(formula, PermissionMember) and not self.is_subject(atom.object, formula.name):
            return formula.rewrite
        return formula

    def member(self, object_: int, name: str) -> Atom | None:
        """Return the atom of membership in `object#name`; None where the object's type has no such name."""
        member = self.program.member(self.type_of(object_), name)
        return None if member is None else Atom(object_, member)

    def nobody(self, object_: int) -> Atom:
        """Return an atom that nobody is a member of."""
        return Atom(object_, _NOBODY)

    def tupleset(self, object_: int, relation: str) -> Iterator[Edge]:
        """Yield the living tuples `object#relation@…`, universal ones included."""
        for resource, number, kinds, universal in self.places(object_, relation):
            yield from self.all_edges(resource, number, kinds, universal=universal)

    def places(self, object_: int, relation: str) -> list[tuple[int, int, Kinds, bool]]:
        """Return where tuples of `object#relation` stand: at the object itself, and at `type:*`."""
        number = self.program.number(relation)
        if number is None:
            return []
        type_number = self.type_of(object_)
        kinds = self.program.kinds(type_number, number)
        places = [(object_, number, kinds, False)] if object_ >= 0 else []
        star = self.star(type_number)
        if star is not None:
            places.append((star, number, kinds, True))
        return places

    def star(self, type_number: int) -> int | None:
        """Return the number of `type:*`, None where no tuple ever named it."""
        if type_number not in self._stars:
            self._stars[type_number] = self.reader.object_number(type_number, WILDCARD)
        return self._stars[type_number]

    def all_edges(self, resource: int, relation: int, kinds: Kinds, *, universal: bool) -> list[Edge]:
        """Return the living tuples of a relation."""
        return self.living(self.reader.edges(resource, relation), kinds, universal=universal)

    def userset_edges(self, resource: int, relation: int, kinds: Kinds, *, universal: bool) -> list[Edge]:
        """Return the living tuples of a relation whose subject is a userset."""
        return self.living(self.reader.usersets(resource, relation), kinds, universal=universal)

    def living(self, edges: Sequence[Edge], kinds: Kinds, *, universal: bool) -> list[Edge]:
        """Return those tuples that have not expired and that the schema takes as they stand."""
        self.budget.tuples(len(edges))
        now = self.now
        lasting, expiring = _UNIVERSAL if universal else _PLAIN
        living = []
        for edge in edges:
            taken = kinds.get(edge.kind, 0)
            if edge.caveat:
                taken >>= self._beyond(edge.caveat)
            expires = edge.expires
            if taken & lasting if expires is None else taken & expiring and now < expires:
                living.append(edge)
        return living

    def _beyond(self, caveat: int) -> int:
        """Return where the marks of tuples with a caveat begin; where there are none, for one that is not declared."""
        shift = self._shifts.get(caveat)
        if shift is None:
            shift = self._shifts[caveat] = self.program.shift(self.reader.name(caveat))
        return shift

    def holders(self, subject: int, subject_relation: int) -> list[Edge]:
        """Return the living tuples that name exactly this subject, of every relation."""
        if subject < 0:
            return []
        return [edge for edge in self.reader.holders(subject, subject_relation) if self._lives(edge)]

    def _lives(self, edge: Edge) -> bool:
        type_number = self.type_of(edge.resource)
        kinds = self.program.kinds(type_number, edge.relation)
        return bool(self.living((edge,), kinds, universal=edge.resource == self.star(type_number)))

    def userset(self, edge: Edge) -> Term | None:
        """Return a tuple with the membership in the userset that it names; None where there is no such name."""
        atom = self.member(edge.subject, self.reader.name(edge.subject_relation))
        return None if atom is None else Term(edge, atom)

    def tuple(self, edge: Edge) -> RelationTuple:
        """Return the relation tuple that an edge stands for."""
        subject = self.reader.object(edge.subject)
        expires_at = None if edge.expires is None else moment(edge.expires)
        userset = self.reader.name(edge.subject_relation) if edge.subject_relation else ""
        return RelationTuple(
            self.reader.object(edge.resource),
            self.reader.name(edge.relation),
            Subject(subject.type, subject.id, userset),
            expires_at,
            self.reader.name(edge.caveat) if edge.caveat else "",
            edge.context,
        )

    @abstractmethod
    def is_subject(self, object_: int, name: str) -> bool:
        """Return whether the asked subject is `object#name` itself, with an empty name the plain object."""

    @abstractmethod
    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the tuples of `object#relation` that matter, usersets with their membership."""


class SubjectScope(BaseScope):
    """The world as one subject meets it: tuples that name it, wildcards that cover it, usersets that may hold it."""

    def __init__(self, world: World, subject: Subject, *, flattens: bool = True) -> None:
        super().__init__(world, flattens=flattens)
        self.subject = subject
        self.subject_number = self.number(subject.object)
        type_number = self.type_of(self.subject_number)
        # Of what the store never saw there is no tuple.
        self.subject_relation = (self.reader.name_number(subject.relation) or -1) if subject.relation else 0
        self._kind = (type_number, self.subject_relation, False)
        self.wildcard = None if subject.relation else self.star(type_number)

    def is_subject(self, object_: int, name: str) -> bool:
        """Return whether the asked subject is `object#name` itself, with an empty name the plain object."""
        return object_ == self.subject_number and name == self.subject.relation

    def own_edges(self, resource: int, relation: int, kinds: Kinds, *, universal: bool) -> Sequence[Edge]:
        """Return the living tuples of a relation that name the subject, or a wildcard that covers it."""
        own: Sequence[Edge] = ()
        covering: Sequence[Edge] = ()
        if self._kind in kinds:
            own = self.reader.edges_to(resource, relation, self.subject_number, self._kind[1])
        # INVARIANT: a wildcard never covers a userset; `wildcard` is None when one is asked about.
        if self.wildcard is not None and (self._kind[0], 0, True) in kinds:
            covering = self.reader.edges_to(resource, relation, self.wildcard, 0)
        if not own and not covering:
            return ()
        return self.living([*own, *covering], kinds, universal=universal)

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the subject's own tuples, wildcards that cover it (plain subjects only), then usersets."""
        places = self.places(object_, relation)
        for resource, number, kinds, universal in places:
            for edge in self.own_edges(resource, number, kinds, universal=universal):
                yield Term(edge, None)
        for resource, number, kinds, universal in places:
            for edge in self.userset_edges(resource, number, kinds, universal=universal):
                term = self.userset(edge)
                if term is not None:
                    yield term


class EverySubjectScope(BaseScope):
    """The world without a subject: every tuple matters, and every operator stands by itself."""

    def __init__(self, world: World) -> None:
        super().__init__(world, flattens=False)

    def is_subject(self, object_: int, name: str) -> bool:  # noqa: ARG002  # true of every object
        """Return whether `object#name`, with an empty name the plain object, is a plain subject: each object is."""
        return not name

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield all tuples of the relation."""
        for edge in self.tupleset(object_, relation):
            term = self.userset(edge) if edge.subject_relation else Term(edge, None)
            if term is not None:
                yield term

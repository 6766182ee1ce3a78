"""Cycles in data: names of objects that lead back to themselves through tuples, and answers that no order can settle.

A name of an object (`folder:a#view`) leads to the names that its tuples, arrows and expressions read. What leads back
to itself is found as the strongly connected components of that digraph:

    usersets     through the tuples of relations alone (`group:a#member@group:b#member` and back)
    tuplesets    through the tuples that arrows walk, whatever else (`folder:a#parent@folder:b` and back)
    undefined    through the excluded side of a `-`, where somebody's answer is UNDECIDED

Rule 1: only names that could lead back to themselves by the schema alone are looked at; nothing else can.
Rule 2: whether an answer is UNDECIDED is asked of the walk, for every plain subject that it could be about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from relgraph.answers import Cycle, CycleClass, Verdict
from relgraph.engine.below import Below
from relgraph.engine.check import check
from relgraph.engine.scope import BaseScope, EverySubjectScope, SubjectScope
from relgraph.engine.walk import Walk
from relgraph.rewrites import Combine, PermissionMember, RelationMember
from relgraph.schema.dependencies import dependencies
from relgraph.tuples import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import networkx

    from relgraph.engine.scope import World
    from relgraph.rewrites import Atom, Edge, Formula, Term
    from relgraph.schema.dependencies import Member
    from relgraph.tuples import Object

__all__ = ["find_cycles"]

_Why = Literal["name", "userset", "arrow"]

_ORDER: Final = tuple(CycleClass)


class _Tie(NamedTuple):
    """One atom leads to another: by name, or by a tuple; below a NOT or not."""

    source: Atom
    target: Atom
    why: _Why
    edge: Edge | None
    negative: bool


def find_cycles(
    world: World, candidates: Iterable[Object], plain_objects: Callable[[str], Iterable[Object]]
) -> Iterator[Cycle]:
    """Yield the cycles among the names of some objects, and of whatever these lead to, class by class.

    `plain_objects(type)` lists the named objects of a type.
    """
    found = _Cycles(_UsersetScope(world))
    found.grow(candidates)
    told = [*found.through_usersets(), *found.through_tuplesets(), *_undefined(world, found, plain_objects)]
    yield from sorted(told, key=lambda cycle: (_ORDER.index(cycle.kind), cycle.names))


class _UsersetScope(BaseScope):
    """The world without plain subjects, which lead nowhere; unions are read as flat as they are for a check."""

    def __init__(self, world: World) -> None:
        super().__init__(world, flattens=True)

    def is_subject(self, object_: int, name: str) -> bool:  # noqa: ARG002  # there is none
        """Return whether somebody is `object#name` itself: nobody is asked about."""
        return False

    def grants(self, object_: int, relation: str) -> Iterator[Term]:
        """Yield the tuples of a relation that name usersets."""
        for resource, number, kinds, universal in self.places(object_, relation):
            for edge in self.userset_edges(resource, number, kinds, universal=universal):
                term = self.userset(edge)
                if term is not None:
                    yield term


class _Cycles:
    """The digraph of atoms that may lead back to themselves, and what is tied together in it."""

    def __init__(self, scope: _UsersetScope) -> None:
        import networkx  # noqa: PLC0415  # 100 ms that only these questions pay for

        self._networkx = networkx
        self.scope = scope
        # By type, too: most objects are of a type whose names lead nowhere.
        self._names: dict[str, list[str]] = {}
        self._members = self._recursive()
        self._ties: list[_Tie] = []

    def _recursive(self) -> dict[Formula, str]:
        """Return the names that could lead back to themselves, by their formulas."""
        leans: networkx.DiGraph[Member] = self._networkx.DiGraph()
        # An arrow reads the tuples of its tupleset, and not who is a member of that.
        told = (each for each in dependencies(self.scope.program.schema) if each.why != "tupleset")
        leans.add_edges_from((each.source, each.target) for each in told)
        members: dict[Formula, str] = {}
        for part in self._networkx.strongly_connected_components(leans):
            if len(part) > 1 or any(leans.has_edge(one, one) for one in part):
                for type_, name in part:
                    number = self.scope.reader.name_number(type_)
                    member = None if number is None else self.scope.program.member(number, name)
                    if member is not None:
                        members[member] = name
                        self._names.setdefault(type_, []).append(name)
        return members

    def grow(self, candidates: Iterable[Object]) -> None:
        """Read what the names of some objects lead to, and keep what leads back to itself."""
        met: set[Atom] = set()
        ties: list[_Tie] = []
        for candidate in candidates:
            if candidate.type not in self._names:
                continue
            self.scope.budget.renew()
            number = self.scope.number(candidate)
            agenda = [atom for name in self._names[candidate.type] if (atom := self.scope.member(number, name))]
            while agenda:
                atom = agenda.pop()
                if atom not in met:
                    met.add(atom)
                    self.scope.budget.node()
                    below = [tie for tie in self._below(atom) if self._wanted(tie.target)]
                    ties += below
                    agenda.extend(tie.target for tie in below)
        self._ties = self._circular(ties)

    def _wanted(self, atom: Atom) -> bool:
        """Return whether an atom may lead back to itself: a part of an expression may, where its name does."""
        return atom.formula in self._members or not isinstance(atom.formula, RelationMember | PermissionMember)

    def _below(self, atom: Atom) -> Iterator[_Tie]:
        formula = self.scope.meaning(atom)
        why: _Why = "userset" if isinstance(formula, RelationMember) else "arrow"
        excludes = formula.combine is Combine.MINUS
        for position, term in enumerate(formula.terms(self.scope, atom.object)):
            if term.atom is not None:
                negative = excludes and position > 0
                yield _Tie(atom, term.atom, "name" if term.edge is None else why, term.edge, negative)

    def _circular(self, ties: list[_Tie]) -> list[_Tie]:
        """Return those ties that lead from a component into itself."""
        parts = self._parts(ties)
        return [tie for tie in ties if parts.get(tie.source, -1) == parts.get(tie.target, -2)]

    def _parts(self, ties: Iterable[_Tie]) -> dict[Atom, int]:
        """Return for each atom the number of its component."""
        digraph: networkx.DiGraph[Atom] = self._networkx.DiGraph()
        digraph.add_edges_from((tie.source, tie.target) for tie in ties)
        self.scope.budget.tick()
        found = enumerate(self._networkx.strongly_connected_components(digraph))
        return {atom: number for number, part in found for atom in part}

    def _groups(self, ties: list[_Tie]) -> list[list[_Tie]]:
        """Return the ties within each component."""
        parts = self._parts(ties)
        groups: dict[int, list[_Tie]] = {}
        for tie in ties:
            if parts[tie.source] == parts[tie.target]:
                groups.setdefault(parts[tie.source], []).append(tie)
        return list(groups.values())

    def through_usersets(self) -> Iterator[Cycle]:
        """Yield what leads back to itself through relations, with no arrow in between."""
        for group in self._groups([tie for tie in self._ties if tie.why != "arrow"]):
            if any(tie.why == "userset" for tie in group):
                yield self._cycle(CycleClass.USERSETS, group)

    def through_tuplesets(self) -> Iterator[Cycle]:
        """Yield what leads back to itself through an arrow."""
        for group in self._groups(self._ties):
            if any(tie.why == "arrow" for tie in group):
                yield self._cycle(CycleClass.TUPLESETS, group)

    def through_exclusions(self) -> Iterator[Cycle]:
        """Yield what leads back to itself through an excluded side: its answers may be undecided."""
        for group in self._groups(self._ties):
            if any(tie.negative for tie in group):
                yield self._cycle(CycleClass.UNDEFINED, group)

    def _cycle(self, kind: CycleClass, group: list[_Tie]) -> Cycle:
        names = {self.name(tie.source) for tie in group if tie.source.formula in self._members}
        tuples = {self.scope.tuple(tie.edge) for tie in group if tie.edge is not None}
        return Cycle(kind, tuple(sorted(names)), tuple(sorted(tuples)), ())

    def name(self, atom: Atom) -> Subject:
        """Return a name of an object as a userset: `folder:a#view`."""
        object_ = self.scope.object(atom.object)
        return Subject(object_.type, object_.id, self._members[atom.formula])


def _undefined(world: World, found: _Cycles, plain_objects: Callable[[str], Iterable[Object]]) -> Iterator[Cycle]:
    """Yield the cycles through exclusions in which somebody's answer is UNDECIDED, with those names and subjects."""
    suspected = list(found.through_exclusions())
    if not suspected:
        return
    scope = EverySubjectScope(world)
    roots = [[_root(scope, name) for name in cycle.names] for cycle in suspected]
    below = Below(scope, plain_objects)
    below.grow(roots)
    for cycle, atoms in zip(suspected, roots, strict=True):
        names: set[Subject] = set()
        subjects: set[Subject] = set()
        for object_ in below.subjects(atoms):
            world.budget.renew()
            who = Subject(object_.type, object_.id)
            walk = Walk(SubjectScope(world, who))
            undecided = [
                name for name in cycle.names if check(walk, name.object, name.relation)[0] is Verdict.UNDECIDED
            ]
            names.update(undecided)
            subjects.update((who,) if undecided else ())
        if names:
            yield Cycle(cycle.kind, tuple(sorted(names)), cycle.tuples, tuple(sorted(subjects)))


def _root(scope: EverySubjectScope, name: Subject) -> Atom:
    root = scope.member(scope.number(name.object), name.relation)
    assert root is not None  # it is in a cycle
    return root

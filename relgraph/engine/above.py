"""What lies above a subject: the objects on which its answer may differ from that on objects that nothing names.

The search goes backwards, from the subject through the tuples that name it, the wildcards that cover it, the usersets
that hold it and the arrows that lead to it. It never looks at objects one by one, but where a universal tuple makes
all of a type count. What it finds are candidates: each is decided by the walk afterwards.

Why nobody is missed. Call *possible* what could hold if every excluded side came out NO; whatever is not possible is
NO for certain, in every step of the well-founded model, and can be left out of any union. Take an object o that is
named and one s of its type that is not. Operators at o and at s have the same operands at the same object, so what is
written in the schema about them is the same, and only three kinds of operands can make a difference:

* identity, and `self`: only where o is the subject's own object. The search begins there.
* a tuple of o's own that grants: one that names the subject or a wildcard that covers it, where the search begins; or
  one that names a userset, which makes no difference unless that userset is possible. From all that are possible,
  the search goes on to the tuples that name them. A condition can only take away.
* a tuple of o's own in the tupleset of an arrow: it makes no difference unless what it leads to is possible; the search
  goes on from there too, whatever the subject's relation. With `.all` it also can take away, from what a universal
  tuple alone would give: so where `type:*` has tuples in that tupleset, all objects with some of their own are found.

A universal tuple is an operand of o and s alike and makes no difference between them. What it makes possible, it makes
possible on every object of the type: the search goes on from all those that are named. Every difference, in an
included side or in an excluded one, is carried on to the names of the same object that read it (`a + b`, `a & b`,
`a - b` alike). Where s itself is not possible, its answer is NO, and only what is possible can differ from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.leads import Leads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.engine.leads import Arrowed, Reading
    from relgraph.engine.scope import SubjectScope
    from relgraph.rewrites import Edge

__all__ = ["above"]


def above(scope: SubjectScope, type_: str, name: str) -> set[int]:
    """Return the numbers of all objects of a type on which the subject may have `name` otherwise than on a stranger."""
    type_number = scope.reader.name_number(type_)
    if type_number is None or scope.program.member(type_number, name) is None:
        return set()
    search = _Search(scope, Leads(scope.program, type_number, name))
    search.run()
    return search.found(type_number, name)


class _Search:
    """One search. A node is an object and a name of it, as (object, name); `type:*` stands for all of its type."""

    def __init__(self, scope: SubjectScope, leads: Leads) -> None:
        self._scope = scope
        self._leads = leads
        self._possible: set[tuple[int, str]] = set()
        self._agenda: list[tuple[int, str]] = []
        # Where something at the object itself may make a difference.
        self._differing: set[tuple[int, str]] = set()

    def run(self) -> None:
        """Find all that is possible, from the subject on."""
        scope, leads = self._scope, self._leads
        subject = scope.subject_number
        for reading in leads.identical.get((scope.type_of(subject), scope.subject.relation), ()):
            self._meet(subject, (reading,))
        self._follow(scope.holders(subject, scope.subject_relation))
        if scope.wildcard is not None:
            self._follow(scope.holders(scope.wildcard, 0))
        while self._agenda:
            object_, name = self._agenda.pop()
            scope.budget.node()
            type_number = scope.type_of(object_)
            for reading in leads.named.get((type_number, name), ()):
                if not reading.taken:
                    self._allow(object_, reading.name)
            everything = object_ == scope.star(type_number)
            self._lead_on(type_number, name, scope.reader.objects(type_number) if everything else (object_,))

    def found(self, type_number: int, name: str) -> set[int]:
        """Return the objects of the type for which `name` may differ from what it is for a stranger."""
        star = self._scope.star(type_number)
        if (star, name) not in self._possible:
            return {
                object_ for object_, possible in self._possible if possible == name and self._is(object_, type_number)
            }
        self._differ_in_all()
        agenda = list(self._differing)
        for object_, differing in agenda:
            self._scope.budget.tick()
            for reading in self._leads.named.get((self._scope.type_of(object_), differing), ()):
                if (object_, reading.name) not in self._differing:
                    self._differing.add((object_, reading.name))
                    agenda.append((object_, reading.name))
        found = {object_ for object_, differing in self._differing if differing == name}
        return {object_ for object_ in found if object_ != star and self._is(object_, type_number)}

    def _is(self, object_: int, type_number: int) -> bool:
        return self._scope.type_of(object_) == type_number

    def _differ_in_all(self) -> None:
        """Add the objects with tuples of their own in the tupleset of a `.all`, where `type:*` has some too."""
        for (type_number, relation), readings in self._leads.every.items():
            star = self._scope.star(type_number)
            if star is None or not self._has(star, type_number, relation, universal=True):
                continue
            for object_ in self._scope.reader.objects(type_number):
                self._scope.budget.node()
                if object_ != star and self._has(object_, type_number, relation, universal=False):
                    self._differing.update((object_, reading.name) for reading in readings)

    def _has(self, object_: int, type_number: int, relation: int, *, universal: bool) -> bool:
        kinds = self._scope.program.kinds(type_number, relation)
        return bool(self._scope.all_edges(object_, relation, kinds, universal=universal))

    def _allow(self, object_: int, name: str) -> None:
        if (object_, name) not in self._possible:
            self._possible.add((object_, name))
            self._agenda.append((object_, name))

    def _meet(self, object_: int, readings: Iterable[Reading | Arrowed]) -> None:
        """Something at the object itself makes these names possible, or takes from them."""
        for reading in readings:
            self._differing.add((object_, reading.name))
            if not reading.taken:
                self._allow(object_, reading.name)

    def _lead_on(self, type_number: int, name: str, objects: Iterable[int]) -> None:
        """Go on from a name of objects to the tuples that lead there."""
        scope = self._scope
        userset = scope.program.number(name) if (type_number, name) in self._leads.usersets else None
        arrowed = self._leads.arrowed.get((type_number, name), ())
        if userset is None and not arrowed:
            return
        for object_ in objects:
            scope.budget.node()
            if userset is not None:
                self._follow(scope.holders(object_, userset))
            for arrow in arrowed:
                for relation in arrow.subject_relations:
                    for edge in scope.holders(object_, relation):
                        if edge.relation == arrow.relation and self._is(edge.resource, arrow.type):
                            self._meet(edge.resource, (arrow,))

    def _follow(self, edges: Iterable[Edge]) -> None:
        """Go on to the relations whose tuples grant."""
        for edge in edges:
            self._meet(edge.resource, self._leads.granted.get((self._scope.type_of(edge.resource), edge.relation), ()))

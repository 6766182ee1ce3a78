"""Plans: which names are unions all the way down, and which tuples to look at for them, worked out once per schema.

A name is *additive* when neither its expression nor anything that could be met below it, whatever the tuples say, is
an intersection, an exclusion or `.all`. Whoever is in such a name is found by a plain search (`reach`).

Rule 1: a plan is read off the operators themselves: they are asked for their operands by a scope that only writes down
what they ask for. So a new operator needs nothing here, and no plan can say anything else than `Rewrite.terms` does.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.contexts import EMPTY, Context
from relgraph.rewrites import Atom, Combine, Name, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from relgraph.rewrites import Edge, Formula, Member, Rewrite

__all__ = ["MARKS", "Kind", "Kinds", "Plan", "Plans", "Reading", "Recorder", "marks"]

Kind = tuple[int, int, bool]
"""A kind of subject: the number of its type, of its relation (0 without one), and whether it is the wildcard."""

Kinds = dict[Kind, int]
"""What a relation takes: kinds of subject to the marks that are admitted with them, one bit each (`marks`).

A kind that is taken with a caveat only is among them, with no mark of tuples that carry none.
"""

MARKS: Final = 4
"""So many marks there are with each caveat."""

_OWN, _BEHIND = 0, 1

# A name of a type; or an arrow of it, as its tupleset and the name wanted.
_Key = tuple[int, str] | tuple[int, str, str]


def marks(universal: bool, expiration: bool, caveat: int = 0) -> int:
    """Return the bit of one combination of marks: tuples that differ in one of them are taken apart by a schema.

    `caveat` is the place of the caveat among the schema's, from 1; 0 for none.
    """
    return 1 << (caveat * MARKS + (universal << 1 | expiration))


class Reading(NamedTuple):
    """One relation to read at the plan's object.

    `name` is the name wanted of the objects that it points at; empty where the relation's own members are wanted.
    `leads_on` tells whether the relation takes usersets, or what is behind it matters. `onward` keeps, once asked for,
    the number of the plan behind each kind of subject: None where there is no such name.
    """

    relation: int
    name: str
    kinds: Kinds
    leads_on: bool
    onward: dict[Kind, int | None]


class Plan(NamedTuple):
    """How to find whether a subject is in a name of an object, and in what that leads to at the same object.

    `names` are those by which the object would be the subject itself (identity; empty: the plain object, `self`).
    `number` is even, and unique in its schema; the odd one above it is for the universal tuples of the type.
    """

    number: int
    type: int
    member: Member
    names: frozenset[str]
    grants: tuple[Reading, ...]
    arrows: tuple[Reading, ...]


class _Asked(NamedTuple):
    """An edge that stands for all tuples of a tupleset."""

    resource: int = _OWN
    relation: int = 0
    subject: int = _BEHIND
    subject_relation: int = 0
    kind: Kind = (0, 0, False)
    expires: int | None = None
    caveat: int = 0
    context: Context = EMPTY
    contextual: int = 0


class Recorder:
    """A `Scope` without objects and tuples: it writes down what one formula asks for."""

    def __init__(self) -> None:
        self.additive = True
        self.identities: list[str] = []
        self.members: list[str] = []
        self.grants_of: list[str] = []
        self.arrows: list[tuple[str, str]] = []
        self._tupleset = ""

    def ask(self, formula: Formula) -> None:
        """Let the formula ask for its operands."""
        self.additive &= formula.combine is Combine.ANY
        for _ in formula.terms(self, _OWN):
            pass

    def operand(self, object_: int, rewrite: Rewrite, within: Combine) -> Iterable[Term]:  # noqa: ARG002  # as one union
        """Ask the sub-expression as well."""
        if isinstance(rewrite, Name):
            self.members.append(rewrite.name)
        else:
            self.ask(rewrite)
        return ()

    def is_subject(self, object_: int, name: str) -> bool:  # noqa: ARG002  # there is one object only
        """Write down that the object may be the subject."""
        self.identities.append(name)
        return False

    def grants(self, object_: int, relation: str) -> Iterator[Term]:  # noqa: ARG002  # there is one object only
        """Write down that the relation's members are asked for."""
        self.grants_of.append(relation)
        return iter(())

    def member(self, object_: int, name: str) -> Atom | None:
        """Write down which name is asked for, here or behind the tupleset."""
        if object_ == _OWN:
            self.members.append(name)
        else:
            self.arrows.append((self._tupleset, name))
        return None

    def nobody(self, object_: int) -> Atom:
        """Return some atom: only what is not additive asks for it."""
        return Atom(object_, Name("nil"))

    def tupleset(self, object_: int, relation: str) -> Iterator[Edge]:  # noqa: ARG002  # there is one object only
        """Yield one edge for all."""
        self._tupleset = relation
        yield _Asked()


class Plans:
    """The plans of all additive names of one schema, each made when it is first wanted."""

    def __init__(
        self,
        members: Mapping[int, Mapping[str, Member]],
        numbers: Mapping[str, int],
        kinds: Mapping[tuple[int, int], Kinds],
    ) -> None:
        self._members = members
        self._numbers = numbers
        self._kinds = kinds
        self._names = {number: name for name, number in numbers.items()}
        self._asked = {
            (type_number, name): self._recorded(member)
            for type_number, named in members.items()
            for name, member in named.items()
        }
        self._additive = self._unspoilt()
        self._keys = {members[type_number][name]: (type_number, name) for type_number, name in self._additive}
        self._plans: dict[tuple[int, str], Plan] = {}
        self._lock = Lock()
        self.made: list[Plan] = []

    def of(self, member: Formula) -> Plan | None:
        """Return the plan of a name's formula; None for one that is not additive, and for any other formula."""
        # Not every formula is a name's; that of any other one is not among the keys.
        key = self._keys.get(member)  # type: ignore[call-overload]
        return None if key is None else self._plans.get(key) or self._make(key)

    def named(self, type_number: int, name: str) -> Plan | None:
        """Return the plan of an additive name; None where the type has no such name."""
        key = (type_number, name)
        return self._plans.get(key) or (self._make(key) if key in self._additive else None)

    def onward(self, reading: Reading, kind: Kind) -> int | None:
        """Return the number of the plan that a tuple of this reading leads to, by its kind of subject.

        None where it leads nowhere: a plain subject, or a type without the name.
        """
        plan = self.named(kind[0], reading.name or self._names.get(kind[1], ""))
        number = reading.onward[kind] = None if plan is None else plan.number
        return number

    def _make(self, key: tuple[int, str]) -> Plan:
        with self._lock:
            plan = self._plans.get(key)
            if plan is None:
                plan = self._plan(*key, 2 * len(self.made))
                # INVARIANT: listed before it is found, since whoever finds it looks it up by its number.
                self.made.append(plan)
                self._plans[key] = plan
            return plan

    @staticmethod
    def _recorded(member: Member) -> Recorder:
        recorder = Recorder()
        recorder.ask(member)
        return recorder

    def _unspoilt(self) -> set[tuple[int, str]]:
        """Return the names that lead to additive ones only."""
        readers: dict[_Key, list[_Key]] = {}
        # Arrows that say the same are asked once, however many names write them.
        arrows: dict[tuple[int, str, str], None] = {}
        for key, recorder in self._asked.items():
            for below in self._below(key):
                readers.setdefault(below, []).append(key)
            for relation, name in recorder.arrows:
                arrow = (key[0], relation, name)
                readers.setdefault(arrow, []).append(key)
                arrows[arrow] = None
        having: dict[str, set[int]] = {}
        for type_number, name in self._asked:
            having.setdefault(name, set()).add(type_number)
        pointed_at: dict[tuple[int, str], set[int]] = {}
        for arrow in arrows:
            type_number, relation, name = arrow
            if (type_number, relation) not in pointed_at:
                pointed_at[type_number, relation] = {kind[0] for kind in self._taken(type_number, relation)}
            # An intersection takes the time of the smaller set.
            for subject_type in pointed_at[type_number, relation] & having.get(name, set()):
                readers.setdefault((subject_type, name), []).append(arrow)
        spoilt: list[_Key] = [key for key, recorder in self._asked.items() if not recorder.additive]
        seen = set(spoilt)
        for node in spoilt:
            for reader in readers.get(node, ()):
                if reader not in seen:
                    seen.add(reader)
                    spoilt.append(reader)
        return {key for key in self._asked if key not in seen}

    def _below(self, key: tuple[int, str]) -> Iterator[tuple[int, str]]:
        """Yield every name that could be met one step below a name, but through arrows."""
        type_number, recorder = key[0], self._asked[key]
        for name in recorder.members:
            yield type_number, name
        for relation in recorder.grants_of:
            for subject_type, subject_relation, _ in self._taken(type_number, relation):
                if subject_relation:
                    yield subject_type, self._names[subject_relation]

    def _taken(self, type_number: int, relation: str) -> Kinds:
        return self._kinds.get((type_number, self._numbers.get(relation, 0)), {})

    def _plan(self, type_number: int, name: str, number: int) -> Plan:
        """Return the plan of one name, with everything that it names at the same object."""
        names: set[str] = set()
        grants: dict[str, Reading] = {}
        arrows: dict[tuple[str, str], Reading] = {}
        met = {name}
        for each in (agenda := [name]):
            recorder = self._asked[type_number, each]
            names.update(recorder.identities)
            for relation in recorder.grants_of:
                grants[relation] = self._reading(type_number, relation, "")
            for relation, wanted in recorder.arrows:
                arrows[relation, wanted] = self._reading(type_number, relation, wanted)
            for below in recorder.members:
                if below not in met:
                    met.add(below)
                    agenda.append(below)
        # A relation that the store never numbered has no tuples to read.
        return Plan(
            number,
            type_number,
            self._members[type_number][name],
            frozenset(names),
            tuple(each for each in grants.values() if each.relation),
            tuple(each for each in arrows.values() if each.relation),
        )

    def _reading(self, type_number: int, relation: str, name: str) -> Reading:
        kinds = self._taken(type_number, relation)
        leads_on = bool(name) or any(userset for _, userset, _ in kinds)
        return Reading(self._numbers.get(relation, 0), name, kinds, leads_on, {})

"""The oracle: what an answer is, by brute force, obviously right before fast; the engine is compared with it.

Here lives the evaluation of every question of the law's first part; its nouns are in `oracle_model.py` and handed on.
*Rule 1*: nothing is imported from relgraph, so that no mistake can be shared. *Rule 2*: nothing is clever; a world is a
handful of tuples, and all of its atoms are solved at once per subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from tests.oracle_model import (
    FAILED,
    NO,
    UNDECIDED,
    YES,
    AllArrow,
    Arrow,
    Definition,
    Exclusion,
    Expression,
    Intersection,
    Kind,
    Name,
    Nil,
    Object,
    Schema,
    Self,
    Subject,
    Tuple,
    Union,
    Verdict,
    World,
    conditional,
    define,
    kinds_of,
    living,
    object_of,
    subject_of,
    tuple_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "FAILED",
    "NO",
    "UNDECIDED",
    "YES",
    "AllArrow",
    "Arrow",
    "Best",
    "Definition",
    "Exclusion",
    "Expression",
    "Intersection",
    "Kind",
    "Name",
    "Nil",
    "Object",
    "Oracle",
    "Refused",
    "Rows",
    "Schema",
    "Self",
    "Subject",
    "Tuple",
    "Union",
    "Verdict",
    "World",
    "conditional",
    "define",
    "kinds_of",
    "living",
    "object_of",
    "subject_of",
    "tuple_of",
]


class Refused(ValueError):
    """The question is not one the law answers (unknown name, `*` as resource or subject, too many tuples for ways)."""


# ---------------------------------------------------------------------------------------------------- equations

_LEVELS = {"no": 0, "conditional": 1, "yes": 2}


class _Equations:
    """One equation per atom: per (object, name), and per sub-expression at an object. The subject is filled in last.

    Nodes are numbered; `ops` says what a node is: `or`, `and`, `not` of its `kids`; `is` this subject; `plain` object
    of this type; `value` of a condition; `failed`, which is the equation `e = NOT e`.
    """

    def __init__(self, schema: Schema, tuples: Iterable[Tuple]) -> None:
        """Take the rules and the living tuples; equations are written down when an atom is first named."""
        self._schema = schema
        self._entries: dict[tuple[Object, str], list[Tuple]] = {}
        for entry in tuples:
            self._entries.setdefault((entry.resource, entry.relation), []).append(entry)
        self._atoms: dict[tuple[Object, str], int] = {}
        self._pending: list[tuple[int, Object, str]] = []
        self._order: list[int] = []
        self._sized = 0
        self.ops: list[str] = []
        self.kids: list[tuple[int, ...]] = []
        self.what: list[Subject | str | Verdict | Tuple | None] = []

    def atom(self, resource: Object, name: str) -> int:
        """Return the node of membership in `resource#name`, its equation and all it leans on written down."""
        node = self._reserve(resource, name)
        while self._pending:
            at, object_, member = self._pending.pop()
            identity = self._node("is", (), Subject(object_.type, object_.id, member))
            self.kids[at] = (identity, self._definition(object_, member))
        return node

    def beneath(self, root: int, among: Iterable[int] | None = None) -> Iterator[int]:
        """Yield the root and every node it leans on, through the nodes `among` only where given."""
        allowed = None if among is None else set(among)
        seen, stack = {root}, [root]
        while stack:
            node = stack.pop()
            yield node
            fresh = [kid for kid in self.kids[node] if kid not in seen and (allowed is None or kid in allowed)]
            seen.update(fresh)
            stack.extend(fresh)

    def _node(self, op: str, kids: tuple[int, ...] = (), what: Subject | str | Verdict | Tuple | None = None) -> int:
        self.ops.append(op)
        self.kids.append(kids)
        self.what.append(what)
        return len(self.ops) - 1

    def _reserve(self, resource: Object, name: str) -> int:
        node = self._atoms.get((resource, name))
        if node is None:
            node = self._atoms[resource, name] = self._node("or")
            self._pending.append((node, resource, name))
        return node

    def _living(self, resource: Object, relation: str) -> list[Tuple]:
        """Tuples on this very resource, and universal ones, which count for every object of the type."""
        own = self._entries.get((resource, relation), [])
        return own + self._entries.get((Object(resource.type, "*"), relation), [])

    def _definition(self, resource: Object, name: str) -> int:
        definition = self._schema.definitions[resource.type]
        if name in definition.permissions:
            return self._expression(resource, definition.permissions[name])
        entries = self._living(resource, name)
        return self._node("or", tuple(self._entry(entry, self._covered(entry.subject)) for entry in entries))

    def _entry(self, entry: Tuple, membership: int) -> int:
        """Caveat AND membership: one operand, itself combined of two."""
        failed = entry.condition == FAILED
        condition = self._node("failed", (), entry) if failed else self._node("value", (), entry.condition)
        return self._node("and", (condition, membership), entry)

    def _covered(self, subject: Subject) -> int:
        """Membership that a tuple's subject gives: itself, a wildcard's plain objects, or a userset's members."""
        if subject.id == "*":
            return self._node("plain", (), subject.type)
        if subject.relation:
            return self._reserve(subject.object, subject.relation)
        return self._node("is", (), subject)

    def _arrow(self, resource: Object, tupleset: str, name: str) -> tuple[int, ...]:
        """One operand per living tuple of the tupleset: caveat AND name on its subject's object, or NO without it."""
        operands = []
        for entry in self._living(resource, tupleset):
            if entry.subject.id == "*":
                raise Refused(f"a wildcard as a tupleset entry, which no accepted schema admits: `{entry.text}`")
            known = self._schema.has(entry.subject.type, name)
            target = self._reserve(entry.subject.object, name) if known else self._node("value", (), NO)
            operands.append(self._entry(entry, target))
        return tuple(operands)

    def _expression(self, resource: Object, expression: Expression) -> int:
        match expression:
            case Name(name):
                return self._reserve(resource, name)
            case Nil():
                return self._node("value", (), NO)
            case Self():
                return self._node("is", (), Subject(resource.type, resource.id))
            case Union(operands):
                return self._node("or", tuple(self._expression(resource, each) for each in operands))
            case Intersection(operands):
                return self._node("and", tuple(self._expression(resource, each) for each in operands))
            case Exclusion(base, subtracted):
                negation = self._node("not", (self._expression(resource, subtracted),))
                return self._node("and", (self._expression(resource, base), negation))
            case Arrow(tupleset, name):
                return self._node("or", self._arrow(resource, tupleset, name))
            case AllArrow(tupleset, name):
                every = self._arrow(resource, tupleset, name)
                return self._node("and", every) if every else self._node("value", (), NO)
        raise TypeError(expression)

    def _sorted(self) -> list[int]:
        """`or` and `and` nodes, operands first where cycles allow: fewer sweeps, the same fixed points."""
        order: list[int] = []
        seen: set[int] = set()
        for root in range(len(self.ops)):
            stack: list[tuple[int, bool]] = [(root, False)]
            while stack:
                node, done = stack.pop()
                if done:
                    order.append(node)
                elif node not in seen:
                    seen.add(node)
                    stack.append((node, True))
                    stack.extend((kid, False) for kid in self.kids[node])
        return [node for node in order if self.ops[node] in ("or", "and")]

    def _gamma(self, leaves: list[int], read: list[int]) -> list[int]:
        """Γ(read): the least fixed point of all equations with each NOT read from `read`."""
        ops, kids, value = self.ops, self.kids, list(leaves)
        for node, op in enumerate(ops):
            if op == "not":
                value[node] = 2 - read[kids[node][0]]
            elif op == "failed":
                value[node] = 2 - read[node]
        changed = True
        while changed:
            changed = False
            for node in self._order:
                operands = [value[kid] for kid in kids[node]]
                new = max(operands, default=0) if ops[node] == "or" else min(operands)
                if new != value[node]:
                    value[node] = new
                    changed = True
        return value

    def solve(self, subject: Subject) -> _Solution:
        """Return the well-founded model for one subject: low the least fixed point of Γ∘Γ, high = Γ(low)."""
        if self._sized != len(self.ops):
            self._order, self._sized = self._sorted(), len(self.ops)
        leaves = [0] * len(self.ops)
        for node, (op, what) in enumerate(zip(self.ops, self.what, strict=True)):
            covered = op == "plain" and not subject.relation and what == subject.type
            if covered or (op == "is" and what == subject):
                leaves[node] = _LEVELS["yes"]
            elif op == "value" and isinstance(what, Verdict):
                leaves[node] = _LEVELS[what.kind]
        low = [0] * len(self.ops)
        while True:
            high = self._gamma(leaves, low)
            again = self._gamma(leaves, high)
            if again == low:
                return _Solution(self, low, high)
            low = again


class _Solution:
    """Both ends of every atom for one subject."""

    def __init__(self, equations: _Equations, low: list[int], high: list[int]) -> None:
        """Take the two ends, by node."""
        self._equations, self._low, self._high = equations, low, high
        self.size = len(low)

    @cached_property
    def _missing(self) -> dict[int, frozenset[str]]:
        """The least sets in which each CONDITIONAL node has the union over its operands that are CONDITIONAL."""
        nodes = [n for n in range(self.size) if self._low[n] == self._high[n] == _LEVELS["conditional"]]
        sets: dict[int, frozenset[str]] = dict.fromkeys(nodes, frozenset())
        changed = True
        while changed:
            changed = False
            for node in nodes:
                what = self._equations.what[node]
                own = what.missing if isinstance(what, Verdict) else frozenset()
                new = own.union(*(sets[kid] for kid in self._equations.kids[node] if kid in sets))
                if new != sets[node]:
                    sets[node] = new
                    changed = True
        return sets

    def verdict(self, node: int) -> Verdict:
        """Return the answer at a node: equal ends are the verdict, unequal ends are UNDECIDED."""
        if self._low[node] != self._high[node]:
            opened = [n for n in range(self.size) if self._low[n] != self._high[n]]
            beneath = [n for n in self._equations.beneath(node, opened) if self._equations.ops[n] == "failed"]
            failed = [what for n in beneath if isinstance(what := self._equations.what[n], Tuple)]
            return Verdict("undecided", error=min(failed, key=lambda t: t.key).text) if failed else UNDECIDED
        if self._low[node] == _LEVELS["conditional"]:
            return Verdict("conditional", self._missing[node])
        return YES if self._low[node] else NO


# ---------------------------------------------------------------------------------------------------- questions

_NEVER = "?"  # no id may be written so, hence it is named neither in a tuple nor in a question
_STRENGTH = {"undecided": 0, "no": 1, "conditional": 2, "yes": 3}


@dataclass(frozen=True, slots=True)
class Rows:
    """A lookup's answer: one verdict for the never-named (the `*` row), and each named id whose verdict differs."""

    never_named: Verdict
    named: dict[str, Verdict]


@dataclass(frozen=True, slots=True)
class Best:
    """Best access: the strongest rung held (None without a ladder, or when none is), all rungs or permissions held,
    what is conditional with the missing names, and what is undecided, in the ladder's or the definition's order.
    """

    role: str | None
    held: tuple[str, ...]
    conditional: tuple[tuple[str, frozenset[str]], ...]
    undecided: tuple[str, ...]


class Oracle:
    """Answers every question about one world at one revision and instant, contextual tuples included.

    Subjects, resources and whole questions (`doc:a#view@user:anna`) may be given as text.
    """

    def __init__(
        self, world: World, *, revision: int | None = None, now: int | None = None, contextual: Iterable[Tuple] = ()
    ) -> None:
        """Fix what counts; the world's own revision and instant unless others are given."""
        at = world.revision if revision is None else revision
        self.schema = world.schema_at(at)
        self.tuples = living(world, at, world.now if now is None else now, contextual)
        self._equations = _Equations(self.schema, self.tuples)
        self._solved: dict[Subject, _Solution] = {}
        for type_, definition in self.schema.definitions.items():
            ids = self._ids(type_, *world.objects) | {_NEVER}
            for name in (*definition.relations, *definition.permissions):
                for id_ in sorted(ids):
                    self._equations.atom(Object(type_, id_), name)

    def check(self, question: str) -> Verdict:
        """Answer `resource#name@subject`; raises Refused as `verdict` does."""
        asked = tuple_of(question)
        return self.verdict(asked.subject, asked.relation, asked.resource)

    def verdict(self, subject: Subject | str, name: str, resource: Object | str) -> Verdict:
        """Answer membership of the subject in `resource#name`; raises Refused for unknown names and for `*`."""
        who, what = _subject(subject), _object(resource)
        self._admit(who, name, what)
        return self._verdict(who, name, what)

    def best(self, subject: Subject | str, resource: Object | str) -> Best:
        """Answer best access on the resource; raises Refused for unknown types and for `*`."""
        who, what = _subject(subject), _object(resource)
        self._admit(who, "", what)
        definition = self.schema.definitions[what.type]
        verdicts = {rung: self._verdict(who, rung, what) for rung in definition.rungs}
        held = tuple(rung for rung, verdict in verdicts.items() if verdict == YES)
        return Best(
            role=held[0] if held and definition.roles else None,
            held=held,
            conditional=tuple((rung, v.missing) for rung, v in verdicts.items() if v.kind == "conditional"),
            undecided=tuple(rung for rung, v in verdicts.items() if v.kind == "undecided"),
        )

    def lookup_subjects(self, resource: Object | str, name: str, type_: str, relation: str = "") -> Rows:
        """Answer who has `resource#name`, among `type_:*` or `type_:*#relation`; raises Refused as `verdict` does."""
        what = _object(resource)
        self._admit(Subject(type_, _NEVER, relation), name, what)
        ids = sorted(self._ids(type_, what))
        never = self._verdict(Subject(type_, _NEVER, relation), name, what)
        rows = {id_: self._verdict(Subject(type_, id_, relation), name, what) for id_ in ids}
        return Rows(never, {id_: verdict for id_, verdict in rows.items() if verdict != never})

    def lookup_resources(self, subject: Subject | str, type_: str, name: str) -> Rows:
        """Answer what of a type the subject has `name` on; raises Refused as `verdict` does."""
        who = _subject(subject)
        self._admit(who, name, Object(type_, _NEVER))
        never = self._verdict(who, name, Object(type_, _NEVER))
        rows = {id_: self._verdict(who, name, Object(type_, id_)) for id_ in sorted(self._ids(type_, who.object))}
        return Rows(never, {id_: verdict for id_, verdict in rows.items() if verdict != never})

    def ways(
        self, subject: Subject | str, name: str, resource: Object | str, *, tuples_max: int = 12
    ) -> frozenset[frozenset[Tuple]]:
        """Answer every way behind a YES or CONDITIONAL, none behind NO or UNDECIDED.

        Raises Refused where more than `tuples_max` tuples can matter: all their subsets are tried.
        """
        who, what = _subject(subject), _object(resource)
        self._admit(who, name, what)
        if self._verdict(who, name, what).kind not in ("yes", "conditional"):
            return frozenset()
        relevant = self._relevant(name, what)
        if len(relevant) > tuples_max:
            raise Refused(f"{len(relevant)} tuples can matter, more than {tuples_max}")
        strengths = self._strengths(who, name, what, relevant)
        everything = frozenset(relevant)
        holds: dict[frozenset[Tuple], bool] = {}
        for size in range(len(relevant), -1, -1):
            for some in map(frozenset, combinations(relevant, size)):
                grown = all(holds[some | {more}] for more in everything - some)
                holds[some] = grown and strengths[some] >= strengths[everything]
        return frozenset(some for some, held in holds.items() if held and not any(holds[some - {t}] for t in some))

    def unreachable(self, resource: Object | str, *, tuples_max: int = 12) -> str | None:
        """Answer `nobody`, `only-conditional` or `only-universal` for a resource nobody can reach, None for others.

        A YES is through universal tuples only when no way behind it does without them. A definition without rungs
        reaches nobody. Raises Refused where more than `tuples_max` universal tuples can matter.
        """
        what = _object(resource)
        types = self.schema.definitions
        subjects = [Subject(type_, id_) for type_ in types for id_ in (*sorted(self._ids(type_, what)), _NEVER)]
        self._admit(subjects[0], "", what)
        kinds = set()
        for who in subjects:
            for rung in self.schema.definitions[what.type].rungs:
                kind = self._verdict(who, rung, what).kind
                if kind == "yes" and self._without_universal(who, rung, what, tuples_max):
                    return None
                kinds.add(kind)
        if "yes" in kinds:
            return "only-universal"
        return "only-conditional" if kinds & {"conditional", "undecided"} else "nobody"

    def _without_universal(self, who: Subject, name: str, what: Object, tuples_max: int) -> bool:
        """Whether some way behind a YES holds no universal tuple: all the others together then hold one."""
        relevant = self._relevant(name, what)
        universal = [t for t in relevant if t.universal]
        if len(universal) > tuples_max:
            raise Refused(f"{len(universal)} universal tuples can matter, more than {tuples_max}")
        always = frozenset(t for t in relevant if not t.universal)
        return min(self._strengths(who, name, what, universal, always).values()) == _STRENGTH["yes"]

    def _strengths(
        self, who: Subject, name: str, what: Object, some: list[Tuple], always: frozenset[Tuple] = frozenset()
    ) -> dict[frozenset[Tuple], int]:
        """How strong the verdict is with each subset of some tuples, beside those that are always there."""
        strengths = {}
        for size in range(len(some) + 1):
            for chosen in map(frozenset, combinations(some, size)):
                equations = _Equations(self.schema, always | chosen)
                node = equations.atom(what, name)
                strengths[chosen] = _STRENGTH[equations.solve(who).verdict(node).kind]
        return strengths

    def _relevant(self, name: str, what: Object) -> list[Tuple]:
        """Return the living tuples that an atom leans on at all, in key order."""
        beneath = set(self._equations.beneath(self._equations.atom(what, name)))
        found = {entry for node in beneath if isinstance(entry := self._equations.what[node], Tuple)}
        return [entry for entry in sorted(self.tuples, key=lambda t: t.key) if entry in found]

    def _ids(self, type_: str, *asked: Object) -> set[str]:
        """Ids of a type named by a living tuple or in the question."""
        tuples = [object_ for t in self.tuples for object_ in (t.resource, t.subject.object)]
        return {object_.id for object_ in (*tuples, *asked) if object_.type == type_ and object_.id != "*"}

    def _admit(self, who: Subject, name: str, what: Object) -> None:
        for type_, member in ((who.type, who.relation), (what.type, name)):
            known = self.schema.has(type_, member) if member else type_ in self.schema.definitions
            if not known:
                raise Refused(f"unknown: `{type_}#{member}`")
        if "*" in (who.id, what.id):
            raise Refused("`*` is not itself something to ask about")

    def _verdict(self, who: Subject, name: str, what: Object) -> Verdict:
        node = self._equations.atom(what, name)
        solution = self._solved.get(who)
        if solution is None or solution.size != len(self._equations.ops):
            solution = self._solved[who] = self._equations.solve(who)
        return solution.verdict(node)


def _subject(given: Subject | str) -> Subject:
    return subject_of(given) if isinstance(given, str) else given


def _object(given: Object | str) -> Object:
    return object_of(given) if isinstance(given, str) else given

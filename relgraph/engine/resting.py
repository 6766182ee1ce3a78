"""What an answer rests on: the branches of the schema that gave something, where tuples name the subject, and what took
away.

A branch is *reached* by a question where it gives the subject something, that is any verdict but NO, at some object
that the answer could lean on: with its expression, every operand of it and all that those lead to. A tuple that `.all`
counts is reached either way, since it can be what the answer fails on.

So what is not reached could be left out, and no answer would be another one: in the well-founded model an operand that
is NO may be replaced by `nil`.

Rule 1: everything is read from values that are final, and every operand is: neither the order of operands nor what a
walk may skip makes a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.rewrites import (
    AllArrow,
    Arrow,
    Combine,
    Exclusion,
    Name,
    PermissionMember,
    RelationMember,
    SelfObject,
    SetOperator,
)
from relgraph.rewrites.verdict import NO, REFUSED, YES, weaker
from relgraph.schema.model import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from relgraph.engine.solve import Equation
    from relgraph.engine.walk import Walk
    from relgraph.rewrites import Atom, Rewrite, Term, Value
    from relgraph.schema.branches import Branch, Branches
    from relgraph.tuples import Object

__all__ = ["named", "reached", "taken"]


def reached(walk: Walk, resource: Object, name: str, branches: Branches) -> frozenset[Branch]:
    """Return the branches that the answer on `resource#name` reached. The walk is exhaustive and flattens nothing."""
    found: set[Branch] = set()
    for atom, place, term in _operands(walk, resource, name, lambda equation: range(len(equation.terms))):
        found.update(_credited(walk, atom, place, term, branches))
    return frozenset(found)


def taken(walk: Walk, resource: Object, name: str) -> list[str]:
    """Return what takes away what would be given else, as `expression on object`; nothing else is asked for there."""
    found: dict[str, None] = {}
    for atom, place, term in _operands(walk, resource, name, lambda equation: _counting(walk, equation)):
        if isinstance(atom.formula, Exclusion) and place == 1 and _value(walk, term)[0] == YES:
            found[f"{atom.formula.operands[1].text()} on {walk.scope.object(atom.object)}"] = None
    return list(found)


def named(walk: Walk, resource: Object, name: str) -> frozenset[tuple[str, bool]]:
    """Return the relations, as `resource#relation`, whose tuples name the subject where that makes `name` hold.

    Each with whether it is a wildcard that does. Nothing for a NO; the right side of an exclusion makes nothing hold.
    """
    found: set[tuple[str, bool]] = set()
    root = walk.scope.member(walk.scope.number(resource), name)
    if root is None or walk.value(root)[1] == NO:
        return frozenset()
    seen = {root}
    for atom in (agenda := [root]):
        walk.scope.budget.tick()
        combine, terms = walk.equations[atom]
        for term in terms[:1] if combine is Combine.MINUS else terms:
            if _value(walk, term)[1] == NO:
                continue
            if term.edge is not None and term.atom is None:
                fact = walk.scope.tuple(term.edge)
                found.add((f"{fact.resource}#{fact.relation}", term.edge.kind[2]))
            if term.atom is not None and term.atom not in seen:
                seen.add(term.atom)
                agenda.append(term.atom)
    return frozenset(found)


def _operands(
    walk: Walk, resource: Object, name: str, chosen: Callable[[Equation], Iterable[int]]
) -> Iterator[tuple[Atom, int, Term]]:
    """Yield the chosen operands of all that those lead to, each with the atom that it is one of and its place there."""
    root = walk.scope.member(walk.scope.number(resource), name)
    seen = set() if root is None else {root}
    for atom in (agenda := list(seen)):
        walk.scope.budget.tick()
        walk.value(atom)
        equation = walk.equations[atom]
        for place in chosen(equation):
            term = equation.terms[place]
            yield atom, place, term
            if term.atom is not None and term.atom not in seen and _condition(walk, term) != REFUSED:
                seen.add(term.atom)
                agenda.append(term.atom)


def _condition(walk: Walk, term: Term) -> Value:
    return (YES, YES) if term.edge is None else walk.conditions.value(term.edge)


def _value(walk: Walk, term: Term) -> Value:
    condition = _condition(walk, term)
    return condition if term.atom is None or condition == REFUSED else weaker(condition, walk.value(term.atom))


def _counting(walk: Walk, equation: Equation) -> Iterator[int]:
    """Yield the places of the operands whose values could count: beside the others, another value would be seen."""
    combine, terms = equation
    if combine is Combine.ANY:
        yield from range(len(terms))
        return
    if combine is Combine.MINUS:
        if _value(walk, terms[1])[0] != YES:
            yield 0
        if _value(walk, terms[0])[1] != NO:
            yield 1
        return
    nothing = [place for place, term in enumerate(terms) if _value(walk, term)[1] == NO]
    if not nothing:
        yield from range(len(terms))
    elif len(nothing) == 1:
        yield nothing[0]


def _credited(walk: Walk, atom: Atom, place: int, term: Term, branches: Branches) -> Iterator[Branch]:
    """Yield the branches that one operand is, where it gives something."""
    scope, formula = walk.scope, atom.formula
    type_ = scope.object(atom.object).type
    gives = _value(walk, term)[1] != NO
    found: list[Branch | None] = []
    if gives and isinstance(formula, SetOperator):
        # A name is read as what it names, so that only the operator knows that it was a name.
        found.append(_of_name(branches, type_, formula.operands[place]))
    elif gives and isinstance(formula, PermissionMember) and term.atom is not None:
        found.append(_of_name(branches, type_, formula.rewrite))
    elif gives and isinstance(formula, SelfObject):
        found.append(branches.of_node(type_, formula))
    elif gives and isinstance(formula, Arrow | AllArrow) and term.edge is not None:
        # Of `.all`, what one tuple gives is not yet what the arrow gives.
        if walk.value(atom)[1] != NO:
            found.append(branches.of_node(type_, formula))
        found.append(branches.of_target(type_, formula, scope.object(term.edge.subject).type))
    counts = gives or isinstance(formula, AllArrow)
    if counts and term.edge is not None and isinstance(formula, RelationMember | Arrow | AllArrow):
        fact = scope.tuple(term.edge)
        found.append(branches.of_kind(type_, fact.relation, SubjectKind.of(fact)))
    yield from (branch for branch in found if branch is not None)


def _of_name(branches: Branches, type_: str, node: Rewrite) -> Branch | None:
    return branches.of_node(type_, node) if isinstance(node, Name) else None

"""The lints for what `-` makes of wildcards, of recursion, and of the right to write what is subtracted."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from relgraph.errors import quoted
from relgraph.rewrites import AllArrow, Arrow, Exclusion, Intersection, Name, Nil, Union
from relgraph.schema.dependencies import dependencies, memberships, parts
from relgraph.schema.holders import Holders
from relgraph.schema.remarks import Remark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.rewrites import Rewrite
    from relgraph.schema.dependencies import Member
    from relgraph.schema.model import Definition, Schema

__all__ = ["grant_on_subtracted_relation", "recursion_through_exclusion", "wildcard_under_exclusion"]

_TANGLE: Final = 20


def wildcard_under_exclusion(schema: Schema) -> Iterator[Remark]:
    """Yield the sides of a `-` that could hold for everyone of a type.

    Before the `-` it fails open: a stranger, an account made tomorrow and whoever's line was lost have access. (Not so
    within an intersection that no stranger passes, nor where the whole is itself subtracted.) Behind it, one tuple
    empties the whole of plain subjects, while usersets slip past: a wildcard never covers them.
    """
    everyone = Holders(schema, everyone=True)
    for definition in schema.definitions.values():
        for permission in definition.permissions.values():
            for node, strangers in _exclusions(schema, everyone, definition, permission.rewrite):
                left, right = node.operands
                types = everyone.of(definition, left) & strangers
                if types:
                    message = (
                        f"{quoted(left.text())} can hold for every {_listed(types)} by a wildcard, so whoever "
                        f"{quoted(right.text())} does not name has access, strangers and later accounts too; name "
                        "who may instead of who may not"
                    )
                    yield Remark(definition.name, permission.name, message, left.at)
                types = everyone.of(definition, right)
                if types:
                    message = (
                        f"{quoted(right.text())} can hold for every {_listed(types)} by a single tuple, which leaves "
                        f"none of them in {quoted(node.text())}, but never covers a userset, which stays; "
                        "take no wildcard there"
                    )
                    yield Remark(definition.name, permission.name, message, right.at)


def _exclusions(
    schema: Schema, everyone: Holders, definition: Definition, rewrite: Rewrite
) -> Iterator[tuple[Exclusion, frozenset[str]]]:
    """Yield each `-` of an expression with the types whose strangers would pass what surrounds it."""
    agenda = [(rewrite, frozenset(schema.definitions))]
    while agenda:
        node, strangers = agenda.pop()
        below = [(child, strangers) for child in node.children()]
        if isinstance(node, Exclusion):
            yield node, strangers
            below[1:] = [(child, frozenset()) for child, _ in below[1:]]
        elif isinstance(node, Intersection):
            open_to = [everyone.of(definition, child) for child in node.operands]
            # All but one, for each: what the operands before it let through, with what those behind it do.
            behind = list(accumulate(reversed(open_to), frozenset.intersection, initial=strangers))[-2::-1]
            before = accumulate(open_to, frozenset.intersection, initial=strangers)
            below = [(each, left & right) for each, left, right in zip(node.operands, before, behind, strict=False)]
        agenda.extend(reversed(below))


def _listed(types: frozenset[str]) -> str:
    return " and every ".join(quoted(type_) for type_ in sorted(types))


def recursion_through_exclusion(schema: Schema) -> Iterator[Remark]:
    """Yield what is subtracted from a permission and leans on that permission again: answers may be undecided."""
    import networkx as nx  # noqa: PLC0415  (slow to import, and no question needs it)

    leans: nx.DiGraph[Member] = nx.DiGraph()
    leans.add_edges_from((each.source, each.target) for each in dependencies(schema) if each.why != "tupleset")
    together = {member: found for found in nx.strongly_connected_components(leans) for member in found}

    def way(source: Member, target: Member) -> str:
        """Return the shortest way back; in a large tangle any would be long, and dear to find."""
        if len(together[source]) > _TANGLE:
            return f"{'#'.join(source)} → {'#'.join(target)} → … → {'#'.join(source)}"
        return " → ".join("#".join(member) for member in (source, *nx.shortest_path(leans, target, source)))

    for definition in schema.definitions.values():
        for permission in definition.permissions.values():
            source = (definition.name, permission.name)
            for node, taken in parts(permission.rewrite):
                targets = memberships(schema, definition, node) if taken else ()
                target = next((each for each in targets if together[each] is together[source]), None)
                if target is not None:
                    message = (
                        f"{quoted(node.text())} is subtracted from {quoted(permission.name)} and leans on it again "
                        f"({way(source, target)}), so tuples can make the answer undecided, which is an error; "
                        "subtract what does not lean on it"
                    )
                    yield Remark(definition.name, permission.name, message, node.at)


def grant_on_subtracted_relation(schema: Schema) -> Iterator[Remark]:
    """Yield grants that let somebody lift what is held against him: a banned moderator could unban himself.

    Counted as subtracted is a relation that is named behind a `-`, through permissions and arrows too, and one that an
    arrow behind a `-` starts from: who moves a document out of the folder that bans him is free. What fills a relation
    (the members of a banned group) is not: those who manage a group cannot be asked to be outside of it.
    """
    subtracted = _subtracted(schema)
    for definition in schema.definitions.values():
        for grant in definition.grants:
            for leaf, where in subtracted.get((definition.name, grant.relation), {}).items():
                if grant.permission in _apart_from(definition, leaf):
                    continue
                message = (
                    f"{quoted(leaf)} is subtracted in {quoted('#'.join(where))}, and "
                    f"{quoted(grant.permission)} does not subtract it, so whoever it is held against may lift it "
                    f"himself by writing {quoted(grant.relation)}; subtract {quoted(leaf)} from "
                    f"{quoted(grant.permission)}, or grant {quoted(grant.relation)} by another permission"
                )
                yield Remark(definition.name, grant.relation, message, grant.at)


def _subtracted(schema: Schema) -> dict[Member, dict[str, Member]]:
    """Return each relation whose tuples take access away: as what, and from which permission first.

    As itself where its subjects are subtracted, as an arrow where those are of what it points at. What is subtracted
    from something subtracted gives access back, and is none of these.
    """
    found: dict[Member, dict[str, Member]] = {}
    agenda: list[tuple[Member, Member, int]] = [
        ((definition.name, name), (definition.name, name), 1)
        for definition in schema.definitions.values()
        for name in definition.permissions
    ]
    agenda.reverse()
    while agenda:
        (type_, name), where, odd = agenda.pop()
        definition = schema.definitions[type_]
        permission = definition.permissions.get(name)
        for node, taken in parts(permission.rewrite) if permission else ():
            if taken % 2 != odd:
                continue
            if isinstance(node, Arrow | AllArrow):
                found.setdefault((type_, node.tupleset), {}).setdefault(node.text(), where)
            for member in memberships(schema, definition, node):
                if member[1] not in found.setdefault(member, {}):
                    found[member][member[1]] = where
                    agenda.append((member, where, 0))
    return found


def _apart_from(definition: Definition, leaf: str) -> set[str]:
    """Return the permissions that nobody in `leaf` of the same object holds: a relation, or an arrow."""

    def inside(rewrite: Rewrite, names: set[str]) -> bool:
        """Whether all of `leaf` are in the expression."""
        if isinstance(rewrite, Union):
            return any(inside(operand, names) for operand in rewrite.operands)
        if isinstance(rewrite, Intersection):
            return all(inside(operand, names) for operand in rewrite.operands)
        return rewrite.text() == leaf or (isinstance(rewrite, Name) and rewrite.name in names)

    def outside(rewrite: Rewrite, names: set[str]) -> bool:
        """Whether none of `leaf` are in the expression."""
        if isinstance(rewrite, Union):
            return all(outside(operand, names) for operand in rewrite.operands)
        if isinstance(rewrite, Intersection):
            return any(outside(operand, names) for operand in rewrite.operands)
        if isinstance(rewrite, Exclusion):
            return outside(rewrite.operands[0], names) or inside(rewrite.operands[1], covering)
        return isinstance(rewrite, Nil) or (isinstance(rewrite, Name) and rewrite.name in names)

    covering = _grown(definition, set(), inside)
    return _grown(definition, set(), outside)


def _grown(definition: Definition, names: set[str], judge: Callable[[Rewrite, set[str]], bool]) -> set[str]:
    """Return `names` with all permissions that `judge` accepts, one leading to the next."""
    readers: dict[str, set[str]] = {}
    for permission in definition.permissions.values():
        for node, _ in parts(permission.rewrite):
            if isinstance(node, Name):
                readers.setdefault(node.name, set()).add(permission.name)
    agenda = dict.fromkeys(definition.permissions)
    while agenda:
        name = next(iter(agenda))
        del agenda[name]
        if name not in names and judge(definition.permissions[name].rewrite, names):
            names.add(name)
            agenda.update(dict.fromkeys(readers.get(name, ())))
    return names

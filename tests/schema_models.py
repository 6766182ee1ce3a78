"""Whole schemas for Hypothesis, drawn as models and not as text, over all of the language.

*Rule 1*: every model drawn is one that validation admits, with flags that are used and flags that are not.
`facts` is what two models have to agree on to be the same: everything but places and text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from relgraph.caveats import compile_caveat
from relgraph.rewrites import (
    AllArrow,
    Arrow,
    Exclusion,
    Intersection,
    Name,
    Nil,
    Rewrite,
    SelfObject,
    Span,
    Union,
)
from relgraph.schema import DeclaredCaveat, Definition, Grant, Permission, Relation, Schema, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FLAGS", "facts", "models"]

FLAGS = ("expiration", "grants", "roles", "self", "typechecking", "universal")

_TYPES = ("user", "group", "org/team/doc", "folder")
_RELATIONS = ("member", "parent", "grant", "subject")
_PERMISSIONS = ("view", "edit", "roles", "universal")
_CAVEATS = {
    "late": compile_caveat("late", [("hour", "int")], "hour > 5"),
    "org/near": compile_caveat(
        "org/near",
        [("ip", "ipaddress"), ("nets", "list<string>"), ("more", "map<list<any>>")],
        "// } and {\n\n  nets.exists(each, ip.in_cidr(each)) ||\n    more != {'}': ['{']} // why",
    ),
    "universals": compile_caveat(
        "universals", [("say", "any"), ("when", "timestamp")], 'say == """\n}\'""" && when == when'
    ),
}
_DEPTH_MAX = 90
_AT = Span()

_docs = st.sampled_from(("", "", "// one", "/* two\n   three */", "// four\n/** five */\n// six"))


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of each type, which of its relations take wildcards, the flags in force, and the caveats."""

    members: Mapping[str, tuple[str, ...]]
    wild: frozenset[tuple[str, str]]
    flags: frozenset[str]
    caveats: tuple[str, ...]

    def relations(self, type_: str) -> list[str]:
        return [name for name in self.members[type_] if name in _RELATIONS]

    def permissions(self, type_: str) -> list[str]:
        return [name for name in self.members[type_] if name in _PERMISSIONS]

    def tuplesets(self, type_: str) -> list[str]:
        return [name for name in self.relations(type_) if (type_, name) not in self.wild]


@st.composite
def _names(draw: st.DrawFn) -> _Names:
    members = {}
    for type_ in draw(st.lists(st.sampled_from(_TYPES), min_size=1, max_size=4, unique=True)):
        relations = draw(st.lists(st.sampled_from(_RELATIONS), max_size=3, unique=True))
        members[type_] = (*relations, *draw(st.lists(st.sampled_from(_PERMISSIONS), max_size=3, unique=True)))
    pairs = [(type_, name) for type_, names in members.items() for name in names if name in _RELATIONS]
    wild = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    caveats = draw(st.lists(st.sampled_from(sorted(_CAVEATS)), max_size=3, unique=True))
    return _Names(members, frozenset(wild), draw(st.frozensets(st.sampled_from(FLAGS))), tuple(caveats))


@st.composite
def _kinds(draw: st.DrawFn, names: _Names, type_: str, relation: str) -> tuple[SubjectKind, ...]:
    candidates = [SubjectKind(other) for other in names.members]
    candidates += [
        SubjectKind(other, name)
        for other, members in names.members.items()
        for name in members
        if (other, name) not in names.wild or (other == type_ and (type_, relation) in names.wild)
    ]
    if (type_, relation) in names.wild:
        candidates += [SubjectKind(other, wildcard=True) for other in names.members]
    found = []
    for kind in draw(st.lists(st.sampled_from(candidates), min_size=1, max_size=4)):
        expiration = "expiration" in names.flags and draw(st.booleans())
        universal = "universal" in names.flags and draw(st.booleans())
        caveat = draw(st.sampled_from(("", *names.caveats)))
        found.append(replace(kind, expiration=expiration, universal=universal, caveat=caveat))
    return tuple(dict.fromkeys(found))


@st.composite
def _leaves(draw: st.DrawFn, names: _Names, type_: str) -> Rewrite:
    kinds = ["nil", *["name"] * 3 * bool(names.members[type_]), *["arrow", "all"] * bool(names.tuplesets(type_))]
    kind = draw(st.sampled_from([*kinds, *["self"] * ("self" in names.flags)]))
    if kind == "name":
        return Name(draw(st.sampled_from(names.members[type_])))
    if kind in ("arrow", "all"):
        target = draw(st.sampled_from((*_RELATIONS, *_PERMISSIONS, "nowhere")))
        return (Arrow if kind == "arrow" else AllArrow)(draw(st.sampled_from(names.tuplesets(type_))), target)
    return Nil() if kind == "nil" else SelfObject()


@st.composite
def _rewrites(draw: st.DrawFn, names: _Names, type_: str) -> Rewrite:
    """Draw a bushy expression, now and then at the bottom of a deep one."""

    def joined(inner: st.SearchStrategy[Rewrite]) -> st.SearchStrategy[Rewrite]:
        many = st.lists(inner, min_size=2, max_size=4).map(tuple)
        return many.map(Union) | many.map(Intersection) | st.tuples(inner, inner).map(Exclusion)

    leaves = _leaves(names, type_)
    rewrite = draw(st.recursive(leaves, joined, max_leaves=6))
    if draw(st.integers(0, 15)) == 0:
        operator = draw(st.sampled_from((Union, Intersection, Exclusion)))
        steps = st.tuples(st.booleans(), st.sampled_from((draw(leaves), draw(leaves))))
        depth = draw(st.sampled_from((5, 30, _DEPTH_MAX)))
        for left, leaf in draw(st.lists(steps, min_size=depth, max_size=depth)):
            rewrite = operator((rewrite, leaf) if left else (leaf, rewrite))
    return rewrite


@st.composite
def _permissions(draw: st.DrawFn, names: _Names, type_: str) -> tuple[dict[str, Rewrite], tuple[str, ...]]:
    """Draw the expressions of one type and its ladder; no permission is a mere name of another, so none circle."""
    rewrites: dict[str, Rewrite] = {}
    for name in names.permissions(type_):
        rewrite = draw(_rewrites(names, type_))
        if isinstance(rewrite, Name) and rewrite.name in _PERMISSIONS:
            rewrite = Union((rewrite, Nil()))
        rewrites[name] = rewrite
    if "roles" not in names.flags or not names.members[type_] or draw(st.booleans()):
        return rewrites, ()
    strongest = draw(st.sampled_from(names.members[type_]))
    roles = (strongest, *(name for name in rewrites if name != strongest))
    for stronger, rung in pairwise(roles):
        operands: tuple[Rewrite, ...] = (Name(stronger), rewrites[rung])
        rewrites[rung] = Union(tuple(draw(st.permutations(operands))))
    return rewrites, roles


@st.composite
def _grants(draw: st.DrawFn, names: _Names, type_: str, relations: Mapping[str, Relation]) -> tuple[Grant, ...]:
    found = []
    for relation in relations.values() if "grants" in names.flags else ():
        permission = st.sampled_from(names.members[type_])
        if draw(st.booleans()) and any(not kind.wildcard and not kind.universal for kind in relation.kinds):
            common = set.intersection(*(set(names.members[kind.type]) for kind in relation.kinds))
            subject = draw(st.sampled_from(("", *sorted(common))))
            found.append(Grant(relation.name, draw(permission), _AT, subject))
        wildcards = sorted({kind.type for kind in relation.kinds if kind.wildcard and not kind.universal})
        if draw(st.booleans()) and wildcards:
            found.append(Grant(relation.name, draw(permission), _AT, wildcard=draw(st.sampled_from(wildcards))))
    return tuple(draw(st.permutations(found)))


@st.composite
def models(draw: st.DrawFn) -> Schema:
    """Draw a schema; its text is empty, as nobody wrote it."""
    names = draw(_names())
    definitions = {}
    for type_ in names.members:
        relations = {
            name: Relation(name, draw(_kinds(names, type_, name)), _AT, draw(_docs)) for name in names.relations(type_)
        }
        rewrites, roles = draw(_permissions(names, type_))
        permissions = {name: Permission(name, rewrite, _AT, draw(_docs)) for name, rewrite in rewrites.items()}
        grants = draw(_grants(names, type_, relations))
        definitions[type_] = Definition(type_, relations, permissions, roles, _AT, draw(_docs), grants)
    declared = {name: DeclaredCaveat(_CAVEATS[name], _AT, draw(_docs)) for name in names.caveats}
    schema = Schema(definitions, "", names.flags, declared)
    if "typechecking" not in names.flags:
        return schema
    for type_, definition in definitions.items():
        annotated = dict(definition.permissions)
        for name, permission in annotated.items():
            types = [*schema.subject_types[type_, name], *draw(st.lists(st.sampled_from(sorted(names.members))))]
            if draw(st.booleans()):
                annotation = draw(st.permutations(sorted(set(types))))
                annotated[name] = replace(permission, annotation=tuple(annotation))
        definitions[type_] = replace(definition, permissions=annotated)
    return Schema(definitions, "", names.flags, declared)


def facts(schema: Schema) -> list[object]:
    """Return all that a schema says, in order, without the places it was said at."""
    found: list[object] = [schema.flags]
    for name, declared in schema.declared.items():
        caveat = declared.caveat
        found += [name, declared.doc, list(caveat.parameters.items()), caveat.expression]
    for item in schema.definitions.values():
        found += [item.name, item.doc, item.roles]
        found += [(entry.name, entry.doc, entry.kinds) for entry in item.relations.values()]
        found += [
            (entry.name, entry.doc, entry.annotation, _shape(entry.rewrite)) for entry in item.permissions.values()
        ]
        found += [replace(grant, at=_AT) for grant in item.grants]
    return found


def _shape(rewrite: Rewrite) -> tuple[object, ...]:
    """Return an expression as its classes, names and children."""
    target = rewrite.name if isinstance(rewrite, Arrow | AllArrow) else ""
    return type(rewrite).__name__, rewrite.names(), target, *map(_shape, rewrite.children())

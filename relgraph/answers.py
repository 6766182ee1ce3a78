"""What questions and writes are answered with: frozen values, the same from the library and from the client.

Every answer to a read carries the revision it holds for and a token for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from relgraph.tuples import Object, RelationTuple, Subject

__all__ = [
    "Best",
    "ChangeKind",
    "Checkpoint",
    "Collected",
    "ConditionalRole",
    "Count",
    "Counted",
    "Cycle",
    "CycleClass",
    "Cycles",
    "Decision",
    "Deleted",
    "ExpandNode",
    "Expansion",
    "Fact",
    "Found",
    "Held",
    "Imported",
    "Log",
    "LogEntry",
    "Lookup",
    "Orphan",
    "OrphanClass",
    "Orphans",
    "Page",
    "Permissions",
    "Problem",
    "Receipt",
    "SchemaChange",
    "SchemaDiff",
    "SchemaText",
    "Status",
    "Step",
    "Verdict",
    "Way",
    "Written",
]


class Verdict(Enum):
    """What a question is answered with. An error is not a verdict."""

    NO = "no"
    CONDITIONAL = "conditional"
    YES = "yes"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a check: a verdict, and what a CONDITIONAL lacks. UNDECIDED occurs among many answers only.

    Before `valid_until` asking again at the same revision gives the same: then the first tuple expires that was read
    for the answer. It may stay so for longer. None: at any time.
    """

    verdict: Verdict
    missing: tuple[str, ...]
    revision: int
    token: str
    valid_until: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Whether the verdict is YES."""
        return self.verdict is Verdict.YES


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a proof: `claim` (`report:q3#manage`) holds by `rule`, from the steps numbered in `children`.

    `rule` is one of permission, union, intersection, exclusion, arrow, tuple, wildcard, userset, identity.
    `tuple` is the stored fact the step uses, if it uses one. Step 0 is the conclusion.
    """

    claim: str
    rule: str
    children: tuple[int, ...]
    tuple: RelationTuple | None  # last: from here on the name hides the built-in


@dataclass(frozen=True, slots=True)
class Way:
    """One minimal proof that access exists: the tuples it needs, none to spare, and the steps from them to `role`.

    `via` tells the way in a few words: `directly`, `through group:board#member`, `inherited from folder:hq`, …
    """

    role: str
    tuples: tuple[RelationTuple, ...]
    steps: tuple[Step, ...]
    via: str


@dataclass(frozen=True, slots=True)
class ConditionalRole:
    """A role that would be held if the missing context came out right."""

    role: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Best:
    """The best access of one subject on one resource.

    With a `roles` ladder, `role` is the strongest rung held and `held` the rungs from it downward; without one,
    `role` is None and `held` lists every permission held. `truncated` says that there are more ways than listed.
    Before `valid_until` the roles stay so at this revision (None: at any time), though not every way listed may.
    """

    subject: Subject
    resource: Object
    role: str | None
    held: tuple[str, ...]
    conditional: tuple[ConditionalRole, ...]
    undecided: tuple[str, ...]
    ways: tuple[Way, ...]
    truncated: bool
    revision: int
    token: str
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExpandNode:
    """One node of an expansion: a permission, relation or operator at an object.

    `kind` is permission, relation, union, intersection, exclusion or arrow; `children` are indexes of nodes.
    A relation's `tuples` are all the tuples it counts, and its children stand for the usersets among them.
    `cycle` marks a node that is reached again from below itself.
    """

    kind: str
    object: Object
    text: str
    tuples: tuple[RelationTuple, ...]
    children: tuple[int, ...]
    cycle: bool


@dataclass(frozen=True, slots=True)
class Expansion:
    """How a permission or relation comes about: a flat list of nodes, node 0 the root, shared nodes once."""

    nodes: tuple[ExpandNode, ...]
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a lookup: an id, its verdict, and what a CONDITIONAL one lacks. `*` is every id that nothing names.

    A NO is told only where `*` has more: as an exclusion from it.
    """

    id: str
    verdict: Verdict
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a lookup found: `*` first unless its verdict is NO, then each id that has another verdict, by its bytes.

    `cursor` continues after the last row, and is empty at the end.
    """

    rows: tuple[Found, ...]
    cursor: str
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many ids a lookup would list, by verdict; `excluded` are those with NO, where `everyone` has more.

    `everyone` is the verdict of all ids that nothing names, which are not counted.
    """

    yes: int
    conditional: int
    undecided: int
    excluded: int
    everyone: Verdict
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Held:
    """A relation or permission, the verdict on it, and what a CONDITIONAL one lacks."""

    name: str
    verdict: Verdict
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permissions:
    """The verdict on every relation and permission of a resource's definition, in the schema's order, NO included."""

    rows: tuple[Held, ...]
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Written:
    """A committed write (or one that changed nothing: then the revision is the one it was judged at)."""

    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Receipt(Written):
    """A write inside an application's own transaction. Its token is valid once, and only if, that is committed."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many tuples live that a registered counter counts."""

    count: int
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A committed delete by filter: how many tuples it took away, and whether these were all that matched."""

    count: int
    complete: bool
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection of history forgot: versions of tuples, and revisions; `floor` is the oldest revision kept."""

    tuples: int
    revisions: int
    floor: int


@dataclass(frozen=True, slots=True)
class Imported:
    """A committed import: how many tuples it read, and how many of them were new or changed."""

    read: int
    changed: int
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Page:
    """Tuples in key order; `cursor` continues after the last one, and is empty at the end."""

    tuples: tuple[RelationTuple, ...]
    cursor: str
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one revision did: who wrote it, when and why, and which tuples it created and deleted, in key order.

    A tuple whose expiration, caveat or context changed is in both. `schema` is the text that it put in force, None
    where it put none.
    """

    revision: int
    token: str
    time: datetime
    principal: str
    actor: str
    reason: str
    request_id: str
    metadata: str
    created: tuple[RelationTuple, ...]
    deleted: tuple[RelationTuple, ...]
    schema: str | None


@dataclass(frozen=True, slots=True)
class Log:
    """Revisions, oldest first; `cursor` is the token to continue behind, and empty at the end.

    `revision` and `token` are the newest when it was read.
    """

    entries: tuple[LogEntry, ...]
    cursor: str
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Nothing up to this revision is left to tell: whoever watches may go on behind its token."""

    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class SchemaText:
    """The schema as it was written."""

    text: str
    revision: int
    token: str


class OrphanClass(Enum):
    """How a resource is out of everybody's reach."""

    NOBODY = "nobody"
    ONLY_CONDITIONAL = "only-conditional"
    ONLY_UNIVERSAL = "only-universal"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A resource that nobody can reach, or only through conditions, or only through universal tuples."""

    resource: Object
    kind: OrphanClass


@dataclass(frozen=True, slots=True)
class Orphans:
    """The resources out of reach, in order of type and id."""

    orphans: tuple[Orphan, ...]
    revision: int
    token: str


class CycleClass(Enum):
    """What a cycle in the data leads through; UNDEFINED: somebody's answer on it is UNDECIDED."""

    USERSETS = "usersets"
    TUPLESETS = "tuplesets"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Cycle:
    """Names of objects (`folder:a#view`) that each lead to all others and back, and the tuples that tie them together.

    Of an UNDEFINED one, `names` are those that are UNDECIDED for one of the plain `subjects`, which may be a made-up
    one that stands for everybody that no tuple names; the other classes have no subjects.
    """

    kind: CycleClass
    names: tuple[Subject, ...]
    tuples: tuple[RelationTuple, ...]
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Cycles:
    """The cycles in the data, class by class, and in order of their names."""

    cycles: tuple[Cycle, ...]
    revision: int
    token: str


class ChangeKind(Enum):
    """How one schema differs from another in one place."""

    FLAG_ADDED = "flag_added"
    FLAG_REMOVED = "flag_removed"
    DEFINITION_ADDED = "definition_added"
    DEFINITION_REMOVED = "definition_removed"
    RELATION_ADDED = "relation_added"
    RELATION_REMOVED = "relation_removed"
    RELATION_KIND_ADDED = "relation_kind_added"
    RELATION_KIND_REMOVED = "relation_kind_removed"
    RELATION_BECAME_PERMISSION = "relation_became_permission"
    PERMISSION_ADDED = "permission_added"
    PERMISSION_REMOVED = "permission_removed"
    PERMISSION_EXPRESSION_CHANGED = "permission_expression_changed"
    PERMISSION_BECAME_RELATION = "permission_became_relation"
    ANNOTATION_CHANGED = "annotation_changed"
    ROLES_CHANGED = "roles_changed"
    GRANT_ADDED = "grant_added"
    GRANT_REMOVED = "grant_removed"
    GRANT_CHANGED = "grant_changed"
    DOC_CHANGED = "doc_changed"
    CAVEAT_ADDED = "caveat_added"
    CAVEAT_REMOVED = "caveat_removed"
    CAVEAT_EXPRESSION_CHANGED = "caveat_expression_changed"
    CAVEAT_PARAMETER_ADDED = "caveat_parameter_added"
    CAVEAT_PARAMETER_REMOVED = "caveat_parameter_removed"
    CAVEAT_PARAMETER_TYPE_CHANGED = "caveat_parameter_type_changed"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference: of what kind, in which definition, at which name, and both texts; what is not there is empty.

    `type` is the caveat where it is about one, and empty for flags; `name` is the flag, relation, permission or
    parameter, and empty for a definition or a caveat as a whole.
    """

    kind: ChangeKind
    type: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """How a schema would change the one in force: nothing in `changes` means that they say the same."""

    changes: tuple[SchemaChange, ...]
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so about a store or server. `source` tells of a setting where it was set; no value is secret.

    `area` is versions, settings, clock, store or history.
    """

    area: str
    name: str
    value: str | int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    area: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Status:
    """What a store or server runs on, holds, and suffers from; no `problems` means that none can be seen."""

    facts: tuple[Fact, ...]
    problems: tuple[Problem, ...]
    revision: int
    token: str

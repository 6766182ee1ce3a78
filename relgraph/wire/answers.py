"""Answers as messages: what the server builds and a client reads.

Rule 1: a verdict or class that the reader does not know is an error, never a "no".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.answers import (
    Best,
    ChangeKind,
    ConditionalRole,
    Cycle,
    CycleClass,
    Cycles,
    Decision,
    Deleted,
    ExpandNode,
    Expansion,
    Imported,
    Orphan,
    OrphanClass,
    Orphans,
    Page,
    SchemaChange,
    SchemaDiff,
    SchemaText,
    Step,
    Verdict,
    Way,
    Written,
)
from relgraph.tuples import Object, RelationTuple, Subject
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.parts import known, moment_message, read_moment, read_tuple, read_tuples, shares, tuple_message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

__all__ = [
    "best_messages",
    "cycles_message",
    "decision_message",
    "decisions_message",
    "diff_message",
    "expansion_message",
    "export_messages",
    "orphans_message",
    "page_message",
    "read_best",
    "read_cycles",
    "read_decision",
    "read_decisions",
    "read_deleted",
    "read_diff",
    "read_expansion",
    "read_imported",
    "read_orphans",
    "read_page",
    "read_schema",
    "read_verdict",
    "read_written",
    "verdict_value",
]

_VERDICT: Final[dict[Verdict, pb.Verdict.ValueType]] = {
    Verdict.NO: pb.VERDICT_NO,
    Verdict.CONDITIONAL: pb.VERDICT_CONDITIONAL,
    Verdict.YES: pb.VERDICT_YES,
    Verdict.UNDECIDED: pb.VERDICT_UNDECIDED,
}
_ORPHAN: Final[dict[OrphanClass, pb.OrphanKind.ValueType]] = {
    OrphanClass.NOBODY: pb.ORPHAN_KIND_NOBODY,
    OrphanClass.ONLY_CONDITIONAL: pb.ORPHAN_KIND_ONLY_CONDITIONAL,
    OrphanClass.ONLY_UNIVERSAL: pb.ORPHAN_KIND_ONLY_UNIVERSAL,
}
_CYCLE: Final[dict[CycleClass, pb.CycleKind.ValueType]] = {
    CycleClass.USERSETS: pb.CYCLE_KIND_USERSETS,
    CycleClass.TUPLESETS: pb.CYCLE_KIND_TUPLESETS,
    CycleClass.UNDEFINED: pb.CYCLE_KIND_UNDEFINED,
}
_CHANGE: Final[dict[ChangeKind, pb.SchemaChangeKind.ValueType]] = {
    ChangeKind.FLAG_ADDED: pb.SCHEMA_CHANGE_KIND_FLAG_ADDED,
    ChangeKind.FLAG_REMOVED: pb.SCHEMA_CHANGE_KIND_FLAG_REMOVED,
    ChangeKind.DEFINITION_ADDED: pb.SCHEMA_CHANGE_KIND_DEFINITION_ADDED,
    ChangeKind.DEFINITION_REMOVED: pb.SCHEMA_CHANGE_KIND_DEFINITION_REMOVED,
    ChangeKind.RELATION_ADDED: pb.SCHEMA_CHANGE_KIND_RELATION_ADDED,
    ChangeKind.RELATION_REMOVED: pb.SCHEMA_CHANGE_KIND_RELATION_REMOVED,
    ChangeKind.RELATION_KIND_ADDED: pb.SCHEMA_CHANGE_KIND_RELATION_KIND_ADDED,
    ChangeKind.RELATION_KIND_REMOVED: pb.SCHEMA_CHANGE_KIND_RELATION_KIND_REMOVED,
    ChangeKind.RELATION_BECAME_PERMISSION: pb.SCHEMA_CHANGE_KIND_RELATION_BECAME_PERMISSION,
    ChangeKind.PERMISSION_ADDED: pb.SCHEMA_CHANGE_KIND_PERMISSION_ADDED,
    ChangeKind.PERMISSION_REMOVED: pb.SCHEMA_CHANGE_KIND_PERMISSION_REMOVED,
    ChangeKind.PERMISSION_EXPRESSION_CHANGED: pb.SCHEMA_CHANGE_KIND_PERMISSION_EXPRESSION_CHANGED,
    ChangeKind.PERMISSION_BECAME_RELATION: pb.SCHEMA_CHANGE_KIND_PERMISSION_BECAME_RELATION,
    ChangeKind.ANNOTATION_CHANGED: pb.SCHEMA_CHANGE_KIND_ANNOTATION_CHANGED,
    ChangeKind.ROLES_CHANGED: pb.SCHEMA_CHANGE_KIND_ROLES_CHANGED,
    ChangeKind.GRANT_ADDED: pb.SCHEMA_CHANGE_KIND_GRANT_ADDED,
    ChangeKind.GRANT_REMOVED: pb.SCHEMA_CHANGE_KIND_GRANT_REMOVED,
    ChangeKind.GRANT_CHANGED: pb.SCHEMA_CHANGE_KIND_GRANT_CHANGED,
    ChangeKind.DOC_CHANGED: pb.SCHEMA_CHANGE_KIND_DOC_CHANGED,
    ChangeKind.CAVEAT_ADDED: pb.SCHEMA_CHANGE_KIND_CAVEAT_ADDED,
    ChangeKind.CAVEAT_REMOVED: pb.SCHEMA_CHANGE_KIND_CAVEAT_REMOVED,
    ChangeKind.CAVEAT_EXPRESSION_CHANGED: pb.SCHEMA_CHANGE_KIND_CAVEAT_EXPRESSION_CHANGED,
    ChangeKind.CAVEAT_PARAMETER_ADDED: pb.SCHEMA_CHANGE_KIND_CAVEAT_PARAMETER_ADDED,
    ChangeKind.CAVEAT_PARAMETER_REMOVED: pb.SCHEMA_CHANGE_KIND_CAVEAT_PARAMETER_REMOVED,
    ChangeKind.CAVEAT_PARAMETER_TYPE_CHANGED: pb.SCHEMA_CHANGE_KIND_CAVEAT_PARAMETER_TYPE_CHANGED,
}

_VERDICT_READ: Final = {int(value): verdict for verdict, value in _VERDICT.items()}
_ORPHAN_READ: Final = {int(value): kind for kind, value in _ORPHAN.items()}
_CYCLE_READ: Final = {int(value): kind for kind, value in _CYCLE.items()}
_CHANGE_READ: Final = {int(value): kind for kind, value in _CHANGE.items()}


def verdict_value(verdict: Verdict) -> pb.Verdict.ValueType:
    """Return the number that stands for a verdict."""
    return _VERDICT[verdict]


def read_verdict(value: int, field: str) -> Verdict:
    """Read a verdict. Raises Unsupported for one not known."""
    return known(_VERDICT_READ, value, field)


def decision_message(decision: Decision) -> pb.CheckResponse:
    """Build the answer to a check."""
    return pb.CheckResponse(
        revision=decision.revision,
        token=decision.token,
        verdict=_VERDICT[decision.verdict],
        missing=decision.missing,
        valid_until=_moment(decision.valid_until),
    )


def _moment(value: datetime | None) -> Timestamp | None:
    return None if value is None else moment_message(value)


def _read_until(message: pb.CheckResponse | pb.Answer | pb.BestAccess) -> datetime | None:
    return read_moment(message.valid_until, "valid_until") if message.HasField("valid_until") else None


def decisions_message(decisions: Sequence[Decision]) -> pb.CheckBulkResponse:
    """Build the answer to many checks, which all hold at one revision."""
    rows = [
        pb.Answer(verdict=_VERDICT[each.verdict], missing=each.missing, valid_until=_moment(each.valid_until))
        for each in decisions
    ]
    return pb.CheckBulkResponse(revision=decisions[0].revision, token=decisions[0].token, answers=rows)


def read_decisions(message: pb.CheckBulkResponse) -> list[Decision]:
    """Read the answer to many checks. Raises Unsupported for a verdict not known."""
    return [
        Decision(
            known(_VERDICT_READ, each.verdict, f"answers[{index}].verdict"),
            tuple(each.missing),
            message.revision,
            message.token,
            _read_until(each),
        )
        for index, each in enumerate(message.answers)
    ]


def read_decision(message: pb.CheckResponse) -> Decision:
    """Read the answer to a check. Raises Unsupported for a verdict not known."""
    verdict = known(_VERDICT_READ, message.verdict, "verdict")
    return Decision(verdict, tuple(message.missing), message.revision, message.token, _read_until(message))


def _way_message(way: Way) -> pb.Way:
    steps = [
        pb.Step(
            claim=step.claim,
            rule=step.rule,
            tuple=None if step.tuple is None else tuple_message(step.tuple),
            children=step.children,
        )
        for step in way.steps
    ]
    return pb.Way(role=way.role, tuples=[tuple_message(fact) for fact in way.tuples], steps=steps, via=way.via)


def _read_way(message: pb.Way) -> Way:
    steps = tuple(
        Step(
            claim=step.claim,
            rule=step.rule,
            tuple=read_tuple(step.tuple, "steps.tuple") if step.HasField("tuple") else None,
            children=tuple(step.children),
        )
        for step in message.steps
    )
    return Way(message.role, read_tuples(message.tuples, "tuples"), steps, message.via)


def best_messages(bests: Sequence[Best], subject: Subject | None) -> pb.BestAccessResponse:
    """Build the answers, which all hold at one revision, about one subject; or about many, where that is None."""
    results = [
        pb.BestAccess(
            resource=str(best.resource),
            role=best.role,
            held=best.held,
            conditional=[pb.ConditionalRole(role=row.role, missing=row.missing) for row in best.conditional],
            undecided=best.undecided,
            ways=[_way_message(way) for way in best.ways],
            truncated=best.truncated,
            valid_until=_moment(best.valid_until),
            subject=str(best.subject) if subject is None else "",
        )
        for best in bests
    ]
    first = bests[0]
    about = "" if subject is None else str(subject)
    return pb.BestAccessResponse(revision=first.revision, token=first.token, subject=about, results=results)


def read_best(message: pb.BestAccessResponse) -> list[Best]:
    """Read the answers about one subject, or many, in the request's order."""
    return [
        Best(
            subject=Subject.parse(row.subject or message.subject),
            resource=Object.parse(row.resource),
            role=row.role if row.HasField("role") else None,
            held=tuple(row.held),
            conditional=tuple(ConditionalRole(one.role, tuple(one.missing)) for one in row.conditional),
            undecided=tuple(row.undecided),
            ways=tuple(_read_way(way) for way in row.ways),
            truncated=row.truncated,
            revision=message.revision,
            token=message.token,
            valid_until=_read_until(row),
        )
        for row in message.results
    ]


def expansion_message(expansion: Expansion) -> pb.ExpandResponse:
    """Build the answer to an expansion."""
    nodes = [
        pb.ExpandNode(
            kind=node.kind,
            object=str(node.object),
            text=node.text,
            tuples=[tuple_message(fact) for fact in node.tuples],
            children=node.children,
            cycle=node.cycle,
        )
        for node in expansion.nodes
    ]
    return pb.ExpandResponse(revision=expansion.revision, token=expansion.token, nodes=nodes)


def read_expansion(message: pb.ExpandResponse) -> Expansion:
    """Read the answer to an expansion."""
    nodes = tuple(
        ExpandNode(
            node.kind,
            Object.parse(node.object, wildcard=True),
            node.text,
            read_tuples(node.tuples, "tuples"),
            tuple(node.children),
            node.cycle,
        )
        for node in message.nodes
    )
    return Expansion(nodes, message.revision, message.token)


def orphans_message(orphans: Orphans) -> pb.ListOrphansResponse:
    """Build the list of resources out of reach."""
    rows = [pb.Orphan(resource=str(row.resource), kind=_ORPHAN[row.kind]) for row in orphans.orphans]
    return pb.ListOrphansResponse(revision=orphans.revision, token=orphans.token, orphans=rows)


def read_orphans(message: pb.ListOrphansResponse) -> Orphans:
    """Read the list of resources out of reach. Raises Unsupported for a class not known."""
    rows = tuple(
        Orphan(Object.parse(row.resource), known(_ORPHAN_READ, row.kind, "orphans.kind")) for row in message.orphans
    )
    return Orphans(rows, message.revision, message.token)


def cycles_message(found: Cycles) -> pb.ListCyclesResponse:
    """Build the list of cycles in the data."""
    rows = [
        pb.Cycle(
            kind=_CYCLE[row.kind],
            names=map(str, row.names),
            tuples=[tuple_message(each) for each in row.tuples],
            subjects=map(str, row.subjects),
        )
        for row in found.cycles
    ]
    return pb.ListCyclesResponse(revision=found.revision, token=found.token, cycles=rows)


def read_cycles(message: pb.ListCyclesResponse) -> Cycles:
    """Read the list of cycles in the data. Raises Unsupported for a class not known."""
    rows = tuple(
        Cycle(
            known(_CYCLE_READ, row.kind, "cycles.kind"),
            tuple(map(Subject.parse, row.names)),
            read_tuples(row.tuples, "cycles.tuples"),
            tuple(map(Subject.parse, row.subjects)),
        )
        for row in message.cycles
    )
    return Cycles(rows, message.revision, message.token)


def page_message(page: Page) -> pb.ReadResponse:
    """Build one page of tuples."""
    return pb.ReadResponse(
        revision=page.revision,
        token=page.token,
        tuples=[tuple_message(fact) for fact in page.tuples],
        cursor=page.cursor,
    )


def export_messages(tuples: Sequence[RelationTuple], revision: int, token: str) -> list[pb.ExportResponse]:
    """Build the messages that a page of an export fills; none for an empty one."""
    return [
        pb.ExportResponse(revision=revision, token=token, tuples=[tuple_message(each) for each in share])
        for share in shares(tuples)
    ]


def read_page(message: pb.ReadResponse) -> Page:
    """Read one page of tuples."""
    return Page(read_tuples(message.tuples, "tuples"), message.cursor, message.revision, message.token)


def read_written(message: pb.WriteResponse | pb.WriteSchemaResponse) -> Written:
    """Read the receipt of a write or a schema write."""
    return Written(message.revision, message.token)


def read_deleted(message: pb.DeleteResponse) -> Deleted:
    """Read the receipt of a delete by filter."""
    return Deleted(message.tuples_deleted, message.complete, message.revision, message.token)


def read_imported(message: pb.ImportResponse) -> Imported:
    """Read the receipt of an import."""
    return Imported(message.tuples_read, message.tuples_changed, message.revision, message.token)


def read_schema(message: pb.ReadSchemaResponse) -> SchemaText:
    """Read the schema."""
    return SchemaText(message.text, message.revision, message.token)


def diff_message(found: SchemaDiff) -> pb.DiffSchemaResponse:
    """Build the list of changes that a schema would make."""
    rows = [
        pb.SchemaChange(kind=_CHANGE[row.kind], type=row.type, name=row.name, old=row.old, new=row.new)
        for row in found.changes
    ]
    return pb.DiffSchemaResponse(revision=found.revision, token=found.token, changes=rows)


def read_diff(message: pb.DiffSchemaResponse) -> SchemaDiff:
    """Read the list of changes that a schema would make. Raises Unsupported for a kind not known."""
    rows = tuple(
        SchemaChange(known(_CHANGE_READ, row.kind, "changes.kind"), row.type, row.name, row.old, row.new)
        for row in message.changes
    )
    return SchemaDiff(rows, message.revision, message.token)

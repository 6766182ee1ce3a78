"""Answers on the terminal: as JSON with stable keys, and as text for people.

Rule 1: a JSON shape is an interface. A key may be added, never renamed or dropped.
Rule 2: whatever came from outside passes `printable` on its way to a person (JSON escapes by itself).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from relgraph.answers import Verdict
from relgraph.instants import instant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from relgraph.answers import (
        Best,
        Collected,
        Cycle,
        Decision,
        Deleted,
        Expansion,
        LogEntry,
        Orphan,
        SchemaChange,
        SchemaText,
        Way,
        Written,
    )
    from relgraph.cli.journal import Progress
    from relgraph.schema.lints import Finding
    from relgraph.spicedb import Moved
    from relgraph.store.migration import Migrated
    from relgraph.tuples import RelationTuple

__all__ = [
    "best_json",
    "best_text",
    "change_json",
    "change_text",
    "collected_json",
    "collected_text",
    "counted",
    "cycle_json",
    "cycle_text",
    "decision_json",
    "decision_text",
    "deleted_json",
    "deleted_text",
    "entry_json",
    "entry_text",
    "expansion_json",
    "finding_json",
    "finding_text",
    "imported_json",
    "imported_text",
    "migrated_json",
    "migrated_text",
    "moved_json",
    "moved_text",
    "on_terminal",
    "orphan_json",
    "print_json",
    "print_lines",
    "printable",
    "schema_json",
    "tuple_json",
    "written_json",
    "written_text",
]

Json = dict[str, object]

_SHOWN_MAX: Final = 20


def printable(text: str, keep: str = "") -> str:
    """Return `text` with every character that is not printable escaped, those of `keep` excepted."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text
    )


def print_json(value: Mapping[str, object]) -> None:
    """Print one result on one line of standard output, in ASCII."""
    sys.stdout.write(json.dumps(value) + "\n")


def on_terminal() -> bool:
    """Whether a person reads standard output: what goes into a pipe or a file is plain, and never drawn."""
    return sys.stdout.isatty()


def print_lines(lines: Iterable[str]) -> None:
    """Print lines for a person on standard output, escaped."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")


def decision_json(decision: Decision) -> Json:
    """The shape of a check."""
    return {
        "verdict": decision.verdict.value,
        "missing": list(decision.missing),
        "revision": decision.revision,
        "token": decision.token,
        "valid_until": None if decision.valid_until is None else instant_text(decision.valid_until),
    }


def decision_text(decision: Decision) -> str:
    """A check in a line."""
    needs = f", needs {', '.join(decision.missing)}" if decision.verdict is Verdict.CONDITIONAL else ""
    until = "" if decision.valid_until is None else f", valid until {instant_text(decision.valid_until)}"
    return f"{decision.verdict.value}{needs} (revision {decision.revision}{until})"


def best_json(best: Best) -> Json:
    """The shape of best access on one resource."""
    return {
        "resource": str(best.resource),
        "role": best.role,
        "held": list(best.held),
        "conditional": [{"role": row.role, "missing": list(row.missing)} for row in best.conditional],
        "undecided": list(best.undecided),
        "ways": [_way_json(way) for way in best.ways],
        "truncated": best.truncated,
        "valid_until": None if best.valid_until is None else instant_text(best.valid_until),
    }


def _way_json(way: Way) -> Json:
    return {
        "role": way.role,
        "tuples": [str(tuple_) for tuple_ in way.tuples],
        "steps": [
            {
                "claim": step.claim,
                "rule": step.rule,
                "tuple": None if step.tuple is None else str(step.tuple),
                "children": list(step.children),
            }
            for step in way.steps
        ],
        "via": way.via,
    }


def best_text(best: Best) -> Iterator[str]:
    """Best access on one resource: a line for the answer, and a line for each way with its tuples below it."""
    yield f"{best.resource}  {best.role or ', '.join(best.held) or 'no access'}"
    for row in best.conditional:
        yield f"  {row.role} if the context allows it, needs {', '.join(row.missing)}"
    for name in best.undecided:
        yield f"  {name} is undecided: it depends on its own negation"
    for way in best.ways:
        yield f"  {way.role} {way.via}"
        for tuple_ in way.tuples:
            yield f"    {tuple_}"
    if best.truncated and best.ways:
        yield f"  at least {counted(len(best.ways), 'way')}: finding more takes more than the limits allow"
    elif best.truncated:
        yield "  which way takes more work to tell than the limits allow"


def expansion_json(expansion: Expansion) -> Json:
    """The shape of an expansion: a flat list of nodes, node 0 the root, children as indexes."""
    return {
        "nodes": [
            {
                "kind": node.kind,
                "object": str(node.object),
                "text": node.text,
                "tuples": [str(tuple_) for tuple_ in node.tuples],
                "children": list(node.children),
                "cycle": node.cycle,
            }
            for node in expansion.nodes
        ],
        "revision": expansion.revision,
        "token": expansion.token,
    }


def written_json(written: Written) -> Json:
    """The shape of a write."""
    return {"revision": written.revision, "token": written.token}


def written_text(written: Written) -> Iterator[str]:
    """A write in two lines; the token is for `--at-least` and `--at-exactly`."""
    yield f"revision {written.revision}"
    yield f"token {written.token}"


def deleted_json(deleted: Deleted) -> Json:
    """The shape of a delete by filter."""
    return {
        "deleted": deleted.count,
        "complete": deleted.complete,
        "revision": deleted.revision,
        "token": deleted.token,
    }


def deleted_text(deleted: Deleted) -> Iterator[str]:
    """A delete by filter in two lines."""
    noun = "tuple" if deleted.count == 1 else "tuples"
    rest = "" if deleted.complete else ", more match"
    yield f"{deleted.count:,} {noun} deleted{rest}, revision {deleted.revision}"
    yield f"token {deleted.token}"


def entry_json(entry: LogEntry) -> Json:
    """The shape of one revision in the log."""
    return {
        "revision": entry.revision,
        "token": entry.token,
        "time": instant_text(entry.time),
        "principal": entry.principal,
        "actor": entry.actor,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "metadata": entry.metadata,
        "created": [str(each) for each in entry.created],
        "deleted": [str(each) for each in entry.deleted],
        "schema": entry.schema,
    }


def entry_text(entry: LogEntry) -> Iterator[str]:
    """One revision of the log: a line about it, and one for each tuple that went or came."""
    who = entry.actor or entry.principal
    told = [f"revision {entry.revision}", instant_text(entry.time), *([who] if who else [])]
    told += [f"request {entry.request_id}"] if entry.request_id else []
    yield "  ".join([*told, *([entry.reason] if entry.reason else [])])
    if entry.schema is not None:
        yield f"  schema, {counted(len(entry.schema.splitlines()), 'line')}"
    yield from (f"  - {each}" for each in entry.deleted)
    yield from (f"  + {each}" for each in entry.created)


def collected_json(collected: Collected) -> Json:
    """The shape of a collection of history."""
    return {"tuples": collected.tuples, "revisions": collected.revisions, "floor": collected.floor}


def collected_text(collected: Collected) -> Iterator[str]:
    """A collection of history in two lines."""
    versions, revisions = counted(collected.tuples, "version"), counted(collected.revisions, "revision")
    yield f"forgot {versions} of tuples and {revisions}"
    yield f"kept from revision {collected.floor} on"


def imported_json(done: Progress, skipped: int, seconds: float) -> Json:
    """The shape of an import that took so many seconds; earlier runs had loaded `skipped` of what was read."""
    return {
        "read": done.read,
        "changed": done.changed,
        "seconds": round(seconds, 3),
        "revision": done.revision,
        "token": done.token,
        "revisions": done.batches,
        "skipped": skipped,
        "refused": done.refused,
    }


def imported_text(done: Progress, skipped: int, seconds: float) -> Iterator[str]:
    """An import that took so many seconds, in two lines, and a third for what was refused."""
    read = done.read - skipped
    rate = round(read / seconds) if seconds > 0 else read
    noun = "tuple" if done.read == 1 else "tuples"
    before = f" ({skipped:,} of them by earlier runs)" if skipped else ""
    many = f"{done.batches:,} revisions, the last one {done.revision}"
    yield (
        f"{done.read:,} {noun} read{before}, {done.changed:,} new or changed, in {seconds:.2f} s "
        f"({rate:,} tuples/s), {many if done.batches > 1 else f'revision {done.revision}'}"
    )
    yield f"token {done.token}"
    if done.refused:
        yield f"{done.refused:,} line{'s' * (done.refused > 1)} refused"


def migrated_json(migrated: Migrated, seconds: float) -> Json:
    """The shape of a migration that took so many seconds."""
    return {
        "revision": migrated.revision,
        "counts": dict(migrated.digest.counts),
        "sha256": migrated.digest.sha256,
        "continued": migrated.continued,
        "seconds": round(seconds, 3),
    }


def migrated_text(migrated: Migrated, seconds: float) -> Iterator[str]:
    """A migration that took so many seconds, in two lines."""
    counts = ", ".join(
        f"{count:,} {part if count != 1 else part[:-1]}" for part, count in migrated.digest.counts.items()
    )
    again = ", taken up from before" if migrated.continued else ""
    yield f"revision {migrated.revision}: {counts}, in {seconds:.2f} s{again}"
    yield f"both stores hold the same, sha256 {migrated.digest.sha256}"


def moved_json(moved: Moved, seconds: float) -> Json:
    """The shape of a migration from or to SpiceDB that took so many seconds."""
    return {
        "revision": moved.revision,
        "counts": {"definitions": moved.definitions, "caveats": moved.caveats, "tuples": moved.tuples},
        "seconds": round(seconds, 3),
    }


def moved_text(moved: Moved, seconds: float) -> Iterator[str]:
    """A migration from or to SpiceDB that took so many seconds, in one line."""
    counts = {"definition": moved.definitions, "caveat": moved.caveats, "tuple": moved.tuples}
    shown = ", ".join(f"{count:,} {what}{'s' * (count != 1)}" for what, count in counts.items())
    yield f"revision {moved.revision}: {shown}, in {seconds:.2f} s; both sides count the same"


def tuple_json(tuple_: RelationTuple) -> Json:
    """The shape of a tuple: a line that `relgraph import --format jsonl` reads. What it does not say is left out."""
    shape: Json = {"resource": str(tuple_.resource), "relation": tuple_.relation, "subject": str(tuple_.subject)}
    if tuple_.caveat:
        shape["caveat"] = tuple_.caveat
    if tuple_.context:
        shape["context"] = dict(tuple_.context)
    if tuple_.expires_at is not None:
        shape["expires_at"] = instant_text(tuple_.expires_at)
    return shape


def schema_json(schema: SchemaText) -> Json:
    """The shape of a schema that was read."""
    return {"schema": schema.text, "revision": schema.revision, "token": schema.token}


def orphan_json(orphan: Orphan) -> Json:
    """The shape of one resource out of reach."""
    return {"resource": str(orphan.resource), "class": orphan.kind.value}


def cycle_json(cycle: Cycle) -> Json:
    """The shape of one cycle in the data."""
    return {
        "class": cycle.kind.value,
        "names": list(map(str, cycle.names)),
        "tuples": list(map(str, cycle.tuples)),
        "subjects": list(map(str, cycle.subjects)),
    }


def cycle_text(cycle: Cycle) -> Iterator[str]:
    """One cycle in the data: its class and names, then the tuples that tie them together, the first of many."""
    yield f"{cycle.kind.value:<9}  {_some(list(map(str, cycle.names)), ', ')}"
    if cycle.subjects:
        yield f"  undecided for {_some(list(map(str, cycle.subjects)), ', ')}"
    yield from (f"  {line}" for line in _some(list(map(str, cycle.tuples)), "\n").splitlines())


def _some(texts: list[str], between: str) -> str:
    """Join texts; of many, the first ones and how many there are besides."""
    more = len(texts) - _SHOWN_MAX
    return between.join([*texts[:_SHOWN_MAX], *([f"and {more:,} more"] if more > 0 else [])])


def finding_json(finding: Finding) -> Json:
    """The shape of what a lint found."""
    return {
        "lint": finding.lint,
        "message": finding.message,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "type": finding.type,
        "name": finding.name,
        "excerpt": finding.excerpt,
    }


def finding_text(finding: Finding) -> Iterator[str]:
    """What a lint found: the place, the words and the lint's name; then the line with a caret."""
    where = f"{finding.file}, " if finding.file else ""
    yield f"{where}line {finding.line}, column {finding.column}: {finding.message} ({finding.lint})"
    yield from finding.excerpt.split("\n")


def change_json(change: SchemaChange) -> Json:
    """The shape of one difference between two schemas."""
    return {
        "kind": change.kind.value,
        "type": change.type,
        "name": change.name,
        "old": change.old,
        "new": change.new,
    }


def change_text(change: SchemaChange) -> Iterator[str]:
    """One difference between two schemas: where and of what kind, then the old lines and the new ones."""
    where = "#".join(filter(None, (change.type, change.name))) if change.type else f"use {change.name}"
    yield f"{where}: {change.kind.value.replace('_', ' ')}"
    yield from (f"  - {line}" for line in change.old.splitlines())
    yield from (f"  + {line}" for line in change.new.splitlines())


def counted(count: int, noun: str) -> str:
    """A number of things: `no findings`, `1 finding`, `2 findings`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"

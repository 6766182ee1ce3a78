"""What a test of a schema found out, claim by claim, and how that is written: as text, JSON, JUnit's XML and TAP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from relgraph.cli.output import counted, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["FORMATS", "Outcome"]

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One claim, what was expected and what was found; `why` tells more where they differ.

    `kind` is check, best, orphans, refused, change, lost or expected; branch and mutant for what was weighed. `line` is
    0 where the place is not known, and `step` the title of the change after which it was asked.
    """

    file: str
    line: int
    kind: str
    claim: str
    expected: str
    found: str
    why: tuple[str, ...] = ()
    step: str = ""

    @property
    def holds(self) -> bool:
        """Whether what was found is what was expected."""
        return self.expected == self.found

    @property
    def place(self) -> str:
        """Where the claim stands, as editors and compilers spell it."""
        return f"{self.file}:{self.line}" if self.line else self.file


_WEIGHED: Final = {"branch": "no assertion reaches", "mutant": "no assertion notices if"}


def _text(outcomes: Sequence[Outcome], files: Sequence[str]) -> Iterator[str]:
    """Tell what does not hold, each with its reasons, and then how many there are."""
    for each in outcomes:
        if each.holds:
            continue
        if each.kind in _WEIGHED:
            yield f"{each.place}: {_WEIGHED[each.kind]} {each.claim}"
        else:
            yield f"{each.place}: {each.claim}{f', after: {each.step}' if each.step else ''}"
            yield f"  expected {each.expected}, is {each.found}"
        yield from (f"  {line}" for line in each.why)
    claims = [each for each in outcomes if each.kind not in _WEIGHED]
    claiming = {each.file for each in claims}
    yield from (f"{file}: claims nothing" for file in files if file not in claiming)
    held = sum(each.holds for each in claims)
    total = f"{len(claims):,} claim{'' if len(claims) == 1 else 's'}"
    yield f"{held:,} of {total} in {counted(len(files), 'file')} hold{'s' * (held == 1)}"
    for kind, verb in (("branch", "reached"), ("mutant", "noticed")):
        weighed = [each for each in outcomes if each.kind == kind]
        if weighed:
            noun = "branch" if kind == "branch" else "change"
            total = f"{len(weighed):,} {noun}{'' if len(weighed) == 1 else 'es' if kind == 'branch' else 's'}"
            yield f"{sum(each.holds for each in weighed):,} of {total} {verb}"


def _json(outcomes: Sequence[Outcome], files: Sequence[str]) -> Iterator[str]:  # noqa: ARG001  # as all
    """Tell every claim on a line of its own."""
    return (json.dumps(_shape(each)) for each in outcomes)


def _shape(outcome: Outcome) -> Json:
    return {
        "file": outcome.file,
        "line": outcome.line or None,
        "step": outcome.step,
        "kind": outcome.kind,
        "claim": outcome.claim,
        "expected": outcome.expected,
        "found": outcome.found,
        "holds": outcome.holds,
        "why": list(outcome.why),
    }


def _junit(outcomes: Sequence[Outcome], files: Sequence[str]) -> Iterator[str]:
    """Tell all of it as JUnit's XML: a suite for each file, a case for each claim."""
    root = ET.Element("testsuites", {"name": "relgraph test", **_counts(outcomes)})
    for file in files:
        some = [each for each in outcomes if each.file == file]
        suite = ET.SubElement(root, "testsuite", {"name": printable(file), **_counts(some)})
        for each in some:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=printable(file),
                name=_named(each),
                file=printable(file),
                line=str(each.line),
            )
            if not each.holds:
                message = printable(f"expected {each.expected}, is {each.found}")
                failure = ET.SubElement(case, "failure", message=message, type=each.kind)
                failure.text = "\n".join(map(printable, (f"{each.place}: {each.claim}", *each.why)))
    ET.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ET.tostring(root, encoding="unicode").split("\n")


def _place(outcome: Outcome) -> dict[str, str]:
    file = printable(outcome.file)
    return {"classname": file, "file": file, "line": str(outcome.line)}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    failures = sum(not each.holds for each in outcomes)
    return {"tests": str(len(outcomes)), "failures": str(failures), "errors": "0"}


def _named(outcome: Outcome) -> str:
    step = f" (after: {outcome.step})" if outcome.step else ""
    return printable(f"{outcome.kind}: {outcome.claim}{step}")


def _tap(outcomes: Sequence[Outcome], files: Sequence[str]) -> Iterator[str]:  # noqa: ARG001  # as all
    """Tell all of it as TAP 14; what does not hold has its reasons in a block of YAML."""
    yield "TAP version 14"
    yield f"1..{len(outcomes)}"
    for number, each in enumerate(outcomes, 1):
        # In a description `#` begins a directive.
        told = f"{each.place} {_named(each)}".replace("\\", "\\\\").replace("#", "\\#")
        yield f"{'ok' if each.holds else 'not ok'} {number} - {told}"
        if not each.holds:
            yield "  ---"
            yield from (f"  {key}: {json.dumps(value)}" for key, value in _shape(each).items() if key != "holds")
            yield "  ..."


FORMATS: Final[dict[str, Callable[[Sequence[Outcome], Sequence[str]], Iterable[str]]]] = {
    "text": _text,
    "json": _json,
    "junit": _junit,
    "tap": _tap,
}
"""Each way to write the outcomes of some files, as lines."""

"""What looking after a store tells: verifications, backups, and how large and safe it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.answers import Fact, Problem
    from relgraph.revision import Revision

__all__ = ["FINDINGS_MAX", "Backup", "Checked", "Condition", "Verification"]

FINDINGS_MAX = 20
"""How many findings of one check are told; where there are more, the last one says so."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check of a verification: what was looked at, how many of it there are, and what is wrong."""

    what: str
    count: int
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification looked at and found, in one snapshot of the store whose newest revision is `head`."""

    head: Revision
    checks: tuple[Checked, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """All that is wrong."""
        return tuple(finding for check in self.checks for finding in check.findings)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made and verified, or a store that was restored from one: the file and its newest revision."""

    path: Path
    head: Revision
    epoch: int
    size: int


@dataclass(frozen=True, slots=True)
class Condition:
    """How large a store is and what it stands on, and what of it is not safe."""

    facts: tuple[Fact, ...]
    problems: tuple[Problem, ...] = ()

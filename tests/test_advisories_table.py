"""The table of advisories is whole: each public number stands in it once, and each test that it names is there."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Final

from tests.advisories import ADVISORIES

FOLDER: Final = Path(__file__).parent

# Faults without a number are named by their issue, or in the words of the changelog that told of them.
KNOWN: Final = """
O CVE-2022-23542, O CVE-2022-39340, O CVE-2022-39341, O CVE-2022-39342, O CVE-2022-39352, O CVE-2023-35933,
O CVE-2023-40579, O CVE-2023-43645, O CVE-2023-45810, O CVE-2024-23820, O CVE-2024-31452, O CVE-2024-42473,
O CVE-2024-56323, O CVE-2025-25196, O CVE-2025-46331, O CVE-2025-48371, O CVE-2025-55213, O CVE-2025-64751,
O CVE-2026-24851, O CVE-2026-33729, O CVE-2026-34972, O CVE-2026-40293, O CVE-2026-41131, O CVE-2026-48096,
O CVE-2026-55170, O CVE-2026-55689,
O #2721, O #2811, O #2947, O #3057, O #3125, O #3145, O #3148, O #3152, O #3155, O #3168, O #3296,
S CVE-2022-21646, S CVE-2023-29193, S CVE-2023-35930, S CVE-2023-46255, S CVE-2024-27101, S CVE-2024-32001,
S CVE-2024-38361, S CVE-2024-46989, S CVE-2024-48909, S CVE-2025-49011, S CVE-2025-64529, S CVE-2025-65111,
S CVE-2026-40091, S CVE-2026-46668, S CVE-2026-55866, S GHSA-vhvq,
S #3136, S #3140, S MemDB, S MySQL collation, S read replica, S revision compare
"""


def found_in(file: Path) -> dict[str, ast.FunctionDef]:
    """The tests that a file has, as pytest finds them: functions at its top."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def named() -> set[str]:
    return {test for advisory in ADVISORIES for test in advisory.tests}


def files() -> list[Path]:
    return sorted(each for each in FOLDER.glob("test_*advisories*.py") if each.name != Path(__file__).name)


def test_every_advisory_stands_once() -> None:
    """No public number is missing, and none has two entries."""
    known = Counter(" ".join(KNOWN.split()).split(", "))
    assert known == Counter(id_ for advisory in ADVISORIES for id_ in advisory.ids)
    assert {1} == {*known.values()}


def test_every_advisory_is_tested_or_told_why_not() -> None:
    """Each entry says what was wrong, and names its tests or why the fault cannot be one here."""
    assert [] == [advisory for advisory in ADVISORIES if not advisory.fault or not (advisory.tests or advisory.why_not)]


def test_every_test_that_the_table_names_is_there() -> None:
    """A name that no test has, or no longer has, is found."""
    there = {
        f"{file.name}::{test}"
        for file in (FOLDER / name for name in {test.partition("::")[0] for test in named()})
        for test in found_in(file)
    }
    assert [] == sorted(named() - there)


def test_every_test_of_an_advisory_stands_in_the_table() -> None:
    """No test is forgotten there."""
    assert [] == sorted({f"{file.name}::{test}" for file in files() for test in found_in(file)} - named())


def test_every_test_of_an_advisory_has_its_twin() -> None:
    """Each switches a protection off and looks again; without that nobody knows whether the scenario shows anything."""
    twins = {"switched_off", "stale", "monkeypatch"}
    lacking = [
        f"{file.name}::{name}"
        for file in files()
        for name, test in found_in(file).items()
        if not twins & {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    ]
    assert [] == lacking

"""Scenario files: a schema, tuples, what must hold, and changes that each have an effect. One idea a file.

A superset of SpiceDB's validation YAML (`schema`, `relationships` or `tuples`, `assertions`), read so that every scalar
stays the text it is (`yes` is not True):

    best:      rows of subject, resource, `role` (or `held`, without a ladder) and the words of all ways
    orphans:   every resource out of reach, with its class
    changes:   steps of `title`, `touch`, `delete`, then again `best` and `orphans`

Here is the reader alone; `demo` tells a scenario, and the tests ask it through every door.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

import relgraph
from relgraph.errors import InvalidFile, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BestCase", "Change", "Scenario", "find_scenario", "read_scenario"]

_FILE_KEYS: Final = ("title", "schema", "tuples", "relationships", "assertions", "best", "orphans", "changes")
_CASE_KEYS: Final = ("subject", "resource", "role", "held", "ways")
_CHANGE_KEYS: Final = ("title", "touch", "delete", "best", "orphans")


@dataclass(frozen=True, slots=True)
class BestCase:
    """What best access must be: `held` is None where there is a ladder; `ways` are the words of all ways, in order."""

    subject: str
    resource: str
    role: str | None
    held: tuple[str, ...] | None
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One write and what is true after it; `orphans` is None where the file does not say."""

    title: str
    touch: tuple[str, ...]
    delete: tuple[str, ...]
    best: tuple[BestCase, ...]
    orphans: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file's content."""

    title: str
    schema: str
    tuples: tuple[str, ...]
    holds: tuple[str, ...]
    fails: tuple[str, ...]
    best: tuple[BestCase, ...]
    orphans: Mapping[str, str] | None
    changes: tuple[Change, ...]


def find_scenario(name: str) -> Path:
    """Return where a scenario that comes with relgraph stands: in the installed package, or in the checkout."""
    package = Path(relgraph.__file__).parent
    for folder in (package / "scenarios", package.parent / "scenarios"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise InvalidFile(f"the scenario {quoted(name)} is not here; install relgraph again, or run it from its checkout")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises InvalidFile naming the file and what is wrong in it."""
    try:
        loaded = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  # builds text, lists, dicts
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidFile(f"{path}: cannot be read as YAML: {error}") from None
    reader = _Reader(path)
    content = reader.mapping(loaded, "the file", _FILE_KEYS)
    assertions = reader.mapping(content.get("assertions", {}), "`assertions`", ("assertTrue", "assertFalse"))
    if "tuples" in content and "relationships" in content:
        raise InvalidFile(f"{path}: has both `tuples` and `relationships`, two names for one thing; keep one")
    lines = reader.text(content.get("tuples", content.get("relationships", ""))).splitlines()
    return Scenario(
        title=reader.text(content.get("title", path.stem)),
        schema=reader.text(content.get("schema", "")),
        tuples=tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("//")),
        holds=reader.texts(assertions.get("assertTrue", [])),
        fails=reader.texts(assertions.get("assertFalse", [])),
        best=reader.cases(content.get("best", [])),
        orphans=reader.orphans(content),
        changes=tuple(reader.change(each) for each in reader.items(content.get("changes", []))),
    )


class _Reader:
    """Checks shapes, so that a misspelt key is an error and never an assertion that does not run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _refuse(self, problem: str) -> InvalidFile:
        return InvalidFile(f"{self._path}: {problem}")

    def mapping(self, value: object, what: str, keys: tuple[str, ...] | None = None) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._refuse(f"{what} is not a mapping")
        for key in value:
            if keys is not None and key not in keys:
                raise self._refuse(f"{what} has no key {quoted(str(key))}{did_you_mean(str(key), keys)}")
        return {str(key): each for key, each in value.items()}

    def items(self, value: object) -> list[object]:
        if not isinstance(value, list):
            raise self._refuse(f"{quoted(str(value))} is not a list")
        return value

    def text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._refuse(f"{quoted(str(value))} is not a text")
        return value

    def texts(self, value: object) -> tuple[str, ...]:
        return tuple(self.text(each) for each in self.items(value))

    def orphans(self, content: dict[str, object]) -> Mapping[str, str] | None:
        if "orphans" not in content:
            return None
        return {key: self.text(each) for key, each in self.mapping(content["orphans"], "`orphans`").items()}

    def cases(self, value: object) -> tuple[BestCase, ...]:
        return tuple(self._case(each) for each in self.items(value))

    def _case(self, value: object) -> BestCase:
        content = self.mapping(value, "a row of `best`", _CASE_KEYS)
        if ("role" in content) == ("held" in content):
            raise self._refuse("a row of `best` needs either `role` or `held`")
        return BestCase(
            subject=self.text(content.get("subject")),
            resource=self.text(content.get("resource")),
            role=self.text(content.get("role", "")) or None,
            held=self.texts(content["held"]) if "held" in content else None,
            ways=self.texts(content.get("ways", [])),
        )

    def change(self, value: object) -> Change:
        content = self.mapping(value, "a row of `changes`", _CHANGE_KEYS)
        return Change(
            title=self.text(content.get("title")),
            touch=self.texts(content.get("touch", [])),
            delete=self.texts(content.get("delete", [])),
            best=self.cases(content.get("best", [])),
            orphans=self.orphans(content),
        )

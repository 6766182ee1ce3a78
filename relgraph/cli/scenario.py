"""Scenario files: a schema, tuples, what must hold, and changes that each have an effect. One idea a file.

A superset of SpiceDB's validation YAML (`schema`, `relationships` or `tuples`, `assertions`), read so that every scalar
stays the text it is (`yes` is not True):

    assertions:  `assertTrue`, `assertFalse`, `assertUndecided`: checks, each `resource#permission@subject`
    best:        rows of subject, resource, `role` (or `held`, without a ladder), `undecided`, the words of all ways,
                 and `tuples`: a list for each way of the tuples it needs
    orphans:     every resource out of reach, with its class
    refused:     rows of `error`, a code, and what is refused with it: `check`, `touch`, `create`, `delete` or `schema`
    changes:     steps of `title`, what is written (`touch`, `create` and `delete`, or else `schema`), then again
                 `assertions`, `best`, `orphans` and `refused`; and `lost`: of what `subjects` hold on `resources`,
                 the `access` that the change takes away, all of it, each `resource#permission@subject`

A row of `refused` or `changes` that writes tuples may name the `actor` on whose behalf it does.

What is long stands in files beside it: `schemaFile`, put together with what it imports, and `tuplesFile`, in any format
that `import` reads. What a step claims is true of its revision for good: it is asked again, by token and by time, after
all changes.

Here is the reader alone; `demo` tells a scenario, and the tests ask it through every door.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

import relgraph
from relgraph.bulk import TupleFile
from relgraph.cli.schema_files import composed
from relgraph.errors import InvalidFile, RelgraphError, did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BestCase", "Change", "Claims", "Losses", "Refusal", "Scenario", "find_scenario", "read_scenario"]

_CLAIM_KEYS: Final = ("assertions", "best", "orphans", "refused")
_SCHEMA_KEYS: Final = ("schema", "schemaFile")
_TUPLE_KEYS: Final = ("tuples", "relationships", "tuplesFile")
_FILE_KEYS: Final = ("title", *_SCHEMA_KEYS, *_TUPLE_KEYS, "changes", *_CLAIM_KEYS)
_ASSERTION_KEYS: Final = ("assertTrue", "assertFalse", "assertUndecided")
_CASE_KEYS: Final = ("subject", "resource", "role", "held", "undecided", "ways", "tuples")
_WRITE_KEYS: Final = ("touch", "create", "delete")
_CHANGE_KEYS: Final = ("title", "actor", "schema", "lost", *_WRITE_KEYS, *_CLAIM_KEYS)
_LOSS_KEYS: Final = ("subjects", "resources", "access")
_REFUSAL_KEYS: Final = ("check", "schema", *_WRITE_KEYS)


@dataclass(frozen=True, slots=True)
class BestCase:
    """What best access must be: `held` is None where there is a ladder; `ways` are the words of all ways.

    `tuples` holds the texts of the tuples of each way, in any order, None where the file does not say.
    """

    subject: str
    resource: str
    role: str | None
    held: tuple[str, ...] | None
    undecided: tuple[str, ...]
    ways: tuple[str, ...]
    tuples: tuple[tuple[str, ...], ...] | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What must be refused, and the error's code; `kind` is check, touch, create, delete or schema."""

    kind: str
    text: str
    error: str
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Claims:
    """What must hold at one revision; `orphans` is None where the file does not say."""

    holds: tuple[str, ...]
    fails: tuple[str, ...]
    undecided: tuple[str, ...]
    best: tuple[BestCase, ...]
    orphans: Mapping[str, str] | None
    refused: tuple[Refusal, ...]

    @property
    def checks(self) -> tuple[tuple[str, str], ...]:
        """Every assertion, with the verdict it must get: `yes`, `no` or `undecided`."""
        asserted = (("yes", self.holds), ("no", self.fails), ("undecided", self.undecided))
        return tuple((question, verdict) for verdict, questions in asserted for question in questions)


@dataclass(frozen=True, slots=True)
class Losses:
    """What a change takes away: of all that the subjects hold on the resources before it, `access` and nothing else."""

    subjects: tuple[str, ...]
    resources: tuple[str, ...]
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One write and what is true after it: of tuples, or of a schema where that is not None.

    With an `actor`, the tuples are written on his behalf. `lost` is None where the file does not say.
    """

    title: str
    actor: str | None
    schema: str | None
    touch: tuple[str, ...]
    create: tuple[str, ...]
    delete: tuple[str, ...]
    claims: Claims
    lost: Losses | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file's content; `claims` hold once schema and tuples are written.

    `tuples_file` is where the tuples came from, None where they stand in the scenario itself.
    """

    title: str
    schema: str
    tuples: tuple[str, ...]
    claims: Claims
    changes: tuple[Change, ...]
    tuples_file: Path | None


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
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        # What is wrong is shown with a piece of the file, which may hold anything.
        shown = "\n".join(quoted(line, 200)[1:-1] for line in str(error).splitlines())
        raise InvalidFile(f"{path}: cannot be read as YAML: {shown}") from None
    reader = _Reader(path)
    content = reader.mapping(loaded, "the file", _FILE_KEYS)
    schema, schema_file = reader.inline_or_file(content, _SCHEMA_KEYS)
    lines, tuples_file = reader.inline_or_file(content, _TUPLE_KEYS)
    return Scenario(
        title=reader.text(content.get("title", path.stem)),
        schema=reader.composed(schema_file) if schema_file else schema,
        tuples=reader.loaded(tuples_file) if tuples_file else _lines(lines),
        tuples_file=tuples_file,
        claims=reader.claims(content),
        changes=tuple(reader.change(each) for each in reader.items(content.get("changes", []))),
    )


def _lines(text: str) -> tuple[str, ...]:
    """Return the lines that are neither empty nor a comment."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("//"))


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

    def inline_or_file(self, content: dict[str, object], keys: tuple[str, ...]) -> tuple[str, Path | None]:
        """Return the one text that stands under a key, or the path of the file that `...File` names."""
        given = [key for key in keys if key in content]
        if len(given) > 1:
            shown = " and ".join(map(quoted, given))
            raise self._refuse(f"has both {shown}, two names for one thing; keep one")
        text = self.text(content[given[0]]) if given else ""
        if not given or not given[0].endswith("File"):
            return text, None
        return "", self._path.parent / text

    def composed(self, file: Path) -> str:
        """Return a schema from its file and what that imports."""
        try:
            return composed(str(file)).text
        except RelgraphError as error:
            raise self._refuse(error.message) from error

    def loaded(self, file: Path) -> tuple[str, ...]:
        """Return the texts of the tuples in a file."""
        try:
            with TupleFile(str(file), allow_universal=True, allow_wildcards=True) as tuples:
                return tuple(map(str, tuples))
        except RelgraphError as error:
            raise self._refuse(error.message) from error

    def claims(self, content: dict[str, object]) -> Claims:
        assertions = self.mapping(content.get("assertions", {}), "`assertions`", _ASSERTION_KEYS)
        holds, fails, undecided = (self.texts(assertions.get(key, [])) for key in _ASSERTION_KEYS)
        return Claims(
            holds=holds,
            fails=fails,
            undecided=undecided,
            best=tuple(self._case(each) for each in self.items(content.get("best", []))),
            orphans=self._orphans(content),
            refused=tuple(self._refusal(each) for each in self.items(content.get("refused", []))),
        )

    def _orphans(self, content: dict[str, object]) -> Mapping[str, str] | None:
        if "orphans" not in content:
            return None
        return {key: self.text(each) for key, each in self.mapping(content["orphans"], "`orphans`").items()}

    def _case(self, value: object) -> BestCase:
        content = self.mapping(value, "a row of `best`", _CASE_KEYS)
        if ("role" in content) == ("held" in content):
            raise self._refuse("a row of `best` needs either `role` or `held`")
        return BestCase(
            subject=self.text(content.get("subject")),
            resource=self.text(content.get("resource")),
            role=self.text(content.get("role", "")) or None,
            held=self.texts(content["held"]) if "held" in content else None,
            undecided=self.texts(content.get("undecided", [])),
            ways=self.texts(content.get("ways", [])),
            tuples=tuple(map(self.texts, self.items(content["tuples"]))) if "tuples" in content else None,
        )

    def _refusal(self, value: object) -> Refusal:
        content = self.mapping(value, "a row of `refused`", ("actor", "error", *_REFUSAL_KEYS))
        kinds = [key for key in _REFUSAL_KEYS if key in content]
        if len(kinds) != 1:
            raise self._refuse(f"a row of `refused` needs exactly one of {', '.join(map(quoted, _REFUSAL_KEYS))}")
        actor = self._actor(content)
        if actor is not None and kinds[0] not in _WRITE_KEYS:
            raise self._refuse("a row of `refused` names an `actor`, who is for `touch`, `create` and `delete`")
        return Refusal(kinds[0], self.text(content[kinds[0]]), self.text(content.get("error")), actor)

    def _actor(self, content: dict[str, object]) -> str | None:
        return self.text(content["actor"]) if "actor" in content else None

    def change(self, value: object) -> Change:
        content = self.mapping(value, "a row of `changes`", _CHANGE_KEYS)
        writes = any(key in content for key in _WRITE_KEYS)
        if writes == ("schema" in content):
            raise self._refuse("a row of `changes` writes either tuples (`touch`, `create`, `delete`) or a `schema`")
        if "actor" in content and not writes:
            raise self._refuse("a row of `changes` names an `actor`, who writes tuples and never a `schema`")
        return Change(
            title=self.text(content.get("title")),
            actor=self._actor(content),
            schema=self.text(content["schema"]) if "schema" in content else None,
            touch=self.texts(content.get("touch", [])),
            create=self.texts(content.get("create", [])),
            delete=self.texts(content.get("delete", [])),
            claims=self.claims(content),
            lost=self._losses(content["lost"]) if "lost" in content else None,
        )

    def _losses(self, value: object) -> Losses:
        content = self.mapping(value, "`lost`", _LOSS_KEYS)
        return Losses(*(self.texts(content.get(key, [])) for key in _LOSS_KEYS))

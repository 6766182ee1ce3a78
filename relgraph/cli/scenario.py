"""Scenario files: a schema, tuples, what must hold, and changes that each have an effect. One idea a file.

A superset of SpiceDB's validation YAML (`schema`, `relationships` or `tuples`, `assertions`, `validation`), read so
that every scalar stays the text it is (`yes` is not True):

    assertions:  `assertTrue`, `assertFalse`, `assertCaveated`, `assertUndecided`: checks, each
                 `resource#permission@subject`, and behind it ` with {…}` where the question brings a context
    validation:  for each `resource#permission`, all that hold it: see `expected`
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

Here is the reader alone; `test` judges a scenario, `demo` tells one, and the tests ask it through every door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import relgraph
from relgraph.bulk import TupleFile
from relgraph.cli.expected import Expected, read_expected
from relgraph.cli.schema_files import composed
from relgraph.cli.yaml_texts import Text, line_of, read_yaml
from relgraph.contexts import EMPTY, Context
from relgraph.errors import InvalidFile, RelgraphError, did_you_mean, quoted
from relgraph.schema.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Assertion",
    "BestCase",
    "Change",
    "Claims",
    "Losses",
    "Refusal",
    "Scenario",
    "find_scenario",
    "read_scenario",
]

_CLAIM_KEYS: Final = ("assertions", "best", "orphans", "refused", "validation")
_SCHEMA_KEYS: Final = ("schema", "schemaFile")
_TUPLE_KEYS: Final = ("tuples", "relationships", "tuplesFile")
_FILE_KEYS: Final = ("title", *_SCHEMA_KEYS, *_TUPLE_KEYS, "changes", *_CLAIM_KEYS)
_ASSERTIONS: Final = {
    "assertTrue": "yes",
    "assertFalse": "no",
    "assertCaveated": "conditional",
    "assertUndecided": "undecided",
}
# What SpiceDB's files had before schemas were texts, and what stands there now.
_LEGACY: Final = {"namespace_configs": "schema", "validation_tuples": "relationships"}
_WITH: Final = " with "
_CASE_KEYS: Final = ("subject", "resource", "role", "held", "undecided", "ways", "tuples")
_WRITE_KEYS: Final = ("touch", "create", "delete")
_CHANGE_KEYS: Final = ("title", "actor", "schema", "lost", *_WRITE_KEYS, *_CLAIM_KEYS)
_LOSS_KEYS: Final = ("subjects", "resources", "access")
_REFUSAL_KEYS: Final = ("check", "schema", *_WRITE_KEYS)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A check and the verdict it must get: `yes`, `no`, `conditional` or `undecided`; `line` is its place."""

    question: str
    verdict: str
    context: Context = EMPTY
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.question}{_WITH}{self.context}" if self.context else self.question


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
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What must be refused, and the error's code; `kind` is check, touch, create, delete or schema."""

    kind: str
    text: str
    error: str
    actor: str | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """What must hold at one revision; `orphans` is None where the file does not say, and `line` is where it does.

    `expected` has, for each `resource#permission` that the file tells the holders of, all of them.
    """

    checks: tuple[Assertion, ...] = ()
    best: tuple[BestCase, ...] = ()
    orphans: Mapping[str, str] | None = None
    refused: tuple[Refusal, ...] = ()
    expected: tuple[Expected, ...] = ()
    orphans_line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Losses:
    """What a change takes away: of all that the subjects hold on the resources before it, `access` and nothing else."""

    subjects: tuple[str, ...]
    resources: tuple[str, ...]
    access: tuple[str, ...]
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One write and what is true after it: of tuples, or of a schema where that is not None (then with its source).

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
    source: Source | None = field(default=None, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file's content; `claims` hold once schema and tuples are written.

    `tuples_file` is where the tuples came from, None where they stand in the scenario itself: then `tuple_lines` has
    their places. `source` knows the places of the schema's lines.
    """

    title: str
    schema: str
    tuples: tuple[str, ...]
    claims: Claims
    changes: tuple[Change, ...]
    tuples_file: Path | None
    source: Source = field(compare=False)
    tuple_lines: tuple[int, ...] = field(default=(), compare=False)


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
    file_text, loaded = read_yaml(path)
    reader = _Reader(path)
    content = reader.mapping(loaded, "the file", (*_FILE_KEYS, *_LEGACY))
    for key, now in _LEGACY.items():
        if key in content:
            raise reader.refusal(f"{quoted(key)} is of a format that is no more; write {quoted(now)}")
    schema, schema_file = reader.inline_or_file(content, _SCHEMA_KEYS)
    lines, tuples_file = reader.inline_or_file(content, _TUPLE_KEYS)
    source = reader.composed(schema_file) if schema_file else reader.source(schema)
    tuples = reader.loaded(tuples_file) if tuples_file else _lines(lines)
    return Scenario(
        title=reader.text(content.get("title", path.stem)),
        schema=source.text,
        tuples=tuples,
        tuples_file=tuples_file,
        claims=reader.claims(content),
        changes=tuple(reader.change(each) for each in reader.items(content.get("changes", []))),
        source=source,
        tuple_lines=() if tuples_file else _places(tuples, file_text, line_of(lines)),
    )


def _lines(text: str) -> tuple[str, ...]:
    """Return the lines that are neither empty nor a comment."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("//"))


def _shown(value: object) -> str:
    """Return what a value is called that stands where it may not: a short one as it is written.

    A list or mapping is never written out: with aliases, a few lines of a file stand for gigabytes.
    """
    if isinstance(value, list | dict):
        return "a mapping" if isinstance(value, dict) else "a list"
    return quoted(str(value))


def _places(lines: Sequence[str], file_text: str, first: int) -> tuple[int, ...]:
    """Return where in a file each line of one of its scalars stands, from 1: in their order, from `first` on."""
    standing = [line.strip() for line in file_text.splitlines()]
    places, at = [], max(first - 1, 0)
    for line in lines:
        found = next((place for place in range(at, len(standing)) if standing[place] == line), None)
        at = at if found is None else found + 1
        places.append(first if found is None else at)
    return tuple(places)


class _Reader:
    """Checks shapes, so that a misspelt key is an error and never an assertion that does not run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refusal(self, problem: str, line: int = 0) -> InvalidFile:
        """Return the error for what is wrong in the file, with its line where that is known."""
        return InvalidFile(f"{self._path}{f', line {line}' if line else ''}: {problem}")

    def mapping(self, value: object, what: str, keys: tuple[str, ...] | None = None) -> dict[str, object]:
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise self.refusal(f"{what} is not a mapping")
        for key in value:
            if keys is not None and key not in keys:
                raise self.refusal(f"{what} has no key {quoted(str(key))}{did_you_mean(str(key), keys)}", line_of(key))
        return dict(value)

    def items(self, value: object) -> list[object]:
        if value == "":
            return []
        if not isinstance(value, list):
            raise self.refusal(f"{_shown(value)} is not a list", line_of(value))
        return value

    def text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.refusal(f"{_shown(value)} is not a text", line_of(value))
        return value

    def texts(self, value: object) -> tuple[str, ...]:
        return tuple(self.text(each) for each in self.items(value))

    def inline_or_file(self, content: dict[str, object], keys: tuple[str, ...]) -> tuple[str, Path | None]:
        """Return the one text that stands under a key, or the path of the file that `...File` names."""
        given = [key for key in keys if key in content]
        if len(given) > 1:
            shown = " and ".join(map(quoted, given))
            raise self.refusal(f"has both {shown}, two names for one thing; keep one")
        text = self.text(content[given[0]]) if given else ""
        if not given or not given[0].endswith("File"):
            return text, None
        folder = self._path.parent
        if not (folder / text).resolve().is_relative_to(folder.resolve()):
            # Of a file that cannot be read, a line is shown: whoever writes a scenario may not be who runs it.
            raise self.refusal(
                f"names {quoted(text)}, which is outside of its folder; put the file beside it, or below"
            )
        return "", folder / text

    def source(self, text: str) -> Source:
        """Return a schema that stands in the file itself; of a folded scalar nobody knows where its lines stood."""
        first = text.first_line if isinstance(text, Text) else None
        if first is None:
            return Source(str(text))
        return Source(str(text), origins=[(str(self._path), first + row) for row in range(text.count("\n") + 1)])

    def composed(self, file: Path) -> Source:
        """Return a schema from its file and what that imports."""
        try:
            return composed(str(file)).source
        except RelgraphError as error:
            raise self.refusal(error.message) from error

    def loaded(self, file: Path) -> tuple[str, ...]:
        """Return the texts of the tuples in a file."""
        try:
            with TupleFile(str(file), allow_universal=True, allow_wildcards=True) as tuples:
                return tuple(map(str, tuples))
        except RelgraphError as error:
            raise self.refusal(error.message) from error

    def claims(self, content: dict[str, object]) -> Claims:
        assertions = self.mapping(content.get("assertions", {}), "`assertions`", tuple(_ASSERTIONS))
        holders = self.mapping(content.get("validation", {}), "`validation`")
        return Claims(
            checks=tuple(
                self._assertion(self.text(each), verdict)
                for key, verdict in _ASSERTIONS.items()
                for each in self.items(assertions.get(key, []))
            ),
            best=tuple(self._case(each) for each in self.items(content.get("best", []))),
            orphans=self._orphans(content),
            refused=tuple(self._refusal(each) for each in self.items(content.get("refused", []))),
            expected=tuple(self._expected(key, each) for key, each in holders.items()),
            orphans_line=line_of(content.get("orphans")),
        )

    def _assertion(self, text: str, verdict: str) -> Assertion:
        question, _, context = text.strip().partition(_WITH)
        try:
            given = Context.parse(context) if context else EMPTY
        except RelgraphError as error:
            raise self.refusal(error.message, line_of(text)) from error
        return Assertion(question.strip(), verdict, given, line_of(text))

    def _expected(self, key: str, value: object) -> Expected:
        rows = [(each, line_of(each)) for each in self.texts(value)]
        try:
            return read_expected(key, rows, line_of(key))
        except RelgraphError as error:
            raise self.refusal(error.message, int(error.details.get("line", "0"))) from error

    def _orphans(self, content: dict[str, object]) -> Mapping[str, str] | None:
        if "orphans" not in content:
            return None
        return {key: self.text(each) for key, each in self.mapping(content["orphans"], "`orphans`").items()}

    def _case(self, value: object) -> BestCase:
        content = self.mapping(value, "a row of `best`", _CASE_KEYS)
        if ("role" in content) == ("held" in content):
            raise self.refusal("a row of `best` needs either `role` or `held`")
        return BestCase(
            subject=self.text(content.get("subject")),
            resource=self.text(content.get("resource")),
            role=self.text(content.get("role", "")) or None,
            held=self.texts(content["held"]) if "held" in content else None,
            undecided=self.texts(content.get("undecided", [])),
            ways=self.texts(content.get("ways", [])),
            tuples=tuple(map(self.texts, self.items(content["tuples"]))) if "tuples" in content else None,
            line=line_of(value),
        )

    def _refusal(self, value: object) -> Refusal:
        content = self.mapping(value, "a row of `refused`", ("actor", "error", *_REFUSAL_KEYS))
        kinds = [key for key in _REFUSAL_KEYS if key in content]
        if len(kinds) != 1:
            raise self.refusal(f"a row of `refused` needs exactly one of {', '.join(map(quoted, _REFUSAL_KEYS))}")
        actor = self._actor(content)
        if actor is not None and kinds[0] not in _WRITE_KEYS:
            raise self.refusal("a row of `refused` names an `actor`, who is for `touch`, `create` and `delete`")
        text, error = self.text(content[kinds[0]]), self.text(content.get("error"))
        return Refusal(kinds[0], text, error, actor, line_of(value))

    def _actor(self, content: dict[str, object]) -> str | None:
        return self.text(content["actor"]) if "actor" in content else None

    def change(self, value: object) -> Change:
        content = self.mapping(value, "a row of `changes`", _CHANGE_KEYS)
        writes = any(key in content for key in _WRITE_KEYS)
        if writes == ("schema" in content):
            raise self.refusal("a row of `changes` writes either tuples (`touch`, `create`, `delete`) or a `schema`")
        if "actor" in content and not writes:
            raise self.refusal("a row of `changes` names an `actor`, who writes tuples and never a `schema`")
        schema = self.source(self.text(content["schema"])) if "schema" in content else None
        return Change(
            title=self.text(content.get("title")),
            actor=self._actor(content),
            schema=None if schema is None else schema.text,
            touch=self.texts(content.get("touch", [])),
            create=self.texts(content.get("create", [])),
            delete=self.texts(content.get("delete", [])),
            claims=self.claims(content),
            lost=self._losses(content["lost"]) if "lost" in content else None,
            source=schema,
            line=line_of(value),
        )

    def _losses(self, value: object) -> Losses:
        content = self.mapping(value, "`lost`", _LOSS_KEYS)
        subjects, resources, access = (self.texts(content.get(key, [])) for key in _LOSS_KEYS)
        return Losses(subjects, resources, access, line_of(value))

"""The three doors that scenarios are asked through: the library and gRPC (one class serves both), and the terminal.

Each answers in plain words, so that one test reads them all: a verdict, a best access, orphans, an error's code.
"""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from relgraph.cli import main
from relgraph.errors import RelgraphError, Undecided
from relgraph.instants import instant_text, moment
from relgraph.tuples import RelationTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from relgraph.api import Authorizer
    from relgraph.cli.scenario import Change, Refusal, Scenario
    from relgraph.client import Client
    from relgraph.revision import Consistency

__all__ = ["BestAnswer", "Door", "MethodsDoor", "TerminalDoor"]


@dataclass(frozen=True)
class BestAnswer:
    """A best access as a scenario words it; `tuples` are the texts of the tuples of each way."""

    role: str | None
    held: list[str]
    undecided: list[str]
    ways: list[str]
    tuples: list[list[str]]


class MethodsDoor:
    """The library or the client: both have the same methods. Questions are asked of now, or of `when`."""

    def __init__(self, authorizer: Authorizer | Client) -> None:
        self._authorizer = authorizer

    def begin(self, scenario: Scenario) -> str:
        """Write schema and tuples; gives the token of the last write."""
        token = self._authorizer.write_schema(scenario.schema).token
        if scenario.tuples:
            token = self._authorizer.load(scenario.tuples, allow_universal=True, allow_wildcards=True).token
        return token

    def change(self, change: Change) -> str:
        """Make a change; gives its token."""
        if change.schema is not None:
            return self._authorizer.write_schema(change.schema).token
        return self._authorizer.write(
            touch=change.touch, create=change.create, delete=change.delete, actor=change.actor
        ).token

    def check(self, question: str, when: Consistency | None = None) -> str:
        """Return the verdict: yes, no or undecided."""
        try:
            return "yes" if self._authorizer.check(question, consistency=when) else "no"
        except Undecided:
            return "undecided"

    def found(self, question: str) -> list[str]:
        """Return the verdict as both lookups, and all permissions, tell it."""
        asked, door = RelationTuple.parse(question), self._authorizer
        what = door.what(asked.subject, asked.relation, asked.resource.type)
        type_, relation = asked.subject.type, asked.subject.relation
        who = door.who(asked.resource, asked.relation, type_, relation=relation)
        every = door.permissions(asked.subject, asked.resource)
        rows = [{row.id: row.verdict.value for row in each.rows} for each in (what, who)]
        held = {row.name: row.verdict.value for row in every.rows}
        return [*_both(asked, rows), held[asked.relation]]

    def best(self, subject: str, resource: str, when: Consistency | None = None) -> BestAnswer:
        """Return the best access with all ways."""
        best = self._authorizer.best(subject, resource, ways="all", consistency=when)
        assert not best.truncated
        tuples = [list(map(str, way.tuples)) for way in best.ways]
        return BestAnswer(best.role, list(best.held), list(best.undecided), [way.via for way in best.ways], tuples)

    def orphans(self, when: Consistency | None = None) -> dict[str, str]:
        """Return every resource out of reach with its class."""
        found = self._authorizer.orphans(consistency=when).orphans
        return {str(each.resource): each.kind.value for each in found}

    def refusal(self, refusal: Refusal) -> str:
        """Return the code of the error that is raised; an empty text for none."""
        door, text, actor = self._authorizer, refusal.text, refusal.actor
        calls: dict[str, Callable[[], object]] = {
            "check": lambda: door.check(text),
            "touch": lambda: door.write(touch=[text], actor=actor),
            "create": lambda: door.write(create=[text], actor=actor),
            "delete": lambda: door.write(delete=[text], actor=actor),
            "schema": lambda: door.write_schema(text),
        }
        try:
            calls[refusal.kind]()
        except RelgraphError as error:
            return error.code
        return ""


class TerminalDoor:
    """The commands over one SQLite file, run in this process: another test asks the shell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = f"sqlite:///{folder / 'scenario.db'}"

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        output, errors = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = main(["--store", self._store, *arguments, "--json"])
        return code, output.getvalue(), errors.getvalue()

    def _rows(self, *arguments: str) -> list[dict[str, str]]:
        code, output, errors = self._run(*arguments)
        assert (0, "") == (code, errors), arguments
        return [json.loads(line) for line in output.splitlines()]

    def _file(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def begin(self, scenario: Scenario) -> str:
        """Write schema and tuples; gives the token of the last write."""
        written = self._rows("schema", "write", self._file("schema.zed", scenario.schema))
        if scenario.tuples:
            allowed = ("--allow-universal", "--allow-wildcards")
            written = self._rows("import", self._file("tuples.txt", "\n".join(scenario.tuples)), *allowed)
        return written[0]["token"]

    def change(self, change: Change) -> str:
        """Make a change; gives its token."""
        if change.schema is not None:
            written = self._rows("schema", "write", self._file("schema.zed", change.schema))
        else:
            kinds = (("--touch", change.touch), ("--create", change.create), ("--delete", change.delete))
            words = (word for option, texts in kinds for each in texts for word in (option, each))
            written = self._rows("write", *words, *_acting(change.actor))
        return written[0]["token"]

    def check(self, question: str, when: Consistency | None = None) -> str:
        """Return the verdict, which the exit code says as well: yes, no or undecided."""
        code, output, errors = self._run("check", question, "--exit-code", *_at(when))
        if code == _UNDECIDED:
            assert json.loads(errors)["code"] == "UNDECIDED"
            return "undecided"
        verdict = str(json.loads(output)["verdict"])
        assert {"yes": 0, "no": 1}[verdict] == code
        return verdict

    def found(self, question: str) -> list[str]:
        """Return the verdict as both lookups, and all permissions, tell it; what is undecided ends with 3."""
        asked = RelationTuple.parse(question)
        subject, resource, name = str(asked.subject), str(asked.resource), asked.relation
        relation = f"#{asked.subject.relation}" if asked.subject.relation else ""
        answers = []
        for words in (
            ("what", subject, name, asked.resource.type),
            ("who", resource, name, f"{asked.subject.type}{relation}"),
            ("permissions", subject, resource),
        ):
            code, output, errors = self._run(*words)
            told = [json.loads(line) for line in output.splitlines()]
            assert (_UNDECIDED if any(row["verdict"] == "undecided" for row in told) else 0, "") == (code, errors)
            answers.append({row.get("resource") or row.get("subject") or row["name"]: row["verdict"] for row in told})
        what, who, held = answers
        rows = [
            {name.removeprefix(f"{asked.resource.type}:"): verdict for name, verdict in what.items()},
            {
                name.removeprefix(f"{asked.subject.type}:").removesuffix(relation): verdict
                for name, verdict in who.items()
            },
        ]
        return [*_both(asked, rows), held[name]]

    def best(self, subject: str, resource: str, when: Consistency | None = None) -> BestAnswer:
        """Return the best access with all ways."""
        code, output, _ = self._run("best", subject, resource, "--ways", "all", *_at(when))
        row = json.loads(output)
        assert (_UNDECIDED if row["undecided"] else 0) == code
        assert not row["truncated"]
        ways = row["ways"]
        return BestAnswer(
            row["role"], row["held"], row["undecided"], [way["via"] for way in ways], [way["tuples"] for way in ways]
        )

    def orphans(self, when: Consistency | None = None) -> dict[str, str]:
        """Return every resource out of reach with its class."""
        return {row["resource"]: row["class"] for row in self._rows("graph", "--orphans", *_at(when))}

    def refusal(self, refusal: Refusal) -> str:
        """Return the code that standard error tells; the command must end as bad input does."""
        arguments = {
            "check": ("check", refusal.text),
            "schema": ("schema", "write", self._file("refused.zed", refusal.text)),
        }.get(refusal.kind, ("write", f"--{refusal.kind}", refusal.text, *_acting(refusal.actor)))
        code, output, errors = self._run(*arguments)
        assert (2, "") == (code, output), errors
        return str(json.loads(errors)["code"])


Door = MethodsDoor | TerminalDoor

_UNDECIDED = 3


def _both(asked: RelationTuple, rows: list[dict[str, str]]) -> list[str]:
    """Return what the rows of `what` and of `who` say on a question: an id without a row is as all others are."""
    ids = (asked.resource.id, asked.subject.id)
    return [each.get(id_) or each.get("*") or "no" for id_, each in zip(ids, rows, strict=True)]


def _acting(actor: str | None) -> tuple[str, ...]:
    """Return the option that names on whose behalf a write is made."""
    return () if actor is None else ("--actor", actor)


def _at(when: Consistency | None) -> tuple[str, ...]:
    """Return the option that asks at exactly a token's revision, or at a time."""
    if when is None:
        return ()
    if when.instant is not None:
        return "--at", instant_text(moment(when.instant))
    assert when.mode == "at_exactly"
    return "--at-exactly", str(when.token)

"""What tests of writes by an actor share: a schema with grants, tuples, and every door through which he may come.

A door tells what became of a write as an `Outcome`: an empty code when it was made, else the error as it was told.
"""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING

import relgraph
from relgraph.cli import main
from relgraph.errors import RelgraphError
from relgraph.tuples import TupleFilter, must_exist, must_not_exist

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from relgraph.api import Authorizer
    from relgraph.client import Client

__all__ = ["LATE", "LATER", "MADE", "SCHEMA", "TUPLES", "Door", "MethodsDoor", "Outcome", "TerminalDoor"]

SCHEMA = """
use expiration
use grants
use self
use universal
definition user {
  relation friend: user
  permission befriend = self
  permission invite = friend
  grant friend by befriend
}
definition group {
  relation admin: user
  relation member: user | user with expiration | group#member
  permission administer = admin
  grant member by administer
}
definition folder {
  relation owner: user | user with expiration | group#member | user with universal
  relation parent: folder
  permission administer = owner + parent->administer
  grant owner by administer
  grant parent by administer and subject administer
}
definition report {
  relation folder: folder
  relation administrator: user | user with expiration | group#member | user with universal
  relation observer: user | user with expiration | user:* | group#member | user with universal
  relation publisher: user
  relation banned: user | user with expiration
  relation board: group | group with expiration
  relation minutes: user | user with expiration
  relation guest: user
  relation sealed: user
  permission administer = administrator + folder->administer
  permission moderate = administer - banned
  permission decide = board.all(member)
  permission observe = observer + administer
  grant administrator, folder by administer
  grant observer, banned by moderate
  grant observer to user:* by publisher
  grant minutes by decide
  grant guest by administer and subject invite
}
"""
TUPLES = (
    "report:q3#administrator@user:anna",
    "report:q3#publisher@user:paul",
    "report:q3#observer@user:olga",
    "report:other#administrator@user:zoe",
    "report:other#observer@user:olga",
    "folder:top#owner@user:anna",
    "folder:alien#owner@user:zoe",
    "folder:alien#parent@folder:far",
    "group:staff#admin@user:anna",
    "group:staff#member@user:bob",
    "group:audit#member@user:bob",
)
LATE, LATER = "2200-01-01T00:00:00Z", "2200-01-02T00:00:00Z"


@dataclass(frozen=True)
class Outcome:
    """What became of a write."""

    code: str = ""
    message: str = ""
    details: dict[str, str] = field(default_factory=dict)


MADE = Outcome()


class MethodsDoor:
    """The library or the client: both have the same methods."""

    def __init__(self, authorizer: Authorizer | Client) -> None:
        self.authorizer = authorizer

    def begin(self, *tuples: str) -> None:
        """Write schema and tuples, as the trusted back end."""
        self.authorizer.write_schema(SCHEMA)
        self.authorizer.load([*TUPLES, *tuples], allow_universal=True, allow_wildcards=True)

    def write(
        self,
        actor: str | None,
        *,
        touch: Sequence[str] = (),
        create: Sequence[str] = (),
        delete: Sequence[str] = (),
        must: Sequence[str] = (),
        must_not: Sequence[str] = (),
        request_id: str = "",
    ) -> Outcome:
        """Write tuples."""
        preconditions = [
            *(must_exist(TupleFilter.parse(each)) for each in must),
            *(must_not_exist(TupleFilter.parse(each)) for each in must_not),
        ]
        return _outcome(
            lambda: self.authorizer.write(
                touch=touch,
                create=create,
                delete=delete,
                preconditions=preconditions,
                actor=actor,
                request_id=request_id,
            )
        )

    def delete(self, actor: str | None, filter: str) -> Outcome:
        """Delete by filter."""
        return _outcome(lambda: self.authorizer.delete(TupleFilter.parse(filter), actor=actor))

    def load(self, actor: str | None, *tuples: str) -> Outcome:
        """Import tuples; universal ones and wildcards are allowed, as far as the import is concerned."""
        return _outcome(lambda: self.authorizer.load(tuples, actor=actor, allow_universal=True, allow_wildcards=True))

    def living(self) -> set[str]:
        """Return all tuples."""
        return set(map(str, self.authorizer.read().tuples))


class TerminalDoor:
    """The commands over one SQLite file, run in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = f"sqlite:///{folder / 'grants.db'}"

    def _run(self, actor: str | None, *arguments: str) -> Outcome:
        errors = StringIO()
        with redirect_stdout(StringIO()), redirect_stderr(errors):
            acting = () if actor is None else ("--actor", actor)
            code = main(["--store", self._store, *arguments, *acting, "--json"])
        if code == 0:
            return MADE
        told = json.loads(errors.getvalue())
        assert code == (5 if told["code"] == "LIMIT_EXCEEDED" else 2)
        return Outcome(told["code"], told["message"], told["details"])

    def _file(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def begin(self, *tuples: str) -> None:
        """Write schema and tuples, as the trusted back end."""
        assert MADE == self._run(None, "schema", "write", self._file("schema.zed", SCHEMA))
        assert MADE == self.load(None, *TUPLES, *tuples)

    def write(
        self,
        actor: str | None,
        *,
        touch: Sequence[str] = (),
        create: Sequence[str] = (),
        delete: Sequence[str] = (),
        must: Sequence[str] = (),
        must_not: Sequence[str] = (),
        request_id: str = "",
    ) -> Outcome:
        """Write tuples."""
        given = {"touch": touch, "create": create, "delete": delete, "must-exist": must, "must-not-exist": must_not}
        options = [word for name, texts in given.items() for text in texts for word in (f"--{name}", text)]
        return self._run(actor, "write", *options, "--request-id", request_id)

    def delete(self, actor: str | None, filter: str) -> Outcome:
        """Delete by filter."""
        return self._run(actor, "delete", filter)

    def load(self, actor: str | None, *tuples: str) -> Outcome:
        """Import tuples; universal ones and wildcards are allowed, as far as the import is concerned."""
        path = self._file("tuples.txt", "\n".join(tuples))
        return self._run(actor, "import", path, "--allow-universal", "--allow-wildcards")

    def living(self) -> set[str]:
        """Return all tuples."""
        with relgraph.open(self._store) as authorizer:
            return set(map(str, authorizer.read().tuples))


Door = MethodsDoor | TerminalDoor


def _outcome(write: Callable[[], object]) -> Outcome:
    try:
        write()
    except RelgraphError as error:
        return Outcome(error.code, error.message, error.details)
    return MADE

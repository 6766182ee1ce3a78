"""The crowds of the demo: thousands of tuples around each system's story, the same at every run.

Rule 1: what a crowd adds changes no answer about the story. Its ids begin with `c-`; of the story's objects it names
those alone that hold many: the pilots of Alliance Auth, the global tenant of Centurion, the session groups of Websaw.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["PILOTS", "PILOTS_WITH_ANOTHER_SOURCE", "write_crowd"]

PILOTS: Final = tuple(f"auth/user:c-{number}" for number in range(0, 900, 15))
"""Users of the crowd in Alliance Auth's group of pilots."""

PILOTS_WITH_ANOTHER_SOURCE: Final = PILOTS[::3]
"""Those among them who were given discord directly as well."""

_SESSIONS_END: Final = "2999-01-31T18:00:00Z"

_Row = tuple[str, str, str, str]
"""Resource, relation, subject, and when it expires: empty for never."""


def write_crowd(name: str, story: Path, path: Path) -> None:
    """Write the crowd of the scenario `name` to `path`, in the format of its story's file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        if story.suffix == ".csv":
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("resource", "relation", "subject", "expires_at"))
            writer.writerows(_CROWDS[name]())
        elif story.suffix == ".jsonl":
            keys = ("resource", "relation", "subject")
            stream.writelines(json.dumps(dict(zip(keys, row, strict=False))) + "\n" for row in _CROWDS[name]())
        else:
            stream.writelines(f"{row[0]}#{row[1]}@{row[2]}\n" for row in _CROWDS[name]())


def _catglobe() -> Iterator[_Row]:
    """A tree of resources with inheritance mostly on, kept by groups that lie in groups."""
    for number in range(300):
        yield f"catglobe/group:c-{number % 30}", "member", f"catglobe/user:c-{number}", ""
        yield f"catglobe/user:c-{number}", "manager", f"catglobe/user:c-{number // 10}", ""
    for number in range(1, 30):
        yield f"catglobe/group:c-{number // 5}", "member", f"catglobe/group:c-{number}#member", ""
    yield "catglobe/resource:c-0", "administrator", "catglobe/group:c-0#member", ""
    for number in range(1, 600):
        resource = f"catglobe/resource:c-{number}"
        if number % 7:
            yield resource, "inherits", f"catglobe/resource:c-{number // 4}", ""
        yield resource, "observer", f"catglobe/user:c-{number * 7 % 300}", ""
        if number % 2:
            yield resource, "manager", f"catglobe/group:c-{number % 30}#member", ""


def _auth() -> Iterator[_Row]:
    """Users with a state, most of them in a group or two, and services that states and groups were given."""
    for number in range(900):
        state = "blue" if number % 4 == 0 else "member"
        yield f"auth/state:c-{state}", "member", f"auth/user:c-{number}", ""
        yield f"auth/group:c-{number % 20}", "member", f"auth/user:c-{number}", ""
    for number in range(10):
        service = f"auth/service:c-{number}"
        yield service, "granted", "auth/state:c-member#member", ""
        yield service, "granted", f"auth/group:c-{number}#member", ""
        yield service, "granted", f"auth/group:c-{number + 10}#member", ""
    for pilot in PILOTS:
        yield "auth/group:pilots", "member", pilot, ""
    for pilot in PILOTS_WITH_ANOTHER_SOURCE:
        yield "auth/service:discord", "granted", pilot, ""


def _centurion() -> Iterator[_Row]:
    """Tenants with two teams each, a ledger for each of four models, and records in the ledgers."""
    for tenant in range(20):
        for team in ("desk", "field"):
            yield f"erp/team:c-{tenant}-{team}", "tenant", f"erp/tenant:c-{tenant}", ""
            for user in range(10):
                yield f"erp/team:c-{tenant}-{team}", "member", f"erp/user:c-{tenant}-{team}-{user}", ""
        for model in range(4):
            ledger = f"erp/ledger:c-{tenant}/c-{model}"
            yield ledger, "tenant", f"erp/tenant:c-{tenant}", ""
            yield ledger, "viewer", f"erp/team:c-{tenant}-desk#member", ""
            yield ledger, ("adder", "changer", "deleter")[model % 3], f"erp/team:c-{tenant}-field#member", ""
            yield from _ledger_of(ledger, f"erp/model:c-{model}")
    for model in range(4):
        yield f"erp/ledger:shared/c-{model}", "tenant", "erp/tenant:shared", ""
        yield from _ledger_of(f"erp/ledger:shared/c-{model}", f"erp/model:c-{model}")


def _ledger_of(ledger: str, model: str) -> Iterator[_Row]:
    """A ledger and its model name one another; ten records lie in it."""
    yield ledger, "model", model, ""
    yield model, "ledger", ledger, ""
    for number in range(10):
        yield f"erp/record:{ledger.removeprefix('erp/ledger:')}/{number}", "ledger", ledger, ""


def _websaw() -> Iterator[_Row]:
    """Users who are logged in somewhere, and applications in groups that everybody or some may reach."""
    for number in range(24):
        application = f"websaw/application:c-{number}"
        yield application, "group", f"websaw/group:c-{number // 4}", ""
        if number % 3 == 0:
            yield application, "entitled", "websaw/user:*", ""
    for number in range(800):
        user = f"websaw/user:c-{number}"
        group = ("office", "shop", *(f"c-{each}" for each in range(6)))[number % 8]
        yield f"websaw/group:{group}", "session", user, _SESSIONS_END
        yield f"websaw/application:c-{number % 24}", "entitled", user, ""


_CROWDS: Final[dict[str, Callable[[], Iterator[_Row]]]] = {
    "alliance-auth": _auth,
    "catglobe": _catglobe,
    "centurion": _centurion,
    "websaw": _websaw,
}

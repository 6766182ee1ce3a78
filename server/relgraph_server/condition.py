"""How the server is: what the library says of its store, with the server's own versions, settings and worries.

Rule 1: no secret leaves: a store's URL loses its password, and a setting whose name speaks of a secret says only
whether it is set.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from relgraph.answers import Fact, Problem
from relgraph.instants import parse_moment
from relgraph.store.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Status
    from relgraph.api import Authorizer
    from relgraph_server.settings import Settings

__all__ = ["server_status", "setting_facts"]

_SECRET: Final = re.compile("pass|secret|token|key|credential")
_PACKAGES: Final = ("grpcio", "protobuf")


def server_status(authorizer: Authorizer, settings: Settings) -> Status:
    """Return the status of a server with these settings over that Authorizer."""
    found = authorizer.status()
    versions = [Fact("versions", name, version(name)) for name in _PACKAGES]
    facts = (*versions, *found.facts, *setting_facts(settings))
    return replace(found, facts=facts, problems=(*found.problems, *_overdue(found, settings)))


def setting_facts(settings: Settings) -> Iterator[Fact]:
    """Yield every setting in effect, with where it was set; limits as `limits.NAME`."""
    for prefix, owner in (("", settings), ("limits.", settings.limits)):
        for each in fields(owner):
            if each.name in ("limits", "sources"):
                continue
            name = prefix + each.name
            yield Fact("settings", name, _shown(name, getattr(owner, each.name)), settings.sources.get(name, "default"))


def _shown(name: str, value: object) -> str | int:
    if name == "store":
        return without_password(str(value))
    if _SECRET.search(name) and not isinstance(value, int):
        return "set" if value else "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int) else str(value)


def _overdue(found: Status, settings: Settings) -> Iterator[Problem]:
    """Yield a problem when history is kept that should have been collected long ago."""
    oldest = [str(each.value) for each in found.facts if each.name == "oldest change"]
    now = datetime.now(UTC)
    for text in oldest:
        due = parse_moment(text) + timedelta(seconds=min(settings.history_s + 2 * settings.collect_every_s, 10**10))
        if due < now:
            yield Problem(
                "history",
                f"changes of {text} are kept, although {settings.history_s} s of history are to be",
                "look for `history was not collected` in the server's log, or run `relgraph collect` by hand",
            )

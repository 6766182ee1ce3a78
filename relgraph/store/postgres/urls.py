"""What a store's URL on PostgreSQL means: what is libpq's, and what is ours. No driver is needed to read it.

Rule 1: a password never gets into a text that anybody sees. `Place.where` is the URL without it, and a URL from which
it cannot be told apart is refused without being shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from relgraph.errors import InvalidSetting, did_you_mean, quoted
from relgraph.store.urls import without_password

__all__ = ["SCHEMA", "Place", "place_of"]

SCHEMA: Final = "relgraph"
"""The PostgreSQL schema that a store lives in unless its URL names another."""

_OURS: Final = ("relgraph_pgbouncer", "relgraph_schema")
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?")
_SCHEMA_BYTES_MAX: Final = 63
_ENCODE: Final = "in a user or password write `@` as `%40`, `/` as `%2F`, `?` as `%3F` and `:` as `%3A`"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is: `conninfo` is for libpq alone, `where` is for people.

    `pooled` says that PgBouncer or its like stands between, giving each transaction another session.
    """

    conninfo: str = field(repr=False)
    where: str
    schema: str = SCHEMA
    pooled: bool = False


def place_of(url: str) -> Place:
    """Read `postgresql://[user[:password]@][host[:port]][/database][?parameter=value&…]`.

    Every parameter of libpq passes through; ours are `relgraph_schema=name` and `relgraph_pgbouncer=on|off`. Raises
    InvalidSetting.
    """
    base, _, query = url.partition("?")
    authority, _, database = base.partition("://")[2].partition("/")
    if authority.count("@") > 1 or "@" in database or "\0" in url:
        raise InvalidSetting(f"the URL of the store cannot be read: {_ENCODE}")
    if not all(_HOST.fullmatch(each) for each in authority.rpartition("@")[2].split(",")):
        raise InvalidSetting(f"the URL of the store cannot be read: a port is a number, as in `host:5432`; {_ENCODE}")
    parameters = _parameters(query)
    ours = {name: unquote(value) for name, value in parameters if name in _OURS}
    theirs = [(name, value) for name, value in parameters if name not in _OURS]
    passed = "&".join(f"{name}={value}" for name, value in theirs)
    return Place(
        conninfo=f"{base}?{passed}" if passed else base,
        where=without_password(url),
        schema=_schema(ours.get("relgraph_schema", SCHEMA)),
        pooled=_switch("relgraph_pgbouncer", ours.get("relgraph_pgbouncer", "off")),
    )


def _parameters(query: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in query.split("&") if query else []:
        name, equals, value = part.partition("=")
        name = unquote(name)
        if not equals or not re.fullmatch(r"\w+", name):
            raise InvalidSetting(
                f"the URL of the store cannot be read behind `?`: write `name=value`, joined by `&`; {_ENCODE}"
            )
        if name.startswith("relgraph_") and name not in _OURS:
            raise InvalidSetting(
                f"the URL of the store has an unknown parameter {quoted(name)}{did_you_mean(name, _OURS)}",
                {"parameter": name},
            )
        if any(name == known for known, _ in found):
            raise InvalidSetting(f"the URL of the store has two {quoted(name)}; keep one", {"parameter": name})
        found.append((name, value))
    return found


def _schema(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > _SCHEMA_BYTES_MAX or name.startswith("pg_"):
        raise InvalidSetting(
            f"{quoted(name)} cannot be the PostgreSQL schema of a store: write letters, digits and `_`, at most "
            f"{_SCHEMA_BYTES_MAX}, beginning with neither a digit nor `pg_`",
            {"relgraph_schema": name},
        )
    return name


def _switch(name: str, value: str) -> bool:
    if value not in {"on", "off"}:
        raise InvalidSetting(f"{name} is {quoted(value)}; write `on` or `off`", {name: value})
    return value == "on"

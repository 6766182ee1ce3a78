"""Imports many tuples, validated, into one store after the other, and prints the rate and what a tuple takes on disk.

    .venv/bin/python benchmarks/imports.py --tuples 1000000 --postgres 'postgresql://postgres@127.0.0.1/postgres'

Tuples are made beforehand, as objects: parsing files and talking over a wire are not measured.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import psycopg

import relgraph
from relgraph import RelationTuple

SCHEMA = """
definition user {}
definition group { relation member: user | group#member }
definition resource {
    relation parent: resource
    relation administrator: user | group#member
    relation observer: user | group#member
    permission observe = observer + administrator + parent->observe
}
"""


def world(count: int) -> list[RelationTuple]:
    """Return that many different tuples: users in groups, a tree of resources, roles for groups and users."""
    draw, made = random.Random(1), dict[str, None]()
    while len(made) < count:
        number = len(made)
        user, group, resource = draw.randrange(count // 5), draw.randrange(count // 40), number // 3
        made[f"group:g{group}#member@user:u{user}"] = None
        made[f"resource:r{resource}#administrator@group:g{group}#member"] = None
        made[f"resource:r{resource}#observer@user:u{draw.randrange(count // 5)}"] = None
        made[f"resource:r{resource}#parent@resource:r{resource // 6}"] = None
    return [RelationTuple.parse(text) for text in list(made)[:count]]


def imported(url: str, tuples: list[RelationTuple]) -> float:
    """Import into a new store; return the seconds it took."""
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        start = time.perf_counter()
        authorizer.load(tuples)
        return time.perf_counter() - start


def postgres_size(url: str, schema: str) -> int:
    """Return the bytes of all tables and indexes of a PostgreSQL schema."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r'",
            (schema,),
        ).fetchone()
    return int(row[0]) if row else 0


def main() -> None:
    """Print a row for each store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tuples", type=int, default=200_000, help="how many to import (200000)")
    parser.add_argument("--postgres", help="the URL of a database; without it, SQLite alone")
    arguments = parser.parse_args()
    tuples = world(arguments.tuples)
    rows: list[tuple[str, float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "imports.db"
        seconds = imported(f"sqlite:///{path}", tuples)
        rows.append(("SQLite", seconds, path.stat().st_size))
    if arguments.postgres:
        schema = f"imports_{time.time_ns()}"
        joint = "&" if "?" in arguments.postgres else "?"
        seconds = imported(f"{arguments.postgres}{joint}relgraph_schema={schema}", tuples)
        rows.append(("PostgreSQL", seconds, postgres_size(arguments.postgres, schema)))
    for name, seconds, size in rows:
        print(f"{name:<12} {len(tuples) / seconds:>9,.0f} tuples/s {size / len(tuples):>7.0f} bytes a tuple")


if __name__ == "__main__":
    main()

"""The terminal's two doors in one process: a store in a file, and a server over such a file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import relgraph
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["DOORS", "behind"]

DOORS = ("--store", "--server")


@contextmanager
def behind(door: str, folder: Path, schema: str, tuples: Sequence[str]) -> Iterator[list[str]]:
    """Fill a store, and yield the options by which the terminal reaches it through a door."""
    url = f"sqlite:///{folder / 'access.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(schema)
        if tuples:
            authorizer.write(touch=tuples)
        if door == "--server":
            with in_process(authorizer) as address:
                yield [door, address]
            return
    yield [door, url]

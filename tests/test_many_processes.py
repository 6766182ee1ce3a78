"""Two processes write one store and others follow: dense, chained, nothing lost, and no state is seen out of order."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import relgraph
from relgraph.api import verify
from relgraph.tuples import TupleFilter
from tests.serving import program_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_kit import Server

WRITES = 10_000 if os.environ.get("RELGRAPH_LONG") else 200
SCHEMA = """definition number {}
definition counter {
  relation left: number
  relation right: number
  permission both = left + right
}
"""

COUNT = """
import sys
import relgraph
from relgraph.errors import StoreUnavailable
def persistently(write, *arguments, **options):
    # SQLite lets whoever comes first in next, so one may have to wait for very long where another writes on and on.
    while True:
        try:
            return write(*arguments, **options)
        except StoreUnavailable as error:
            if "locked by another writer" not in error.message:
                raise
url, side, writes = sys.argv[1], sys.argv[2], int(sys.argv[3])
with relgraph.open(url) as authorizer:
    # Both begin when the other is there, too.
    sys.stdin.read()
    for number in range(1, writes + 1):
        old = [f"counter:it#{side}@number:{number - 1}"] if number > 1 else []
        new = [f"counter:it#{side}@number:{number}"]
        print(persistently(authorizer.write, delete=old, create=new).revision)
"""


class Counters:
    """What a follower saw last: both numbers only grow, and their sum is the number of writes."""

    def __init__(self) -> None:
        self.left = self.right = self.states = 0

    def see(self, revision: int, sides: dict[str, list[int]]) -> None:
        """Look at one state."""
        assert all(len(numbers) <= 1 for numbers in sides.values()), sides
        left, right = (max(sides.get(side, []), default=0) for side in ("left", "right"))
        assert left + right == revision - 1
        assert left >= self.left
        assert right >= self.right
        self.left, self.right = left, right
        self.states += 1


def read(authorizer: relgraph.Authorizer) -> tuple[int, dict[str, list[int]]]:
    """The numbers as the store has them."""
    page = authorizer.read(TupleFilter("counter"))
    sides: dict[str, list[int]] = {}
    for each in page.tuples:
        sides.setdefault(each.relation, []).append(int(each.subject.id))
    return page.revision, sides


def expanded(authorizer: relgraph.Authorizer) -> tuple[int, dict[str, list[int]]]:
    """The numbers as the graph in memory has them, which follows the store."""
    found = authorizer.expand("counter:it", "both")
    sides: dict[str, list[int]] = {}
    for node in found.nodes:
        for each in node.tuples:
            sides.setdefault(each.relation, []).append(int(each.subject.id))
    return found.revision, sides


def count_together(url: str, folder: Path) -> None:
    """Let two processes write while this one follows, and look at what came of it."""
    with relgraph.open(url) as authorizer, ExitStack() as stack:
        authorizer.write_schema(SCHEMA)
        logs = [folder / side for side in ("left", "right")]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", COUNT, url, log.name, str(WRITES)],
                stdin=subprocess.PIPE,
                stdout=stack.enter_context(log.open("w")),
                text=True,
                env=program_environment(),
            )
            for log in logs
        ]
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        by_graph, by_store = Counters(), Counters()
        while any(process.poll() is None for process in processes):
            by_graph.see(*expanded(authorizer))
            by_store.see(*read(authorizer))
            # Fully consistent: never behind what was seen before, whoever saw it.
            assert by_store.left >= by_graph.left
            assert by_store.right >= by_graph.right
        assert [process.wait() for process in processes] == [0, 0]
        for counters, look in ((by_graph, expanded), (by_store, read)):
            counters.see(*look(authorizer))
            assert (counters.left, counters.right) == (WRITES, WRITES)
            assert counters.states > 10
    written = [[int(line) for line in log.read_text().splitlines()] for log in logs]
    assert all(numbers == sorted(numbers) for numbers in written)
    assert sorted([*written[0], *written[1]]) == list(range(2, 2 * WRITES + 2))
    found = verify(url)
    assert (found.findings, found.head.number) == ((), 2 * WRITES + 1)


def test_two_processes_on_one_file(tmp_path: Path) -> None:
    """On one SQLite file two processes lose nothing of what both write, and a third sees each state in its turn."""
    count_together(f"sqlite:///{tmp_path / 'store.db'}", tmp_path)


def test_two_processes_on_postgres(postgres: Server, tmp_path: Path) -> None:
    """On PostgreSQL two processes lose nothing of what both write, and a third sees each state in its turn."""
    count_together(postgres.url(), tmp_path)

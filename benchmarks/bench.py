"""The benchmark harness: one world of tuples, one table of figures, from one run (`make bench`).

Timings of shared machines drift, so figures of different runs must not be compared: compare rows of one run, as
ratios. Every operation is warmed, then timed call by call over distinct questions; medians and percentiles are shown.
Nothing here is a test, and no test asserts a time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import relgraph
from relgraph.client import Client

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.serving import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = """
use roles
definition user {}
definition group { relation member: user | group#member }
definition resource {
    relation parent: resource
    relation administrator: user | group#member
    relation manager: user | group#member
    relation observer: user | group#member
    permission administer = administrator + parent->administer
    permission manage = manager + administer + parent->manage
    permission observe = observer + manage + parent->observe
    roles administer > manage > observe
}
"""
FAN_OUT = 6
"""Children of one resource in the tree."""


@dataclass(frozen=True, slots=True)
class World:
    """How many of each thing; the tuples follow from the seed."""

    users: int
    groups: int
    resources: int
    seed: int

    def tuples(self) -> Iterator[str]:
        """Yield the tuples: nested groups, users in groups, a tree of resources, roles for groups and users."""
        draw = random.Random(self.seed)
        for group in range(1, self.groups):
            if group % 4:
                yield f"group:g{group}#member@group:g{group - 1}#member"
        for user in range(self.users):
            for group in draw.sample(range(self.groups), 2):
                yield f"group:g{group}#member@user:u{user}"
        for resource in range(1, self.resources):
            yield f"resource:r{resource}#parent@resource:r{resource // FAN_OUT}"
        for resource in range(self.resources):
            role = draw.choice(("administrator", "manager", "observer"))
            yield f"resource:r{resource}#{role}@group:g{draw.randrange(self.groups)}#member"
            yield f"resource:r{resource}#observer@user:u{draw.randrange(self.users)}"

    def pairs(self, count: int) -> list[tuple[str, str]]:
        """Return that many distinct questions."""
        draw = random.Random(self.seed + 1)
        return [
            (f"user:u{draw.randrange(self.users)}", f"resource:r{draw.randrange(self.resources)}") for _ in range(count)
        ]


def timed(name: str, count: int, call: Callable[[int], object]) -> None:
    """Call that often and print a row: calls a second, median and 99th percentile in microseconds."""
    call(0)
    taken = []
    for number in range(count):
        start = time.perf_counter_ns()
        call(number)
        taken.append(time.perf_counter_ns() - start)
    taken.sort()
    median, high = taken[count // 2] / 1000, taken[count * 99 // 100] / 1000
    print(f"{name:<44} {1e9 * count / sum(taken):>10,.0f}/s   p50 {median:>9,.1f} us   p99 {high:>9,.1f} us")


def run(world: World, calls: int, folder: Path) -> None:
    """Print one table for one world."""
    url = f"sqlite:///{folder / 'bench.db'}"
    pairs = world.pairs(calls + 1)
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        start = time.perf_counter()
        loaded = authorizer.load(world.tuples(), on_duplicate="skip")
        seconds = time.perf_counter() - start
        print(f"{loaded.changed:,} tuples imported: {loaded.changed / seconds:,.0f}/s")
        latest = relgraph.Consistency.minimize_latency()
        timed(
            "check, in process, fully consistent",
            calls,
            lambda n: authorizer.check(pairs[n][0], "observe", pairs[n][1]),
        )
        timed(
            "check, in process, minimize_latency",
            calls,
            lambda n: authorizer.check(pairs[n][0], "observe", pairs[n][1], consistency=latest),
        )
        timed("best access, in process, no ways", calls, lambda n: authorizer.best(*pairs[n], ways="none"))
        timed("best access, in process, one way", calls, lambda n: authorizer.best(*pairs[n]))
        timed("best access, in process, all ways", calls // 4, lambda n: authorizer.best(*pairs[n], ways="all"))
        timed(
            "write of one tuple, durable",
            calls // 4,
            lambda n: authorizer.write(touch=[f"resource:n{n}#observer@user:u1"]),
        )
    # Closing the last connection has moved everything from the log into the file.
    print(f"{(folder / 'bench.db').stat().st_size / loaded.changed:.0f} bytes a tuple on disk, names included")
    with program(url) as (address, _), Client(address) as client:
        timed("check, gRPC, one in flight", calls, lambda n: client.check(pairs[n][0], "observe", pairs[n][1]))
        timed("best access, gRPC, no ways", calls, lambda n: client.best(*pairs[n], ways="none"))
        timed(
            "best access of 50 resources, gRPC, no ways",
            calls // 10,
            lambda n: client.best_many(pairs[n][0], [resource for _, resource in pairs[n : n + 50]]),
        )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=20_000, help="resources in the tree (20000)")
    parser.add_argument("--calls", type=int, default=2_000, help="timed calls of each operation (2000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another world (1)")
    chosen = parser.parse_args()
    world = World(
        users=chosen.resources, groups=max(8, chosen.resources // 8), resources=chosen.resources, seed=chosen.seed
    )
    with tempfile.TemporaryDirectory(prefix="relgraph-bench-") as folder:
        run(world, chosen.calls, Path(folder))


if __name__ == "__main__":
    main()

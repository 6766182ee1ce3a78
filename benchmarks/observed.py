"""What being looked at costs a Check: servers with and without metrics and traces, asked in turn, call by call.

The same questions go to each of them, in an order that changes from call to call, so that what else the machine does
meets all alike. Shown are medians of one call, and the server's own processor time a call, each also as a ratio to the
server that nobody looks at. Traces are all kept, and sent to where nobody listens: that is their dearest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import relgraph
from relgraph.client import Client

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.serving import program_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = """
definition user {}
definition group { relation member: user | group#member }
definition resource {
    relation parent: resource
    relation observer: user | group#member
    permission observe = observer + parent->observe
}
"""
FAN_OUT: Final = 6
METRICS: Final = ("--metrics", "127.0.0.1:0")
SERVERS: Final = {"plain": (), "metrics": METRICS, "metrics and traces": (*METRICS, "--traces")}


@contextmanager
def serving(url: str, options: tuple[str, ...]) -> Iterator[tuple[Client, int]]:
    """Serve a store in a process of its own; gives a client of it, and the process's id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relgraph.cli", "serve", "--store", url, "--listen", "127.0.0.1:0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**program_environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
    )
    assert process.stdout is not None
    try:
        with Client(json.loads(process.stdout.readline())["grpc"]) as client:
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def processor_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds, as Linux tells it."""
    user, system = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def tuples(resources: int) -> Iterator[str]:
    """Yield a tree of resources, groups that observe some of them, and users in groups."""
    for number in range(1, resources):
        yield f"resource:r{number}#parent@resource:r{number // FAN_OUT}"
        yield f"group:g{number}#member@user:u{number}"
        if number % FAN_OUT == 0:
            yield f"resource:r{number}#observer@group:g{number // FAN_OUT}#member"


def run(resources: int, calls: int, seed: int, folder: Path) -> None:
    """Print one row a server."""
    url = f"sqlite:///{folder / 'bench.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.load(tuples(resources))
    draw = random.Random(seed)
    pairs = [(f"user:u{draw.randrange(resources)}", f"resource:r{draw.randrange(resources)}") for _ in range(calls)]
    taken: dict[str, list[int]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(url, options)) for name, options in SERVERS.items()}
        names = list(servers)
        for client, _ in servers.values():
            for subject, resource in pairs[: calls // 10]:
                client.check(subject, "observe", resource)
        before = {name: processor_s(pid) for name, (_, pid) in servers.items()}
        for number, (subject, resource) in enumerate(pairs):
            for place in range(len(names)):
                name = names[(place + number) % len(names)]
                start = time.perf_counter_ns()
                servers[name][0].check(subject, "observe", resource)
                taken[name].append(time.perf_counter_ns() - start)
        used = {name: (processor_s(pid) - before[name]) / calls for name, (_, pid) in servers.items()}
    medians = {name: statistics.median(each) / 1000 for name, each in taken.items()}
    for name in names:
        print(
            f"check, gRPC, {name:<20} p50 {medians[name]:>8,.1f} us  x{medians[name] / medians['plain']:.3f}   "
            f"server's processor {used[name] * 1e6:>7,.1f} us  x{used[name] / used['plain']:.3f}"
        )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, default=2_000, help="resources in the tree (2000)")
    parser.add_argument("--calls", type=int, default=5_000, help="timed calls of each server (5000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed asks other questions (1)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relgraph-bench-") as folder:
        run(chosen.resources, chosen.calls, chosen.seed, Path(folder))


if __name__ == "__main__":
    main()

"""Durable writes: one caller, and many at once, beside what this disk takes for a sync in the same run.

    python benchmarks/durable.py [DIRECTORY]

Only ratios within one run count: disks and machines drift.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import relgraph

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = 2_000
WRITERS = 64
SYNCS = 500
SCHEMA = "definition user {}\ndefinition doc { relation viewer: user }"


def _median_us(step: Callable[[int], object], count: int) -> float:
    times = []
    for n in range(count):
        started = time.perf_counter()
        step(n)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def _syncs(directory: Path) -> float:
    """Append one page and sync it, as a commit does at the least."""
    with (directory / "sync").open("wb", buffering=0) as file:

        def step(_: int) -> None:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())

        return _median_us(step, SYNCS)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as name:
        directory = Path(name)
        with relgraph.open(f"sqlite:///{directory / 'store.db'}") as authorizer:
            authorizer.write_schema(SCHEMA)
            sync = _syncs(directory)
            single = _median_us(lambda n: authorizer.write(touch=[f"doc:s{n}#viewer@user:u{n % 50}"]), WRITES)

            def run(writer: int) -> None:
                for n in range(WRITES // WRITERS):
                    authorizer.write(touch=[f"doc:w{writer}x{n}#viewer@user:u{n % 50}"])

            before = authorizer.schema().revision
            threads = [threading.Thread(target=run, args=(writer,)) for writer in range(WRITERS)]
            started = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - started
            count = authorizer.schema().revision - before
        print(f"sync of one page           {sync:10.0f} us")
        print(f"one caller, a write        {single:10.0f} us   {single / sync:6.1f} syncs")
        many = seconds / count * 1e6
        print(f"{WRITERS} callers, a write        {many:10.0f} us   {many / sync:6.2f} syncs")
        print(f"                           {count / seconds:10.0f} writes/s")


if __name__ == "__main__":
    main()

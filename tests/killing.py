"""Processes that are there to be killed: forked from one that has loaded all they need, so they start at once."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from tests.serving import program_environment

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["KILLS", "Forks", "wait_for_lines"]

KILLS = 200 if os.environ.get("RELGRAPH_LONG") else 20

_LOOP = """
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        code = 70
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = work(*json.loads(line)) or 0
        finally:
            os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def wait_for_lines(path: Path, lines: int) -> None:
    """Wait until a file has so many lines: a busy machine may need a while for what is to be seen before a kill."""
    patient_until = time.monotonic() + 60
    while not path.exists() or len(path.read_bytes().splitlines()) < lines:
        assert time.monotonic() < patient_until
        time.sleep(0.002)


class Forks:
    """Runs `work`, a function that `code` defines, in one process after the other. A context manager."""

    def __init__(self, code: str) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", f"import json, os, sys\n{code}\n{_LOOP}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=program_environment(),
        )
        self.pid = 0  # of the process at work, if any

    def start(self, *arguments: object) -> None:
        """Begin the work in a process of its own."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(arguments) + "\n")
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())

    def wait(self) -> int:
        """Wait for the end of the work; return its exit code, below 0 for a signal."""
        assert self._parent.stdout is not None
        code = int(self._parent.stdout.readline())
        self.pid = 0
        return code

    def kill_after(self, seconds: float) -> bool:
        """Kill the process that long from now, unless it ends before by itself, in good order; say whether it did."""
        assert self._parent.stdout is not None
        if not select.select([self._parent.stdout], [], [], seconds)[0]:
            # It stays in the table of processes until its parent tells of its end: the id is still its own.
            os.kill(self.pid, signal.SIGKILL)
        code = self.wait()
        assert code in {0, -signal.SIGKILL}
        return code == 0

    def timed(self, *arguments: object) -> float:
        """Do the work to its end; return how many seconds that took."""
        started = time.monotonic()
        self.start(*arguments)
        assert self.wait() == 0
        return time.monotonic() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self.pid and error is not None:
            # Whoever began it did not come to end it.
            os.kill(self.pid, signal.SIGKILL)
        self._parent.communicate(timeout=60)

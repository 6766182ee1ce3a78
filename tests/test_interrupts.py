"""A program that is interrupted while it writes: its other threads go on, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import relgraph
from tests.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 120

# The main thread leads groups of the others' writes and is interrupted at random instants, as by Ctrl-C.
PROGRAM = """
import random, signal, sys, threading
import relgraph

url, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
authorizer = relgraph.open(url)
authorizer.write_schema("definition user {} definition doc { relation viewer: user }")
over, told, problems = threading.Event(), [], []

def write(name):
    text = f"doc:{name}#viewer@user:anna"
    told.append((authorizer.write(create=[text]).revision, text))

def others(name):
    number = 0
    while not over.is_set():
        try:
            write(f"{name}{number}")
        except relgraph.RelgraphError as error:
            problems.append(repr(error))
            return
        number += 1

threads = [threading.Thread(target=others, args=(name,)) for name in "abc"]
for thread in threads:
    thread.start()
signal.signal(signal.SIGALRM, signal.default_int_handler)
instants, interrupted = random.Random(seed), 0
for number in range(count):
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + instants.random() * 0.003)
            write(f"main{number}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
over.set()
for thread in threads:
    thread.join()
write("last")
living, cursor = set(), ""
while True:
    page = authorizer.read(limit=1000, cursor=cursor)
    living.update(map(str, page.tuples))
    cursor = page.cursor
    if not cursor:
        break
head = authorizer.schema().revision
print(interrupted > 0, {text for _, text in told} <= living, len({number for number, _ in told}) == len(told))
print(head == len(living) + 1, problems)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer that interrupts")
@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("seed", range(5 if os.environ.get("RELGRAPH_LONG") else 1))
def test_interrupts(tmp_path: Path, kind: str, seed: int) -> None:
    """Interrupted hundreds of times, every acknowledged write is there, once, and every thread comes to its end."""
    url = "sqlite://" if kind == "memory" else f"sqlite:///{tmp_path / 'store.db'}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, "300", str(seed)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'server'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ["True True True", "True []"] == done.stdout.splitlines()
    if kind == "file":
        assert () == relgraph.verify(url).findings

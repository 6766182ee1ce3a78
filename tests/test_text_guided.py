"""The readers of texts and files again, by inputs that a fuzzer makes from what the last ones reached in the code."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house import ROOT
from tests.text_targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("atheris", reason="atheris has no wheel here")

LONG = bool(os.environ.get("RELGRAPH_LONG"))


@pytest.mark.parametrize("name", sorted(TARGETS) if LONG else ["all"])
def test_guided_texts_meet_clear_errors(name: str, tmp_path: Path) -> None:
    """Whatever reaches new code is read, or refused by an error of relgraph's own that can be shown."""
    runs = 100_000 if LONG else 3_000
    done = subprocess.run(
        [sys.executable, "-m", "tests.guided", name, str(tmp_path / "fuzz"), f"-runs={runs}", "-timeout=60"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "server")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    assert f"Done {runs} runs" in done.stderr

"""An import through the terminal onto a small file system: it fits, or says that the disk is full and leaves nothing.

The file system is mounted in a namespace of the program's own, so no rights are needed where the system has these.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.serving import program_environment

if TYPE_CHECKING:
    from pathlib import Path

DISK_KIB = 3072

PROGRAM = """
import contextlib, io, json, sys
from pathlib import Path
from relgraph.cli import main
disk = Path(sys.argv[1])
url = f"sqlite:///{disk / 'store.db'}"
def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--store", url, *arguments, "--json"])
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
def file(name, count, width):
    path = Path(sys.argv[2]) / name
    path.write_text("".join(f"report:{name[0]}{n}#viewer@user:{'x' * width}{n}\\n" for n in range(count)))
    return str(path)
schema = Path(sys.argv[2]) / "schema.zed"
schema.write_text("definition user {} definition report { relation viewer: user; permission view = viewer }")
small, large = file("small.txt", 200, 1), file("large.txt", 40_000, 60)
run("schema", "write", str(schema))
run("import", small)
run("import", large, "--request-id", "large")
run("check", "user:x0", "view", "report:s0")
run("check", "user:" + "x" * 60 + "0", "view", "report:l0")
run("import", file("tiny.txt", 100, 1), "--request-id", "tiny")
run("verify")
"""


def test_an_import_onto_a_small_disk(tmp_path: Path) -> None:
    """What does not fit is refused as a whole, with exit code 5 and the reason; reading and smaller imports go on."""
    disk, files = tmp_path / "disk", tmp_path / "files"
    disk.mkdir()
    files.mkdir()
    unshare = shutil.which("unshare")
    mounting = f'mount -t tmpfs -o size={DISK_KIB}k tmpfs "$1" && shift && exec "$@"'
    command = [str(unshare), "--map-root-user", "--mount", "sh", "-c", mounting, "sh", str(disk)]
    if unshare is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system, not even in a namespace of its own")
    program = [sys.executable, "-c", PROGRAM, str(disk), str(files)]
    done = subprocess.run(
        [*command, *program], capture_output=True, text=True, timeout=120, check=False, env=program_environment()
    )
    assert done.returncode == 0, done.stderr
    schema, small, large, there, absent, tiny, sound = (json.loads(line) for line in done.stdout.splitlines())
    assert [schema[0], small[0], tiny[0], sound[0]] == [0, 0, 0, 0]
    code, out, err = large
    told = json.loads(err)
    assert (5, "", "STORE_UNAVAILABLE") == (code, out, told["code"])
    assert "is full; nothing was written, make room and try again" in told["message"]
    assert ["yes", "no"] == [json.loads(out)["verdict"] for _, out, _ in (there, absent)]
    # The one that was refused took no revision.
    assert [2, 3] == [json.loads(out)["revision"] for _, out, _ in (small, tiny)]
    assert [] == list(disk.iterdir())

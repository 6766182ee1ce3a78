"""Completion: what each shell is told when it asks, by click's protocol and in a real bash."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from relgraph.cli import main
from relgraph.cli.app import COMMANDS
from tests import house, readme

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, str]:
    """An environment in which `relgraph` is this checkout's."""
    return readme.shim(tmp_path / "bin", house.ROOT)


def completions(environment: dict[str, str], shell: str, *words: str) -> str:
    """Return what relgraph answers a shell that wants the last of some words completed."""
    line = {
        "bash": {"COMP_WORDS": "relgraph " + " ".join(words), "COMP_CWORD": str(len(words))},
        "zsh": {"COMP_WORDS": "relgraph " + " ".join(words), "COMP_CWORD": str(len(words))},
        "fish": {"COMP_WORDS": "relgraph " + " ".join(words), "COMP_CWORD": words[-1]},
    }[shell]
    variables = {**environment, **line, "_RELGRAPH_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(["relgraph"], env=variables, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_answered(asked: dict[str, str], shell: str) -> None:
    """Each shell learns of commands, options and choices by the beginning of the word."""
    script = subprocess.run(["relgraph", "completion", shell], env=asked, capture_output=True, text=True, check=True)
    assert f"_RELGRAPH_COMPLETE={shell}_complete" in script.stdout
    for words, found, missing in (
        (["gr"], "graph", "check"),
        (["graph", "--or"], "--orphans", "--cycles"),
        (["import", "--on-duplicate", "s"], "skip", "touch"),
        (["schema", "fo"], "format", "lint"),
    ):
        told = completions(asked, shell, *words)
        assert (found in told, missing in told) == (True, False), told


def test_all_commands_are_completed_without_importing_them(asked: dict[str, str]) -> None:
    """Where nothing is written yet, every command is offered, and none of them is imported for it."""
    told = completions(asked, "bash", "''").split()
    assert [f"plain,{name}" for name in sorted(COMMANDS)] == told
    program = "import sys; from relgraph.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    variables = {**asked, "_RELGRAPH_COMPLETE": "bash_complete", "COMP_WORDS": "relgraph ", "COMP_CWORD": "1"}
    done = subprocess.run(["python", "-c", program], env=variables, capture_output=True, text=True, check=False)
    loaded = done.stderr.split()
    assert "relgraph.cli.app" in loaded
    assert [] == [name for name in ("rich", "grpc", "networkx", "relgraph.cli.questions") if name in loaded]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_real_bash_completes(asked: dict[str, str]) -> None:
    """Bash with the script loaded completes a command, an option and a choice, and leaves files to itself."""
    program = """
        eval "$(relgraph completion bash)"
        ask() {
            COMP_WORDS=(relgraph "$@"); COMP_CWORD=$#; COMPREPLY=()
            _relgraph_completion relgraph
            echo "${COMPREPLY[@]}"
        }
        ask doc
        ask check --mini
        ask graph --format s
    """
    done = subprocess.run(["bash", "-c", program], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["doctor", "--minimize-latency", "svg"]


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Another shell's name is bad input."""
    assert main(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err

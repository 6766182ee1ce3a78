"""Runs the code blocks of a Markdown page, as a reader would: top to bottom, in one empty directory; and its links.

    ```python     runs in one namespace, shared by all such blocks; the comment `# → text` after a call at the top
                  level demands that the call prints that text or, printing nothing, has that value
    ```console    each `$ command` runs in a shell; what is shown below it has to be what it prints
    ```sh         each line is a command, with nothing shown
    other words   are shown, not run; a block without a word is refused, since nobody could tell

In what is shown, `…` stands for any text, and a line of `…` alone for any lines. A command that ends in `&` stays in
the background, once it has printed its first line, until the page ends. A command that fails has to show an error, or
be followed by `echo $?`. Commands of `NOT_RUN` set up the checkout that the test already runs in; they are counted as
read, not as run. `<!-- not run: reason -->` above a block leaves that block out. A port on loopback is a free
one when the page runs: its own may be taken.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Block", "Page", "anchors", "blocks", "links", "matches", "prose", "run_page", "shim"]

COMMAND_S_MAX: Final = 60
SHELL_WORDS: Final = frozenset({"bash", "console", "sh", "shell"})
NOT_RUN: Final = re.compile(r"(git clone|make|cd|pip3? install|python3? -m (venv|pip)|source|\.)( |$)")
_PORT: Final = re.compile(r"(?<=\b127\.0\.0\.1:)[1-9]\d{3,4}\b")
_FENCE: Final = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<word>[^\s`]*)[^`]*$")
_LEFT_OUT: Final = re.compile(r"^<!-- not run: .+ -->$")
_EXPECTED: Final = re.compile(r"#\s*→\s*(?P<text>.+?)\s*$")
_SHOWS_ERROR: Final = re.compile(r"\berror\b|\$\?")
_LINK: Final = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (?P<text>.+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its word (`python`, `console`, ...), its text, its first line's number in the page."""

    word: str
    text: str
    line: int
    left_out: bool = False


@dataclass(slots=True)
class Page:
    """A run of a page: how many blocks of python and how many commands ran, and how many outputs were compared."""

    name: str
    directory: Path
    environment: dict[str, str]
    python_blocks: int = 0
    commands: int = 0
    comparisons: int = 0
    namespace: dict[str, object] = field(default_factory=lambda: {"__name__": "readme"})
    servers: list[subprocess.Popen[str]] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text, in order; a fence that is never closed is an error."""
    found: list[Block] = []
    fence, word, start, left_out, above = "", "", 0, False, ""
    body: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        opening = _FENCE.match(line)
        if not fence and opening:
            fence, word, start, left_out, body = (
                opening["fence"],
                opening["word"],
                number + 1,
                bool(_LEFT_OUT.match(above)),
                [],
            )
        elif fence and line.rstrip() == fence:
            found.append(Block(word, "\n".join(body), start, left_out))
            fence = ""
        elif fence:
            body.append(line)
        above = line.strip() or above
    assert not fence, f"line {start - 1}: this block is never closed"
    return found


def matches(shown: str, printed: str) -> bool:
    """Tell whether `printed` is what is `shown`, where `…` stands for any text and a line of it for any lines."""
    pattern = ""
    for line in shown.strip("\n").splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("…")) + "\n"
    lines = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, lines) is not None


def prose(text: str) -> list[str]:
    """Return the lines of a page without its blocks."""
    hidden = {
        number for block in blocks(text) for number in range(block.line, block.line + len(block.text.splitlines()))
    }
    return [line for number, line in enumerate(text.splitlines(), start=1) if number not in hidden]


def links(text: str) -> list[str]:
    """Return where the links and pictures of a page lead, in order."""
    return [found["target"] for line in prose(text) for found in _LINK.finditer(line)]


def anchors(text: str) -> set[str]:
    """Return the names by which a page's headings are linked to: lower case, hyphens for blanks, nothing else kept."""
    headings = [found["text"] for line in prose(text) if (found := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run_page(text: str, directory: Path, environment: dict[str, str], name: str = "README.md") -> Page:
    """Run all blocks of a page in `directory`, which is also where the caller has to stand; raise AssertionError where
    the page, which a message calls by its `name`, is not true.
    """
    page = Page(name, directory, environment)
    ports = {port: _free_port() for port in set(_PORT.findall(text))}
    text = _PORT.sub(lambda found: ports[found[0]], text)
    try:
        for block in blocks(text):
            assert block.word, f"line {block.line - 1}: a block without a word; write ```console, ```python or ```text"
            if block.left_out:
                continue
            if block.word == "python":
                _run_python(page, block)
            elif block.word in SHELL_WORDS:
                _run_commands(page, block)
    finally:
        for server in page.servers:
            _end(server)
    return page


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


# --- python -----------------------------------------------------------------------------------------------------------


def _run_python(page: Page, block: Block) -> None:
    """Run the block statement by statement, so that a comment can be held against what its own statement did."""
    page.python_blocks += 1
    lines = block.text.splitlines()
    for statement in ast.parse(block.text).body:
        ast.increment_lineno(statement, block.line - 1)
        assert statement.end_lineno is not None
        where = f"{page.name}, line {statement.lineno}"
        expected = _EXPECTED.search(lines[statement.end_lineno - block.line])
        output = io.StringIO()
        value: object = None
        with contextlib.redirect_stdout(output):
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), where, "eval"), page.namespace)
            else:
                exec(compile(ast.Module([statement], []), where, "exec"), page.namespace)
        if expected:
            page.comparisons += 1
            printed = output.getvalue() or repr(value)
            assert matches(expected["text"], printed), f"{where}: shows {expected['text']}, but is {printed}"


# --- commands ---------------------------------------------------------------------------------------------------------


def _run_commands(page: Page, block: Block) -> None:
    """Run the block's commands in turn, each seeing the exit status of the one before."""
    status = 0
    steps = _steps(block)
    for index, (line, command, shown) in enumerate(steps):
        where = f"{page.name}, line {line}: $ {command}"
        if NOT_RUN.match(command):
            continue
        page.commands += 1
        if command.endswith("&"):
            _start(page, command, shown, where)
            continue
        script = f"(exit {status})\n{command}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=page.directory,
            env=page.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=COMMAND_S_MAX,
            check=False,
        )
        status = done.returncode
        told = _SHOWS_ERROR.search(shown) or (index + 1 < len(steps) and "$?" in steps[index + 1][1])
        assert status == 0 or told, f"{where}\nfailed with {status}:\n{done.stdout}"
        _compare(page, shown, done.stdout, where)


def _steps(block: Block) -> list[tuple[int, str, str]]:
    """Return (line, command, what is shown below it) for each command; a backslash continues a command."""
    steps: list[tuple[int, str, str]] = []
    lines = list(enumerate(block.text.splitlines(), start=block.line))
    while lines:
        number, line = lines.pop(0)
        is_command = line.startswith("$ ") if block.word == "console" else bool(line.strip()) and line[0] != "#"
        if is_command:
            command = line.removeprefix("$ ")
            while command.endswith("\\") and lines:
                command = command[:-1] + lines.pop(0)[1].removeprefix(">").strip()
            steps.append((number, command.strip(), ""))
        elif steps:
            steps[-1] = (*steps[-1][:2], steps[-1][2] + line + "\n")
    return steps


def _start(page: Page, command: str, shown: str, where: str) -> None:
    """Start a command in a process group of its own and wait until it has printed its first line."""
    server = subprocess.Popen(
        ["bash", "-c", command.removesuffix("&")],
        cwd=page.directory,
        env=page.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    page.servers.append(server)
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], COMMAND_S_MAX)
    assert ready, f"{where}\nprinted nothing in {COMMAND_S_MAX} s"
    printed = server.stdout.readline()
    assert printed, f"{where}\nended at once with {server.wait()}"
    _compare(page, shown, printed, where)


def _end(server: subprocess.Popen[str]) -> None:
    """End a background command and all that it started, politely first."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    if server.stdout:
        server.stdout.close()


def _compare(page: Page, shown: str, printed: str, where: str) -> None:
    if shown.strip():
        page.comparisons += 1
        assert matches(shown, printed), f"{where}\nshows:\n{shown}\nbut prints:\n{printed}"


def shim(directory: Path, root: Path) -> dict[str, str]:
    """Make `directory` with a `relgraph` that runs the checkout at `root`, and return an environment that finds it."""
    program = "import sys; sys.argv[0] = 'relgraph'; from relgraph.cli import main; sys.exit(main())"
    directory.mkdir()
    script = directory / "relgraph"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELGRAPH_")}
    return kept | {
        "PATH": os.pathsep.join([str(directory), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "server")]),
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }

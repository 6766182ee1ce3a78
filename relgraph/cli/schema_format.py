"""Laying out the text of schema files: schema format."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from relgraph.cli.exits import FOUND, OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import counted, print_json, print_lines, printable
from relgraph.cli.schema_files import STDIN, shown_name, text_of
from relgraph.errors import InvalidFile, InvalidInput, quoted
from relgraph.schema.formatter import formatted
from relgraph.schema.source import Source

__all__ = ["format_command"]


@click.command("format", short_help="Lay out schema files.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
@click.option("--check", is_flag=True, help="Name the files that would change; exit code 1 if there are any.")
@click.option("--write", is_flag=True, help="Change the files instead of printing the text.")
@common_options
@pass_terminal
def format_command(terminal: Terminal, files: tuple[str, ...], check: bool, write: bool) -> int:
    """Print the text of FILE in its canonical layout; comments, order and parentheses stay as they are.

    A file that others import is laid out by itself. With --write no file is changed unless all of them can be read.
    """
    _refuse(terminal, files, check=check, write=write)
    texts = {file: text_of(file) for file in files}
    found = {file: formatted(Source(text, shown_name(file))) for file, text in texts.items()}
    changed = [file for file in texts if texts[file] != found[file]]
    for file in changed if write else ():
        _replace(Path(file), found[file])
    if terminal.json:
        for file, text in found.items():
            shape: dict[str, object] = {"file": file, "changed": file in changed}
            print_json(shape if check or write else {**shape, "text": text})
    elif check or write:
        print_lines(changed)
        print_lines([f"{counted(len(changed), 'file')} {'changed' if write else 'to be changed'}"])
    else:
        # A terminal must not be steered by a comment; a file gets the text character for character.
        text = found[files[0]]
        sys.stdout.write(printable(text, keep="\n\t") if sys.stdout.isatty() else text)
    return FOUND if check and changed else OK


def _refuse(terminal: Terminal, files: tuple[str, ...], *, check: bool, write: bool) -> None:
    """Raise InvalidInput for what cannot be done, or would have to be ignored."""
    if terminal.store or terminal.server:
        raise InvalidInput("a layout concerns files alone; leave --store and --server out")
    if check and write:
        raise InvalidInput("--check and --write contradict each other; keep one")
    if write and STDIN in files:
        raise InvalidInput("standard input cannot be changed; leave --write out, or name files")
    if len(files) > 1 and not (check or write or terminal.json):
        raise InvalidInput("the texts of several files would run together; name one file, or give --write or --check")


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file's, all at once. Raises InvalidFile where that cannot be done."""
    new = ""
    try:
        target = path.resolve(strict=True)
        handle, new = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        shutil.copymode(target, new)
        Path(new).replace(target)
    except OSError as error:
        if new:
            Path(new).unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise InvalidFile(
            f"{quoted(str(path), 200)} cannot be written: {reason}; files before it were changed, it and those "
            "after it were not",
            {"file": str(path)},
        ) from error

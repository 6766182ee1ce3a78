"""The help is complete, and the docs' table of commands says what the help says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from relgraph.cli.app import cli
from tests import house

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(group: click.Group = cli, above: click.Context | None = None) -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the terminal with its usage, without `[OPTIONS]`; groups as their commands."""
    context = click.Context(group, info_name="relgraph" if above is None else group.name, parent=above)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, context)
        else:
            inner = click.Context(command, info_name=name, parent=context)
            pieces = [piece for piece in command.collect_usage_pieces(inner) if piece != "[OPTIONS]"]
            yield " ".join([inner.command_path.removeprefix("relgraph "), *pieces]), command


def table() -> list[str]:
    """Return the table of commands as docs/terminal.md has it: the usage, and the sentence of the list of commands."""
    rows = []
    for usage, command in commands():
        # A bar would begin the next cell.
        cell = usage.replace("|", r"\|")
        rows.append(f"| `{cell}` | {command.get_short_help_str(limit=200)} |")
    return ["| Command | |", "| --- | --- |", *rows]


def test_the_page_has_the_table_of_commands() -> None:
    """docs/terminal.md holds the table of commands as the help tells it, row by row; a failure shows it."""
    text = (house.ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")
    found = re.search(r"^\| Command \| \|\n(?:\|.*\n)+", text, re.MULTILINE)
    assert found, "docs/terminal.md has no table of commands; put it there:\n" + "\n".join(table())
    assert found[0].splitlines() == table(), "\n" + "\n".join(table())


def test_every_command_and_option_is_explained() -> None:
    """Every command has a sentence and a text, and every option a help."""
    unexplained = []
    for usage, command in commands():
        if not command.help or not command.get_short_help_str(limit=200).endswith((".", "?")):
            unexplained.append(usage)
        unexplained += [
            f"{usage}: {each.name}"
            for each in command.params
            if isinstance(each, click.Option) and not (each.help or "").strip()
        ]
    assert [] == unexplained

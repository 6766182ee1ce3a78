"""Completion for shells: completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from relgraph.cli.exits import OK
from relgraph.cli.options import common_options

__all__ = ["completion"]

_VARIABLE = "_RELGRAPH_COMPLETE"
"""What the script sets when it asks `relgraph` for completions; click reads it by this name."""


@click.command(short_help="Print what makes a shell complete commands and options.")
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script for SHELL that completes commands, options, choices and files.

    bash: put `eval "$(relgraph completion bash)"` into ~/.bashrc. zsh: the same with zsh, into ~/.zshrc, behind
    compinit. fish: `relgraph completion fish > ~/.config/fish/completions/relgraph.fish`.
    """
    made = get_completion_class(shell)
    assert made is not None  # click has all three
    click.echo(made(context.find_root().command, {}, "relgraph", _VARIABLE).source())
    return OK

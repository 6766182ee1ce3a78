"""The group of commands, and the one place where errors become messages and exit codes.

Rule 1: a command is one line in COMMANDS; its module is imported when it is called (or listed in the help).
Rule 2: nothing but an answer ends with exit code 1: a fault of relgraph itself is 5, with its traceback.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from relgraph.cli.exits import BAD_INPUT, INTERRUPTED, OK, PIPE_CLOSED, UNAVAILABLE, exit_of
from relgraph.cli.options import access_options, common_options
from relgraph.cli.output import printable
from relgraph.errors import RelgraphError, did_you_mean, quoted, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "cli", "run"]

COMMANDS: dict[str, tuple[str, str]] = {
    "backup": ("relgraph.cli.upkeep", "backup"),
    "audit": ("relgraph.cli.audits", "audit"),
    "best": ("relgraph.cli.questions", "best"),
    "check": ("relgraph.cli.questions", "check"),
    "collect": ("relgraph.cli.histories", "collect"),
    "completion": ("relgraph.cli.completing", "completion"),
    "delete": ("relgraph.cli.writes", "delete"),
    "demo": ("relgraph.cli.demo", "demo"),
    "doctor": ("relgraph.cli.doctor", "doctor"),
    "expand": ("relgraph.cli.questions", "expand"),
    "export": ("relgraph.cli.watching", "export"),
    "graph": ("relgraph.cli.graphs", "graph"),
    "import": ("relgraph.cli.writes", "import_"),
    "key": ("relgraph.cli.keys", "key"),
    "log": ("relgraph.cli.histories", "log"),
    "migrate": ("relgraph.cli.moving", "migrate"),
    "permissions": ("relgraph.cli.lookups", "permissions"),
    "read": ("relgraph.cli.reads", "read"),
    "restore": ("relgraph.cli.upkeep", "restore"),
    "schema": ("relgraph.cli.schemas", "schema"),
    "serve": ("relgraph.cli.serving", "serve"),
    "test": ("relgraph.cli.testing", "test"),
    "verify": ("relgraph.cli.upkeep", "verify"),
    "watch": ("relgraph.cli.watching", "watch"),
    "what": ("relgraph.cli.lookups", "what"),
    "who": ("relgraph.cli.lookups", "who"),
    "write": ("relgraph.cli.writes", "write"),
}
"""Each command's name, with the module and the name that it is found under."""


_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Why standard output fails; what a file of relgraph's own fails by is told where it is written."""


class _PipeClosed(Exception):
    """Whoever read standard output has stopped reading."""


class _Commands(click.Group):
    """A group whose commands are found in COMMANDS, when they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, for the help."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name, None when there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name]
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with. Raises UsageError with the closest name."""
        if not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(f"{quoted(args[0])} is not a command{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name, without importing all commands for their help."""
        names = [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a closed pipe is told apart here, before click turns it into exit code 1."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _PipeClosed from None
        return result


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="relgraph", message="%(prog)s %(version)s")
@access_options
@common_options
def cli() -> None:
    """Ask and tell who may do what, with --store URL in a file or with --server HOST:PORT over the network.

    Exit codes: 0 ok; 1 denied (with --exit-code), or a difference, finding or problem; 2 usage or bad input;
    3 conditional (with --exit-code) or undecided; 4 a claim did not hold (demo, test), or a store is not sound
    (verify); 5 server, store or a limit.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; messages go to standard error, as JSON with `--json`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets an escape, not a crash in the middle of an answer.
            stream.reconfigure(errors="backslashreplace")
    as_json = "--json" in arguments
    try:
        code = cli.main(args=arguments or ["--help"], prog_name="relgraph", standalone_mode=False)
    except RelgraphError as error:
        _complain(error.code, error.message, error.details, as_json=as_json)
        return exit_of(error)
    except click.ClickException as error:
        _complain("USAGE", _usage(error), {}, as_json=as_json)
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        _complain("INTERRUPTED", "interrupted; what was not acknowledged was not written", {}, as_json=as_json)
        return INTERRUPTED
    except _PipeClosed:
        _forget_output()
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001  (the outermost frame: exit code 1 would mean "denied")
        if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
            _forget_output()
            message = f"the output is not whole: {error.strerror}; make room where it goes (a change made stays made)"
            _complain("OUTPUT_FAILED", message, {}, as_json=as_json)
            return UNAVAILABLE
        sys.stderr.write(redacted(traceback.format_exc()))
        _complain("INTERNAL", f"a fault in relgraph itself: {error!r}; please report it", {}, as_json=as_json)
        return UNAVAILABLE
    return code if isinstance(code, int) else OK


def _forget_output() -> None:
    """Lead what is still to be printed nowhere: the interpreter flushes it at its end, and must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: click.ClickException) -> str:
    """Return click's message in relgraph's form, with the help to turn to."""
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    if not message.endswith("?"):
        message += ";"
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} see `{context.command_path if context else 'relgraph'} --help`"


def _complain(code: str, message: str, details: Mapping[str, str], *, as_json: bool) -> None:
    message = redacted(message)
    if as_json:
        shown = {name: redacted(value) for name, value in details.items()}
        line = json.dumps({"code": code, "message": message, "details": shown})
    else:
        line = f"relgraph: error: {printable(message, keep=chr(10))}"
    sys.stderr.write(line + "\n")

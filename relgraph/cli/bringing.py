"""What a question brings along, as options: values for caveats, and tuples that count for it alone."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar

import click

from relgraph.contexts import Context
from relgraph.errors import InvalidContext, InvalidFile, InvalidInput, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bringing_options", "contextual_option"]

R = TypeVar("R")

_FILE_BYTES_MAX: Final = 1 << 20
"""What is read of a file of values, before the limit on a question's context is looked at."""


contextual_option = click.option(
    "--contextual",
    metavar="TUPLE",
    multiple=True,
    help="A tuple that counts beside the stored ones, for this question only; once for each.",
)
"""Gives a command `--contextual`, as its `contextual`."""


def bringing_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--context`, `--context-file` and `--contextual`, as its `context` and `contextual`.

    The context is None without any. Raises InvalidInput for both forms of it, InvalidContext or InvalidFile for one
    that cannot be read.
    """

    @wraps(command)
    def asked(*arguments: object, context_text: str | None, context_file: str | None, **others: object) -> R:
        return command(*arguments, context=_context(context_text, context_file), **others)

    for option in (
        contextual_option,
        click.option(
            "--context-file", metavar="FILE", help="The values of --context, in a file; `-` is the standard input."
        ),
        click.option(
            "--context",
            "context_text",
            metavar="JSON",
            help='Values for the parameters of caveats, as in {"limit": 1000}.',
        ),
    ):
        asked = option(asked)
    return asked


def _context(text: str | None, file: str | None) -> Context | None:
    if text is not None and file is not None:
        raise InvalidInput("--context and --context-file are two forms of one thing; keep one")
    if text is not None:
        return Context.parse(text)
    return None if file is None else Context.parse(_read(file))


def _read(file: str) -> str:
    try:
        with click.open_file(file, "rb") as source:
            data: bytes = source.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or "no such path").lower()
        raise InvalidFile(f"the file {quoted(file)} cannot be read: {reason}; name another") from None
    if len(data) > _FILE_BYTES_MAX:
        raise InvalidContext(f"the file {quoted(file)} holds more than {_FILE_BYTES_MAX} bytes; bring fewer values")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidFile(f"the file {quoted(file)} is not UTF-8; save it as that") from None

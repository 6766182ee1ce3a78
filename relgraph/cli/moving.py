"""What moves a whole store: migrate, from one to another, or from SpiceDB and back."""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import migrated_json, migrated_text, moved_json, moved_text, print_json, print_lines
from relgraph.cli.target import open_bare, require_file
from relgraph.errors import InvalidInput, InvalidSetting, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.spicedb import Moved

__all__ = ["migrate"]

_SPICEDB: Final = "spicedb://"
_LINES: Final = {
    "followed": "followed up to revision {done:,}",
    "comparing": "comparing both",
    "read": "read {done:,} tuples",
    "sent": "sent {done:,} tuples",
    "writing": "writing {done:,} tuples",
}


@click.command(short_help="Copy a store into another one, or from SpiceDB and back.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@common_options
@pass_terminal
def migrate(terminal: Terminal, source: str, target: str) -> int:
    """Copy all that the store FROM keeps into TO: schemas, tuples and history, with the same revisions.

    Both are URLs, as in sqlite:///access.db. TO is empty or new, or holds what an earlier migration from FROM copied:
    then this one goes on with it. FROM may be written meanwhile. TO opens when both were compared; it has an identity
    of its own, so tokens of FROM are refused there.

    Either may be a SpiceDB, as in spicedb://HOST:PORT?token=KEY (or token_file=FILE, to keep the key out of the list of
    processes) with `&tls`, `&tls_ca=FILE` or `&insecure`. Then the schema and the tuples of one revision are copied,
    without history, in one transaction into what is empty; run it again if it was interrupted.
    """
    if terminal.store or terminal.server:
        raise InvalidInput("migrate names both stores by itself; take --store and --server away")
    if source.startswith(_SPICEDB) or target.startswith(_SPICEDB):
        return _across(terminal, source, target)
    from relgraph.store.migration import migrate as move  # noqa: PLC0415  (no other command needs it)

    started = time.monotonic()
    with (
        closing(open_bare(source)) as ours,
        closing(open_bare(target, creates=True)) as theirs,
        _progress(shown=not terminal.json) as told,
    ):
        migrated = move(ours, theirs, told=told)
    seconds = time.monotonic() - started
    if terminal.json:
        print_json(migrated_json(migrated, seconds))
    else:
        print_lines(migrated_text(migrated, seconds))
    return OK


def _across(terminal: Terminal, source: str, target: str) -> int:
    """Move between SpiceDB and a store of ours."""
    if source.startswith(_SPICEDB) and target.startswith(_SPICEDB):
        raise InvalidSetting("one of the two has to be a store of relgraph, as in `sqlite:///access.db`")
    started = time.monotonic()
    with _progress(shown=not terminal.json) as told:
        moved = _moved(source, target, told)
    seconds = time.monotonic() - started
    if terminal.json:
        print_json(moved_json(moved, seconds))
    else:
        print_lines(moved_text(moved, seconds))
    return OK


def _moved(source: str, target: str, told: Callable[[str, int], None]) -> Moved:
    try:
        from relgraph.spicedb import Address, bring, send  # noqa: PLC0415  (needs an extra)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("relgraph"):
            raise
        raise InvalidSetting(
            f"{quoted(_SPICEDB)} needs {quoted(error.name.partition('.')[0])}, which is not installed; run "
            "`pip install 'relgraph[authzed]'`"
        ) from error
    if source.startswith(_SPICEDB):
        address = Address.parse(source)
        require_file(target, may_be_new=True)
        return bring(address, target, told=told)
    address = Address.parse(target)
    require_file(source, may_be_new=False)
    return send(source, address, told=told)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[str, int], None]]:
    """Say on standard error how far it has come: on a terminal a line that moves, else a line for each call."""
    moving = sys.stderr.isatty()

    def told(what: str, done: int) -> None:
        if shown:
            line = _LINES.get(what, "copied {done:,} {what}").format(what=what, done=done)
            sys.stderr.write(f"\r\x1b[K{line}" if moving else f"{line}\n")
            sys.stderr.flush()

    try:
        yield told
    finally:
        if shown and moving:
            sys.stderr.write("\n")

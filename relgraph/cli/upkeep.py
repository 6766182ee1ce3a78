"""Looking after a store: backup, restore and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK, TEST_FAILED
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import print_json, print_lines
from relgraph.errors import InvalidSetting

if TYPE_CHECKING:
    from relgraph.store.upkeep import Backup

__all__ = ["backup", "restore", "verify"]


@click.command(short_help="Copy a store into a new file, while it is written.")
@click.argument("arguments", nargs=-1, required=True, metavar="[STORE_URL] FILE")
@common_options
@pass_terminal
def backup(terminal: Terminal, arguments: tuple[str, ...]) -> int:
    """Copy a store into the new FILE, as it is at this moment, while others write on.

    The store is named first, or by --store. FILE is verified and on the disk when this ends; it is one plain file, to
    be kept elsewhere.
    """
    url, file = _url_and_file(terminal, arguments, url_first=True)
    from relgraph.api import backup as back_up  # noqa: PLC0415  (the engine is slow to import)

    _tell(terminal, back_up(url, file), "backed up")
    return OK


@click.command(short_help="Make a store of a backup.")
@click.argument("arguments", nargs=-1, required=True, metavar="FILE [STORE_URL]")
@click.option("--replace", is_flag=True, help="In the place of a store that nobody has open: what it holds is lost.")
@common_options
@pass_terminal
def restore(terminal: Terminal, arguments: tuple[str, ...], replace: bool) -> int:
    """Make a store of the backup FILE.

    The store is named last, or by --store. It begins a new epoch: tokens and cursors of before are refused.
    """
    url, file = _url_and_file(terminal, arguments, url_first=False)
    from relgraph.api import restore as restored  # noqa: PLC0415  (the engine is slow to import)

    _tell(terminal, restored(file, url, replace=replace), "restored")
    return OK


@click.command(short_help="Look for damage in a store.")
@click.argument("url", required=False, metavar="[STORE_URL]")
@common_options
@pass_terminal
def verify(terminal: Terminal, url: str | None) -> int:
    """Look at all that a store holds: its chain of revisions, references, counts, and on SQLite its pages and indexes.

    Ends with 4 when anything is wrong, which is listed.
    """
    url = _store_url(terminal, url)
    from relgraph.api import verify as verified  # noqa: PLC0415  (the engine is slow to import)

    found = verified(url)
    for check in found.checks:
        if terminal.json:
            print_json({"check": check.what, "count": check.count, "findings": list(check.findings)})
        else:
            print_lines([f"{check.what:<10} {check.count:>12,}", *(f"  {finding}" for finding in check.findings)])
    count = len(found.findings)
    if not terminal.json:
        sound = f"{count} finding{'s' * (count > 1)}" if count else "sound"
        print_lines([f"{sound} (revision {found.head.number})"])
    return TEST_FAILED if count else OK


def _url_and_file(terminal: Terminal, arguments: tuple[str, ...], *, url_first: bool) -> tuple[str, str]:
    if len(arguments) > 2:
        raise InvalidSetting(f"{len(arguments)} arguments are too many; name one store and one file")
    if len(arguments) == 1:
        return _store_url(terminal, None), arguments[0]
    first, second = arguments
    url, file = (first, second) if url_first else (second, first)
    return _store_url(terminal, url), file


def _store_url(terminal: Terminal, url: str | None) -> str:
    """Return the store to work on: named here, or by an option or the environment."""
    if url is not None:
        if terminal.store or terminal.server:
            raise InvalidSetting("the store was named twice; keep the argument or the option")
        return url
    target = terminal.target()
    if target.store is None:
        raise InvalidSetting("this works on a store, not on its server; run it where the store is, with --store URL")
    return target.store


def _tell(terminal: Terminal, made: Backup, done: str) -> None:
    if terminal.json:
        print_json({"file": str(made.path), "revision": made.head.number, "epoch": made.epoch, "size": made.size})
    else:
        print_lines([f"{done} to {made.path}, revision {made.head.number}, {made.size:,} bytes"])

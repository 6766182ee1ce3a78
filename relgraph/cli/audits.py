"""The audit log of a server: audit verify."""

from __future__ import annotations

from pathlib import Path

import click

from relgraph.cli.exits import OK, TEST_FAILED
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import print_json, print_lines

__all__ = ["audit", "verify"]


@click.group(short_help="Look after the audit log of a server.")
def audit() -> None:
    """Look after the log that `relgraph serve --audit FILE` writes: one JSON line for every write and refusal."""


@audit.command(short_help="Find what was changed, taken out or moved in an audit log.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--head", metavar="HASH", help="The hash of an entry that has to be there, noted earlier and elsewhere.")
@click.option("--count", type=click.IntRange(min=0), help="How many entries there have to be at least.")
@common_options
@pass_terminal
def verify(terminal: Terminal, file: Path, head: str | None, count: int | None) -> int:
    """Look at every line of the log FILE, by the hashes that chain them; ends with 4 when anything is wrong.

    It prints how many entries there are and the last one's hash. Note them elsewhere: without --head or --count nobody
    can tell a log whose end was cut off, or that was written anew as a whole, from one that is true.
    """
    terminal.refuse_place()
    from relgraph_server.auditing import verify_audit  # noqa: PLC0415  (not needed by other commands)

    found = verify_audit(file, head=head, count=count)
    if terminal.json:
        print_json({"entries": found.count, "head": found.head, "sealed": found.sealed, "findings": found.findings})
    else:
        print_lines(found.findings)
        sealed = f", {found.sealed} torn and sealed" if found.sealed else ""
        state = "sound" if not found.findings else f"{len(found.findings)} finding{'s' * (len(found.findings) > 1)}"
        print_lines([f"{found.count} entries{sealed}, head {found.head}", state])
    return TEST_FAILED if found.findings else OK

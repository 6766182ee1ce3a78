"""The keys of a server, in their file: key create, key list, key revoke."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.cli.output import counted, print_json, print_lines
from relgraph.cli.spans import span_of
from relgraph.errors import InvalidSetting
from relgraph.instants import instant_text, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph_server.keys import Key

__all__ = ["create", "key", "list_", "revoke"]


@click.group(short_help="Make, list and revoke the keys of a server.")
def key() -> None:
    """Make, list and revoke the keys that `relgraph serve --keys FILE` lets in; a running server follows at once.

    The file holds a hash of each key's secret, and the secret nowhere. It is read and written by its owner alone.
    """


def _file_option(command: Callable[..., int]) -> Callable[..., int]:
    return click.option("--keys", metavar="FILE", help="The file of keys (RELGRAPH_KEYS).")(command)


def _path(given: str | None) -> Path:
    path = given or os.environ.get("RELGRAPH_KEYS")
    if not path:
        raise InvalidSetting("no file of keys is named; give --keys FILE, or set RELGRAPH_KEYS")
    return Path(path)


@key.command(short_help="Make a key and show its secret, this once.")
@click.argument("name")
@click.option(
    "--scopes",
    required=True,
    metavar="SCOPES",
    help="What it opens, by commas: check, list, explain, history, contextual, read, write, schema; admin is all.",
)
@click.option(
    "--actor",
    default="optional",
    metavar="POLICY",
    help="Whether its writes name an actor, whose rights are judged: required, optional (the default) or forbidden.",
)
@click.option("--expires", metavar="TIME", help="Until when: 2027-01-31T12:00:00Z, or from now as in 90d.")
@_file_option
@common_options
@pass_terminal
def create(terminal: Terminal, name: str, scopes: str, actor: str, expires: str | None, keys: str | None) -> int:
    """Make a key called NAME, and print its secret: nothing else ever shows it again.

    NAME stands in the history and the audit log with all that is written by it, and is never given to another key.
    """
    terminal.refuse_place()
    from relgraph_server.keyfile import create_key  # noqa: PLC0415  (not needed by other commands)
    from relgraph_server.keys import new_key  # noqa: PLC0415

    now = datetime.now(UTC)
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    made, secret = new_key(name, wanted, actor, now=now, expires=None if expires is None else _until(expires, now))
    create_key(_path(keys), made)
    if terminal.json:
        print_json({**_shape(made), "secret": secret})
    else:
        print_lines([secret])
    return OK


def _until(text: str, now: datetime) -> datetime:
    if text[-1:] in "smhd" and text[:-1].isdigit():
        span: timedelta = span_of(text)
        return now + span
    return parse_moment(text)


@key.command("list", short_help="List the keys, those that were revoked too.")
@_file_option
@common_options
@pass_terminal
def list_(terminal: Terminal, keys: str | None) -> int:
    """List the keys of a file: what each opens, until when, and which were revoked. No secret is in there."""
    terminal.refuse_place()
    from relgraph_server.keyfile import read_keys  # noqa: PLC0415  (not needed by other commands)

    found = read_keys(_path(keys))
    for each in found:
        if terminal.json:
            print_json(_shape(each))
        else:
            print_lines([_text(each)])
    if not terminal.json:
        print_lines([counted(len(found), "key")])
    return OK


@key.command(short_help="Revoke a key for good.")
@click.argument("name")
@_file_option
@common_options
@pass_terminal
def revoke(terminal: Terminal, name: str, keys: str | None) -> int:
    """Revoke the key called NAME: a running server refuses it from its next call on."""
    terminal.refuse_place()
    from relgraph_server.keyfile import revoke_key  # noqa: PLC0415  (not needed by other commands)

    revoked = revoke_key(_path(keys), name, datetime.now(UTC))
    if terminal.json:
        print_json(_shape(revoked))
    else:
        print_lines([_text(revoked)])
    return OK


def _shape(each: Key) -> dict[str, object]:
    return {
        "name": each.name,
        "scopes": sorted(each.scopes),
        "actor": each.actor,
        "created": instant_text(each.created),
        "expires": None if each.expires is None else instant_text(each.expires),
        "revoked": None if each.revoked is None else instant_text(each.revoked),
    }


def _text(each: Key) -> str:
    told = [each.name, ",".join(sorted(each.scopes)), f"actor {each.actor}"]
    if each.expires is not None:
        told.append(f"expires {instant_text(each.expires)}")
    if each.revoked is not None:
        told.append(f"revoked {instant_text(each.revoked)}")
    return "  ".join(told)

"""The server: serve."""

from __future__ import annotations

import os

import click

from relgraph.cli.exits import OK
from relgraph.cli.options import Terminal, common_options, pass_terminal
from relgraph.errors import InvalidInput, InvalidSetting, quoted

__all__ = ["serve"]


@click.command(short_help="Serve a store over gRPC.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to listen; 127.0.0.1:50051 by default, port 0 is a free one."
)
@click.option("--dialects", metavar="NAMES", help="all, or some of relgraph.v1,authzed.api.v1.")
# The default is None, so that a flag that was not given leaves the choice to the environment and the file.
@click.option("--insecure", is_flag=True, default=None, help="Allow a public address without both keys and TLS.")
@click.option("--keys", metavar="FILE", help="Let in only who shows one of these keys; see `relgraph key`.")
@click.option("--tls-cert", metavar="FILE", help="Serve by TLS, with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The certificate's private key (PEM).")
@click.option("--tls-client-ca", metavar="FILE", help="Ask clients for a certificate from this authority (PEM).")
@click.option("--audit", metavar="FILE", help="Record every write and refusal there; see `relgraph audit`.")
@click.option("--reflection", is_flag=True, default=None, help="Tell methods and messages on a public address too.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve /metrics, /livez and /readyz there, by plain HTTP.")
@click.option("--traces", is_flag=True, default=None, help="Send OpenTelemetry traces to where OTEL_* variables say.")
@click.option("--trace-ids", is_flag=True, default=None, help="Name subjects and resources in traces.")
@click.option("--log-format", metavar="FORMAT", help="text or json: lines of the log on stderr.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
@click.option("--slow-call-ms", type=int, help="Tell calls that took so long in the log; 1000 by default.")
@click.option("--config", metavar="FILE", help="A TOML file of settings (RELGRAPH_CONFIG).")
@common_options
@pass_terminal
def serve(terminal: Terminal, /, config: str | None, **flags: str | int | bool | None) -> int:
    """Serve the store over gRPC until SIGTERM or Ctrl-C; a store that does not exist is made.

    Prints one line of JSON when ready, such as {"grpc": "127.0.0.1:50051"}. Settings are taken from the options, then
    from RELGRAPH_* in the environment, then from the file.
    """
    if terminal.server:
        raise InvalidInput("a server serves a store and asks no other server; take --server away")
    if terminal.access:
        raise InvalidInput("how to reach a server is no matter of serving; give serve's own options behind its name")
    try:
        from relgraph_server.app import run  # noqa: PLC0415  (grpcio is slow to import, and an extra)
        from relgraph_server.settings import load_settings  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("relgraph"):
            raise
        raise InvalidSetting(
            f"serving needs {quoted(error.name)}, which is not installed; run `pip install 'relgraph[server]'`"
        ) from error
    run(load_settings({"store": terminal.store, **flags}, os.environ, config))
    return OK

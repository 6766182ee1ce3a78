"""Settings of the server: flag before environment (`RELGRAPH_*`) before TOML file before default.

One table, `Settings`, names every setting with its default; limits on work stand in `relgraph.limits` and are
settings too: `RELGRAPH_LIMITS_NODES_MAX`, or `nodes_max` under `[limits]` in the file.
"""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidSetting, did_you_mean, quoted
from relgraph.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "Value", "is_loopback", "load_settings", "parse_address"]

Value = str | int | bool
"""What a setting can be; in the environment everything is text."""

DIALECTS: Final = ("relgraph.v1", "authzed.api.v1")
LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_PREFIX: Final = "RELGRAPH_"
_PROTECTIONS: Final = ("keys", "audit", "tls_cert", "tls_key", "tls_client_ca")
_DIGITS_MAX: Final = 18
_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set about one server."""

    store: str = field(repr=False)
    """The store's URL, as `sqlite:///relgraph.db`."""
    listen: str = "127.0.0.1:50051"
    """HOST:PORT of the gRPC listener; port 0 takes a free one."""
    dialects: str = "all"
    """The dialects that are served, as `relgraph.v1,authzed.api.v1`; `all` is each one whose package is installed."""
    insecure: bool = False
    """Allow a public address although there are not both keys and TLS, and one for metrics."""
    keys: str = ""
    """The file of keys, as `relgraph key` writes it; without one everybody who reaches the server may do everything."""
    audit: str = ""
    """The file of the audit log; none without a name."""
    metrics: str = ""
    """HOST:PORT of the HTTP listener for `/metrics`, `/livez` and `/readyz`; none without one."""
    traces: bool = False
    """Send OpenTelemetry traces to where the OTEL_* variables say."""
    trace_ids: bool = False
    """Name subjects and resources in traces."""
    log_format: str = "text"
    """`text` or `json`: how a line of the server's log on stderr looks."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`: what is left out of the log is less than that."""
    slow_call_ms: int = 1_000
    """Milliseconds from which on a call is told in the log as slow."""
    tls_cert: str = ""
    """The file of the server's certificate, PEM, with those between it and its authority; plain text without one."""
    tls_key: str = ""
    """The file of the certificate's private key, PEM, without a password."""
    tls_client_ca: str = ""
    """The file of the authorities, PEM, from which a client has to show a certificate; none is asked for without."""
    reflection: bool = False
    """Tell the service's methods and messages on a public address too; on loopback they are told anyway."""
    read_threads_max: int = 4
    """Threads that answer questions."""
    write_threads_max: int = 16
    """Threads that write: a store orders writes anyway, and commits together those that come at once."""
    calls_max: int = 1_000
    """Calls in progress at once; more are refused with RESOURCE_EXHAUSTED."""
    connections_max: int = 1_000
    """Connections open at once."""
    connection_idle_ms_max: int = 600_000
    """Milliseconds after which a connection without calls is closed."""
    connection_age_ms_max: int = 86_400_000
    """Milliseconds after which a connection takes no new calls; the client opens another one."""
    connection_grace_ms_max: int = 60_000
    """Milliseconds that calls in progress on such a connection get to finish, watches and exports included."""
    streams_max: int = 1_000
    """Calls in progress at once on one connection; more wait."""
    imports_max: int = 4
    """Imports received at once; more wait."""
    exports_max: int = 16
    """Exports sent at once; more wait."""
    lookups_max: int = 64
    """Lookups answered at once; more wait, as all questions wait for a thread."""
    message_ms_max: int = 60_000
    """Milliseconds that a caller may take over one message of an import, export or lookup."""
    crowded_ms_max: int = 5_000
    """The same, while another import, export or lookup waits for its place."""
    stream_ms_max: int = 600_000
    """Milliseconds after which an import, export or lookup makes room for another one that waits."""
    waiting_max: int = 100
    """Imports that wait for their place, and as many exports; more are refused with RESOURCE_EXHAUSTED."""
    watchers_max: int = 500
    """Watches at once, fewer than calls; more are refused with RESOURCE_EXHAUSTED."""
    watch_threads_max: int = 2
    """Threads that read the log for watches that are behind."""
    watch_backlog_revisions_max: int = 10_000
    """Revisions that are kept for watches; one that falls further behind ends with LAGGED."""
    watch_backlog_changes_max: int = 100_000
    """Changed tuples in what is kept for watches; a larger revision is kept alone."""
    heartbeat_ms_min: int = 100
    """Milliseconds between two heartbeats of a watch, at the least."""
    request_bytes_max: int = 4 << 20
    """Bytes of one request message."""
    request_items_max: int = 20_000
    """Items in all lists of one request message, those of an import's among them."""
    answer_bytes_max: int = 64 << 20
    """Bytes of one answer."""
    import_bytes_max: int = 4 << 30
    """Bytes of one import's stream, which may wait on disk."""
    question_ms_max: int = 30_000
    """Milliseconds that one question may take; a caller's own deadline counts where it is earlier."""
    drain_ms_max: int = 10_000
    """Milliseconds that calls in progress get to finish when the server is told to stop."""
    notice_ms: int = 200
    """Milliseconds between saying that the server stops and refusing calls."""
    ready_every_ms: int = 1_000
    """Milliseconds between two looks whether the store answers, which health tells."""
    ready_ms_max: int = 5_000
    """Milliseconds that such a look may take."""
    history_s: int = 86_400
    """Seconds of history that are kept; what is older is collected in the background."""
    collect_every_s: int = 600
    """Seconds between two collections of history."""
    limits: Limits = field(default_factory=Limits)
    """Limits on the work of one request."""
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each setting was set that is not at its default; of a limit as `limits.NAME`."""

    @property
    def dialect_names(self) -> tuple[str, ...]:
        """The dialects that `dialects` names."""
        return DIALECTS if self.dialects == "all" else tuple(name.strip() for name in self.dialects.split(","))


def load_settings(flags: Mapping[str, Value | None], environ: Mapping[str, str], config: str | None = None) -> Settings:
    """Return the settings. A flag that is None was not given; `config` names the TOML file, if there is one.

    Raises InvalidSetting for a name or value that cannot be used, wherever it stands.
    """
    config = config or environ.get(f"{_PREFIX}CONFIG") or None
    file = _read_file(config) if config else {}
    nested = file.pop("limits", {})
    if not isinstance(nested, dict):
        raise InvalidSetting(f"`limits` in {quoted(str(config))} is not a table; write `[limits]` above its settings")
    own = {one.name: one.default for one in fields(Settings) if one.name not in ("limits", "sources")}
    limits = {one.name: one.default for one in fields(Limits)}
    _refuse_strangers(file, own, f"in {quoted(str(config))}")
    _refuse_strangers(nested, limits, f"under `[limits]` in {quoted(str(config))}")
    _refuse_strangers(flags, own, "among the flags")
    prefix = f"{_PREFIX}LIMITS_"
    named = {name.removeprefix(prefix).lower(): name for name in environ if name.startswith(prefix)}
    _refuse_strangers(named, limits, f"behind `{prefix}`")
    given = {
        name: _typed(name, value, default)
        for name, default in own.items()
        if (value := _first(flags.get(name), environ.get(_PREFIX + name.upper()), file.get(name))) is not None
    }
    given_limits = {
        name: _typed(f"limits.{name}", value, default)
        for name, default in limits.items()
        if (value := _first(environ.get(f"{_PREFIX}LIMITS_{name.upper()}"), nested.get(name))) is not None
    }
    if not given.get("store"):
        raise InvalidSetting(
            "no store is named; pass `--store sqlite:///access.db` or set RELGRAPH_STORE", {"setting": "store"}
        )
    sources = _sources(flags, environ, file, nested, config)
    settings = Settings(**given, limits=Limits(**given_limits), sources=sources)  # type: ignore[arg-type]  # _typed
    _check_named(settings)
    _check_dialects(settings)
    _check_address(settings)
    _check_sights(settings)
    return settings


def _sources(
    flags: Mapping[str, Value | None],
    environ: Mapping[str, str],
    file: Mapping[str, object],
    limits: Mapping[str, object],
    config: str | None,
) -> dict[str, str]:
    """Return where each setting was set: what comes first in the order of precedence, written last."""
    sources = {**dict.fromkeys(file, f"the file {config}"), **{f"limits.{one}": f"the file {config}" for one in limits}}
    for name in (one for one in environ if one.startswith(_PREFIX)):
        setting = name.removeprefix(_PREFIX).lower()
        nested = setting.removeprefix("limits_")
        sources[setting if nested == setting else f"limits.{nested}"] = f"the variable {name}"
    return {**sources, **{one: "an option" for one, value in flags.items() if value is not None}}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def _read_file(path: str) -> dict[str, object]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidSetting(
            f"the settings file {quoted(path)} cannot be read: {problem}; check its path", {"file": path}
        ) from None
    except (ValueError, RecursionError) as problem:  # numbers without end, and lists in lists, among them
        raise InvalidSetting(
            f"the settings file {quoted(path)} is not TOML: {problem}; mend it there", {"file": path}
        ) from None


def _refuse_strangers(given: Mapping[str, object], known: Mapping[str, object], where: str) -> None:
    for name in given:
        if name not in known:
            raise InvalidSetting(
                f"there is no setting {quoted(name)} {where}{did_you_mean(name, known)}", {"setting": name}
            )


def _typed(name: str, value: object, default: object) -> Value:
    """Return a value as the type of its default: text, flag, or a whole number from 1."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _WORDS:
            return _WORDS[value.lower()]
        raise InvalidSetting(f"`{name}` cannot be {quoted(str(value))}; use true or false", {"setting": name})
    if isinstance(default, int):
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        raise InvalidSetting(f"`{name}` cannot be {quoted(str(value))}; use a whole number from 1", {"setting": name})
    assert default is MISSING or isinstance(default, str)
    if isinstance(value, str):
        return value
    raise InvalidSetting(f"`{name}` cannot be {quoted(str(value))}; use a text", {"setting": name})


def parse_address(text: str, setting: str = "listen") -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; an IPv6 host stands in brackets. Raises InvalidSetting."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdigit()):
        raise InvalidSetting(
            f"{quoted(text)} is not an address; write HOST:PORT, as in `127.0.0.1:50051` or `[::1]:0`",
            {"setting": setting},
        )
    if len(port) > _DIGITS_MAX or int(port) > 65_535:
        raise InvalidSetting(f"there is no port {quoted(port)}; use 0 to 65535", {"setting": setting})
    return bare, int(port)


def _check_named(settings: Settings) -> None:
    """Refuse a protection that is asked for and names nothing: a variable that was never filled in opens no door."""
    for name in _PROTECTIONS:
        if name in settings.sources and not getattr(settings, name):
            raise InvalidSetting(
                f"`{name}` is set by {settings.sources[name]} and names no file; name one, or leave the setting out "
                "altogether where the server is to run without",
                {"setting": name},
            )


def _check_dialects(settings: Settings) -> None:
    for name in settings.dialect_names:
        if name not in DIALECTS:
            known = ("all", *DIALECTS)
            raise InvalidSetting(
                f"`dialects` cannot name {quoted(name)}{did_you_mean(name, known)}; use all, or one or more of "
                f"{', '.join(DIALECTS)} with commas between them",
                {"setting": "dialects"},
            )


def _check_address(settings: Settings) -> None:
    """Refuse half of a TLS setting, and a public address without both keys and TLS unless `insecure`."""
    for name, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("tls_client_ca", "tls_cert")):
        if getattr(settings, name) and not getattr(settings, other):
            raise InvalidSetting(
                f"`{name}` is set and `{other}` is not; TLS needs a certificate and its key, set both or none",
                {"setting": other},
            )
    lacking = " and ".join(word for word, value in (("keys", settings.keys), ("TLS", settings.tls_cert)) if not value)
    if lacking and not settings.insecure and not is_loopback(parse_address(settings.listen)[0]):
        raise InvalidSetting(
            f"{quoted(settings.listen)} is a public address, and this server has no {lacking}: others on the way could "
            "read and write everything; give it `--keys`, `--tls-cert` and `--tls-key`, listen on 127.0.0.1, or pass "
            "`--insecure` where the network itself is guarded",
            {"setting": "listen"},
        )


def _check_sights(settings: Settings) -> None:
    """Refuse words that are none, a public address for metrics unless `insecure`, and what nothing would come of."""
    for name, words in (("log_format", LOG_FORMATS), ("log_level", LOG_LEVELS)):
        value = getattr(settings, name)
        if value not in words:
            raise InvalidSetting(
                f"`{name}` cannot be {quoted(value)}{did_you_mean(value, words)}; use {', '.join(words)}",
                {"setting": name},
            )
    if settings.trace_ids and not settings.traces:
        raise InvalidSetting(
            "`trace_ids` is set and `traces` is not, so there is nothing to name them in; set both or none",
            {"setting": "trace_ids"},
        )
    if settings.metrics and not settings.insecure and not is_loopback(parse_address(settings.metrics, "metrics")[0]):
        raise InvalidSetting(
            f"{quoted(settings.metrics)} is a public address, and metrics are served without keys or TLS; use "
            "127.0.0.1, or pass `--insecure` where the network itself is guarded",
            {"setting": "metrics"},
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach a host of that name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

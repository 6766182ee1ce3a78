"""The server's log: one line an event, as text or as JSON, without secrets and without control characters.

Rule 1: whatever a message or a traceback holds, nobody who wrote that can make it look like another event, or steer the
terminal that shows it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

from relgraph.errors import redacted
from relgraph_server.sights import SIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph_server.settings import Settings

__all__ = ["JsonLines", "TextLines", "configure"]

_LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _plain(text: str) -> str:
    """Return a text without secrets, printable on one line."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in redacted(text)
    )


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what an event carries besides its message: its own fields, and the trace of the call it belongs to."""
    fields = dict(getattr(record, "fields", {}))
    sight = SIGHT.get()
    if sight is not None and sight.trace_id:
        fields["trace_id"] = sight.trace_id
    return {name: _plain(value) if isinstance(value, str) else value for name, value in fields.items()}


def _stamp(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class TextLines(logging.Formatter):
    """Events for people. A traceback stands below its event, each line of it behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Return an event."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_stamp(record)} {record.levelname} {record.name}: {_plain(record.getMessage())}{fields}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n  | {_plain(each)}" for each in trace.splitlines())
        return line


class JsonLines(logging.Formatter):
    """Events for programs: one JSON object a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return an event."""
        event: dict[str, object] = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _plain(record.getMessage()),
            **_fields(record),
        }
        if record.exc_info:
            event["exception"] = redacted(self.formatException(record.exc_info))
        # Escaped to ASCII: a line ends nowhere but at its end, for whoever reads it.
        return json.dumps(event, default=str)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Make this program's log what the settings say, on stderr."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.log_level])

"""The server's log: one line an event, nothing forged, nothing secret; slow calls are told, with their trace."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import relgraph
from relgraph.errors import InvalidSetting, NoSchema
from relgraph_server.logs import JsonLines, TextLines, configure
from relgraph_server.settings import Settings, load_settings
from relgraph_server.sights import SIGHT, Sight, Sights
from tests.keys_kit import call, guarded
from tests.serving import running

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "canary-0123456789"
KEY = "rg_" + "canary_" * 8
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NASTY = (
    "one\ntwo\r\n2026-01-01T00:00:00.000Z INFO relgraph: forged\x1b[2J\u2028\u202e\x85" + f" {KEY} a://u:{PASSWORD}@h"
)


def event(message: str, error: Exception | None = None, **fields: object) -> logging.LogRecord:
    trace = None
    if error is not None:
        try:
            raise error  # noqa: TRY301 - for its traceback
        except Exception:  # noqa: BLE001 - any
            trace = sys.exc_info()
    made = logging.LogRecord("relgraph.test", logging.WARNING, __file__, 1, "%s", (message,), trace)
    made.fields = fields
    return made


def test_a_line_is_one_event() -> None:
    """Line ends, escape codes and what turns text around are told as escapes; keys and passwords are left out."""
    for lines in (TextLines(), JsonLines()):
        line = lines.format(event(NASTY, field=NASTY))
        assert line.isprintable()
        assert "canary" not in line
        assert "\\u202e" in line
    told = json.loads(JsonLines().format(event("x", field=NASTY)))
    assert {"time", "level", "logger", "message", "field"} == set(told)
    assert ("warning", "relgraph.test") == (told["level"], told["logger"])


@given(st.text(), st.text())
def test_no_text_makes_a_second_line(message: str, value: str) -> None:
    """Whatever a message holds, its event is one line."""
    for lines in (TextLines(), JsonLines()):
        assert 1 == len(lines.format(event(message, value=value)).splitlines())
    assert JsonLines().format(event(message)).isascii()


def test_a_traceback_belongs_to_its_event() -> None:
    """A traceback is a field in JSON, and stands behind bars in text, whatever its error says."""
    told = json.loads(JsonLines().format(event("failed", ValueError(NASTY))))
    assert "Traceback" in told["exception"]
    first, *rest = TextLines().format(event("failed", ValueError(NASTY))).split("\n")
    assert first.endswith("relgraph.test: failed")
    assert rest
    assert [] == [line for line in rest if not (line.startswith("  | ") and line.isprintable())]
    assert "canary" not in told["exception"] + "".join(rest)


def test_an_event_names_the_trace_of_its_call() -> None:
    """What is logged for a call tells the trace that its caller named; what was not well named is not told."""
    for sent, trace in ((PARENT, TRACE), (f"{PARENT}\n", ""), (f"00-{'0' * 32}-b7ad6b7169203331-01", ""), ("", "")):
        before = SIGHT.set(Sight("Check", [("traceparent", sent)], 0.0))
        told = json.loads(JsonLines().format(event("x")))
        SIGHT.reset(before)
        assert trace == told.get("trace_id", "")
    assert "trace_id" not in json.loads(JsonLines().format(event("x")))


@pytest.fixture
def restored() -> Iterator[None]:
    """Put the log of the tests back as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before[0], before[1]
    root.setLevel(level)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("level", "kept"), [("debug", 3), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_says_what_is_left_out(level: str, kept: int) -> None:
    """What is less than the level is not written."""
    stream = io.StringIO()
    configure(Settings("unused:", log_level=level, log_format="json"), stream)
    log = logging.getLogger("relgraph.test")
    for each in (logging.INFO, logging.WARNING, logging.ERROR):
        log.log(each, "told")
    assert kept == len(stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"log_format": "jsn"}, "`log_format` cannot be `jsn`, did you mean `json`?"),
        ({"log_level": "INFO"}, "`log_level` cannot be `INFO`"),
        ({"trace_ids": True}, "`trace_ids` is set and `traces` is not"),
    ],
)
def test_words_that_are_none_are_refused(flags: dict[str, str | int | bool | None], said: str) -> None:
    """A format or a level that there is not, and names for traces that there are not, stop the start."""
    with pytest.raises(InvalidSetting) as refused:
        load_settings({"store": "sqlite://", **flags}, {})
    assert said in refused.value.message


@pytest.mark.parametrize(("method", "seconds", "told"), [("Check", 1.0, 1), ("Check", 0.999, 0), ("Watch", 9.0, 0)])
def test_slow_calls_are_told(method: str, seconds: float, told: int, caplog: pytest.LogCaptureFixture) -> None:
    """A call that took as long as the setting says is told, but for watches, which have no end of their own."""
    clock = iter((5.0, 5.0 + seconds))
    sights = Sights(slow_ms=1_000, now=lambda: next(clock))
    sights.end(sights.begin(method, []), "OK")
    assert told == len([record for record in caplog.records if record.getMessage() == "slow call"])


class _Slow:
    """An Authorizer that takes a while to find that there is no schema."""

    def schema(self, **_: object) -> None:
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        raise NoSchema("none")


def test_a_slow_call_is_told_without_names(caplog: pytest.LogCaptureFixture) -> None:
    """A slow call of a server is told with how it ended and how new an answer was asked for."""
    with running(_Slow(), guarded(slow_call_ms=1)) as server, grpc.insecure_channel(server.address) as channel:
        call(channel, "ReadSchema", b"")
    (found,) = (record for record in caplog.records if record.getMessage() == "slow call")
    fields = dict(found.fields)  # type: ignore[attr-defined]  # what the server adds
    assert fields.pop("ms") >= 1
    assert {"method": "ReadSchema", "code": "FAILED_PRECONDITION", "freshness": "safe"} == fields


def test_an_error_names_the_trace_of_its_call() -> None:
    """A refusal carries the trace that its caller named, and no such word without one."""
    with (
        relgraph.open("sqlite://") as authorizer,
        running(authorizer) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        for sent, trace in (((("traceparent", PARENT),), TRACE), ((), None)):
            _, error = call(channel, "ReadSchema", b"", sent)
            assert error is not None
            assert trace == error.details.get("trace_id")

"""The server keeps as much history as it is told to, and collects the rest in the background."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from relgraph.answers import Collected
from relgraph.errors import StoreUnavailable
from relgraph_server.app import keep_history
from relgraph_server.settings import load_settings

if TYPE_CHECKING:
    from relgraph.api import Authorizer


class Double:
    """An authorizer that fails at its first two collections and lets the server stop at its third."""

    def __init__(self, told: asyncio.Event) -> None:
        self._told = told
        self._loop = asyncio.get_running_loop()
        self.spans: list[timedelta] = []

    def collect(self, keep: timedelta) -> Collected:
        self.spans.append(keep)
        if len(self.spans) == 1:
            raise StoreUnavailable("locked for too long")
        if len(self.spans) == 2:
            raise RuntimeError
        if len(self.spans) == 3:
            self._loop.call_soon_threadsafe(self._told.set)
        return Collected(1, 1, 1)


def test_history_is_collected_again_and_again() -> None:
    """A collection that fails does not end the next ones, and being told to stop does; each is counted."""
    counted: list[Collected | None] = []

    async def run() -> list[timedelta]:
        told = asyncio.Event()
        double = Double(told)
        await asyncio.wait_for(keep_history(cast("Authorizer", double), 7, 0.001, told, counted.append), 60)
        return double.spans

    assert [timedelta(seconds=7)] * 3 == asyncio.run(run())
    assert [None, None, Collected(1, 1, 1)] == counted


def test_the_longest_history() -> None:
    """A number of seconds beyond all times keeps everything."""

    async def run() -> list[timedelta]:
        told = asyncio.Event()
        double = Double(told)
        await asyncio.wait_for(keep_history(cast("Authorizer", double), 10**18, 0.001, told), 60)
        return double.spans

    assert asyncio.run(run())[0] > timedelta(days=10**6)


def test_a_day_is_kept() -> None:
    """Unless told otherwise the server keeps a day."""
    assert 86_400 == load_settings({"store": "sqlite:///a.db"}, {}).history_s
    assert 60 == load_settings({"store": "sqlite:///a.db"}, {"RELGRAPH_HISTORY_S": "60"}).history_s

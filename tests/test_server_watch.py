"""A server's watches: the store is read once for all, slow readers are cut off, and whoever goes leaves nothing."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

import relgraph
from relgraph.answers import Checkpoint, LogEntry
from relgraph.api import Watch
from relgraph.client import Client
from relgraph.errors import (
    InvalidInput,
    Lagged,
    LimitExceeded,
    RevisionUnavailable,
    ServerUnavailable,
    StoreUnavailable,
)
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph_server.app import start
from relgraph_server.feed import Feed, Stand
from relgraph_server.service import AuthorizerService
from relgraph_server.settings import Settings
from tests.api_kit import SCHEMA
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.store.base import LogEntry as StoredEntry
    from relgraph.store.base import Snapshot
    from relgraph_server.asking import Asking
    from relgraph_server.watchers import Watchers

QUIET = 3_600.0
PATIENCE_S = 60
FACT = "doc:one#viewer@user:anna"


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.write_schema(SCHEMA)
        yield opened


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[AuthorizerService]:
    """The services that are made from now on."""
    made: list[AuthorizerService] = []
    begin = AuthorizerService.__init__

    def noted(self: AuthorizerService, asking: Asking, watchers: Watchers) -> None:
        begin(self, asking, watchers)
        made.append(self)

    monkeypatch.setattr(AuthorizerService, "__init__", noted)
    return made


def settings(**changed: int) -> Settings:
    return Settings("unused:", listen="127.0.0.1:0", **changed)  # type: ignore[arg-type]  # every one of them is a number


def told(watch: Iterator[LogEntry | Checkpoint], until: int) -> list[int]:
    """The revisions that are told up to that one."""
    found = []
    for event in watch:
        if isinstance(event, LogEntry):
            found.append(event.revision)
        if event.revision >= until:
            break
    return found


@contextmanager
def noted_reads(authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The revisions that are read from the store's log, in the order of the reading."""
    read: list[int] = []
    store = authorizer._following.store
    snapshot = store.snapshot

    def noted() -> Snapshot:
        made = snapshot()
        log = made.log

        def noted_log(after: int, limit: int) -> list[StoredEntry]:
            found = log(after, limit)
            read.extend(each.revision.number for each in found)
            return found

        monkeypatch.setattr(made, "log", noted_log, raising=False)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(store, "snapshot", noted)
        yield read


def test_each_revision_is_read_once_for_all(authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred watches, filtered and not, are told the same log, and the store is read once for them."""
    with in_process(authorizer) as address, ExitStack() as stack, noted_reads(authorizer, monkeypatch) as read:
        client = stack.enter_context(Client(address))
        watches = [stack.enter_context(client.watch(heartbeat=QUIET)) for _ in range(90)]
        filtered = [stack.enter_context(client.watch(types=["group"], heartbeat=QUIET)) for _ in range(10)]
        for number in range(30):
            authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
        authorizer.write(touch=["group:eng#member@user:anna"])
        assert all(told(watch, 32) == list(range(2, 33)) for watch in watches)
        assert all(told(watch, 32) == [32] for watch in filtered)
        assert list(range(2, 33)) == read


def test_who_does_not_read_is_cut_off(authorizer: relgraph.Authorizer, services: list[AuthorizerService]) -> None:
    """A reader that falls behind what is kept ends with LAGGED and misses nothing when it goes on behind its token."""
    with in_process(authorizer, settings(watch_backlog_revisions_max=20)) as address, Client(address) as client:
        watch = client.watch(heartbeat=QUIET)
        watchers = services[0]._watchers
        while watchers.count:
            authorizer.write(touch=[f"doc:{'d' * 900}{n}#viewer@user:anna" for n in range(500)])
            authorizer.write(delete=[f"doc:{'d' * 900}{n}#viewer@user:anna" for n in range(500)])
        head = authorizer.write(touch=[FACT]).revision
        found: list[int] = []
        with pytest.raises(Lagged, match="watch again behind the last token") as raised:
            found.extend(event.revision for event in watch if isinstance(event, LogEntry))
        assert watch.revision == found[-1]
        assert watch.token == raised.value.details["token"]
        assert 1 < watch.revision < head - 20
        with client.watch(watch.token, heartbeat=QUIET) as again:
            found += told(again, head)
        assert list(range(2, head + 1)) == found


def test_large_changes_count_as_well(authorizer: relgraph.Authorizer, services: list[AuthorizerService]) -> None:
    """What is kept is bounded in changed tuples too, and a revision larger than that is told all the same."""
    with in_process(authorizer, settings(watch_backlog_changes_max=10)) as address, Client(address) as client:
        watch = client.watch(heartbeat=QUIET)
        feed = services[0]._watchers._feed
        assert feed is not None
        for number in range(30):
            authorizer.load([f"doc:d{number}x{n}#viewer@user:anna" for n in range(15)])
            assert [number + 2] == told(watch, number + 2)
        assert 1 == len(feed.result()._items)


def test_there_is_room_for_so_many(authorizer: relgraph.Authorizer, services: list[AuthorizerService]) -> None:
    """One watch too many is refused by name; when one goes, all it held is let go, and another finds room."""
    with in_process(authorizer, settings(watchers_max=2)) as address, Client(address) as client:
        first, second = client.watch(), client.watch()
        with pytest.raises(LimitExceeded, match="watchers_max"):
            client.watch()
        first.close()
        second.close()
        watchers = services[0]._watchers
        while watchers.count:
            pass
        assert watchers._feed is None
        with client.watch() as third:
            assert 1 == next(third).revision


def test_a_watch_that_goes_ends_the_reading(authorizer: relgraph.Authorizer, services: list[AuthorizerService]) -> None:
    """With the last watch the feed's thread ends; the next watch starts another."""
    with in_process(authorizer) as address, Client(address) as client:
        watch = client.watch()
        task = services[0]._watchers._feed
        assert task is not None
        watch.close()
        task.result().join()
        assert not task.result().running
        with client.watch(heartbeat=QUIET) as again:
            head = authorizer.write(touch=[FACT]).revision
            assert [head] == told(again, head)


def test_the_end_of_the_store_ends_every_watch(tmp_path: Path) -> None:
    """When the store cannot be read any more each watch says so, instead of waiting for ever."""
    authorizer = relgraph.open(f"sqlite:///{tmp_path / 'store.db'}")
    with in_process(authorizer) as address, Client(address) as client:
        watches = [client.watch(heartbeat=QUIET) for _ in range(3)]
        authorizer.close()
        for watch in watches:
            next(watch)
            with pytest.raises(StoreUnavailable):
                next(watch)


def test_the_feed_goes_on_behind_its_own_revisions_alone(authorizer: relgraph.Authorizer) -> None:
    """Who stands at another revision of the same number, of a store that was replaced, is told so and nothing else."""

    async def run() -> None:
        begin = Stand.of(authorizer.schema().token)
        feed = Feed(authorizer.watch(begin.token, heartbeat=QUIET), settings())
        try:
            for name in ("anna", "bob"):
                authorizer.write(touch=[f"doc:one#viewer@user:{name}"])
            while feed.head.number < begin.number + 2:
                await asyncio.wait({feed.moved})
            first, second = feed.behind(begin)
            assert [second] == feed.behind(first.stand)
            assert not feed.behind(second.stand)
            for stand in (begin, first.stand, second.stand):
                with pytest.raises(RevisionUnavailable, match="replaced"):
                    feed.behind(stand._replace(nonce=bytes(16)))
        finally:
            feed.stop()
            await asyncio.to_thread(feed.join)

    asyncio.run(run())


def test_a_fault_of_the_server_ends_every_watch(
    authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever makes the reading fail, watches say so: none goes on with heartbeats and without what was written."""

    def faulty(watch: Watch) -> bool:
        raise RuntimeError(watch.revision)

    with in_process(authorizer) as address, Client(address) as client:
        watches = [client.watch(heartbeat=QUIET) for _ in range(2)]
        monkeypatch.setattr(Watch, "_read", faulty)
        for watch in watches:
            next(watch)
            with pytest.raises(ServerUnavailable, match="watch again behind the last token"):
                next(watch)


def test_stopping_ends_watches_at_once(authorizer: relgraph.Authorizer) -> None:
    """A server that is told to stop with minutes to drain ends its watches first; what comes then is refused."""

    async def run() -> list[str]:
        running = await start(authorizer, settings())
        async with grpc.aio.insecure_channel(running.address) as channel:
            stub = AuthorizerServiceStub(channel)
            calls = [stub.Watch(pb.WatchRequest()) for _ in range(3)]
            for call in calls:
                assert 1 == (await call.read()).revision  # type: ignore[attr-defined]  # the asynchronous call's
            # Nothing else is in progress: this returns once the watches are gone, however long it may take.
            await asyncio.wait_for(running.stop(3_600_000), PATIENCE_S)
            return [f"{await call.code()} {await call.details()}" for call in calls]  # type: ignore[misc]

    found = asyncio.run(run())
    assert all(each.startswith("StatusCode.UNAVAILABLE the server is stopping") for each in found)


def test_heartbeats_are_granted_within_reason(authorizer: relgraph.Authorizer) -> None:
    """A server does not send heartbeats faster than it is set to, and says so."""
    with in_process(authorizer, settings(heartbeat_ms_min=1_000)) as address, Client(address) as client:
        with pytest.raises(InvalidInput, match="ask for 1000 ms or more"):
            client.watch(heartbeat=0.5)
        client.watch(heartbeat=1).close()


def test_who_catches_up_from_far_behind_is_not_lagging(authorizer: relgraph.Authorizer) -> None:
    """However far back a watch begins, it is told everything, even while more is written than is kept for watches."""
    start_at = authorizer.write(touch=[FACT]).token
    for number in range(100):
        authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
    with (
        in_process(authorizer, settings(watch_backlog_revisions_max=5)) as address,
        Client(address) as client,
        client.watch(heartbeat=QUIET) as live,
        client.watch(start_at, heartbeat=QUIET) as late,
    ):
        for number in range(100, 130):
            authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
            assert [number + 3] == told(live, number + 3)
        assert list(range(3, 133)) == told(late, 132)


def test_a_collected_history_ends_who_needs_it(authorizer: relgraph.Authorizer) -> None:
    """Beginning below the horizon is out of range, at once."""
    from datetime import timedelta

    old = authorizer.write(touch=[FACT]).token
    authorizer.write(delete=[FACT])
    authorizer.collect(timedelta(0))
    with in_process(authorizer) as address, Client(address) as client, pytest.raises(RevisionUnavailable):
        client.watch(old)


def test_nobody_at_the_address(authorizer: relgraph.Authorizer) -> None:
    """A watch of a server that is not there, or that goes, is ServerUnavailable."""
    with in_process(authorizer) as address, Client(address) as client:
        watch = client.watch(heartbeat=QUIET)
        next(watch)
    with pytest.raises(ServerUnavailable):
        next(watch)
    with Client(address) as client, pytest.raises(ServerUnavailable):
        client.watch()

"""What is the AsyncClient's alone: its loop, cancelled tasks, many of them at once, and streams that begin late."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import relgraph
from relgraph import errors
from relgraph.client import Access, AsyncClient
from relgraph_server.settings import Settings
from tests.api_kit import SCHEMA
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from relgraph.tuples import RelationTuple

FACT = "doc:one#viewer@user:anna"
PATIENCE_S = 60


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        yield opened


@pytest.fixture
def address(authorizer: relgraph.Authorizer) -> Iterator[str]:
    with in_process(authorizer) as served:
        yield served


class Stuck:
    """An Authorizer that does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()

    def _wait(self, *_: object, **__: object) -> None:
        self.asked.release()
        self.go.wait(PATIENCE_S)
        raise errors.RelgraphError("let go")

    decide = read = write = _wait


@pytest.fixture
def stuck() -> Iterator[tuple[Stuck, str]]:
    door = Stuck()
    with in_process(door) as served:
        yield door, served
        door.go.set()


def test_many_tasks_use_one_client(authorizer: relgraph.Authorizer, address: str) -> None:
    """Many tasks write and ask at once through one client; each sees its own write, and all are made."""

    async def main() -> None:
        async with AsyncClient(address, read_your_writes=True) as client:

            async def one(number: int) -> int:
                fact = f"doc:d{number}#viewer@user:anna"
                written = await client.write(create=[fact])
                assert await client.check(fact)
                return written.revision

            revisions = await asyncio.gather(*(one(number) for number in range(200)))
            assert len(set(revisions)) == 200

    asyncio.run(main())
    assert 200 == len(authorizer.read().tuples)


def test_a_client_belongs_to_one_loop(address: str) -> None:
    """It may be made before there is a loop; in a second one, it says that it belongs to the first."""
    client = AsyncClient(address)

    async def main() -> None:
        await client.schema()

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(main())
    asyncio.run(client.close())


CALLS: dict[str, Callable[[AsyncClient], Any]] = {
    "ask": lambda client: client.check(FACT),
    "write": lambda client: client.write(touch=[FACT]),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_cancelled_task_is_cancelled(stuck: tuple[Stuck, str], name: str) -> None:
    """Who cancels a task that waits for an answer gets CancelledError, and nothing is asked again."""
    door, served = stuck

    async def main() -> None:
        async with AsyncClient(served) as client:
            task = asyncio.ensure_future(CALLS[name](client))
            await asyncio.to_thread(door.asked.acquire, timeout=PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
            both = asyncio.ensure_future(CALLS[name](client))
            await asyncio.to_thread(door.asked.acquire, timeout=PATIENCE_S)
            both.cancel()
            await client.close()
            with pytest.raises(asyncio.CancelledError):
                await both
        async with AsyncClient(served) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await CALLS[name](client)

    asyncio.run(main())


@pytest.mark.parametrize("name", CALLS)
def test_closing_ends_calls_with_an_error(stuck: tuple[Stuck, str], name: str) -> None:
    """A task that waits for an answer when the client is closed is not cancelled: it is told that it was closed."""
    door, served = stuck

    async def main() -> None:
        client = AsyncClient(served)
        task = asyncio.ensure_future(CALLS[name](client))
        await asyncio.to_thread(door.asked.acquire, timeout=PATIENCE_S)
        await client.close()
        await client.close()
        with pytest.raises(errors.ServerUnavailable, match="is closed"):
            await task
        for act in (client.schema(), client.load([]), client.dump().page(), anext(client.watch())):
            with pytest.raises(errors.ServerUnavailable, match="is closed"):
                await act

    asyncio.run(main())


def test_a_closed_stream_ends(authorizer: relgraph.Authorizer, address: str) -> None:
    """A watch that another task closes ends, and with the client it is an error."""

    async def main() -> None:
        async with AsyncClient(address) as client:
            for closing in ("watch", "client"):
                async with client.watch(heartbeat=3_600, resume=True) as watch:
                    assert authorizer.schema().revision == (await anext(watch)).revision
                    waiting = asyncio.ensure_future(anext(watch, None))
                    await asyncio.sleep(0)
                    await (watch if closing == "watch" else client).close()
                    if closing == "watch":
                        assert await waiting is None
                    else:
                        with pytest.raises(errors.ServerUnavailable):
                            await waiting

    asyncio.run(main())


def test_a_stream_begins_when_it_is_used(authorizer: relgraph.Authorizer, address: str) -> None:
    """A dump or a watch asks nothing before its block or its first item; what is refused is raised there."""

    async def main() -> None:
        async with AsyncClient(address) as client:
            dump = client.dump()
            with pytest.raises(errors.InvalidInput, match="has not begun"):
                _ = dump.schema
            authorizer.write(touch=[FACT])
            assert [FACT] == [str(each) async for each in dump]
            assert SCHEMA == dump.schema
            assert [] == [each async for each in dump]
            for wrong in (client.watch(types=["dock"]), client.watch("token")):
                with pytest.raises((errors.UnknownDefinition, errors.InvalidToken)):
                    await anext(wrong)
            with pytest.raises(errors.UnknownDefinition):
                await client.dump(relgraph.TupleFilter("dock")).page()

    asyncio.run(main())


def test_an_import_is_read_in_the_callers_task(authorizer: relgraph.Authorizer) -> None:
    """Tuples come from a plain or an asynchronous iterator; when that fails, nothing is loaded or waits."""

    async def facts(count: int, problem: Exception | None = None) -> AsyncIterator[str | RelationTuple]:
        for number in range(count):
            await asyncio.sleep(0)
            yield f"doc:d{number}#viewer@user:anna"
        if problem is not None:
            raise problem

    async def main(served: str) -> None:
        async with AsyncClient(served) as client:
            with pytest.raises(OSError, match="the disk is gone") as kept:
                await client.load(facts(2_500, OSError("the disk is gone")))
            # One import at a time: the one before must be over, though its frames are still held.
            with pytest.raises(errors.InvalidTuple):
                await client.load([*(f"doc:d{number}#viewer@user:anna" for number in range(1_500)), "doc"])
            assert () == (await client.read()).tuples
            assert 2_500 == (await client.load(facts(2_500))).changed
            assert 0 == (await client.load(facts(2_500), on_duplicate="skip")).changed
            del kept

    with in_process(authorizer, Settings("unused:", listen="127.0.0.1:0", imports_max=1)) as served:
        asyncio.run(main(served))


def test_an_endless_import_stops_when_the_server_refuses(authorizer: relgraph.Authorizer) -> None:
    """A server that refuses an import early ends the reading of its source, and its error is the one raised."""

    async def endless() -> AsyncIterator[str]:
        number = 0
        while True:
            number += 1
            yield f"doc:{'x' * 900}{number}#viewer@user:anna"

    async def main(served: str) -> None:
        async with AsyncClient(served) as client:
            with pytest.raises(errors.LimitExceeded, match="import_bytes_max"):
                await client.load(endless())

    with in_process(authorizer, Settings("unused:", listen="127.0.0.1:0", import_bytes_max=3 << 20)) as served:
        asyncio.run(main(served))


def test_a_cancelled_import_is_taken_back(authorizer: relgraph.Authorizer, address: str) -> None:
    """A task that is cancelled in the middle of an import loads nothing."""
    begun = threading.Event()

    async def facts() -> AsyncIterator[str]:
        for number in range(3_000):
            yield f"doc:d{number}#viewer@user:anna"
        begun.set()
        await asyncio.sleep(PATIENCE_S)

    async def main() -> None:
        async with AsyncClient(address) as client:
            task = asyncio.ensure_future(client.load(facts()))
            await asyncio.to_thread(begun.wait, PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert () == (await client.read()).tuples

    asyncio.run(main())
    assert () == authorizer.read().tuples


def test_what_cannot_be_opened_is_refused_at_once() -> None:
    """Addresses, keys and files of TLS are looked at before there is a loop."""
    for target, access in (("localhost", Access()), ("10.0.0.1:1", Access("rg_key")), ("a:1", Access(tls_ca="none"))):
        with pytest.raises(errors.InvalidSetting):
            AsyncClient(target, access=access)


def test_a_child_must_open_its_own(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client used in a forked child says that it must be opened again there."""

    async def main() -> None:
        async with AsyncClient(address) as client:
            await client.schema()
            with monkeypatch.context() as patched:
                patched.setattr(os, "getpid", lambda: -1)
                with pytest.raises(errors.Forked):
                    await client.schema()

    asyncio.run(main())

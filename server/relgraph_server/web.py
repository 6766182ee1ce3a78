"""A listener for plain HTTP: a few fixed pages, read by probes and by Prometheus, one answer a connection.

Rule 1: everything that a stranger can make it do is bounded: connections, bytes, time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.errors import InvalidSetting, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Page", "Web"]

_HEAD_BYTES_MAX: Final = 8 << 10
_SECONDS_MAX: Final = 5.0
_CONNECTIONS_MAX: Final = 64
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Page(NamedTuple):
    """What a path is answered with."""

    status: int
    body: bytes
    type: str = "text/plain; charset=utf-8"


class Web:
    """Answers GET and HEAD of `pages`; each is made, from the reader's Accept header, when it is asked for."""

    def __init__(self, pages: Mapping[str, Callable[[str], Page]]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, where 0 takes a free one. Raises InvalidSetting."""
        try:
            self._server = await asyncio.start_server(self._take, host, port, limit=_HEAD_BYTES_MAX)
        except OSError:
            raise InvalidSetting(
                f"cannot listen on {quoted(f'{host}:{port}')} for metrics; is the port taken, or the address another "
                "machine's? port 0 takes a free one",
                {"setting": "metrics"},
            ) from None
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """End listening, and the answers in progress."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _CONNECTIONS_MAX:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A reader that goes, or is too slow, or asks for too much, is nobody's trouble but its own.
            with suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_SECONDS_MAX):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(Page(400, b"not a request\n"), whole=True)
        method, path = words[0], words[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response(Page(405, b"only GET and HEAD are served\n"), whole=True)
        make = self._pages.get(path)
        if make is None:
            return _response(Page(404, f"there is {', '.join(self._pages)}\n".encode()), whole=method == "GET")
        accept = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("accept:")]
        return _response(make(", ".join(accept)), whole=method == "GET")


def _response(page: Page, *, whole: bool) -> bytes:
    more = "Allow: GET, HEAD\r\n" if page.status == 405 else ""
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.type}\r\n"
        f"Content-Length: {len(page.body)}\r\n{more}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (page.body if whole else b"")

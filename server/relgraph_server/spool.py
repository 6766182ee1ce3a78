"""Where the tuples of an import wait until its stream is whole: in memory while few, in a temporary file beyond.

The store's write lock is thus taken only once everything has arrived: a slow caller holds up nobody, and a stream
that breaks off has touched nothing.
"""

from __future__ import annotations

import tempfile
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from relgraph.errors import DeadlineExceeded, InvalidInput, LimitExceeded
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.parts import read_tuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.tuples import RelationTuple

__all__ = ["Spool", "Spooled"]

MEMORY_BYTES_MAX: Final = 8 << 20
_LENGTH_BYTES: Final = 4


class Spooled(ABC):
    """The messages of one import, written by the event loop and then read once by a worker thread.

    Subclasses say what a message is.
    """

    def __init__(self, *, bytes_max: int, tuples_max: int) -> None:
        self._bytes_max = bytes_max
        self._tuples_max = tuples_max
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX, prefix="relgraph-import-")  # noqa: SIM115 - closed by close()
        self._abandoned = threading.Event()
        self._bytes = 0
        self._tuples = 0

    def keep(self, data: bytes, count: int) -> None:
        """Take the bytes of a message with so many tuples. Raises LimitExceeded."""
        self._tuples += count
        if self._tuples > self._tuples_max:
            raise LimitExceeded(
                f"the import carries more than {self._tuples_max} tuples; split it, or raise the server's "
                "`import_tuples_max`",
                {"limit": "import_tuples_max", "value": str(self._tuples_max)},
            )
        self._bytes += len(data)
        if self._bytes > self._bytes_max:
            raise LimitExceeded(
                f"the import takes more than {self._bytes_max} bytes; split it, or raise the server's "
                "`import_bytes_max`",
                {"limit": "import_bytes_max", "value": str(self._bytes_max)},
            )
        self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    def abandon(self) -> None:
        """Make `tuples`, in whichever thread it runs, raise at the next message: the caller is gone."""
        self._abandoned.set()

    def tuples(self) -> Iterator[RelationTuple]:
        """Yield every tuple in order. Raises InvalidInput with the field of the first that cannot be read."""
        self._file.seek(0)
        index = 0
        while True:
            if self._abandoned.is_set():
                raise DeadlineExceeded("the import's caller is gone; nothing was changed")
            length = self._file.read(_LENGTH_BYTES)
            if not length:
                return
            try:
                for fact in self.read(self._file.read(int.from_bytes(length, "big")), index):
                    yield fact
                    index += 1
            except InvalidInput as error:
                error.details.setdefault("index", str(index))
                raise

    @abstractmethod
    def read(self, data: bytes, index: int) -> Iterator[RelationTuple]:
        """Yield the tuples of a message, the first of which stands at `index` in the import. Raises InvalidInput."""

    def close(self) -> None:
        """Drop what was taken."""
        self._file.close()


class Spool(Spooled):
    """An import of relgraph.v1, whose last message says how many tuples there were."""

    def __init__(self, *, bytes_max: int, tuples_max: int) -> None:
        super().__init__(bytes_max=bytes_max, tuples_max=tuples_max)
        self._total: int | None = None

    def add(self, message: pb.ImportRequest) -> None:
        """Take one message. Raises LimitExceeded, or InvalidInput when it comes after the last one."""
        if self._total is not None:
            raise InvalidInput(
                "the import goes on after `tuples_total`; set it in the last message only", {"field": "tuples_total"}
            )
        self.keep(pb.ImportRequest(tuples=message.tuples).SerializeToString(), len(message.tuples))
        if message.HasField("tuples_total"):
            self._total = message.tuples_total

    def complete(self) -> None:
        """Say that the stream has ended. Raises InvalidInput unless it said so itself, with the right total."""
        if self._total is None:
            raise InvalidInput(
                "the import's stream ended without `tuples_total`, so it may have been cut short; nothing was changed, "
                "set it in the last message",
                {"field": "tuples_total"},
            )
        if self._total != self._tuples:
            raise InvalidInput(
                f"the import announces `{self._total}` tuples and carries `{self._tuples}`; nothing was changed, "
                "send it again as a whole",
                {"field": "tuples_total"},
            )

    def read(self, data: bytes, index: int) -> Iterator[RelationTuple]:
        """See `Spooled`."""
        for place, message in enumerate(pb.ImportRequest.FromString(data).tuples, index):
            yield read_tuple(message, f"tuples[{place}]")

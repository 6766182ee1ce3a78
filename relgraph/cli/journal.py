"""The journal of an import: how far it came, so that the same command goes on there when it was ended.

A file of JSON lines: the first says what the import is, each other one what was acknowledged so far. A batch whose
acknowledgement was lost is sent again under the same request id, and is then not made twice.

Rule 1: only what was acknowledged is noted, in whole lines; half a line at the end is as if it were not there.
Rule 2: nothing is skipped that is not what was loaded: a digest of the tuples so far has to agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidInput, InvalidSetting, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from relgraph.tuples import RelationTuple

__all__ = ["Journal", "Progress"]

_KIND: Final = "relgraph import 1"


@dataclass(slots=True)
class Progress:
    """What an import has done so far. `refused_bytes` is the size of the file of refused lines."""

    read: int = 0
    changed: int = 0
    batches: int = 0
    refused: int = 0
    refused_bytes: int = 0
    revision: int = 0
    token: str = ""
    digest: str = ""
    finished: bool = False


class Journal:
    """The journal at `path`, made if it is not there; `manner` is what must be the same when the import goes on.

    `resumed` says whether it was there, from an earlier run.
    """

    def __init__(self, path: str, manner: Mapping[str, object], request_id: str) -> None:
        self._path = path
        self.progress = Progress()
        self._digest = hashlib.sha256()
        begun = {"journal": _KIND, **manner}
        try:
            lines = self._lines()
            self.resumed = bool(lines)
            if lines:
                self.request_id = self._continue(lines, begun, request_id)
            else:
                self.request_id = request_id or secrets.token_hex(8)
                self._write({**begun, "request_id": self.request_id})
        except OSError as error:
            raise self._fault(error) from error

    def _lines(self) -> list[dict[str, object]]:
        """Return what was noted, and cut off half a line at the end."""
        path = Path(self._path)
        if not path.exists():
            return []
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError:
            lines = [None]
        if (data and not lines) or not all(isinstance(line, dict) for line in lines):
            raise InvalidInput(
                f"{quoted(self._path)} is not the journal of an import; name a file that is not there yet",
                {"file": self._path},
            )
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        return lines

    def _continue(self, lines: list[dict[str, object]], begun: Mapping[str, object], request_id: str) -> str:
        first = lines[0]
        for name, value in {**begun, **({"request_id": request_id} if request_id else {})}.items():
            if first.get(name) != value:
                raise InvalidInput(
                    f"the journal {quoted(self._path)} is of an import with {name} {quoted(str(first.get(name)))}, not "
                    f"{quoted(str(value))}; repeat the command as it was, or name another journal",
                    {"file": self._path},
                )
        if len(lines) > 1:
            try:
                self.progress = Progress(**lines[-1])  # type: ignore[arg-type]  # what `note` wrote
            except TypeError:
                raise InvalidInput(
                    f"the journal {quoted(self._path)} was written by another version; begin with a new one",
                    {"file": self._path},
                ) from None
        return str(first["request_id"])

    def digesting(self, tuples: Iterable[RelationTuple]) -> Iterator[RelationTuple]:
        """Hand out the tuples that are not loaded yet. Raises InvalidInput where those before are not the ones noted.

        What is handed out is in the digest of the next note.
        """
        rest = iter(tuples)
        count = sum(1 for _ in self._noted(islice(rest, self.progress.read)))
        if count < self.progress.read or (count and self._digest.hexdigest() != self.progress.digest):
            raise InvalidInput(
                f"the file is not the one that the journal {quoted(self._path)} is about, or was changed since in what "
                "was loaded already; import that file, or begin with a new journal",
                {"file": self._path},
            )
        return self._noted(rest)

    def _noted(self, tuples: Iterable[RelationTuple]) -> Iterator[RelationTuple]:
        for tuple_ in tuples:
            self._digest.update(f"{tuple_}\n".encode())
            yield tuple_

    def note(self, progress: Progress) -> None:
        """Note what is acknowledged, up to the tuple that was handed out last."""
        progress.digest = self._digest.hexdigest()
        try:
            self._write(asdict(progress))
        except OSError as error:
            raise self._fault(error) from error

    def _write(self, line: Mapping[str, object]) -> None:
        with Path(self._path).open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def _fault(self, error: OSError) -> InvalidSetting:
        reason = (error.strerror or "no such path").lower()
        return InvalidSetting(
            f"the journal {quoted(self._path)} cannot be kept: {reason}; name a file that can be written",
            {"file": self._path},
        )

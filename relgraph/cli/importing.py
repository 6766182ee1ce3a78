"""An import in one revision or in batches: at a pace, from where it was ended, and with refused lines put aside."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.bulk import Sieve
from relgraph.cli.journal import Journal, Progress
from relgraph.cli.output import printable
from relgraph.errors import InvalidInput, InvalidSetting, NoSchema, RelgraphError, RevisionUnavailable, quoted
from relgraph.revision import Consistency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BufferedWriter

    from relgraph.answers import Imported
    from relgraph.bulk import TupleFile
    from relgraph.cli.options import Terminal
    from relgraph.cli.target import Door
    from relgraph.tuples import RelationTuple

    Load = Callable[[Iterable[RelationTuple], str], Imported]

__all__ = ["Manner", "Pace", "RefusedLines", "admission", "bring_in", "imported"]

_TOLD_MAX: Final = 20


class Pace:
    """At most so many tuples a second."""

    def __init__(
        self,
        rate: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    def wait(self) -> None:
        """Wait until what was loaded before is within the rate."""
        self._sleep(max(0.0, self._due - self._clock()))

    def loaded(self, count: int) -> None:
        """So many tuples were loaded; time that was lost is not made up for."""
        self._due = max(self._due, self._clock() - 1) + count / self._rate


def admission(door: Door) -> Callable[[RelationTuple], None]:
    """Return what raises for a tuple that the schema in force does not admit: the store's own judgement, beforehand."""
    from relgraph.schema import parse  # noqa: PLC0415  (only an import that puts lines aside needs it)

    try:
        return parse(door.schema().text).admit
    except NoSchema:
        # Whoever loads says so for all of them.
        return lambda _: None


class RefusedLines(Sieve):
    """A file of the lines that are refused, as they stand in `source`, and a word about the first of them on stderr.

    It can be imported after mending: it begins as its format does. It is made with its first line, in the place of
    none, unless a `journal` tells of an earlier run: of what that one put there, as much is kept as it noted.
    """

    def __init__(self, path: str, journal: Journal | None) -> None:
        super().__init__(lambda _: None)
        known = journal.progress if journal else Progress()
        self.count = 0
        self.size = known.refused_bytes
        self._path = path
        self._known = known.refused
        self._file: BufferedWriter | None = None
        self._source: TupleFile | None = None
        try:
            if self.size or (journal and journal.resumed and Path(path).exists()):
                with Path(path).open("r+b") as file:
                    file.truncate(self.size)
            elif Path(path).exists():
                raise InvalidInput(
                    f"{quoted(path)} is there already, and may hold what is to be mended; name a new file",
                    {"file": path},
                )
        except OSError as error:
            raise self._fault(error) from error

    def begin(self, source: TupleFile, admits: Callable[[RelationTuple], None]) -> None:
        """Take lines of that file, and tuples for which `admits` raises."""
        self._source = source
        self._admits = admits

    def refuse(self, raw: bytes, error: RelgraphError) -> None:
        """Put a line aside, but one that an earlier run has put there."""
        self.count += 1
        if self.count <= self._known:
            return
        try:
            if self._file is None:
                self._file = Path(self._path).open("ab")  # noqa: SIM115  (closed by `close`)
                if not self.size and self._source is not None and self._source.header:
                    self._put(self._source.header.encode())
            self._put(raw)
        except OSError as problem:
            raise self._fault(problem) from problem
        if self.count - self._known <= _TOLD_MAX:
            sys.stderr.write(f"relgraph: refused: {printable(error.message)}\n")

    def _put(self, line: bytes) -> None:
        assert self._file is not None
        self._file.write(line + b"\n")
        self._file.flush()
        self.size += len(line) + 1

    def close(self) -> None:
        """Close the file, and tell how many lines are in it without having been told."""
        if self._file is not None:
            self._file.close()
        silent = self.count - self._known - _TOLD_MAX
        if silent > 0:
            sys.stderr.write(f"relgraph: refused: {silent:,} more, see {printable(self._path)}\n")

    def _fault(self, error: OSError) -> InvalidSetting:
        reason = (error.strerror or "no such path").lower()
        return InvalidSetting(
            f"the file of refused lines {quoted(self._path)} cannot be written: {reason}; name one that can be",
            {"file": self._path},
        )


@dataclass(frozen=True, slots=True)
class Manner:
    """How an import is to be done: the command's options, as they were given."""

    batch: int | None
    rate: int | None
    resume: str | None
    keep_going: bool
    refused: str | None
    on_duplicate: str
    actor: str | None
    request_id: str

    @property
    def size(self) -> int | None:
        """How many tuples a revision takes; None: all of them."""
        return min(filter(None, (self.batch, self.rate)), default=None)

    def journal(self) -> Journal | None:
        """Open the journal, if there is to be one. Raises InvalidInput for one of another import."""
        same = {
            "batch": self.size,
            "on_duplicate": self.on_duplicate,
            "keep_going": self.keep_going,
            "actor": self.actor,
        }
        return None if self.resume is None else Journal(self.resume, same, self.request_id)


def imported(
    terminal: Terminal,
    source_of: Callable[[Sieve | None], TupleFile],
    load: Callable[[Door, Iterable[RelationTuple], str], Imported],
    manner: Manner,
    show: Callable[[TupleFile], Iterable[RelationTuple]],
) -> tuple[Progress, int, float]:
    """Import what a source holds. Return what was done in all, how many tuples earlier runs had loaded, and seconds.

    `load(door, tuples, request_id)` loads some in one revision, `show(source)` hands out the tuples.
    """
    if manner.keep_going is not (manner.refused is not None):
        raise InvalidInput("--keep-going and --refused FILE need each other; give both, or take one away")
    # The file first: a name that is mistyped is found out before anything else is opened or made.
    with source_of(None):
        pass
    with ExitStack() as stack, terminal.open() as door:
        journal = manner.journal()
        if journal and journal.progress.token:
            _check_store(door, journal.progress.token, str(manner.resume))
        refused = None if manner.refused is None else RefusedLines(manner.refused, journal)
        source = stack.enter_context(source_of(refused))
        if refused:
            stack.callback(refused.close)
            refused.begin(source, admission(door))
        skipped = journal.progress.read if journal else 0
        started = time.monotonic()
        try:
            done = bring_in(
                show(source),
                lambda tuples, request_id: load(door, tuples, request_id),
                batch=manner.size,
                request_id=manner.request_id,
                pace=Pace(manner.rate) if manner.rate else None,
                journal=journal,
                refused=refused,
            )
        except RelgraphError as error:
            # Over the wire, a reader that broke off arrives here as a cancelled stream; the cause is the reader's.
            raise source.failure or source.located(error) from error
        return done, skipped, time.monotonic() - started


def _check_store(door: Door, token: str, journal: str) -> None:
    """Raise InvalidInput unless the store has the revision that a journal noted last: what it skips has to be there."""
    try:
        door.schema(consistency=Consistency.at_least(token))
    except RevisionUnavailable as error:
        raise InvalidInput(
            f"the journal {quoted(journal)} is of an import into another store, or into this one before it was set "
            "back, so what it notes as loaded is not there; begin with a new journal (`--on-duplicate skip` passes "
            "over what is loaded)",
            {"file": journal},
        ) from error


def bring_in(
    tuples: Iterable[RelationTuple],
    load: Load,
    *,
    batch: int | None,
    request_id: str,
    pace: Pace | None,
    journal: Journal | None,
    refused: RefusedLines | None,
) -> Progress:
    """Load the tuples, batch by batch or all at once, and return what was done, earlier runs included.

    `load(tuples, request_id)` loads some in one revision. An error tells in `details["index"]` which tuple of all it
    is about, and in `details["loaded"]` how many were loaded before it.
    """
    progress = journal.progress if journal else Progress()
    rest = iter(()) if progress.finished else iter(journal.digesting(tuples) if journal else tuples)
    name = journal.request_id if journal else request_id
    while not progress.finished:
        if pace:
            pace.wait()
        try:
            some = None if batch is None else list(islice(rest, batch))
            # A file without tuples is loaded as well: the store has a say in it.
            if some is None or some or not progress.batches:
                loaded = load(rest if some is None else some, f"{name}.{progress.batches}" if name and batch else name)
                _add(progress, loaded)
        except RelgraphError as error:
            raise _placed(error, progress) from error
        progress.finished = some is None or len(some) < (batch or 0)
        if refused:
            progress.refused, progress.refused_bytes = refused.count, refused.size
        if pace:
            pace.loaded(batch or 0)
        if journal:
            journal.note(progress)
    return progress


def _add(progress: Progress, loaded: Imported) -> None:
    progress.read += loaded.read
    progress.changed += loaded.changed
    progress.batches += 1
    progress.revision, progress.token = loaded.revision, loaded.token


def _placed(error: RelgraphError, progress: Progress) -> RelgraphError:
    if progress.read:
        if error.details.get("index", "").isdecimal():
            error.details["index"] = str(int(error.details["index"]) + progress.read)
        error.details["loaded"] = str(progress.read)
        error.message += f" (the {progress.read:,} tuples before this batch are loaded)"
    return error

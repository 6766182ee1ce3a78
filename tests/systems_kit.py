"""One served store that holds the four systems, as the terminal composes and imports them, and short ways to ask it."""

from __future__ import annotations

from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.answers import Verdict
from relgraph.cli import main
from relgraph.cli.demo_crowds import write_crowd
from relgraph.client import Client
from tests.api_kit import clocked
from tests.serving import in_process
from tests.store_kit import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.answers import Lookup, Written

__all__ = ["FOLDER", "Served", "served_systems"]

FOLDER: Final = Path(__file__).parent.parent / "scenarios" / "systems"
STORIES: Final = {
    "catglobe": "catglobe.csv",
    "alliance-auth": "auth.jsonl",
    "centurion": "erp.tuples",
    "websaw": "websaw.csv",
}


@dataclass(frozen=True)
class Served:
    """A client of the server, and the clock that server and store go by."""

    client: Client
    clock: FakeClock

    def yes(self, *questions: str) -> bool:
        """Whether all of these, each `resource#permission@subject`, are answered with yes."""
        return all(self.client.check(each) for each in questions)

    def no(self, *questions: str) -> bool:
        """Whether all of these are answered with no."""
        return not any(self.client.check(each) for each in questions)

    def held(self, subject: str, resource: str) -> tuple[str, ...]:
        """What the subject holds on the resource."""
        return self.client.best(subject, resource).held

    def ways(self, subject: str, resource: str) -> list[str]:
        """The words of all ways to the best access."""
        best = self.client.best(subject, resource, ways="all")
        assert not best.truncated
        return sorted(way.via for way in best.ways)

    def what(self, subject: str, permission: str, type: str) -> list[str]:
        """What of a type the subject has the permission on: ids, and `*` for all that nothing names."""
        return _yes(self.client.what(subject, permission, type))

    def who(self, resource: str, permission: str, type: str) -> list[str]:
        """Who of a type has the permission on the resource."""
        return _yes(self.client.who(resource, permission, type))

    @contextmanager
    def changed(self, *, touch: Sequence[str] = (), delete: Sequence[str] = ()) -> Iterator[Written]:
        """Write; what is touched was not there before, what is deleted was. Undone at the end, for the next test."""
        written = self.client.write(create=touch, delete=delete)
        try:
            yield written
        finally:
            self.client.write(create=delete, delete=touch)


def _yes(found: Lookup) -> list[str]:
    assert {row.verdict for row in found.rows} <= {Verdict.YES, Verdict.NO}
    return [row.id for row in found.rows if row.verdict is Verdict.YES]


@contextmanager
def served_systems(folder: Path) -> Iterator[Served]:
    """Serve a store with the one schema and all eight files of tuples, each brought there by a command."""
    clock = FakeClock()
    with (
        clocked(clock, f"sqlite:///{folder / 'systems.db'}") as authorizer,
        in_process(authorizer) as address,
        Client(address) as client,
    ):
        _command(address, "schema", "write", str(FOLDER / "all.zed"))
        for name, file in STORIES.items():
            crowd = folder / f"{name}-crowd{Path(file).suffix}"
            write_crowd(name, FOLDER / file, crowd)
            for path in (FOLDER / file, crowd):
                _command(address, "import", str(path), "--allow-universal", "--allow-wildcards")
        yield Served(client, clock)


def _command(address: str, *words: str) -> None:
    with redirect_stdout(StringIO()):
        assert main(["--server", address, *words]) == 0, words

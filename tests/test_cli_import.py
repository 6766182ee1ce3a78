"""Imports in batches: paces, journals that say where to go on, and refused lines that are put aside to be mended."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import relgraph
from relgraph.answers import Imported
from relgraph.cli import main
from relgraph.cli.importing import Pace, bring_in
from relgraph.cli.journal import Journal
from relgraph.errors import InvalidInput, StoreUnavailable
from relgraph.tuples import RelationTuple
from tests.cli_doors import DOORS, behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Screen = pytest.CaptureFixture[str]

SCHEMA = """
definition user {}
definition report { relation viewer: user
    permission view = viewer }
"""
TUPLES = [RelationTuple.parse(f"report:r{number}#viewer@user:anna") for number in range(10)]


@pytest.fixture(params=DOORS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """A store with the schema above and no tuple, through either door."""
    with behind(request.param, tmp_path, SCHEMA, []) as door:
        yield door


def read(capsys: Screen, where: list[str]) -> list[str]:
    """Return all tuples of a store."""
    capsys.readouterr()
    assert main([*where, "read"]) == 0
    return capsys.readouterr().out.splitlines()


def written(path: Path, tuples: Iterable[object]) -> str:
    """Write a file of tuples, and return its name."""
    path.write_text("".join(f"{tuple_}\n" for tuple_ in tuples))
    return str(path)


class Loader:
    """Loads into a list, in place of a store; fails when it is told to, before or after the batch is there."""

    def __init__(self, *, fail_at: int = -1, after: bool = False) -> None:
        self.done: dict[str, list[RelationTuple]] = {}
        self.sizes: list[int] = []
        self.fail_at = fail_at
        self._after = after

    def __call__(self, tuples: Iterable[RelationTuple], request_id: str) -> Imported:
        some = list(tuples)
        fails = len(self.sizes) == self.fail_at
        self.sizes.append(len(some))
        if fails and not self._after:
            raise StoreUnavailable("gone; try again", {"index": "1"})
        self.done.setdefault(request_id or str(len(self.sizes)), some)
        if fails:
            raise StoreUnavailable("gone; try again")
        return Imported(len(some), len(some), len(self.done), "token")


def test_batches_are_revisions(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """With --batch each so many tuples are a revision, and the end tells the sums and the last one."""
    path = written(tmp_path / "t.txt", TUPLES)
    assert main([*where, "import", path, "--batch", "4", "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert {
        "read": 10,
        "changed": 10,
        "revisions": 3,
        "revision": 4,
        "skipped": 0,
        "refused": 0,
    }.items() <= shape.items()
    assert read(capsys, where) == sorted(map(str, TUPLES))
    assert main([*where, "import", path, "--batch", "5", "--on-duplicate", "touch"]) == 0
    assert "tuples/s), 2 revisions, the last one 4\n" in capsys.readouterr().out


@pytest.mark.parametrize("after", [False, True], ids=["not made", "made and not acknowledged"])
@pytest.mark.parametrize("fail_at", [0, 1, 2])
def test_a_journal_says_where_to_go_on(tmp_path: Path, fail_at: int, after: bool) -> None:
    """A run that ended at any batch is gone on with there, and each tuple is loaded once, acknowledged or not."""
    path = str(tmp_path / "journal")
    loader = Loader(fail_at=fail_at, after=after)
    journal = Journal(path, {"batch": 4}, "")
    with pytest.raises(StoreUnavailable):
        bring_in(TUPLES, loader, batch=4, request_id="", pace=None, journal=journal, refused=None)
    with (tmp_path / "journal").open("a") as file:
        file.write('{"read": 999')  # half a line, as a run that was killed may leave it
    again = Journal(path, {"batch": 4}, "")
    assert (again.resumed, again.request_id, again.progress.read) == (True, journal.request_id, 4 * fail_at)
    done = bring_in(TUPLES, loader, batch=4, request_id="", pace=None, journal=again, refused=None)
    assert (done.read, done.batches, done.finished) == (10, 3, True)
    assert [tuple_ for some in loader.done.values() for tuple_ in some] == TUPLES
    assert len(loader.sizes) == 4
    third = Journal(path, {"batch": 4}, "")
    assert bring_in(TUPLES, loader, batch=4, request_id="", pace=None, journal=third, refused=None).read == 10
    assert len(loader.sizes) == 4


def test_errors_name_the_tuple_of_all() -> None:
    """An error in a later batch is about that tuple's place among all, and says what is loaded."""
    with pytest.raises(StoreUnavailable) as raised:
        bring_in(TUPLES, Loader(fail_at=2), batch=4, request_id="x", pace=None, journal=None, refused=None)
    assert raised.value.details == {"index": "9", "loaded": "8"}
    assert raised.value.message == "gone; try again (the 8 tuples before this batch are loaded)"
    with pytest.raises(StoreUnavailable) as first:
        bring_in(TUPLES, Loader(fail_at=0), batch=4, request_id="x", pace=None, journal=None, refused=None)
    assert first.value.details == {"index": "1"}


def test_a_journal_is_of_one_import(tmp_path: Path) -> None:
    """Another file, other options, or what is no journal are refused, and nothing is loaded."""
    path, loader = str(tmp_path / "journal"), Loader(fail_at=1)
    with pytest.raises(StoreUnavailable):
        bring_in(
            TUPLES, loader, batch=4, request_id="", pace=None, journal=Journal(path, {"batch": 4}, "me"), refused=None
        )
    for other in (TUPLES[1:], TUPLES[:3], []):
        with pytest.raises(InvalidInput, match="is not the one that the journal"):
            bring_in(
                other, loader, batch=4, request_id="", pace=None, journal=Journal(path, {"batch": 4}, ""), refused=None
            )
    assert len(loader.sizes) == 2
    for manner, request_id in (({"batch": 5}, ""), ({"batch": 4}, "you")):
        with pytest.raises(InvalidInput, match="repeat the command as it was"):
            Journal(path, manner, request_id)
    for text in ("report:r1#viewer@user:anna\n", "half a line", "[]\n", '{"journal": "something else"}\n'):
        (tmp_path / "other").write_text(text)
        with pytest.raises(InvalidInput):
            Journal(str(tmp_path / "other"), {"batch": 4}, "")
        assert (tmp_path / "other").read_text() == text


def test_resume_through_the_terminal(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """An import that fails at a line goes on behind what is loaded once the line is mended, by the same command."""
    lines = [*map(str, TUPLES[:6]), "report:r6#viewer@group:x", *map(str, TUPLES[7:])]
    path = written(tmp_path / "t.txt", lines)
    command = [*where, "import", path, "--batch", "2", "--resume", str(tmp_path / "journal")]
    assert main(command) == 2
    complaint = capsys.readouterr().err
    assert f"relgraph: error: {path}, line 7, column 18: " in complaint
    assert "(the 6 tuples before this batch are loaded)" in complaint
    assert read(capsys, where) == sorted(map(str, TUPLES[:6]))
    written(tmp_path / "t.txt", TUPLES)
    assert main([*command, "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert {"read": 10, "skipped": 6, "revisions": 5}.items() <= shape.items()
    assert read(capsys, where) == sorted(map(str, TUPLES))
    assert main(command) == 0
    assert "10 tuples read (10 of them by earlier runs)" in capsys.readouterr().out


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("door", DOORS)
def test_a_journal_is_of_one_store(capsys: Screen, tmp_path: Path, door: str, finished: bool) -> None:
    """What a journal notes as loaded is not skipped where it was not loaded: another store, or one set back."""
    path, journal = written(tmp_path / "t.txt", TUPLES), tmp_path / "journal"
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with behind(door, tmp_path / "first", SCHEMA, []) as where:
        assert main([*where, "import", path, "--batch", "4", "--resume", str(journal)]) == 0
    if not finished:
        journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    noted = journal.read_text()
    with behind(door, tmp_path / "second", SCHEMA, []) as where:
        capsys.readouterr()
        assert main([*where, "import", path, "--batch", "4", "--resume", str(journal)]) == 2
        assert "is of an import into another store, or into this one before it was set back" in capsys.readouterr().err
        assert read(capsys, where) == []
    assert journal.read_text() == noted


FORMATS = {
    "csv": (
        "resource,relation,subject\n",
        ["report:a,viewer,user:x", "report:b,viewer", '"report:c",viewer,user:x', "report:d,view,user:x", "é\x01,a,b"],
        [1, 3, 4],
    ),
    "jsonl": (
        "",
        [
            '{"resource": "report:a", "relation": "viewer", "subject": "user:x"}',
            '{"resource": "report:b"',
            '{"resource": "report:c", "relation": "viewer", "subject": "user:x"}',
            '{"resource": "report:d", "relation": "viewer", "subject": "repot:x"}',
        ],
        [1, 3],
    ),
    "txt": (
        "",
        ["report:a#viewer@user:x", "// a remark", "report:b", "report:c#viewer@user:x", "report:*#viewer@user:x"],
        [2, 4],
    ),
}


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_refused_lines_are_put_aside(where: list[str], capsys: Screen, tmp_path: Path, suffix: str) -> None:
    """With --keep-going, what no format or schema takes goes to the file as it stands, and the rest is loaded."""
    head, lines, bad = FORMATS[suffix]
    path, aside = tmp_path / f"facts.{suffix}", tmp_path / f"refused.{suffix}"
    path.write_text(head + "".join(f"{line}\n" for line in lines))
    command = [*where, "import", str(path), "--keep-going", "--refused", str(aside)]
    assert main(command) == 1
    screen = capsys.readouterr()
    assert aside.read_text() == head + "".join(f"{lines[number]}\n" for number in bad)
    assert screen.out.endswith(f"\n{len(bad)} lines refused\n")
    assert screen.err.count("relgraph: refused: ") == len(bad)
    offset = 2 if head else 1
    assert [f"line {number + offset}, column" in screen.err for number in bad] == [True] * len(bad)
    assert read(capsys, where) == ["report:a#viewer@user:x", "report:c#viewer@user:x"]
    # It is a file of that format: mended, it is taken.
    assert main([*where, "import", str(aside), "--keep-going", "--refused", str(tmp_path / "twice")]) == 1
    assert (tmp_path / "twice").read_text() == aside.read_text()
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err


def test_refused_lines_of_a_resumed_import_stand_once(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """A run that goes on keeps the refused lines of what is loaded, and writes those behind it again."""
    lines = ["bad", str(TUPLES[0]), "worse", str(TUPLES[1]), str(TUPLES[1]), "worst"]
    path, aside = written(tmp_path / "t.txt", lines), tmp_path / "refused.txt"
    command = [*where, "import", path, "--keep-going", "--refused", str(aside), "--batch", "1"]
    command += ["--resume", str(tmp_path / "journal")]
    assert main(command) == 2  # the third tuple is there already
    aside.write_text(aside.read_text() + "half of what was never")
    written(tmp_path / "t.txt", [*lines[:4], str(TUPLES[2]), *lines[5:]])
    capsys.readouterr()
    assert main([*command, "--json"]) == 1
    assert {"read": 3, "skipped": 2, "refused": 3}.items() <= json.loads(capsys.readouterr().out).items()
    assert aside.read_text() == "bad\nworse\nworst\n"
    assert read(capsys, where) == sorted(map(str, TUPLES[:3]))


def test_nothing_refused_leaves_no_file(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """Without a refused line the exit code is 0 and no file is made; options that need each other say so."""
    path, aside = written(tmp_path / "t.txt", TUPLES), tmp_path / "refused.txt"
    assert main([*where, "import", path, "--keep-going", "--refused", str(aside)]) == 0
    assert not aside.exists()
    for alone in (["--keep-going"], ["--refused", str(aside)]):
        assert main([*where, "import", path, *alone]) == 2
        assert "need each other" in capsys.readouterr().err


def test_many_refusals_are_counted(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """The first twenty are told one by one, the others by number; control characters are escaped."""
    path = written(tmp_path / "t.txt", [f"bad\x1b[31m{number}" for number in range(50)])
    assert main([*where, "import", path, "--keep-going", "--refused", str(tmp_path / "aside.txt")]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 21
    assert told[-1] == f"relgraph: refused: 30 more, see {tmp_path / 'aside.txt'}"
    assert "\x1b" not in "".join(told)


def test_what_cannot_be_taken_apart_ends_the_import(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """A header that is wrong, or a line without an end, is no line to put aside: the import ends."""
    for name, text in (("t.csv", "resource,subject\nreport:a,user:x\n"), ("t.txt", "x" * 140_000)):
        path = tmp_path / name
        path.write_text(text)
        assert main([*where, "import", str(path), "--keep-going", "--refused", str(tmp_path / "aside")]) == 2
        assert "line 1, column " in capsys.readouterr().err
        assert not (tmp_path / "aside").exists()
    assert read(capsys, where) == []


@given(
    rate=st.integers(1, 1_000),
    batches=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), min_size=1, max_size=20),
)
def test_the_pace_is_kept(rate: int, batches: list[tuple[int, float]]) -> None:
    """However long each batch takes, no stretch of time has more tuples than the rate allows, and one second's."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        assert seconds >= 0
        now[0] += seconds

    pace = Pace(rate, lambda: now[0], sleep)
    starts: list[tuple[float, int]] = []
    for count, seconds in batches:
        pace.wait()
        starts.append((now[0], count))
        now[0] += seconds
        pace.loaded(count)
    for first in range(len(starts)):
        for last in range(first + 1, len(starts)):
            loaded = sum(count for _, count in starts[first:last])
            assert loaded / rate <= starts[last][0] - starts[first][0] + 1 + 1e-6
    assert all(one[0] <= other[0] for one, other in pairwise(starts))


def test_a_rate_makes_batches(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """With --rate alone, a batch is a second's worth; with a smaller --batch it is that."""
    path = written(tmp_path / "t.txt", TUPLES)
    for options, revisions in ((["--rate", "1000000"], 1), (["--rate", "1000000", "--batch", "5"], 2)):
        assert main([*where, "import", path, "--on-duplicate", "touch", "--json", *options]) == 0
        assert json.loads(capsys.readouterr().out)["revisions"] == revisions


def test_request_ids_of_batches_make_a_repetition_harmless(tmp_path: Path) -> None:
    """The same command under one --request-id, without a journal, loads nothing twice."""
    with relgraph.open(f"sqlite:///{tmp_path / 'access.db'}") as authorizer:
        authorizer.write_schema(SCHEMA)
    path = written(tmp_path / "t.txt", TUPLES)
    command = ["--store", f"sqlite:///{tmp_path / 'access.db'}", "import", path, "--batch", "4", "--request-id", "mine"]
    assert [main(command), main(command)] == [0, 0]
    with relgraph.open(f"sqlite:///{tmp_path / 'access.db'}") as authorizer:
        assert [each.request_id for each in authorizer.log().entries] == ["", "mine.0", "mine.1", "mine.2"]

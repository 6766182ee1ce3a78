"""Schemas in several files: what they compose to, and that nothing outside their folder is ever read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import InvalidFile, RelgraphError, SchemaParseError, SchemaTypeError
from relgraph.schema import compose, parse, print_schema
from relgraph.schema.compose import DEPTH_MAX, FILES_MAX
from relgraph.schema.reader import TEXT_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER = "definition user {}\n"
ROOT = "use import\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Write files below a folder `schemas`; return the first of them."""

    def files(texts: dict[str, str | bytes]) -> Path:
        paths = [tmp_path / "schemas" / name for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return paths[0]

    return files


def refusal(path: Path) -> RelgraphError:
    """Return the error that composing raises."""
    with pytest.raises(RelgraphError) as caught:
        compose(path)
    return caught.value


def test_one_file(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """A file that imports nothing is taken character for character."""
    text = "// mine\r\nuse import\r\n\tdefinition   user {} // here"
    composed = compose(write({"root.zed": text}))
    assert composed.text == text
    assert list(composed.schema.definitions) == ["user"]


def test_composed(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """Imports come first, each file once, flags at the top, and comments mean what they meant."""
    root = write(
        {
            "root.zed": '// about all\nuse import\nuse self // why\nimport "parts/team.zed"\n'
            "import '''people.zed'''\n\n// a doc\ndefinition doc {\n  relation owner: user | team#member\n}\n",
            "parts/team.zed": "use import use expiration\r\nimport '../people.zed'\r\n\r\ndefinition team {\r\n"
            "  relation member: user with expiration\r\n}\r\n// at the end",
            "people.zed": "\ufeff// who\ndefinition user {}",
        }
    )
    composed = compose(root)
    assert composed.text == (
        "use expiration\nuse self\n\n// who\ndefinition user {}\n\ndefinition team {\n"
        "  relation member: user with expiration\n}\n// at the end\n;\n\n"
        "// about all\n;\n;        // why\n\n// a doc\ndefinition doc {\n  relation owner: user | team#member\n}\n"
    )
    assert print_schema(parse(composed.text)) == print_schema(composed.schema)
    docs = {name: definition.doc for name, definition in composed.schema.definitions.items()}
    assert docs == {"user": "// who", "team": "", "doc": "// a doc"}


def test_partials_across_files(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """A partial of one file may be spliced into a definition of another."""
    root = write(
        {
            "root.zed": f'use import\nuse partial\nimport "./owned.zed"\n{USER}definition doc {{ ...owned }}',
            "owned.zed": "use partial\npartial owned {\n  relation owner: user\n}\n",
        }
    )
    assert list(compose(root).schema.definitions["doc"].relations) == ["owner"]


def test_faults_name_file_and_line(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """A fault is reported where somebody wrote it: in the grammar, in the meaning, and in what it refers to."""
    root = write(
        {"root.zed": f'{ROOT}import "a/b.zed"\n{USER}', "a/b.zed": "\n\ndefinition doc {\n relation owner:\n}"}
    )
    name = str(root.parent / "a" / "b.zed")
    found = refusal(root)
    assert found.details == {"file": name, "line": "5", "column": "1"}
    assert found.message.startswith(f"{name}, line 5, column 1: expected a subject type")
    write({"a/b.zed": "\ndefinition doc {\n relation owner: usr\n}"})
    found = refusal(root)
    assert isinstance(found, SchemaTypeError)
    assert found.details == {"file": name, "line": "3", "column": "18"}
    write({"a/b.zed": "\n\ndefinition user {}"})
    assert f"`user` is defined twice, first in line 3 of `{name}`, rename" in refusal(root).message
    assert refusal(root).details == {"file": str(root), "line": "3", "column": "12"}
    write({"a/b.zed": "\n\ncaveat late(hour int) {\n  hour > '5'\n}"})
    found = refusal(root)
    assert found.details == {"file": name, "line": "4", "column": "8"}
    assert "  hour > '5'\n  " in found.message


def test_a_fault_of_one_file_names_it(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """Without imports a fault names the file as well."""
    root = write({"root.zed": "definition user {"})
    assert refusal(root).message.startswith(f"{root}, line 1, column 17: the definition `user` is never closed")


def test_circle(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """Files that import one another in a circle are refused where the circle closes."""
    root = write({"root.zed": f'{ROOT}import "one.zed"', "one.zed": f'{ROOT}import "two.zed"', "two.zed": ""})
    write({"two.zed": f'{ROOT}import "one.zed"'})
    found = refusal(root)
    folder = root.parent
    assert f"circle (`{folder / 'one.zed'}` → `{folder / 'two.zed'}` → `{folder / 'one.zed'}`)" in found.message
    assert found.details == {"file": str(folder / "two.zed"), "line": "2", "column": "8"}
    write({"root.zed": f'{ROOT}import "root.zed"'})
    (folder / "link.zed").symlink_to("root.zed")
    assert "circle" in refusal(root).message
    assert "circle" in refusal(folder / "link.zed").message


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("gone.zed", "gone.zed` cannot be read: there is no such file"),
        ("parts", "parts` cannot be read: it is no file"),
        ("../outside.zed", "`../outside.zed` leads out of the schema's folder"),
        ("parts/../../outside.zed", "leads out of the schema's folder"),
        ("/etc/passwd", "`/etc/passwd` leads out of the schema's folder"),
        ("link.zed", "`link.zed` leads out of the schema's folder"),
        ("folder/outside.zed", "`folder/outside.zed` leads out of the schema's folder"),
        ("parts\\\\in.zed", "is not a path, write a file's name with `/` between folders"),
        ("", "`` is not a path"),
        ("a\u202eb", "is not a path"),
        ("n" * 5000, "cannot be read: file name too long"),
        ("latin.zed", "latin.zed` cannot be read: the byte 0xe9 in line 2 is not UTF-8"),
    ],
)
def test_unreadable_imports(
    write: Callable[[dict[str, str | bytes]], Path], tmp_path: Path, path: str, part: str
) -> None:
    """A file that is not there, is no text, or lies outside the folder by path or by link is refused at the import."""
    (tmp_path / "outside.zed").write_text(USER, encoding="utf-8")
    root = write({"root.zed": f'{ROOT}\nimport "{path}"\n', "parts/in.zed": USER, "latin.zed": b"// e\n// \xe9\n"})
    (root.parent / "link.zed").symlink_to(tmp_path / "outside.zed")
    (root.parent / "folder").symlink_to(tmp_path)
    found = refusal(root)
    assert type(found) is SchemaParseError
    assert found.details == {"file": str(root), "line": "3", "column": "8"}
    assert part in found.message


def test_links_inside_the_folder(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """A link to a file of the folder is that file, and so is read once."""
    root = write({"root.zed": f'{ROOT}import "link.zed"\nimport "people.zed"\nimport "loop.zed"', "people.zed": USER})
    (root.parent / "link.zed").symlink_to("people.zed")
    (root.parent / "loop.zed").symlink_to("loop.zed")
    assert refusal(root).details["line"] == "4"
    (root.parent / "loop.zed").unlink()
    (root.parent / "loop.zed").write_text("", encoding="utf-8")
    assert compose(root).text == USER


def test_a_pipe_is_no_file(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """What would be read without end, or never, is not opened."""
    root = write({"root.zed": f'{ROOT}import "pipe.zed"'})
    os.mkfifo(root.parent / "pipe.zed")
    assert "it is no file" in refusal(root).message
    assert isinstance(refusal(root.parent / "pipe.zed"), InvalidFile)


@pytest.mark.parametrize("name", ["gone.zed", "", "a\0b"])
def test_the_first_file(write: Callable[[dict[str, str | bytes]], Path], name: str) -> None:
    """A first file that cannot be read is an InvalidFile that names it."""
    folder = write({"root.zed": USER}).parent
    found = refusal(folder / name)
    assert isinstance(found, InvalidFile)
    assert "cannot be read: " in found.message
    assert found.details == {"file": str(folder / name)}


def test_bounds(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """The number of files, the depth of imports and the bytes of all together are bounded."""
    chain: dict[str, str | bytes] = {f"d{n}.zed": f'{ROOT}import "d{n + 1}.zed"' for n in range(DEPTH_MAX)}
    assert f"{DEPTH_MAX} that import one another" in refusal(write(chain)).message
    wide = "".join(f'import "w{n}.zed"\n' for n in range(FILES_MAX))
    root = write({"root.zed": ROOT + wide, **{f"w{n}.zed": "" for n in range(FILES_MAX)}})
    assert f"at most {FILES_MAX} files" in refusal(root).message
    half = "/" * (TEXT_BYTES_MAX // 2)
    root = write({"root.zed": f'{ROOT}import "one.zed"\nimport "two.zed"', "one.zed": half, "two.zed": half})
    assert f"more than {TEXT_BYTES_MAX} bytes" in refusal(root).message


def test_flags_of_other_files(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """A file needs its own flags, and no flag of another file turns one of its names into something else."""
    root = write({"root.zed": f'{ROOT}use partial\nimport "b.zed"\n', "b.zed": "partial common {}"})
    assert "a partial needs a flag" in refusal(root).message
    write(
        {"root.zed": f'{ROOT}use self\nimport "b.zed"', "b.zed": "use partial\npartial common { permission me = self }"}
    )
    root = root.parent / "root.zed"
    write({"b.zed": "use partial\npartial common { permission mine = self }"})
    found = refusal(root)
    assert "`self` is a name in this file, and a keyword in one it is composed with" in found.message
    assert found.details["file"].endswith("b.zed")


def test_annotations_of_other_files(write: Callable[[dict[str, str | bytes]], Path]) -> None:
    """`use typechecking` in one file checks the annotations of all, as in SpiceDB."""
    body = "definition doc {\n  relation owner: user\n  permission view: doc = owner\n}\n"
    root = write({"root.zed": f'{ROOT}use typechecking\nimport "doc.zed"\n{USER}', "doc.zed": body})
    assert "`view` also leads to `user`" in refusal(root).message
    assert refusal(root).details["file"].endswith("doc.zed")

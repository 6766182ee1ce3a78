"""The rules of the house, as tests: sizes, docstrings, public names, errors, words, and pages that are true.

Speed is not a rule here, and what ruff, mypy and import-linter can see is theirs (`make check`).
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from shutil import copytree
from typing import TYPE_CHECKING, Final

import grpc
import pytest

import relgraph
from relgraph import errors
from tests import house, readme

if TYPE_CHECKING:
    from pathlib import Path

FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 60
README_LINES_MAX: Final = 350

# Codes are the classes' names in capitals; these are the ones that say more, and callers know them by now.
CODES_BY_HAND: Final = {
    "RelgraphError": "INTERNAL",
    "SchemaOrphans": "SCHEMA_ORPHANS_TUPLES",
    "UnknownRelation": "UNKNOWN_RELATION_OR_PERMISSION",
}

# Loaded where they are used, so that a program which only asks questions starts fast and needs no extra.
NOT_AT_IMPORT: Final = (
    "asyncio",
    "click",
    "google.protobuf",
    "grpc",
    "matplotlib",
    "networkx",
    "psycopg",
    "pysqlite3",
    "rich",
    "sqlite3",
    "sqlite_utils",
)

# Written in two halves, so that this file does not break its own rules.
FORBIDDEN_WORD: Final = "relation" + "ship"
LEFTOVERS: Final = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
MACHINE_PATHS: Final = re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me)/")

# Files that may say SpiceDB's word for tuples: where SpiceDB's own format, language, methods or fields are read or
# quoted. The scenario reader takes the key as SpiceDB spells it.
MAY_SAY_IT: Final = frozenset(
    {
        "docs/authzed.md",
        "relgraph/cli/scenario.py",
        "server/relgraph_server/guard.py",
        "tests/test_cli_testing.py",
        "tests/test_scenarios.py",
    }
)
# Whoever works with SpiceDB's messages calls them by their names.
ITS_MESSAGES: Final = "authzed"
ITS_DIALECT: Final = "server/relgraph_server/authzed/"

# --- sizes and docstrings ---------------------------------------------------------------------------------------------


def test_files_are_short() -> None:
    """A Python file has at most 500 lines: what needs more is two ideas."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in house.python_files()}
    assert [] == [f"{house.shown(path)}: {size} lines" for path, size in sizes.items() if size > FILE_LINES_MAX]


def test_functions_are_short() -> None:
    """A function has at most 60 lines, its docstring among them."""
    found = [
        f"{house.shown(path)}:{function.lineno}: {function.name} has {size} lines"
        for path in house.python_files()
        for function in house.functions(path)
        if (size := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert [] == found


def test_modules_say_what_lives_there() -> None:
    """Every module opens with a docstring."""
    assert [] == [house.shown(path) for path in house.python_files() if not ast.get_docstring(house.tree(path))]


def test_tests_are_sentences() -> None:
    """Every test has a docstring: the sentence that it proves."""
    found = [
        f"{house.shown(path)}:{function.lineno}: {function.name}"
        for path in house.python_files()
        if path.is_relative_to(house.ROOT / "tests")
        for function in house.functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert [] == found


# --- public names -----------------------------------------------------------------------------------------------------


def test_public_names_are_listed() -> None:
    """Every public class and function of a module stands in its `__all__`."""
    found = [
        f"{house.shown(path)}: {name}"
        for path in house.sources()
        for name in sorted(house.public_definitions(path) - set(house.exported(path) or []))
    ]
    assert [] == found


def test_lists_of_public_names_are_sorted() -> None:
    """`__all__` is sorted and names nothing twice."""
    lists = {path: names for path in house.python_files() if (names := house.exported(path)) is not None}
    assert [] == [house.shown(path) for path, names in lists.items() if sorted(set(names), key=house.sort_key) != names]


def test_lists_of_public_names_are_honest() -> None:
    """Every name in `__all__` can be imported."""
    found = [
        f"{house.shown(path)}: {name}"
        for path in house.sources()
        if (names := house.exported(path))
        for module in [importlib.import_module(house.module_name(path))]
        for name in names
        if not hasattr(module, name)
    ]
    assert [] == found


def test_modules_take_only_public_names_of_each_other() -> None:
    """What one module imports from another stands in the other's `__all__`, or is a module."""
    public = {house.module_name(path): set(house.exported(path) or []) for path in house.sources()}
    found = [
        f"{house.shown(path)}: {module}.{name}"
        for path in house.sources()
        for module, name in house.project_imports(path)
        if module in public and name not in public[module] and f"{module}.{name}" not in public
    ]
    assert [] == [entry for entry in found if not entry.split(": ")[1].startswith("relgraph.v1.")]


def test_importing_relgraph_is_light() -> None:
    """`import relgraph` loads nothing else of relgraph, no database, no gRPC, no terminal and no graph library."""
    loaded = loaded_by("import relgraph")
    assert ["relgraph"] == [name for name in loaded if name.split(".")[0] == "relgraph"]
    assert [] == [name for name in NOT_AT_IMPORT if name in loaded]


def loaded_by(statement: str) -> list[str]:
    """Return the modules that a fresh interpreter has loaded after a statement."""
    paths = f"import sys; sys.path[:0] = {[str(house.ROOT), str(house.ROOT / 'server')]!r}"
    program = f"{paths}\n{statement}\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_public_names_are_lent_when_they_are_asked_for() -> None:
    """Every public name of `relgraph` is the very thing that its module has, and is in `dir`; others are refused."""
    shown = dir(relgraph)
    for module, name in house.project_imports(house.ROOT / "relgraph" / "__init__.py"):
        public = "open" if name == "open_authorizer" else name
        assert getattr(relgraph, public) is getattr(importlib.import_module(module), name)
        assert public in relgraph.__all__
        assert public in shown
    assert relgraph.errors is importlib.import_module("relgraph.errors")
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        vars(relgraph)["__getattr__"]("opne")


def test_what_is_imported_is_declared() -> None:
    """Every third-party module that the code or its tests import comes with a package that pyproject.toml names."""
    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[^\w.-]", entry)[0].lower() for entry in wanted}
    packages = packages_distributions()
    found = [
        f"{house.shown(path)}: {root}"
        for path in house.python_files()
        for root in sorted(house.imported_roots(path) - sys.stdlib_module_names)
        if declared.isdisjoint(name.lower().replace("_", "-") for name in packages.get(root, [root]))
    ]
    assert [] == [entry for entry in found if not entry.endswith((": relgraph", ": relgraph_server", ": tests"))]


# --- errors -----------------------------------------------------------------------------------------------------------


def error_classes() -> list[type[errors.RelgraphError]]:
    """Return the whole tree of error classes, after importing every module that could add to it."""
    for name in ("relgraph", "relgraph_server"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, prefix=f"{name}."):
            importlib.import_module(module.name)
    found: list[type[errors.RelgraphError]] = [errors.RelgraphError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


def drawn_tree(docstring: str) -> dict[str, str]:
    """Return {class: its base} as drawn with box lines: a name's parent is the first name of the line it hangs from."""
    parents: dict[int, str] = {}
    drawn: dict[str, str] = {}
    for line in docstring.splitlines():
        match = re.match(r"^ {4}(?P<indent>(?:│ {3}| {4})*)[├└]── (?P<names>\w+(?:, \w+)*)", line)
        root = re.match(r"^ {4}(?P<name>[A-Z]\w+)$", line)
        if root:
            parents[0] = root["name"]
        elif match:
            depth = len(match["indent"]) // 4 + 1
            names = match["names"].split(", ")
            parents[depth] = names[0]
            drawn.update(dict.fromkeys(names, parents[depth - 1]))
    return drawn


def test_errors_live_in_one_file() -> None:
    """All error classes are defined in relgraph.errors."""
    assert {"relgraph.errors"} == {cls.__module__ for cls in error_classes()}


def test_every_error_has_a_code_of_its_own() -> None:
    """Every error's code is its class's name in capitals, said in the class itself, and nobody else's."""
    classes = error_classes()
    expected = {
        cls.__name__: CODES_BY_HAND.get(cls.__name__, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).upper())
        for cls in classes
    }
    assert expected == {cls.__name__: cls.__dict__.get("code", "not said") for cls in classes}
    assert len(classes) == len(set(expected.values()))


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """The tree in the docstring of relgraph.errors is the tree of the classes."""
    classes = [cls for cls in error_classes() if cls is not errors.RelgraphError]
    assert {cls.__name__: cls.__base__.__name__ for cls in classes if cls.__base__} == drawn_tree(errors.__doc__ or "")


def test_every_error_has_a_row_in_the_status_table() -> None:
    """Every error class has a row of its own in the server's table of status codes, and none is OK."""
    table = importlib.import_module("relgraph_server.status").STATUS_OF
    assert set(error_classes()) == set(table)
    assert [] == [cls.__name__ for cls, status in table.items() if status is grpc.StatusCode.OK]


# --- words ------------------------------------------------------------------------------------------------------------


def lines_with(pattern: re.Pattern[str], *, except_for: frozenset[str] = frozenset()) -> list[str]:
    """Return `file:line: text` for each line of the project's files that the pattern is found in."""
    return [
        f"{house.shown(path)}:{number}: {line.strip()[:100]}"
        for path in house.text_files()
        if house.shown(path) not in except_for
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_one_word_for_a_tuple() -> None:
    """A tuple is a relation tuple, never what SpiceDB calls it, but where SpiceDB's own messages are at hand."""
    theirs = {
        house.shown(path)
        for path in house.python_files()
        if ITS_MESSAGES in house.imported_roots(path) or house.shown(path).startswith(ITS_DIALECT)
    }
    assert [] == lines_with(re.compile(FORBIDDEN_WORD, re.IGNORECASE), except_for=MAY_SAY_IT | theirs)


def test_nothing_is_left_for_later() -> None:
    """No file carries a reminder of unfinished work: that belongs in an issue."""
    assert [] == lines_with(LEFTOVERS)


def test_no_file_names_a_machine() -> None:
    """No file names a path of the machine that it was written on."""
    assert [] == lines_with(MACHINE_PATHS)


# --- commands and pages -----------------------------------------------------------------------------------------------


def make_targets() -> set[str]:
    """Return the commands of the Makefile."""
    text = (house.ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony
    return set(phony[1].split()) - {"FORCE"}


def test_make_help_lists_every_command() -> None:
    """`make help` names every command of the Makefile, with a sentence."""
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=house.ROOT, capture_output=True, text=True, check=True
    )
    listed = dict(line.split(maxsplit=2)[1:] for line in done.stdout.splitlines())
    assert make_targets() == set(listed)
    assert [] == [name for name, sentence in listed.items() if not sentence.endswith(".")]


@pytest.mark.parametrize("path", house.pages(), ids=house.shown)
def test_the_pages_are_true(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page shows happens: its Python runs, its commands print what is shown, its make commands exist."""
    text = path.read_text(encoding="utf-8")
    directory = tmp_path / "reader"
    directory.mkdir()
    # A reader stands in the checkout; here only what the pages read of it is.
    for folder in ("docs", "scenarios"):
        copytree(house.ROOT / folder, directory / folder)
    monkeypatch.chdir(directory)
    page = readme.run_page(text, directory, readme.shim(tmp_path / "bin", house.ROOT), house.shown(path))
    shown = [each for each in readme.blocks(text) if each.word == "python" or each.word in readme.SHELL_WORDS]
    if any(not each.left_out for each in shown):
        assert page.python_blocks + page.commands > 0
        assert page.comparisons > 0
    assert set(re.findall(r"^(?:\$ )?make ([a-z-]+)", text, re.MULTILINE)) <= make_targets()


@pytest.mark.parametrize("path", house.pages(), ids=house.shown)
def test_links_of_the_pages_lead_somewhere(path: Path) -> None:
    """A link within the project names a file that is there, and a heading that this file has."""
    astray = []
    for link in readme.links(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in readme.anchors(target.read_text(encoding="utf-8"))):
            astray.append(link)
    assert [] == astray


def test_the_readme_is_a_front_door() -> None:
    """The README is read in ten minutes, says what it has at its top, and leads to every other page."""
    readme_path, *others = house.pages()
    text = readme_path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES_MAX
    linked = set(readme.links(text))
    assert {house.shown(path) for path in others} <= {link.partition("#")[0] for link in linked}
    chapters = {line.removeprefix("## ") for line in readme.prose(text) if line.startswith("## ")}
    assert [] == [
        name for name in sorted(chapters) if not {f"#{each}" for each in readme.anchors(f"# {name}")} <= linked
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\n1 + 1  # → 3\n```", "shows 3, but is 2"),
        ("```console\n$ echo one\ntwo\n```", "shows:\ntwo"),
        ("```console\n$ exit 4\n```", "failed with 4"),
        ("```console\n$ true &\n```", "ended at once"),
        ("```\nx\n```", "a block without a word"),
        ("```python\nx = 1", "never closed"),
    ],
)
def test_an_untrue_page_is_noticed(text: str, complaint: str, tmp_path: Path) -> None:
    """A page that shows what does not happen fails, and the message says where and what."""
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        readme.run_page(text, tmp_path, readme.shim(tmp_path / "bin", house.ROOT))


def test_a_true_page_is_run(tmp_path: Path) -> None:
    """Blocks share names and files, `…` stands for any text or lines, and an exit status can be shown."""
    text = (
        "```python\nfrom pathlib import Path\nname = 'a.txt'\n```\n"
        "```python\nprint(name)  # → a.…\nlen(name)  # → 5\n```\n"
        "```console\n$ printf 'one\\ntwo\\nthree\\n' \\\n    > b.txt\n$ cat b.txt\no…\n…\nthree\n"
        "$ false\n$ echo $?\n1\n$ make demo\n$ (echo up; exec cat) &\nup\n```\n"
        "<!-- not run: takes a year -->\n```console\n$ sleep 31536000\n```\n"
        "```text\nnot code\n```\n"
    )
    page = readme.run_page(text, tmp_path, readme.shim(tmp_path / "bin", house.ROOT))
    assert "one\ntwo\nthree\n" == (tmp_path / "b.txt").read_text(encoding="utf-8")
    assert (2, 5, 5) == (page.python_blocks, page.commands, page.comparisons)


def test_the_package_has_a_version() -> None:
    """`relgraph` is the package of this checkout, not one that is installed elsewhere."""
    assert (house.ROOT / "relgraph" / "__init__.py").samefile(relgraph.__file__)

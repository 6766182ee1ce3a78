"""What the house rules look at: the project's files, their syntax trees, and what these say about public names.

The rules themselves are in `test_house.py`. Everything is found by walking the house's own folders, so that it works
without git and never sees what lies beside them.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ROOT",
    "Function",
    "exported",
    "functions",
    "imported_roots",
    "module_name",
    "pages",
    "project_imports",
    "public_definitions",
    "python_files",
    "shown",
    "sort_key",
    "sources",
    "text_files",
    "tree",
]

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDERS: Final = (
    ".ci",
    "benchmarks",
    "docs",
    "proto",
    "relgraph",
    "scenarios",
    "server",
    "tests",
    "typing",
)
PACKAGES: Final = {"relgraph": ROOT / "relgraph", "relgraph_server": ROOT / "server" / "relgraph_server"}
GENERATED: Final = re.compile(r"_pb2(_grpc)?\.pyi?$")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def text_files() -> tuple[Path, ...]:
    """Return the files that people wrote: the house's folders and the files at its top, without generated ones."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return tuple(sorted(path for path in found if _is_written_text(path)))


def _is_written_text(path: Path) -> bool:
    if "__pycache__" in path.parts or GENERATED.search(path.name):
        return False
    if path.parent == ROOT:
        return path.suffix in {".md", ".toml"} or path.name in {".gitignore", "Makefile"}
    return b"\0" not in path.read_bytes()


@cache
def python_files() -> tuple[Path, ...]:
    """Return the Python files among them."""
    return tuple(path for path in text_files() if path.suffix == ".py")


def pages() -> tuple[Path, ...]:
    """Return the pages for people: the README, and those that it leads on to."""
    return (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


@cache
def sources() -> tuple[Path, ...]:
    """Return the Python files that are installed: the two packages'."""
    return tuple(path for path in python_files() if any(path.is_relative_to(home) for home in PACKAGES.values()))


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def shown(path: Path) -> str:
    """Return the path as a message shows it: from the top of the checkout."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Yield all functions and methods of a file, nested ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def module_name(path: Path) -> str:
    """Return the dotted name that a file of a package, or of the tests, is imported by."""
    base = ROOT / "server" if path.is_relative_to(ROOT / "server") else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exported(path: Path) -> list[str] | None:
    """Return the names in `__all__`, in their order, or None without one; it has to be a plain list of texts."""
    for node in tree(path).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, (ast.Assign, ast.AnnAssign))
            assert isinstance(node.value, ast.List), f"{shown(path)}: __all__ is not a plain list"
            return [str(ast.literal_eval(item)) for item in node.value.elts]
    return None


def public_definitions(path: Path) -> set[str]:
    """Return the classes and functions that a file defines at its top without a leading underscore."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree(path).body if isinstance(node, kinds) and not node.name.startswith("_")}


def project_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for each `from relgraph... import name` of a file, those for the type checker too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            yield from ((node.module, alias.name) for alias in node.names)


def imported_roots(path: Path) -> set[str]:
    """Return the first words of all modules that a file imports, at its top or later."""
    roots: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            roots.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.split(".")[0])
    return roots


def sort_key(name: str) -> tuple[int, list[str | int]]:
    """Return the key that orders `__all__` as the linter does: CONSTANTS, then Classes, then functions."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

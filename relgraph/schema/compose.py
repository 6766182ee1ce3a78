"""A schema written as several files, made one text: whoever has the files composes, stores and servers take one text.

    use import
    import "common/people.zed"      a path relative to the importing file, with `/` between folders

Rule 1: nothing outside the folder of the first file is ever read, whatever paths and links say.
Rule 2: each file must make sense under its own `use` lines; the composed text stands under all of them.
Rule 3: what is refused names the file and the line that somebody wrote, not those of the composed text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidFile, SchemaParseError, quoted
from relgraph.schema.lexer import NAME, tokens
from relgraph.schema.names import circle
from relgraph.schema.parser import parse_tree
from relgraph.schema.reader import TEXT_BYTES_MAX, check_size, parse_source
from relgraph.schema.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.schema.model import Schema
    from relgraph.schema.tree import FileNode, StatementNode

__all__ = ["DEPTH_MAX", "FILES_MAX", "Composed", "compose"]

DEPTH_MAX: Final = 100
"""Files that may import one another in a chain."""
FILES_MAX: Final = 1000
"""Files that may make one schema."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A schema from files: one text without imports, the schema it parses to, and where its lines come from."""

    text: str
    schema: Schema
    source: Source


def compose(path: Path) -> Composed:
    """Read a schema file and all that it imports; each file counts once, before those that import it.

    A file that imports nothing is returned character for character. Raises InvalidFile where the file cannot be read,
    and SchemaParseError, SchemaTypeError or Unsupported, with file and line, where what it says is refused.
    """
    return _Composer(path).compose()


@dataclass(slots=True)
class _File:
    """One file: what it is called, what it says, and which of its imports come next."""

    path: Path
    name: str
    source: Source
    tree: FileNode
    imports: list[StatementNode] = field(init=False)

    def __post_init__(self) -> None:
        self.imports = list(reversed(self.tree.imports))


class _Composer:
    """Walks the imports depth first, with the open files on a list."""

    def __init__(self, path: Path) -> None:
        self._given = path
        self._folder = self._shown = path.parent
        self._open: dict[Path, _File] = {}
        self._done: dict[Path, _File] = {}
        self._bytes = 0

    def compose(self) -> Composed:
        """Read everything, and put it together."""
        try:
            root = self._given.resolve(strict=True)
            text = self._text(root)
        except (OSError, ValueError, RuntimeError) as error:
            message = f"{quoted(str(self._given), 200)} cannot be read: {_reason(error)}; name a file with a schema"
            raise InvalidFile(message, {"file": str(self._given)}) from error
        self._folder = root.parent
        # Names are shown as the caller wrote the first one, unless a link leads elsewhere.
        self._shown = self._given.parent if self._given.parent.resolve() == root.parent else root.parent
        self._enter(root, str(self._given), text)
        while self._open:
            path, file = next(reversed(self._open.items()))
            if file.imports:
                self._import(file, file.imports.pop())
            else:
                self._done[path] = self._open.pop(path)
        files = list(self._done.values())
        if files[-1].tree.imports:
            return _joined(files)
        source = files[-1].source
        return Composed(source.text, parse_source(source), source)

    def _enter(self, path: Path, name: str, text: str) -> None:
        """Read a file's statements, its imports to follow."""
        source = Source(text, name)
        check_size(source)
        self._open[path] = _File(path, name, source, parse_tree(source))

    def _import(self, importer: _File, statement: StatementNode) -> None:
        """Go into an imported file, unless it was read before."""
        source = importer.source
        at = source.span(statement.value.start, statement.value.end)
        target = self._target(importer, statement)
        if target in self._done:
            return
        name = str(self._shown / target.relative_to(self._folder))
        shown = quoted(name, 200)
        if target in self._open:
            names = circle((file.name for file in self._open.values()), self._open[target].name, "→")
            message = f"the import goes in a circle ({names}), take this line out"
            raise source.problem(SchemaParseError, message, at)
        if len(self._open) >= DEPTH_MAX or len(self._open) + len(self._done) >= FILES_MAX:
            limit = f"{FILES_MAX} files, or {DEPTH_MAX} that import one another,"
            raise source.problem(SchemaParseError, f"a schema has at most {limit} put some of them together", at)
        try:
            text = self._text(target)
        except (OSError, ValueError) as error:
            message = f"{shown} cannot be read: {_reason(error)}, name a schema file beside this one or below it"
            raise source.problem(SchemaParseError, message, at) from None
        self._enter(target, name, text)

    def _target(self, importer: _File, statement: StatementNode) -> Path:
        """Return the file that a statement names. Raises SchemaParseError where that is outside the folder."""
        source, value = importer.source, statement.value
        at = source.span(value.start, value.end)
        quotes = 3 if value.text[:3] in ('"""', "'''") else 1
        path = value.text[quotes:-quotes]
        if not path or not path.isprintable() or "\\" in path:
            message = f"{quoted(path)} is not a path, write a file's name with `/` between folders"
            raise source.problem(SchemaParseError, message, at)
        outside = (
            f"{quoted(path)} leads out of the schema's folder {quoted(str(self._shown), 200)}, keep what it "
            "imports there"
        )
        if path.startswith("/"):
            raise source.problem(SchemaParseError, outside, at)
        try:
            target = (importer.path.parent / path).resolve()
        except (OSError, RuntimeError):
            message = f"{quoted(path)} cannot be followed, its links go in a circle"
            raise source.problem(SchemaParseError, message, at) from None
        if not target.is_relative_to(self._folder):
            raise source.problem(SchemaParseError, outside, at)
        return target

    def _text(self, path: Path) -> str:
        """Return the text of a file. Raises OSError, and ValueError for what is no text of a fitting size."""
        if not path.is_file():
            reason = "it is no file" if path.exists() else "there is no such file"
            raise ValueError(reason)
        with path.open("rb") as stream:
            data = stream.read(TEXT_BYTES_MAX - self._bytes + 1)
        self._bytes += len(data)
        if self._bytes > TEXT_BYTES_MAX:
            reason = f"all files together have more than {TEXT_BYTES_MAX} bytes"
            raise ValueError(reason)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            reason = f"the byte 0x{data[error.start]:02x} in line {line} is not UTF-8"
            raise ValueError(reason) from None


def _reason(error: Exception) -> str:
    """Return why a file could not be read, in words that go on a sentence."""
    system = getattr(error, "strerror", None)
    return system.lower() if system else str(error)


def _joined(files: list[_File]) -> Composed:
    """Return the files as one text: their flags first, then each without its `use` and `import` lines."""
    root = files[-1].name
    flags = sorted({flag for file in files for flag in file.tree.flags} - {"import"})
    lines = [f"use {flag}\n" for flag in flags]
    origins = [(root, 1)] * len(lines)
    for file in files:
        if "self" in flags and "self" not in file.tree.flags:
            _refuse_self(file)
        body = _body(file)
        if lines and body:
            body.insert(0, (body[0][0], "\n"))
        lines.extend(line for _, line in body)
        origins.extend((file.name, number) for number, _ in body)
    source = Source("".join(lines), origins=[*origins, (root, 1)])
    return Composed(source.text, parse_source(source), source)


def _refuse_self(file: _File) -> None:
    """Raise SchemaParseError where `self` is a name in a file: another file's flag would make it the object itself."""
    for token in tokens(file.source):
        if token.kind == NAME and token.text == "self":
            message = "`self` is a name in this file, and a keyword in one it is composed with, choose another name"
            raise file.source.problem(SchemaParseError, message, file.source.span(token.start, token.end))


def _body(file: _File) -> list[tuple[int, str]]:
    """Return the numbered lines of a file, without those that hold nothing but `use` and `import`.

    A comment stays no more and no less than it was: where such a statement kept it from what follows, a `;` does now.
    """
    text = list(file.source.text)
    bare: set[int] = set()
    for statement in (*file.tree.uses, *file.tree.imports):
        word, value = statement.word, statement.value
        text[word.start : word.end] = ";".ljust(word.end - word.start)
        text[value.start : value.end] = " " * (value.end - value.start)
        if not word.doc:
            bare.update(file.source.span(part.start, part.end).line for part in (word, value))
    emptied = Source("".join(text)).lines()
    kept = [
        (number, line.rstrip() + "\n")
        for number, line in enumerate(emptied, start=1)
        if number not in bare or line.strip(" \t\r\n;")
    ]
    while kept and not kept[-1][1].strip():
        kept.pop()
    while kept and not kept[0][1].strip():
        kept.pop(0)
    *_, end = tokens(file.source)
    if file.source.text[end.start :].strip():
        kept.append((len(emptied), ";\n"))
    return kept

"""YAML whose scalars stay the texts they are, and know the line they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from relgraph.errors import InvalidFile, quoted

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

__all__ = ["Text", "line_of", "read_yaml"]


class Text(str):
    """A scalar; `line` is where it begins, `first_line` where the first of its lines stands if it is a literal block.

    Of any other scalar that is None: its lines are not those of the file.
    """

    __slots__ = ("first_line", "line")

    line: int
    first_line: int | None


class _Loader(yaml.BaseLoader):
    """Builds texts, lists and dicts, and refuses a key that stands twice: one of them would be lost."""

    def construct_scalar(self, node: yaml.Node) -> str:
        """Return the text of a scalar with its place."""
        text = Text(super().construct_scalar(node))  # type: ignore[arg-type]  # only scalars are brought here
        text.line = node.start_mark.line + 1
        text.first_line = text.line + 1 if isinstance(node, yaml.ScalarNode) and node.style == "|" else None
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Return a mapping, each of whose keys stands once."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value} stands twice in one mapping, make them one"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[str, object]:
    """Return a file's text and what it says: texts, lists and dicts. Raises InvalidFile."""
    try:
        text = path.read_text("utf-8")
        return text, yaml.load(text, Loader=_Loader)  # noqa: S506  # builds no other objects
    except OSError as error:
        why = (error.strerror or "no such path").lower()
        raise InvalidFile(f"{quoted(str(path))} cannot be read: {why}; name a file of claims or a scenario") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        # What is wrong is shown with a piece of the file, which may hold anything.
        shown = "\n".join(quoted(line, 200)[1:-1] for line in str(error).splitlines())
        raise InvalidFile(f"{path}: cannot be read as YAML: {shown}") from None


def line_of(value: object) -> int:
    """Return the line that something read begins in, its own or that of its first text; 0 where there is none."""
    # With aliases a few lines stand for lists without end: each is looked through once.
    seen: set[int] = set()
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, Text):
            return each.line
        if isinstance(each, dict | list) and id(each) not in seen:
            seen.add(id(each))
            left.extend(reversed(list(each)))
    return 0

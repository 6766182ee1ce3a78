"""What tests of refused schemas share: a schema around the lines at fault, and what its refusal must say."""

from __future__ import annotations

import pytest

from relgraph.errors import RelgraphError
from relgraph.schema import parse

__all__ = ["OWNER", "USER", "check", "doc", "refusal"]

USER = "definition user {}\n"
OWNER = "relation owner: user"


def doc(*lines: str, flags: str = "") -> str:
    """Return a schema: `flags`, a line with a user, then a definition `doc` whose body starts in the line after."""
    return f"{flags}{USER}definition doc {{\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def refusal(text: str) -> RelgraphError:
    """Return the error that parsing raises."""
    with pytest.raises(RelgraphError) as caught:
        parse(text)
    return caught.value


def check(error: type[RelgraphError], text: str, line: int, column: int, part: str) -> None:
    """Assert class, place and words of a refusal."""
    found = refusal(text)
    first = found.message.split("\n")[0]
    assert (type(found), found.details) == (error, {"line": str(line), "column": str(column)}), first
    assert first.startswith(f"line {line}, column {column}: ")
    assert part in first

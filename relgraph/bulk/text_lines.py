"""Plain text: `resource#relation@subject`, one tuple a line; blank lines and `//` comments are passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.bulk.record import Record, refuse_unserved
from relgraph.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_text"]

_BLANKS = " \t"


def read_text(lines: Lines) -> Iterator[Record]:
    """Yield one record a line; blanks around a tuple do not count. Raises InvalidFile or Unsupported."""
    for line, text in lines:
        tuple_ = text.strip(_BLANKS)
        if not tuple_ or tuple_.startswith("//"):
            continue
        column = len(text) - len(text.lstrip(_BLANKS)) + 1
        resource, hash_, rest = tuple_.partition("#")
        relation, at, subject = rest.partition("@")
        if not hash_ or not at:
            lines.refuse(
                line,
                column,
                f"{quoted(tuple_)} is not a relation tuple; write resource#relation@subject, "
                "as in `report:q3#viewer@user:anna`",
            )
        relation_column = column + len(resource) + 1
        subject_column = relation_column + len(relation) + 1
        if subject.endswith("]") and "[" in subject:
            # SpiceDB's spelling: `[caveat:{…}]` and `[expiration:…]` after the subject.
            bracket = subject.index("[")
            name = "expiration" if subject.startswith("[expiration:", bracket) else "caveat"
            refuse_unserved(lines, line, subject_column + bracket, name)
        yield Record(line, resource, relation, subject, column, relation_column, subject_column)

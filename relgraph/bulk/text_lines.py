"""Plain text, one tuple a line; blank lines and `//` comments are passed over.

A tuple is `resource#relation@subject`, behind it `[caveat]` or `[caveat:{…}]` where it counts under a caveat, and
`[expiration:2027-01-31T12:00:00Z]` where it counts until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.bulk.record import Record
from relgraph.errors import InvalidTuple, quoted
from relgraph.tuples import split_traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_text"]

_BLANKS = " \t"


def read_text(lines: Lines) -> Iterator[Record]:
    """Yield one record a line; blanks around a tuple do not count. Raises InvalidFile."""
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
        end = subject_column + len(subject)
        try:
            subject, caveat, context, expires_at = split_traits(subject)
        except InvalidTuple as error:
            lines.refuse(line, subject_column, error.message)
        if expires_at == "":
            lines.refuse(line, end - len("[expiration:]"), "the expiration is empty; write a time, or no brackets")
        caveat_column = subject_column + len(subject) + 1
        yield Record(
            line, resource, relation, subject, column, relation_column, subject_column,
            caveat, caveat_column, context, caveat_column + len(caveat) + 1,
            expires_at or "", end - 1 - len(expires_at or ""),
        )  # fmt: skip

"""Plain text, one tuple a line; blank lines and `//` comments are passed over.

A tuple is `resource#relation@subject`, and with `[expiration:2027-01-31T12:00:00Z]` behind it counts until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.bulk.record import Record, refuse_unserved
from relgraph.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.bulk.lines import Lines

__all__ = ["read_text"]

_BLANKS = " \t"
_EXPIRATION = "[expiration:"


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
        expires_at, bracket = "", len(subject)
        if subject.endswith("]") and "[" in subject:
            # SpiceDB's spelling: `[caveat:{…}]` and `[expiration:…]` after the subject.
            bracket = subject.index("[")
            if not subject.startswith(_EXPIRATION, bracket):
                refuse_unserved(lines, line, subject_column + bracket, "caveat")
            subject, expires_at = subject[:bracket], subject[bracket + len(_EXPIRATION) : -1]
            if not expires_at:
                lines.refuse(line, subject_column + bracket, "the expiration is empty; write a time, or no brackets")
        yield Record(
            line,
            resource,
            relation,
            subject,
            column,
            relation_column,
            subject_column,
            expires_at,
            subject_column + bracket + len(_EXPIRATION),
        )

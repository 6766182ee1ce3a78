"""What a lint has to say: the one shape that all of them speak in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relgraph.rewrites import Span

__all__ = ["Remark"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to look at: what, what to do, and where; a comment before `type`'s `name` can silence it."""

    type: str
    name: str
    message: str
    at: Span

"""What a write says about itself: kept with its revision, as JSON, and told again by who watches.

A revision has one text for that, its `metadata`, which the log and a watch tell: `noted` makes it of a request, to be
passed to `Authorizer.noting`, and `metadata_of` reads it again.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from relgraph_server.authzed import checked
from relgraph_server.authzed.statuses import Said, refusal

__all__ = ["METADATA_BYTES_MAX", "metadata_of", "noted"]

METADATA_BYTES_MAX: Final = 65_000
_FIELD: Final = "optional_transaction_metadata"


class _Writing(Protocol):
    """A request that may say something about itself."""

    @property
    def optional_transaction_metadata(self) -> Struct:
        """What it says."""


def noted(request: _Writing) -> str:
    """Return what a request says about itself, as JSON; empty for nothing. Raises InvalidInput."""
    try:
        said = json_format.MessageToDict(request.optional_transaction_metadata)
    except (json_format.Error, ValueError) as problem:
        raise checked.invalid(_FIELD, f"it has no form as JSON: {problem}") from None
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False) if said else ""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > METADATA_BYTES_MAX:
        raise refusal(
            Said.METADATA_TOO_LARGE,
            f"the transaction metadata takes {size} bytes as JSON, and at most {METADATA_BYTES_MAX} are kept; say less",
            {"metadata_byte_size": str(size), "maximum_allowed_metadata_byte_size": str(METADATA_BYTES_MAX)},
        )
    return text


def metadata_of(text: str) -> Struct | None:
    """Return what a write said about itself, from its revision's `metadata`; None where it said nothing of the kind."""
    try:
        said = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    found = Struct()
    found.update(said)
    return found

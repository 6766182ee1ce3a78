"""What comes from SpiceDB and goes back there: schemas and tuples, over its own interface `authzed.api.v1`.

Whatever serves that interface will do, another relgraph included. Needs the extra `relgraph[authzed]`.
"""

from __future__ import annotations

from relgraph.spicedb.address import SCHEME, Address
from relgraph.spicedb.moving import Moved, bring, send

__all__ = ["SCHEME", "Address", "Moved", "bring", "send"]

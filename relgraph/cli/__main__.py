"""`python -m relgraph.cli`: the terminal, where the `relgraph` script is not on the path."""

from __future__ import annotations

import sys

from relgraph.cli import main

if __name__ == "__main__":
    sys.exit(main())

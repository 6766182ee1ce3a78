"""The terminal: `relgraph COMMAND …`, over a store (`--store URL`) or a server (`--server HOST:PORT`) alike.

    app             the group of commands, and the one place where errors become exit codes
    questions       check, best, expand
    writes          write, import
    reads           read
    schemas         schema: its group, read and write
    schema_tools    schema graph, lint and diff
    schema_format   schema format
    schema_files    schemas in files
    schema_drawing  a schema's dependencies, drawn
    graphs          graph: what surrounds an object, a proof, what nobody can reach, what leads back
    serving         serve
    keys            key: create, list and revoke the keys of a server
    audits          audit verify
    upkeep          backup, restore, verify
    doctor          doctor
    completing      completion
    watching        watch, export
    testing         test: what files say about a schema, judged
    demo            demo: one scenario told from beginning to end
    options         what several commands take: where, how to print, how fresh
    target          the one place that opens a store or a server
    output          answers as JSON lines and as text for people
    exits           exit codes
    importing       an import in one revision or in batches
    journal         how far an import came
    screen          best access, tuples and the log, drawn for people
    spans           spans of time
    trees           expansions as trees for people
    drawing         graphs in the spellings of other programs
    svg             graphs as pictures
    spellings       how graphs of tuples and of proofs are written down
    neighbours      the part of the graph around one object
    proofs          the proof of an access as a graph
    scenario        scenario files: a schema, tuples, and what must hold
    expected        expected relations of SpiceDB's validation files
    yaml_texts      YAML whose scalars know their lines
    claims          what scenarios claim, compared with what is so
    trying          a scenario tried out in a scratch store
    weighing        coverage and mutation: what claims reach, and what they would notice
    outcomes        what came of it, as text, JSON, JUnit's XML and TAP

Rule 1: every answer has one JSON shape with stable keys (`--json`), and a text for people that may change.
Rule 2: no control character from data or from a file reaches the terminal.
Rule 3: what is slow to import (rich, networkx, grpcio) is imported by the function that uses it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default) and return its exit code."""
    try:
        from relgraph.cli.app import run  # noqa: PLC0415  (click is an extra: its absence gets a sentence, not a traceback)
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.stderr.write(
            f"relgraph: error: the terminal needs `{error.name}`, which is not installed; "
            "run `pip install 'relgraph[cli]'`\n"
        )
        return 2
    return run(list(sys.argv[1:] if arguments is None else arguments))

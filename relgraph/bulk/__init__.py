"""Files of tuples: readers of CSV, JSONL and plain text, streaming, with every error at its file, line and column.

    lines        bytes to numbered lines: encoding, line ends, sizes
    record       one line's three cells, and how they become a relation tuple
    csv_lines, jsonl_lines, text_lines        one format each: lines to records
    tuple_file   the way in: a file or stdin, a format, and the positions of what was read

Rule 1: a file is never held in memory; per tuple only its position is kept.
Rule 2: what a file says is either loaded or refused by name. Nothing is skipped, trimmed or guessed silently.
Whether a schema admits a tuple is not judged here: `TupleFile.located` puts the position on the judge's error, and a
`Sieve` puts lines aside that a judge of its own, or the format, refuses.
"""

from __future__ import annotations

from relgraph.bulk.lines import Position
from relgraph.bulk.tuple_file import FORMATS, Sieve, TupleFile, format_of

__all__ = ["FORMATS", "Position", "Sieve", "TupleFile", "format_of"]

"""All limits in one table, with their defaults.

A limit that is hit is an error that names it (`LimitExceeded`, `TooManyUpdates`), never a shorter or weaker answer.
The one exception is marked where it stands: counting ways is #P-hard, so `Best.truncated` says "at least".
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for and how much work it may cause."""

    nodes_max: int = 2_000_000
    """Sub-questions (a formula at an object) that one request may open; of many questions in one request, each."""
    tuples_max: int = 10_000_000
    """Tuples that one request may read; of many questions in one request, each."""
    ways_max: int = 256
    """Ways listed for one role; beyond it the answer says that there are more."""
    ways_work_max: int = 2_000_000
    """Steps spent on looking for the ways to one role; beyond it the answer says that there may be more."""
    checks_max: int = 1_000
    """Questions in one bulk of checks."""
    context_size_max: int = 4_096
    """Bytes of the context that one question may bring, as canonical JSON."""
    contextual_tuples_max: int = 100
    """Tuples that one question may bring beside the stored ones."""
    best_resources_max: int = 1_000
    """Resources in one best-access request."""
    best_subjects_max: int = 1_000
    """Subjects in one best-access request about one resource."""
    rights_nodes_max: int = 500_000
    """Sub-questions opened to judge what an actor may write, in one write: the store is locked meanwhile."""
    rights_tuples_max: int = 2_000_000
    """Tuples read to judge what an actor may write, in one write."""
    updates_max: int = 1_000
    """Tuples in one write; imports are bounded by `import_tuples_max` instead."""
    tuple_context_size_max: int = 25_000
    """Bytes of a tuple's context, as JSON without spaces and in ASCII; of those brought with a question, together."""
    preconditions_max: int = 1_000
    """Preconditions of one write."""
    deletes_max: int = 1_000_000
    """Tuples that one delete by filter may take away."""
    import_tuples_max: int = 5_000_000
    """Tuples in one import, which is one transaction."""
    read_page_max: int = 1_000
    """Tuples in one page of a read."""
    lookup_rows_max: int = 200_000
    """Rows in one page of a lookup, and in all of a lookup without pages; counts are bounded by work alone.

    Finding the candidates of a lookup may spend `nodes_max` and `tuples_max`, and so may deciding each of them.
    """
    log_page_max: int = 1_000
    """Revisions in one page of the change log."""
    reason_size_max: int = 4_096
    """Characters of the reason given for a write."""
    request_id_size_max: int = 128
    """Characters of a request id."""
    request_kept_s: int = 86_400
    """For how many seconds a request id is known, where the write does not say until when."""
    staleness_ms_max: int = 5_000
    """How old, in milliseconds, an answer under `minimize_latency` may be."""

"""How much Hypothesis tries: a little in `make test`, a lot in `make test-long` (which sets RELGRAPH_LONG=1).

A test that needs its own number of examples says so beside itself; no test has a deadline, since speed is never a test.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "quick", max_examples=100, deadline=None, print_blob=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("long", parent=settings.get_profile("quick"), max_examples=5_000)
settings.load_profile("long" if os.environ.get("RELGRAPH_LONG") else "quick")

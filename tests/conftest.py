"""How much Hypothesis tries: a little in `make test`, a lot in `make test-long` (which sets RELGRAPH_LONG=1).

A test that needs its own number of examples says so beside itself; no test has a deadline, since speed is never a test.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli_double import Double
    from tests.postgres_kit import Server

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "quick", max_examples=100, deadline=None, print_blob=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("long", parent=settings.get_profile("quick"), max_examples=5_000)
settings.load_profile("long" if os.environ.get("RELGRAPH_LONG") else "quick")


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Double:
    """What the terminal's commands ask in place of a store or a server."""
    from relgraph.cli import options
    from tests.cli_double import Double

    made = Double()
    monkeypatch.setattr(options, "open_target", made.open)
    monkeypatch.setenv("RELGRAPH_SERVER", "127.0.0.1:1")
    monkeypatch.delenv("RELGRAPH_STORE", raising=False)
    return made


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL of this test run, which all its processes share."""
    from tests.postgres_kit import serving

    base = tmp_path_factory.getbasetemp()
    # With several processes each has a folder of its own below the run's.
    with serving(base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) as server:
        yield server

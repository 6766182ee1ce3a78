"""The server as a program of its own: how it starts, says so, stops, and what it leaves on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from relgraph import errors
from relgraph.api import open_authorizer
from relgraph.client import Client
from relgraph.revision import Consistency
from tests.serving import SCHEMA, TUPLES, program, program_environment

if TYPE_CHECKING:
    from pathlib import Path


def test_the_program_serves_stops_and_keeps(tmp_path: Path) -> None:
    """A server told to stop ends well, and the next one on its store knows all that was written."""
    store = f"sqlite:///{tmp_path / 'access.db'}"
    with program(store) as (address, process):
        with Client(address) as client:
            client.write_schema(SCHEMA)
            written = client.write(touch=TUPLES)
            assert client.check("user:anna", "administer", "report:q3")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with program(store) as (address, process):
        with Client(address) as client:
            decision = client.decide(
                "user:anna", "administer", "report:q3", consistency=Consistency.at_least(written.token)
            )
            assert (True, written.revision) == (decision.allowed, decision.revision)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_token_of_another_store_is_refused(tmp_path: Path) -> None:
    """A token that another store gave out is out of range, at once."""
    with open_authorizer(f"sqlite:///{tmp_path / 'other.db'}") as other:
        token = other.write_schema(SCHEMA).token
    with program(f"sqlite:///{tmp_path / 'access.db'}") as (address, _), Client(address) as client:
        client.write_schema(SCHEMA)
        for consistency in (Consistency.at_least(token), Consistency.at_exactly(token)):
            with pytest.raises(errors.RevisionUnavailable):
                client.schema(consistency=consistency)


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """Two servers never share a port: the second says that it cannot listen, and ends."""
    code = (
        "import sys\n"
        "from relgraph.errors import InvalidSetting\n"
        "from relgraph_server.app import run\n"
        "from relgraph_server.settings import load_settings\n"
        "try:\n"
        "    run(load_settings({'store': 'sqlite://', 'listen': sys.argv[1]}, {}))\n"
        "except InvalidSetting as error:\n"
        "    print(error.message)\n"
    )
    with program(f"sqlite:///{tmp_path / 'access.db'}") as (address, _):
        second = subprocess.run(
            [sys.executable, "-c", code, address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=program_environment(),
        )
        assert f"cannot listen on `{address}`" in second.stdout


def test_a_killed_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """A server that is killed outright has lost nothing that it acknowledged."""
    store = f"sqlite:///{tmp_path / 'access.db'}"
    with program(store) as (address, process), Client(address) as client:
        client.write_schema(SCHEMA)
        written = client.write(touch=TUPLES)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    with open_authorizer(store) as authorizer:
        page = authorizer.read(consistency=Consistency.at_least(written.token))
        assert sorted(TUPLES) == sorted(map(str, page.tuples))

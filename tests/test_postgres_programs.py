"""The terminal and the server on PostgreSQL: the same commands, given another URL."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import relgraph
from relgraph.cli import main
from relgraph.client import Client
from relgraph.revision import Consistency
from tests.serving import SCHEMA, TUPLES, program_environment

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.postgres_kit import Server


def test_the_terminal_works_on_it(postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--store postgresql://…` makes a store with its schema, imports, writes, asks, reads back and verifies."""
    store = ["--store", postgres.url()]
    (tmp_path / "schema.zed").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "tuples.txt").write_text("\n".join(TUPLES), encoding="utf-8")

    def done(*arguments: str) -> list[str]:
        assert 0 == main([*store, *arguments])
        return capsys.readouterr().out.splitlines()

    assert 5 == main([*store, "check", "user:anna", "administer", "report:q3"])
    assert "there is no store" in capsys.readouterr().err
    done("schema", "write", str(tmp_path / "schema.zed"))
    done("import", str(tmp_path / "tuples.txt"), "--allow-wildcards")
    done("write", "--touch", "report:q5#viewer@user:zoe", "--delete", "group:eng#member@group:board#member")
    assert ["yes"] == [
        json.loads(line)["verdict"] for line in done("check", "user:anna", "administer", "report:q3", "--json")
    ]
    assert sorted(
        ["report:q5#viewer@user:zoe", *(each for each in TUPLES if "group:eng#member@" not in each)]
    ) == sorted(done("read"))
    assert "sound" in done("verify")[-1]


def test_the_server_serves_it(postgres: Server) -> None:
    """`relgraph serve --store postgresql://…` serves; another process on the same store sees all it acknowledged."""
    url = postgres.url()
    command = [sys.executable, "-m", "relgraph.cli", "serve", "--store", url, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=program_environment()) as process:
        assert process.stdout is not None
        try:
            address = json.loads(process.stdout.readline())["grpc"]
            with Client(address) as client, relgraph.open(url) as beside:
                client.write_schema(SCHEMA)
                token = client.write(touch=TUPLES).token
                at_least = Consistency.at_least(token)
                assert beside.check("user:anna", "administer", "report:q3", consistency=at_least)
                beside.write(delete=["report:q3#administrator@group:board#member"])
                beside.write(delete=["report:q3#administrator@group:eng#member"])
                assert not client.check("user:anna", "administer", "report:q3")
        finally:
            process.terminate()
        assert 0 == process.wait(30)

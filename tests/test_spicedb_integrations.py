"""Integrations of SpiceDB, unmodified, against a relgraph server: their documented examples, each its own program."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from relgraph.api import open_authorizer
from relgraph_server.keys import SCOPES
from tests.keys_kit import add_key, guarded
from tests.serving import ROOT, in_process, program_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 300


@pytest.fixture
def place(tmp_path: Path) -> Iterator[list[str]]:
    """The address of an empty server that wants a key, and the key."""
    keys = tmp_path / "keys"
    key = add_key(keys, "application", SCOPES)
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer, guarded(keys)) as address:
        yield [address, key]


def said(program: str, place: list[str]) -> dict[str, object]:
    """What a program of tests.clients prints."""
    ran = subprocess.run(
        [sys.executable, "-m", f"tests.clients.{program}", *place],
        cwd=ROOT,
        env=program_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert 0 == ran.returncode, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def test_django(place: list[str]) -> None:
    """A Django project's models are published, synced, asked about and listed through `django-spicedb`."""
    assert {
        "own": True,
        "inherited": True,
        "strangers": False,
        "accessible": ["plan"],
        "subjects": ["1", "2"],
        "people": ["1", "2"],
        "moved away": False,
        "left": ["plan"],
    } == said("django_documents", place)


def test_langchain(place: list[str]) -> None:
    """A retrieval is filtered behind and before by `langchain-spicedb`, and an agent's tools are answered."""
    assert {
        "alice": ["doc1", "doc2"],
        "bob": ["doc3"],
        "carol": [],
        "before": ["doc1", "doc2"],
        "yes": "true",
        "no": "false",
        "many": "bob can access: doc3",
    } == said("langchain_articles", place)

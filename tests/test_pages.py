"""The pages name everything that is there, and the README says of nothing that it is missing once it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

import relgraph
from relgraph.v1 import authorizer_pb2
from tests import house, readme

if TYPE_CHECKING:
    from pathlib import Path

PROJECT_PATH: Final = re.compile(
    r"`((?:benchmarks|deploy|docs|proto|relgraph|scenarios|server|tests|typing)/[\w./-]*|\w+\.md)`"
)
TABLE_ROW: Final = re.compile(r"^\| (?P<names>`[^|]+`) \|", re.MULTILINE)


def names_in_tables(page: str) -> set[str]:
    """Return what stands in backticks in the first columns of a page's tables."""
    text = (house.ROOT / "docs" / page).read_text(encoding="utf-8")
    return {name for row in TABLE_ROW.finditer(text) for name in re.findall(r"`([^`]+)`", row["names"])}


def service_methods() -> set[str]:
    """Return the methods of the service."""
    return {method.name for method in authorizer_pb2.DESCRIPTOR.services_by_name["AuthorizerService"].methods}


@pytest.mark.parametrize("path", house.pages(), ids=house.shown)
def test_files_that_a_page_names_are_there(path: Path) -> None:
    """What a page names between backticks as a file or folder of the project is one."""
    named = {
        found[1] for line in readme.prose(path.read_text(encoding="utf-8")) for found in PROJECT_PATH.finditer(line)
    }
    assert [] == sorted(name for name in named if not (house.ROOT / name).exists())


def test_the_library_page_names_every_method() -> None:
    """docs/library.md has each public method of an Authorizer, and no other."""
    methods = {name for name in dir(relgraph.Authorizer) if not name.startswith("_")}
    assert methods == names_in_tables("library.md")


def test_the_server_page_names_every_method() -> None:
    """docs/server.md has each method of the service, and no other."""
    assert service_methods() == names_in_tables("server.md")


def test_what_the_readme_misses_is_missing() -> None:
    """What stands under "Not there yet" is not there: whoever brings it takes it out of the README."""
    text = (house.ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Not there yet")[1].split("\n## ")[0]
    assert [] == sorted(service_methods() & {"Explain", "WatchAccess"})
    for told in ("Explaining", "WatchAccess", "Dry runs"):
        assert f"**{told}" in section

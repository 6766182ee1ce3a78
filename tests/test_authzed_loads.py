"""What a few kilobytes of a request or file must not cost: seconds of everybody's, or gigabytes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import permission_service_pb2 as permissions
from authzed.api.v1 import schema_service_pb2 as pb
from authzed.api.v1 import watch_service_pb2 as watches

from relgraph.api import open_authorizer
from relgraph.cli.scenario import read_scenario
from relgraph.errors import InvalidFile
from relgraph.schema import parse
from relgraph.spicedb import Address, send
from relgraph.tuples import RelationTuple
from relgraph_server.authzed.reflection import Filters, reflected
from relgraph_server.authzed.watches import Telling
from tests.serving import in_process

if TYPE_CHECKING:
    from pathlib import Path


def test_many_filters_of_a_reflection_are_looked_up() -> None:
    many = "\n".join(f"definition type{each} {{ relation viewer: user }}" for each in range(400))
    schema = parse(f"definition user {{}}\n{many}")
    wanted = [
        pb.ReflectionSchemaFilter(optional_definition_name_filter="type", optional_relation_name_filter=f"none{each}")
        for each in range(20_000)
    ]
    started = time.process_time()
    definitions, _ = reflected(schema, Filters(wanted))
    assert time.process_time() - started < 5
    assert len(definitions) == 400
    assert not any(each.relations for each in definitions)


def test_an_alias_bomb_is_not_written_out(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    lines = ["title:", "  - &a0 [k, k, k, k, k, k, k, k, k, k]"]
    lines += [f"  - &a{each} [{', '.join([f'*a{each - 1}'] * 10)}]" for each in range(1, 30)]
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidFile, match="a list is not a text"):
        read_scenario(path)


@pytest.mark.parametrize(("length", "values"), [(6_000, 2), (1, 60)])
def test_tuples_with_long_contexts_are_sent_in_messages_that_are_taken(
    tmp_path: Path, length: int, values: int
) -> None:
    url = f"sqlite:///{tmp_path / 'ours.db'}"
    schema = "caveat near(site string, days list<int>) { site == 'x' && days.size() > 1 }\n"
    schema += "definition user {}\ndefinition doc { relation viewer: user with near }"
    context = f'{{"days":{list(range(values))},"site":"{"q" * length}"}}'
    with open_authorizer(url) as source:
        source.write_schema(schema)
        source.load([RelationTuple.parse(f"doc:d{each}#viewer@user:u[near:{context}]") for each in range(1_000)])
    with open_authorizer("sqlite://") as target, in_process(target) as address:
        assert send(url, Address.parse(f"spicedb://{address}?insecure")).tuples == 1_000


def test_a_watch_by_many_filters_holds_up_nobody() -> None:
    filters = [permissions.RelationshipFilter(optional_relation="viewer", resource_type="doc")] * 19_000
    request = watches.WatchRequest(optional_relationship_filters=filters)
    assert Telling(request).looks == 19_000
    assert Telling(watches.WatchRequest()).looks == 1

"""What a few kilobytes of a request or file must not cost: seconds of everybody's, or gigabytes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import InsecureClient
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
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from relgraph_server.feed import Item


class Filtered(list[pb.ReflectionSchemaFilter]):
    """Filters that count how often they are gone through."""

    def __init__(self, filters: Iterable[pb.ReflectionSchemaFilter]) -> None:
        super().__init__(filters)
        self.rounds = 0

    def __iter__(self) -> Iterator[pb.ReflectionSchemaFilter]:
        """Go through them once more."""
        self.rounds += 1
        return super().__iter__()


def test_many_filters_of_a_reflection_are_looked_up() -> None:
    """Filters are gone through a few times in all, however many definitions there are, and select what they name."""
    many = "\n".join(f"definition type{each} {{ relation viewer: user }}" for each in range(400))
    schema = parse(f"definition user {{}}\n{many}")
    names = [f"none{each}" for each in range(2_000)]
    wanted = Filtered(
        pb.ReflectionSchemaFilter(optional_definition_name_filter="type", optional_relation_name_filter=name)
        for name in names
    )
    definitions, _ = reflected(schema, Filters(wanted))
    assert wanted.rounds < 10
    assert len(definitions) == 400
    assert not any(each.relations for each in definitions)


def test_an_alias_bomb_is_not_written_out(tmp_path: Path) -> None:
    """Lists that stand for each other many times over are refused without being spelled out."""
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
    """Contexts that are long, or hold many values, make shorter messages, and nothing is left behind."""
    url = f"sqlite:///{tmp_path / 'ours.db'}"
    schema = "caveat near(site string, days list<int>) { site == 'x' && days.size() > 1 }\n"
    schema += "definition user {}\ndefinition doc { relation viewer: user with near }"
    context = f'{{"days":{list(range(values))},"site":"{"q" * length}"}}'
    with open_authorizer(url) as source:
        source.write_schema(schema)
        source.load([RelationTuple.parse(f"doc:d{each}#viewer@user:u[near:{context}]") for each in range(1_000)])
    with open_authorizer("sqlite://") as target, in_process(target) as address:
        assert send(url, Address.parse(f"spicedb://{address}?insecure")).tuples == 1_000


def test_a_watch_by_many_filters_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a few changes are, to many filters, is found out in a thread: the server goes on answering meanwhile."""
    places: list[str] = []
    before = Telling.parts

    def parts(telling: Telling, items: Sequence[Item]) -> object:
        places.append(threading.current_thread().name)
        return before(telling, items)

    monkeypatch.setattr(Telling, "parts", parts)
    many = [permissions.RelationshipFilter(resource_type="doc", optional_relation="viewer")] * 1_001
    request = watches.WatchRequest(
        optional_relationship_filters=many, optional_update_kinds=[watches.WATCH_KIND_INCLUDE_CHECKPOINTS]
    )
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address:
        authorizer.write_schema("definition user {}\ndefinition doc { relation viewer: user }")
        stream = InsecureClient(address, "none is asked for").Watch(request)
        assert next(stream).is_checkpoint
        for number in range(3):
            authorizer.write(touch=[f"doc:d{number}#viewer@user:anna"])
        told = 0
        while told < 3:
            told += len(next(stream).updates)
        stream.cancel()
    assert places
    assert "test-server" not in places

"""Clients that read their own writes: what they have seen is remembered, and never goes back."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import relgraph
from relgraph.client import Client
from relgraph.client.memory import Memory
from relgraph.errors import InvalidToken, RevisionUnavailable
from relgraph.revision import Consistency, Token
from tests.api_kit import SCHEMA
from tests.awaited import awaited
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Opens = Callable[..., AbstractContextManager[Client]]

FACT = "doc:one#viewer@user:anna"
FIRST = Token(b"one store.......", 1, 5, b"five nonce......", 500)


def seen(*tokens: Token) -> Token | None:
    """What is remembered of tokens that come in that order."""
    memory = Memory()
    for each in tokens:
        memory.note(str(each))
    found = memory.at_least()
    return None if found is None else found.token


def test_the_newest_is_kept() -> None:
    """Newer revisions and epochs replace older ones, never the other way round; and no instant is taken back."""
    assert seen() is None
    later = replace(FIRST, revision=6, nonce=b"six nonce.......", instant=400)
    assert seen(FIRST, later) == seen(later, FIRST) == replace(later, instant=500)
    epoch = replace(FIRST, epoch=2, revision=1, instant=900)
    assert seen(FIRST, epoch, later) == seen(later, epoch) == epoch
    again = replace(FIRST, instant=600)
    assert seen(FIRST, again) == seen(again, FIRST) == again


def test_another_store_is_not_believed() -> None:
    """A token of another store does not replace what was seen; what is no token is an error."""
    assert FIRST == seen(FIRST, replace(FIRST, store=b"another store...", revision=9))
    with pytest.raises(InvalidToken):
        Memory().note("token")


def test_many_threads_remember_the_newest() -> None:
    """Answers that come in from many threads, in any order, leave the newest."""
    memory = Memory()
    texts = [str(replace(FIRST, revision=number)) for number in range(1, 401)]

    def note(part: list[str]) -> None:
        for text in part:
            memory.note(text)

    threads = [threading.Thread(target=note, args=(texts[n::8][:: 1 if n % 2 else -1],)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert memory.at_least() == Consistency.at_least(texts[-1])


class Noted:
    """An Authorizer that notes the consistency that it is asked at."""

    def __init__(self, inner: relgraph.Authorizer) -> None:
        self._inner = inner
        self.asked: list[Consistency | None] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: object, **kwargs: Any) -> object:
            if "consistency" in kwargs:
                self.asked.append(kwargs["consistency"])
            return found(*args, **kwargs)

        return call


@pytest.fixture(params=["threads", "tasks"])
def opens(request: pytest.FixtureRequest) -> Opens:
    """Opens either client."""
    return Client if request.param == "threads" else awaited


@pytest.fixture
def noted() -> Iterator[Noted]:
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        yield Noted(authorizer)


def test_questions_are_asked_of_what_was_seen(noted: Noted, opens: Opens) -> None:
    """Every question is of the newest state that any answer before it was of, unless the caller wants another."""
    with in_process(noted) as address, opens(address, read_your_writes=True) as client:
        client.schema()
        written = client.write(touch=[FACT, "doc:two#viewer@user:bob"])
        client.check(FACT)
        client.decide_many([FACT])
        client.best("user:anna", "doc:one")
        client.best_subjects(["user:anna"], "doc:one")
        client.expand("doc:one", "viewer")
        client.orphans()
        client.diff_schema(SCHEMA)
        client.schema()
        page = client.read(limit=1)
        client.check(FACT, consistency=Consistency.minimize_latency())
        first, *rest = noted.asked
        assert first is None
        assert rest.pop() == Consistency.minimize_latency()
        assert {("at_least", written.revision)} == {
            (each.mode, each.token and each.token.revision) for each in rest if each
        }
        instants = [each.token.instant for each in rest if each and each.token]
        assert sorted(instants) == instants
        assert 9 == len(rest)
        # A cursor is of its own revision.
        assert 1 == len(client.read(limit=1, cursor=page.cursor).tuples)
        with client.dump() as dump:
            assert 2 == len(list(dump))


def test_what_others_wrote_is_seen_once_it_was_seen(noted: Noted, opens: Opens) -> None:
    """What a watch tells is seen by the next question; and each client remembers for itself."""
    with in_process(noted) as address, opens(address, read_your_writes=True) as client:
        with client.watch(heartbeat=0.5) as watch:
            written = noted._inner.write(touch=[FACT])
            while watch.revision < written.revision:
                next(iter(watch))
        assert client.check(FACT)
        assert noted.asked[-1] == replace(Consistency.at_least(written.token), token=noted.asked[-1].token)  # type: ignore[union-attr]
        with opens(address) as plain:
            plain.check(FACT)
            assert noted.asked[-1] is None


def test_a_store_that_went_back_is_noticed(noted: Noted, opens: Opens) -> None:
    """When the server has another store all of a sudden, a client that remembers is told, and not answered."""
    with in_process(noted) as address, opens(address, read_your_writes=True) as client:
        client.write(touch=[FACT])
        with relgraph.open("sqlite://") as other:
            other.write_schema(SCHEMA)
            noted._inner, before = other, noted._inner
            try:
                with pytest.raises(RevisionUnavailable):
                    client.check(FACT)
            finally:
                noted._inner = before
        assert client.check(FACT)

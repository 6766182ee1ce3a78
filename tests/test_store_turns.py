"""Writers take turns, and a turn that was never given back is taken over."""

from __future__ import annotations

import threading

from relgraph.store.sql.turns import WriterTurn


class Writer:
    """Whoever writes."""


def elsewhere(turn: WriterTurn) -> bool:
    """Whether another thread gets the turn; it gives it back."""
    got = []

    def take() -> None:
        writer = Writer()
        got.append(turn.enter(writer, 0))
        turn.leave(writer)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got[0]


def test_one_at_a_time() -> None:
    """A turn is one writer's until it leaves, in the same thread too, and nobody else can give it back."""
    turn, first, second = WriterTurn(), Writer(), Writer()
    assert (True, False, False) == (turn.enter(first, 0), turn.enter(second, 0), elsewhere(turn))
    turn.leave(second)
    assert not elsewhere(turn)
    turn.leave(first)
    assert elsewhere(turn)
    turn.leave(first)
    assert elsewhere(turn)


def test_a_turn_that_was_never_given_back() -> None:
    """Where the leaving itself was interrupted, the next turn of the thread takes over, and is given back."""
    turn = WriterTurn()
    for _ in range(3):
        assert turn.enter(Writer(), 0)
        assert not elsewhere(turn)
    last = Writer()
    assert turn.enter(last, 0)
    assert not elsewhere(turn)
    turn.leave(last)
    assert elsewhere(turn)

"""The graph in memory: versions that a pinned view needs stay, others go, and a chain that does not fit is noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relgraph.graph import Graph, PastView
from relgraph.revision import Revision
from relgraph.store import open_store
from relgraph.store.base import EMPTY, Changes, Commit, Image, NumberedRow
from relgraph.tuples import RelationTuple


def _revision(number: int) -> Revision:
    return Revision(number, number.to_bytes(16), number)


def _changes(number: int, rows: list[NumberedRow], nonce: bytes | None = None) -> Changes:
    revision = _revision(number)
    predecessor = EMPTY.nonce if number == 1 else _revision(number - 1).nonce
    return Changes(revision, ((revision, nonce or predecessor),), rows, [], [], ())


OBJECTS = [(number, 1, f"o{number}") for number in range(1, 5)]


def _row(subject: int, created: int, deleted: int | None = None) -> NumberedRow:
    return NumberedRow(1, 1, subject, 0, created, deleted, 0, None)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_every_pinned_view_keeps_its_state(steps: list[tuple[int, bool, bool]]) -> None:
    """Tuples come and go, views are pinned and left, the graph folds: each view still shows its own revision."""
    graph = Graph(Image(EMPTY, [], iter(OBJECTS), iter(()), ()))
    living: dict[int, int] = {}
    pinned = []
    for number, (subject, pin, fold) in enumerate(steps, start=1):
        if subject in living:
            rows = [_row(subject, living.pop(subject), number)]
        else:
            living[subject] = number
            rows = [_row(subject, number)]
        changes = _changes(number, rows)
        assert graph.follows(changes)
        graph.apply(changes)
        if pin:
            view = graph.view()
            assert view is not None
            pinned.append((view, set(living)))
        if fold:
            if len(pinned) > 2:
                pinned.pop(0)[0].__exit__(None, None, None)
            graph.fold()
        for view, expected in pinned:
            assert expected == {edge.subject for edge in view.edges(1, 1)}
            assert expected == {subject for subject in range(1, 5) if view.edges_to(1, 1, subject, 0)}


def test_a_folded_revision_is_not_pinned_again() -> None:
    """After folding, the graph says that it no longer has an older revision, instead of showing a mixture."""
    graph = Graph(Image(EMPTY, [], iter(OBJECTS), iter(()), ()))
    graph.apply(_changes(1, [_row(1, 1)]))
    graph.apply(_changes(2, [_row(1, 1, 2)]))
    assert graph.view(1) is not None
    view = graph.view(1)
    assert view is not None
    graph.fold()
    assert [1] == [edge.subject for edge in view.edges(1, 1)]
    for _ in range(2):
        graph.release(1)
    graph.fold()
    assert graph.view(1) is None
    assert graph.view(3) is None


def test_a_chain_that_does_not_fit_is_noticed() -> None:
    """Changes whose predecessor is another revision, or that skip one, are not followed."""
    graph = Graph(Image(EMPTY, [], iter(()), iter(()), ()))
    assert graph.follows(_changes(1, []))
    assert not graph.follows(_changes(1, [], nonce=b"x" * 16))
    assert not graph.follows(_changes(2, []))


def test_the_past_reads_as_the_graph_did() -> None:
    """A view of the store's rows at an older revision answers what the graph answered then."""
    clock = iter(range(1, 1_000_000))
    store = open_store("sqlite://", clock=lambda: next(clock), random=lambda size: next(clock).to_bytes(size))
    first = RelationTuple.parse("doc:one#viewer@group:board#member")
    second = RelationTuple.parse("doc:one#viewer@user:anna")
    for delete, create in (((), (first,)), ((), (second,)), ((first,), ())):
        with store.transaction() as transaction:
            transaction.apply(delete=delete, create=create)
            transaction.seal(Commit())
            transaction.commit()
    expected = {1: {"group"}, 2: {"group", "user"}, 3: {"user"}}
    for number, types in expected.items():
        with PastView(store.snapshot(), number) as view:
            type_number = view.name_number("doc")
            relation = view.name_number("viewer")
            assert type_number is not None
            assert relation is not None
            resource = view.object_number(type_number, "one")
            assert resource is not None
            assert types == {view.object(edge.subject).type for edge in view.edges(resource, relation)}
            usersets = {edge.subject for edge in view.usersets(resource, relation)}
            assert usersets == {edge.subject for edge in view.edges(resource, relation) if edge.subject_relation}
    store.close()

"""What the terminal's tests work on instead of a store: it answers from a list and remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from relgraph.answers import Page
from relgraph.revision import Consistency, Token
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from relgraph.cli.target import Target

__all__ = ["ANNA", "BRINGS_NOTHING", "MEMBER", "REPORT", "TOKEN", "VIA", "Double"]

TOKEN = str(Token(store=b"s" * 16, epoch=1, revision=7, nonce=b"n" * 16, instant=0))
ANNA = Subject.parse("user:anna")
REPORT = Object.parse("report:q3")
VIA = RelationTuple.parse("report:q3#manager@group:board#member")
MEMBER = RelationTuple.parse("group:board#member@user:anna")
BRINGS_NOTHING: dict[str, object] = {"context": None, "contextual": ()}
"""What a question is asked with that brings nothing along."""


@dataclass
class Double:
    """Answers each method with what `answers` holds for it (raised, if that is an error), and notes each call."""

    answers: dict[str, object] = field(default_factory=dict)
    tuples: list[RelationTuple] = field(default_factory=list)
    calls: list[tuple[str, tuple[object, ...], dict[str, object]]] = field(default_factory=list)
    loaded: list[RelationTuple] = field(default_factory=list)
    opened: list[tuple[Target, bool]] = field(default_factory=list)
    page_max: int = 2

    def open(self, target: Target, *, creates: bool = False) -> Self:
        self.opened.append((target, creates))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., object]:
        def method(*arguments: object, **options: object) -> object:
            self.calls.append((name, arguments, options))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return method

    def load(self, tuples: Iterable[RelationTuple], **options: object) -> object:
        self.calls.append(("load", (), options))
        self.loaded = list(tuples)
        answer = self.answers["load"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read(self, filter: TupleFilter, *, limit: int, cursor: str, consistency: Consistency | None) -> Page:
        self.calls.append(("read", (filter,), {"limit": limit, "cursor": cursor, "consistency": consistency}))
        found = [tuple_ for tuple_ in sorted(self.tuples) if filter.matches(tuple_)]
        start = int(cursor or "0")
        end = start + min(limit, self.page_max)
        return Page(tuple(found[start:end]), str(end) if end < len(found) else "", 7, TOKEN)

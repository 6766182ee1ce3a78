"""The brute-force judge of what an actor may write: the law's fourth step, one question to the oracle at a time.

*Rule 1*: nothing is imported from relgraph, so that no mistake can be shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.oracle import YES, Object, Oracle, Subject, Tuple, World
from tests.worlds import schema_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracle import Schema

__all__ = ["END_OF_TIME", "GrantJudge", "Line", "granting"]

END_OF_TIME = 10**30
"""An instant after every expiration."""


@dataclass(frozen=True, slots=True)
class Line:
    """`grant relation [to wildcard:*] by permission [and subject subject]` in the definition of `type`."""

    type: str
    relation: str
    permission: str
    subject: str = ""
    wildcard: str = ""

    @property
    def text(self) -> str:
        """The line as the schema language writes it."""
        to = f" to {self.wildcard}:*" if self.wildcard else ""
        beside = f" and subject {self.subject}" if self.subject else ""
        return f"grant {self.relation}{to} by {self.permission}{beside}"


def granting(schema: Schema, lines: Iterable[Line]) -> str:
    """Return the schema's text with grant lines in it."""
    text = schema_text(schema)
    for line in lines:
        head = f"definition {line.type} {{"
        text = re.sub(rf"^{re.escape(head)}$", f"{head}\n  {line.text}", text, count=1, flags=re.MULTILINE)
    return f"use grants\n{text}"


class GrantJudge:
    """What actors may do in one state: that of a world before the write, at the world's instant."""

    def __init__(self, world: World, lines: Iterable[Line]) -> None:
        self._world = world
        self._lines = tuple(lines)
        self._oracles: dict[int, Oracle] = {}

    def may_write(self, actor: Object, entry: Tuple) -> bool:
        """Whether the actor may touch or create the tuple: he has the right now, and when it lives for the last time.

        A tuple that has expired already lives at no instant, so now is all there is.
        """
        last = END_OF_TIME if entry.expires is None else entry.expires - 1
        return self._may(actor, entry, {self._world.now, max(self._world.now, last)})

    def may_delete(self, actor: Object, entry: Tuple) -> bool:
        """Whether the actor may delete the tuple, living or not."""
        return self._may(actor, entry, {self._world.now})

    def may_ask(self, actor: Object, resource: Object, relation: str, subject: Subject | None = None) -> bool:
        """Whether the actor may name `resource#relation[@subject]` in a filter, whatever matches it.

        Without a subject it is judged as the write of a plain one, by what the resource takes.
        """
        if subject is not None:
            return self.may_delete(actor, Tuple(resource, relation, subject))
        admitted = self._world.schema.definitions[resource.type].relations[relation]
        kinds = [kind for kind in admitted if not kind.universal]
        wildcards = {kind.type for kind in kinds} if kinds and all(kind.wildcard for kind in kinds) else {""}
        lines = [self._line(resource.type, relation, wildcard) for wildcard in wildcards]
        if resource.id == "*" or None in lines:
            return False
        return all(line is not None and self._has(actor, line.permission, resource, self._world.now) for line in lines)

    def may_delete_matching(self, actor: Object, resource: Object, relation: str, reached: Iterable[Tuple]) -> bool:
        """Whether the actor may delete all of `resource#relation`, of which `reached` are living."""
        return self.may_ask(actor, resource, relation) and all(self.may_delete(actor, entry) for entry in reached)

    def _may(self, actor: Object, entry: Tuple, instants: Iterable[int]) -> bool:
        line = self._line(entry.resource.type, entry.relation, entry.subject.type if entry.subject.id == "*" else "")
        if line is None or entry.resource.id == "*":
            return False
        return all(
            self._has(actor, line.permission, entry.resource, instant)
            and (not line.subject or self._has(actor, line.subject, entry.subject.object, instant))
            for instant in instants
        )

    def _line(self, type_: str, relation: str, wildcard: str) -> Line | None:
        wanted = (type_, relation, wildcard)
        return next((line for line in self._lines if (line.type, line.relation, line.wildcard) == wanted), None)

    def _has(self, actor: Object, name: str, resource: Object, instant: int) -> bool:
        oracle = self._oracles.get(instant)
        if oracle is None:
            oracle = self._oracles[instant] = Oracle(self._world, now=instant)
        return oracle.verdict(Subject(actor.type, actor.id), name, resource) == YES

"""Lookups: what a subject has a permission on, who has it on a resource, how many those are, and all permissions.

Rule 1: a lookup that cannot be told in full is an error, never a shorter list: a page has as many rows as were asked
for, but for the last one, and a lookup without a limit has all.
Rule 2: all pages of a lookup are answered from the first one's revision, at its instant. A page goes on behind the last
id of the page before: what stands up to there is not decided again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from relgraph.answers import Count, Found, Held, Lookup, Permissions, Verdict
from relgraph.api.cursors import LookupCursor
from relgraph.api.deadlines import ends_at
from relgraph.api.listings import Listings
from relgraph.api.worlds import brought, world_of
from relgraph.engine import SubjectScope, Walk, check, resources, subjects
from relgraph.errors import InvalidCursor, InvalidInput, LimitExceeded
from relgraph.revision import Token
from relgraph.tuples import WILDCARD, Object, Subject, check_relation, check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from relgraph.api.following import Following
    from relgraph.api.worlds import Brought
    from relgraph.engine import Listing, World
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.tuples import RelationTuple

    Words = tuple[str, ...]
    Opening = Callable[[World], Listing]

__all__ = ["Lookups"]


class Lookups:
    """The part of an Authorizer that looks up."""

    limits: Limits
    _following: Following

    @property
    def listings(self) -> Listings:
        """Lookups and exports row by row, for a server that tells them in another dialect."""
        return Listings(self._following, self.limits)

    def what(
        self,
        subject: str | Subject,
        permission: str,
        type: str,
        *,
        limit: int | None = None,
        cursor: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Lookup:
        """Return the resources of a type on which `subject` has `permission`, as `check` would say on each.

        The row `*` stands for all resources that no tuple names; it comes first. Then comes every id of which another
        verdict is told. With `limit`, at most so many rows, and a cursor for the next page, of the same revision and
        instant; without it all of them, and LimitExceeded where they are more than `lookup_rows_max`. Raises as
        `check`, and InvalidCursor; UNDECIDED is a verdict here.
        """
        given = brought(context, contextual, self.limits)
        words, opening = self._what(subject, permission, type)
        return self._page(words, opening, given, limit, cursor, consistency, deadline)

    def who(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        *,
        relation: str = "",
        limit: int | None = None,
        cursor: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Lookup:
        """Return the subjects of a type that have `permission` on `resource`;
        with `relation`, usersets `type:id#relation`.

        Rows, pages and errors are as in `what`: the row `*` stands for all subjects that no tuple names.
        """
        given = brought(context, contextual, self.limits)
        words, opening = self._who(resource, permission, type, relation)
        return self._page(words, opening, given, limit, cursor, consistency, deadline)

    def count_resources(
        self,
        subject: str | Subject,
        permission: str,
        type: str,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Count:
        """Return how many ids `what` would list, by verdict. No limit bounds their number. Raises as `what`."""
        given = brought(context, contextual, self.limits)
        return self._count(self._what(subject, permission, type)[1], given, consistency, deadline)

    def count_subjects(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        *,
        relation: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Count:
        """Return how many ids `who` would list, by verdict. No limit bounds their number. Raises as `who`."""
        given = brought(context, contextual, self.limits)
        return self._count(self._who(resource, permission, type, relation)[1], given, consistency, deadline)

    def permissions(
        self,
        subject: str | Subject,
        resource: str | Object,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Permissions:
        """Return the verdict on every relation and permission of the resource, in the schema's order.

        Relations come first. Raises as `check`; UNDECIDED is a verdict here.
        """
        who, what = Subject.of(subject), Object.of(resource)
        given, ends = brought(context, contextual, self.limits), ends_at(deadline)
        with self._following.pinned(consistency, ends) as pinned:
            schema = pinned.rules.schema
            names = schema.definition(what.type).names()
            schema.check_subject(who)
            walk = Walk(SubjectScope(world_of(pinned, self.limits, ends, given), who))
            rows = tuple(Held(name, *check(walk, what, name)) for name in names)
            return Permissions(rows, pinned.revision.number, pinned.token)

    def _what(self, subject: str | Subject, permission: str, type_: str) -> tuple[Words, Opening]:
        who, name, kind = Subject.of(subject), check_relation(permission), check_type(type_)

        def opening(world: World) -> Listing:
            world.program.schema.check_question(who, name, Object(kind, WILDCARD))
            return resources(Walk(SubjectScope(world, who)), kind, name)

        return ("what", str(who), name, kind), opening

    def _who(self, resource: str | Object, permission: str, type_: str, relation: str) -> tuple[Words, Opening]:
        what, name, kind = Object.of(resource), check_relation(permission), check_type(type_)
        if relation:
            check_relation(relation)

        def opening(world: World) -> Listing:
            world.program.schema.check_question(Subject(kind, WILDCARD, relation), name, what)
            return subjects(world, None, what, name, kind, relation)

        return ("who", str(what), name, kind, relation), opening

    def _page(
        self,
        words: Words,
        opening: Opening,
        given: Brought,
        limit: int | None,
        cursor: str,
        consistency: Consistency | None,
        deadline: float | None,
    ) -> Lookup:
        most = self.limits.lookup_rows_max
        if limit is not None and not 1 <= limit <= most:
            raise InvalidInput(f"a page of a lookup holds 1 to {most} rows, not {limit}")
        before = None
        words += given.words
        if cursor:
            if consistency is not None:
                raise InvalidCursor("a cursor carries its own revision and instant; leave consistency and time out")
            before = LookupCursor.parse(cursor, words)
        ends = ends_at(deadline)
        page_before = None if before is None else before.token
        with self._following.pinned(consistency, ends, page_before, walks=True) as pinned:
            listing = opening(world_of(pinned, self.limits, ends, given))
            found = list(islice(_rows(listing, before), (limit or most) + 1))
            page = tuple(found[: limit or most])
            after = ""
            if len(found) > len(page):
                if limit is None:
                    raise LimitExceeded(
                        f"the lookup finds more than {most} ids; ask for them page by page, with a `limit` for each, "
                        "or count them",
                        {"limit": "lookup_rows_max", "value": str(most)},
                    )
                after = str(LookupCursor(words, Token.parse(pinned.token), page[-1].id))
            return Lookup(page, after, pinned.revision.number, pinned.token)

    def _count(
        self, opening: Opening, given: Brought, consistency: Consistency | None, deadline: float | None
    ) -> Count:
        ends = ends_at(deadline)
        with self._following.pinned(consistency, ends) as pinned:
            listing = opening(world_of(pinned, self.limits, ends, given))
            counts = dict.fromkeys(Verdict, 0)
            for row in listing.rows():
                counts[row.told[0]] += 1
            return Count(
                counts[Verdict.YES],
                counts[Verdict.CONDITIONAL],
                counts[Verdict.UNDECIDED],
                counts[Verdict.NO],
                listing.everyone[0],
                pinned.revision.number,
                pinned.token,
            )


def _rows(listing: Listing, before: LookupCursor | None) -> Iterator[Found]:
    """Yield the rows behind a cursor, `*` the first of all."""
    if before is None and listing.everyone[0] is not Verdict.NO:
        yield Found(WILDCARD, *listing.everyone)
    for row in listing.rows("" if before is None or before.last == WILDCARD else before.last):
        yield Found(row.id, *row.told)

"""Lookups and exports row by row: every named id that holds the permission, and behind each row where a page goes on.

What `lookups` tells in few words ("everybody, but for these") is told here in full, for a dialect that lists. It is
decided by the same walk.

Rule 1: all pages are answered from the first one's revision, at its instant, and each but the last is full.
Rule 2: what a list cannot say is an error, never a row left out: an answer that is undefined (Undecided, CaveatFailed
where that is why), and a permission on every resource of a type, named or not (Refused).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.answers import Found, Verdict
from relgraph.api.deadlines import ends_at
from relgraph.api.undecided import undecided
from relgraph.api.worlds import Brought, world_of
from relgraph.contexts import Context
from relgraph.engine import SubjectScope, Walk, check, resources, subjects
from relgraph.errors import InvalidCursor, InvalidInput, LimitExceeded, Refused, quoted
from relgraph.revision import Token
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, check_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from relgraph.api.following import Following
    from relgraph.engine import Listing, World
    from relgraph.errors import RelgraphError
    from relgraph.limits import Limits
    from relgraph.revision import Consistency
    from relgraph.tuples import TupleFilter

__all__ = ["Behind", "BehindTuple", "Listed", "Listings", "Sheet"]

_DAMAGED: Final = "the cursor is damaged; pass it exactly as the answer before returned it"
_STRANGER: Final = "?"
"""No id is spelled so: nothing names it, in tuples or questions."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Where a page goes on: the token of the first page, and the last id told, `*` behind the row of everybody."""

    token: Token
    last: str

    def __str__(self) -> str:
        return f"{self.token} {self.last}"

    @classmethod
    def parse(cls, text: str) -> Behind:
        """Read what `str` gave. Raises InvalidCursor."""
        token, _, last = text.partition(" ")
        try:
            return cls(Token.parse(token), last if last == WILDCARD else check_id(last))
        except InvalidInput:
            raise InvalidCursor(_DAMAGED) from None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page: named ids with YES or CONDITIONAL, by their bytes, before them `*` where everybody has one of these.

    `excluded` are the named ids with less than `*`: those with NO, and CONDITIONAL ones that lack something else. Where
    everybody has YES, the latter stand there only.
    """

    rows: tuple[Found, ...]
    excluded: tuple[Found, ...]
    revision: int
    token: str


@dataclass(frozen=True, slots=True)
class BehindTuple:
    """Where an export goes on: the token of its first page, and the last tuple told."""

    token: Token
    last: RelationTuple

    def __str__(self) -> str:
        # Its key is where it stands; what else it says may be long, and is nothing to carry about.
        return f"{self.token} {RelationTuple(*self.last.key)}"

    @classmethod
    def parse(cls, text: str) -> BehindTuple:
        """Read what `str` gave. Raises InvalidCursor."""
        token, _, last = text.partition(" ")
        try:
            return cls(Token.parse(token), RelationTuple.parse(last))
        except InvalidInput:
            raise InvalidCursor(_DAMAGED) from None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Tuples, and the token of the page."""

    tuples: tuple[RelationTuple, ...]
    token: Token


class Listings:
    """Lookups and exports of one store. Names that the schema lacks raise UnknownDefinition or UnknownRelation."""

    def __init__(self, following: Following, limits: Limits) -> None:
        self._following = following
        self._limits = limits

    def resources(
        self,
        subject: Subject,
        permission: str,
        type: str,
        *,
        limit: int = 0,
        behind: Behind | None = None,
        context: Mapping[str, object] | None = None,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Listed:
        """Return the resources of a type on which `subject` has `permission`, at most `limit` where that is not 0."""

        def opening(world: World) -> _Opened:
            schema = world.program.schema
            schema.member(type, permission)
            schema.check_subject(subject)
            walk = Walk(SubjectScope(world, subject))
            listing = resources(walk, type, permission)
            if listing.everyone[0] is not Verdict.NO:
                raise Refused(
                    f"{quoted(str(subject))} has {quoted(permission)} on every {quoted(type)} by a universal tuple, or "
                    "may have it, which a list of ids cannot say; ask LookupResources of relgraph.v1, which tells it",
                    {"definition": type, "relation": permission, "subject": str(subject)},
                )
            return _Opened(listing, lambda id_: undecided(walk, permission, Object(type, id_)))

        return self._listed(opening, limit, behind, context, consistency, deadline, wildcard=False)

    def subjects(
        self,
        resource: Object,
        permission: str,
        type: str,
        *,
        relation: str = "",
        limit: int = 0,
        wildcard: bool = True,
        behind: Behind | None = None,
        context: Mapping[str, object] | None = None,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Listed:
        """Return the subjects of a type that have `permission` on `resource`; with `relation`, usersets.

        `limit`, where it is not 0, bounds the named ones; `wildcard` says whether `*` is told beside them.
        """

        def opening(world: World) -> _Opened:
            schema = world.program.schema
            schema.member(resource.type, permission)
            schema.check_subject(Subject(type, WILDCARD, relation))

            def why(id_: str) -> RelgraphError:
                walk = Walk(SubjectScope(world, Subject(type, id_, relation)))
                check(walk, resource, permission)
                return undecided(walk, permission, resource)

            return _Opened(subjects(world, None, resource, permission, type, relation), why)

        return self._listed(opening, limit, behind, context, consistency, deadline, wildcard=wildcard)

    def tuples(
        self,
        filter: TupleFilter,
        *,
        limit: int,
        behind: BehindTuple | None = None,
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Sheet:
        """Return tuples that match, by type name, then by id; fewer than `limit` at the end only.

        Raises UnknownDefinition, UnknownRelation, CannotUpdatePermission.
        """
        page_before = None if behind is None else behind.token
        asked = consistency if behind is None else None
        with (
            self._following.pinned(asked, ends_at(deadline), page_before) as pinned,
            self._following.rows(pinned) as snapshot,
        ):
            last = None if behind is None else behind.last
            found: list[RelationTuple] = []
            if pinned.program is not None:
                schema = pinned.program.schema
                schema.check_filter(filter)
                for type_ in sorted(schema.definitions) if filter.resource_type is None else [filter.resource_type]:
                    if len(found) < limit and (last is None or type_ >= last.resource.type):
                        after = last if last is not None and last.resource.type == type_ else None
                        only = replace(filter, resource_type=type_)
                        number, room = pinned.revision.number, limit - len(found)
                        found += snapshot.read(only, number, pinned.now, after, room)
            return Sheet(tuple(found), Token.parse(pinned.token))

    def _listed(
        self,
        opening: Callable[[World], _Opened],
        limit: int,
        behind: Behind | None,
        context: Mapping[str, object] | None,
        consistency: Consistency | None,
        deadline: float | None,
        *,
        wildcard: bool,
    ) -> Listed:
        given = Brought(Context.of(context, self._limits.context_size_max))
        ends = ends_at(deadline)
        page_before = None if behind is None else behind.token
        asked = consistency if behind is None else None
        with self._following.pinned(asked, ends, page_before, walks=True) as pinned:
            opened = opening(world_of(pinned, self._limits, ends, given))
            everyone = Found(WILDCARD, *opened.listing.everyone)
            # Whom everybody has more than is told as excluded; so is, where that is told, who may have as much.
            covered = wildcard and opened.decided(everyone).verdict is Verdict.YES
            first = behind is None and wildcard and everyone.verdict is not Verdict.NO
            excluded = tuple(opened.excluded()) if first else ()
            last = "" if behind is None or behind.last == WILDCARD else behind.last
            rows = self._page(opened.held(last, covered=covered), limit)
            return Listed(((everyone, *rows) if first else rows), excluded, pinned.revision.number, pinned.token)

    def _page(self, held: Iterator[Found], limit: int) -> tuple[Found, ...]:
        most = self._limits.lookup_rows_max
        if limit:
            return tuple(islice(held, min(limit, most)))
        rows = tuple(islice(held, most + 1))
        if len(rows) > most:
            raise LimitExceeded(
                f"the lookup finds more than {most} ids; ask for them page by page, with a limit for each",
                {"limit": "lookup_rows_max", "value": str(most)},
            )
        return rows


class _Opened(NamedTuple):
    """A lookup whose candidates are found, and `why`, which tells why what it says of one is undefined."""

    listing: Listing
    why: Callable[[str], RelgraphError]

    def held(self, after: str, *, covered: bool) -> Iterator[Found]:
        """Yield the named ids that have it or, unless everybody is `covered`, may have it; those behind `after`."""
        for row in self.listing.named(after):
            found = self.decided(Found(row.id, *row.told))
            if found.verdict is Verdict.YES or (found.verdict is Verdict.CONDITIONAL and not covered):
                yield found

    def excluded(self) -> Iterator[Found]:
        """Yield the named ids that have less than everyone, or lack something else."""
        for row in self.listing.rows():
            if row.told[0] is not Verdict.YES:
                yield self.decided(Found(row.id, *row.told))

    def decided(self, found: Found) -> Found:
        """Return what was found. Raises Undecided or CaveatFailed where that is undefined."""
        if found.verdict is Verdict.UNDECIDED:
            raise self.why(_STRANGER if found.id == WILDCARD else found.id)
        return found

"""The Authorizer: everything relgraph does, over one store, in one object."""

from __future__ import annotations

import os
import time
from copy import copy
from typing import TYPE_CHECKING, Final, Literal, Self

from relgraph.answers import Expansion, Page, SchemaDiff, SchemaText
from relgraph.api.bests import Bests
from relgraph.api.counters import Counters
from relgraph.api.cursors import Cursor
from relgraph.api.deadlines import ends_at as _instant
from relgraph.api.deciding import Deciding, allowed, check_on_conditional
from relgraph.api.dumping import Dump
from relgraph.api.following import Following
from relgraph.api.history import History
from relgraph.api.lookups import Lookups
from relgraph.api.status import status
from relgraph.api.survey import Survey
from relgraph.api.traces import Traces
from relgraph.api.watching import Selection, open_watch
from relgraph.api.worlds import brought, world_of
from relgraph.api.writing import Writing
from relgraph.engine import ExpandScope, expand
from relgraph.errors import InvalidCursor, InvalidInput, NoSchema, quoted
from relgraph.limits import Limits
from relgraph.revision import Consistency, Token
from relgraph.schema import parse
from relgraph.schema.diff import diff
from relgraph.store import open_store
from relgraph.tuples import Object, Subject, TupleFilter, check_relation, question_of, questions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from types import TracebackType

    from relgraph.answers import Best, Collected, Cycles, Decision, Deleted, Imported, Log, Orphans, Status, Written
    from relgraph.api.bests import Ways
    from relgraph.api.observing import Observer
    from relgraph.api.watching import Watch
    from relgraph.api.worlds import Brought
    from relgraph.store import SQLiteModule
    from relgraph.store.base import OnDuplicate, Store
    from relgraph.tuples import Precondition, Question, RelationTuple

__all__ = ["Authorizer", "open_authorizer"]

_DUMP_PAGE: Final = 1_000


def _now() -> int:
    return time.time_ns() // 1000


def open_authorizer(url: str, *, limits: Limits | None = None, sqlite: SQLiteModule | None = None) -> Authorizer:
    """Open the store at `url` (`sqlite:///access.db`; `sqlite://` is a private one in memory), making it if need be.

    Two SQLite libraries on one file drop each other's locks: where the application opens that file itself, it names the
    module it uses, as in `sqlite=sqlite3`; otherwise it is `relgraph.sqlite3`. Raises InvalidSetting for a URL that
    names no store, StoreFormat or StoreUnavailable when it cannot be opened.
    """
    return Authorizer(open_store(url, clock=_now, random=os.urandom, sqlite=sqlite), limits=limits)


class Authorizer(Lookups, Traces):
    """Answers what a subject may do with a resource, and why; keeps the tuples and the schema this is decided by.

    May be used from many threads at once, not across a fork. Close it, or use it in a `with` block. Arguments named
    `consistency` default to fully consistent; `deadline` is in seconds from now, after which DeadlineExceeded is
    raised. Every method may raise StoreUnavailable. `clock` gives microseconds since 1970 UTC, as the store's own does.
    """

    def __init__(self, store: Store, *, limits: Limits | None = None, clock: Callable[[], int] = _now) -> None:
        self.limits = limits or Limits()
        self._store = store
        self._clock = clock
        self._following = Following(store, self.limits, clock, time.monotonic)
        self._writing = Writing(self._following, self.limits)
        self._deciding = Deciding(self._following, self.limits)
        self._bests = Bests(self._following, self.limits)
        self._history = History(self._following, self.limits, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store. Closing twice is fine."""
        self._store.close()

    def by(self, principal: str) -> Self:
        """Return this Authorizer as one whose writes are made by `principal`: it stands in the log with them."""
        other = copy(self)
        other._writing = self._writing.by(principal)  # noqa: SLF001
        return other

    def noting(self, metadata: str) -> Self:
        """Return this Authorizer as one whose writes carry `metadata`, a text of the caller's: it stands in the log."""
        other = copy(self)
        other._writing = self._writing.noting(metadata)  # noqa: SLF001
        return other

    def follow(self, timeout: float) -> bool:
        """Wait for a newer revision and take it in; return False when none came within `timeout` seconds.

        For a thread that keeps this process up with what others write, so that `minimize_latency` answers are new.
        """
        return self._following.follow(timeout)

    def observe(self, observer: Observer | None) -> None:
        """Tell `observer`, and nobody else, how long things take from now on; None tells nobody."""
        self._following.observer = observer

    @property
    def head(self) -> int:
        """The newest revision that this process has taken in, and can answer from without reading the store."""
        return self._following.head

    @property
    def counters(self) -> Counters:
        """What is registered to be counted, for every process on the store."""
        return Counters(self._following)

    def _given(self, context: Mapping[str, object] | None, contextual: Sequence[str | RelationTuple]) -> Brought:
        return brought(context, contextual, self.limits)

    def check(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        on_conditional: Literal["raise", "deny"] = "raise",
        deadline: float | None = None,
    ) -> bool:
        """Return whether `subject` has `permission` on `resource`; one text `report:q3#view@user:anna` will do too.

        `context` has values for the parameters of caveats; `contextual` are tuples that count beside the stored ones,
        for this question only. Raises InvalidInput for words that are wrong, UnknownDefinition or UnknownRelation for
        names that the schema lacks, Undecided where the answer is undefined, CaveatFailed where that is for a caveat
        that could not be evaluated, Conditional where context is missing (False with `on_conditional="deny"`),
        InvalidContext, TupleNotAllowed, LimitExceeded, RevisionUnavailable.
        """
        check_on_conditional(on_conditional)
        decision = self.decide(
            subject,
            permission,
            resource,
            context=context,
            contextual=contextual,
            consistency=consistency,
            deadline=deadline,
        )
        return allowed(decision, on_conditional)

    def decide(
        self,
        subject: str | Subject,
        permission: str | None = None,
        resource: str | Object | None = None,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Decision:
        """Return the verdict with its revision and, where it is CONDITIONAL, what is missing. Raises as `check`."""
        who, name, what = question_of(subject, permission, resource)
        given = self._given(context, contextual)
        return self._deciding.one(who, name, what, given, consistency, _instant(deadline))

    def decide_many(
        self,
        questions: Sequence[Question],
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Decision]:
        """Return the verdict on each question, in their order, all at one revision; UNDECIDED is one of them here.

        A question is a text `report:q3#view@user:anna`, or subject, permission and resource. Raises as `check`, with
        the question's place, from 0, in `details["index"]`.
        """
        given = self._given(context, contextual)
        return self._deciding.many(questions_of(questions), given, consistency, _instant(deadline))

    def best(
        self,
        subject: str | Subject,
        resource: str | Object,
        *,
        ways: Ways = "one",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Best:
        """Return the strongest role of `subject` on `resource`, or all permissions held where there is no ladder.

        With `ways`, how each came about: none, the shortest, or all (`truncated` says when there are more).
        """
        found = self.best_many(
            subject,
            [resource],
            ways=ways,
            context=context,
            contextual=contextual,
            consistency=consistency,
            deadline=deadline,
        )
        return found[0]

    def best_many(
        self,
        subject: str | Subject,
        resources: Sequence[str | Object],
        *,
        ways: Ways = "none",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """Return the best access of one subject on many resources, in their order, all at one revision."""
        given = self._given(context, contextual)
        return self._bests.on_resources(subject, resources, ways, given, consistency, _instant(deadline))

    def best_subjects(
        self,
        subjects: Sequence[str | Subject],
        resource: str | Object,
        *,
        ways: Ways = "none",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> list[Best]:
        """Return the best access of many subjects on one resource, in their order, all at one revision.

        Raises as `best`, with the place of a subject that cannot be asked about, from 0, in `details["index"]`.
        """
        given = self._given(context, contextual)
        return self._bests.of_subjects(subjects, resource, ways, given, consistency, _instant(deadline))

    def expand(
        self,
        resource: str | Object,
        permission: str,
        *,
        usersets: bool = False,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Expansion:
        """Return how a permission or relation comes about, whoever asks.

        Usersets stand among the tuples; with `usersets`, each is opened as well, and what is in it, and so on.
        """
        what, name = Object.of(resource), check_relation(permission)
        given, ends = self._given(None, contextual), _instant(deadline)
        with self._following.pinned(consistency, ends) as pinned:
            pinned.rules.schema.member(what.type, name)
            scope = ExpandScope(world_of(pinned, self.limits, ends, given))
            return Expansion(expand(scope, what, name, usersets=usersets), pinned.revision.number, pinned.token)

    def orphans(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Orphans:
        """Return the resources that nobody can reach, or only conditionally, or only through universal tuples.

        Asked about are `candidates` (an application knows resources that no tuple mentions) and every object of the
        kept history, of `types` only if any are given.
        """
        ends = _instant(deadline)
        with self._following.pinned(consistency, ends) as pinned, self._following.rows(pinned) as snapshot:
            return Survey(pinned, snapshot, world_of(pinned, self.limits, ends), candidates, types).orphans(self.limits)

    def cycles(
        self,
        candidates: Iterable[str | Object] = (),
        *,
        types: Iterable[str] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Cycles:
        """Return what leads back to itself through tuples, among the objects that `orphans` asks about.

        Cycles are answered like everything else; where one leads through an exclusion, somebody's answer may be
        undefined, and these are told apart.
        """
        ends = _instant(deadline)
        with self._following.pinned(consistency, ends) as pinned, self._following.rows(pinned) as snapshot:
            return Survey(pinned, snapshot, world_of(pinned, self.limits, ends), candidates, types).cycles()

    def write(
        self,
        *,
        touch: Sequence[str | RelationTuple] = (),
        create: Sequence[str | RelationTuple] = (),
        delete: Sequence[str | RelationTuple] = (),
        preconditions: Sequence[Precondition] = (),
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
        deadline: float | None = None,
        conn: object = None,
    ) -> Written:
        """Change tuples in one transaction and return its revision: all of it happens, or none.

        `touch` writes whether or not the tuple lives, `create` raises AlreadyExists if it does, `delete` does nothing
        if it does not. What tells one tuple from another is resource, relation and subject: a touch with another
        expiration replaces the tuple, a delete names none. `preconditions` (`must_exist(filter)`) are judged right
        before, in the state without the write. A `request_id` makes a retry safe: the same write under the same id
        happens once, for as long as `not_after` says, or `limits.request_kept_s`; after `not_after` it is refused.
        With `conn`, a connection to the same store on which the application has begun a transaction, the write is part
        of that and happens when, and if, it is committed: the answer is a Receipt, whose token is not valid before. One
        a transaction, and it holds the store's lock until the application commits: make it the last step.

        An `actor`, as `user:anna`, may write what the schema's `grant` lines let him; a write without one is trusted.
        Judged is the state before the write, now and when the tuple lives for the last time: else NotPermitted.

        Many threads' writes are committed together. Raises InvalidInput, TupleNotAllowed and its kin, DuplicateUpdate,
        TooManyUpdates, PreconditionFailed, RequestIdReused, RequestExpired, NoSchema; DeadlineExceeded when it was not
        begun in time; OutcomeUnknown when only a retry can tell whether it happened.
        """
        asked = self._writing.asking.asked(reason, request_id, not_after, preconditions, actor)
        return self._writing.write(touch, create, delete, asked, _instant(deadline), conn)

    def delete(
        self,
        filter: TupleFilter,
        *,
        limit: int | None = None,
        partial: bool = False,
        preconditions: Sequence[Precondition] = (),
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
    ) -> Deleted:
        """Delete all tuples that match, in one transaction; with `partial`, at most `limit` of them.

        Without `partial`, more matches than `limit` raise TooManyMatches and nothing is deleted. In a filter `*` is an
        id like any other: where universal tuples match that it does not name, UniversalMatches is raised. What has
        expired is neither deleted nor counted. Raises as `write`, and InvalidFilter for a filter that names nothing.
        """
        asked = self._writing.asking.asked(reason, request_id, not_after, preconditions, actor)
        return self._writing.delete(filter, limit, asked, partial=partial)

    def load(
        self,
        tuples: Iterable[str | RelationTuple],
        *,
        on_duplicate: OnDuplicate = "error",
        allow_universal: bool = False,
        allow_wildcards: bool = False,
        actor: str | Object | None = None,
        reason: str = "",
        request_id: str = "",
        not_after: datetime | None = None,
    ) -> Imported:
        """Create many tuples in one transaction: all of them, or none.

        Errors about one tuple carry its place, from 0, in `details["index"]`. An import whose end nobody saw is resumed
        by running it again under its `request_id`. Raises as `write`, and LimitExceeded.
        """
        if on_duplicate not in ("error", "touch", "skip"):
            raise InvalidInput(f"on_duplicate is {quoted(str(on_duplicate))}; use `error`, `touch` or `skip`")
        return self._writing.load(
            tuples,
            on_duplicate,
            self._writing.asking.asked(reason, request_id, not_after, actor=actor),
            allow_universal=allow_universal,
            allow_wildcards=allow_wildcards,
        )

    def status(self) -> Status:
        """Return what this process and its store run on and hold, and what is wrong with either."""
        return status(self._following, self._clock)

    def log(self, after: str | Token | None = None, *, limit: int = 100) -> Log:
        """Return what the revisions behind a token did, or all that are kept, oldest first: at most `limit` of them.

        Each is whole, however many tuples it has. A tuple whose expiration, caveat or context changed was deleted and
        created. Raises RevisionUnavailable for a token whose revision is no longer kept.
        """
        return self._history.log(after, limit)

    def watch(
        self,
        after: str | Token | None = None,
        *,
        types: Iterable[str] = (),
        relations: Iterable[str] = (),
        filters: Iterable[TupleFilter] = (),
        heartbeat: float = 10.0,
    ) -> Watch:
        """Tell what is committed behind a token, or from now on, revision by revision as it happens, without end.

        Told are changes of one of the `types`, one of the `relations` and that match one of the `filters`, where any
        are given, and every change of the schema; that a tuple expires is no change. A checkpoint comes first, and
        after `heartbeat` seconds without a word. Raises RevisionUnavailable for a token that cannot be gone on behind,
        UnknownDefinition or UnknownRelation for names that no schema since has, NoSchema.
        """
        selection = Selection.of(types, relations, filters)
        return open_watch(self._following, after, selection, heartbeat, time.monotonic)

    def collect(self, keep: timedelta) -> Collected:
        """Forget the history from before `keep` ago, and what had expired by then; return what went.

        What was true since can still be asked; what was before is refused from now on, tokens and cursors included.
        Raises InvalidInput for a time that has not come.
        """
        return self._history.collect(keep)

    def read(
        self,
        filter: TupleFilter = TupleFilter(),  # the field's own word; frozen
        *,
        limit: int = 1_000,
        cursor: str = "",
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Page:
        """Return at most `limit` tuples that match, and a cursor for the next page, of the same revision and instant.

        Raises InvalidCursor; UnknownDefinition or UnknownRelation for names that the schema lacks, and
        CannotUpdatePermission for a permission, which no tuple states.
        """
        if not 1 <= limit <= self.limits.read_page_max:
            raise InvalidInput(f"a page holds 1 to {self.limits.read_page_max} tuples, not {limit}")
        last = page_before = None
        if cursor:
            if consistency is not None:
                raise InvalidCursor("a cursor carries its own revision and instant; leave consistency and time out")
            parsed = Cursor.parse(cursor, filter)
            last, page_before = parsed.last, parsed.token
        with (
            self._following.pinned(consistency, _instant(deadline), page_before) as pinned,
            self._following.rows(pinned) as snapshot,
        ):
            if pinned.program is not None:
                pinned.program.schema.check_filter(filter)
            found = snapshot.read(filter, pinned.revision.number, pinned.now, last, limit + 1)
            page = tuple(found[:limit])
            after = str(Cursor.after(filter, Token.parse(pinned.token), page[-1])) if len(found) > limit else ""
            return Page(page, after, pinned.revision.number, pinned.token)

    def dump(self, filter: TupleFilter = TupleFilter(), *, consistency: Consistency | None = None) -> Dump:
        """Return every tuple that matches, and the schema, all at one revision and instant. Raises as `read`."""
        limit = min(_DUMP_PAGE, self.limits.read_page_max)
        first = self.read(filter, limit=limit, consistency=consistency)
        schema = self.schema(consistency=Consistency.at_exactly(first.token))
        return Dump(schema.text, first, lambda cursor: self.read(filter, limit=limit, cursor=cursor))

    def schema(self, *, consistency: Consistency | None = None, deadline: float | None = None) -> SchemaText:
        """Return the schema in force, as it was written. Raises NoSchema before the first."""
        with self._following.pinned(consistency, _instant(deadline)) as pinned:
            if pinned.program is None:
                raise NoSchema("the store has no schema yet; write one first")
            return SchemaText(pinned.program.schema.text, pinned.revision.number, pinned.token)

    def diff_schema(
        self, text: str, *, consistency: Consistency | None = None, deadline: float | None = None
    ) -> SchemaDiff:
        """Return what `text` would change, were it written in place of the schema in force; nothing is written.

        Raises SchemaParseError, SchemaTypeError or Unsupported as `write_schema` does, and NoSchema before the first.
        Whether living tuples allow the change is not judged.
        """
        new = parse(text)
        with self._following.pinned(consistency, _instant(deadline)) as pinned:
            return SchemaDiff(diff(pinned.rules.schema, new), pinned.revision.number, pinned.token)

    def write_schema(self, text: str, *, actor: str | Object | None = None, reason: str = "") -> Written:
        """Make `text` the schema from a new revision on; the same text again changes nothing.

        Raises SchemaParseError, SchemaTypeError or Unsupported naming line and column, SchemaOrphans when living
        tuples would no longer be admitted, NotPermitted for any actor.
        """
        return self._writing.write_schema(text, self._writing.asking.asked(reason, actor=actor))

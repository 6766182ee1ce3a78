"""relgraph.v1.AuthorizerService: each call guarded, read, asked of the Authorizer in a thread, and written back.

Errors are raised as they are: the edge turns them into statuses.
"""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relgraph.errors import InvalidInput, RelgraphError
from relgraph.tuples import Object, Subject, check_relation
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceServicer
from relgraph.wire import answers, columns, questions
from relgraph.wire.brought import read_brought, read_contextual
from relgraph.wire.parts import read_text
from relgraph.wire.status import status_message
from relgraph_server.asking import seconds_left
from relgraph_server.condition import server_status
from relgraph_server.guard import refuse_unserved
from relgraph_server.lookups import Lookups
from relgraph_server.spool import Spool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Imported
    from relgraph.api import Authorizer
    from relgraph_server.asking import Asking
    from relgraph_server.places import Place
    from relgraph_server.watchers import Watchers

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["AuthorizerService"]


class AuthorizerService(AuthorizerServiceServicer):
    """The service over what is asked through; who watches is told by `watchers`."""

    def __init__(self, asking: Asking, watchers: Watchers) -> None:
        self._asking = asking
        self._ask = asking.ask
        self._authorizer = asking.authorizer
        self._settings = asking.settings
        self._watchers = watchers
        self._lookups = Lookups(asking)

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Decide one question."""
        refuse_unserved(request)
        subject = read_text(Subject.parse, request.subject, "subject")
        permission = read_text(check_relation, request.permission, "permission")
        resource = read_text(Object.parse, request.resource, "resource")
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        decision = await self._ask(
            lambda left: self._authorizer.decide(
                subject,
                permission,
                resource,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return answers.decision_message(decision)

    async def CheckBulk(self, request: pb.CheckBulkRequest, context: Context) -> pb.CheckBulkResponse:
        """Answer many checks."""
        refuse_unserved(request)
        in_columns = request.HasField("columns")
        if in_columns and request.questions:
            raise InvalidInput(
                "the request has `questions` and `columns`; ask in one of the two forms", {"field": "columns"}
            )
        asked = (
            columns.read_question_columns(request.columns)
            if in_columns
            else questions.read_questions(request.questions)
        )
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        decisions = await self._ask(
            lambda left: self._authorizer.decide_many(
                asked, context=values, contextual=contextual, consistency=consistency, deadline=left
            ),
            context,
        )
        if not in_columns:
            return answers.decisions_message(decisions)
        first = decisions[0]
        return pb.CheckBulkResponse(
            revision=first.revision, token=first.token, columns=columns.answer_columns(decisions)
        )

    async def BestAccess(self, request: pb.BestAccessRequest, context: Context) -> pb.BestAccessResponse:
        """Find the best access of one subject on many resources, or of many subjects on one."""
        refuse_unserved(request)
        if request.subjects or request.resource:
            return await self._best_subjects(request, context)
        subject = read_text(Subject.parse, request.subject, "subject")
        resources = questions.read_objects(request.resources, "resources")
        if not resources:
            raise InvalidInput("the request names no resource; name at least one", {"field": "resources"})
        ways = questions.read_ways(request.ways)
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        bests = await self._ask(
            lambda left: self._authorizer.best_many(
                subject,
                resources,
                ways=ways,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return answers.best_messages(bests, subject)

    async def _best_subjects(self, request: pb.BestAccessRequest, context: Context) -> pb.BestAccessResponse:
        if request.subject or request.resources:
            field = "subject" if request.subject else "resources"
            raise InvalidInput(
                f"the request has `{field}` beside `subjects` and `resource`; ask about many subjects or about many "
                "resources",
                {"field": field},
            )
        subjects = [read_text(Subject.parse, text, f"subjects[{index}]") for index, text in enumerate(request.subjects)]
        resource = read_text(Object.parse, request.resource, "resource")
        ways = questions.read_ways(request.ways)
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        bests = await self._ask(
            lambda left: self._authorizer.best_subjects(
                subjects,
                resource,
                ways=ways,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return answers.best_messages(bests, None)

    async def Expand(self, request: pb.ExpandRequest, context: Context) -> pb.ExpandResponse:
        """Show how a permission comes about."""
        refuse_unserved(request)
        resource = read_text(Object.parse, request.resource, "resource")
        permission = read_text(check_relation, request.permission, "permission")
        consistency = questions.read_consistency(request)
        contextual = read_contextual(request.contextual_tuples)
        expansion = await self._ask(
            lambda left: self._authorizer.expand(
                resource,
                permission,
                usersets=request.usersets,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return answers.expansion_message(expansion)

    async def LookupResources(self, request: pb.LookupResourcesRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Find what a subject has a permission on."""
        await self._lookups.resources(request, context)

    async def LookupSubjects(self, request: pb.LookupSubjectsRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Find who has a permission on a resource."""
        await self._lookups.subjects(request, context)

    async def CountResources(self, request: pb.CountResourcesRequest, context: Context) -> pb.CountResponse:
        """Count what a subject has a permission on."""
        return await self._lookups.count_resources(request, context)

    async def CountSubjects(self, request: pb.CountSubjectsRequest, context: Context) -> pb.CountResponse:
        """Count who has a permission on a resource."""
        return await self._lookups.count_subjects(request, context)

    async def AllPermissions(self, request: pb.AllPermissionsRequest, context: Context) -> pb.AllPermissionsResponse:
        """Tell all that a subject has on a resource."""
        return await self._lookups.permissions(request, context)

    async def ListOrphans(self, request: pb.ListOrphansRequest, context: Context) -> pb.ListOrphansResponse:
        """List the resources that nobody can reach."""
        refuse_unserved(request)
        candidates = questions.read_objects(request.candidates, "candidates")
        types = questions.read_types(request.types, "types")
        consistency = questions.read_consistency(request)
        orphans = await self._ask(
            lambda left: self._authorizer.orphans(candidates, types=types, consistency=consistency, deadline=left),
            context,
        )
        return answers.orphans_message(orphans)

    async def ListCycles(self, request: pb.ListCyclesRequest, context: Context) -> pb.ListCyclesResponse:
        """List what leads back to itself."""
        refuse_unserved(request)
        candidates = questions.read_objects(request.candidates, "candidates")
        types = questions.read_types(request.types, "types")
        consistency = questions.read_consistency(request)
        cycles = await self._ask(
            lambda left: self._authorizer.cycles(candidates, types=types, consistency=consistency, deadline=left),
            context,
        )
        return answers.cycles_message(cycles)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        """Tell how the server is."""
        refuse_unserved(request)
        return status_message(await self._ask(lambda _: server_status(self._authorizer, self._settings), context))

    async def Read(self, request: pb.ReadRequest, context: Context) -> pb.ReadResponse:
        """Read one page of tuples."""
        refuse_unserved(request)
        wanted = questions.read_filter(request.filter)
        limit = request.limit if request.HasField("limit") else self._settings.limits.read_page_max
        consistency = questions.read_consistency(request)
        page = await self._ask(
            lambda left: self._authorizer.read(
                wanted, limit=limit, cursor=request.cursor, consistency=consistency, deadline=left
            ),
            context,
        )
        return answers.page_message(page)

    async def ReadSchema(self, request: pb.ReadSchemaRequest, context: Context) -> pb.ReadSchemaResponse:
        """Read the schema."""
        refuse_unserved(request)
        consistency = questions.read_consistency(request)
        schema = await self._ask(lambda left: self._authorizer.schema(consistency=consistency, deadline=left), context)
        return pb.ReadSchemaResponse(revision=schema.revision, token=schema.token, text=schema.text)

    async def DiffSchema(self, request: pb.DiffSchemaRequest, context: Context) -> pb.DiffSchemaResponse:
        """Compare a schema with the one in force."""
        refuse_unserved(request)
        consistency = questions.read_consistency(request)
        found = await self._ask(
            lambda left: self._authorizer.diff_schema(request.text, consistency=consistency, deadline=left), context
        )
        return answers.diff_message(found)

    async def Write(self, request: pb.WriteRequest, context: Context) -> pb.WriteResponse:
        """Change tuples."""
        refuse_unserved(request)
        facts = questions.read_updates(request.updates)
        preconditions = questions.read_preconditions(request.preconditions)
        not_after = questions.read_not_after(request)
        actor = questions.read_actor(request)
        try:
            written = await self._asking.change(
                lambda authorizer: authorizer.write(
                    touch=facts["touch"],
                    create=facts["create"],
                    delete=facts["delete"],
                    preconditions=preconditions,
                    actor=actor,
                    reason=request.reason,
                    request_id=request.request_id,
                    not_after=not_after,
                    deadline=seconds_left(context),
                ),
                context,
            )
        except RelgraphError as error:
            questions.place_in_updates(error, request.updates)
            raise
        return pb.WriteResponse(revision=written.revision, token=written.token)

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        """Delete tuples by filter."""
        refuse_unserved(request)
        wanted = questions.read_filter(request.filter)
        preconditions = questions.read_preconditions(request.preconditions)
        not_after = questions.read_not_after(request)
        actor = questions.read_actor(request)
        deleted = await self._asking.change(
            lambda authorizer: authorizer.delete(
                wanted,
                limit=request.limit if request.HasField("limit") else None,
                partial=request.partial,
                preconditions=preconditions,
                actor=actor,
                reason=request.reason,
                request_id=request.request_id,
                not_after=not_after,
            ),
            context,
        )
        return pb.DeleteResponse(
            revision=deleted.revision,
            token=deleted.token,
            tuples_deleted=deleted.count,
            complete=deleted.complete,
        )

    async def WriteSchema(self, request: pb.WriteSchemaRequest, context: Context) -> pb.WriteSchemaResponse:
        """Replace the schema."""
        refuse_unserved(request)
        actor = questions.read_actor(request)
        written = await self._asking.change(
            lambda authorizer: authorizer.write_schema(request.text, actor=actor, reason=request.reason), context
        )
        return pb.WriteSchemaResponse(revision=written.revision, token=written.token)

    async def Export(self, request: pb.ExportRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Send every tuple at one revision: the schema first, the total last."""
        refuse_unserved(request)
        wanted = questions.read_filter(request.filter)
        consistency = questions.read_consistency(request)
        async with self._asking.exports.place() as place:
            dump = await self._ask(lambda _: self._authorizer.dump(wanted, consistency=consistency), context)
            messages = [pb.ExportResponse(revision=dump.revision, token=dump.token, schema=dump.schema)]
            total = 0
            while messages:
                for message in messages:
                    await place.within(context.write(message))
                    total += len(message.tuples)
                messages = await self._ask(
                    lambda _: answers.export_messages(dump.page(), dump.revision, dump.token), context
                )
            last = pb.ExportResponse(revision=dump.revision, token=dump.token, tuples_total=total)
            await place.within(context.write(last))

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Tell what is committed, until the caller goes or something ends it."""
        refuse_unserved(request)
        await self._watchers.watch(request, context.write)

    async def Import(self, request_iterator: AsyncIterator[pb.ImportRequest], context: Context) -> pb.ImportResponse:
        """Load a whole stream in one revision, once it has arrived completely."""
        async with self._asking.imports.place() as place:
            spool = Spool(bytes_max=self._settings.import_bytes_max, tuples_max=self._settings.limits.import_tuples_max)
            try:
                options = await _receive(request_iterator, spool, place)
            except BaseException:
                spool.close()
                raise
            imported = await self._load(options, spool, context)
        return pb.ImportResponse(
            revision=imported.revision,
            token=imported.token,
            tuples_read=imported.read,
            tuples_changed=imported.changed,
        )

    async def _load(self, options: pb.ImportOptions, spool: Spool, context: Context) -> Imported:
        on_duplicate = questions.read_on_duplicate(options.on_duplicate)
        not_after = questions.read_not_after(options)
        actor = questions.read_actor(options)

        def load(authorizer: Authorizer) -> Imported:
            return authorizer.load(
                spool.tuples(),
                on_duplicate=on_duplicate,
                allow_universal=options.allow_universal,
                allow_wildcards=options.allow_wildcards,
                actor=actor,
                reason=options.reason,
                request_id=options.request_id,
                not_after=not_after,
            )

        work = self._asking.begin_change(load, context)
        # the thread may outlive this coroutine, so the file is closed when the work ends, not when the caller goes
        work.add_done_callback(lambda _: spool.close())
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            spool.abandon()
            raise


async def _receive(messages: AsyncIterator[pb.ImportRequest], spool: Spool, place: Place) -> pb.ImportOptions:
    """Take the whole stream into the spool, and return its options. Raises for anything but a complete stream."""
    options: pb.ImportOptions | None = None
    while (message := await place.within(anext(messages, None))) is not None:
        refuse_unserved(message)
        if options is None:
            options = message.options
            # What cannot be read is told before the stream is taken in, and while its spool is still closed for it.
            questions.read_on_duplicate(options.on_duplicate)
            questions.read_not_after(options)
            questions.read_actor(options)
        elif message.HasField("options"):
            raise InvalidInput(
                "the import's options stand in a later message; set them in the first", {"field": "options"}
            )
        spool.add(message)
    spool.complete()
    return options or pb.ImportOptions()

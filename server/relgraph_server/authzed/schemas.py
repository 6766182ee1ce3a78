"""SchemaService: a schema read, written, reflected and compared, in SpiceDB's shapes and with its refusals.

Rule 1: a schema without definitions is none: whoever reads it is told NOT_FOUND, as before the first.
Rule 2: no field here has a pattern, but the schema's size: names that nobody could have are unknown, as they are there.
Rule 3: the older names of ExperimentalService have messages of their own, which are the same on the wire.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from authzed.api.v1 import schema_service_pb2 as pb

from relgraph.errors import NoSchema, RelgraphError, SchemaOrphans, SchemaParseError, SchemaTypeError, quoted
from relgraph.revision import Consistency
from relgraph.schema import parse
from relgraph.schema.model import Relation
from relgraph.schema.source import Source
from relgraph_server.authzed import checked
from relgraph_server.authzed.differences import differences
from relgraph_server.authzed.encounters import computable, dependent
from relgraph_server.authzed.nouns import consistency_of
from relgraph_server.authzed.reflection import Filters, reference_messages, reflected
from relgraph_server.authzed.regenerate import regenerated
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.stranded import stranded
from relgraph_server.authzed.tokens import zed_token

if TYPE_CHECKING:
    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Written
    from relgraph.api import Authorizer
    from relgraph.schema import Schema
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Schemas", "as_newer", "as_older", "parsed"]

_SCHEMA_BYTES_MAX: Final = 4 * 1024 * 1024

_Message = TypeVar("_Message", bound="Message")


class _Held(NamedTuple):
    """A schema, and the token of the revision that it was read at."""

    schema: Schema
    token: str


@lru_cache(maxsize=8)
def parsed(text: str) -> Schema:
    """Return the schema of a text, which most questions find parsed already. Raises what `parse` does."""
    return parse(text)


def as_newer(request: Message, newer: type[_Message]) -> _Message:
    """Return a request under its older name as the one that it is the same as on the wire."""
    return newer.FromString(request.SerializeToString())


def as_older(reply: Message, older: type[_Message]) -> _Message:
    """Return an answer as the one under its older name."""
    return older.FromString(reply.SerializeToString())


class Schemas:
    """Answers what is asked about schemas, and writes them."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def read(self, request: pb.ReadSchemaRequest, context: Context) -> pb.ReadSchemaResponse:
        """Return the newest schema, regenerated."""
        del request

        def question(left: float) -> pb.ReadSchemaResponse:
            held = _held(self._asking.authorizer, Consistency.fully_consistent(), left)
            return pb.ReadSchemaResponse(schema_text=regenerated(held.schema), read_at=zed_token(held.token))

        return await self._asking.ask(question, context)

    async def write(self, request: pb.WriteSchemaRequest, context: Context) -> pb.WriteSchemaResponse:
        """Put a schema in force; an empty one takes all definitions away, where no tuples are."""
        checked.sized(request.schema, _SCHEMA_BYTES_MAX, "schema")
        written = await self._asking.change(lambda authorizer: _write(authorizer, request.schema), context)
        return pb.WriteSchemaResponse(written_at=zed_token(written.token))

    async def reflect(self, request: pb.ReflectSchemaRequest, context: Context) -> pb.ReflectSchemaResponse:
        """Return the schema as messages."""
        filters = Filters(request.optional_filters)
        consistency = consistency_of(request)

        def question(left: float) -> pb.ReflectSchemaResponse:
            held = _held(self._asking.authorizer, consistency, left)
            definitions, caveats = reflected(held.schema, filters)
            return pb.ReflectSchemaResponse(definitions=definitions, caveats=caveats, read_at=zed_token(held.token))

        return await self._asking.ask(question, context)

    async def computable(
        self, request: pb.ComputablePermissionsRequest, context: Context
    ) -> pb.ComputablePermissionsResponse:
        """Return what a subject could get into."""
        type_, name = request.definition_name, request.relation_name
        prefix = request.optional_definition_name_filter
        consistency = consistency_of(request)

        def question(left: float) -> pb.ComputablePermissionsResponse:
            held = _held(self._asking.authorizer, consistency, left)
            if name:
                held.schema.member(type_, name)
            else:
                held.schema.definition(type_)
            found = [each for each in computable(held.schema, (type_, name)) if each[0].startswith(prefix)]
            permissions = reference_messages(held.schema, found)
            return pb.ComputablePermissionsResponse(permissions=permissions, read_at=zed_token(held.token))

        return await self._asking.ask(question, context)

    async def dependent(self, request: pb.DependentRelationsRequest, context: Context) -> pb.DependentRelationsResponse:
        """Return what a permission reads."""
        type_, name = request.definition_name, request.permission_name
        consistency = consistency_of(request)

        def question(left: float) -> pb.DependentRelationsResponse:
            held = _held(self._asking.authorizer, consistency, left)
            if isinstance(held.schema.member(type_, name), Relation):
                raise refusal(
                    Said.NOT_A_PERMISSION,
                    f"the relation {quoted(name)} of {quoted(type_)} is not a permission; name a permission",
                    {"definition_name": type_, "relation_name": name},
                )
            relations = reference_messages(held.schema, dependent(held.schema, (type_, name)))
            return pb.DependentRelationsResponse(relations=relations, read_at=zed_token(held.token))

        return await self._asking.ask(question, context)

    async def diff(self, request: pb.DiffSchemaRequest, context: Context) -> pb.DiffSchemaResponse:
        """Return what makes the schema given of the one in force."""
        consistency = consistency_of(request)

        def question(left: float) -> pb.DiffSchemaResponse:
            with _Places(request.comparison_schema):
                new = parsed(request.comparison_schema)
            held = _held(self._asking.authorizer, consistency, left)
            return pb.DiffSchemaResponse(diffs=differences(held.schema, new), read_at=zed_token(held.token))

        return await self._asking.ask(question, context)


def _held(authorizer: Authorizer, consistency: Consistency, left: float) -> _Held:
    """Return the schema in force. Raises Refused, told as NOT_FOUND, where there is none."""
    none = refusal(Said.NO_SCHEMA_TO_READ, "no schema has been defined; call WriteSchema to start")
    try:
        found = authorizer.schema(consistency=consistency, deadline=left)
    except NoSchema:
        raise none from None
    schema = parsed(found.text)
    if not schema.definitions:
        raise none
    return _Held(schema, found.token)


def _write(authorizer: Authorizer, text: str) -> Written:
    with _Places(text):
        new = parsed(text)
    try:
        return authorizer.write_schema(text)
    except SchemaOrphans as error:
        raise stranded(parsed(authorizer.schema().text), new, error) from None
    except SchemaTypeError as error:
        if "parameter" not in error.details:
            raise
        raise _parameter(new, error) from None


def _parameter(new: Schema, error: SchemaTypeError) -> RelgraphError:
    """Return the error for a caveat that lost a parameter, or has it with another type, in SpiceDB's words."""
    caveat, parameter = error.details["caveat"], error.details["parameter"]
    kept = parameter in new.caveats[caveat].parameters
    what = "change the type of" if kept else "remove"
    return SchemaOrphans(
        f"cannot {what} parameter {quoted(parameter)} on caveat {quoted(caveat)}",
        {
            "caveat_name": caveat,
            "parameter_name": parameter,
            "operation": "change_parameter_type" if kept else "remove_parameter",
        },
    )


class _Places:
    """Tells where a text is at fault in SpiceDB's words, which count lines and columns from 0."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object, /) -> None:
        if not isinstance(error, SchemaParseError | SchemaTypeError):
            return
        details = dict(error.details)
        line, column = int(details.pop("line", "1")), int(details.pop("column", "1"))
        code = Source(self._text).line(line)[column - 1 :]
        if isinstance(error, SchemaTypeError):
            metadata = {"source_code": code, "line_number": str(line), "column_position": str(column)}
            raise SchemaTypeError(error.message, {**details, **metadata}) from None
        end = column - 1 + max(len(code.split(maxsplit=1)[0]) if code.strip() else 1, 1)
        raise SchemaParseError(
            f"parse error in `schema`, {error.message}",
            {
                **details,
                "start_line_number": str(line - 1),
                "start_column_position": str(column - 1),
                "end_line_number": str(line - 1),
                "end_column_position": str(end),
                "source_code": code,
            },
        ) from None

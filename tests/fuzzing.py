"""Hostile bytes for every method of the service: valid messages made from the descriptor alone, and then damaged.

A method or field that is added to the proto is fuzzed without a line here; `WORDS` only makes it likelier that its
texts mean something. Everything is drawn from one generator of random numbers, so a seed repeats a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import NullValue, Struct, Value

from relgraph.revision import Token
from relgraph.tuples import RelationTuple
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.parts import tuple_message
from tests.serving import SCHEMA, TUPLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

__all__ = ["METHODS", "damaged", "requests", "valid"]

SERVICE = pb.DESCRIPTOR.services_by_name["AuthorizerService"]
METHODS = {method.name: method for method in SERVICE.methods}

OBJECTS = ("user:anna", "user:bob", "group:board", "group:eng", "report:q3", "report:q4", "gate:one", "gate:*", "x:y")
SUBJECTS = (*OBJECTS, "user:*", "group:board#member", "group:eng#member", "user:anna#x", "group:*#member")
RELATIONS = ("member", "administrator", "manager", "viewer", "observe", "administer", "keeper", "left", "nothing")
FORGED = str(Token(b"\0" * 16, 0, 3, b"\1" * 16, 0))
ODD = (
    "",
    "*",
    ":",
    "#",
    "@",
    "a:b#c@d:e",
    "\0",
    "\x7f",
    "\u202e",
    "é",
    "e\u0301",
    "\U0001f600",
    "a" * 2_000,
    "-1",
    "0",
)

WORDS: dict[str, tuple[str, ...]] = {
    "subject": SUBJECTS,
    "subjects": SUBJECTS,
    "resource": OBJECTS,
    "resources": OBJECTS,
    "candidates": OBJECTS,
    "actor": ("user:anna", "user:bob", "group:eng", "group:eng#member"),
    "permission": RELATIONS,
    "permissions": RELATIONS,
    "relation": RELATIONS,
    "relations": RELATIONS,
    "subject_relation": (*RELATIONS, ""),
    "caveat": ("near", "near", "", "far"),
    "resource_type": ("report", "group", "gate", "user", "nothing"),
    "subject_type": ("user", "group", "gate"),
    "type": ("report", "group", "gate", "user"),
    "types": ("report", "group", "gate", "user"),
    "resource_id": ("q3", "q4", "one", "*"),
    "subject_id": ("anna", "bob", "*"),
    "at_least": (FORGED,),
    "at_exactly": (FORGED,),
    "after": (FORGED,),
    "text": (SCHEMA, SCHEMA + "definition more {}\n", *(SCHEMA[:end] for end in range(40, 400, 90))),
    "request_id": ("one", "two", "three"),
    # SpiceDB's dialect has names of its own.
    "object_type": ("report", "group", "gate", "user", "nothing"),
    "object_id": ("q3", "q4", "one", "anna", "board", "*"),
    "optional_resource_id": ("", "q3", "*"),
    "optional_resource_id_prefix": ("", "", "q"),
    "optional_subject_id": ("", "anna", "*"),
    "optional_relation": ("", "", "member", "viewer"),
    "optional_subject_relation": ("", "", "member"),
    "resource_object_type": ("report", "group", "nothing"),
    "subject_object_type": ("user", "group", "nothing"),
    "optional_object_types": ("report", "group"),
    "caveat_name": ("near", "far"),
    "token": (FORGED, "x"),
    "schema": (SCHEMA, SCHEMA + "definition more {}\n"),
    "comparison_schema": (SCHEMA, SCHEMA + "definition more {}\n"),
}
"""What a text field of that name is mostly filled with."""

# Fields that are not served refuse their request at once, and so hide what stands behind them: they are set seldom.
_SELDOM = {"dry_run", "expect"}
_SELDOM_P = 0.01
# What most of its values are wrong for: set as seldom as lets the rest of a request be met as well.
_BESIDE = {"context", "contextual_tuples"}
_BESIDE_P = 0.05
_GOOD_P = 0.5
_WHOLE_P = 0.4
_NUMBERS = (0, 1, 2, 3, 7, 100, 1_000, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -1, -(2**63), 10**9)
_DEPTH_MAX = 6


def _number(random: Random, low: int, high: int) -> int:
    wanted = random.choice(_NUMBERS) if random.random() < 0.3 else random.randrange(4)
    return wanted if low <= wanted <= high else random.randrange(4)


def _value(random: Random, message: Value, depth: int) -> None:
    """Set a value of a context: of any kind, or of none."""
    match random.randrange(9):
        case 0 if depth < _DEPTH_MAX:
            for _ in range(random.choice((0, 1, 3))):
                _value(random, message.list_value.values.add(), depth + 1)
        case 1 if depth < _DEPTH_MAX:
            _context(random, message.struct_value, depth + 1)
        case 2:
            message.bool_value = random.random() < 0.5
        case 3 | 4:
            message.string_value = random.choice(("north", "south", "2", *ODD))
        case 5 | 6:
            message.number_value = random.choice((0.0, -0.0, 1.5, 2, 2.0**53, 1e300, float("nan"), float("-inf")))
        case 7:
            message.null_value = NullValue.NULL_VALUE


def _context(random: Random, message: Struct, depth: int) -> None:
    message.SetInParent()
    if random.random() < _GOOD_P:
        message.update({"site": random.choice(("north", "south")), "limit": random.choice((1, 2, "2"))})
        return
    for name in ("site", "limit", "other", "", "\u202e"):
        if random.random() < 0.4:
            _value(random, message.fields[name], depth)


def _scalar(random: Random, field: FieldDescriptor) -> object:
    """Return a value for a field that is no message."""
    if field.enum_type is not None:
        return random.choice(field.enum_type.values).number if random.random() < 0.9 else random.randrange(-3, 99)
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            words = WORDS.get(field.name, ())
            text = random.choice(words) if words and random.random() < 0.9 else random.choice(ODD)
            return text if field.type == field.TYPE_STRING else text.encode()
        case field.CPPTYPE_BOOL:
            return random.random() < 0.7
        case field.CPPTYPE_INT32:
            return _number(random, -(2**31), 2**31 - 1)
        case field.CPPTYPE_UINT32:
            return _number(random, 0, 2**32 - 1)
        case field.CPPTYPE_INT64:
            return _number(random, -(2**63), 2**63 - 1)
        case field.CPPTYPE_UINT64:
            return _number(random, 0, 2**64 - 1)
        case _:
            return random.choice((0.0, -1.5, float("inf"), float("nan")))


def _fill(random: Random, message: Message, depth: int) -> None:
    for field in cast("Sequence[FieldDescriptor]", message.DESCRIPTOR.fields):
        odds = 0.15 if field.number >= 16 else 0.85
        odds = _SELDOM_P if field.name in _SELDOM else _BESIDE_P if field.name in _BESIDE else odds
        if random.random() > odds or depth > _DEPTH_MAX:
            continue
        value = getattr(message, field.name)
        if isinstance(value, Struct):
            _context(random, value, depth)
        elif hasattr(value, "add"):
            for _ in range(random.choice((0, 1, 1, 2, 5))):
                _fill(random, value.add(), depth + 1)
        elif hasattr(value, "append"):
            value.extend(_scalar(random, field) for _ in range(random.choice((0, 1, 2, 2, 5))))
        elif field.message_type is not None:
            value.SetInParent()
            _fill(random, value, depth + 1)
        else:
            setattr(message, field.name, _scalar(random, field))


_CAVEATED = ("report:q4#viewer@user:bob[near]", 'report:q4#viewer@user:anna[near:{"limit":2,"site":"north"}]')
_FACTS = [pb.RelationTuple(resource=f"report:r{n}", relation="viewer", subject="user:anna") for n in range(3)]
_TOUCHES = [pb.Update(operation=pb.Update.OPERATION_TOUCH, tuple=fact) for fact in _FACTS]
_REPORTS = pb.TupleFilter(resource_type="report", relation="manager")
_QUESTIONS = [pb.Question(subject="user:anna", permission="observe", resource=f"report:q{n}") for n in (3, 4)]
_COLUMNS = pb.QuestionColumns(
    subjects=["user:anna"],
    permissions=["observe"],
    resources=["report:q3", "report:q4"],
    subject=[0, 0],
    permission=[0, 0],
    resource=[0, 1],
)

GOOD: dict[str, tuple[Sequence[Message], ...]] = {
    "Check": ([pb.CheckRequest(subject="user:anna", permission="observe", resource="report:q3")],),
    "CheckBulk": ([pb.CheckBulkRequest(questions=_QUESTIONS)], [pb.CheckBulkRequest(columns=_COLUMNS)]),
    "BestAccess": (
        [pb.BestAccessRequest(subject="user:anna", resources=["report:q3", "report:q4"], ways=pb.WAYS_ALL)],
        [pb.BestAccessRequest(subjects=["user:anna", "group:eng#member"], resource="report:q3")],
    ),
    "Expand": ([pb.ExpandRequest(resource="report:q3", permission="observe", usersets=True)],),
    "LookupResources": (
        [pb.LookupResourcesRequest(subject="user:anna", permission="observe", type="report", limit=1)],
        [pb.LookupResourcesRequest(subject="group:eng#member", permission="manage", type="report")],
    ),
    "LookupSubjects": (
        [pb.LookupSubjectsRequest(resource="report:q4", permission="observe", type="user")],
        [pb.LookupSubjectsRequest(resource="report:q3", permission="observe", type="group", relation="member")],
    ),
    "CountResources": ([pb.CountResourcesRequest(subject="user:anna", permission="observe", type="report")],),
    "CountSubjects": ([pb.CountSubjectsRequest(resource="report:q4", permission="observe", type="user")],),
    "AllPermissions": ([pb.AllPermissionsRequest(subject="user:anna", resource="gate:one")],),
    "ListOrphans": ([pb.ListOrphansRequest(candidates=["report:q9"], types=["report"])],),
    "ListCycles": ([pb.ListCyclesRequest()],),
    "Write": (
        [pb.WriteRequest(updates=_TOUCHES, reason="why", request_id="one")],
        [
            pb.WriteRequest(
                updates=_TOUCHES[:1],
                preconditions=[
                    pb.Precondition(requirement=pb.Precondition.REQUIREMENT_MUST_NOT_EXIST, filter=_REPORTS)
                ],
            )
        ],
    ),
    "Delete": ([pb.DeleteRequest(filter=_REPORTS, limit=5, partial=True)],),
    "Read": ([pb.ReadRequest(limit=2)], [pb.ReadRequest(filter=_REPORTS)]),
    "Export": ([pb.ExportRequest()],),
    "Watch": ([pb.WatchRequest(types=["report"], filters=[_REPORTS], heartbeat_ms=100)],),
    "Import": (
        [
            pb.ImportRequest(
                options=pb.ImportOptions(on_duplicate=pb.ImportOptions.ON_DUPLICATE_TOUCH, reason="why"),
                tuples=_FACTS[:1],
            ),
            pb.ImportRequest(tuples=_FACTS[1:], tuples_total=3),
        ],
    ),
    "ReadSchema": ([pb.ReadSchemaRequest()],),
    "WriteSchema": ([pb.WriteSchemaRequest(text=SCHEMA, reason="why")],),
    "DiffSchema": ([pb.DiffSchemaRequest(text=SCHEMA + "definition more {}")],),
}
"""Calls that are answered OK: each a sequence of messages. A method without any is fuzzed from its descriptor alone."""


def _tuple_message(random: Random) -> pb.RelationTuple:
    return tuple_message(RelationTuple.parse(random.choice((*TUPLES, *_CAVEATED))))


def valid(random: Random, descriptor: Descriptor) -> Message:
    """Return a message of that type, well formed and mostly about what there is."""
    message = GetMessageClass(descriptor)()
    _fill(random, message, 0)
    _mend(random, message)
    return message


def _mend(random: Random, message: Message) -> None:
    """Make most of the tuples within a message some that the schema admits."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.file.package != "relgraph.v1":
            continue
        for child in [value] if hasattr(value, "ListFields") else value:
            if isinstance(child, pb.RelationTuple) and random.random() < 0.7:
                child.CopyFrom(_tuple_message(random))
            else:
                _mend(random, child)


# --- damage -----------------------------------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _flip(random: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if out:
            out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _lie(random: Random, data: bytes) -> bytes:
    """Write another length where one may stand."""
    at = random.randrange(len(data) + 1)
    return data[:at] + _varint(random.choice((0, 1, len(data), 2**31 - 1, 2**32, 2**63))) + data[at + 1 :]


def _strange(random: Random, data: bytes) -> bytes:
    """Add a field, known or not, with any wire type: the groups that are no more, and the types there never were."""
    number = random.choice((0, 1, 2, 3, 16, 17, 20, 99, 1_023, 19_000, 2**29 - 1, 2**29, 2**35))
    field = _varint(number << 3 | random.randrange(8)) + random.choice((b"", b"\x01", b"\x03abc", b"\x00" * 8))
    return field + data if random.random() < 0.5 else data + field


def _nest(random: Random, data: bytes) -> bytes:
    """Put the message into itself, over and over; or open groups without end."""
    depth = random.choice((3, 50, 99, 101, 500))
    number = random.choice((1, 2, 3, 17, 18))
    if random.random() < 0.3:
        return _varint(number << 3 | 3) * depth + data
    for _ in range(depth):
        data = _varint(number << 3 | 2) + _varint(len(data)) + data
    return data


def _huge(random: Random, data: bytes) -> bytes:
    """Put a number where one may stand that is too long, or as large as can be."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice((b"\xff" * 9 + b"\x01", b"\xff" * 12, b"\x80" * 9 + b"\x00")) + data[at:]


def _garble(random: Random, data: bytes) -> bytes:
    """Put bytes that are no UTF-8 over a part."""
    at = random.randrange(len(data) + 1)
    wrong = random.choice((b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\0"))
    return data[:at] + wrong + data[at + len(wrong) :]


def _repeat(random: Random, data: bytes) -> bytes:
    """Say things twice: single fields merge, and of a oneof the last one counts."""
    return data + data[random.randrange(len(data) + 1) :] if random.random() < 0.3 else data * random.choice((2, 3))


def _swap(random: Random, data: bytes) -> bytes:
    """Make one field another, or of another wire type."""
    if not data:
        return data
    at = random.choice((0, random.randrange(len(data))))
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


_DAMAGES = (_flip, _truncate, _lie, _strange, _nest, _huge, _garble, _repeat, _swap)


def damaged(random: Random, data: bytes) -> bytes:
    """Return the bytes with one to three kinds of damage."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(_DAMAGES)(random, data)
    return data


def requests(random: Random, method: str) -> list[bytes]:
    """Return the messages of one call: one, or a few where the method takes a stream; some as they should be."""
    kind = METHODS[method]
    good = GOOD.get(method, ())
    if good and random.random() < _GOOD_P:
        made = [message.SerializeToString() for message in random.choice(good)]
        if random.random() < _WHOLE_P:
            return made
    else:
        count = random.choice((0, 1, 1, 2, 3)) if kind.client_streaming else 1
        made = [valid(random, kind.input_type).SerializeToString() for _ in range(count)]
    return [data if random.random() < 0.3 else damaged(random, data) for data in made]

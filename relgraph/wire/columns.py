"""Many checks as columns: each text once and for each question where its texts stand; and their answers as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from relgraph.answers import Decision, Verdict
from relgraph.errors import InvalidInput, RelgraphError
from relgraph.tuples import Object, Subject, check_relation
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.answers import read_verdict, verdict_value
from relgraph.wire.parts import moment_message, read_moment, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

__all__ = ["answer_columns", "question_columns", "read_answer_columns", "read_question_columns"]

_Noun = TypeVar("_Noun")


def question_columns(asked: Iterable[tuple[Subject, str, Object]]) -> pb.QuestionColumns:
    """Build the questions of many checks."""
    subjects: dict[Subject, int] = {}
    permissions: dict[str, int] = {}
    resources: dict[Object, int] = {}
    rows = [
        (
            subjects.setdefault(who, len(subjects)),
            permissions.setdefault(name, len(permissions)),
            resources.setdefault(what, len(resources)),
        )
        for who, name, what in asked
    ]
    return pb.QuestionColumns(
        subjects=map(str, subjects),
        permissions=permissions,
        resources=map(str, resources),
        subject=[row[0] for row in rows],
        permission=[row[1] for row in rows],
        resource=[row[2] for row in rows],
    )


def read_question_columns(message: pb.QuestionColumns) -> list[tuple[Subject, str, Object]]:
    """Read the questions of many checks. Raises InvalidInput, naming the field, for indexes that lead nowhere."""
    count = len(message.subject)
    for name, column in (("permission", message.permission), ("resource", message.resource)):
        if len(column) != count:
            raise InvalidInput(
                f"`columns.{name}` has {len(column)} indexes and `columns.subject` has {count}; give each question one "
                "in both",
                {"field": f"columns.{name}"},
            )
    subjects = [read_text(Subject.parse, text, f"columns.subjects[{i}]") for i, text in enumerate(message.subjects)]
    names = [read_text(check_relation, text, f"columns.permissions[{i}]") for i, text in enumerate(message.permissions)]
    resources = [read_text(Object.parse, text, f"columns.resources[{i}]") for i, text in enumerate(message.resources)]
    return list(
        zip(
            _picked(message.subject, subjects, "subject"),
            _picked(message.permission, names, "permission"),
            _picked(message.resource, resources, "resource"),
            strict=True,
        )
    )


def _picked(column: Sequence[int], nouns: Sequence[_Noun], name: str) -> list[_Noun]:
    """Return what the indexes stand for."""
    try:
        return [nouns[index] for index in column]
    except IndexError:
        place = next(place for place, index in enumerate(column) if index >= len(nouns))
        raise InvalidInput(
            f"`columns.{name}[{place}]` is {column[place]}, and `columns.{name}s` has {len(nouns)} texts; count them "
            "from 0",
            {"field": f"columns.{name}[{place}]", "index": str(place)},
        ) from None


def answer_columns(decisions: Sequence[Decision]) -> pb.AnswerColumns:
    """Build the answers to many checks."""
    times: dict[datetime, int] = {}
    places = [
        0 if each.valid_until is None else times.setdefault(each.valid_until, len(times) + 1) for each in decisions
    ]
    return pb.AnswerColumns(
        verdicts=[verdict_value(each.verdict) for each in decisions],
        missing=[pb.Missing(names=each.missing) for each in decisions if each.verdict is Verdict.CONDITIONAL],
        valid_until=places if times else (),
        times=map(moment_message, times),
    )


def read_answer_columns(message: pb.CheckBulkResponse) -> list[Decision]:
    """Read the answers to many checks. Raises Unsupported for a verdict not known, RelgraphError for half an answer."""
    columns = message.columns
    revision, token = message.revision, message.token
    times = [None, *(read_moment(each, "columns.times") for each in columns.times)]
    places = columns.valid_until or [0] * len(columns.verdicts)
    missing = iter(columns.missing)
    try:
        return [
            Decision(
                verdict := read_verdict(value, "columns.verdicts"),
                tuple(next(missing).names) if verdict is Verdict.CONDITIONAL else (),
                revision,
                token,
                times[place],
            )
            for value, place in zip(columns.verdicts, places, strict=True)
        ]
    except (IndexError, StopIteration, RuntimeError, ValueError):
        raise RelgraphError(
            "the server's columns of answers do not fit together; use a server of this version"
        ) from None

"""The table from errors to statuses, and the details that travel with them."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph import errors
from relgraph_server.status import STATUS_OF, code_of, status_of


def _tree(cls: type[errors.RelgraphError]) -> list[type[errors.RelgraphError]]:
    return [
        cls,
        *(one for child in cls.__subclasses__() if child.__module__ == errors.__name__ for one in _tree(child)),
    ]


@pytest.mark.parametrize("cls", _tree(errors.RelgraphError), ids=lambda cls: cls.__name__)
def test_every_error_has_a_row_of_its_own(cls: type[errors.RelgraphError]) -> None:
    """Every class of the error tree stands in the status table itself."""
    assert cls in STATUS_OF
    assert code_of(cls("text")) is STATUS_OF[cls]


def test_a_class_without_a_row_has_its_bases_code() -> None:
    """A subclass from elsewhere is answered as the nearest class that has a row."""

    class Local(errors.AlreadyExists):
        code = "LOCAL"

    assert code_of(Local("text")) is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (errors.InvalidId, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.SchemaTypeError, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.UnknownDefinition, grpc.StatusCode.FAILED_PRECONDITION),
        (errors.Undecided, grpc.StatusCode.FAILED_PRECONDITION),
        (errors.AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
        (errors.RevisionUnavailable, grpc.StatusCode.OUT_OF_RANGE),
        (errors.LimitExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.Unsupported, grpc.StatusCode.UNIMPLEMENTED),
        (errors.StoreReadOnly, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_codes_are_the_canonical_ones(cls: type[errors.RelgraphError], expected: grpc.StatusCode) -> None:
    """Each kind of error has the canonical code that clients of such services expect."""
    assert code_of(cls("text")) is expected


def test_a_status_carries_reason_domain_details_and_field() -> None:
    """The details of an error travel as ErrorInfo, and the field it concerns as BadRequest."""
    status = status_of(errors.InvalidId("bad id", {"id": "a b", "field": "updates[3].tuple.subject"}))
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    assert [info.DESCRIPTOR.full_name, bad.DESCRIPTOR.full_name] == [
        box.type_url.rpartition("/")[2] for box in status.details
    ]
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert ("INVALID_ID", "relgraph.dev", {"id": "a b"}) == (info.reason, info.domain, dict(info.metadata))
    assert [("updates[3].tuple.subject", "bad id")] == [(v.field, v.description) for v in bad.field_violations]


@pytest.mark.parametrize("character", ["x", "é", "\U0001f980", "\ud800"])
def test_a_huge_error_still_fits_a_trailer(character: str) -> None:
    """However long an error's texts are, and whatever they hold, the status stays well below 8 KiB."""
    details = {f"name{number}": character * 5_000 for number in range(50)} | {"field": character * 5_000}
    status = status_of(errors.InvalidInput(character * 50_000, details))
    assert len(status.SerializeToString()) < 4_500
    assert status.message.endswith("…")

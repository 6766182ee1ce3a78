"""Files of tuples: what is read, what is refused, and that each refusal says where."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relgraph.bulk import TupleFile, format_of
from relgraph.cli.output import tuple_json
from relgraph.contexts import Context
from relgraph.errors import (
    AlreadyExists,
    InvalidFile,
    InvalidInput,
    RelgraphError,
    TupleNotAllowed,
    UnknownRelation,
)
from relgraph.tuples import Object, RelationTuple, Subject
from tests.test_contexts import OBJECTS

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "resource,relation,subject\n"


def read(
    content: str | bytes,
    format: str = "csv",
    *,
    allow_universal: bool = False,
    allow_wildcards: bool = False,
    line_size_max: int = 131_072,
) -> list[str]:
    data = content.encode() if isinstance(content, str) else content
    source = TupleFile(
        "-",
        format=format,
        stream=io.BytesIO(data),
        allow_universal=allow_universal,
        allow_wildcards=allow_wildcards,
        line_size_max=line_size_max,
    )
    with source:
        return [str(tuple_) for tuple_ in source]


def refusal(content: str | bytes, format: str = "csv", **options: int) -> str:
    with pytest.raises(InvalidFile) as caught:
        read(content, format, **options)  # type: ignore[arg-type]  # one helper for flags and sizes
    assert caught.value.details["file"] == "stdin"
    assert f"line {caught.value.details['line']}, column {caught.value.details['column']}: " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("csv", "resource,relation,subject\nreport:q3,viewer,user:anna\nreport:q3,editor,group:board#member\n"),
        ("csv", "subject,resource,relation\nuser:anna,report:q3,viewer\ngroup:board#member,report:q3,editor"),
        ("csv", '"resource",relation,subject\n"report:q3","viewer","user:anna"\n\nreport:q3,editor,group:board#member'),
        (
            "csv",
            (
                "resource,relation,subject,caveat,context,expires_at\n"
                "report:q3,viewer,user:anna,,,\nreport:q3,editor,group:board#member,,,\n"
            ),
        ),
        (
            "jsonl",
            (
                '{"resource": "report:q3", "relation": "viewer", "subject": "user:anna", "caveat":"", "context":{}}\n\n'
                ' {"subject":"group:board#member","relation":"\\u0065ditor","resource":"report:q3","expires_at":null}\n'
            ),
        ),
        (
            "text",
            "// who may see\n\nreport:q3#viewer@user:anna\n\t  report:q3#editor@group:board#member  \n  // the end",
        ),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_formats(format: str, content: str, line_end: str, mark: bytes) -> None:
    """Each format says the same two tuples, with either line end, with and without a byte order mark."""
    data = mark + content.replace("\n", line_end).encode()
    assert read(data, format) == ["report:q3#viewer@user:anna", "report:q3#editor@group:board#member"]


def test_plain_relation_of_spicedb() -> None:
    """SpiceDB's `#...` after a subject means the plain subject."""
    assert read("report:q3#viewer@user:anna#...", "text") == ["report:q3#viewer@user:anna"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "stdin, line 1, column 1: the file is empty; a CSV file of tuples begins with the line "),
        ("\n\n", "stdin, line 1, column 1: the file is empty"),
        ("report:q3,viewer,user:anna\n", "line 1, column 1: `report:q3` is not a column of tuples"),
        ("resource,relatoin,subject\n", "line 1, column 10: `relatoin` is not a column of tuples, did you mean `rela"),
        ("resource,relation,resource\n", "line 1, column 19: the column `resource` stands twice in the header"),
        ("resource,relation\n", "line 1, column 18: the header lacks the column `subject`"),
        ("resource;relation;subject\n", "line 1, column 1: the cells are not separated by commas"),
        (HEADER + "report:q3,viewer\n", "line 2, column 17: 2 cells where the header has 3: `subject` is missing"),
        (HEADER + "report:q3,viewer,user:anna,\n", "line 2, column 28: 4 cells where the header has 3"),
        (HEADER + "\nreport:q3,vi ewer,user:anna\n", "line 3, column 11: `vi ewer` cannot name a relation"),
        (HEADER + "report:q3,viewer, user:anna\n", "line 2, column 18: ` user` cannot name a type"),
        (HEADER + "report:q3,viewer,anna@example.org\n", "line 2, column 18: `anna@example.org` is not an object"),
        (HEADER + "report:q3,viewer,user:a\x1bb\n", r"line 2, column 18: the object id `a\x1bb` holds `\x1b`"),
        (
            HEADER + "report:q3,viewer,user:anna\rreport:q4,viewer,user:bob",
            "line 2, column 27: a carriage return inside a line",
        ),
        (HEADER + 'report:q3,"viewer,user:anna\n', "line 2, column 11: the quote opened here is not closed"),
        (HEADER + 'report:q3,"viewer"x,user:anna\n', "line 2, column 19: `x` follows a closing quote"),
        (HEADER + 'report:q3,vie"wer,user:anna\n', "line 2, column 14: a quote in the middle of a cell"),
        (HEADER + '"report:""q3",viewer,user:anna\n', 'line 2, column 1: the object id `"q3` holds `"`'),
        (HEADER + 'report:q3,viewer,"', "line 2, column 18: the quote opened here is not closed"),
    ],
)
def test_broken_csv(content: str, expected: str) -> None:
    """A broken CSV line is refused with its line, its column and what to do."""
    assert expected in refusal(content)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1]\n", "line 1, column 1: not a JSON object"),
        ('\n{"resource": "report:q3",}\n', "line 2, column "),
        ('{"resource":"report:q3","relation":"viewer"}', "line 1, column 44: the key `subject` is missing"),
        ('{"resource":"report:q3","relation":7,"subject":"user:anna"}', "column 36: the value of `relation` is not"),
        ('{"resource":"report:q3","relation":"viewer","subjcet":"user:anna"}', "column 45: `subjcet` is not a key"),
        ('{"resource":"a","relation":"b","subject":"c","resource":"d"}', "column 57: the key `resource` stands twice"),
        ('{"resource":"report:q 3","relation":"viewer","subject":"user:anna"}', "column 13: the object id `q 3`"),
        ('{"resource":"report:q3","relation":"subject","subject":"ann:"}', "line 1, column 56: an object id is empty"),
        ('{"resource":"report:\\ud800","relation":"viewer","subject":"user:anna"}', r"the object id `\ud800` holds"),
        ("[" * 30_000, "line 1, column 1: JSON beyond what a tuple needs"),
        ('{"resource":' + "9" * 5_000 + "}", "line 1, column 13: the value of `resource` is not a string"),
    ],
)
def test_broken_jsonl(content: str, expected: str) -> None:
    """A broken JSONL line is refused with its line, its column and what to do."""
    assert expected in refusal(content, "jsonl")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("report:q3#viewer\n", "line 1, column 1: `report:q3#viewer` is not a relation tuple"),
        ("\n  report:q3 viewer user:anna", "line 2, column 3: `report:q3 viewer user:anna` is not a relation tuple"),
        ("  report:q3#view-er@user:anna", "line 1, column 13: `view-er` cannot name a relation"),
        ("report:q3#viewer@user:anna // note", "line 1, column 18: the object id `anna // note` holds ` `"),
        ("report:q3#viewer@user:anna@example.org", "line 1, column 18: the object id `anna@example.org` holds `@`"),
    ],
)
def test_broken_text(content: str, expected: str) -> None:
    """A broken line of plain text is refused with its line, its column and what to do."""
    assert expected in refusal(content, "text")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfer\x00e\x00", "line 1, column 1: the file is UTF-16; save it as UTF-8"),
        (HEADER.encode() + b"report:\xc3\xa9\xff,viewer,user:anna", "line 2, column 9: the byte 0xff is not UTF-8"),
        (HEADER.encode() + b"report:q3,view\0er,user:anna\n", "line 2, column 15: a NUL byte"),
    ],
)
def test_not_text(content: bytes, expected: str) -> None:
    """What is not UTF-8 text is refused at the first byte that is not."""
    assert expected in refusal(content)


@pytest.mark.parametrize("format", ["csv", "jsonl", "text"])
def test_long_line(format: str) -> None:
    """A line over the limit is refused without being read to its end; one at the limit is read."""

    class Endless(io.RawIOBase):
        """A file without a line end: reading it whole would never come back."""

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size < 200_000
            return b"x" * size

    with (
        pytest.raises(InvalidFile, match="line 1, column 1: the line is longer than 131072 bytes"),
        TupleFile("-", format=format, stream=Endless()) as source,  # type: ignore[arg-type]  # readline is all it needs
    ):
        list(source)
    tuple_ = "report:q3#viewer@user:anna"
    assert read(b"\xef\xbb\xbf" + tuple_.encode() + b"\r\n", "text", line_size_max=len(tuple_)) == [tuple_]
    assert "longer than 25 bytes" in refusal(tuple_, "text", line_size_max=25)


CAVEATED = [
    "report:q3#viewer@user:anna[weekday]",
    'report:q3#viewer@user:bob[acme/near:{"note":"],\\"@#}[","sites":[1,2.5,null,true,{"a":{}}]}]',
    'report:q4#viewer@group:eng#member[near:{"site":"north"}][expiration:2030-01-31T12:00:00Z]',
    "report:q4#viewer@user:anna",
]


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("text", "\n".join(f"  {each}\t" for each in CAVEATED)),
        (
            "csv",
            (
                "expires_at,resource,relation,subject,context,caveat\n"
                ",report:q3,viewer,user:anna,,weekday\n"
                ',report:q3,viewer,user:bob,"{""sites"": [1.0, 2.5, null, true, {""a"": {}}],'
                ' ""note"": ""],\\""@#}[""}",acme/near\n'
                '2030-01-31T12:00:00Z,report:q4,viewer,group:eng#member,"{""site"":""north""}",near\n'
                ",report:q4,viewer,user:anna,{},\n"
            ),
        ),
        (
            "jsonl",
            (
                '{"resource":"report:q3","relation":"viewer","subject":"user:anna","caveat":"weekday","context":null}\n'
                '{"context":{"sites":[1e0,2.5,null,true,{"a":{}}],"note":"],\\"@#}["},"caveat":"acme/near",'
                '"resource":"report:q3","relation":"viewer","subject":"user:bob"}\n'
                '{"resource":"report:q4","relation":"viewer","subject":"group:eng#member","caveat":"near",'
                '"context":{"site":"north"},"expires_at":"2030-01-31T12:00:00Z"}\n'
                '{"resource":"report:q4","relation":"viewer","subject":"user:anna","caveat":"","context":{}}\n'
            ),
        ),
    ],
)
def test_caveats_and_contexts(format: str, content: str) -> None:
    """The same caveats and contexts are read from every format, whatever their texts hold."""
    assert read(content, format) == CAVEATED


@given(st.lists(st.tuples(st.from_regex("[a-z][a-z0-9_]{2,9}[a-z]", fullmatch=True), OBJECTS), max_size=5))
def test_what_is_written_is_read(drawn: list[tuple[str, dict[str, object]]]) -> None:
    """Tuples with caveats are the same after text and JSONL, as an export writes them, and after CSV."""
    tuples = [
        RelationTuple(
            Object("report", f"q{index}"), "viewer", Subject("user", "anna"), None, caveat, Context.of(values)
        )
        for index, (caveat, values) in enumerate(drawn)
    ]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(("resource", "relation", "subject", "caveat", "context"))
    for each in tuples:
        writer.writerow((each.resource, each.relation, each.subject, each.caveat, each.context))
    texts = [str(each) for each in tuples]
    assert read(written.getvalue()) == texts
    assert read("\n".join(texts), "text") == texts
    assert read("\n".join(json.dumps(tuple_json(each)) for each in tuples), "jsonl") == texts


def test_the_longest_context_fits_a_line() -> None:
    """A context as long as a store takes is read from every format, its characters spelled as long as can be."""
    tuple_ = RelationTuple.parse("report:q3#viewer@user:anna")
    longest = replace(tuple_, caveat="near", context=Context.of({"text": '"' * 12_490}))
    assert len(str(longest.context)) in range(24_980, 25_001)
    cell = str(longest.context).replace('"', '""')
    for format_, content in (
        ("text", str(longest)),
        ("jsonl", json.dumps(tuple_json(longest))),
        ("csv", f'resource,relation,subject,caveat,context\nreport:q3,viewer,user:anna,near,"{cell}"\n'),
    ):
        assert read(content, format_) == [str(longest)]


@pytest.mark.parametrize(
    ("format", "content", "expected"),
    [
        ("csv", "report:q3,viewer,user:anna,ne-ar,,", "column 28: `ne-ar` cannot name a caveat"),
        ("csv", "report:q3,viewer,user:anna,near,[1],", "column 33: a context is a JSON object"),
        ("csv", 'report:q3,viewer,user:anna,near,"{""a"":NaN}",', "column 33: the parameter `a` holds a number"),
        ("csv", 'report:q3,viewer,user:anna,,"{""a"":1}",', "column 29: the context has no caveat"),
        ("jsonl", '"caveat":7', "column 76: the value of `caveat` is not a string"),
        ("jsonl", '"caveat":"near","context":"{}"', "column 93: the value of `context` is not an object"),
        ("jsonl", '"caveat":"near","context":[]', "column 93: the value of `context` is not an object"),
        ("jsonl", '"context":{"a":1}', "column 77: the context has no caveat"),
        ("jsonl", '"caveat":"near","context":{"a":1,"a":2}', "column 93: the context has the key `a` twice"),
        ("jsonl", '"caveat":"near","context":{"a":9007199254740993}', "column 93: the parameter `a` holds a number"),
        ("text", "[ne-ar]", "column 28: `ne-ar` cannot name a caveat"),
        ("text", "[near:{]", "column 33: the context is not JSON"),
        ("text", "[near:1]", "column 18: `user:anna[near:1]` cannot be read behind its subject"),
        ("jsonl", '"caveat":"near","context":{"subject":1,"caveat":2},"expires_at":"soon"', "column 131: `soon`"),
        ("text", "[near][expiration:soon]", "column 45: `soon`"),
        ("text", "[]", "column 18: `user:anna[]` cannot be read behind its subject"),
    ],
)
def test_broken_caveats_and_contexts(format: str, content: str, expected: str) -> None:
    """A caveat or context that cannot be read is refused at its cell, in every format."""
    row = '{"resource":"report:q3","relation":"viewer","subject":"user:anna",'
    whole = {
        "csv": f"resource,relation,subject,caveat,context,expires_at\n{content}\n",
        "jsonl": f"{row}{content}}}",
        "text": f"report:q3#viewer@user:anna{content}",
    }[format]
    assert expected in refusal(whole, format)


@pytest.mark.parametrize(
    ("format", "content"),
    [
        (
            "csv",
            (
                "resource,relation,subject,expires_at\nreport:q3,viewer,user:anna,2030-01-31T13:00:00.5+01:00\n"
                "report:q4,viewer,user:anna,\n"
            ),
        ),
        (
            "csv",
            (
                'expires_at,caveat,resource,relation,subject\n"2030-01-31T12:00:00.500000Z",,report:q3,viewer,user:anna\n'
                ",,report:q4,viewer,user:anna\n"
            ),
        ),
        (
            "jsonl",
            (
                '{"resource":"report:q3","relation":"viewer","subject":"user:anna","expires_at":"2030-01-31t12:00:00.5z"}\n'
                '{"resource":"report:q4","relation":"viewer","subject":"user:anna","expires_at":null}\n'
            ),
        ),
        (
            "text",
            "report:q3#viewer@user:anna[expiration:2030-01-31T12:00:00.5000009Z]\nreport:q4#viewer@user:anna\n",
        ),
    ],
)
def test_expirations(format: str, content: str) -> None:
    """Each format says when a tuple expires, in any zone, to the microsecond; an empty cell or a null means never."""
    first, second = "report:q3#viewer@user:anna[expiration:2030-01-31T12:00:00.500000Z]", "report:q4#viewer@user:anna"
    assert [first, second] == read(content, format)


def test_broken_expirations() -> None:
    """A time without a zone, or that is none, is refused at its cell, in every format."""
    row = '"resource":"report:q3","relation":"viewer","subject":"user:anna"'
    plain = "report:q3#viewer@user:anna"
    for format_, content, expected in (
        (
            "csv",
            "resource,relation,subject,expires_at\nreport:q3,viewer,user:anna,2030-01-31\n",
            "line 2, column 28: `20",
        ),
        (
            "csv",
            "expires_at,resource,relation,subject\n2030-02-30T00:00:00Z,report:q3,viewer,user:a\n",
            "line 2, column 1:",
        ),
        ("jsonl", '{"expires_at":"soon",' + row + "}", "line 1, column 15: `soon` is not a point in time"),
        (
            "jsonl",
            '{"expires_at":1900000000,' + row + "}",
            "line 1, column 15: the value of `expires_at` is not a string",
        ),
        (
            "text",
            f"\n {plain}[expiration:2030-01-31T00:00:00]",
            "line 2, column 40: `2030-01-31T00:00:00` is not a point",
        ),
        ("text", f"{plain}[expiration:]", "line 1, column 27: the expiration is empty"),
    ):
        assert expected in refusal(content, format_)


def test_stars_need_permission() -> None:
    """`*` as resource or as subject is refused at its cell until it is allowed by name."""
    universal = HEADER + "report:*,administrator,group:root#member\n"
    wildcard = HEADER + "report:q3,viewer,user:*\n"
    assert "line 2, column 1: `report:*` counts for every `report`" in refusal(universal)
    assert "pass --allow-universal" in refusal(universal, allow_wildcards=True)
    assert "line 2, column 18: `user:*` covers every `user`" in refusal(wildcard)
    assert "pass --allow-wildcards" in refusal(wildcard, allow_universal=True)
    assert read(universal, allow_universal=True) == ["report:*#administrator@group:root#member"]
    assert read(wildcard, allow_wildcards=True) == ["report:q3#viewer@user:*"]


def test_format_of_suffix() -> None:
    """The suffix names the format, whatever its case; without a known one the option is asked for."""
    found = {name: format_of(name) for name in ("a.csv", "b.JSONL", "c.ndjson", "d.txt", "dir.csv/e.tuples")}
    assert found == {
        "a.csv": "csv",
        "b.JSONL": "jsonl",
        "c.ndjson": "jsonl",
        "d.txt": "text",
        "dir.csv/e.tuples": "text",
    }
    with pytest.raises(InvalidInput, match=r"^stdin has no suffix .*; pass --format with one of csv, jsonl, text$"):
        format_of("-")
    with pytest.raises(InvalidInput, match="`cvs` is not a format of tuples, did you mean `csv`"):
        TupleFile("a.txt", format="cvs")


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory and an impossible path are refused by name."""
    for path in (str(tmp_path / "missing.csv"), "nul\0.csv"):
        with pytest.raises(InvalidFile, match="cannot be read"), TupleFile(path):
            pass
    directory = tmp_path / "dir.csv"
    directory.mkdir()
    with pytest.raises(InvalidFile, match="cannot be read: is a directory"), TupleFile(str(directory)):
        pass


def test_file_name_is_escaped(tmp_path: Path) -> None:
    """Control characters in a file's name do not reach the terminal."""
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("nonsense\n")
    with pytest.raises(InvalidFile) as caught, TupleFile(str(path)) as source:
        list(source)
    assert r"a\x1b[31m.csv, line 1, column 1: " in str(caught.value)


def test_streaming() -> None:
    """A tuple is handed out before the line after it is read, so no file is ever held in memory."""
    stream = io.BytesIO(b"a_type:x#rel@user:anna\n" * 2 + b"broken\n")
    with TupleFile("-", format="text", stream=stream) as source:
        tuples = iter(source)
        assert str(next(tuples)) == "a_type:x#rel@user:anna"
        assert source.bytes_read == 23
        next(tuples)
        with pytest.raises(InvalidFile):
            next(tuples)
        assert isinstance(source.failure, InvalidFile)


def located(source: TupleFile, error: RelgraphError) -> tuple[str, dict[str, str]]:
    found = source.located(error)
    assert type(found) is type(error)
    return found.message, found.details


def test_located(tmp_path: Path) -> None:
    """An error about the n-th tuple, or about a tuple's text, is told at its line and its cell."""
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "\nreport:q3,viewer,user:anna\n\nreport:q4,owner,user:bob\nreport:q3,viewer,user:anna\n")
    with TupleFile(str(path)) as source:
        assert len(list(source)) == 3
    place = str(path)
    index = {"index": "1"}
    assert located(source, TupleNotAllowed("no", index)) == (
        f"{place}, line 5, column 17: no",
        {"index": "1", "file": place, "line": "5", "column": "17"},
    )
    assert located(source, UnknownRelation("no", index))[0] == f"{place}, line 5, column 11: no"
    assert located(source, TupleNotAllowed("no", {**index, "part": "resource"}))[0].endswith("line 5, column 1: no")
    twice = AlreadyExists("no", {"tuple": "report:q3#viewer@user:anna"})
    assert located(source, twice)[0] == f"{place}, line 6, column 1: no"
    once = AlreadyExists("no", {"tuple": "report:q4#owner@user:bob"})
    assert located(source, once)[0] == f"{place}, line 5, column 1: no"


def test_located_by_expiration(tmp_path: Path) -> None:
    """Of one tuple with two expirations, the one that the error spells is found, however the file spells it."""
    path = tmp_path / "t.csv"
    times = ("2030-01-31T13:00:00+01:00", "2030-01-31T13:00:00Z")
    rows = "".join(f"report:q3,viewer,user:anna,{time}\n" for time in times)
    path.write_text("resource,relation,subject,expires_at\n" + rows)
    with TupleFile(str(path)) as source:
        first, second = list(source)
    for tuple_, line in ((first, 2), (second, 3)):
        error = AlreadyExists("no", {"tuple": str(tuple_)})
        assert located(source, error)[0] == f"{path}, line {line}, column 1: no"


def test_located_leaves_others_alone(tmp_path: Path) -> None:
    """An error that names no tuple of the file, or already has its place, is handed back as it is."""
    path = tmp_path / "t.txt"
    path.write_text("report:q3#viewer@user:anna\n")
    with TupleFile(str(path)) as source:
        list(source)
    for details in ({}, {"index": "1"}, {"index": "x"}, {"tuple": "report:q9#viewer@user:anna"}, {"line": "3"}):
        error = AlreadyExists("no", details)
        assert source.located(error) is error

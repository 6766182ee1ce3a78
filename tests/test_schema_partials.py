"""Partials: their lines become those of each definition that splices them in, or the text is refused."""

from __future__ import annotations

import pytest

from relgraph.errors import SchemaParseError, SchemaTypeError
from relgraph.schema import parse, print_schema
from relgraph.schema.partials import SPLICED_MAX
from tests.schema_kit import OWNER, USER, check, refusal

HEAD = f"use partial\n{USER}"


def test_spliced_in() -> None:
    """What a partial holds stands in each definition where its name is, partials within partials included."""
    schema = parse(
        "use partial\nuse grants\nuse roles\n"
        "partial owned {\n  // whose it is\n  relation owner: user\n  ...readable\n"
        "  permission edit = owner\n  grant owner by owner\n}\n"
        f"{USER}definition doc {{\n  relation parent: doc\n  ...owned\n  permission share = edit\n}}\n"
        "definition org/note { ...owned; permission last = view }\n"
        "// who sees it\npartial readable {\n  roles owner > view\n  permission view = edit + owner\n}\n"
    )
    assert print_schema(schema) == (
        f"use grants\nuse roles\n\n{USER}\n"
        "definition doc {\n  roles owner > view\n  relation parent: doc\n  // whose it is\n  relation owner: user\n"
        "  permission view = edit + owner\n  permission edit = owner\n  permission share = edit\n"
        "  grant owner by owner\n}\n\n"
        "definition org/note {\n  roles owner > view\n  // whose it is\n  relation owner: user\n"
        "  permission view = edit + owner\n  permission edit = owner\n  permission last = view\n"
        "  grant owner by owner\n}\n"
    )
    assert schema.text.startswith("use partial")


def test_annotations_in_partials() -> None:
    """A flag counts for a partial before it as well, where no word of the partial changes its meaning."""
    text = f"use partial\npartial common {{\n{OWNER}\npermission view: user = owner\n}}\nuse typechecking\n{USER}"
    schema = parse(text + "definition doc { ...common }")
    assert schema.definitions["doc"].permissions["view"].annotation == ("user",)


def test_partials_with_paths_and_none_used() -> None:
    """A partial's name may be a path, and a partial may be left unused, with names that exist nowhere."""
    text = f"{HEAD}partial org/team/common {{\n  relation owner: nowhere\n}}\npartial mine {{ ...org/team/common }}"
    assert list(parse(text).definitions) == ["user"]


REFUSED = [
    ("definition doc {\n  ...comon\n}\npartial common {}", 4, 6, "`comon` is not a partial, did you mean `common`?"),
    ("partial common {\n  ...other\n}", 4, 6, "`other` is not a partial, known here: `common`"),
    ("definition doc {\n  ...\n}", 5, 1, "expected the name of a partial after `...`"),
    ("definition doc {\n  ...user\n}", 4, 6, "`user` is a definition, and only a partial can be spliced in"),
    ("partial common {\n  ...common\n}", 4, 6, "the partial goes in a circle (`common` → `common`)"),
    (
        "partial zero {}\npartial one {\n ...two\n}\npartial two {\n  ...three\n}\npartial three {\n  ...two\n}",
        11,
        6,
        "in a circle (`two` → `three` → `two`), take this line out",
    ),
    ("partial user {}", 3, 9, "`user` names a definition already, in line 2, rename one of them"),
    ("partial common {}\npartial common {}", 4, 9, "`common` names a partial already, in line 3"),
    ("partial common {\n  relation", 4, 11, "expected a name after `relation`"),
    ("partial common {\n", 3, 16, "the partial `common` is never closed"),
    ("definition doc {\n  ...common\n  ...common\n}\npartial common {}", 5, 6, "part of `doc` already, in line 4"),
    ("definition doc { ...one; ...two }\npartial one { ...two }\npartial two {}", 3, 29, "part of `doc` already"),
    ("relation owner: user", 3, 1, "expected `definition`, `caveat` or `use`"),
]


@pytest.mark.parametrize(("text", "line", "column", "part"), REFUSED)
def test_refused(text: str, line: int, column: int, part: str) -> None:
    """A partial that is not there, goes in a circle or bears a definition's name is a SchemaParseError."""
    check(SchemaParseError, HEAD + text, line, column, part)


def test_faults_point_into_the_partial() -> None:
    """A fault in a spliced line is reported where the line was written, and names the definition it fails in."""
    text = f"{HEAD}partial common {{\n  permission view = ownr\n}}\ndefinition doc {{\n  {OWNER}\n  ...common\n}}"
    check(SchemaTypeError, text, 4, 21, "`ownr` is not a relation or permission of `doc`, did you mean `owner`?")
    text = f"{HEAD}partial common {{\n  {OWNER}\n}}\ndefinition doc {{\n  {OWNER}\n  ...common\n}}"
    check(SchemaTypeError, text, 4, 12, "`owner` stands twice in `doc`, first in line 7")


def test_a_flag_behind_a_partial_changes_no_name() -> None:
    """A flag that would turn a partial's name into a keyword is refused where it stands."""
    text = f"use partial\npartial common {{\n  relation self: user\n}}\nuse self\n{USER}definition doc {{ ...common }}"
    check(SchemaParseError, text, 5, 5, "`self` is a name before `use self`, move `use` to the top")


def test_what_is_spliced_is_bounded() -> None:
    """Partials cannot make a small text large without end, and a deep chain of them needs no stack."""
    definitions = "".join(f"definition doc{number} {{ ...common }}\n" for number in range(SPLICED_MAX // 1000))
    for lines in (
        "".join(f"relation r{number}x: user\n" for number in range(500)),
        f"relation own: {' | '.join(f'doc{number}' for number in range(500))}\n" * 2,
        f"permission own = {' + '.join(['owner'] * 1000)}",
        f"roles {' > '.join(['owner'] * 1000)}",
    ):
        found = refusal(f"use roles\n{HEAD}partial common {{\n{lines}\n}}\n{definitions}")
        assert f"more than {SPLICED_MAX} names" in found.message
    chain = "".join(f"partial part{number} {{ ...part{number + 1} }}\n" for number in range(20_000))
    schema = parse(f"{HEAD}{chain}partial part20000 {{ {OWNER} }}\ndefinition doc {{ ...part0 }}")
    assert list(schema.definitions["doc"].relations) == ["owner"]
    found = refusal(f"{HEAD}{chain}partial part20000 {{ ...part0 }}")
    assert (
        "(`part0` → `part1` → `part2` → `part3` → … → `part19998` → `part19999` → `part20000` → `part0`)"
        in found.message
    )

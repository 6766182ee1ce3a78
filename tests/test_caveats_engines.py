"""Both libraries that evaluate CEL, on the same expressions: what one answers the other answers, or it is listed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from relgraph.caveats import compile_caveat
from relgraph.caveats.native import ENGINE as NATIVE
from relgraph.caveats.plain import ENGINE as PLAIN
from relgraph.contexts import Context
from relgraph.errors import InvalidCaveat
from tests.caveat_examples import EXAMPLES, REFUSED, Example

if TYPE_CHECKING:
    from relgraph.caveats import Caveat, Outcome
    from relgraph.caveats.engine import Engine

ENGINES: dict[str, Engine] = {"native": NATIVE, "plain": PLAIN}

DIFFERENCES: dict[str | tuple[str, str], str] = {
    # It knows no macro `map` with a condition, compares no text with a number, and reads texts in three quotation
    # marks otherwise, so they are refused there.
    "l.map(i, i > 1, i * 2) == [6, 4]": "! ",
    "s == '''a\n'c'''": "refused",
    ("x == 1", "false"): "! not made for",
    # Nor a boolean, which it would take for a number.
    "x != 1": "! ",
    "x in [1, 2]": "! ",
    "x == [1]": "! ",
    "x == {'a': 1}": "! ",
}
"""What the engine in Python says otherwise: expressions, or those with their outcome, and what they are there."""


def made(parameters: str, expression: str, engine: Engine) -> Caveat:
    """Return a caveat of `name type, name type`."""
    pairs = [each.strip().partition(" ") for each in parameters.split(", ")]
    return compile_caveat("late", [(name, type_) for name, _, type_ in pairs], expression, engine=engine)


def shown(outcome: Outcome) -> str:
    """Return an outcome as the examples write it."""
    if outcome.value is not None:
        return str(outcome.value).lower()
    return f"? {' '.join(sorted(outcome.missing))}" if outcome.missing else f"! {outcome.failed}"


def asked(example: Example, engine: Engine) -> Outcome:
    caveat = made(example.parameters, example.expression, engine)
    stored, request = (caveat.convert(Context.of(given)) for given in (example.stored, example.request))
    return caveat.evaluate(stored, request)


def matches(found: str, outcome: str) -> bool:
    return found.startswith("! ") and outcome[2:] in found if outcome.startswith("! ") else found == outcome


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.expression} {each.outcome}")
def test_native(example: Example) -> None:
    """Every example has its outcome with the engine in C++."""
    found = shown(asked(example, NATIVE))
    assert matches(found, example.outcome), found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.expression} {each.outcome}")
def test_plain(example: Example) -> None:
    """Every example has its outcome with the engine in Python, but for the differences that are listed."""
    by_outcome = DIFFERENCES.get((example.expression, example.outcome), example.outcome)
    expected = DIFFERENCES.get(example.expression, by_outcome)
    if expected == "refused":
        with pytest.raises(InvalidCaveat):
            asked(example, PLAIN)
        return
    found = shown(asked(example, PLAIN))
    assert matches(found, expected), found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.expression} {each.outcome}")
def test_neither_answers_what_the_other_denies(example: Example) -> None:
    """Whatever of an example's values is withheld, the engine in Python answers only what the one in C++ answers."""
    if DIFFERENCES.get(example.expression) == "refused":
        return
    engines = [made(example.parameters, example.expression, engine) for engine in (NATIVE, PLAIN)]
    names = sorted({*example.stored, *example.request})
    for count in range(len(names) + 1):
        for given in combinations(names, count):
            context = Context.of({name: {**example.request, **example.stored}[name] for name in given})
            native, plain = (each.evaluate(each.convert(context)) for each in engines)
            assert plain.value is None or plain.value is native.value, given


def test_there_are_enough_examples() -> None:
    """The table has more than 120 expressions, each with its own idea."""
    assert len({(each.parameters, each.expression, each.outcome) for each in EXAMPLES}) > 120


def test_differences_are_failures() -> None:
    """Where the engine in Python differs it fails: it never answers what the other does not."""
    assert all(outcome == "refused" or outcome.startswith("! ") for outcome in DIFFERENCES.values())
    known = {each.expression for each in EXAMPLES} | {(each.expression, each.outcome) for each in EXAMPLES}
    assert set(DIFFERENCES) <= known


@pytest.mark.parametrize("name", ENGINES)
def test_values_are_not_logged(name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """What an expression fails with, in a pattern, a function or an operator, is written nowhere."""
    for parameters, expression in (
        ("s string", "s.matches(s)"),
        ("s string", "int(s) == 1"),
        ("s string", "duration(s) == duration('1s')"),
        ("s string", "timestamp(s) == timestamp('2026-01-01T00:00:00Z')"),
        ("s any", "s.a == 1"),
        ("s any", "s < 1"),
    ):
        caveat = made(parameters, expression, ENGINES[name])
        failed = caveat.evaluate(caveat.convert({"s": ")sesame("})).failed
        assert failed
        assert "sesame" not in failed
    written = capfd.readouterr()
    assert "sesame" not in written.out + written.err + caplog.text


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("expression", REFUSED)
def test_refused(expression: str, name: str) -> None:
    """What is not an expression, or is surely of wrong types, is refused when it is compiled, at its place."""
    with pytest.raises(InvalidCaveat) as caught:
        made("n int", expression, ENGINES[name])
    assert REFUSED[expression] in caught.value.message
    start, length = (int(caught.value.details[each]) for each in ("offset", "length"))
    assert 0 <= start <= len(expression)
    assert length >= 1

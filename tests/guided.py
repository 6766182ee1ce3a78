"""A program: coverage-guided inputs for one of `text_targets`, or for all of them, by atheris (libFuzzer).

    python -m tests.guided TARGET|all FOLDER [options of libFuzzer, as in -runs=100000]

With `all`, the first byte of an input chooses the target. It ends with 0 when every input was read or refused as
`test_text_fuzz.tried` wants it; the input that was not stands in FOLDER. A program of its own, since libFuzzer ends the
process that it runs in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["relgraph", "relgraph_server"]):
    from tests.test_text_fuzz import tried
    from tests.text_targets import TARGETS

NAMES = sorted(TARGETS)


def main() -> None:
    """Make a corpus of the targets' seeds, and run."""
    name, folder, *options = sys.argv[1:]
    corpus = Path(folder, "corpus")
    corpus.mkdir(parents=True)
    chosen = NAMES if name == "all" else [name]
    for each in chosen:
        head = bytes([NAMES.index(each)]) if name == "all" else b""
        for number, seed in enumerate(TARGETS[each].seeds):
            (corpus / f"{NAMES.index(each)}-{number}").write_bytes(head + seed.encode())

    def one_input(data: bytes) -> None:
        if name != "all":
            tried(name, data, Path(folder, "input"))
        elif data:
            tried(NAMES[data[0] % len(NAMES)], data[1:], Path(folder, "input"))

    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={folder}/", "-max_len=4096", *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

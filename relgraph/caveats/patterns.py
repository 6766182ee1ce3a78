"""How much work a regular expression is before it has read a character: the states that it is compiled to.

RE2 matches in linear time, but `x{1000}` is a thousand states, a class of Unicode some hundreds, and each is made anew
in every evaluation, constant or not. A state costs about `STATE` units of work (see `relgraph.caveats.work`).
Rule 1: the figure is never too low, whatever the text is; it need not be a pattern at all.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["JOINED", "pattern_work"]

JOINED: Final = 1_000
"""RE2 takes no pattern that repeats anything more often: two texts joined are at most so much more than both."""

_STATE: Final = 20
_UNICODE: Final = 15_000
"""A class of Unicode: RE2 makes it anew wherever it stands, which takes more than a millisecond."""
_MERGED: Final = 300
"""One more of them between the same brackets."""
_CLASS: Final = 1_500
"""Any other class that goes beyond ASCII."""
_PIECE: Final = re.compile(
    r"(?P<unicode>\\[pP](?:\{[^}]*\}?|.)?)"
    r"|(?P<escape>\\.)"
    r"|(?P<bracket>\[\^?\]?(?:\\.|\[:[^\]]*:\]|[^\]\\])*\]?)"
    r"|(?P<count>\{[0-9]*,?[0-9]*\})"
    r"|(?P<open>\()|(?P<close>\))"
    r"|(?P<other>.)",
    re.DOTALL,
)


def pattern_work(text: str) -> int:
    """Return the units of work that compiling the text as a pattern takes at most."""
    groups = [0]
    last = 0
    # Quotation switches the meaning of all signs off, flags that of letters on: then anything is taken at its most.
    factor = 40 if "(?" in text and not text.isascii() else 4 if "(?" in text else 1
    for match in _PIECE.finditer(text):
        kind = match.lastgroup
        piece = match.group()
        if kind == "count":
            counts = [min(int(each), JOINED) for each in re.findall(r"[0-9]{1,9}", piece)]
            groups[-1] += last * (max(counts, default=1) - 1 if counts else 0)
            last *= max(counts, default=1)
            continue
        if kind == "open":
            groups.append(0)
            last = 0
            continue
        if kind == "close" and len(groups) > 1:
            last = groups.pop() + _STATE
        elif kind == "unicode":
            last = _UNICODE
        elif kind == "bracket":
            last = _bracket_work(piece)
        elif kind == "escape" and piece[1:] in "DSW":
            last = _STATE * 10
        elif kind == "other" and piece in "*+?":
            groups[-1] += _STATE
            continue
        else:
            last = _STATE * (10 if piece == "." else 1 if piece.isascii() else 3)
        groups[-1] += last
    total = _STATE + sum(groups)
    if "\\Q" in text:
        total += _STATE * len(text) * JOINED
    return total * factor


def _bracket_work(piece: str) -> int:
    """Return the units of work of a class in brackets."""
    unicode = piece.count("\\p") + piece.count("\\P")
    if unicode:
        return _UNICODE + _MERGED * unicode + 10 * len(piece)
    plain = piece.isascii() and "\\" not in piece and "[^" not in piece and "[:^" not in piece
    return _STATE * 2 + len(piece) if plain else _CLASS + 10 * len(piece)

"""Asking again: which failures are worth it, after how long a pause, and what is raised in the end.

Rule 1: an answer is never asked for again. Only who got none asks again: the server or its store was out of reach.
Rule 2: a write is sent again only under a request id, so that it is made once however often it arrives.
Rule 3: once it is open whether a write was made, no later failure says that it was not; only the write's own refusal.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relgraph.errors import (
    AlreadyExists,
    DeadlineExceeded,
    InvalidSetting,
    LimitExceeded,
    NotReady,
    OutcomeUnknown,
    Refused,
    RelgraphError,
    RequestExpired,
    ServerUnavailable,
    StoreUnavailable,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Attempts", "Retries"]

_RANDOM: Final = random.SystemRandom()
_DOUBLINGS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call is made at most, and the longest pause after the first attempt and after any.

    The longest pause doubles with each attempt. How long it really is, is drawn anew each time, from nothing up to
    that, so that many clients do not come back at once. With `own_ids`, a write that was given no request id gets one
    of the client's, so that it may be made again too; it then takes a revision even where it changes nothing. Raises
    InvalidSetting.
    """

    attempts_max: int = 4
    first_pause_s_max: float = 0.2
    pause_s_max: float = 2.0
    own_ids: bool = False

    def __post_init__(self) -> None:
        if self.attempts_max < 1:
            raise InvalidSetting(
                f"a call cannot be made {quoted(str(self.attempts_max))} times; give 1 to make it once, or more"
            )
        if not 0 < self.first_pause_s_max <= self.pause_s_max < float("inf"):
            raise InvalidSetting(
                f"pauses of {quoted(str(self.first_pause_s_max))} to {quoted(str(self.pause_s_max))} seconds cannot be "
                "made; give seconds above 0, the first no longer than the longest"
            )

    def pause(self, attempt: int, draw: float) -> float:
        """Return the seconds to wait after an attempt, counted from 1, by a number drawn from 0 to 1."""
        return draw * min(self.pause_s_max, self.first_pause_s_max * 2.0 ** min(attempt - 1, _DOUBLINGS_MAX))


class Attempts:
    """The attempts at one call. `ends` is when it must be over, by `clock`; `repeatable` is by Rule 2."""

    def __init__(
        self,
        retries: Retries,
        ends: float,
        clock: Callable[[], float],
        *,
        repeatable: bool = True,
        request_id: str = "",
        draw: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._retries = retries
        self._ends = ends
        self._clock = clock
        self._repeatable = repeatable
        self._request_id = request_id
        self._draw = draw
        self._made = 0
        self._doubt: RelgraphError | None = None

    @property
    def left(self) -> float | None:
        """The seconds that are left, None without an end. Raises DeadlineExceeded when there are none."""
        if self._ends == float("inf"):
            return None
        left = self._ends - self._clock()
        if left <= 0.0:  # gRPC might send the call all the same
            raise DeadlineExceeded("the deadline has passed before the call was made; allow more time")
        return left

    def after(self, error: RelgraphError) -> float | RelgraphError:
        """Return the seconds to wait before the next attempt, or what is to be raised when there is none."""
        self._made += 1
        if self._request_id and isinstance(error, ServerUnavailable | StoreUnavailable | DeadlineExceeded):
            # Who made the id is the only one who knows it, and that may have been the client itself.
            error.details["request_id"] = self._request_id
        if self._repeatable and self._made < self._retries.attempts_max and _passing(error):
            pause = _asked_for(error) + self._retries.pause(self._made, self._draw())
            if self._clock() + pause < self._ends:
                if self._request_id and isinstance(error, ServerUnavailable | OutcomeUnknown):
                    self._doubt = error
                return pause
        return self._last(error)

    def _last(self, error: RelgraphError) -> RelgraphError:
        if self._doubt is None or (
            isinstance(error, Refused | AlreadyExists | OutcomeUnknown) and not isinstance(error, RequestExpired)
        ):
            return error
        if isinstance(error, ServerUnavailable | DeadlineExceeded) and not isinstance(self._doubt, OutcomeUnknown):
            return error
        return OutcomeUnknown(
            "whether the write was made is not known: no answer to it arrived, and asking again ended with "
            f"{error.code}: {error.message}; send the same write again with the request id {quoted(self._request_id)}",
            {"request_id": self._request_id},
        )


def _passing(error: RelgraphError) -> bool:
    """Whether the next attempt may fare better."""
    if isinstance(error, LimitExceeded):
        return _RETRY_AFTER in error.details
    return isinstance(error, ServerUnavailable | NotReady | OutcomeUnknown) or type(error) is StoreUnavailable


_RETRY_AFTER: Final = "retry_after_s"


def _asked_for(error: RelgraphError) -> float:
    """The seconds that the server itself asked for."""
    try:
        return max(0.0, float(error.details.get(_RETRY_AFTER, "0")))
    except ValueError:
        return 0.0

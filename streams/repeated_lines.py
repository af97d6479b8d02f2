"""Holds back what the client libraries say again and again while a broker is away.

`predictor/telemetry.py` puts one `RepeatedLines` on the root logger's handlers. aiokafka tries ten
times a second and writes a line each time, for every client of the process. Must never hold back
the first line of a kind, or count forever.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_KINDS_MAX = 200
_TOLD_BY_CALLER = frozenset({'Unable connect to "%s:%s": %s'})
"""Of a client that cannot start: it raises, and who started it tells why (`broker_problem.py`)."""


class RepeatedLines(logging.Filter):
    """Lets a line through at once, then the same one after pauses that double up to a minute.

    Lines are the same when logger, words and values are. One that was not heard for two pauses
    begins anew.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._heard: OrderedDict[tuple[str, str], _Repeats] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the handler writes it; tells on the line how many like it were held back."""
        if record.msg in _TOLD_BY_CALLER:
            return False
        now_s, message = self._now_s(), record.getMessage()
        repeats = self._heard.pop((record.name, message), None)
        if repeats is None or now_s - repeats.last_s > 2 * repeats.pause_s:
            repeats = _Repeats(now_s)
        self._heard[record.name, message] = repeats
        if len(self._heard) > _KINDS_MAX:
            self._heard.popitem(last=False)
        held_back = repeats.hear(now_s)
        if held_back:
            record.msg, record.args = f"{message} ({held_back} more like it)", None
        return held_back is not None


class _Repeats:
    """One kind of line: when it may be written next, and how often it was not."""

    def __init__(self, now_s: float) -> None:
        self.last_s = self._next_s = now_s
        self.pause_s = FIRST_PAUSE_S
        self._held_back = 0

    def hear(self, now_s: float) -> int | None:
        """None to hold it back, else how many were held back before it."""
        self.last_s = now_s
        if now_s < self._next_s:
            self._held_back += 1
            return None
        self._next_s = now_s + self.pause_s
        self.pause_s = min(LONGEST_PAUSE_S, self.pause_s * 2)
        held_back, self._held_back = self._held_back, 0
        return held_back

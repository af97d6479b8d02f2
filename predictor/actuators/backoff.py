"""How long a server that fails, or asks for patience, is left alone.

`connection.py` asks before every request, `reflector.py` before every watch. It must never wait
itself, and never close anything for longer than its longest delay or what the server asked for.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from streams.backoff import Backoff

_REFUSED_IN_ROW_MAX = 3
# What a server may ask for with Retry-After; more is taken for a mistake.
_ASKED_WAIT_MAX_S = 120.0

# Workers that start together must not draw alike.
_RANDOM = secrets.SystemRandom()


class RequestBackoff:
    """When the next request may go out after failures: the delays of `streams/backoff.py`."""

    def __init__(
        self,
        delay_s: float,
        delay_max_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._delays = Backoff(delay_s, delay_max_s, draw)
        self._monotonic = monotonic
        self._open_at_s: float | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last request failed."""
        return self._open_at_s is not None

    @property
    def wait_s(self) -> float:
        """Seconds until the next request may go out; 0 when it may go now."""
        return 0.0 if self._open_at_s is None else max(0.0, self._open_at_s - self._monotonic())

    def failed(self, asked_wait_s: float = 0.0) -> None:
        """Close for a while; requests that were under way together count as one failure."""
        if self.wait_s:
            return
        delay_s = max(self._delays.next_delay_s(), min(asked_wait_s, _ASKED_WAIT_MAX_S))
        self._open_at_s = self._monotonic() + delay_s

    def answered(self) -> None:
        """Open again."""
        self._delays.reset()
        self._open_at_s = None


class Patience:
    """Which paths are spared because the server asked for it, and for how long; bounded.

    Source: Kubernetes "API Priority and Fairness": 429 with Retry-After is said to one request, and
    others of the same identity may well be served.
    """

    def __init__(
        self,
        delay_s: float,
        delay_max_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        size_max: int = 20_000,
    ) -> None:
        self._delays_s = (delay_s, delay_max_s)
        self._monotonic = monotonic
        self._size_max = size_max
        self._paths: OrderedDict[str, RequestBackoff] = OrderedDict()
        self._refused_in_row = 0

    def wait_s(self, path: str) -> float:
        """Seconds until this path may be asked for again."""
        backoff = self._paths.get(path)
        return 0.0 if backoff is None else backoff.wait_s

    def refused(self, path: str, asked_wait_s: float) -> bool:
        """Spare the path; whether so many were refused in a row that all should wait."""
        backoff = self._paths.setdefault(path, RequestBackoff(*self._delays_s, self._monotonic))
        backoff.failed(asked_wait_s)
        while len(self._paths) > self._size_max:
            self._paths.popitem(last=False)
        self._refused_in_row += 1
        return self._refused_in_row >= _REFUSED_IN_ROW_MAX

    def answered(self, path: str) -> None:
        """The path is served again."""
        self._refused_in_row = 0
        self._paths.pop(path, None)

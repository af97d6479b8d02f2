"""How many writes go out in a second: a bucket of tokens.

`kubernetes.py` takes one before each write, so that a tick in which everything changes does not use
up what the API server grants to all its clients. It must never wait itself, or grow a queue: who
would wait longer than it may is told so at once.

Source: client-go `util/flowcontrol` (token bucket, the `--kube-api-qps` of Kubernetes' own
controllers).
"""

from __future__ import annotations

import time
from collections.abc import Callable


class WriteBudget:
    """`rate_per_s` writes a second, `burst` of them at once after a pause."""

    def __init__(
        self, rate_per_s: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises `ValueError` where nothing could ever be written."""
        if rate_per_s <= 0 or burst < 1:
            raise ValueError(f"a budget of {rate_per_s} writes/s, {burst} at once, writes nothing")
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._counted_at_s = monotonic()

    def take(self, wait_max_s: float) -> float | None:
        """Seconds to wait before writing; None, and nothing taken, beyond `wait_max_s`."""
        now_s = self._monotonic()
        gained = max(0.0, now_s - self._counted_at_s) * self._rate_per_s
        self._tokens = min(float(self._burst), self._tokens + gained)
        self._counted_at_s = now_s
        wait_s = max(0.0, (1.0 - self._tokens) / self._rate_per_s)
        if wait_s > wait_max_s:
            return None
        # Below zero are the tokens of those who wait: the next one waits behind them.
        self._tokens -= 1.0
        return wait_s

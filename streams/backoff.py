"""How long to wait before the next attempt: doubling, bounded, and with jitter.

`streams/ingest.py` and `streams/audit_topic.py` use it where a broker does not answer,
`predictor/actuators/backoff.py` where an API server does not. Jitter keeps
a hundred workers from knocking in the same moment (M. Brooker, "Exponential Backoff And Jitter").
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays that grow from `first_s` to `longest_s` until somebody calls `reset`."""

    def __init__(
        self,
        first_s: float = 0.2,
        longest_s: float = 15.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self._draw = draw

    def next_delay_s(self) -> float:
        """Between half of the current step and all of it."""
        step_s = self._next_s
        self._next_s = min(self._longest_s, step_s * 2)
        return step_s * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """The last attempt went well."""
        self._next_s = self._first_s

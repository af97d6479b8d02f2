"""Notices that something which should move has not moved for too long.

`streams/faust_app.py` looks once a second while partitions are taken over. It must never call what
has moved, or is not under way, a standstill.
"""

from __future__ import annotations

from collections.abc import Hashable


class Standstill:
    """How long one and the same progress has been seen."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._progress: Hashable = None
        self._since_s = 0.0

    def has_lasted(self, progress: Hashable, now_s: float) -> bool:
        """Whether this very progress has been seen for the limit; None is nothing under way."""
        if progress is None or progress != self._progress:
            self._progress, self._since_s = progress, now_s
            return False
        return now_s - self._since_s >= self._limit_s

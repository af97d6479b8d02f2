"""Stretches of event time without any sign of life in one input partition: a value, not a zero.

`streams/windows.py` asks while it reads; what is found travels with the partition's progress to the
deciding workers. Where believed event time jumps, nothing in between gave a sign: no event, no
heartbeat, no record that says zero. Must never go by a time that the watermark does not believe.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streams.event_columns import Integers
from streams.gaps import Gaps


class Watch(NamedTuple):
    """How buckets are cut, what is too long for a pause, and the newest time before the block."""

    bucket_s: int
    silence_max_s: int
    before_s: int | None

    def may_find_silence(self, times_s: Integers) -> bool:
        """Whether a block reaches so far ahead that there can be a silence in it."""
        before_s = int(times_s[0]) if self.before_s is None else self.before_s
        return int(times_s.max()) - before_s >= self.silence_max_s

    def silences(self, newest_s: Integers) -> Gaps:
        """From the believed time after each event: whole buckets, long enough to be a silence."""
        before_s = newest_s[0] if self.before_s is None else self.before_s
        reached_s = np.concatenate([[before_s], newest_s])
        found = []
        for place in np.flatnonzero(np.diff(reached_s) >= self.silence_max_s).tolist():
            from_s = (int(reached_s[place]) // self.bucket_s + 1) * self.bucket_s
            until_s = int(reached_s[place + 1]) // self.bucket_s * self.bucket_s
            if until_s - from_s >= self.silence_max_s:
                found.append((from_s, until_s))
        return tuple(found)

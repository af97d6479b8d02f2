"""The stretch of event time in which records are missing, for as long as its end is not certain.

`streams/windows.py` keeps one while it reads past records that were lost, and commits it with the
offset; its docstring says why a stretch ends where it does. Must never end before a bucket that is
certainly whole.
"""

from __future__ import annotations

import math

import msgspec

from streams.event_columns import Integers


class PartialStretch(msgspec.Struct, forbid_unknown_fields=True):
    """Its begin (0: nobody knows since when), the newest event since, and its latest end."""

    from_s: int
    front_s: int | None = None
    until_max_s: float | None = None

    def end_by(self, until_s: float) -> None:
        """All that is missing lies before this instant; the earliest one counts."""
        known_s = self.until_max_s
        self.until_max_s = until_s if known_s is None else min(known_s, until_s)

    def follow(
        self,
        times_s: Integers,
        closed_s: Integers,
        *,
        closed_before_s: int,
        lateness_s: float,
        bucket_s: int,
    ) -> int | None:
        """Read on. `closed_s` (events,) is raised in place, to let out only whole buckets.

        Gives the end of the stretch if it was reached: where the first whole bucket starts.
        """
        latest_s = math.inf if self.until_max_s is None else self.until_max_s
        raised_s = closed_before_s
        for place, (time_s, reached_s) in enumerate(
            zip(times_s.tolist(), closed_s.tolist(), strict=True)
        ):
            if self.front_s is None or time_s > self.front_s + lateness_s:
                whole_s = min(time_s + lateness_s, latest_s)
                raised_s = max(raised_s, math.ceil(whole_s / bucket_s) * bucket_s)
                self.front_s = time_s
            self.front_s = max(self.front_s, time_s)
            if self.front_s >= raised_s or raised_s >= latest_s:
                closed_s[place:] = closed_s[place:].clip(min=raised_s)
                return raised_s
            raised_s = max(raised_s, reached_s)
            closed_s[place] = raised_s
        return None

"""How far the input partitions have come, and so which demand buckets are whole.

`predictor/core/history.py` asks it. A module's events may lie in every input partition, so a bucket
is complete only when every partition that anyone must wait for has passed it, and none lost records
of it. This must never take silence for progress: a partition that stays behind makes a gap, not a
zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from streams.demand import Progress, merged_progress
from streams.gaps import Gap, Gaps, united

LATEST_S = 253_402_300_799
"""The end of the year 9999, after which no time can be written as a date."""


@dataclass(slots=True)
class InputPartitions:
    """What each input partition reported, merged; any order and any repetition give the same.

    A partition that others have left behind by more than `lost_after_s` is lost: nobody waits for
    it, and what it would have added is unknown. `gaps` are the buckets of which any partition lost
    records; the same object while nothing changed.
    """

    lost_after_s: int = 120
    partitions_max: int = 4096
    gaps: Gaps = field(default=(), init=False)
    _gaps_of: dict[int, Gaps] = field(default_factory=dict)
    _closed: dict[int, int] = field(default_factory=dict)
    _idle: dict[int, bool] = field(default_factory=dict)
    _expected: int = 0
    _first_closed_s: int | None = None

    def advance(self, progress: Progress) -> bool:
        """Take a report in; False when it could not be one (a partition beyond all bounds)."""
        partition, closed_s = progress.partition, progress.closed_through_s
        if not 0 <= partition < min(progress.partitions, self.partitions_max):
            return False
        self._expected = max(self._expected, min(progress.partitions, self.partitions_max))
        known_s = self._closed.get(partition)
        if progress.gaps or self._gaps_of:
            self._merge_gaps(progress, known_s)
        if known_s is None or closed_s > known_s:
            self._closed[partition] = closed_s
            self._idle[partition] = progress.idle
        elif closed_s == known_s:
            # Two demand partitions may bring the same report in any order; idle wins, because the
            # next report of a partition that woke up has moved on and corrects it.
            self._idle[partition] |= progress.idle
        if closed_s > 0:
            first_s = self._first_closed_s
            self._first_closed_s = closed_s if first_s is None else min(first_s, closed_s)
        return True

    @property
    def newest_s(self) -> int | None:
        """Where the furthest partition stands; None before anything was reported."""
        return max(self._closed.values(), default=None)

    def complete_through_s(self) -> int | None:
        """Buckets that start before this are whole."""
        waited_for = [s for partition, s in self._closed.items() if not self._idle[partition]]
        if self._unknown():
            waited_for.append(self._unknown_stands_at_s())
        return min(waited_for, default=self.newest_s)

    def settled_through_s(self) -> int | None:
        """Buckets that start before this are whole or will never be: nobody waits for them."""
        newest_s = self.newest_s
        if newest_s is None:
            return None
        oldest_s = newest_s - self.lost_after_s
        waited_for = [
            s
            for partition, s in self._closed.items()
            if not self._idle[partition] and s >= oldest_s
        ]
        if self._unknown() and (self._first_closed_s or 0) >= oldest_s:
            waited_for.append(self._unknown_stands_at_s())
        return min(waited_for, default=newest_s)

    def missing(self) -> str:
        """Why newer buckets are not whole, as a sentence; empty when nothing is missing."""
        newest_s = self.newest_s
        if newest_s is None:
            return "no input partition has reported"
        unknown = self._unknown()
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            return f"partition {unknown[0]} of {self._expected}{more} has not reported"
        behind_s, partition = max(
            ((newest_s - s, p) for p, s in self._closed.items() if not self._idle[p]),
            default=(0, 0),
        )
        if behind_s > self.lost_after_s:
            return f"partition {partition} of {self._expected} is {behind_s} s behind the others"
        return self._lost_of_late(newest_s)

    def _merge_gaps(self, progress: Progress, known_s: int | None) -> None:
        partition = progress.partition
        before = self._gaps_of.get(partition, ())
        if progress.gaps == before:
            return
        known = None
        if known_s is not None:
            known = Progress(partition, known_s, False, progress.partitions, gaps=before)
        gaps = merged_progress(known, progress).gaps
        if gaps != before:
            self._gaps_of.pop(partition, None)
            if gaps:
                self._gaps_of[partition] = gaps
            self.gaps = united(*self._gaps_of.values())

    def _lost_of_late(self, newest_s: int) -> str:
        """The newest gap, as long as it ended no longer ago than a partition is waited for."""
        recent = [
            (gaps[-1], partition)
            for partition, gaps in self._gaps_of.items()
            if gaps[-1][1] > newest_s - self.lost_after_s
        ]
        if not recent:
            return ""
        gap, partition = max(recent, key=lambda one: (one[0][1], one[0][0], -one[1]))
        more = f" and {len(recent) - 1} more" if len(recent) > 1 else ""
        return f"partition {partition} of {self._expected}{more} lost the records {_stretch(gap)}"

    def _unknown_stands_at_s(self) -> int:
        """Where a partition that never reported is taken to stand.

        Just before our first look: older history was passed by it or is lost either way, and one
        silent partition must not turn weeks of it into a gap.
        """
        return (self._first_closed_s or 0) - self.lost_after_s

    def _unknown(self) -> list[int]:
        if len(self._closed) >= self._expected:
            return []
        return [p for p in range(self._expected) if p not in self._closed]


def _stretch(gap: Gap) -> str:
    """The gap in words; the day is named where it lasts beyond midnight."""
    from_s, until_s = gap
    until = datetime.fromtimestamp(min(until_s, LATEST_S), UTC)
    if from_s <= 0:
        return f"before {until:%H:%M:%S} UTC"
    begin = datetime.fromtimestamp(min(from_s, LATEST_S), UTC)
    first = f"{begin:%H:%M:%S}" if begin.date() == until.date() else f"{begin:%Y-%m-%d %H:%M:%S}"
    return f"from {first} to {until:%H:%M:%S} UTC"

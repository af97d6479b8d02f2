"""What the partitions of one input topic reported, and how far each can be relied on.

`predictor/core/input_partitions.py` keeps one for each topic. Silence is not zero: a partition in
which nothing happens holds zero demand only as far as something proves that its senders live. With
`proof` "topic" that is whatever moves in any partition of the topic, since senders that are down
fall silent everywhere; with "partition" it is only what moves in the partition itself, which takes
heartbeats in each. This must never take an old statement that a partition is quiet for a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

from streams.demand import Progress, merged_progress
from streams.gaps import Gap, Gaps, united, without

Proof = Literal["topic", "partition"]
ENDLESS_S = 2**62


@dataclass(slots=True)
class InputTopic:
    """Reports by partition, merged; any order and any repetition give the same.

    `lost` are the buckets of which any partition lost records, `silent` those in which nothing
    proved that the senders lived. `given_up` are partitions that nobody waits for by configuration.
    `grown_at_s` is where the inputs stood when the topic was last found to have more partitions.
    """

    proof: Proof = "topic"
    silence_max_s: int = 120
    given_up: frozenset[int] = frozenset()
    reports: dict[int, Progress] = field(default_factory=dict)
    expected: int = 0
    grown_at_s: int = 0
    lost: Gaps = ()
    silent: Gaps = ()
    _tells_silences: bool = False

    def advance(self, partition: int, progress: Progress, newest_s: int) -> None:
        """Take a report in; `newest_s` is where all inputs have come to."""
        before = self.reports.get(partition)
        merged = self.reports[partition] = merged_progress(before, progress)
        if progress.partitions > self.expected:
            self.expected, self.grown_at_s = progress.partitions, newest_s
        if merged.gaps or self.lost:
            self.lost = united(*(one.gaps for one in self._trusted()))
        self._tells_silences |= bool(merged.silences)
        if self._tells_silences:
            self.silent = self._silent()

    @property
    def newest_s(self) -> int:
        """Where the furthest partition stands; 0 before any has seen an event."""
        return max((one.closed_through_s for one in self.reports.values()), default=0)

    def stands(self) -> dict[int, int]:
        """Through which bucket each partition that is waited for is known; not those in `unknown`.

        An idle one is known to hold nothing as far as it was found empty and the senders are proven
        to live. A topic that has never had an event needs no proof: there is nobody to miss.
        """
        newest_s = self.newest_s
        found: dict[int, int] = {}
        for partition, report in self.reports.items():
            stands_s = report.closed_through_s
            if report.idle and self.proof == "topic":
                quiet_s = newest_s if report.quiet_through_s is None else report.quiet_through_s
                stands_s = max(stands_s, min(newest_s or quiet_s, quiet_s))
            if stands_s > 0 and partition not in self.given_up:
                found[partition] = stands_s
        return found

    def unknown(self) -> list[int]:
        """Partitions that must be waited for and of which nothing is known yet, in order."""
        waits_for_idle = self.proof == "partition"
        nothing_yet = {
            partition
            for partition, report in self.reports.items()
            if report.closed_through_s == 0 and (waits_for_idle or not report.idle)
        }
        if len(self.reports) >= self.expected and not nothing_yet:
            return []
        return [
            partition
            for partition in range(self.expected)
            if (partition not in self.reports or partition in nothing_yet)
            and partition not in self.given_up
        ]

    def is_idle(self, partition: int) -> bool:
        """Whether its last report found it empty and silent."""
        report = self.reports.get(partition)
        return report is not None and report.idle

    def _trusted(self) -> list[Progress]:
        return [one for at, one in self.reports.items() if at not in self.given_up]

    def _silent(self) -> Gaps:
        """Where all partitions were silent together, or any, by what counts as proof."""
        trusted = self._trusted()
        if self.proof == "partition" or not trusted:
            return united(*(report.silences for report in trusted))
        common = reduce(_both, map(_silences, trusted))
        # One without an end is no silence yet: nobody has come back to say how long it was.
        return tuple(
            (from_s, until_s)
            for from_s, until_s in common
            if until_s < ENDLESS_S and until_s - from_s >= self.silence_max_s
        )


def _silences(report: Progress) -> Gaps:
    """Its silences, and the one that it may be in; before its first event it was in one."""
    if report.idle or report.closed_through_s == 0:
        ongoing: Gap = (report.closed_through_s, ENDLESS_S)
        return united(report.silences, [ongoing])
    return report.silences


def _both(one: Gaps, other: Gaps) -> Gaps:
    """The buckets that lie in both."""
    return without(one, without(one, other))

"""Which of several sources of a module's requests counts: the best one that was there lately.

`streams/counters.py` keeps one `MetricSources` for each input partition. A module may count its
operations and its HTTP requests, and somebody's dashboard may send a rate of them too: they are the
same requests, so one source wins in each module and region. Pure.

Whether a better source is there follows from the samples alone: its latest one lies at most
`hold_s` before the sample in question. So it takes over at once, and after its last sample the next
one is kept out for `hold_s` more: too few requests for a while rather than all of them twice.
"""

from __future__ import annotations

from streams.event_types import MetricSample


class MetricSources:
    """The sources of each module and region, by their precedence, and where each was last seen."""

    def __init__(self, hold_s: float, gap_max_s: float) -> None:
        self._hold_s = hold_s
        self._gap_max_s = gap_max_s
        self._latest: dict[tuple[str, str], dict[int, tuple[float, int]]] = {}

    def better(self, sample: MetricSample, precedence: int) -> int | None:
        """The offset at which the best source above this precedence was last seen, or None."""
        for other, (time_s, offset) in sorted(self._of(sample).items()):
            if other >= precedence:
                break
            if -self._gap_max_s <= sample.time_s - time_s <= self._hold_s:
                return offset
        return None

    def see(self, sample: MetricSample, precedence: int, offset: int) -> None:
        """Take note of a sample of a source."""
        latest = self._of(sample)
        known = latest.get(precedence)
        if known is None or not 0 <= known[0] - sample.time_s <= self._gap_max_s:
            latest[precedence] = (sample.time_s, offset)

    def forget(self, before_s: float) -> None:
        """Drop the sources that were not seen since."""
        self._latest = {
            place: left
            for place, latest in self._latest.items()
            if (left := {one: seen for one, seen in latest.items() if seen[0] >= before_s})
        }

    def offsets(self) -> list[int]:
        """Where each source was last seen."""
        return [offset for latest in self._latest.values() for _, offset in latest.values()]

    def _of(self, sample: MetricSample) -> dict[int, tuple[float, int]]:
        return self._latest.setdefault((sample.module, sample.region), {})

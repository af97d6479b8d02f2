"""How far event time has come in one input partition: the newest believable event minus lateness.

`streams/windows.py` keeps one for each partition. A clock that runs ahead must not push it: every
honest event would be late from then on. So an event moves the watermark only if its time is close
to the partition's own recent median, or if nothing has contradicted it for a while:

- One event in each stretch of `SAMPLE_OFFSETS` offsets is a sample; the last `SAMPLES` of them tell
  what the partition's clocks show. One sender's batch is few samples, however long it is.
- An event is believed if it is at most `slack_s` ahead of the samples' median, and three times what
  the median is ahead of their lower quartile: on a quiet partition samples lie far apart.
- So is one in an unbroken run of events ahead of that, once the run itself spans `slack_s`: after
  an outage, or where a busy partition turns quiet, all events are ahead. A mad clock among honest
  ones is contradicted by the next event.

An event that is not believed is still counted, in its own bucket. Everything follows from the
sequence of events and is part of the checkpoint, so a restart goes on as if it had not been. Times
are whole seconds here: buckets and lateness are seconds, and the fraction decides nothing.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.int64]

SAMPLE_OFFSETS = 64
SAMPLES = 32
SAMPLES_MIN = 8
"""With fewer there is no majority to speak of, and every event is believed."""
_SPREADS = 3
NEVER_S = -(1 << 62)
_ALWAYS_S = 1 << 62


class WatermarkState(msgspec.Struct, array_like=True):
    """What a checkpoint keeps of it: newest believed time, samples, and the run of events ahead."""

    newest_s: int | None = None
    samples: tuple[int, ...] = ()
    sampled_stretch: int = -1
    run_from_s: int | None = None


class Watermark:
    """The watermark of one partition. It never goes back."""

    def __init__(
        self, lateness_s: float, *, slack_min_s: float = 10.0, state: WatermarkState | None = None
    ) -> None:
        if lateness_s < 0:
            raise ValueError(f"a lateness of {lateness_s} s lies in the future")
        state = state or WatermarkState()
        self.lateness_s = lateness_s
        self.slack_s = max(lateness_s / 2, slack_min_s)
        self._newest_s = NEVER_S if state.newest_s is None else state.newest_s
        self._samples = np.array(state.samples, np.int64)
        self._sampled_stretch = state.sampled_stretch
        self._run_from_s = state.run_from_s

    @property
    def newest_s(self) -> int | None:
        """The newest believed event time, None before the first event."""
        return None if self._newest_s == NEVER_S else self._newest_s

    @property
    def reached_s(self) -> float:
        """No event before this instant is expected any more; minus infinity before the first."""
        return self._newest_s - self.lateness_s

    @property
    def state(self) -> WatermarkState:
        """For the checkpoint."""
        return WatermarkState(
            self.newest_s,
            tuple(self._samples.tolist()),
            self._sampled_stretch,
            self._run_from_s,
        )

    def see(
        self, times_s: Seconds, offsets: Seconds, *, step_by_step: bool = False
    ) -> Seconds | None:
        """Take note of events (events,) in the order of their offsets.

        Gives what `newest_s` was after each of them; None instead, if not asked for, where the last
        watermark makes none of these events late. That is the usual case, and quick.
        """
        limits_s = self._limits_s(times_s, offsets)
        ahead = times_s > limits_s
        before_s = self._newest_s
        if not ahead.any():
            self._run_from_s = None
            self._newest_s = max(before_s, int(times_s.max()))
            if not step_by_step and self._newest_s - self.lateness_s <= times_s.min():
                return None
            return np.maximum(np.maximum.accumulate(times_s), before_s)
        believed_s = np.where(ahead, NEVER_S, times_s)
        self._follow_runs(times_s, ahead, believed_s)
        history_s = np.maximum(np.maximum.accumulate(believed_s), before_s)
        self._newest_s = int(history_s[-1])
        return np.asarray(history_s)

    def _follow_runs(self, times_s: Seconds, ahead: NDArray[np.bool_], believed_s: Seconds) -> None:
        """Believe the events of a run from where it spans the slack."""
        last = -1
        for place in np.flatnonzero(ahead).tolist():
            time_s = int(times_s[place])
            if place != last + 1 or self._run_from_s is None:
                self._run_from_s = time_s
            last = place
            self._run_from_s = min(self._run_from_s, time_s)
            if time_s - self._run_from_s >= self.slack_s:
                believed_s[place] = time_s
        if last != len(times_s) - 1:
            self._run_from_s = None

    def _limits_s(self, times_s: Seconds, offsets: Seconds) -> Seconds:
        """Up to where each event is believed, from the samples before it."""
        stretches = offsets // SAMPLE_OFFSETS
        if stretches[-1] == self._sampled_stretch:  # offsets never go back
            return np.asarray(_limits(self._samples[None], self.slack_s))
        first = np.flatnonzero(np.diff(stretches, prepend=self._sampled_stretch))
        samples = np.concatenate([self._samples, times_s[first]])
        before = len(self._samples)
        # Row i: the samples that are known once `i` of the new ones have been taken.
        width = SAMPLES
        padded = np.concatenate([np.full(width, NEVER_S), samples])
        windows = np.lib.stride_tricks.sliding_window_view(padded, width)
        known = windows[before : before + len(first) + 1]
        by_stretch = _limits(known, self.slack_s)
        self._samples = samples[-width:]
        self._sampled_stretch = int(stretches[-1])
        # A sample speaks for the events after it, not for itself.
        taken = np.zeros(len(times_s), np.int64)
        taken[first] = 1
        return np.asarray(by_stretch[np.cumsum(taken) - taken])


def _limits(samples_s: Seconds, slack_s: float) -> Seconds:
    """For each row of samples (padded with `NEVER_S` in front) the latest time to believe."""
    rows, width = samples_s.shape
    known = np.count_nonzero(samples_s != NEVER_S, axis=1)
    ordered = np.sort(samples_s, axis=1)
    row = np.arange(rows)
    first = width - known
    # The lower of two middle ones.
    median_s = ordered[row, np.minimum(first + (known - 1) // 2, width - 1)]
    quartile_s = ordered[row, np.minimum(first + known // 4, width - 1)]
    limits_s = median_s + int(slack_s) + _SPREADS * (median_s - quartile_s)
    return np.where(known < SAMPLES_MIN, _ALWAYS_S, limits_s)

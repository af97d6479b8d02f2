"""The windows that are scored, and the origins where nobody else lays them.

`scripts/bench_forecast.py` and `cells.py` use it. On steps of five minutes or more: the load 10 and
30 minutes ahead and the peak of (now + 5, now + 20]; on finer ones 2, 5 and 10 minutes and the peak
of (now + 2, now + 7].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scripts.forecast_peers.request import FloatArray, IntArray, peak_after

MINUTE_S = 60
SLOW_FROM_S = 300
SHARE, ORIGINS_MAX, LEARNT_ORIGINS_MAX = 0.4, 2_000, 9_000


class ScoredWindow(NamedTuple):
    """The window (now + lead_s, now + lead_s + hold_s] and its name in tables.

    The load `h` ahead is the window of the one step that ends there.
    """

    name: str
    lead_s: int
    hold_s: int

    @property
    def is_peak(self) -> bool:
        """Whether it is what scaling sizes by, and not a single step."""
        return self.name.startswith("max")

    def steps(self, step_s: int) -> tuple[int, int]:
        """First step and the one after the last; 0 is the step right after now."""
        return self.lead_s // step_s, (self.lead_s + self.hold_s) // step_s


def scored_windows(step_s: int) -> tuple[ScoredWindow, ...]:
    """The windows for such steps; what is shorter than a step becomes one step."""
    is_slow = step_s >= SLOW_FROM_S
    found = {}
    for ahead_min in (10, 30) if is_slow else (2, 5, 10):
        end_s = max(1, ahead_min * MINUTE_S // step_s) * step_s
        window = ScoredWindow(f"+{end_s / MINUTE_S:g}", end_s - step_s, step_s)
        found[window.name] = window
    lead_s = max(5 * MINUTE_S, step_s) if is_slow else 2 * MINUTE_S
    hold_s = max(15 * MINUTE_S, 3 * step_s) if is_slow else 5 * MINUTE_S
    name = f"max({lead_s / MINUTE_S:g},{(lead_s + hold_s) / MINUTE_S:g}]"
    return (*found.values(), ScoredWindow(name, lead_s, hold_s))


def lay_origins(
    values: FloatArray, row: int, windows: tuple[ScoredWindow, ...], step_s: int
) -> IntArray:
    """Origins of one series of a file, where `models/rolling_origins.py` lays them.

    `values` has shape (series, steps). Evenly over the steps of the newest 40 % that follow one in
    which any series was measured, at most 2,000, each moved on to the next of them that ours learns
    at, which is told by step numbers; then those whose windows were all measured.
    """
    steps = values.shape[1]
    last = steps - max(window.steps(step_s)[1] for window in windows)
    now = np.arange(int(steps * (1.0 - SHARE)) + 1, last + 1)
    learnt = np.arange(len(now)) % _spacing(len(now), ORIGINS_MAX) == 0
    learnt |= now % _spacing(last, LEARNT_ORIGINS_MAX) == 0
    measured = np.isfinite(values[:, now - 1]).any(axis=0)
    able, even = now[measured & learnt], now[measured][:: _spacing(measured.sum(), ORIGINS_MAX)]
    moved = np.unique(np.searchsorted(able, even))
    places = able[moved[moved < len(able)]] - 1
    known = np.ones(len(places), dtype=bool)
    for window in windows:
        known &= np.isfinite(peak_after(values[row], *window.steps(step_s)))[places]
    return np.asarray(places[known], dtype=np.int64)


def _spacing(steps: int, count_max: int) -> int:
    """Every so many-th of the steps are at most `count_max`."""
    return max(-(-steps // count_max), 1)

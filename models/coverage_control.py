"""Keeps recent coverage of the mix near nominal: moves a quantile when it was missed too often.

`models/quantile_mix.py` calls it. A shift that follows every miss costs loss all the time; this one
is zero as long as the misses of late are what chance explains, and grows beyond that. It must never
use an outcome before its window was over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.forecast import QUANTILE_LEVELS
from models.row_state import RowState
from models.series import FloatArray


class Pace(NamedTuple):
    """How a level is controlled: `memory`, the outcomes that its recent coverage is a mean of;
    `gain`, widths of the mix for each standard deviation of one miss; `chance`, standard errors of
    that mean that are left alone; `needed`, outcomes from which on the mean is trusted as a whole.
    """

    memory: float
    gain: float
    chance: float
    needed: float


USUAL = Pace(150.0, 4.0, 0.5, needed=50.0)
RARE: Mapping[float, Pace] = {
    0.95: Pace(150.0, 5.0, 0.4, needed=150.0),
    0.975: Pace(300.0, 5.0, 0.25, needed=300.0),
    0.99: Pace(600.0, 6.0, 0.1, needed=600.0),
}
"""The rarer a miss, the longer its mean; `docs/decisions/0008` has what was tried."""
SHIFT_MAX = 1.0
"""In widths: a row that was never covered is not the control's to mend."""
LEVELS = np.asarray(QUANTILE_LEVELS)
SPREAD = np.sqrt(LEVELS * (1.0 - LEVELS))
MEMORY, GAIN, CHANCE, NEEDED = np.array([RARE.get(level, USUAL) for level in QUANTILE_LEVELS]).T
WIDTH_MEMORY = 150.0
LOW, HIGH = QUANTILE_LEVELS.index(0.1), QUANTILE_LEVELS.index(0.9)
WIDTH_SHARE_MIN = 1e-3


@dataclass(frozen=True, slots=True)
class CoverageControl(RowState):
    """The integral part, with forgetting, of conformal PID control (Angelopoulos, Candes and
    Tibshirani, "Conformal PID Control for Time Series Prediction", 2023), its saturation a bound.

    `missed` (n, levels) is the recent mean of misses beyond what is nominal, `seen` (n,) how many
    outcomes, `width` (n,) how far apart the .1 and .9 quantiles of the mix usually are, in units.
    """

    missed: FloatArray
    seen: FloatArray
    width: FloatArray

    def shift(self, mixed: FloatArray, scale: FloatArray) -> FloatArray:
        """What to add to the quantiles (n, levels) of the mix, in units.

        Where the mix is wider than usual the usual width counts: to move the quantiles of a burst
        costs most and mends no more misses.
        """
        weight = np.clip(self.seen[:, None], 1.0, MEMORY)
        off = self.missed / SPREAD
        beyond = np.maximum(np.abs(off) - CHANCE / np.sqrt(weight), 0.0)
        # A mean of few outcomes is mostly chance, the more so the rarer a miss is.
        trust = np.minimum(weight / NEEDED, 1.0)
        widths = np.minimum(GAIN * beyond * trust, SHIFT_MAX) * np.sign(off)
        now = _width(mixed, scale)
        usual = np.where(self.seen > 0, np.minimum(self.width, now), now)
        return np.asarray(usual[:, None] * widths)

    def learn(
        self,
        outcome: FloatArray,
        quantiles: FloatArray,
        *,
        mixed: FloatArray,
        scale: FloatArray,
        pace: float = 1.0,
    ) -> CoverageControl:
        """Take in whether outcomes (n,) were above the quantiles that were said (n, levels); a row
        of NaN changes nothing, and nothing at a quantile of zero says nothing of it. `pace` is
        what an outcome weighs where windows overlap, at most one."""
        known = np.isfinite(outcome) & np.isfinite(quantiles).all(axis=1)
        seen = self.seen + known
        share = pace / np.clip(pace * seen[:, None], 1.0, MEMORY)
        above = (outcome[:, None] > quantiles) - (1.0 - LEVELS)
        missed = self.missed + share * (above - self.missed)
        tells = known[:, None] & ((outcome[:, None] > 0) | (quantiles > 0))
        share = pace / np.clip(pace * seen, 1.0, WIDTH_MEMORY)
        width = self.width + share * (_width(mixed, scale) - self.width)
        return dataclasses.replace(
            self,
            missed=np.where(tells, missed, self.missed),
            seen=seen,
            width=np.where(known, width, self.width),
        )


def new_coverage_control(rows: int, levels: int) -> CoverageControl:
    """Nothing seen yet: no shift."""
    return CoverageControl(np.zeros((rows, levels)), np.zeros(rows), np.zeros(rows))


def _width(mixed: FloatArray, scale: FloatArray) -> FloatArray:
    """From the .1 to the .9 quantile, at least a share of the scale."""
    return np.asarray(np.maximum(mixed[:, HIGH] - mixed[:, LOW], WIDTH_SHARE_MIN * scale))

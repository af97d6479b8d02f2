"""Learns how much, and how late, demand follows announcements: a non-negative distributed lag.

`models/announced_stages.py` feeds it. The lag (Almon, "The Distributed Lag Between Capital
Appropriations and Expenditures", Econometrica 33, 1965; here with boxes of delays instead of
polynomials) is fitted beside a daily wave by recursive least squares with forgetting. Every step is
foretold before it is learnt from, which is how it knows its own skill. It must never grow with what
it has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray

DAY_S = 86_400
HALF_LIFE_S = 2 * DAY_S
"""What was seen two days ago counts half: a release that changes the calls is learnt in days."""
HALF_LIFE_STEPS_MIN = 600
"""With long steps the memory holds more days, or it would never hold enough steps to judge by."""
RIDGE = 1e-3
SOLVE_EVERY_STEPS = 30
SOLVE_ROUNDS = 80
"""Begun from the former solution, which new steps move little."""
LEARNT_STEPS_MIN = 200
SKILL_MIN = 0.1
"""Announcements must have taken a tenth off the squared error of the daily wave alone, on steps
that were foretold before they were seen."""


class DistributedLag:
    """Decayed normal equations of demand on announcements and a wave, row by row.

    `boxes` is the number of delays told apart, `wave_columns` how many columns the wave has.
    """

    def __init__(self, rows: int, boxes: int, wave_columns: int) -> None:
        wide = boxes + wave_columns
        self._boxes = boxes
        self._gram = np.zeros((rows, wide, wide))
        self._moment = np.zeros((rows, wide))
        self._weight = np.zeros(rows)
        self._errors = np.zeros((rows, 2))
        self._judged = np.zeros(rows)
        self._kernel = np.zeros((rows, boxes))
        self._steps_since = 0

    def add(self, announced: FloatArray, wave: FloatArray, demand: FloatArray, step_s: int) -> None:
        """Judge what would have been foretold of these steps, then learn from them.

        `announced` (n, steps, boxes) per second, `wave` (steps, wave columns), `demand` (n, steps)
        per second, NaN where unknown.
        """
        rows, steps, _ = announced.shape
        known = np.isfinite(demand).astype(np.float64)
        seen = np.where(known > 0, demand, 0.0)
        columns = np.concatenate([announced, np.broadcast_to(wave, (rows, *wave.shape))], axis=2)
        kept = 0.5 ** (steps / max(HALF_LIFE_S / step_s, HALF_LIFE_STEPS_MIN))
        if self._steps_since >= SOLVE_EVERY_STEPS:
            self._solve()
        ready = self._weight >= LEARNT_STEPS_MIN
        error = self._foretold_errors(columns, seen, known)
        self._errors = kept * self._errors + np.where(ready[:, None], error, 0.0)
        self._judged = kept * self._judged + np.where(ready, known.sum(axis=1), 0.0)
        weighted = columns * known[:, :, None]
        self._gram = kept * self._gram + np.swapaxes(weighted, 1, 2) @ columns
        self._moment = kept * self._moment + np.einsum("nsp,ns->np", weighted, seen)
        self._weight = kept * self._weight + known.sum(axis=1)
        self._steps_since += steps

    def of_rows(self, rows: NDArray[np.int64]) -> DistributedLag:
        """What was learnt of these rows, -1 being one of which nothing is known yet."""
        wave_columns = self._moment.shape[1] - self._boxes
        made = DistributedLag(len(rows), self._boxes, wave_columns)
        known = rows >= 0
        for new, old in (
            (made._gram, self._gram),
            (made._moment, self._moment),
            (made._weight, self._weight),
            (made._errors, self._errors),
            (made._judged, self._judged),
            (made._kernel, self._kernel),
        ):
            new[known] = old[rows[known]]
        made._steps_since = self._steps_since
        return made

    def solved(self) -> FloatArray:
        """Requests per announcement and step of delay, by box; shape (n, boxes)."""
        if self._steps_since >= SOLVE_EVERY_STEPS:
            self._solve()
        return self._kernel

    def skill(self) -> FloatArray:
        """The share of squared error that announcements took away; 0 before anything is judged."""
        wave_alone = self._errors[:, 1]
        some = wave_alone > 0
        return np.where(some, 1.0 - self._errors[:, 0] / np.where(some, wave_alone, 1.0), 0.0)

    def is_believed(self) -> NDArray[np.bool_]:
        """Which rows have foretold enough steps well enough, shape (n,)."""
        return np.asarray((self._judged >= LEARNT_STEPS_MIN) & (self.skill() >= SKILL_MIN))

    def _foretold_errors(
        self, columns: FloatArray, seen: FloatArray, known: FloatArray
    ) -> FloatArray:
        """Squared errors of these steps with announcements, and with the wave alone; (n, 2)."""
        boxes = self._boxes
        wave_gram, wave_moment = self._gram[:, boxes:, boxes:], self._moment[:, boxes:]
        crossed = np.einsum("nbp,np->nb", self._gram[:, boxes:, :boxes], self._kernel)
        both = np.stack([wave_moment - crossed, wave_moment], axis=2)
        wave = np.linalg.solve(_ridged(wave_gram), both)
        foretold = columns[:, :, boxes:] @ wave
        foretold[:, :, 0] += np.einsum("nsp,np->ns", columns[:, :, :boxes], self._kernel)
        return np.asarray((known[:, :, None] * (seen[:, :, None] - foretold) ** 2).sum(axis=1))

    def _solve(self) -> None:
        """Partial the wave out (Frisch and Waugh 1933), then least squares with no kernel below 0.

        By accelerated projected gradients (Beck and Teboulle, "A Fast Iterative
        Shrinkage-Thresholding Algorithm", SIAM J. Imaging Sciences 2, 2009), all rows at once.
        """
        boxes = self._boxes
        crossed = self._gram[:, :boxes, boxes:]
        passed = np.swapaxes(
            np.linalg.solve(_ridged(self._gram[:, boxes:, boxes:]), np.swapaxes(crossed, 1, 2)),
            1,
            2,
        )
        gram = self._gram[:, :boxes, :boxes] - passed @ np.swapaxes(crossed, 1, 2)
        moment = self._moment[:, :boxes] - np.einsum("npb,nb->np", passed, self._moment[:, boxes:])
        scale = np.sqrt(np.maximum(np.einsum("npp->np", gram), 1e-9))
        gram = gram / (scale[:, :, None] * scale[:, None, :]) + RIDGE * np.eye(boxes)
        self._kernel = _non_negative(gram, moment / scale, self._kernel * scale) / scale
        self._steps_since = 0


def _non_negative(gram: FloatArray, moment: FloatArray, begun: FloatArray) -> FloatArray:
    """The non-negative x that minimises x'Gx/2 - m'x, row by row, begun from `begun` (n, p)."""
    step = 1.0 / np.maximum(np.linalg.eigvalsh(gram)[:, -1:], 1e-9)
    found = ahead = begun
    pace = 1.0
    for _ in range(SOLVE_ROUNDS):
        slope = (gram @ ahead[:, :, None])[:, :, 0] - moment
        moved = np.maximum(ahead - step * slope, 0.0)
        next_pace = (1.0 + np.sqrt(1.0 + 4.0 * pace * pace)) / 2.0
        ahead = moved + (pace - 1.0) / next_pace * (moved - found)
        found, pace = moved, next_pace
    return found


def _ridged(gram: FloatArray) -> FloatArray:
    """Kept invertible while little has been seen; (n, p, p)."""
    wide = gram.shape[1]
    size = 1.0 + np.einsum("npp->n", gram) / wide
    return np.asarray(gram + 1e-6 * size[:, None, None] * np.eye(wide))

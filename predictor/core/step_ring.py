"""A bounded matrix of the newest steps of many series, handed out without being copied.

`predictor/core/history.py` owns one. A view that was handed out is never changed while it is held,
so a batch stays what it was when it was built. Steps that leave go to `older`, if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from models.series import FloatArray
from predictor.core.older_steps import OlderSteps, folded
from predictor.core.step_columns import SLACK_MIN, StepColumns

CellKind = type[np.float64] | type[np.float32]


@dataclass(frozen=True, slots=True)
class Steps:
    """Rates of some steps, NaN where unknown, and what sampling adds to their variance.

    Both have shape (rows,) for one step or (rows, steps) for several; a variance of None is zero
    throughout.
    """

    rates: FloatArray
    variance: FloatArray | None = None


class StepRing:
    """The last `length` steps of `rows` series on one grid of `step_s` seconds.

    Cells are of `kind`: float32 takes half the memory and is off by 6e-8 of a rate. With `older`
    steps leave as whole steps of its grid, so up to one of those more is kept here.
    """

    def __init__(
        self,
        rows: int,
        length: int,
        step_s: int,
        *,
        kind: CellKind = np.float64,
        older: OlderSteps | None = None,
    ) -> None:
        self._rows, self._length, self._step_s = rows, length, step_s
        self._kind, self._older = kind, older
        self._grid_s = step_s if older is None else older.step_s
        self._room = length + self._grid_s // step_s
        self._rates = StepColumns[np.floating](rows, self._room, kind)
        self._variance: StepColumns[np.floating] | None = None
        self._end_s: int | None = None

    @property
    def end_s(self) -> int | None:
        """The first instant after the newest step; None while there is none."""
        return self._end_s

    @property
    def start_s(self) -> int | None:
        """The start of the oldest step that is kept."""
        return None if self._end_s is None else self._end_s - len(self._rates) * self._step_s

    def begin(self, start_s: int) -> None:
        """Say where the first step starts; only once, before any step."""
        assert self._end_s is None
        self._end_s = start_s

    def append(self, step: Steps) -> None:
        """Add the next step; the oldest goes when the ring is full."""
        variance = None if step.variance is None else step.variance[:, None]
        self._extend(Steps(step.rates[:, None], variance))

    def skip_to(self, step_start_s: int) -> None:
        """Fill with unknown up to the step that starts here (a jump in time)."""
        assert self._end_s is not None
        if step_start_s - self._end_s > self._room * self._step_s:
            self._leave(len(self._rates))
            self._end_s = self._kept_from_s(step_start_s)
        while (missing := (step_start_s - self._end_s) // self._step_s) > 0:
            self._extend(Steps(np.full((self._rows, min(missing, SLACK_MIN)), np.nan)))

    def says(self, step_start_s: int, step: Steps) -> bool:
        """Whether a step is not kept, or is kept as just this."""
        place = self._place(step_start_s)
        if place is None:
            return True
        rates = step.rates.astype(self._kind, copy=False)
        if not np.array_equal(self._rates.column(place), rates, equal_nan=True):
            return False
        if self._variance is None:
            return step.variance is None or not step.variance.any()
        given = 0.0 if step.variance is None else step.variance.astype(self._kind, copy=False)
        return bool((self._variance.column(place) == given).all())

    def replace(self, step_start_s: int, step: Steps) -> None:
        """Correct a step that is kept; whoever holds a view keeps what it was."""
        place = self._place(step_start_s)
        if place is None:
            return
        self._rates.write(place, step.rates)
        if step.variance is not None and self._variance is None:
            self._variance = self._no_variance(len(self._rates))
        if self._variance is not None:
            self._variance.write(place, np.zeros(1) if step.variance is None else step.variance)

    def view(self) -> Steps:
        """All steps kept, read-only, as they are as long as they are held."""
        # What cells of float32 are read for says so itself; see `SeriesBatch`.
        rates = cast(FloatArray, self._rates.view())
        if self._variance is None:
            return Steps(rates)
        variance = cast(FloatArray, self._variance.view())
        return Steps(rates, variance if variance.any() else None)

    def prepend(self, start_s: int, steps: Steps) -> None:
        """Put older steps under the ones known; a known value is kept."""
        own_start_s, own_end_s = self.start_s, self._end_s
        if own_start_s is None or own_end_s is None:
            self._begin_with(start_s, steps)
            return
        given_end_s = start_s + steps.rates.shape[1] * self._step_s
        first_s, end_s = min(own_start_s, start_s), max(own_end_s, given_end_s)
        merged = np.full((self._rows, (end_s - first_s) // self._step_s), np.nan)
        variance = np.zeros_like(merged)
        _lay(_Laid(merged, variance, first_s), steps, start_s, self._step_s)
        _lay(_Laid(merged, variance, first_s), self.view(), own_start_s, self._step_s)
        self._begin_with(first_s, Steps(merged, variance if variance.any() else None))

    def _begin_with(self, start_s: int, steps: Steps) -> None:
        """Take these in place of all that is kept; what is too old for the ring lies under it."""
        end_s = start_s + steps.rates.shape[1] * self._step_s
        first_s = max(start_s, self._kept_from_s(end_s))
        older = (first_s - start_s) // self._step_s
        if older and self._older is not None:
            self._older.lay_under(
                *folded(start_s, steps.rates[:, :older], self._step_s, self._grid_s)
            )
        self._rates.drop_to(0)
        self._rates.extend(steps.rates[:, older:], count=steps.rates.shape[1] - older)
        self._variance = None
        if steps.variance is not None:
            self._variance = self._no_variance(0)
            given = steps.variance[:, older:]
            self._variance.extend(given, count=given.shape[1])
        self._end_s = end_s

    def _extend(self, steps: Steps) -> None:
        assert self._end_s is not None
        count, variance = steps.rates.shape[1], steps.variance
        if variance is not None and self._variance is None:
            self._variance = self._no_variance(len(self._rates))
        self._rates.extend(steps.rates, count=count)
        if self._variance is not None:
            self._variance.extend(np.zeros(1) if variance is None else variance, count=count)
        self._end_s += count * self._step_s
        start_s = self._end_s - len(self._rates) * self._step_s
        self._leave((self._kept_from_s(self._end_s) - start_s) // self._step_s)

    def _leave(self, count: int) -> None:
        """Let the oldest steps go."""
        start_s = self.start_s
        if count <= 0 or start_s is None:
            return
        if self._older is not None:
            leaving = cast(FloatArray, self._rates.view()[:, :count])
            self._older.append(start_s, leaving, self._step_s)
        left = len(self._rates) - count
        self._rates.drop_to(left)
        if self._variance is not None:
            self._variance.drop_to(left)

    def _kept_from_s(self, end_s: int) -> int:
        """The start of the oldest step worth keeping, on the grid of what is older."""
        return (end_s - self._length * self._step_s) // self._grid_s * self._grid_s

    def _place(self, step_start_s: int) -> int | None:
        start_s, end_s = self.start_s, self._end_s
        if start_s is None or end_s is None or not start_s <= step_start_s < end_s:
            return None
        return (step_start_s - start_s) // self._step_s

    def _no_variance(self, steps: int) -> StepColumns[np.floating]:
        columns = StepColumns[np.floating](self._rows, self._room, self._kind)
        if steps:
            columns.extend(np.zeros(1), count=steps)
        return columns


@dataclass(frozen=True, slots=True)
class _Laid:
    rates: FloatArray
    variance: FloatArray
    start_s: int


def _lay(under: _Laid, over: Steps, over_start_s: int, step_s: int) -> None:
    """Write `over` where it is known onto `under`, each at its own place in time."""
    offset = (over_start_s - under.start_s) // step_s
    place = slice(offset, offset + over.rates.shape[1])
    known = np.isfinite(over.rates)
    np.copyto(under.rates[:, place], over.rates, where=known)
    variance = 0.0 if over.variance is None else over.variance
    np.copyto(under.variance[:, place], variance, where=known)

"""How much of the past is kept, and how finely: minutes for days, longer steps for weeks.

`predictor/settings.py` makes one for `predictor/core/history.py`. Nothing here holds demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.core.older_steps import OlderSteps
from predictor.core.step_ring import StepRing

DAY_S = 86_400
LENGTH_UNDER_COARSE_S = DAY_S
"""Steps can be corrected for six hours where a partition lags; what is older is left alone."""


@dataclass(frozen=True, slots=True)
class HistoryLayers:
    """The newest `length_s` in steps of `step_s`, and what is older, to `coarse_length_s` before
    the newest, in steps of `coarse_step_s`.

    A coarse layer that would be no coarser or reach no further is none. `is_single` keeps the fine
    layer as float32, half the memory. Raises `ValueError` for lengths that do not fit together.
    """

    step_s: int = 60
    length_s: int = 14 * DAY_S
    coarse_step_s: int = 300
    coarse_length_s: int = 0
    is_single: bool = False

    def __post_init__(self) -> None:
        if self.step_s <= 0 or self.length_s < self.step_s or self.length_s % self.step_s:
            raise ValueError(
                f"a length of {self.length_s} s must hold whole steps of {self.step_s} s"
            )
        if not self.has_coarse:
            return
        if self.coarse_step_s % self.step_s or DAY_S % self.coarse_step_s:
            raise ValueError(
                f"a coarse step of {self.coarse_step_s} s must hold whole steps of {self.step_s} s "
                f"and lie in a day a whole number of times"
            )
        if self.length_s < LENGTH_UNDER_COARSE_S:
            raise ValueError(
                f"a length of {self.length_s} s is less than a day: with coarser steps behind it, "
                f"corrections would no longer reach them"
            )

    @property
    def has_coarse(self) -> bool:
        """Whether there is anything behind the fine layer."""
        return self.coarse_step_s > self.step_s and self.coarse_length_s > self.length_s

    @property
    def coarse_steps(self) -> int:
        """How many coarse steps lie behind the fine layer."""
        if not self.has_coarse:
            return 0
        return -(-(self.coarse_length_s - self.length_s) // self.coarse_step_s)

    @property
    def reach_s(self) -> int:
        """How far back anything is kept."""
        return max(self.length_s, self.coarse_length_s if self.has_coarse else 0)

    @property
    def kind(self) -> type[np.float64] | type[np.float32]:
        """What a fine step is kept as."""
        return np.float32 if self.is_single else np.float64

    def fine_start_s(self, end_s: int) -> int:
        """Where the fine layer begins whose newest step ends at `end_s`."""
        grid_s = self.coarse_step_s if self.has_coarse else self.step_s
        return (end_s - self.length_s) // grid_s * grid_s

    def new_older(self, rows: int) -> OlderSteps | None:
        """An empty coarse layer, if there is to be one."""
        if not self.has_coarse:
            return None
        return OlderSteps(rows, self.coarse_steps, self.coarse_step_s)

    def new_ring(self, rows: int, older: OlderSteps | None) -> StepRing:
        """An empty fine layer."""
        length = self.length_s // self.step_s
        return StepRing(rows, length, self.step_s, kind=self.kind, older=older)

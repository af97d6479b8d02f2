"""What a guardrail may look at, and what it is made of.

`predictor/core/guarded_floors.py` fills `Facts`; the rules of this package read nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from predictor.core.policy_rows import PolicyRows
from predictor.core.reasons import Code, Reason

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BASELINE_UNKNOWN = 0
"""Stands in `Facts.baseline` where nobody knows what the owner declared; no real baseline is 0."""
NO_CEILING = 1_000_000_000
"""Stands in `Facts.ceiling` where the owner drew none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules may look at; arrays of shape (n,), replicas or epoch seconds (NaN: never).

    `replicas` is the Deployment's `spec.replicas`, `asked_by_metrics` what the HPA's own metrics
    ask for as far as its status says. `needed_now` is what demand that is seen asks for,
    `corroborated` what something beside the forecast accounts for (both NaN where unknown).
    `paused` are rows whose owner wants our floor gone; `blocked` and `metrics_failing` give a
    sentence for each row whose pods do not become Ready, or whose HPA cannot read a metric, for
    `metrics_failing_s` by now (NaN: not known).

    `incomplete` says what telemetry is missing (empty: nothing); `demand_known` is False where no
    whole step of a row's demand is known. `lag_s` is the age of the newest demand that is whole,
    never less than `telemetry_age_s`, and `slowest` the input that it waits for. Before the first
    report `telemetry_seen` is False and both ages count from the start.
    """

    now_s: float
    floor_now: IntArray
    baseline: IntArray
    ceiling: IntArray
    replicas_max: IntArray
    replicas: IntArray
    asked_by_metrics: IntArray
    needed_now: FloatArray
    corroborated: FloatArray
    paused: BoolArray
    blocked: Mapping[int, str]
    metrics_failing: Mapping[int, str]
    metrics_failing_s: FloatArray
    metrics_failing_hold_s: float
    raised_at_s: FloatArray
    released_at_s: FloatArray
    demand_known: BoolArray
    incomplete: str
    telemetry_age_s: float
    telemetry_seen: bool
    lag_s: float
    slowest: str
    lag_max_s: float
    telemetry_stale_after_s: float
    telemetry_handback_after_s: float
    started_at_s: float | None
    warm_up_s: float
    policy: PolicyRows

    @property
    def is_silent_for_good(self) -> bool:
        """Whether nothing at all was heard for so long that floors go back to the baseline."""
        return self.telemetry_age_s > self.telemetry_handback_after_s

    @property
    def is_handed_back(self) -> bool:
        """Whether whole demand is so old that floors go back to what is still seen."""
        return self.lag_s > self.telemetry_handback_after_s


class Guardrail(NamedTuple):
    """A rule: its code, what it allows, and the sentence for a row that it changed."""

    code: Code
    allow: Callable[[IntArray, Facts], IntArray]
    sentence: Callable[[int, int, int, Facts], str]
    """Called with (row, wish, allowed, facts)."""


class Rulings(NamedTuple):
    """What the rules left of a wish, shape (n,), and the reasons of the rows they changed."""

    allowed: IntArray
    reasons: dict[int, tuple[Reason, ...]]


def at_most_the_floor(wish: IntArray, facts: Facts, rows: Mapping[int, str]) -> IntArray:
    """The wish, but for these rows, which are not raised."""
    if not rows:
        return wish
    held, places = wish.copy(), list(rows)
    held[places] = np.minimum(wish[places], facts.floor_now[places])
    return held

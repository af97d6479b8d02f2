"""Measures the lead time, from patching a floor to pods Ready, and makes horizons of it.

`predictor/core/decide.py` calls `observe_raises` with each new view of the cluster; the service
calls `horizon` before it asks for a forecast. A lead time is only learned from a raise that the
floor itself caused and the cluster showed; nothing here may assume that a patch was carried out.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.forecast import Horizon
from models.series import ALL_REGIONS, FloatArray, SeriesKey
from predictor.core.cluster import TargetKey
from predictor.core.policy import Policy
from predictor.core.policy_rows import PolicyRows, policy_rows
from predictor.core.state import LEAD_SAMPLES_MAX, State, TargetState, aligned

SAMPLES_MIN = 3
QUANTILE = 0.9
"""Of the measured samples: late pods cost a violation, early ones only pod-minutes."""


class LeadTimeSource(enum.StrEnum):
    """Where a lead time comes from."""

    MEASURED = "measured"
    CONFIGURED = "configured"


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """Seconds from patch to Ready per target, shape (n,), and whether they were measured."""

    lead_time_s: FloatArray
    measured: NDArray[np.bool_]

    def source(self, row: int) -> LeadTimeSource:
        """Where one row's value comes from."""
        return LeadTimeSource.MEASURED if self.measured[row] else LeadTimeSource.CONFIGURED


def lead_times(targets: TargetState, rows: PolicyRows) -> LeadTimes:
    """The 0.9 quantile of the samples where three or more are known, else the configured value."""
    samples = targets.lead_samples_s.reshape(-1, LEAD_SAMPLES_MAX)
    counts = np.isfinite(samples).sum(axis=1)
    measured = counts >= SAMPLES_MIN
    # The sample at or above the quantile, never an interpolation between two regimes (pod, node).
    place = np.ceil(QUANTILE * counts).astype(np.intp) - 1
    ordered = np.sort(samples, axis=1)
    quantile = ordered[np.arange(len(samples)), np.maximum(place, 0)]
    value = np.where(measured, quantile, rows.lead_time_default_s)
    return LeadTimes(np.minimum(value, rows.lead_time_max_s), measured)


def horizon(keys: Sequence[SeriesKey], policy: Policy, state: State, age_s: float = 0.0) -> Horizon:
    """The window every series must carry, for a forecast made `age_s` before now.

    An `ALL_REGIONS` series must be carried by whichever region is slowest, so it gets the longest
    lead time of its module.
    """
    targets = [TargetKey(module, region) for module, region in keys]
    rows = policy_rows(policy, targets)
    lead_s = lead_times(aligned(state, targets), rows).lead_time_s.copy()
    longest: dict[str, float] = {}
    for (module, region), value in zip(keys, lead_s.tolist(), strict=True):
        if region != ALL_REGIONS:
            longest[module] = max(longest.get(module, 0.0), value)
    for row, (module, region) in enumerate(keys):
        if region == ALL_REGIONS and module in longest:
            lead_s[row] = longest[module]
    return Horizon(lead_s=lead_s + max(age_s, 0.0), hold_s=rows.hold_s)


def observe_raises(
    targets: TargetState,
    rows: PolicyRows,
    floor_now: FloatArray,
    ready_replicas: FloatArray,
    now_s: float,
) -> TargetState:
    """Compare the cluster with what was seen last: when floors moved, and which raises are Ready.

    `floor_now` and `ready_replicas` have shape (n,), NaN where the target cannot be seen. A move to
    the floor that was asked for happened when it was asked for; any other move, now.
    """
    seen = targets.floor_seen
    moved_at_s = np.where(targets.intent_floor == floor_now, targets.intent_at_s, now_s)
    raised, released = floor_now > seen, floor_now < seen
    pending, since_s = targets.pending_floor, targets.pending_since_s
    waited_s = now_s - since_s
    is_ready = ready_replicas >= pending
    given_up = (waited_s > rows.lead_time_max_s) | (floor_now < pending)
    samples = _with_samples(targets.lead_samples_s, np.where(is_ready, waited_s, np.nan))
    open_still = np.isfinite(pending) & ~is_ready & ~given_up
    starts = raised & ~open_still & (ready_replicas < floor_now)
    return msgspec.structs.replace(
        targets,
        floor_seen=np.where(np.isfinite(floor_now), floor_now, seen),
        raised_at_s=np.where(raised, moved_at_s, targets.raised_at_s),
        released_at_s=np.where(released, moved_at_s, targets.released_at_s),
        pending_floor=np.where(starts, floor_now, np.where(open_still, pending, np.nan)),
        pending_since_s=np.where(starts, moved_at_s, np.where(open_still, since_s, np.nan)),
        lead_samples_s=samples,
    )


def _with_samples(samples: FloatArray, fresh: FloatArray) -> FloatArray:
    """Put each row's new sample first and let its oldest go; NaN is no sample."""
    got = np.isfinite(fresh)
    if not got.any():
        return samples
    longer = samples.copy()
    longer[got, 1:] = samples[got, :-1]
    longer[got, 0] = fresh[got]
    return longer

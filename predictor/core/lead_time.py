"""Measures the lead time, from patching a floor to pods Ready, and makes horizons of it.

`predictor/core/decide.py` calls `observe_raises` with each new view of the cluster; the service
calls `horizon` before it asks for a forecast. A lead time is learned from a raise that the floor
itself caused and the cluster showed, and, until there are enough of these, from scale-ups that the
HPA made by itself: in shadow there are no others. Nothing here may assume that a patch was carried
out, and pods that something blocks teach nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.forecast import Horizon
from models.series import ALL_REGIONS, FloatArray, SeriesKey
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.effective_policy import effective_rows
from predictor.core.policy import Policy
from predictor.core.policy_rows import PolicyRows
from predictor.core.state import LEAD_SAMPLES_MAX, State, TargetState, aligned

SAMPLES_MIN = 3
QUANTILE = 0.9
"""Of the measured samples: late pods cost a violation, early ones only pod-minutes."""
LOOK_GAP_MAX_S = 30.0
"""A scale-up of the HPA is dated to the look before the one that shows it; looks further apart
than this would make too long a lead time of it."""


class LeadTimeSource(enum.StrEnum):
    """Where a lead time comes from."""

    MEASURED = "measured"
    SCALE_UPS = "scale-ups of the HPA"
    FORMER = "measured before a deploy"
    CONFIGURED = "configured"


_SOURCES = tuple(LeadTimeSource)


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """Seconds from patch to Ready per target, shape (n,), and the place of each one's source."""

    lead_time_s: FloatArray
    places: NDArray[np.intp]

    def source(self, row: int) -> LeadTimeSource:
        """Where one row's value comes from."""
        return _SOURCES[int(self.places[row])]


@dataclass(frozen=True, slots=True)
class PodsNow:
    """What the cluster shows, each of shape (n,), in replicas; NaN where a target is not seen.

    `blocked` is True where something keeps pods from becoming Ready.
    """

    floor: FloatArray
    asked: FloatArray
    ready: FloatArray
    blocked: NDArray[np.bool_]


def lead_times(targets: TargetState, rows: PolicyRows) -> LeadTimes:
    """The 0.9 quantile of three or more samples; before there are, what is likely.

    Our own raises count first, then these and the HPA's scale-ups together, then what was known
    before the pod template changed, then the configured value.
    """
    options = np.stack([*_known(targets), rows.lead_time_default_s])
    places = np.isfinite(options).argmax(axis=0)
    value = options[places, np.arange(options.shape[1])]
    return LeadTimes(np.minimum(value, rows.lead_time_max_s), places)


def known_lead_times_s(targets: TargetState) -> FloatArray:
    """The same without a configured value, shape (n,); NaN where nothing was measured."""
    options = np.stack(_known(targets))
    places = np.isfinite(options).argmax(axis=0)
    known: FloatArray = options[places, np.arange(options.shape[1])]
    return known


def horizon(
    keys: Sequence[SeriesKey],
    policy: Policy,
    state: State,
    age_s: float = 0.0,
    hpas: Sequence[HpaView] = (),
) -> Horizon:
    """The window every series must carry, for a forecast made `age_s` before now.

    What the owners of `hpas` say of their own target counts. An `ALL_REGIONS` series must be
    carried by whichever region is slowest and holds longest, so it gets the longest of its module.
    """
    targets = [TargetKey(module, region) for module, region in keys]
    by_key = {hpa.key: hpa for hpa in hpas}
    rows = effective_rows(policy, targets, [by_key.get(key) for key in targets])
    lead_s = lead_times(aligned(state, targets), rows).lead_time_s
    return Horizon(
        lead_s=_longest_of_module(keys, lead_s) + max(age_s, 0.0),
        hold_s=_longest_of_module(keys, rows.hold_s),
    )


def _longest_of_module(keys: Sequence[SeriesKey], values_s: FloatArray) -> FloatArray:
    """The values, but for each `ALL_REGIONS` series the longest of its module's regions."""
    longest: dict[str, float] = {}
    for (module, region), value in zip(keys, values_s.tolist(), strict=True):
        if region != ALL_REGIONS:
            longest[module] = max(longest.get(module, 0.0), value)
    values_s = values_s.copy()
    for row, (module, region) in enumerate(keys):
        if region == ALL_REGIONS and module in longest:
            values_s[row] = longest[module]
    return values_s


def observe_raises(
    targets: TargetState, rows: PolicyRows, pods: PodsNow, now_s: float
) -> TargetState:
    """Compare the cluster with what was seen last: when floors moved, and which raises are Ready.

    A move to the floor that was asked for happened when it was asked for; any other move, now. A
    raise to pods that the HPA had asked for before is the cause of none.
    """
    seen, floor = targets.floor_seen, pods.floor
    is_ours = targets.intent_floor == floor
    moved_at_s = np.where(is_ours, targets.intent_at_s, now_s)
    raised, released = floor > seen, floor < seen
    is_cause = raised & ~(floor <= targets.spec_seen)
    raise_now = _Rise(is_cause, floor, moved_at_s, is_cause & is_ours)
    waiting = _Waiting(targets.pending_floor, targets.pending_since_s, targets.lead_samples_s)
    look = _Look(targets.ready_seen, pods, rows.lead_time_max_s, now_s)
    own = _followed(waiting, raise_now, look)
    waiting = _Waiting(
        targets.pending_scale_up, targets.scale_up_since_s, targets.scale_up_samples_s
    )
    others = _followed(waiting, _scale_up(targets, pods, now_s), look)
    return msgspec.structs.replace(
        targets,
        floor_seen=np.where(np.isfinite(floor), floor, seen),
        raised_at_s=np.where(raised, moved_at_s, targets.raised_at_s),
        released_at_s=np.where(released, moved_at_s, targets.released_at_s),
        pending_floor=own.replicas,
        pending_since_s=own.since_s,
        lead_samples_s=own.samples_s,
        pending_scale_up=others.replicas,
        scale_up_since_s=others.since_s,
        scale_up_samples_s=others.samples_s,
    )


@dataclass(frozen=True, slots=True)
class _Rise:
    """Which targets are asked for more pods, how many, since when, and whose start is known."""

    starts: NDArray[np.bool_]
    replicas: FloatArray
    since_s: FloatArray
    is_dated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Rises whose pods are not Ready yet (NaN: none), and the lead times of those before."""

    replicas: FloatArray
    since_s: FloatArray
    samples_s: FloatArray


class _Look(NamedTuple):
    """Pods Ready at the last look, pods now, the longest wait, and the time."""

    ready_before: FloatArray
    pods: PodsNow
    longest_s: FloatArray
    now_s: float


def _scale_up(targets: TargetState, pods: PodsNow, now_s: float) -> _Rise:
    """Where the HPA asked for more pods than the floor explains, some time since the last look."""
    rises = (pods.asked > targets.spec_seen) & ~(pods.floor > targets.spec_seen)
    dated = rises & (now_s - targets.looked_at_s <= LOOK_GAP_MAX_S)
    return _Rise(dated, pods.asked, targets.looked_at_s, dated)


def _followed(waiting: _Waiting, rise: _Rise, look: _Look) -> _Waiting:
    """Rises that got Ready become samples, hopeless ones are given up, new ones are waited for."""
    ready_before, pods, longest_s, now_s = look
    pending, since_s = waiting.replicas, waiting.since_s
    is_ready = pods.ready >= pending
    waited_s = now_s - since_s
    hopeless = (waited_s > longest_s) | (rise.replicas < pending) | pods.blocked
    open_still = np.isfinite(pending) & ~is_ready & ~hopeless
    starts = rise.starts & ~open_still & ~pods.blocked
    # Ready between two looks: it took no longer than since it was asked for.
    at_once = starts & rise.is_dated & (pods.ready >= rise.replicas)
    at_once &= ready_before < rise.replicas
    lasted_s = np.where(at_once, now_s - rise.since_s, np.nan)
    lasted_s = np.where(is_ready & ~pods.blocked & (waited_s <= longest_s), waited_s, lasted_s)
    starts &= pods.ready < rise.replicas
    return _Waiting(
        np.where(starts, rise.replicas, np.where(open_still, pending, np.nan)),
        np.where(starts, rise.since_s, np.where(open_still, since_s, np.nan)),
        _with_samples(waiting.samples_s, lasted_s),
    )


def _known(targets: TargetState) -> tuple[FloatArray, FloatArray, FloatArray]:
    """In the order of `LeadTimeSource`, each of shape (n,), NaN where it is not known."""
    own = targets.lead_samples_s.reshape(-1, LEAD_SAMPLES_MAX)
    others = targets.scale_up_samples_s.reshape(-1, LEAD_SAMPLES_MAX)
    both = np.concatenate([own, others], axis=1)
    return _quantile(own), _quantile(both), targets.lead_former_s


def _quantile(samples_s: FloatArray) -> FloatArray:
    """The sample at or above the quantile, never a value between two regimes (pod, node)."""
    counts = np.isfinite(samples_s).sum(axis=1)
    place = np.ceil(QUANTILE * counts).astype(np.intp) - 1
    ordered = np.sort(samples_s, axis=1)
    quantile = ordered[np.arange(len(ordered)), np.maximum(place, 0)]
    return np.where(counts >= SAMPLES_MIN, quantile, np.nan)


def _with_samples(samples: FloatArray, fresh: FloatArray) -> FloatArray:
    """Put each row's new sample first and let its oldest go; NaN is no sample."""
    got = np.isfinite(fresh)
    if not got.any():
        return samples
    longer = samples.copy()
    longer[got, 1:] = samples[got, :-1]
    longer[got, 0] = fresh[got]
    return longer

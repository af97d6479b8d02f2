"""The policy of each target as its owner narrowed it, and what may be done with it at all.

`predictor/core/targets.py` asks for every row, `predictor/core/lead_time.py` for the forecast's
window: both see the same annotations, which are part of the inputs, so a replay sees them too. The
owner's word on the object wins over the configuration. Nothing here may decide a floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.series import FloatArray
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.floor_object import HPA_KIND, SCALED_OBJECT_KIND
from predictor.core.opt_in import CEILING, FIELD_MANAGER, FLOOR, MODE, Mode, OptIn
from predictor.core.policy import Policy
from predictor.core.policy_rows import PolicyRows, policy_rows
from predictor.core.reasons import Code, Reason

RECORDED_IN_SHADOW = Reason(
    Code.SHADOW,
    f"this target is in shadow: recorded, not written ({MODE}: active on the HPA, or its mode in "
    "the configuration, lets it be written)",
)
RECORDED_WITHOUT_BAND = {
    kind: Reason(
        Code.NOT_OPTED_IN,
        "the owner drew no band: recorded, not written (annotate the "
        f"{kind.title} with {FLOOR} and {CEILING})",
    )
    for kind in (HPA_KIND, SCALED_OBJECT_KIND)
}
RECORDED_WITHOUT_FLOOR = Reason(
    Code.NOT_OPTED_IN,
    f"nobody says how far the floor may be taken back: recorded, not written (annotate the HPA "
    f"with {FLOOR})",
)


def effective_rows(
    policy: Policy, keys: Sequence[tuple[str, str]], hpas: Sequence[HpaView | None]
) -> PolicyRows:
    """The settings of each (module, region), the owner's annotations over the configuration's.

    `hpas` follow `keys`. Annotations of a target with a fault among them are not used.
    """
    rows = policy_rows(policy, keys)
    said = [
        (row, hpa.opt_in)
        for row, hpa in enumerate(hpas)
        if hpa is not None and _narrows(hpa.opt_in)
    ]
    if not said:
        return rows
    places = np.array([row for row, _ in said])

    def over(values: FloatArray, words: list[float | None]) -> FloatArray:
        told = np.array(words, dtype=np.float64)
        narrowed = values.copy()
        narrowed[places] = np.where(np.isfinite(told), told, values[places])
        return narrowed

    return replace(
        rows,
        quantile=over(rows.quantile, [one.quantile for _, one in said]),
        hold_s=over(rows.hold_s, [one.hold_s for _, one in said]),
        step_up_most=over(rows.step_up_most, [one.step_up_replicas_max for _, one in said]),
    )


def mode_of(policy: Policy, key: TargetKey, hpa: HpaView | None) -> Mode:
    """What may be done with a target: the owner's word, else the configuration's, else shadow."""
    if hpa is not None and hpa.opt_in.mode is not None:
        return hpa.opt_in.mode
    return policy.mode_of(*key)


def why_only_recorded(policy: Policy, hpa: HpaView | None, mode: Mode) -> Reason | None:
    """Why a change of this target is recorded and not written; None where it may be written.

    A paused target counts as one that may be: what is left of ours is taken back. Without the
    owner's floor nobody could take ours back once this service is dead.
    """
    if mode is Mode.SHADOW:
        return RECORDED_IN_SHADOW
    if mode is Mode.PAUSED or hpa is None:
        return None
    if policy.band_required and not hpa.opt_in.has_band:
        return RECORDED_WITHOUT_BAND[hpa.floor_object.kind]
    return RECORDED_WITHOUT_FLOOR if hpa.opt_in.floor is None else None


def is_ours(hpa: HpaView | None) -> bool:
    """Whether the field holds a floor that we wrote."""
    return hpa is not None and hpa.floor_manager == FIELD_MANAGER


def _narrows(said: OptIn) -> bool:
    is_silent = said.quantile is None and said.hold_s is None and said.step_up_replicas_max is None
    return not (is_silent or said.faults)

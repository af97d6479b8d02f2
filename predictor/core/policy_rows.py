"""The policy of many targets as arrays, one row per target.

`predictor/core/decide.py`, `predictor/core/lead_time.py` and the guardrails read these. The
settings are worked out once per distinct override, so ten thousand rows cost look-ups, not merges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from models.series import FloatArray
from predictor.core.policy import ModulePolicy, Policy

UNSET = float("nan")
"""An optional setting that nobody set."""


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """Each field of `ModulePolicy` as an array of shape (n,), NaN where one is unset.

    `step_up_most` is none of them: only an owner sets it, on the object.
    """

    quantile: FloatArray
    hold_s: FloatArray
    lead_time_default_s: FloatArray
    lead_time_max_s: FloatArray
    rate_per_pod_per_s: FloatArray
    pod_load_ratio: FloatArray
    replicas_min: FloatArray
    step_up_ratio_max: FloatArray
    step_up_replicas_max: FloatArray
    step_up_interval_s: FloatArray
    release_step_ratio: FloatArray
    release_interval_s: FloatArray
    hold_after_raise_s: FloatArray
    corroboration_ratio_max: FloatArray
    response_time_objective_s: FloatArray
    step_up_most: FloatArray
    """The most replicas that one raise may add at all (infinity: no such limit)."""


def policy_rows(policy: Policy, keys: Sequence[tuple[str, str]]) -> PolicyRows:
    """The settings of each (module, region), the narrowest that is there."""
    distinct: list[ModulePolicy] = [policy.defaults]
    place: dict[str, int] = {}
    for name in policy.modules:
        place[name] = len(distinct)
        distinct.append(policy.of(name))
    for name in policy.targets:
        place[name] = len(distinct)
        distinct.append(policy.of(*name.split("/", 1)))
    rows = np.zeros(len(keys), dtype=np.intp)
    if place:
        rows[:] = [place.get(f"{module}/{region}", place.get(module, 0)) for module, region in keys]
    table = np.array(
        [
            [
                UNSET if value is None else float(value)
                for value in msgspec.structs.astuple(settings)
            ]
            for settings in distinct
        ]
    )
    no_limit = np.full(len(keys), np.inf)
    return PolicyRows(*(*table[rows].T.copy(), no_limit))

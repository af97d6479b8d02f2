"""A floor as the guardrails let it move, sync by sync, over an HPA twin that is fed with itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from predictor.core.guardrails import NO_CEILING, Facts, allow
from predictor.core.hpa_twin.controller import new_hpa_state, sync
from predictor.core.hpa_twin.observation import Observation
from predictor.core.hpa_twin.spec import ControllerFlags, HpaSpec
from predictor.core.policy import ModulePolicy, Policy
from predictor.core.policy_rows import policy_rows
from tests.core.core_values import CORE

SYNC_S = 15.0
Floor = Callable[[int, int], int]
"""The floor at a sync, of its number and the replicas before it."""
Sight = Callable[[int, int, int], Observation]
"""What the controller sees: of the sync's number, the replicas and the floor."""


class GuardedFloor:
    """A floor between baseline and `most` that follows wishes as far as the guardrails allow.

    `asked` says how many replicas the metrics ask for at a sync (at least). A raise above the
    replicas that does not cover them is put off: such a jump would take a sync from the metrics.
    """

    def __init__(
        self,
        wishes: Sequence[int],
        asked: Sequence[int],
        baseline: int,
        most: int,
        hold_after_raise_s: float,
    ) -> None:
        self._wishes, self._asked = wishes, asked
        self._floor, self._most = baseline, np.array([most])
        self._baseline = np.array([baseline])
        self._raised_s = self._released_s = float("nan")
        changes = ModulePolicy(hold_after_raise_s=hold_after_raise_s)
        self._rows = policy_rows(Policy(defaults=changes), [CORE])

    def __call__(self, place: int, replicas: int) -> int:
        now_s = place * SYNC_S
        wish = np.array([self._wishes[place]])
        allowed = int(allow(wish, self._facts(now_s, replicas, self._asked[place]))[0])
        if allowed > self._floor:
            self._raised_s = now_s
        elif allowed < self._floor:
            self._released_s = now_s
        self._floor = allowed
        return allowed

    def _facts(self, now_s: float, replicas: int, asked: int) -> Facts:
        return Facts(
            now_s=now_s,
            floor_now=np.array([self._floor]),
            baseline=self._baseline,
            ceiling=np.array([NO_CEILING]),
            replicas_max=self._most,
            replicas=np.array([replicas]),
            asked_by_metrics=np.array([asked]),
            needed_now=np.array([0.0]),
            corroborated=np.array([1e6]),
            paused=np.array([False]),
            blocked={},
            metrics_failing={},
            metrics_failing_s=np.full(1, np.nan),
            metrics_failing_hold_s=21_600.0,
            raised_at_s=np.array([self._raised_s]),
            released_at_s=np.array([self._released_s]),
            demand_known=np.array([True]),
            incomplete="",
            telemetry_age_s=0.0,
            telemetry_seen=True,
            lag_s=0.0,
            slowest="",
            lag_max_s=180.0,
            telemetry_stale_after_s=60.0,
            telemetry_handback_after_s=600.0,
            started_at_s=-3600.0,
            warm_up_s=300.0,
            policy=self._rows,
        )


def walked(
    hpa: HpaSpec, sight: Sight, floor: Floor, syncs: int, replicas: int, tolerance: float
) -> list[int]:
    """The replicas after each sync."""
    state, path = new_hpa_state(), list[int]()
    flags = ControllerFlags(tolerance=tolerance)
    for place in range(syncs):
        observation = sight(place, replicas, floor(place, replicas))
        done = sync(hpa, observation, state, place * SYNC_S, flags)
        state, replicas = done.state, done.replicas
        path.append(replicas)
    return path


def asked_lately(hpa: HpaSpec, needs: Sequence[float]) -> list[int]:
    """What a raise has to cover at each sync.

    That is what the metrics ask for now; without `behavior` the most within the downscale window,
    because the controller then goes on towards an earlier spike that its rate did not reach.
    """
    back = 0 if hpa.scale_down is not None else 20
    whole = [math.ceil(need) for need in needs]
    return [max(whole[max(place - back, 0) : place + 1]) for place in range(len(whole))]

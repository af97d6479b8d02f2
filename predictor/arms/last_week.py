"""The seasonal floor: what was asked a week ago, half an hour ahead, as a second KEDA trigger.

`predictor/arms/families.py` lists it. Cheap and strong, the honest bar for every forecast.
"""

from __future__ import annotations

from predictor.arms.arm import Arm, ArmFamily, Learnt, Scene, Sizing
from predictor.arms.known_demand import DAY_S, WEEK_S, KnownDemand
from predictor.arms.trigger import Held, asked_by_trigger

AHEAD_S = 1800
KNOWN_FOR_WEEK_S = 8 * DAY_S


class LastWeek:
    """value(now - 7 d + 30 min) against the rate per pod; a day back while 8 days are not known.

    A gap there is no floor. Grafana Mimir, pull request 7775: an offset of 6d23h30m.
    """

    def __init__(self, factor: float, sizing: Sizing, learnt: Learnt) -> None:
        self.every_s = sizing.sync_s
        self._factor = factor
        self._rate_per_pod_per_s = sizing.rate_per_pod_per_s
        self._demand = KnownDemand(learnt)
        self._held = Held(sizing.stabilisation_s)

    def floor(self, scene: Scene) -> int:
        """See `Arm`."""
        known_s = scene.end_s - self._demand.start_s(scene)
        back_s = WEEK_S if known_s >= KNOWN_FOR_WEEK_S else DAY_S
        then = self._demand.at(scene, scene.now_s - back_s + AHEAD_S)
        asked = asked_by_trigger(self._factor * then, self._rate_per_pod_per_s, scene.replicas)
        return self._held.most(scene.now_s, asked)


def _make(factor: float, sizing: Sizing, learnt: Learnt) -> Arm:
    return LastWeek(factor, sizing, learnt)


LAST_WEEK = ArmFamily(
    name="last-week",
    version="Grafana Mimir pull request 7775, KEDA 2.21 (8b4f083)",
    described="The demand of seven days less half an hour ago, as a second trigger beside the "
    "present one; of a day less half an hour ago until eight days are known.",
    left_out="The smoothing of Mimir's own query; the HPA's scale-up limits on the trigger.",
    points=(1.0, 0.6, 0.8, 1.2, 1.5),
    make=_make,
)

"""Stabilisation: what metrics asked for in the last minutes holds back what they ask for now.

`controller.py` calls it with every recommendation of the metrics. A bound that was enforced is no
recommendation and must never become one: so a lowered minReplicas is not stabilised.

Source: `stabilizeRecommendationWithBehaviors` and `stabilizeRecommendation` in `horizontal.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.core.hpa_twin.scaling_rules import ScalingRules
from predictor.core.hpa_twin.spec import ControllerFlags
from predictor.core.hpa_twin.state import HpaState, Recommendation

Recommendations = tuple[Recommendation, ...]


class Stabilised(NamedTuple):
    """What is left of a recommendation, and the recommendations to remember, it included."""

    replicas: int
    highest: Recommendations
    lowest: Recommendations


def stabilised_with_rules(
    replicas: int,
    wanted: int,
    state: HpaState,
    rules: tuple[ScalingRules, ScalingRules],
    *,
    now_s: float,
    flags: ControllerFlags,
) -> Stabilised:
    """Up to the least, down to the most that was asked for within each direction's window.

    A recommendation exactly as old as the window does not count any more.
    """
    scale_up, scale_down = rules
    up_s, down_s = scale_up.stabilisation_s, scale_down.stabilisation_s
    up_from_s = now_s - (0 if up_s is None else up_s)
    down_from_s = now_s - (flags.downscale_stabilisation_s if down_s is None else down_s)
    newest = Recommendation(now_s, wanted)
    higher = [one for one in state.highest if one.at_s > down_from_s and one.replicas > wanted]
    lower = [one for one in state.lowest if one.at_s > up_from_s and one.replicas < wanted]
    most = higher[0].replicas if higher else wanted
    least = lower[0].replicas if lower else wanted
    # In this order, as there: with a longer window up than down the two can cross.
    held = min(max(replicas, least), most)
    return Stabilised(held, (*higher, newest), (*lower, newest))


def stabilised_by_flag(
    wanted: int, state: HpaState, now_s: float, flags: ControllerFlags
) -> Stabilised:
    """Without `behavior`: the most that was asked for within the controller's downscale window.

    A recommendation exactly as old as the window still counts here.
    """
    from_s = now_s - flags.downscale_stabilisation_s
    higher = [one for one in state.highest if one.at_s >= from_s and one.replicas > wanted]
    most = higher[0].replicas if higher else wanted
    newest = Recommendation(now_s, wanted)
    return Stabilised(most, (*higher, newest), (newest,))

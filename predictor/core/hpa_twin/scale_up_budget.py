"""What a raise of minReplicas leaves of the HPA's own room to scale up, in sentences.

`check` and `simulate` show them. The jump up to a raised minReplicas is a scale event like any
other, so it counts against the policies of `behavior.scaleUp` until their periods are over. It must
never be read as "fewer replicas than without the raise": the policies count from the replicas at
the period's start, so what the metrics could have reached they can still reach. What is slowed is
more on top of the raise.

Source: `storeScaleEvent` (called after every rescale, by bounds too) and
`calculateScaleUpLimitWithScalingRules` in `pkg/controller/podautoscaler/horizontal.go`; without
`behavior` no event is stored and nothing is lost.
"""

from __future__ import annotations

import math

from predictor.core.hpa_twin.rate_limits import scale_up_limit
from predictor.core.hpa_twin.scaling_rules import ScalingRules, SelectPolicy
from predictor.core.hpa_twin.spec import HpaSpec
from predictor.core.hpa_twin.state import Events, ScaleEvent
from predictor.core.reasons import Code, Reason


def scale_up_budget_notes(
    spec: HpaSpec, largest_raise: int, interval_s: float, replicas: int
) -> tuple[Reason, ...]:
    """What the metrics may add right after a raise, where that is less than without one.

    `largest_raise` is in replicas, from `replicas`; raises are at least `interval_s` apart. The
    second sentence tells of raises that follow each other at that pace, where these leave less
    still. Empty where nothing is lost.
    """
    rules = spec.scale_up
    if rules is None or rules.select is SelectPolicy.DISABLED or largest_raise < 1:
        return ()
    raised = replicas + largest_raise
    free = _room(raised, (), rules, 0.0)
    once = (ScaleEvent(0.0, largest_raise),)
    left = _room(raised, once, rules, 0.0)
    if left >= free:
        return ()
    # A change counts while it is younger than the period, so the room is back at its very end.
    back_s = next(
        (
            policy.period_s
            for policy in sorted(rules.policies, key=lambda policy: policy.period_s)
            if _room(raised, once, rules, float(policy.period_s)) >= free
        ),
        rules.longest_period_s,
    )
    rooms = f"lets metrics add {left} instead of {free}"
    note = f"after a raise of {largest_raise} at {replicas} replicas, behavior.scaleUp {rooms} for "
    told = [f"{note}{back_s} s"]
    train = _train(largest_raise, interval_s, raised, rules.longest_period_s)
    least = _room(raised, train, rules, 0.0)
    if least < left:
        told.append(
            f"while {len(train)} raises of {largest_raise} follow each other every "
            f"{interval_s:g} s up to {raised} replicas, behavior.scaleUp lets metrics add {least}"
        )
    return tuple(Reason(Code.SCALE_UP_BUDGET, sentence) for sentence in told)


def _room(replicas: int, raises: Events, rules: ScalingRules, now_s: float) -> int:
    return scale_up_limit(replicas, raises, (), rules, now_s) - replicas


def _train(largest_raise: int, interval_s: float, raised: int, longest_period_s: int) -> Events:
    """The raises that still count, the newest at 0 s, from at least one replica on."""
    fitting = max((raised - 1) // largest_raise, 1)
    counting = math.ceil(longest_period_s / interval_s) if interval_s > 0 else fitting
    return tuple(
        ScaleEvent(-interval_s * place, largest_raise) for place in range(min(counting, fitting))
    )

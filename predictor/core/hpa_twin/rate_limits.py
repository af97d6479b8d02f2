"""How far one sync may scale: the policies of `behavior`, or the older rules without it.

`controller.py` applies them to what stabilisation has left. Policies look at the events of both
directions, raises of minReplicas among them; they must never look at what the metrics asked for.

Source: `convertDesiredReplicasWithBehaviorRate`, `calculateScaleUpLimitWithScalingRules`,
`calculateScaleDownLimitWithBehaviors`, `convertDesiredReplicasWithRules` and
`calculateScaleUpLimit` in `horizontal.go`.
"""

from __future__ import annotations

from predictor.core.hpa_twin.int32 import ceil_int32, truncated_int32, wrapped_int32
from predictor.core.hpa_twin.scaling_rules import Policy, ScalingRules, SelectPolicy
from predictor.core.hpa_twin.state import Events, change_since

_FACTOR_WITHOUT_BEHAVIOR = 2.0
_LEAST_WITHOUT_BEHAVIOR = 4.0


def scale_up_limit(
    replicas: int, raises: Events, falls: Events, rules: ScalingRules, now_s: float
) -> int:
    """The most replicas that the policies of `scaleUp` allow now; never below `replicas`."""
    if rules.select is SelectPolicy.DISABLED:
        return replicas
    limits = [
        _raised(policy, _at_period_start(policy, replicas, raises, falls, now_s))
        for policy in rules.policies
    ]
    limit = min(limits) if rules.select is SelectPolicy.MIN else max(limits)
    return max(limit, replicas)


def scale_down_limit(
    replicas: int, raises: Events, falls: Events, rules: ScalingRules, now_s: float
) -> int:
    """The fewest replicas that the policies of `scaleDown` allow now; never above `replicas`."""
    if rules.select is SelectPolicy.DISABLED:
        return replicas
    limits = [
        _lowered(policy, _at_period_start(policy, replicas, raises, falls, now_s))
        for policy in rules.policies
    ]
    limit = max(limits) if rules.select is SelectPolicy.MIN else min(limits)
    return min(limit, replicas)


def scale_up_limit_without_behavior(replicas: int) -> int:
    """Twice as many, and 4 at any rate."""
    return ceil_int32(max(_FACTOR_WITHOUT_BEHAVIOR * replicas, _LEAST_WITHOUT_BEHAVIOR))


def _at_period_start(
    policy: Policy, replicas: int, raises: Events, falls: Events, now_s: float
) -> int:
    cutoff_s = now_s - policy.period_s
    start = replicas
    if raises:
        start -= change_since(raises, cutoff_s)
    if falls:
        start += change_since(falls, cutoff_s)
    return start


def _raised(policy: Policy, start: int) -> int:
    # Rounded up, else a small percentage of few pods would never add one.
    if policy.is_percent:
        return ceil_int32(start * (1 + policy.value / 100))
    return wrapped_int32(start + policy.value)


def _lowered(policy: Policy, start: int) -> int:
    if policy.is_percent:
        return truncated_int32(start * (1 - policy.value / 100))
    return wrapped_int32(start - policy.value)

"""Our own settings: what they are called, and which are played for a frontier.

`simulate.py` and `tune.py` use it. It must never change what an operator set for one module or
target alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from predictor.core.policy import ModulePolicy, Policy

FRONTIER: tuple[dict[str, Any], ...] = tuple(
    {"quantile": quantile, "pod_load_ratio": ratio, "hold_s": hold_s}
    for quantile, ratio, hold_s in (
        (0.5, 1.2, 120.0),
        (0.5, 1.0, 120.0),
        (0.95, 1.4, 120.0),
        (0.99, 1.4, 120.0),
        (0.9, 1.0, 120.0),
        (0.75, 1.4, 600.0),
        (0.5, 1.0, 600.0),
        (0.9, 1.0, 600.0),
        (0.99, 1.0, 600.0),
    )
)
"""From cheap to dear, for loads that are noisy and loads that are steep. At 1.4 a pod is planned up
to its limit behind a target of 70 %."""

_WORDS = {
    "quantile": "quantile {:g}",
    "pod_load_ratio": "load {:g}",
    "hold_s": "hold {:g} s",
    "hold_after_raise_s": "after a raise {:g} s",
    "release_step_ratio": "release {:.0%}",
    "release_interval_s": "every {:g} s",
    "step_up_ratio_max": "raise {:.0%}",
    "step_up_interval_s": "raise every {:g} s",
}


class OurSetting(NamedTuple):
    """One policy of ours to play."""

    setting: str
    policy: Policy
    is_usual: bool = False


def setting_name(policy: Policy) -> str:
    """What of the defaults steers a floor, in words: the quantile, and what was changed."""
    usual, own = ModulePolicy(), policy.defaults
    words = [
        form.format(getattr(own, name))
        for name, form in _WORDS.items()
        if name == "quantile" or getattr(own, name) != getattr(usual, name)
    ]
    return ", ".join(words)


def with_defaults(policy: Policy, **changes: object) -> Policy:
    """The policy with other defaults."""
    return msgspec.structs.replace(
        policy, defaults=msgspec.structs.replace(policy.defaults, **changes)
    )


def our_setting(policy: Policy, *, is_usual: bool = False) -> OurSetting:
    """A policy under its own name."""
    return OurSetting(setting_name(policy), policy, is_usual)


def frontier_settings(policy: Policy) -> tuple[OurSetting, ...]:
    """Settings from cheap to dear beside the policy's own, those that differ from it."""
    others = (our_setting(with_defaults(policy, **changes)) for changes in FRONTIER)
    return tuple(one for one in others if one.policy != policy)

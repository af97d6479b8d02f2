"""Finds the settings of our floor that cost least at a stated price of a violation minute.

`predictor/simulate_cli.py` calls it. Settings are tried in stages: what the floor carries, then how
far its window reaches, then how fast it moves; each stage begins from the best so far, and all of
a stage are played side by side. It must never choose by anything but what was measured, and every
setting that was tried stands in the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from predictor.core.policy import ModulePolicy, Policy
from predictor.simulation.figures import ArmFigures, SimulationResult
from predictor.simulation.settings_of_ours import OurSetting, setting_name, with_defaults
from predictor.simulation.setup import Setup
from predictor.simulation.simulate import Wanted, simulate

Changes = Mapping[str, Any]
CARRIED: tuple[Changes, ...] = tuple(
    {"quantile": quantile, "pod_load_ratio": ratio}
    for quantile, ratio in itertools.product((0.5, 0.75, 0.9, 0.95, 0.99), (1.0, 1.2, 1.4))
)
HOLDS: tuple[Changes, ...] = tuple({"hold_s": hold_s} for hold_s in (120.0, 300.0, 1200.0))
PACES: tuple[Changes, ...] = tuple(
    {"hold_after_raise_s": hold_s, "release_step_ratio": ratio}
    for hold_s, ratio in itertools.product((0.0, 120.0, 300.0), (0.25, 1.0))
)
STAGES = (CARRIED, HOLDS, PACES)


class Tuned(NamedTuple):
    """The cheapest policy, what changed in its defaults, and all that was tried."""

    policy: Policy
    changes: dict[str, Any]
    result: SimulationResult


def price_of(arm: ArmFigures, pod_hours_per_minute: float) -> float:
    """What an arm cost in pod-hours, its violation minutes priced."""
    return arm.pod_hours + pod_hours_per_minute * arm.violation_minutes


def tune(
    setup: Setup,
    pod_hours_per_minute: float,
    *,
    source: str,
    on_progress: Callable[[str, int], None] = lambda what, now_s: None,
) -> Tuned:
    """Try settings in stages; `pod_hours_per_minute` is what a violation minute is worth."""
    best = setup.policy
    tried: dict[str, ArmFigures] = {}
    result: SimulationResult | None = None
    for number, stage in enumerate(STAGES, start=1):
        settings = [one for one in _settings(best, stage) if one.setting not in tried]
        name = f"stage {number} of {len(STAGES)}"

        def done(what: str, now_s: int, name: str = name) -> None:
            on_progress(name, now_s)

        played = simulate(
            setup,
            Wanted(tuple(settings), with_trails=False),
            source=source,
            on_progress=done,
        )
        result = result or played
        policies = {one.setting: one.policy for one in settings}
        tried |= {one.setting: one for one in played.arms if one.arm == "ours"}
        cheapest = min(tried.values(), key=lambda one: price_of(one, pod_hours_per_minute))
        best = policies.get(cheapest.setting, best)
    assert result is not None
    usual = setting_name(best)
    ours = [msgspec.structs.replace(one, is_usual=one.setting == usual) for one in tried.values()]
    ours.sort(key=lambda one: not one.is_usual)
    whole = msgspec.structs.replace(result, arms=(result.arm("hpa"), *ours))
    return Tuned(best, changed(setup.policy, best), whole)


def _settings(policy: Policy, stage: Sequence[Changes]) -> Iterator[OurSetting]:
    yield OurSetting(setting_name(policy), policy)
    for changes in stage:
        other = with_defaults(policy, **changes)
        if other != policy:
            yield OurSetting(setting_name(other), other)


def changed(before: Policy, after: Policy) -> dict[str, Any]:
    """What of the defaults is otherwise, as it stands in a configuration file."""
    return {
        name: getattr(after.defaults, name)
        for name in ModulePolicy.__struct_fields__
        if getattr(after.defaults, name) != getattr(before.defaults, name)
    }

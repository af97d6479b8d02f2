"""What an HPA's `behavior` does beside a floor: where it makes one costly or works against it.

The arithmetic is the controller's own (`predictor/core/hpa_twin/`); a spec that the API server
would refuse is told by `spec_rules.py` and looked at no further.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import Hpa, Scene
from predictor.core.hpa_twin.floor_conditions import floor_condition_notes
from predictor.core.hpa_twin.rate_limits import scale_down_limit
from predictor.core.hpa_twin.scale_up_budget import scale_up_budget_notes
from predictor.core.hpa_twin.scaling_rules import ScalingRules, SelectPolicy
from predictor.core.hpa_twin.spec import HpaSpec
from predictor.core.policy import ModulePolicy
from predictor.core.reasons import Code

_SPENT_MAX = 100_000


def floor_conditions(scene: Scene) -> Iterator[Finding]:
    """Conditions under which a floor leaves no fewer pods, where one is not met."""
    for hpa, read, policy in _behaving(scene):
        for sentence in floor_condition_notes(read, policy.hold_after_raise_s):
            is_hold = "hold_after_raise_s" in sentence
            mend = (
                "raise hold_after_raise_s as said, or shorten the scale-down window"
                if is_hold
                else "give the longest policy of both directions the same periodSeconds"
            )
            severity = Severity.WARNING if is_hold else Severity.NOTE
            yield _finding(severity, Fault.FLOOR_CONDITION, hpa, sentence, mend)


def scale_up_budgets(scene: Scene) -> Iterator[Finding]:
    """What the metrics may still add right after a raise of ours."""
    for hpa, read, policy in _behaving(scene):
        replicas = max(hpa.replicas_min or 1, 1)
        raised = max(math.floor(policy.step_up_ratio_max * replicas), policy.step_up_replicas_max)
        room = max((hpa.replicas_max or replicas) - replicas, 0)
        raised = min(raised, room, _SPENT_MAX)
        for reason in scale_up_budget_notes(read, raised, policy.step_up_interval_s, replicas):
            mend = "allow more in behavior.scaleUp, or lower step_up_replicas_max"
            yield _finding(Severity.NOTE, Code.SCALE_UP_BUDGET, hpa, reason.sentence, mend)


def disabled_directions(scene: Scene) -> Iterator[Finding]:
    """A direction that `selectPolicy: Disabled` switches off."""
    for hpa, read, _ in _behaving(scene):
        if read.scale_down is not None and read.scale_down.select is SelectPolicy.DISABLED:
            sentence = "behavior.scaleDown is Disabled: pods that a floor brought never go again"
            mend = "selectPolicy Max or Min with a policy that fits the load"
            yield _finding(Severity.WARNING, Fault.SCALE_DOWN_DISABLED, hpa, sentence, mend)
        if read.scale_up is not None and read.scale_up.select is SelectPolicy.DISABLED:
            sentence = "behavior.scaleUp is Disabled: above a floor no metric adds a pod"
            mend = "selectPolicy Max, so that a forecast that is too low does no harm"
            yield _finding(Severity.WARNING, Fault.SCALE_UP_DISABLED, hpa, sentence, mend)


def releases(scene: Scene) -> Iterator[Finding]:
    """Scale-down policies inside our release step: the pods stay longer than the floor."""
    for hpa, read, policy in _behaving(scene):
        rules, most = read.scale_down, hpa.replicas_max or 0
        if rules is None or rules.select is SelectPolicy.DISABLED or most < 2:
            continue
        step = max(1, math.ceil(policy.release_step_ratio * most))
        period_s = max(rules.longest_period_s, 1)
        allowed = most - scale_down_limit(most, (), (), rules, 0.0)
        if allowed / period_s < step / max(policy.release_interval_s, 1.0):
            sentence = (
                f"behavior.scaleDown lets {allowed} of {most} pods go in {period_s} s, a release "
                f"of ours is {step} in {policy.release_interval_s:g} s: pods stay longer than the "
                "floor that brought them"
            )
            mend = "nothing, if the cost is wanted; else a larger scaleDown policy"
            yield _finding(Severity.NOTE, Fault.RELEASE_OUTPACED, hpa, sentence, mend)


def idle_settings(scene: Scene) -> Iterator[Finding]:
    """`selectPolicy` where there is one policy to select from."""
    for hpa, read, _ in _behaving(scene):
        for name, rules in (("scaleUp", read.scale_up), ("scaleDown", read.scale_down)):
            if rules is not None and _selects_from_one(rules):
                sentence = f"behavior.{name}.selectPolicy Min has one policy to select from"
                mend = "leave it out, or write the second policy that was meant"
                yield _finding(Severity.NOTE, Fault.NO_EFFECT, hpa, sentence, mend)


def _selects_from_one(rules: ScalingRules) -> bool:
    return rules.select is SelectPolicy.MIN and len(rules.policies) == 1


def _behaving(scene: Scene) -> Iterator[tuple[Hpa, HpaSpec, ModulePolicy]]:
    """The HPAs whose spec can be read, with how their floor would move."""
    for hpa, read in scene.read_specs:
        if not isinstance(read, str):
            yield hpa, read, scene.policy_of(hpa)


def _finding(severity: Severity, code: Fault | Code, hpa: Hpa, sentence: str, mend: str) -> Finding:
    return Finding(severity, code, hpa.of.title, sentence, mend, hpa.of.place)

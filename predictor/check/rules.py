"""Every rule, in the order in which it is asked, and the one function that asks them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from predictor.check import (
    behavior_rules,
    cluster_rules,
    control_rules,
    metric_rules,
    opt_in_rules,
    platform_rules,
    rival_rules,
    route_rules,
    version_rules,
)
from predictor.check.finding import Finding, worst_first
from predictor.check.scene import Scene

Rule = Callable[[Scene], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    opt_in_rules.no_targets,
    opt_in_rules.unreadable_annotations,
    opt_in_rules.bands,
    opt_in_rules.baselines,
    opt_in_rules.takeovers,
    opt_in_rules.bounds,
    opt_in_rules.targets,
    control_rules.other_controllers,
    rival_rules.rivals,
    rival_rules.canaries,
    control_rules.applications,
    control_rules.kustomizations,
    control_rules.vertical_modes,
    behavior_rules.specs,
    behavior_rules.floor_conditions,
    behavior_rules.scale_up_budgets,
    behavior_rules.disabled_directions,
    behavior_rules.releases,
    behavior_rules.idle_settings,
    metric_rules.conditions,
    metric_rules.served,
    metric_rules.object_values,
    metric_rules.work_of_another,
    metric_rules.units,
    metric_rules.memory,
    version_rules.api_versions,
    version_rules.fields,
    route_rules.weights,
    route_rules.owners,
    route_rules.pinned,
    route_rules.outliers,
    route_rules.hosts,
    platform_rules.connections,
    platform_rules.revisions,
    cluster_rules.rights,
    cluster_rules.guard,
    cluster_rules.switch,
    cluster_rules.clock,
    cluster_rules.unread,
)


def checked(scene: Scene) -> list[Finding]:
    """Everything that any rule finds, worst first."""
    return worst_first([finding for rule in RULES for finding in rule(scene)])

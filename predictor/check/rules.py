"""Every rule, in the order in which it is asked, and the one function that asks them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from predictor.check import (
    annotation_rules,
    behavior_rules,
    cluster_rules,
    control_rules,
    file_rules,
    metric_rules,
    opt_in_rules,
    platform_rules,
    restorer_rules,
    rival_rules,
    route_rules,
    spec_rules,
    version_rules,
)
from predictor.check.finding import Finding, worst_first
from predictor.check.scene import Scene

Rule = Callable[[Scene], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    opt_in_rules.no_targets,
    annotation_rules.unreadable,
    annotation_rules.unquoted,
    annotation_rules.unknown,
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
    spec_rules.specs,
    spec_rules.unknown_fields,
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
    restorer_rules.unrestored,
    restorer_rules.rights,
    cluster_rules.unread,
    file_rules.unread_files,
    file_rules.nothing_read,
)


def checked(scene: Scene) -> list[Finding]:
    """Everything that any rule finds, worst first."""
    found = (_with_a_patch_that_applies(one) for rule in RULES for one in rule(scene))
    return worst_first([*found])


def _with_a_patch_that_applies(one: Finding) -> Finding:
    """Without its patch, where no server would know the object that it names."""
    patch = one.patch
    if patch is None:
        return one
    has_name = bool(patch["metadata"]["name"])
    is_gone = version_rules.drops(patch["apiVersion"], patch["kind"])
    return one if has_name and not is_gone else msgspec.structs.replace(one, patch=None)

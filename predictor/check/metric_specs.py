"""The metrics that an HPA scales on, as far as its manifest can be read, in any served version.

`control_rules.py` and `metric_rules.py` read them. A metric that cannot be read is left out;
`behavior_rules.py` says what the API server would refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from predictor.check.fields import entries, mapping, text, value, whole

if TYPE_CHECKING:
    from predictor.check.scene import Hpa

_SOURCES = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
_AMOUNTS = ("averageValue", "value")


class MetricSpec(NamedTuple):
    """One metric: what is measured, on what, and the target as it is written."""

    kind: str
    name: str
    target_type: str
    amount: str
    described_kind: str = ""
    described_name: str = ""

    @property
    def is_resource(self) -> bool:
        """Whether the metrics server of the cluster has it, without an adapter."""
        return self.kind in ("Resource", "ContainerResource")


def metric_specs(hpa: Hpa) -> tuple[MetricSpec, ...]:
    """All metrics in their order; none at all mean 80 % of the CPU requests."""
    percent = whole(hpa.spec, "targetCPUUtilizationPercentage")
    if percent is not None:
        return (MetricSpec("Resource", "cpu", "Utilization", str(percent)),)
    found = tuple(_read(hpa.spec))
    if found or value(hpa.spec, "metrics"):
        return found
    return (MetricSpec("Resource", "cpu", "Utilization", "80"),)


def second_version(hpa: Hpa) -> Mapping[str, Any]:
    """The spec as `autoscaling/v2` has it; source: `pkg/apis/autoscaling/v1/conversion.go`."""
    percent = whole(hpa.spec, "targetCPUUtilizationPercentage")
    if percent is None:
        return hpa.spec
    target = {"type": "Utilization", "averageUtilization": percent}
    return {
        **hpa.spec,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _read(spec: Mapping[str, Any]) -> Iterator[MetricSpec]:
    for metric in entries(spec, "metrics"):
        kind = text(metric, "type")
        source = mapping(metric, _SOURCES.get(kind, ""))
        name = text(source, "name") or text(source, "metric", "name")
        if not name:
            continue
        target = mapping(source, "target")
        amounts = (target.get(one) for one in _AMOUNTS)
        yield MetricSpec(
            kind=kind,
            name=name,
            target_type=text(target, "type"),
            amount=next((str(one)[:40] for one in amounts if isinstance(one, str | int)), ""),
            described_kind=text(source, "describedObject", "kind"),
            described_name=text(source, "describedObject", "name"),
        )

"""One metric that an HPA scales on, and how much of it is wanted.

`spec.py` reads it from a manifest; every sync looks at it. It must never hold anything that a sync
would have to parse.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple


class MetricType(enum.StrEnum):
    """`spec.metrics[].type`."""

    RESOURCE = "Resource"
    CONTAINER_RESOURCE = "ContainerResource"
    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"


class TargetType(enum.StrEnum):
    """What a metric is compared with."""

    UTILIZATION = "Utilization"
    """Percent of the pods' requests."""
    AVERAGE_VALUE = "AverageValue"
    """Thousandths of the metric's unit per pod."""
    VALUE = "Value"
    """Thousandths of the metric's unit, whatever the number of pods."""


class Target(NamedTuple):
    """How much of a metric is wanted: percent for `UTILIZATION`, else thousandths of the unit."""

    type: TargetType
    amount: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of `spec.metrics`; `container` is empty but for ContainerResource.

    `key` names its readings in an `Observation`: the metric's name, "container/name" for
    ContainerResource.
    """

    type: MetricType
    name: str
    container: str
    target: Target
    key: str = field(init=False)
    is_per_pod: bool = field(init=False)
    """Whether each pod is measured, and not one thing beside them (Object, External)."""

    def __post_init__(self) -> None:
        key = f"{self.container}/{self.name}" if self.container else self.name
        object.__setattr__(self, "key", key)
        of_pods = self.type not in (MetricType.OBJECT, MetricType.EXTERNAL)
        object.__setattr__(self, "is_per_pod", of_pods)

"""What an HPA is told to do, read once from its manifest into values that every sync looks at.

`controller.py` and the cluster model use it; whoever has an `autoscaling/v2` manifest calls
`read_hpa_spec`. minReplicas and maxReplicas are not in it: they move between syncs, so they are
observed. What the API server would refuse is refused here, with the name of the field.

Source: `pkg/apis/autoscaling/v2/defaults.go`, `pkg/apis/autoscaling/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from predictor.core.hpa_twin.metric import Metric, MetricType, Target, TargetType
from predictor.core.hpa_twin.quantity import approximate_float, milli
from predictor.core.hpa_twin.scaling_rules import Policy, ScalingRules, SelectPolicy

__all__ = [
    "DEFAULT_FLAGS",
    "ControllerFlags",
    "HpaSpec",
    "HpaSpecRefused",
    "Metric",
    "MetricType",
    "Policy",
    "ScalingRules",
    "SelectPolicy",
    "Target",
    "TargetType",
    "read_hpa_spec",
]

Choice = TypeVar("Choice", MetricType, TargetType, SelectPolicy)

METRICS_MAX = 100
POLICIES_MAX = 100
"""More than anybody writes; the API server has no limit but the size of an object."""

_STABILISATION_MAX_S = 3600
_PERIOD_MAX_S = 1800
_INT32_MAX = 2**31 - 1
_DEFAULT_CPU_PERCENT = 80
_SCALE_UP = ScalingRules(0, SelectPolicy.MAX, (Policy(False, 4, 15), Policy(True, 100, 15)))
_SCALE_DOWN = ScalingRules(None, SelectPolicy.MAX, (Policy(True, 100, 15),))
_FIELDS = {
    MetricType.RESOURCE: "resource",
    MetricType.CONTAINER_RESOURCE: "containerResource",
    MetricType.PODS: "pods",
    MetricType.OBJECT: "object",
    MetricType.EXTERNAL: "external",
}
# Which targets a metric type reads, first one set wins; Object looks at the written type instead.
_TARGETS = {
    MetricType.RESOURCE: (TargetType.AVERAGE_VALUE, TargetType.UTILIZATION),
    MetricType.CONTAINER_RESOURCE: (TargetType.AVERAGE_VALUE, TargetType.UTILIZATION),
    MetricType.PODS: (TargetType.AVERAGE_VALUE,),
    MetricType.OBJECT: (TargetType.VALUE, TargetType.AVERAGE_VALUE),
    MetricType.EXTERNAL: (TargetType.AVERAGE_VALUE, TargetType.VALUE),
}
_TARGET_FIELDS = {
    TargetType.UTILIZATION: "averageUtilization",
    TargetType.AVERAGE_VALUE: "averageValue",
    TargetType.VALUE: "value",
}


class HpaSpecRefused(ValueError):  # noqa: N818 - a refusal is what it is
    """A spec that the API server would not take; the message starts with the field's path."""


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """Metrics in their order, and the rules of both directions; both are None without `behavior`.

    An absent `behavior` is not the default behavior: the controller then keeps its older rules.
    """

    metrics: tuple[Metric, ...]
    scale_up: ScalingRules | None
    scale_down: ScalingRules | None
    can_scale_from_zero: bool = field(init=False)
    """Whether any metric can be read while there is no pod (Object, External)."""

    def __post_init__(self) -> None:
        if (self.scale_up is None) != (self.scale_down is None):
            raise ValueError("behavior has either both directions or none")
        can_scale = any(not metric.is_per_pod for metric in self.metrics)
        object.__setattr__(self, "can_scale_from_zero", can_scale)


class ControllerFlags(NamedTuple):
    """The flags of kube-controller-manager v1.37, with their defaults; times in seconds.

    Source: kube-controller-manager reference, `--horizontal-pod-autoscaler-…`;
    `pkg/features/kube_features.go` for the gate HPAScaleToZero.
    """

    sync_s: float = 15.0
    tolerance: float = 0.1
    cpu_initialization_s: float = 300.0
    initial_readiness_delay_s: float = 30.0
    downscale_stabilisation_s: int = 300
    scale_to_zero: bool = True


DEFAULT_FLAGS = ControllerFlags()


def read_hpa_spec(spec: Mapping[str, Any]) -> HpaSpec:
    """The spec of a plain `autoscaling/v2` mapping, defaults filled in as the API server does.

    No metrics mean 80 % of the CPU requests; one direction of `behavior` gets the defaults of the
    fields it leaves out, and both stay None where `behavior` is absent. Raises `HpaSpecRefused`.
    Source: `SetDefaults_HorizontalPodAutoscaler`, `validateHorizontalPodAutoscalerSpec`.
    """
    _mapping(spec, "spec")
    written = _sequence(spec.get("metrics") or (), "metrics", METRICS_MAX)
    metrics = tuple(_metric(entry, f"metrics[{place}]") for place, entry in enumerate(written))
    if not metrics:
        default = Target(TargetType.UTILIZATION, _DEFAULT_CPU_PERCENT)
        metrics = (Metric(MetricType.RESOURCE, "cpu", "", default),)
    behavior = spec.get("behavior")
    if behavior is None:
        return HpaSpec(metrics, None, None)
    _mapping(behavior, "behavior")
    return HpaSpec(
        metrics,
        _rules(behavior.get("scaleUp"), _SCALE_UP, "behavior.scaleUp"),
        _rules(behavior.get("scaleDown"), _SCALE_DOWN, "behavior.scaleDown"),
    )


def _metric(entry: object, path: str) -> Metric:
    written = _mapping(entry, path)
    metric_type = _choice(MetricType, written.get("type"), f"{path}.type")
    path = f"{path}.{_FIELDS[metric_type]}"
    source = _mapping(written.get(_FIELDS[metric_type]), path)
    target = _target(metric_type, source.get("target"), f"{path}.target")
    if metric_type in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        name = _name(source.get("name"), f"{path}.name")
        is_container = metric_type is MetricType.CONTAINER_RESOURCE
        container = _name(source.get("container"), f"{path}.container") if is_container else ""
        return Metric(metric_type, name, container, target)
    identifier = _mapping(source.get("metric"), f"{path}.metric")
    return Metric(metric_type, _name(identifier.get("name"), f"{path}.metric.name"), "", target)


def _target(metric_type: MetricType, entry: object, path: str) -> Target:
    """The target that the controller reads: the type counts for Object only, elsewhere the fields.

    Source: `computeStatusForResourceMetricGeneric`, `computeStatusForObjectMetric`,
    `computeStatusForPodsMetric` and `computeStatusForExternalMetric` in `horizontal.go`.
    """
    written = _mapping(entry, path)
    target_type = _choice(TargetType, written.get("type"), f"{path}.type")
    readable = _TARGETS[metric_type]
    if metric_type is MetricType.OBJECT:
        readable = tuple(one for one in readable if one is target_type)
    for one in readable:
        amount = written.get(_TARGET_FIELDS[one])
        if amount is not None:
            return Target(one, _amount(one, amount, f"{path}.{_TARGET_FIELDS[one]}"))
    names = " or ".join(_TARGET_FIELDS[one] for one in _TARGETS[metric_type])
    raise HpaSpecRefused(f"{path}: a {metric_type} metric of type {target_type} needs {names}")


def _amount(target_type: TargetType, written: object, path: str) -> int:
    if target_type is TargetType.UTILIZATION:
        return _whole(written, path, 1, _INT32_MAX)
    try:
        amount = milli(written)
    except ValueError as error:
        raise HpaSpecRefused(f"{path}: {error}") from None
    if amount <= 0:
        raise HpaSpecRefused(f"{path}: {written} is not above 0")
    return amount


def _rules(entry: object, default: ScalingRules, path: str) -> ScalingRules:
    """Absent fields come from the default of the direction (`copyHPAScalingRules`)."""
    if entry is None:
        return default
    written = _mapping(entry, path)
    window, select = written.get("stabilizationWindowSeconds"), written.get("selectPolicy")
    policies, tolerance = written.get("policies"), written.get("tolerance")
    return ScalingRules(
        default.stabilisation_s
        if window is None
        else _whole(window, f"{path}.stabilizationWindowSeconds", 0, _STABILISATION_MAX_S),
        default.select if select is None else _choice(SelectPolicy, select, f"{path}.selectPolicy"),
        default.policies if policies is None else _policies(policies, f"{path}.policies"),
        None if tolerance is None else _tolerance(tolerance, f"{path}.tolerance"),
    )


def _policies(entry: object, path: str) -> tuple[Policy, ...]:
    written = _sequence(entry, path, POLICIES_MAX)
    if not written:
        raise HpaSpecRefused(f"{path}: there must be at least one policy")
    return tuple(_policy(one, f"{path}[{place}]") for place, one in enumerate(written))


def _policy(entry: object, path: str) -> Policy:
    written = _mapping(entry, path)
    kind = written.get("type")
    if kind not in ("Pods", "Percent"):
        raise HpaSpecRefused(f"{path}.type: {kind!r} is neither Pods nor Percent")
    value = _whole(written.get("value"), f"{path}.value", 1, _INT32_MAX)
    period_s = _whole(written.get("periodSeconds"), f"{path}.periodSeconds", 1, _PERIOD_MAX_S)
    return Policy(kind == "Percent", value, period_s)


def _tolerance(written: object, path: str) -> float:
    try:
        tolerance = approximate_float(written)
    except ValueError as error:
        raise HpaSpecRefused(f"{path}: {error}") from None
    if tolerance < 0:
        raise HpaSpecRefused(f"{path}: {written} is below 0")
    return tolerance


def _mapping(entry: object, path: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise HpaSpecRefused(f"{path}: must be a mapping, not {_shown(entry)}")
    return entry


def _sequence(entry: object, path: str, length_max: int) -> Sequence[object]:
    if isinstance(entry, str) or not isinstance(entry, Sequence):
        raise HpaSpecRefused(f"{path}: must be a list, not {_shown(entry)}")
    if len(entry) > length_max:
        raise HpaSpecRefused(f"{path}: {len(entry)} entries, at most {length_max}")
    return entry


def _name(entry: object, path: str) -> str:
    if not isinstance(entry, str) or not entry:
        raise HpaSpecRefused(f"{path}: must be a name, not {_shown(entry)}")
    return entry


def _choice(choices: type[Choice], entry: object, path: str) -> Choice:
    for choice in choices:
        if choice == entry:
            return choice
    raise HpaSpecRefused(f"{path}: {_shown(entry)} is none of {', '.join(choices)}")


def _whole(entry: object, path: str, least: int, most: int) -> int:
    if isinstance(entry, bool) or not isinstance(entry, int):
        raise HpaSpecRefused(f"{path}: must be a whole number, not {_shown(entry)}")
    if not least <= entry <= most:
        raise HpaSpecRefused(f"{path}: {entry} is not between {least} and {most}")
    return entry


def _shown(entry: object) -> str:
    return repr(entry)[:60]

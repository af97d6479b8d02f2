from __future__ import annotations

from typing import Any

import pytest

from predictor.core.hpa_twin.quantity import approximate_float, milli
from predictor.core.hpa_twin.spec import HpaSpecRefused, SelectPolicy, read_hpa_spec
from tests.core.hpa_worlds import CPU_METRIC, PODS_METRIC

POLICY = {"type": "Pods", "value": 1, "periodSeconds": 30}


def test_a_direction_that_is_left_out_gets_the_defaults() -> None:
    spec = read_hpa_spec({"behavior": {"scaleUp": {"policies": [POLICY]}}})

    assert spec.metrics[0].target.amount == 80
    assert spec.scale_up is not None
    assert spec.scale_down is not None
    assert (spec.scale_up.select, spec.scale_up.stabilisation_s) == (SelectPolicy.MAX, 0)
    assert spec.scale_up.longest_period_s == 30
    assert spec.scale_down.stabilisation_s is None
    assert read_hpa_spec({"metrics": [CPU_METRIC]}).scale_up is None


def test_the_metric_of_one_container_has_a_name_of_its_own() -> None:
    target = {"type": "AverageValue", "averageValue": "250m"}
    source = {"name": "cpu", "container": "app", "target": target}
    entry = {"type": "ContainerResource", "containerResource": source}

    metric = read_hpa_spec({"metrics": [entry]}).metrics[0]

    assert (metric.key, metric.target.amount) == ("app/cpu", 250)


def _behavior(**rules: Any) -> dict[str, Any]:
    return {"behavior": {"scaleUp": rules}}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"metrics": [{**PODS_METRIC, "type": "Pod"}]}, "metrics[0].type"),
        ({"metrics": [{"type": "Pods"}]}, "metrics[0].pods"),
        (
            {"metrics": [CPU_METRIC, {"type": "Resource", "resource": {"name": "cpu"}}]},
            "metrics[1]",
        ),
        ({"metrics": "cpu"}, "metrics"),
        (_behavior(selectPolicy="Most"), "behavior.scaleUp.selectPolicy"),
        (_behavior(stabilizationWindowSeconds=3601), "behavior.scaleUp.stabilizationWindowSeconds"),
        (_behavior(policies=[]), "behavior.scaleUp.policies"),
        (_behavior(policies=[{**POLICY, "value": 0}]), "behavior.scaleUp.policies[0].value"),
        (_behavior(policies=[{**POLICY, "type": 1}]), "behavior.scaleUp.policies[0].type"),
        (_behavior(tolerance="-0.1"), "behavior.scaleUp.tolerance"),
        (_behavior(tolerance="ten"), "behavior.scaleUp.tolerance"),
    ],
)
def test_what_the_api_server_would_refuse_is_refused_by_field(spec: Any, field: str) -> None:
    with pytest.raises(HpaSpecRefused) as refused:
        read_hpa_spec(spec)

    assert str(refused.value).startswith(field)


@pytest.mark.parametrize(
    ("written", "thousandths"),
    [
        ("500m", 500),
        ("20", 20_000),
        (3, 3000),
        ("1k", 10**6),
        ("1Ki", 1_024_000),
        ("1e2", 10**5),
        ("0.0001", 1),
        (".5", 500),
        ("8E", 2**63 - 1),
    ],
)
def test_a_quantity_is_whole_thousandths_rounded_up(written: Any, thousandths: int) -> None:
    assert milli(written) == thousandths


def test_a_tolerance_is_the_float_that_the_controller_has() -> None:
    assert approximate_float("0.3") == 300 * 0.001 != 3 * 0.1


@pytest.mark.parametrize("written", ["", "1.2.3", "5 m", "0x10", True, None, "1" * 80, "nan"])
def test_what_is_no_quantity_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        milli(written)

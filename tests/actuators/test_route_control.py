"""A VirtualService whose weights another tool moves is left alone, and the tool is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.series import SeriesKey
from predictor.actuators.cluster_settings import RouteTarget
from predictor.actuators.virtual_service import VirtualService, read_route
from predictor.core.cluster import RouteView, TargetKey
from predictor.core.policy import RoutePolicy
from predictor.core.reasons import Code
from tests.core.core_values import (
    AP,
    EU,
    US,
    a_policy,
    a_route,
    an_hpa,
    decided,
    some_inputs,
    three_regions,
)

TARGET = RouteTarget("core", "mplp", "traffic", {"east": "core.east", "west": "core.west"})


def read(**metadata: Any) -> RouteView:
    shares = [{"destination": {"host": host}, "weight": 50} for host in TARGET.hosts.values()]
    whole = {"name": "traffic", "namespace": "mplp", "uid": "u", "resourceVersion": "1", **metadata}
    document = {"metadata": whole, "spec": {"http": [{"route": shares}]}}
    found = read_route(TARGET, msgspec.convert(document, type=VirtualService))
    assert isinstance(found, RouteView)
    return found


def owner(kind: str, group: str, **more: Any) -> dict[str, Any]:
    return {
        "ownerReferences": [{"kind": kind, "name": "shop", "apiVersion": f"{group}/v1", **more}]
    }


def managed(manager: str, field: str) -> dict[str, Any]:
    return {"managedFields": [{"manager": manager, "fieldsV1": {"f:spec": {field: {}}}}]}


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        (owner("Canary", "flagger.app"), "Flagger's Canary shop"),
        (owner("Route", "serving.knative.dev", controller=True), "the controller of Route shop"),
        (
            {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "shop"}},
            "Argo Rollouts' Rollout shop",
        ),
        (managed("rollouts-controller", "f:http"), "Argo Rollouts"),
        (managed("flagger", "f:http"), "Flagger"),
    ],
    ids=["Canary", "any controller", "annotation", "Rollouts wrote weights", "Flagger did"],
)
def test_whoever_keeps_the_weights_is_named_with_the_mend(
    metadata: dict[str, Any], who: str
) -> None:
    reason = read(**metadata).held_back

    assert reason is not None
    assert reason.code is Code.OTHER_CONTROLLER
    assert reason.sentence.startswith(f"{who} keeps the weights of VirtualService mplp/traffic")
    assert reason.sentence.endswith("give the regional weights a VirtualService of their own")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        owner("Application", "app.k8s.io"),
        managed("kubectl-edit", "f:http"),
        managed("flagger", "f:gateways"),
    ],
    ids=["nobody", "an owner that controls nothing", "a person", "Flagger wrote something else"],
)
def test_everybody_else_may_have_us_move_weights(metadata: dict[str, Any]) -> None:
    assert read(**metadata).held_back is None


def test_weights_that_somebody_else_keeps_stay_and_floors_are_sized_for_them() -> None:
    reason = read(**owner("Canary", "flagger.app")).held_back
    weights = {US: 60, EU: 30, AP: 10}
    route = msgspec.structs.replace(a_route(weights), held_back=reason)
    hpas = [
        an_hpa(TargetKey(*key), ready_replicas=0 if key.region == US else 20) for key in targets()
    ]
    load = {key: 1000.0 if key.region == "*" else 0.0 for key in three_regions()}
    inputs = some_inputs(hpas, keys=three_regions(), peak=load, demand=load, routes=[route])
    policy = a_policy(routes={"core": RoutePolicy(home_weights={US: 50, EU: 30, AP: 20})})

    decision = decided(inputs, policy)

    assert decision.weights[0].weights == (60, 30, 10)
    assert decision.weights[0].reasons[0] == reason
    assert decision.weight_intents == ()
    assert decision.floors[0].floor_wanted == 6


def targets() -> list[SeriesKey]:
    return [key for key in three_regions() if key.region != "*"]

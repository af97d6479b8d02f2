"""The manifests as a real API server takes them, and what they promise."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import serve_virtual_services
from tests.deploy.kustomized import DEPLOY, kustomized

FOLDERS = ("mplp", "base", "guard", "guard-owner-max", "keda", "guard-keda")
ALL = [one for folder in FOLDERS for one in kustomized(DEPLOY / folder)]
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
BOUNDS = {
    "context": (2, 10), "plan": (2, 8), "role": (3, 15), "confirm": (2, 6), "trace": (2, 8),
    "extension": (1, 5), "dialog": (2, 10), "collab": (2, 12), "network": (2, 15),
}  # fmt: skip
CORE_BOUNDS = {"us-east-1": (3, 20), "eu-west-1": (2, 15), "ap-southeast-1": (2, 10)}


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in ALL if one["kind"] == kind]


@pytest.mark.real
def test_every_manifest_is_accepted_without_a_warning(control_plane: ControlPlane) -> None:
    serve_virtual_services(control_plane)
    # A dry run keeps nothing, so what follows would not find its namespace.
    control_plane.apply(*of_kind("Namespace"))

    said = [f"{one['kind']} {name(one)}: {dry_run(control_plane, one)}" for one in ALL]

    assert [line for line in said if not line.endswith(": accepted")] == []


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_the_ten_modules_with_the_guides_bounds(region: str) -> None:
    hpas = [one for one in of_kind("HorizontalPodAutoscaler") if namespace(one) == region]

    bounds = {
        one["spec"]["scaleTargetRef"]["name"]: (
            one["spec"]["minReplicas"],
            one["spec"]["maxReplicas"],
        )
        for one in hpas
    }

    wanted = BOUNDS | {"core": CORE_BOUNDS[region]}
    assert bounds == {f"mplp-{module}": pair for module, pair in wanted.items()}
    assert len(hpas) == 10


def test_every_owner_declares_the_baseline_beside_the_field_that_is_raised() -> None:
    for hpa in of_kind("HorizontalPodAutoscaler"):
        declared = hpa["metadata"]["annotations"]["predictor.mplp.io/floor"]
        assert int(declared) == hpa["spec"]["minReplicas"], name(hpa)


def test_no_deployment_fights_its_hpa_over_replicas() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("HorizontalPodAutoscaler")}
    deployments = {name(one).split("/")[1]: one for one in of_kind("Deployment")}

    assert scaled <= set(deployments)
    assert [module for module in scaled if "replicas" in deployments[module]["spec"]] == []


def test_the_service_may_write_named_objects_in_named_namespaces_only() -> None:
    assert of_kind("ClusterRole") == []
    rules = [rule for role in of_kind("Role") for rule in role["rules"]]

    writes = [rule for rule in rules if not set(rule["verbs"]) <= {"get", "list", "watch"}]

    leases = [rule for rule in writes if rule["resources"] == ["leases"]]
    others = [rule for rule in writes if rule not in leases]
    # What is created has no name yet, so its leases lie in a namespace of the service's own.
    assert [rule["verbs"] for rule in leases] == [["get", "create", "patch"]]
    assert others
    assert all(rule["verbs"] == ["get", "patch"] and rule["resourceNames"] for rule in others)


def test_the_restorer_needs_no_broker_no_model_and_no_configuration() -> None:
    (job,) = of_kind("CronJob")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    regions = [f"--namespace={one}" for one in REGIONS]
    assert container["args"] == ["restore", *regions, "--route-namespace=mplp-production"]
    assert not {"env", "envFrom", "volumeMounts"} & set(container)
    assert pod["serviceAccountName"] == "mplp-predictor-restorer"


def test_a_restorer_that_hangs_is_gone_before_the_next_one_starts() -> None:
    (job,) = of_kind("CronJob")

    assert job["spec"]["schedule"] == "* * * * *"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 60


def test_the_guides_region_hosts_are_the_regions_services() -> None:
    services = {name(one) for one in of_kind("Service")}
    default = of_kind("VirtualService")[0]["spec"]["http"][-1]

    hosts = [one["destination"]["host"] for one in default["route"]]

    assert "match" not in default
    assert [one["weight"] for one in default["route"]] == [50, 30, 20]
    assert {f"{host.split('.')[1]}/{host.split('.')[0]}" for host in hosts} <= services


def name(one: dict[str, Any]) -> str:
    return f"{namespace(one)}/{one['metadata']['name']}"


def namespace(one: dict[str, Any]) -> str:
    found: str = one["metadata"].get("namespace", "")
    return found


def dry_run(plane: ControlPlane, document: dict[str, Any]) -> str:
    """The API server's objections; its warnings come as headers and count as objections."""
    query = "fieldManager=owner&force=true&fieldValidation=Strict&dryRun=All"
    trust = ssl.create_default_context(cafile=str(plane.ca_file))
    address = urlsplit(plane.server).netloc
    connection = http.client.HTTPSConnection(address, timeout=30, context=trust)
    headers = {
        "Authorization": f"Bearer {plane.token}",
        "Content-Type": "application/apply-patch+yaml",
    }
    path = f"{plane.client.path_of(document)}?{query}"
    connection.request("PATCH", path, json.dumps(document), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    warnings = answer.headers.get_all("Warning") or []
    if answer.status >= 300:
        return f"{answer.status} {body['message']}"
    return "accepted" if not warnings else f"accepted with {warnings}"

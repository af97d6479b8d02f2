import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from rigs.artifacts import istio_crds
from rigs.cluster_client import ApplyError, has_condition
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane

pytestmark = pytest.mark.real

READY_DELAY_S = 3
HPA = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/web"


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.originalname.replace("_", "-")[:63].strip("-")
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    control_plane.delete(f"/api/v1/namespaces/{name}")


def test_hpa_scales_up_on_a_pods_metric(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(a_deployment(namespace, replicas=2), an_hpa(namespace))
    wait_for(lambda: ready_pods(control_plane, namespace) == 2, "2 Ready pods")

    # 250 on each of 2 pods at a target of 100 asks for 5.
    names = [pod["metadata"]["name"] for pod in control_plane.pods(namespace)]
    control_plane.write_metric(namespace, names, "requests_per_second", 250)

    wait_for(lambda: ready_pods(control_plane, namespace) >= 5, "5 Ready pods")


def test_pods_become_ready_after_the_delay_they_name(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(a_deployment(namespace, replicas=2, ready_delay_s=READY_DELAY_S))

    wait_for(lambda: ready_pods(control_plane, namespace) == 2, "2 Ready pods")

    for pod in control_plane.pods(namespace):
        since = {one["type"]: one["lastTransitionTime"] for one in pod["status"]["conditions"]}
        took = datetime.fromisoformat(since["Ready"]) - datetime.fromisoformat(
            since["PodScheduled"]
        )
        # The conditions carry whole seconds.
        assert READY_DELAY_S - 1 <= took.total_seconds() <= READY_DELAY_S + 5


def test_raised_floor_brings_pods_without_any_metric(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(a_deployment(namespace, replicas=1), an_hpa(namespace))

    status, _ = control_plane.request(
        "PATCH",
        HPA.format(namespace),
        {"spec": {"minReplicas": 6}},
        "application/merge-patch+json",
    )

    assert status == 200
    wait_for(lambda: ready_pods(control_plane, namespace) == 6, "6 Ready pods")


def test_api_server_that_was_stopped_comes_back_with_its_objects(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(a_deployment(namespace, replicas=1), an_hpa(namespace))

    control_plane.stop_api()
    with pytest.raises(OSError, match="refused"):
        control_plane.request("GET", HPA.format(namespace))
    control_plane.start_api()

    assert control_plane.request("GET", HPA.format(namespace))[0] == 200
    wait_for(lambda: ready_pods(control_plane, namespace) == 1, "1 Ready pod")


def test_paused_api_server_answers_nothing_until_it_is_resumed(
    control_plane: ControlPlane,
) -> None:
    control_plane.pause_api()
    with pytest.raises(TimeoutError):
        control_plane.request("GET", "/readyz", timeout_s=0.5)

    control_plane.resume_api()

    assert control_plane.request("GET", "/readyz") == (200, {"text": "ok"})


def test_account_of_the_service_may_do_only_what_its_roles_allow(
    control_plane: ControlPlane, namespace: str
) -> None:
    service = control_plane.client_for(PREDICTOR)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    assert service.request("GET", pods)[0] == 403

    control_plane.apply(*a_reader_of_pods(namespace))

    wait_for(lambda: service.request("GET", pods)[0] == 200, "the role to count")
    assert yaml.safe_load(control_plane.predictor_kubeconfig.read_text())["users"] == [
        {"name": "rig", "user": {"token": control_plane.predictor_token}}
    ]


def test_dry_run_refuses_an_unknown_field_and_keeps_nothing(
    control_plane: ControlPlane, namespace: str
) -> None:
    good = an_hpa(namespace)
    bad = an_hpa(namespace)
    bad["spec"]["minReplica"] = 3

    control_plane.apply(good, dry_run=True)
    with pytest.raises(ApplyError, match="minReplica"):
        control_plane.apply(bad, dry_run=True)

    assert control_plane.request("GET", HPA.format(namespace))[0] == 404


def test_kinds_of_istio_can_be_applied_once_its_definitions_are(
    control_plane: ControlPlane, namespace: str
) -> None:
    route = {"destination": {"host": "context"}, "weight": 100}
    service = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "context", "namespace": namespace},
        "spec": {"hosts": ["context"], "http": [{"route": [route]}]},
    }

    control_plane.apply(istio_crds())

    assert control_plane.apply(service)[0]["spec"] == service["spec"]


def test_nothing_is_left_of_a_stopped_cluster() -> None:
    cluster = ControlPlane(nodes=1)
    cluster.start()
    pids, folder = cluster.pids, cluster.folder
    assert len(pids) == 6

    cluster.stop()

    assert [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()] == []
    assert not folder.exists()


def a_deployment(namespace: str, *, replicas: int, ready_delay_s: int = 0) -> dict[str, Any]:
    annotations = {
        "pod-ready.stage.kwok.x-k8s.io/delay": f"{ready_delay_s}s",
        "pod-ready.stage.kwok.x-k8s.io/jitter-delay": f"{ready_delay_s}s",
    }
    labels = {"app": "web"}
    container = {"name": "web", "image": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


def an_hpa(namespace: str) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": "100"}
    metric = {"metric": {"name": "requests_per_second"}, "target": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [{"type": "Pods", "pods": metric}],
        },
    }


def a_reader_of_pods(namespace: str) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "reader", "namespace": namespace}
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    account = {"kind": "ServiceAccount", "name": "mplp-predictor", "namespace": "mplp-predictor"}
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
            "subjects": [account],
        },
    ]


def ready_pods(cluster: ControlPlane, namespace: str) -> int:
    return sum(has_condition(pod, "Ready") for pod in cluster.pods(namespace))


def wait_for(holds: Callable[[], bool], what: str, *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"still no {what} after {timeout_s:g} s"
        time.sleep(0.2)

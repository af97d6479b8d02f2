"""What keeps pods from becoming Ready, as a Deployment and its pods say it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from predictor.actuators.objects import Deployment, Pod
from predictor.actuators.pod_trouble import deployment_trouble, pod_trouble

METADATA = {"name": "core", "uid": "u-1", "resourceVersion": "1"}
REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
STUCK = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": "timed out",
}
FULL = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes",
}


def a_deployment(*conditions: dict[str, str], ready: int = 3) -> Deployment:
    status = {"readyReplicas": ready, "conditions": conditions}
    whole = {"metadata": METADATA, "spec": {"replicas": 5}, "status": status}
    return msgspec.convert(whole, type=Deployment)


def a_pod(status: dict[str, Any]) -> Pod:
    return msgspec.convert({"metadata": METADATA, "status": status}, type=Pod)


def waiting(reason: str) -> Pod:
    state = {"waiting": {"reason": reason, "message": "no such image"}}
    return a_pod({"containerStatuses": [{"state": state}]})


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (REFUSED, "2 of 5 pods are not Ready: FailedCreate: quota"),
        (STUCK, "2 of 5 pods are not Ready: ProgressDeadlineExceeded: timed out"),
        ({**REFUSED, "status": "False"}, ""),
        ({"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}, ""),
    ],
)
def test_a_deployment_that_is_refused_or_stuck_says_so(
    condition: dict[str, str], said: str
) -> None:
    assert deployment_trouble(a_deployment(condition)) == said


def test_all_pods_ready_is_no_trouble_whatever_else_is_said() -> None:
    whole = a_deployment(REFUSED, STUCK, ready=5)

    assert deployment_trouble(whole) == ""
    assert pod_trouble(whole, [a_pod({"conditions": [FULL]})]) == ""


def test_what_most_pending_pods_say_is_told() -> None:
    pods = [waiting("ImagePullBackOff"), a_pod({"conditions": [FULL]}), waiting("ImagePullBackOff")]

    said = pod_trouble(a_deployment(), pods)

    assert said == "2 of 5 pods are not Ready: ImagePullBackOff: no such image"


@pytest.mark.parametrize("status", [{}, {"conditions": [{**FULL, "status": "True"}]}])
def test_pods_that_only_take_their_time_are_no_trouble(status: dict[str, Any]) -> None:
    assert pod_trouble(a_deployment(), [a_pod(status), waiting("ContainerCreating")]) == ""


def test_an_endless_message_is_cut() -> None:
    endless = {**REFUSED, "message": "x" * 100_000}

    assert len(deployment_trouble(a_deployment(endless))) == 200


def test_a_selector_is_written_as_the_server_reads_it() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["web", "api"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "core"}, "matchExpressions": rules}
    whole = {"metadata": METADATA, "spec": {"selector": selector}}

    written = msgspec.convert(whole, type=Deployment).spec.selector.written

    assert written == "app=core,tier in (web,api),!old"

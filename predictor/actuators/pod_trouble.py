"""Why pods that were asked for do not become Ready: quota, no room on nodes, an image.

`hpa_reader.py` asks what the Deployment itself says; `pending_pods.py` adds what its pods say.
Pure. It must never call a Deployment blocked whose pods are all Ready.

Source: Kubernetes 1.37, `pkg/controller/deployment/util/deployment_util.go` (conditions),
`pkg/kubelet/images/types.go` (waiting reasons), `pkg/scheduler/schedule_one.go` (Unschedulable).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from predictor.actuators.objects import Deployment, Pod

_SENTENCE_MAX = 200
_IMAGE_REASONS = {
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "ImageInspectError",
    "InvalidImageName",
    "CreateContainerConfigError",
}


def lacking(deployment: Deployment) -> int:
    """How many pods that are asked for are not Ready."""
    return max(0, deployment.spec.replicas - deployment.status.ready_replicas)


def deployment_trouble(deployment: Deployment) -> str:
    """What the Deployment's own conditions say keeps its pods away; empty where nothing does."""
    if not lacking(deployment):
        return ""
    for one in deployment.status.conditions or ():
        refused = (one.type, one.status) == ("ReplicaFailure", "True")
        stuck = (one.type, one.reason) == ("Progressing", "ProgressDeadlineExceeded")
        if refused or stuck:
            return _told(deployment, f"{one.reason}: {one.message}")
    return ""


def pod_trouble(deployment: Deployment, pods: Iterable[Pod]) -> str:
    """What most of its pending pods say; empty where they only take their time."""
    said = Counter(trouble for pod in pods for trouble in _troubles(pod))
    if not said or not lacking(deployment):
        return ""
    return _told(deployment, said.most_common(1)[0][0])


def cut(sentence: str) -> str:
    """At most as long as an audit record bears; the server's own messages have no limit."""
    return sentence if len(sentence) <= _SENTENCE_MAX else f"{sentence[: _SENTENCE_MAX - 1]}…"


def _told(deployment: Deployment, why: str) -> str:
    return cut(f"{lacking(deployment)} of {deployment.spec.replicas} pods are not Ready: {why}")


def _troubles(pod: Pod) -> Iterator[str]:
    for one in pod.status.conditions:
        if (one.type, one.status, one.reason) == ("PodScheduled", "False", "Unschedulable"):
            yield f"{one.reason}: {one.message}"
            return
    for container in pod.status.container_statuses:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason in _IMAGE_REASONS:
            yield f"{waiting.reason}: {waiting.message}"
            return

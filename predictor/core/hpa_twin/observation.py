"""What the controller sees at one sync: the pods, the metrics and the bounds.

The cluster model and the conformance check build it, `controller.py` reads it. Pods that are alike
stand together as one group, so that a fleet costs no more than its cohorts. Whoever builds one must
not hand in what the controller could not know yet, such as a sample that was not scraped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SAMPLE_WINDOW_S = 60.0
"""What a metrics API that names no window is taken to mean (`metricServerDefaultMetricWindow` in
`metrics/client.go`); a metrics-server names its own, the time between two of its scrapes."""


class PodGroup(NamedTuple):
    """`count` pods alike; times in seconds on the clock of `now_s`.

    `ready` is the Ready condition and `ready_changed_s` its last transition. `deleting` pods are on
    their way out (or failed). `values` holds each pod's sample in thousandths by `Metric.key`; an
    absent key means that there is no sample. `pending` pods run on no node yet.
    """

    count: int  # type: ignore[assignment]  # of pods; nobody needs the method of tuples
    start_s: float
    ready: bool
    ready_changed_s: float
    deleting: bool
    values: Mapping[str, int]
    pending: bool = False


class Observation(NamedTuple):
    """All that one sync looks at.

    `replicas` is the target's `spec.replicas`; `objects` holds the readings of Object and External
    metrics in thousandths by `Metric.key`; `failed` names the metrics whose call failed;
    `requests` each pod's request in thousandths, by resource name, or by "container/name" for
    ContainerResource metrics.

    `samples_s` is when the pods' resource samples were taken (None: at this sync) and
    `sample_window_s` over how long before: while a pod is young, its CPU sample counts only when
    all of it lies after the pod became ready.
    `status_replicas` is what the target's status counts, None the same as `replicas`.
    """

    replicas: int
    replicas_min: int
    replicas_max: int
    pods: tuple[PodGroup, ...]
    objects: Mapping[str, int]
    failed: frozenset[str]
    requests: Mapping[str, int]
    samples_s: float | None = None
    sample_window_s: float = SAMPLE_WINDOW_S
    status_replicas: int | None = None

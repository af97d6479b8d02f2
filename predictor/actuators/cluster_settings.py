"""What the Kubernetes cluster is told: which HPAs and routes are ours, and how to reach them.

The composition root fills these from the configuration. Names are explicit: a region or a module is
never guessed from a namespace, host or label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from predictor.core.cluster import TargetKey


class HpaTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the HPA of a module in a region lies.

    `baseline_replicas` is the minReplicas its owner means, for the time after a restart of ours,
    when the field holds our value and no annotation `predictor.mplp.io/floor` says what was there.
    `is_discovered` is one that asked by an annotation: in shadow unless that says more.
    """

    module: str
    region: str
    namespace: str
    hpa: str
    baseline_replicas: int | None = None
    is_discovered: bool = False

    @property
    def key(self) -> TargetKey:
        """The target's name inside the service."""
        return TargetKey(self.module, self.region)


class RouteTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The VirtualService that spreads a module, and each region's destination host in it."""

    module: str
    namespace: str
    name: str
    hosts: dict[str, str]

    def __post_init__(self) -> None:
        if len(set(self.hosts.values())) != len(self.hosts):
            raise ValueError(f"route {self.namespace}/{self.name}: two regions share a host")


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything `KubernetesCluster` needs; without a kubeconfig the pod's own account is used.

    `request_timeout_s` bounds each request as a whole: an answered API call takes milliseconds, and
    a tick must outlive a dead server. After a failure nothing is asked for `retry_delay_s`, doubled
    with each further one up to `retry_delay_max_s`.

    A watch is opened anew after `watch_s`, and where nothing came for `watch_read_timeout_s`; the
    API server sends a bookmark about each minute. What was read last is used for `silence_max_s`
    while the server does not answer. Pods that are missing for `pods_late_s` are asked why. At most
    `writes_per_s` go out, `writes_burst` at once.

    With `discovery` every HPA that bears an annotation of ours is a target too, in `namespaces`, or
    in the whole cluster where none is named. With `patches_scaled_objects` KEDA's ScaledObjects are
    watched too, and hold the floors of the HPAs that KEDA makes; else those HPAs are left alone.
    """

    targets: tuple[HpaTarget, ...] = ()
    routes: tuple[RouteTarget, ...] = ()
    kubeconfig: str | None = None
    context: str | None = None
    request_timeout_s: float = 5.0
    retry_delay_s: float = 1.0
    retry_delay_max_s: float = 10.0
    connections_max: int = 8
    watch_s: float = 450.0
    watch_read_timeout_s: float = 75.0
    silence_max_s: float = 60.0
    pods_late_s: float = 60.0
    writes_per_s: float = 50.0
    writes_burst: int = 50
    discovery: bool = False
    namespaces: tuple[str, ...] = ()
    patches_scaled_objects: bool = False

    @property
    def watched_places(self) -> tuple[str, ...]:
        """The namespaces in which HPAs and Deployments are watched, or "" for the whole cluster."""
        if self.discovery and not self.namespaces:
            return ("",)
        further = self.namespaces if self.discovery else ()
        return tuple(sorted({*further, *(one.namespace for one in self.targets)}))

    def __post_init__(self) -> None:
        _refuse_repeated("target", [target.key for target in self.targets])
        _refuse_repeated("HPA", [(target.namespace, target.hpa) for target in self.targets])
        _refuse_repeated("route of module", [route.module for route in self.routes])
        limits = (self.request_timeout_s, self.retry_delay_s, self.connections_max)
        if min(limits) <= 0 or self.retry_delay_max_s < self.retry_delay_s:
            raise ValueError("request_timeout_s, retry delays and connections_max must be positive")
        if min(self.watch_s, self.watch_read_timeout_s, self.silence_max_s) <= 0:
            raise ValueError("watch_s, watch_read_timeout_s and silence_max_s must be positive")


def _refuse_repeated(what: str, names: Iterable[object]) -> None:
    repeated = [str(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{what} configured more than once: {', '.join(repeated)}")

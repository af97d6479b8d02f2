"""API versions that are not served any more, and fields that a definition does not have.

Live, discovery decides; of files alone the table says which release dropped a version.

Sources: kubernetes.io, "Deprecated API Migration Guide"; the definitions of OT-CONTAINER-KIT's
redis-operator (`redis.redis.opstreelabs.in_redisclusters.yaml`) and of CloudNativePG
(`postgresql.cnpg.io_clusters.yaml`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from predictor.check.fields import value
from predictor.check.finding import Fault, Finding, Severity
from predictor.check.scene import SERVED_VERSIONS, Scene, SceneObject

_HPA = "HorizontalPodAutoscaler"


class _Gone(NamedTuple):
    kinds: frozenset[str]
    why: str
    instead: str


def _gone(why: str, instead: str, *kinds: str) -> _Gone:
    return _Gone(frozenset(kinds), why, instead)


# An entry without kinds is for every kind of the version.
_DROPPED: dict[str, _Gone] = {
    "autoscaling/v2beta1": _gone("dropped in Kubernetes 1.25", "autoscaling/v2"),
    "autoscaling/v2beta2": _gone("dropped in Kubernetes 1.26", "autoscaling/v2"),
    "policy/v1beta1": _gone("dropped in Kubernetes 1.25", "policy/v1", "PodDisruptionBudget"),
    "batch/v1beta1": _gone("dropped in Kubernetes 1.25", "batch/v1", "CronJob"),
    "apps/v1beta1": _gone("dropped in Kubernetes 1.16", "apps/v1"),
    "apps/v1beta2": _gone("dropped in Kubernetes 1.16", "apps/v1"),
    "extensions/v1beta1": _gone("dropped in Kubernetes 1.22", "apps/v1 or networking.k8s.io/v1"),
    "networking.k8s.io/v1beta1": _gone(
        "dropped in Kubernetes 1.22", "networking.k8s.io/v1", "Ingress", "IngressClass"
    ),
    "apiextensions.k8s.io/v1beta1": _gone("dropped in Kubernetes 1.22", "apiextensions.k8s.io/v1"),
    "rbac.authorization.k8s.io/v1beta1": _gone(
        "dropped in Kubernetes 1.22", "rbac.authorization.k8s.io/v1"
    ),
    "discovery.k8s.io/v1beta1": _gone("dropped in Kubernetes 1.25", "discovery.k8s.io/v1"),
    "flowcontrol.apiserver.k8s.io/v1beta2": _gone(
        "dropped in Kubernetes 1.29", "flowcontrol.apiserver.k8s.io/v1"
    ),
    "flowcontrol.apiserver.k8s.io/v1beta3": _gone(
        "dropped in Kubernetes 1.32", "flowcontrol.apiserver.k8s.io/v1"
    ),
    "redis.redis.opstreelabs.in/v1beta1": _gone(
        "redis-operator defines v1beta2 alone", "redis.redis.opstreelabs.in/v1beta2"
    ),
    "keda.k8s.io/v1alpha1": _gone("renamed in KEDA 2.0", "keda.sh/v1alpha1"),
}


class _Field(NamedTuple):
    group: str
    kind: str
    path: tuple[str, ...]
    mend: str
    is_required: bool = False


_FIELDS = (
    _Field("redis.redis.opstreelabs.in", "RedisCluster", ("spec", "redisConfig", "maxmemory"),
           "spec.kubernetesConfig.maxMemoryPercentOfLimit, or redisConfig.additionalRedisConfig"),
    _Field("redis.redis.opstreelabs.in", "RedisCluster", ("spec", "securityContext"),
           "spec.podSecurityContext"),
    _Field("redis.redis.opstreelabs.in", "RedisCluster", ("spec", "kubernetesConfig", "image"),
           "an image to run", is_required=True),
    _Field("postgresql.cnpg.io", "Cluster", ("spec", "monitoring", "enabled"),
           "spec.monitoring.enablePodMonitor; without it no database metric is scraped"),
    _Field("postgresql.cnpg.io", "Cluster",
           ("spec", "backup", "barmanObjectStore", "wal", "retention"),
           "spec.backup.retentionPolicy alone"),
    _Field("postgresql.cnpg.io", "Cluster",
           ("spec", "backup", "barmanObjectStore", "data", "retention"),
           "spec.backup.retentionPolicy alone"),
)  # fmt: skip


def api_versions(scene: Scene) -> Iterator[Finding]:
    """Versions that the cluster does not serve, or that a release has dropped."""
    is_known = scene.live is not None and scene.live.served is not None
    for one in scene.objects:
        dropped = _DROPPED.get(one.api_version)
        if dropped is not None and dropped.kinds and one.kind not in dropped.kinds:
            dropped = None
        instead = "" if dropped is None else f"write it as {dropped.instead}"
        if is_known and one.place:
            if _is_served(one, scene):
                continue
            sentence = f"{one.api_version} is not served by this cluster"
            mend = instead or "install its definition, or leave it out"
        elif one.place and (fault := _no_hpa_version(one)) is not None and dropped is None:
            sentence, mend = fault, f"write it as {SERVED_VERSIONS[-1]}"
        elif dropped is not None:
            sentence = f"{one.api_version} is not served: {dropped.why}"
            mend = instead
        else:
            continue
        yield Finding(Severity.ERROR, Fault.API_VERSION_GONE, one.title, sentence, mend, one.place)


def drops(api_version: str, kind: str) -> bool:
    """Whether some release dropped this version of the kind, or never had it."""
    gone = _DROPPED.get(api_version)
    if gone is not None:
        return not gone.kinds or kind in gone.kinds
    return kind == _HPA and api_version not in SERVED_VERSIONS


def _no_hpa_version(one: SceneObject) -> str | None:
    """What is wrong with an HPA's version, where no table of dropped ones knows it."""
    if one.kind != _HPA or one.api_version in SERVED_VERSIONS:
        return None
    if not one.api_version:
        return "apiVersion is missing: no server knows what it is"
    return f"no Kubernetes release serves an HPA of {one.api_version[:60]}"


def fields(scene: Scene) -> Iterator[Finding]:
    """Fields that are pruned or refused, so that what was meant does not happen."""
    for rule in _FIELDS:
        for one in scene.of_kind(rule.kind):
            if one.group != rule.group:
                continue
            is_there = value(one.body, *rule.path) is not None
            if is_there is rule.is_required:
                continue
            path = ".".join(rule.path)
            lack = "is required" if rule.is_required else "does not exist in its definition"
            sentence = f"{path} {lack}"
            yield Finding(
                Severity.WARNING, Fault.FIELD_UNKNOWN, one.title, sentence, rule.mend, one.place
            )


def _is_served(one: SceneObject, scene: Scene) -> bool:
    """Whether discovery lists the version; Kustomize's own files are for no server."""
    assert scene.live is not None
    served = scene.live.served or frozenset()
    is_local = one.group.endswith("kustomize.config.k8s.io") or not one.api_version
    return is_local or one.api_version in served or "/" not in one.api_version

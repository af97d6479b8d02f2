"""The command line of every server in the control plane, and why each flag is there.

Called by `rigs.kubernetes`. Values in, lists of strings out: nothing is started here.
Must never name an address other than 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

Command = list[str | Path]

ETCD = "etcd"
API_SERVER = "kube-apiserver"
ADAPTER = "metrics-adapter"
CONTROLLERS = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"
AUDIT_POLICY, AUDIT_LOG = "audit-policy.yaml", "logs/audit.jsonl"


@dataclass(frozen=True)
class Ports:
    """One loopback port for each thing that listens."""

    etcd: int
    etcd_peer: int
    api: int
    controllers: int
    scheduler: int
    metrics: int
    metrics_write: int


@dataclass(frozen=True)
class Timing:
    """How quick the cluster is; the defaults suit tests, not production."""

    hpa_sync_s: float = 2.0
    hpa_downscale_stabilization_s: float = 5.0
    # From scheduled to Ready for pods whose annotation names no delay.
    pod_ready_s: float = 1.0


def etcd(program: Path, folder: Path, ports: Ports) -> Command:
    """The store of the API server."""
    client = f"http://127.0.0.1:{ports.etcd}"
    peer = f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        program,
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # The data dies with the rig; waiting for the disk would only slow the tests.
        "--unsafe-no-fsync",
    ]


def api_server(program: Path, folder: Path, ports: Ports) -> Command:
    """The API server, with RBAC, tokens from a file, and API aggregation."""
    certificates = folder / "certificates"
    return [
        program,
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.api}",
        f"--cert-dir={certificates}",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        # Loopback addresses are refused in the Endpoints it would write for itself.
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates / 'service-account.pub'}",
        f"--service-account-signing-key-file={certificates / 'service-account.key'}",
        # Pods of the rig run nothing, so none needs an account to exist first.
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={folder / AUDIT_POLICY}",
        f"--audit-log-path={folder / AUDIT_LOG}",
        *_front_proxy(certificates),
    ]


def write_audit_policy(file: Path) -> None:
    """Who asked for what, once for each answer; of the cluster's own servers nothing."""
    own = [{"level": "None", "userGroups": ["system:nodes", "system:masters"]}]
    rules = [*own, {"level": "Metadata", "omitStages": ["RequestReceived", "ResponseStarted"]}]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
    file.write_text(yaml.safe_dump(policy))


def adapter(program: Path, folder: Path, ports: Ports) -> Command:
    """The server of custom metrics."""
    return [
        program,
        *_kubeconfig_flags(folder, "lister", "authentication", "authorization"),
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.metrics}",
        f"--cert-dir={folder / 'metrics-adapter'}",
        f"--write-address=127.0.0.1:{ports.metrics_write}",
    ]


def controllers(program: Path, folder: Path, ports: Ports, timing: Timing) -> Command:
    """All of Kubernetes' controllers, the HPA's among them."""
    certificates = folder / "certificates"
    stabilization_s = timing.hpa_downscale_stabilization_s
    return [
        program,
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.controllers}",
        f"--cert-dir={folder / CONTROLLERS}",
        f"--service-account-private-key-file={certificates / 'service-account.key'}",
        f"--root-ca-file={certificates / 'ca.crt'}",
        f"--horizontal-pod-autoscaler-sync-period={timing.hpa_sync_s:g}s",
        f"--horizontal-pod-autoscaler-downscale-stabilization={stabilization_s:g}s",
        # The default of 20 requests/s is used up by some dozen HPAs that are synced every 2 s.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        # It must outlive an API server that is paused or restarted by a test, and so must
        # its opinion of nodes whose heartbeats could not arrive meanwhile.
        "--leader-elect=false",
        "--node-monitor-grace-period=1h",
    ]


def scheduler(program: Path, folder: Path, ports: Ports) -> Command:
    """What gives each pod its node."""
    return [
        program,
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.scheduler}",
        f"--cert-dir={folder / SCHEDULER}",
        "--leader-elect=false",
    ]


def kwok(program: Path, folder: Path) -> Command:
    """What plays the nodes and makes pods Ready on paper."""
    return [
        program,
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--manage-all-nodes=true",
        # The default /24 is too small for a test with hundreds of pods.
        "--cidr=10.64.0.1/12",
        f"--config={folder / 'stages.yaml'}",
    ]


def write_stages(source: Path, file: Path, timing: Timing) -> None:
    """kwok's own stages, with fixed delays where the originals draw up to 6 s at random.

    A pod's annotations `pod-ready.stage.kwok.x-k8s.io/delay` and `.../jitter-delay`
    still win over what is written here.
    """
    delays_s = {"pod-create": 0.0, "pod-ready": timing.pod_ready_s}
    stages = [yaml.safe_load(stage.read_text()) for stage in sorted(source.glob("*.yaml"))]
    for stage in stages:
        delay_s = delays_s.get(stage["metadata"]["name"])
        if delay_s is not None:
            stage["spec"]["delay"]["durationMilliseconds"] = round(delay_s * 1000)
            del stage["spec"]["delay"]["jitterDurationMilliseconds"]
    file.write_text(yaml.safe_dump_all(stages))


def metrics_api(ports: Ports) -> list[Mapping[str, object]]:
    """What makes the API server pass custom metrics on to the adapter."""
    namespace, name = "kube-system", "metrics-adapter"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        # A Service of pods cannot point to a process; a name can.
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    registration = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
        "spec": {
            "group": "custom.metrics.k8s.io",
            "version": "v1beta2",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": name, "namespace": namespace, "port": ports.metrics},
        },
    }
    return [service, registration]


def _front_proxy(certificates: Path) -> Command:
    """How the API server proves to an aggregated server for whom it asks."""
    return [
        f"--requestheader-client-ca-file={certificates / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={certificates / 'front-proxy-client.key'}",
    ]


def _kubeconfig_flags(folder: Path, *roles: str) -> Command:
    return [f"--{role}-kubeconfig={folder / 'kubeconfig'}" for role in roles]

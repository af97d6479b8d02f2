"""A real Kubernetes control plane on loopback, with pods that exist on paper only.

Called by `rigs.fixtures` and `python -m rigs up`. etcd, API server, HPA controller and
scheduler are the real ones; kwok plays the nodes, and an adapter serves the custom
metrics a test writes. Must never keep anything after `stop`.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rigs import artifacts, components, credentials, scratch
from rigs.cluster_client import ClusterClient, Json, Source, has_condition
from rigs.components import ADAPTER, API_SERVER, CONTROLLERS, ETCD, KWOK, SCHEDULER
from rigs.ports import free_ports
from rigs.process import ServerProcess
from rigs.server import Rig

_START_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 2.0
_NODES_TIMEOUT_S = 30.0
_POLL_S = 0.1


class ControlPlane(Rig):
    """One cluster at `server`, from `start` to `stop`."""

    what = "the control plane"

    def __init__(
        self,
        *,
        nodes: int = 3,
        timing: components.Timing | None = None,
        users: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`users` names further users with their groups; each gets a token in `tokens`."""
        super().__init__()
        self._ports = components.Ports(*free_ports(7))
        self._timing = timing or components.Timing()
        self._users = users or {}
        self._nodes_wanted = nodes
        self._nodes_made = 0
        self._servers: dict[str, ServerProcess] = {}
        self._client: ClusterClient | None = None
        self.server = f"https://127.0.0.1:{self._ports.api}"
        self.tokens = credentials.new_tokens(self._users)

    def log_path(self, component: str) -> Path:
        """The log of one server, named as in `pids`."""
        return self.folder / "logs" / f"{component}.log"

    def logs(self) -> list[Path]:
        """Every log written so far; none before the first start and after `stop`."""
        return list((self._folder / "logs").glob("*.log")) if self._folder else []

    @property
    def is_running(self) -> bool:
        """Whether every server runs, the API server included."""
        return bool(self._servers) and all(one.is_running for one in self._servers.values())

    @property
    def ca_file(self) -> Path:
        return self.folder / "certificates" / "ca.crt"

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.tokens[credentials.ADMIN]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def predictor_token(self) -> str:
        """The token of the service's own account, for trying its RBAC rules."""
        return self.tokens[credentials.PREDICTOR]

    @property
    def predictor_kubeconfig(self) -> Path:
        return self.folder / "predictor.kubeconfig"

    @property
    def pids(self) -> dict[str, int]:
        """The process id of every server that has been started."""
        return {name: one.pid for name, one in self._servers.items() if one.pid is not None}

    @property
    def client(self) -> ClusterClient:
        """The administrator's client; `client_for` speaks as somebody else."""
        if self._client is None:
            raise RuntimeError("the control plane has not been started")
        return self._client

    def client_for(self, user: str) -> ClusterClient:
        return ClusterClient(self.server, self.ca_file, self.tokens[user])

    def start(self) -> None:
        """Return when every server answers, custom metrics are served, nodes are Ready."""
        etcd, api_server, programs = artifacts.kubernetes_servers()
        self._folder = scratch.new_folder("kubernetes")
        self._write_settings(programs)
        self._client = self.client_for(credentials.ADMIN)
        self._add_servers(etcd, api_server, programs)
        self._launch(ETCD, lambda: _healthy(self._ports.etcd, "/readyz", secure=False))
        self._launch(API_SERVER, self._api_answers)
        # The HPA controller looks for the metrics API when it starts and then every 30 s.
        self._launch(ADAPTER, lambda: _healthy(self._ports.metrics, "/readyz"))
        self.apply(*components.metrics_api(self._ports))
        for name in (CONTROLLERS, SCHEDULER, KWOK):
            self._servers[name].start()
        self._await(ADAPTER, self._metrics_are_served)
        self._await(CONTROLLERS, lambda: _healthy(self._ports.controllers, "/healthz"))
        self._await(SCHEDULER, lambda: _healthy(self._ports.scheduler, "/healthz"))
        self.create_nodes(self._nodes_wanted)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = 30.0,
    ) -> tuple[int, Json]:
        """One request as administrator; see `ClusterClient.request`."""
        return self.client.request(method, path, body, content_type, timeout_s)

    def apply(self, *sources: Source, dry_run: bool = False) -> list[Json]:
        """Server-side apply as administrator; see `ClusterClient.apply`."""
        return self.client.apply(*sources, dry_run=dry_run)

    def delete(self, path: str) -> None:
        """Delete what lies at an API path, as administrator."""
        self.client.delete(path)

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """The pods of a namespace that carry these labels."""
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
        items: list[Json] = self.request("GET", path)[1]["items"]
        return items

    def requests_of(self, user: str) -> list[tuple[str, str]]:
        """Verb and address of all that a user asked of the API server, by its audit log.

        Members of system:masters, the administrator and the cluster's own servers, are not in it.
        """
        asked = []
        for line in (self.folder / components.AUDIT_LOG).read_text().splitlines():
            event = json.loads(line)
            if event["user"]["username"] == user:
                asked.append((event["verb"], event["requestURI"]))
        return asked

    def write_metric(
        self, namespace: str, target: str | Iterable[str], metric: str, value: int | str
    ) -> None:
        """Give a pod, several pods, or an object ("services/web") a custom metric.

        A value holds until the next one. A pod that appears later has none until it is
        written, and the HPA then reckons as it does with any pod whose metric is missing.
        """
        for one in [target] if isinstance(target, str) else target:
            thing = one if "/" in one else f"pods/{one}"
            path = f"/write-metrics/namespaces/{namespace}/{thing}/{quote(metric)}"
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._ports.metrics_write, timeout=_START_TIMEOUT_S
            )
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, body=f'"{value}"', headers=headers)
            answer = connection.getresponse()
            said = answer.read().decode()
            connection.close()
            if answer.status >= 300:
                raise RuntimeError(f"the adapter refused {path} = {value}: {answer.status} {said}")

    def create_nodes(self, count: int, labels: Mapping[str, str] | None = None) -> list[str]:
        """Add nodes and return their names when pods can be scheduled to them."""
        names = [f"rig-node-{self._nodes_made + index}" for index in range(count)]
        self._nodes_made += count
        for name in names:
            status, answer = self.request("POST", "/api/v1/nodes", _node(name, labels or {}))
            if status >= 300:
                raise RuntimeError(f"node {name} was refused with {status}: {answer}")
        deadline = time.monotonic() + _NODES_TIMEOUT_S
        while not all(self._node_is_usable(name) for name in names):
            if time.monotonic() > deadline:
                log = self._servers[KWOK].last_log_lines()
                raise TimeoutError(f"nodes not Ready after {_NODES_TIMEOUT_S:g} s; kwok:\n{log}")
            time.sleep(_POLL_S)
        return names

    def pause_api(self) -> None:
        """Freeze the API server: connections stay open and nothing is answered."""
        self._servers[API_SERVER].pause()

    def resume_api(self) -> None:
        self._servers[API_SERVER].resume()

    def stop_api(self) -> None:
        """End the API server alone; etcd keeps every object."""
        self._servers[API_SERVER].stop()

    def start_api(self) -> None:
        """Start it again at the same address, and wait for it and for custom metrics."""
        self._launch(API_SERVER, self._api_answers)
        self._await(ADAPTER, self._metrics_are_served)

    def back_up(self) -> Path:
        """Copy everything that etcd holds; the API server is away meanwhile."""
        kept = self.folder / "backup"
        with self._stored_at_rest():
            shutil.copytree(self.folder / ETCD, kept)
        return kept

    def restore(self, kept: Path) -> None:
        """Put a backup in place of everything that was stored since, as after a disaster."""
        with self._stored_at_rest():
            shutil.rmtree(self.folder / ETCD)
            shutil.copytree(kept, self.folder / ETCD)

    @contextmanager
    def _stored_at_rest(self) -> Iterator[None]:
        self.stop_api()
        self._servers[ETCD].stop()
        yield
        self._launch(ETCD, lambda: _healthy(self._ports.etcd, "/readyz", secure=False))
        self._launch(API_SERVER, self._api_answers)

    def _end(self) -> None:
        for server in reversed(self._servers.values()):
            server.stop()
        self._servers = {}
        self._client = None

    def _write_settings(self, programs: Path) -> None:
        credentials.write_certificates(programs / "certificates", self.folder / "certificates")
        credentials.write_tokens(self.folder / "tokens.csv", self.tokens, self._users)
        for file, token in (
            (self.kubeconfig, self.token),
            (self.predictor_kubeconfig, self.predictor_token),
        ):
            credentials.write_kubeconfig(file, self.server, self.ca_file, token)
        stages = self.folder / "stages.yaml"
        components.write_stages(programs / "stages", stages, self._timing)
        components.write_audit_policy(self.folder / components.AUDIT_POLICY)

    def _add_servers(self, etcd: Path, api_server: Path, programs: Path) -> None:
        folder, ports = self.folder, self._ports
        controllers = programs / "kube-controller-manager"
        commands = {
            ETCD: components.etcd(etcd, folder, ports),
            API_SERVER: components.api_server(api_server, folder, ports),
            ADAPTER: components.adapter(programs / "adapter", folder, ports),
            CONTROLLERS: components.controllers(controllers, folder, ports, self._timing),
            SCHEDULER: components.scheduler(programs / "kube-scheduler", folder, ports),
            KWOK: components.kwok(programs / "kwok", folder),
        }
        # kwok would also read what a person keeps in their home folder.
        home = {"HOME": str(folder)}
        for name, command in commands.items():
            # With SIGTERM the API server waits a minute for open watches to end.
            grace_s = 2.0 if name == API_SERVER else 10.0
            self._servers[name] = ServerProcess(
                name, command, self.log_path(name), environment=home, grace_s=grace_s
            )

    def _launch(self, name: str, probe: Callable[[], bool]) -> None:
        self._servers[name].start()
        self._await(name, probe)

    def _await(self, name: str, probe: Callable[[], bool]) -> None:
        self._servers[name].wait_until(probe, timeout_s=_START_TIMEOUT_S)

    def _api_answers(self) -> bool:
        try:
            return self.request("GET", "/readyz", timeout_s=_PROBE_TIMEOUT_S)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _metrics_are_served(self) -> bool:
        name = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io"
        if not has_condition(self.request("GET", name)[1], "Available"):
            return False
        return self.request("GET", "/apis/custom.metrics.k8s.io/v1beta2")[0] == 200

    def _node_is_usable(self, name: str) -> bool:
        node = self.request("GET", f"/api/v1/nodes/{name}")[1]
        return has_condition(node, "Ready") and not node["spec"].get("taints")


def _healthy(port: int, path: str, *, secure: bool = True) -> bool:
    connection: http.client.HTTPConnection
    if secure:
        # These serve a certificate they signed themselves, and only health is asked.
        trust = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=_PROBE_TIMEOUT_S, context=trust
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _node(name: str, labels: Mapping[str, str]) -> Json:
    room = {"cpu": "64", "memory": "256Gi", "pods": "250"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels},
        },
        "status": {"capacity": room, "allocatable": room},
    }

"""A worker as `deploy/` runs it: its own account, the manifests' rights and guard, a real broker.

Time is the events': a minute of theirs is less than a second, and what expires lies in the past of
every clock on a wall.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.core.opt_in import CEILING, EPOCH, UNTIL
from predictor.live_manifests import REGION, live_objects
from rigs.credentials import PREDICTOR, RESTORER
from rigs.kubernetes import ControlPlane
from tests.deploy.kustomized import rules_of
from tests.streams.kafka_world import KafkaWorld
from tests.way_back.guarded_worlds import GuardedWorld

DECIDED = "decided"
BASELINE, CEILING_REPLICAS, REPLICAS_MAX = 3, 12, 20


@contextlib.asynccontextmanager
async def a_worker(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A `run` process; it is killed at the end where it still runs.

    It writes the file `decided` beside its configuration after its first decision.
    """
    log, decided = config.with_name("worker.log"), config.with_name(DECIDED)
    decided.unlink(missing_ok=True)
    command = [sys.executable, "-m", "predictor.cli", "run", "--config", str(config)]
    command += ["--ready-file", str(decided)]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
        try:
            yield process
        except BaseException:
            print(log.read_text()[-3000:])
            raise
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class DeployedWorld:
    """A namespace with one HPA for each module; the service's own objects lie there, too."""

    def __init__(
        self, plane: ControlPlane, kafka: KafkaWorld, folder: Path, modules: Sequence[str]
    ) -> None:
        rules = {
            PREDICTOR: rules_of(PREDICTOR, REGION, "mplp-predictor"),
            RESTORER: rules_of(RESTORER, REGION, "mplp-predictor"),
        }
        self.plane = plane
        self._guarded = GuardedWorld(plane, rules=rules)
        self.namespace = self._guarded.namespace
        self._folder = folder
        for module in modules:
            plane.apply(*self._objects(module))
        for account in (PREDICTOR, RESTORER):
            self._guarded.await_guard(self.path(modules[0]), account)
        self.config = self._config(kafka, modules)

    def path(self, module: str) -> str:
        place = f"/apis/autoscaling/v2/namespaces/{self.namespace}/horizontalpodautoscalers"
        return f"{place}/mplp-{module}-hpa"

    def hpa(self, module: str) -> dict[str, Any]:
        return self._guarded.read(self.path(module))

    def floor(self, module: str) -> int:
        return self._guarded.floor(self.path(module))

    def kept(self, module: str) -> dict[str, str]:
        """Our annotations."""
        return self._guarded.kept(self.path(module))

    def until_s(self, module: str) -> float:
        return dt.datetime.fromisoformat(self.kept(module)[UNTIL]).timestamp()

    def epoch(self, module: str) -> int:
        """Under which it was last written; 0 before that."""
        return int(self.kept(module).get(EPOCH, "0"))

    def replicas(self, module: str) -> int:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/mplp-{module}"
        return int(self._guarded.read(path)["spec"]["replicas"])

    def owners_words(self, module: str) -> str:
        """All of the HPA that its owner wrote."""
        hpa = self.hpa(module)
        annotations = hpa["metadata"]["annotations"]
        kept = {key: value for key, value in annotations.items() if not key.startswith("state.")}
        spec = {key: value for key, value in hpa["spec"].items() if key != "minReplicas"}
        return json.dumps([spec, kept, hpa["metadata"]["labels"]], sort_keys=True)

    def restorers_connection(self) -> Connection:
        """The restorer's own account."""
        kubeconfig = self._guarded.kubeconfig(self._folder, RESTORER)
        return Connection(ClusterSettings(kubeconfig=str(kubeconfig)))

    def _objects(self, module: str) -> list[dict[str, Any]]:
        made = live_objects(pod_delay_s=1, namespaces=[self.namespace])
        text = json.dumps([one for one in made if one["kind"] != "Namespace"])
        deployment, hpa = json.loads(text.replace("mplp-core", f"mplp-{module}"))
        hpa["metadata"]["annotations"][CEILING] = str(CEILING_REPLICAS)
        return [deployment, hpa]

    def _config(self, kafka: KafkaWorld, modules: Sequence[str]) -> Path:
        kubeconfig = self._guarded.kubeconfig(self._folder, PREDICTOR)
        policy = {"replicas_min": BASELINE}
        settings = {
            "mode": "active",
            "clock": "event",
            "tick_s": 10,
            "warm_up_s": 60,
            "regions": {REGION: {"namespace": self.namespace, "weight": 100}},
            "modules": {one: {"hpa": f"mplp-{one}-hpa", "policy": policy} for one in modules},
            "routes": {},
            "windows": {"commit_interval_s": 0.1, "lateness_s": 20, "idle_after_s": 600},
            "kafka": kafka.section(),
            "kubernetes": {"kubeconfig": str(kubeconfig), "namespace": self.namespace},
            "http": {"port": 0},
        }
        path = self._folder / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

"""A worker that holds a lease and writes when told to, for `test_two_owners.py`.

Lines in: `write FLOOR` asks the lease and writes only if it may; `force FLOOR` writes under the
epoch that it had before, as a process would that was stopped between asking and writing. A line out
says what came of it. Told by LEASES (a namespace), HPA (an API path), KUBECONFIG and TIMES.
"""

from __future__ import annotations

import asyncio
import os
import sys

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import APPLY, Connection
from predictor.actuators.leases import LeaseTimes, PartitionLeases, new_identity
from predictor.actuators.refusal import refusal
from predictor.core.opt_in import FIELD_MANAGER
from predictor.core.reasons import Reason
from tests.way_back.guarded_worlds import a_floor


class Worker:
    """One partition's owner, or one that believes so."""

    def __init__(self) -> None:
        self._connection = Connection(
            ClusterSettings(
                kubeconfig=os.environ["KUBECONFIG"], retry_delay_s=0.1, retry_delay_max_s=0.2
            )
        )
        times = LeaseTimes(*(float(one) for one in os.environ["TIMES"].split(",")))
        self.leases = PartitionLeases(
            self._connection,
            namespace=os.environ["LEASES"],
            group="us-east-1",
            identity=new_identity(),
            times=times,
        )
        self._epoch = -1

    async def close(self) -> None:
        await self._connection.close()

    async def obey(self, line: str) -> str:
        """Write if asked to and allowed; the outcome in words."""
        verb, floor = line.split()
        found = self.leases.epoch(0)
        if not isinstance(found, Reason):
            self._epoch = found
        elif verb == "write":
            return f"{found.code}: {found.sentence}"
        path = os.environ["HPA"]
        body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        body |= a_floor(int(floor), epoch=self._epoch)
        body["metadata"]["name"] = path.rsplit("/", 1)[1]  # type: ignore[index]
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        answer = await self._connection.patch(path, body, APPLY, query)
        return f"wrote {floor} under {self._epoch}" if answer.ok else refusal(answer, "").sentence


async def main() -> None:
    worker = Worker()
    worker.leases.hold([0])
    keeping = asyncio.create_task(worker.leases.run())
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await worker.obey(line), flush=True)
    worker.leases.stop()
    await keeping
    await worker.close()


if __name__ == "__main__":
    asyncio.run(main())

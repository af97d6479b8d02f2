"""A worker that raises one floor for two seconds and then does nothing: it waits to be killed.

`test_restorer.py` starts it with HPA (an API path) and KUBECONFIG.
"""

from __future__ import annotations

import asyncio
import os
import time

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import APPLY, Connection
from predictor.actuators.floor_write import floor_body
from predictor.core.cluster import FloorIntent, TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import FIELD_MANAGER


async def main() -> None:
    path = os.environ["HPA"]
    connection = Connection(ClusterSettings(kubeconfig=os.environ["KUBECONFIG"]))
    name, namespace = path.rsplit("/", 1)[1], path.split("/")[5]
    intent = FloorIntent(
        key=TargetKey(name, namespace),
        namespace=namespace,
        name=name,
        uid="",
        resource_version="",
        floor_now=3,
        floor=10,
        decision_number=1,
        until_s=time.time() + 2.0,
        reason="a peak is near",
        epoch=1,
    )
    body = floor_body(intent, FloorObject(namespace, name))
    del body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    answer = await connection.patch(
        path, body, APPLY, [("fieldManager", FIELD_MANAGER), ("force", "true")]
    )
    print("raised" if answer.ok else answer.body.decode(), flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main())

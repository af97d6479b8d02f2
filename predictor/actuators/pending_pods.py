"""What the pods of a Deployment say that has lacked some for a while.

`kubernetes.py` asks at each tick. A list of pods costs the server more than anything else that we
ask for, so it is asked for rarely, for few Deployments, and for pending pods only. It must never
fail an observation: without an answer there is no detail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from predictor.actuators.connection import Connection
from predictor.actuators.objects import Deployment, Pod
from predictor.actuators.pod_trouble import lacking, pod_trouble
from predictor.actuators.port import ClusterUnreachable

LISTS_MAX = 5
_PODS_MAX = 50
_PODS = "/api/v1/namespaces/{}/pods"


class _Page(msgspec.Struct, frozen=True):
    items: tuple[Pod, ...] = ()


class _Lack(NamedTuple):
    since_s: float
    listed_at_s: float = float("-inf")
    trouble: str = ""


class PendingPods:
    """Since when each Deployment lacks pods, and what they said last."""

    def __init__(
        self,
        connection: Connection,
        late_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Pods take some time to be Ready: a lack that is younger than `late_s` is none.

        An answer holds for half as long.
        """
        self._connection = connection
        self._late_s = late_s
        self._monotonic = monotonic
        self._lacks: dict[str, _Lack] = {}

    async def troubles(self, deployments: Iterable[Deployment]) -> dict[str, str]:
        """By the uid of each Deployment that has lacked pods for long: what its pods say."""
        now_s = self._monotonic()
        wanting = {one.metadata.uid: one for one in deployments if lacking(one)}
        self._lacks = {uid: self._lacks.get(uid, _Lack(now_s)) for uid in wanting}
        due = [
            uid
            for uid, one in self._lacks.items()
            if now_s - one.since_s >= self._late_s and now_s - one.listed_at_s >= self._late_s / 2
        ]
        due.sort(key=lambda uid: self._lacks[uid].listed_at_s)
        asked = due[:LISTS_MAX]
        said = await asyncio.gather(*(self._said(wanting[uid]) for uid in asked))
        for uid, trouble in zip(asked, said, strict=True):
            self._lacks[uid] = _Lack(self._lacks[uid].since_s, now_s, trouble)
        return {uid: one.trouble for uid, one in self._lacks.items() if one.trouble}

    async def _said(self, deployment: Deployment) -> str:
        query = [
            ("labelSelector", deployment.spec.selector.written),
            ("fieldSelector", "status.phase=Pending"),
            ("limit", str(_PODS_MAX)),
        ]
        try:
            answer = await self._connection.get(_PODS.format(deployment.metadata.namespace), query)
            if not answer.ok:
                return ""
            pods = msgspec.json.decode(answer.body, type=_Page).items
        except (ClusterUnreachable, msgspec.MsgspecError):
            return ""
        return pod_trouble(deployment, pods)

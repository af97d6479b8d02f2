"""What the service needs of a cluster, in four calls.

`predictor/service.py` calls it; `predictor/actuators/kubernetes.py` and
`predictor/actuators/simulated.py` are the two implementations and pass the same contract tests.
Nothing here may say how a cluster is reached.
"""

from __future__ import annotations

from typing import Protocol

from predictor.core.cluster import ClusterView, FloorIntent, Outcome, WeightIntent


class Cluster(Protocol):
    """A cluster whose HPAs we may raise and whose default routes we may weigh."""

    async def observe(self) -> ClusterView:
        """Read every configured target and route; raises `ClusterUnreachable` if none answers."""
        ...

    async def set_floor(self, intent: FloorIntent) -> Outcome:
        """Set spec.minReplicas alone; never raises for what the cluster answers."""
        ...

    async def set_weights(self, intent: WeightIntent) -> Outcome:
        """Set the default route's weights, where its owner lets them move; never raises either."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ClusterUnreachable(Exception):  # noqa: N818 - the same word as Code.UNREACHABLE
    """The cluster did not answer within its time limit."""

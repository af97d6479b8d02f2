"""Who may write now: the switch, the guard on the server and the lease, asked right before a write.

`predictor/service.py` asks `permit` for every write and hands `look` each view of the cluster. The
answer is the epoch that the write carries, or the one reason why there is none. It must never write
to a target, and never permit what it cannot know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.guard_probe import GuardProbe
from predictor.actuators.lease_record import EPOCH_CARRIED_MAX
from predictor.actuators.leases import LeaseTimes, PartitionLeases, new_identity
from predictor.actuators.server_clock import clock_objection
from predictor.actuators.switch import Switch
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import EPOCH
from predictor.core.reasons import Code, Reason

_REQUEST_TIMEOUT_MAX_S = 3.0
_RETRY_DELAY_S, _RETRY_DELAY_MAX_S = 0.5, 2.0


class Gate(Protocol):
    """Whether this process may write to a target now."""

    async def look(self, hpas: Sequence[HpaView]) -> None:
        """See the targets as they were read for a decision."""
        ...

    async def permit(self, key: TargetKey) -> int | Reason:
        """The epoch to write with, or why nothing may be written; never raises."""
        ...


class OpenGate:
    """Where nobody else writes and nothing is real: simulations, demos, tests."""

    async def look(self, hpas: Sequence[HpaView]) -> None:
        """Nothing depends on it."""

    async def permit(self, key: TargetKey) -> int | Reason:
        """Always, with the epoch that nobody counts."""
        return 0


class ClusterGate:
    """The gate of one worker on a real cluster; without a guard, none is asked for."""

    def __init__(
        self,
        *,
        switch: Switch,
        guard: GuardProbe | None,
        leases: PartitionLeases,
        partition_of: Callable[[str], int],
        clock_ahead_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._switch = switch
        self._guard = guard
        self._leases = leases
        self._partition_of = partition_of
        self._clock_ahead_s = clock_ahead_s
        self._floors: dict[TargetKey, FloorObject] = {}
        self._unreachable: dict[TargetKey, Reason] = {}

    async def look(self, hpas: Sequence[HpaView]) -> None:
        """Note where targets lie and the epochs on them; try the guard where that is due."""
        self._floors = {hpa.key: hpa.floor_object for hpa in hpas}
        self._unreachable = {hpa.key: _unreachable(hpa) for hpa in hpas if _is_beyond(hpa)}
        carried: dict[int, int] = {}
        for hpa in hpas:
            if hpa.kept.epoch is not None and hpa.key not in self._unreachable:
                partition = self._partition_of(hpa.key.module)
                carried[partition] = max(carried.get(partition, 0), hpa.kept.epoch)
        self._leases.note_carried(carried)
        if self._guard is not None:
            await self._guard.look(hpas)

    async def permit(self, key: TargetKey) -> int | Reason:
        """The epoch of the module's partition; a route, of no one namespace, has no band to try."""
        if (off := await self._switch.objection()) is not None:
            return off
        if (skewed := clock_objection(self._clock_ahead_s())) is not None:
            return skewed
        if (unreachable := self._unreachable.get(key)) is not None:
            return unreachable
        floor = self._floors.get(key)
        if self._guard is not None and floor is not None:
            unguarded = self._guard.objection(floor.namespace, floor.kind)
            if unguarded is not None:
                return unguarded
        # Last, for nothing may be waited for between it and the write.
        return self._leases.epoch(self._partition_of(key.module))

    def hold(self, partitions: Iterable[int]) -> None:
        """This worker was given these demand partitions, and no others."""
        self._leases.hold(partitions)

    async def run(self) -> None:
        """Keep the leases until stopped, then let go of them."""
        await self._leases.run()

    def stop(self) -> None:
        """End `run`."""
        self._leases.stop()


class GateSettings(msgspec.Struct, frozen=True):
    """What a worker's gate goes by; `namespace` is the service's own, `group` its region's name."""

    namespace: str
    group: str
    is_guard_required: bool = True
    is_clock_compared: bool = True
    """Not in event time, which is nobody's time of day."""
    times: LeaseTimes = LeaseTimes()


class WorkerGate(ClusterGate):
    """A gate with connections of its own: renewals never wait behind a tick's requests."""

    def __init__(
        self, cluster: ClusterSettings, settings: GateSettings, partition_of: Callable[[str], int]
    ) -> None:
        self._connections = (Connection(_quick(cluster)), Connection(cluster))
        fast, ordinary = self._connections
        super().__init__(
            switch=Switch(fast, settings.namespace),
            guard=GuardProbe(ordinary) if settings.is_guard_required else None,
            leases=PartitionLeases(
                fast,
                namespace=settings.namespace,
                group=settings.group,
                identity=new_identity(),
                times=settings.times,
            ),
            partition_of=partition_of,
            clock_ahead_s=lambda: fast.clock_ahead_s if settings.is_clock_compared else None,
        )

    async def close(self) -> None:
        """Close the connections, after `run` has ended."""
        await asyncio.gather(*(one.close() for one in self._connections))


def _is_beyond(hpa: HpaView) -> bool:
    return hpa.kept.epoch is not None and hpa.kept.epoch > EPOCH_CARRIED_MAX


def _unreachable(hpa: HpaView) -> Reason:
    """One object's odd epoch keeps us from that object, and from no other."""
    at = hpa.floor_object
    mend = f"kubectl annotate {at.for_kubectl} {EPOCH}-"
    sentence = f"{at.title} carries epoch {hpa.kept.epoch}, which no lease reaches"
    return Reason(Code.NOT_FENCED, f"{sentence}; its owner removes it: {mend}")


def _quick(settings: ClusterSettings) -> ClusterSettings:
    """Several tries must fit into the renew deadline."""
    return msgspec.structs.replace(
        settings,
        request_timeout_s=min(settings.request_timeout_s, _REQUEST_TIMEOUT_MAX_S),
        retry_delay_s=_RETRY_DELAY_S,
        retry_delay_max_s=_RETRY_DELAY_MAX_S,
    )

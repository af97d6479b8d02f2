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

from models.series import ALL_REGIONS
from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.gate_state import GateState, GuardState
from predictor.actuators.guard_probe import GuardProbe
from predictor.actuators.lease_record import EPOCH_CARRIED_MAX
from predictor.actuators.leases import LeaseTimes, PartitionLeases, new_identity
from predictor.actuators.route_probe import RouteProbe
from predictor.actuators.server_clock import clock_objection
from predictor.actuators.switch import Switch
from predictor.core.cluster import HpaView, RouteView, TargetKey
from predictor.core.floor_object import FloorObject
from predictor.core.opt_in import EPOCH
from predictor.core.reasons import Code, Reason

_REQUEST_TIMEOUT_MAX_S = 3.0
_RETRY_DELAY_S, _RETRY_DELAY_MAX_S = 0.5, 2.0


class Gate(Protocol):
    """Whether this process may write to a target now."""

    async def look(self, hpas: Sequence[HpaView], routes: Sequence[RouteView] = ()) -> None:
        """See the targets and routes as they were read for a decision."""
        ...

    async def permit(self, key: TargetKey) -> int | Reason:
        """The epoch to write with, or why nothing may be written; never raises."""
        ...


class OpenGate:
    """Where nobody else writes and nothing is real: simulations, demos, tests."""

    async def look(self, hpas: Sequence[HpaView], routes: Sequence[RouteView] = ()) -> None:
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
        route_guard: RouteProbe | None = None,
    ) -> None:
        self._switch = switch
        self._guard = guard
        self._route_guard = route_guard
        self._leases = leases
        self._partition_of = partition_of
        self._clock_ahead_s = clock_ahead_s
        self._floors: dict[TargetKey, FloorObject] = {}
        self._route_namespaces: dict[TargetKey, str] = {}
        self._unreachable: dict[TargetKey, Reason] = {}
        self._guard_states: tuple[GuardState, ...] = ()

    async def look(self, hpas: Sequence[HpaView], routes: Sequence[RouteView] = ()) -> None:
        """Note where targets lie and the epochs on them; try the guards where that is due."""
        self._floors = {hpa.key: hpa.floor_object for hpa in hpas}
        self._route_namespaces = {_route_key(route): route.namespace for route in routes}
        seen: list[tuple[TargetKey, FloorObject | RouteView, int | None]] = []
        seen += [(hpa.key, hpa.floor_object, hpa.kept.epoch) for hpa in hpas]
        seen += [(_route_key(route), route, route.kept.epoch) for route in routes]
        self._unreachable = {
            key: _unreachable(at, epoch)
            for key, at, epoch in seen
            if epoch is not None and epoch > EPOCH_CARRIED_MAX
        }
        carried: dict[int, int] = {}
        for key, _, epoch in seen:
            if epoch is not None and key not in self._unreachable:
                partition = self._partition_of(key.module)
                carried[partition] = max(carried.get(partition, 0), epoch)
        self._leases.note_carried(carried)
        probes = await self._try_guards(hpas, routes)
        self._guard_states = tuple(state for probe in probes for state in probe.states())
        # Also where nothing is to be written, a person sees how it stands.
        await self._switch.objection()

    async def permit(self, key: TargetKey) -> int | Reason:
        """The epoch of the module's partition, where the object's kind is guarded."""
        if (off := await self._switch.objection()) is not None:
            return off
        if (skewed := clock_objection(self._clock_ahead_s())) is not None:
            return skewed
        if (unreachable := self._unreachable.get(key)) is not None:
            return unreachable
        if (unguarded := self._unguarded(key)) is not None:
            return unguarded
        # Last, for nothing may be waited for between it and the write.
        return self._leases.epoch(self._partition_of(key.module))

    async def _try_guards(
        self, hpas: Sequence[HpaView], routes: Sequence[RouteView]
    ) -> list[GuardProbe | RouteProbe]:
        probes: list[GuardProbe | RouteProbe] = []
        if self._guard is not None:
            await self._guard.look(hpas)
            probes.append(self._guard)
        if self._route_guard is not None:
            await self._route_guard.look(routes)
            probes.append(self._route_guard)
        return probes

    def state(self) -> GateState:
        """How it stands, guards as of the last look; another thread may ask."""
        return GateState(
            is_off=self._switch.is_off,
            is_switch_read=self._switch.problem is None,
            clock_ahead_s=self._clock_ahead_s(),
            guards=self._guard_states,
            leases=self._leases.states(),
        )

    def _unguarded(self, key: TargetKey) -> Reason | None:
        floor, namespace = self._floors.get(key), self._route_namespaces.get(key)
        if self._guard is not None and floor is not None:
            return self._guard.objection(floor.namespace, floor.kind)
        if self._route_guard is not None and namespace is not None:
            return self._route_guard.objection(namespace)
        return None

    def hold(self, partitions: Iterable[int]) -> None:
        """This worker was given these demand partitions, and no others."""
        given = frozenset(partitions)
        if not given:
            self._guard_states = ()
        self._leases.hold(given)

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
            route_guard=RouteProbe(ordinary) if settings.is_guard_required else None,
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


def _route_key(route: RouteView) -> TargetKey:
    return TargetKey(route.module, ALL_REGIONS)


def _unreachable(at: FloorObject | RouteView, epoch: int | None) -> Reason:
    """One object's odd epoch keeps us from that object, and from no other."""
    mend = f"kubectl annotate {at.for_kubectl} {EPOCH}-"
    sentence = f"{at.title} carries epoch {epoch}, which no lease reaches"
    return Reason(Code.NOT_FENCED, f"{sentence}; its owner removes it: {mend}")


def _quick(settings: ClusterSettings) -> ClusterSettings:
    """Several tries must fit into the renew deadline."""
    return msgspec.structs.replace(
        settings,
        request_timeout_s=min(settings.request_timeout_s, _REQUEST_TIMEOUT_MAX_S),
        retry_delay_s=_RETRY_DELAY_S,
        retry_delay_max_s=_RETRY_DELAY_MAX_S,
    )

"""Who may write: the lease's epoch, the guard that was tried, the switch; on a real API server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.gate import ClusterGate, GateSettings, OpenGate, WorkerGate
from predictor.actuators.guard_probe import GuardProbe
from predictor.actuators.guard_proofs import TRIED_AGAIN_S
from predictor.actuators.lease_record import lease_name
from predictor.actuators.leases import LeaseTimes, PartitionLeases
from predictor.actuators.switch import READ_AGE_MAX_S, Switch
from predictor.core.cluster import HpaView, TargetKey
from predictor.core.opt_in import KeptState, OptIn
from predictor.core.reasons import Code, Reason
from predictor.way_back.service_switch import switch_off, switch_on
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.way_back.guarded_worlds import MERGE, GuardedWorld, until

pytestmark = pytest.mark.real

KEY = TargetKey("core", "us-east-1")


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    return GuardedWorld(control_plane)


@pytest.fixture
async def connection(world: GuardedWorld) -> AsyncIterator[Connection]:
    made = Connection(ClusterSettings(kubeconfig=str(world.plane.kubeconfig)))
    yield made
    await made.close()


def leases(
    world: GuardedWorld, connection: Connection, identity: str, clock: Hand
) -> PartitionLeases:
    made = PartitionLeases(
        connection, namespace=world.namespace, group="eu", identity=identity, monotonic=clock
    )
    made.hold([0])
    return made


def view(world: GuardedWorld, path: str) -> HpaView:
    hpa = world.read(path)
    return HpaView(
        key=KEY,
        namespace=world.namespace,
        name=hpa["metadata"]["name"],
        uid=hpa["metadata"]["uid"],
        resource_version=hpa["metadata"]["resourceVersion"],
        deployment="core",
        min_replicas=hpa["spec"]["minReplicas"],
        max_replicas=hpa["spec"]["maxReplicas"],
        spec_replicas=3,
        ready_replicas=3,
        baseline_replicas=3,
        floor_manager=None,
        metrics=(),
        opt_in=OptIn(floor=3, ceiling=10),
        kept=KeptState(epoch=7),
    )


def sentence(found: int | Reason | None, code: Code) -> str:
    assert isinstance(found, Reason), found
    assert found.code is code
    return found.sentence


async def test_a_lease_is_left_to_whoever_renews_it_and_taken_from_whoever_does_not(
    world: GuardedWorld, connection: Connection
) -> None:
    clock = Hand()
    first, second = (leases(world, connection, name, clock) for name in ("first", "second"))
    await first.renew()
    for _ in range(4):
        await second.renew()
        clock.now_s += 8.0
        await first.renew()
    assert first.epoch(0) == 1
    assert "is held by first" in sentence(second.epoch(0), Code.NOT_FENCED)

    await second.renew()
    clock.now_s += 15.1
    await second.renew()

    assert second.epoch(0) == 2
    assert "more than 10 s" in sentence(first.epoch(0), Code.NOT_FENCED)
    await first.renew()
    assert "is held by second" in sentence(first.epoch(0), Code.NOT_FENCED)


async def test_a_lease_that_is_not_renewed_in_time_is_not_believed_in(
    world: GuardedWorld, connection: Connection
) -> None:
    clock = Hand()
    ours = leases(world, connection, "ours", clock)
    await ours.renew()

    clock.now_s += 10.1

    assert "was renewed 10.1 s ago" in sentence(ours.epoch(0), Code.NOT_FENCED)
    assert ours.states() == ((0, None),)
    await ours.renew()
    assert ours.epoch(0) == 1
    assert ours.states() == ((0, 1),)


async def test_the_epoch_goes_beyond_what_objects_carry_also_when_the_lease_was_deleted(
    world: GuardedWorld, connection: Connection
) -> None:
    ours = leases(world, connection, "ours", Hand())
    await ours.renew()

    ours.note_carried({0: 41})

    assert "epoch 41" in sentence(ours.epoch(0), Code.NOT_FENCED)
    await ours.renew()
    assert ours.epoch(0) == 42
    world.plane.delete(lease_path(world, 0))
    await ours.renew()
    assert ours.epoch(0) == 42


async def test_a_partition_that_was_taken_away_is_let_go_of(
    world: GuardedWorld, connection: Connection
) -> None:
    ours, next_one = (leases(world, connection, name, Hand()) for name in ("ours", "next"))
    await ours.renew()

    ours.hold([])
    await ours.renew()
    await next_one.renew()

    assert "not given to this worker" in sentence(ours.epoch(0), Code.NOT_FENCED)
    assert next_one.epoch(0) == 2


async def test_a_label_on_a_lease_survives_its_renewals(
    world: GuardedWorld, connection: Connection
) -> None:
    ours = leases(world, connection, "ours", Hand())
    await ours.renew()
    world.plane.request(
        "PATCH", lease_path(world, 0), {"metadata": {"labels": {"team": "platform"}}}, MERGE
    )

    await ours.renew()

    assert ours.epoch(0) == 1
    assert world.read(lease_path(world, 0))["metadata"]["labels"]["team"] == "platform"


@pytest.mark.parametrize(("given", "times"), [("too short", (10, 10, 2)), ("slow", (15, 10, 9))])
def test_times_by_which_two_could_hold_it_are_refused(
    given: str, times: tuple[float, float, float]
) -> None:
    with pytest.raises(ValueError, match="must outlast"):
        LeaseTimes(*times)


def test_regions_that_are_no_dns_names_keep_leases_apart() -> None:
    names = {lease_name(group, 3) for group in ("eu_west", "eu-west", "EU-west")}

    assert len(names) == 3
    assert "mplp-predictor-eu-west-3" in names
    assert lease_name("mplp-predictor.eu.decide", 3) == "mplp-predictor.eu.decide-3"


async def test_the_guard_is_found_where_it_is_and_missed_where_it_is_not(
    world: GuardedWorld, connection: Connection, tmp_path: Path
) -> None:
    worker = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR))))
    bare = GuardedWorld(world.plane, is_guarded=False)
    clock = Hand()
    probe = GuardProbe(worker, clock)
    guarded, unguarded = world.hpa(), bare.hpa()
    before = world.read(guarded)["metadata"]["resourceVersion"]
    world.await_guard(guarded)

    await probe.look([view(world, guarded), view(bare, unguarded)])

    assert probe.objection(world.namespace) is None
    assert "apply the policies of deploy/guard" in sentence(
        probe.objection(bare.namespace), Code.NOT_GUARDED
    )
    assert world.read(guarded)["metadata"]["resourceVersion"] == before
    await worker.close()


async def test_a_right_that_is_missing_is_not_taken_for_the_guard(
    world: GuardedWorld, tmp_path: Path
) -> None:
    path = world.hpa()
    role = "apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/mplp-predictor"
    world.plane.delete("/" + role.format(world.namespace))
    reads = world.plane.client_for(PREDICTOR).request
    until(lambda: reads("GET", path)[0] == 403, "the right to be gone")
    worker = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR))))
    probe = GuardProbe(worker)

    await probe.look([view(world, path)])

    assert "could not be tried" in sentence(probe.objection(world.namespace), Code.NOT_GUARDED)
    await worker.close()


@pytest.mark.parametrize(
    ("band", "floor_now", "replicas_max"), [((3, 10), 3, 20), ((2, 4), 3, 20), ((1, 20), 9, 20)]
)
async def test_any_band_can_be_tried(
    world: GuardedWorld, tmp_path: Path, band: tuple[int, int], floor_now: int, replicas_max: int
) -> None:
    from msgspec.structs import replace

    annotations = {
        "predictor.mplp.io/floor": str(band[0]),
        "predictor.mplp.io/ceiling": str(band[1]),
    }
    path = world.hpa(floor=floor_now, maxReplicas=replicas_max, annotations=annotations)
    worker = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR))))
    clock = Hand()
    probe = GuardProbe(worker, clock)
    seen = replace(view(world, path), opt_in=OptIn(floor=band[0], ceiling=band[1]))

    for _ in range(50):
        await probe.look([seen])
        if probe.objection(world.namespace) is None:
            break
        clock.now_s += TRIED_AGAIN_S

    assert probe.objection(world.namespace) is None
    await worker.close()


async def test_a_switch_that_cannot_be_read_stays_as_it_was_last_read(
    world: GuardedWorld, connection: Connection, tmp_path: Path
) -> None:
    world.hpa()
    clock = Hand()
    worker = Connection(ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR))))
    switch = Switch(worker, world.namespace, clock)
    assert await switch.objection() is None
    await switch_off(connection, world.namespace, "by a person", in_steps=False)
    assert await switch.objection() is None, "believed for a second"
    clock.now_s += READ_AGE_MAX_S + 0.1
    assert "by a person" in sentence(await switch.objection(), Code.SWITCHED_OFF)

    kubeconfig = world.kubeconfig(tmp_path, PREDICTOR)
    world.plane.delete(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/roles/mplp-predictor"
    )
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/mplp-predictor-switch"
    until(lambda: world.plane.client_for(PREDICTOR).request("GET", path)[0] == 403, "403")
    clock.now_s += READ_AGE_MAX_S + 0.1

    assert kubeconfig.exists()
    sentence(await switch.objection(), Code.SWITCHED_OFF)
    assert switch.problem is not None
    await worker.close()


async def test_a_worker_writes_with_guard_lease_and_switch_and_not_while_it_is_off(
    world: GuardedWorld, connection: Connection, tmp_path: Path
) -> None:
    path = world.hpa()
    world.await_guard(path)
    settings = ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR)))
    gate = WorkerGate(settings, GateSettings(world.namespace, "us-east-1"), lambda module: 0)
    sentence(await gate.permit(KEY), Code.NOT_FENCED)
    gate.hold([0])
    await gate.look([view(world, path)])
    await gate._leases.renew()

    assert await gate.permit(KEY) == 8

    await switch_off(connection, world.namespace, "incident 4711", in_steps=False)
    gate._switch._asked_at_s = None
    assert "incident 4711" in sentence(await gate.permit(KEY), Code.SWITCHED_OFF)
    await switch_on(connection, world.namespace)
    gate._switch._asked_at_s = None
    assert await gate.permit(KEY) == 8
    await gate.close()


async def test_how_the_gate_stands_is_told_also_while_nothing_is_to_be_written(
    world: GuardedWorld, connection: Connection, tmp_path: Path
) -> None:
    path, bare = world.hpa(), GuardedWorld(world.plane, is_guarded=False)
    world.await_guard(path)
    settings = ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR)))
    gate = WorkerGate(settings, GateSettings(world.namespace, "us-east-1"), lambda module: 0)
    gate.hold([0, 1])
    await gate.look([view(world, path), view(bare, bare.hpa())])
    await gate._leases.renew()
    on = gate.state()
    await switch_off(connection, world.namespace, "incident 4711", in_steps=False)
    gate._switch._asked_at_s = None
    await gate.look([view(world, path)])
    off = gate.state()
    gate.hold([])
    await gate.close()

    assert set(on.guards) == {
        (world.namespace, "HPA", True),
        (bare.namespace, "HPA", False),
    }
    assert on.leases == ((0, 8), (1, 1))
    assert on.clock_ahead_s is not None
    assert (on.is_off, off.is_off, off.is_switch_read) == (False, True, True)
    assert (gate.state().guards, gate.state().leases) == ((), ())


async def test_an_epoch_that_somebody_typed_keeps_us_from_that_object_until_it_is_removed(
    world: GuardedWorld, connection: Connection
) -> None:
    path = world.hpa()
    ours = leases(world, connection, "ours", Hand())
    gate = ClusterGate(
        switch=Switch(connection, world.namespace), guard=None, leases=ours,
        partition_of=lambda module: 0,
    )  # fmt: skip
    seen = view(world, path)
    other = msgspec.structs.replace(seen, key=TargetKey("role", KEY.region))
    typed = msgspec.structs.replace(seen, kept=KeptState(None, 10**12))

    await gate.look([typed, other])
    await ours.renew()

    assert "kubectl annotate hpa" in sentence(await gate.permit(KEY), Code.NOT_FENCED)
    assert isinstance(await gate.permit(other.key), int)
    await gate.look([seen, other])
    await ours.renew()
    assert isinstance(await gate.permit(KEY), int)


@pytest.mark.parametrize(("skew_s", "side"), [(600.0, "ahead of"), (-600.0, "behind")])
async def test_by_a_clock_that_differs_from_the_servers_nothing_is_written(
    world: GuardedWorld, tmp_path: Path, skew_s: float, side: str
) -> None:
    world.hpa()
    wrong_by_s = [skew_s]
    settings = ClusterSettings(kubeconfig=str(world.kubeconfig(tmp_path, PREDICTOR)))
    skewed = Connection(settings, wall_s=lambda: time.time() + wrong_by_s[0])
    switch, ours = Switch(skewed, world.namespace), leases(world, skewed, "ours", Hand())
    await ours.renew()
    gate = ClusterGate(
        switch=switch,
        guard=None,
        leases=ours,
        partition_of=lambda module: 0,
        clock_ahead_s=lambda: skewed.clock_ahead_s,
    )

    told = sentence(await gate.permit(KEY), Code.CLOCK_SKEW)
    wrong_by_s[0], switch._asked_at_s = 0.0, None
    mended = await gate.permit(KEY)
    await skewed.close()

    assert f"s {side} the API server's, more than 30 s" in told
    assert mended == 1


async def test_where_nothing_is_real_the_gate_is_open() -> None:
    assert await OpenGate().permit(KEY) == 0


def lease_path(world: GuardedWorld, partition: int) -> str:
    name = lease_name("eu", partition)
    return f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/{name}"

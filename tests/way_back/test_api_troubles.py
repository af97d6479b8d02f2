"""A server that fails for a moment costs a floor or a lease nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.connection import Connection
from predictor.actuators.lease_record import lease_name
from predictor.actuators.leases import PartitionLeases
from predictor.core.restore_step import Pace
from predictor.way_back.restorer import Restorer, Verdict
from rigs.api_proxy import Act, ApiProxy, LoseAnswer, Respond
from rigs.credentials import write_kubeconfig
from rigs.kubernetes import ControlPlane
from tests.way_back.guarded_worlds import GuardedWorld

pytestmark = pytest.mark.real

PAST = "2020-01-01T00:00:00Z"
TROUBLES: dict[str, Act] = {
    "an error": Respond(500),
    "unavailable": Respond(503),
    "busy": Respond(429, {"Retry-After": "1"}),
    "a lost answer": LoseAnswer(),
}


@pytest.fixture
def world(control_plane: ControlPlane) -> GuardedWorld:
    return GuardedWorld(control_plane)


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.server, control_plane.ca_file) as made:
        yield made


@pytest.fixture
async def connection(
    control_plane: ControlPlane, proxy: ApiProxy, tmp_path: Path
) -> AsyncIterator[Connection]:
    file = tmp_path / "proxied"
    write_kubeconfig(file, proxy.url, control_plane.ca_file, control_plane.token)
    times = {"request_timeout_s": 1.0, "retry_delay_s": 0.1, "retry_delay_max_s": 0.5}
    made = Connection(ClusterSettings(kubeconfig=str(file), **times))  # type: ignore[arg-type]
    yield made
    await made.close()


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_restorer_takes_its_one_step_all_the_same(
    world: GuardedWorld, proxy: ApiProxy, connection: Connection, trouble: str
) -> None:
    path = world.raised(10, PAST)
    proxy.fail("PATCH", "horizontalpodautoscalers", TROUBLES[trouble], times=1)

    done = await Restorer(connection, [world.namespace], now_s=time.time).run_pass(Pace.EXPIRED)

    assert done.is_whole
    assert done.rows[0].verdict in (Verdict.LOWERED, Verdict.WAITS)
    assert world.floor(path) == 7


async def test_what_fails_all_the_time_is_told_and_the_others_go_back(
    world: GuardedWorld, proxy: ApiProxy, connection: Connection
) -> None:
    world.raised(10, PAST, name="bad")
    good = world.raised(10, PAST, name="good")
    proxy.fail("PATCH", "horizontalpodautoscalers/bad", Respond(500))

    done = await Restorer(connection, [world.namespace], now_s=time.time).run_pass(Pace.AT_ONCE)

    assert [row.verdict for row in done.rows] == [Verdict.FAILED, Verdict.LOWERED]
    assert "answered 500" in done.rows[0].reason.sentence
    assert world.floor(good) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_lease_whose_answer_was_lost_is_still_ours_under_the_same_epoch(
    world: GuardedWorld, proxy: ApiProxy, connection: Connection, method: str
) -> None:
    ours = PartitionLeases(connection, namespace=world.namespace, group="eu", identity="ours")
    ours.hold([0])
    proxy.fail(method, "leases", LoseAnswer(), times=1)

    for _ in range(100):
        await ours.renew()
        if proxy.requests("PATCH", lease_name("eu", 0)) > 2 and ours.epoch(0) == 1:
            break
        await asyncio.sleep(0.05)

    assert ours.epoch(0) == 1
    assert proxy.requests("POST", "leases") == 1

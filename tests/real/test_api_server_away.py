"""The API server is paused for forty seconds: no burst, and then the newest intents."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import NotApplied, Outcome, TargetKey
from predictor.core.reasons import Code
from predictor.service import Tick
from rigs.api_proxy import ApiProxy
from rigs.kubernetes import ControlPlane
from tests.real.real_fleet import MODULE, Fleet, kubeconfig_through

pytestmark = pytest.mark.real

AWAY_S = 40
REGIONS = {"us-east-1": 20, "eu-west-1": 20, "ap-southeast-1": 20}
HPA = "horizontalpodautoscalers/mplp-core-hpa"


async def test_each_objects_newest_floor_is_written_once_after_the_api_server_is_back(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    with ApiProxy(control_plane.server, control_plane.ca_file) as proxy:
        kubeconfig = kubeconfig_through(proxy, control_plane, tmp_path)
        fleet = Fleet(control_plane, REGIONS, step=10, kubeconfig=kubeconfig)
        fleet.serve(3600, weighted_per_s=600)
        await fleet.service.tick(fleet.now_s)
        before = {region: fleet.hpa(region) for region in REGIONS}
        asked_before = len(proxy.seen)

        control_plane.pause_api()
        ticks: list[Tick] = []
        try:
            back_at_s = time.monotonic() + AWAY_S
            while time.monotonic() < back_at_s:
                # demand climbs meanwhile: each of these asks for other floors
                fleet.serve(10, weighted_per_s=2_200 + 20 * len(ticks))
                ticks.append(await fleet.service.tick(fleet.now_s))
                await asyncio.sleep(1)
        finally:
            control_plane.resume_api()
        newest = await settled(fleet)
        asked = proxy.seen[asked_before:]
        await fleet.service.tick(fleet.now_s)
        await fleet.cluster.close()

    outcomes = [
        outcome for tick in ticks for key, outcome in tick.outcomes if key.region in REGIONS
    ]
    assert {_code(one) for one in outcomes} == {Code.UNREACHABLE}
    for region in REGIONS:
        key, after = TargetKey(MODULE, region), fleet.hpa(region)
        wanted = [found[key] for tick in ticks if key in (found := floors_wanted(tick))]
        assert after["spec"]["minReplicas"] == newest[key] >= wanted[-1] > wanted[0]
        sent = [path for verb, path in asked if verb == "PATCH" and _is_of(path, fleet, region)]
        # one was under way when the server froze, and it may come out first
        assert len(sent) <= 2
        generation = before[region]["metadata"]["generation"]
        assert after["metadata"]["generation"] <= generation + 2
    assert len(asked) <= AWAY_S, "a server that does not answer is asked ever more rarely"


async def settled(fleet: Fleet) -> dict[TargetKey, int]:
    """Tick until nothing has to be written; the floors as decided then."""
    for _ in range(60):
        with contextlib.suppress(ClusterUnreachable):
            tick = await fleet.service.tick(fleet.now_s)
            if not tick.inputs.cluster.problems and not tick.decision.floor_intents:
                return {one.key: one.floor for one in tick.decision.floors if one.floor is not None}
        await asyncio.sleep(1)
    raise AssertionError("there was something to write all the time")


def floors_wanted(tick: Tick) -> dict[TargetKey, int]:
    return {one.key: one.floor for one in tick.decision.floor_intents}


def _is_of(path: str, fleet: Fleet, region: str) -> bool:
    return f"/{fleet.namespaces[region]}/{HPA}" in path


def _code(outcome: Outcome) -> Code | None:
    return outcome.reason.code if isinstance(outcome, NotApplied) else None

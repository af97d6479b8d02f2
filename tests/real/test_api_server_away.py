"""The API server is gone for half a minute: no crash, no burst, the newest intent once."""

from __future__ import annotations

import asyncio

import pytest

from predictor.actuators.port import ClusterUnreachable
from rigs.kubernetes import ControlPlane
from tests.real.real_fleet import Fleet

pytestmark = pytest.mark.real

AWAY_S = 30


async def test_the_newest_floor_is_written_once_after_the_api_server_is_back(
    control_plane: ControlPlane,
) -> None:
    fleet = Fleet(control_plane, {"us-east-1": 20}, step=10)
    fleet.serve(3600, weighted_per_s=250)
    await fleet.service.tick(fleet.now_s)
    before = fleet.hpa("us-east-1")

    control_plane.pause_api()
    refused = 0
    try:
        for second in range(AWAY_S):
            # demand climbs meanwhile: each of these would have asked for another floor
            fleet.serve(10, weighted_per_s=300 + 30 * second)
            with pytest.raises(ClusterUnreachable):
                await fleet.service.tick(fleet.now_s)
            refused += 1
            await asyncio.sleep(1)
    finally:
        control_plane.resume_api()
    records = len(fleet.records)
    for _ in range(60):
        try:
            await fleet.service.tick(fleet.now_s)
            break
        except ClusterUnreachable:
            await asyncio.sleep(1)
    after = fleet.hpa("us-east-1")
    await fleet.service.tick(fleet.now_s)

    assert refused == AWAY_S
    assert len(fleet.records) == records + 2
    assert after["spec"]["minReplicas"] >= 11, "the newest demand, not the first that was missed"
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert fleet.hpa("us-east-1")["metadata"]["generation"] == after["metadata"]["generation"]
    await fleet.cluster.close()

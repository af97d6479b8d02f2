"""The API server is gone for half a minute: no crash, no burst, the newest intent once."""

from __future__ import annotations

import asyncio
import contextlib

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
    # Just back, it may be too slow for a patch yet: then the next tick writes what is newest then.
    after = before
    for _ in range(60):
        with contextlib.suppress(ClusterUnreachable):
            await fleet.service.tick(fleet.now_s)
            after = fleet.hpa("us-east-1")
        if after["spec"] != before["spec"]:
            break
        await asyncio.sleep(1)
    written = len(fleet.records)
    await fleet.service.tick(fleet.now_s)

    assert refused == AWAY_S
    assert len(fleet.records) == written + 1 > records + 1
    assert after["spec"]["minReplicas"] >= 11, "the newest demand, not the first that was missed"
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert fleet.hpa("us-east-1")["metadata"]["generation"] == after["metadata"]["generation"]
    await fleet.cluster.close()

"""The API server is gone for half a minute: decisions go on, no burst, then the newest intent."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from predictor.actuators.port import ClusterUnreachable
from predictor.core.cluster import NotApplied, Outcome
from predictor.core.reasons import Code
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
    outcomes: list[Outcome] = []
    try:
        for second in range(AWAY_S):
            # demand climbs meanwhile: each of these asks for another floor
            fleet.serve(10, weighted_per_s=300 + 30 * second)
            tick = await fleet.service.tick(fleet.now_s)
            outcomes += [outcome for _, outcome in tick.outcomes]
            await asyncio.sleep(1)
    finally:
        control_plane.resume_api()
    # Just back, it may be too slow for a patch yet: then the next tick writes what is newest then.
    after = before
    for _ in range(60):
        with contextlib.suppress(ClusterUnreachable):
            await fleet.service.tick(fleet.now_s)
            after = fleet.hpa("us-east-1")
        if after["spec"]["minReplicas"] >= 11:
            break
        await asyncio.sleep(1)
    await fleet.service.tick(fleet.now_s)

    assert outcomes
    assert {_code(one) for one in outcomes} == {Code.UNREACHABLE}
    assert after["spec"]["minReplicas"] >= 11, "the newest demand, not the first that was missed"
    # The one write that was under way when the server froze may come out first.
    assert after["metadata"]["generation"] <= before["metadata"]["generation"] + 2
    assert fleet.hpa("us-east-1")["metadata"]["generation"] == after["metadata"]["generation"]
    await fleet.cluster.close()


def _code(outcome: Outcome) -> Code | None:
    return outcome.reason.code if isinstance(outcome, NotApplied) else None

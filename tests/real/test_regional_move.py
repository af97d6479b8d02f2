"""Capacity first, traffic after, on the real API server with Istio's own schema."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from predictor.actuators.gate import OpenGate
from predictor.core.cluster import TargetKey
from predictor.core.opt_in import EPOCH, UNTIL
from predictor.core.opt_in import HOME as HOME_KEPT
from predictor.core.reasons import Reason
from rigs.kubernetes import ControlPlane
from tests.real.real_fleet import HOME, Fleet

pytestmark = pytest.mark.real

STEP_MAX = 4
PER_POD = 100


class SeventhOwner(OpenGate):
    """Permits all, as the seventh owner of every partition."""

    async def permit(self, key: TargetKey) -> int | Reason:
        return 7


async def test_weight_moves_in_bounded_steps_and_only_after_pods_are_ready_there(
    control_plane: ControlPlane,
) -> None:
    # us-east-1 may have 9 pods: half of 2,000/s is more than they carry at the owner's target
    fleet = Fleet(
        control_plane, {"us-east-1": 9, "eu-west-1": 15, "ap-southeast-1": 15}, step=STEP_MAX
    )
    fleet.service._gate = SeventhOwner()
    untouched = fleet.header_routes()
    fleet.serve(3600, weighted_per_s=900)
    await fleet.service.tick(fleet.now_s)

    seen = [fleet.weights()]
    for _ in range(12):
        fleet.serve(60, weighted_per_s=2_000)
        before = {region: fleet.ready(region) for region in fleet.regions}
        await fleet.service.tick(fleet.now_s)
        weights = fleet.weights()
        for region, weight in weights.items():
            if weight > seen[-1][region]:
                assert before[region] * PER_POD >= 2_000 * weight / 100, "not Ready for its share"
                assert fleet.hpa(region)["spec"]["minReplicas"] > 3, "moved before the floor rose"
        seen.append(weights)
        await asyncio.sleep(1.5)

    assert seen[0] == HOME
    assert seen[1] == HOME, "nothing can be Ready in the tick that raises the first floor"
    steps = [abs(b[r] - a[r]) for a, b in itertools.pairwise(seen) for r in a]
    assert 0 < max(steps) <= STEP_MAX
    assert all(sum(weights.values()) == 100 for weights in seen)
    assert seen[-1]["us-east-1"] <= 45
    assert fleet.header_routes() == untouched
    kept = fleet.route()["metadata"]["annotations"]
    assert kept[EPOCH] == "7"
    assert [one.rpartition("=")[2] for one in kept[HOME_KEPT].split(",")] == ["50", "30", "20"]
    assert kept[UNTIL].startswith("2025-06-15T"), "a quarter of an hour in event time"
    await fleet.cluster.close()

"""Every pod of a region is gone: its traffic goes where pods are, and comes home with its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import until
from tests.real.real_fleet import HOME, Fleet

pytestmark = pytest.mark.real

STEP_MAX, LEAST = 10, 5
GONE = "eu-west-1"
DEMAND_PER_S = 900
NOTHING_FITS = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "gone"},
    "spec": {"hard": {"pods": "0"}},
}


async def test_traffic_leaves_a_region_without_pods_and_returns_when_they_are_ready(
    control_plane: ControlPlane,
) -> None:
    fleet = Fleet(control_plane, dict.fromkeys(HOME, 20), step=STEP_MAX)
    fleet.serve(3600, weighted_per_s=DEMAND_PER_S)
    await followed(fleet, lambda: all(fleet.ready(one) >= 3 for one in HOME))
    core = f"/api/v1/namespaces/{fleet.namespaces[GONE]}"

    control_plane.request("POST", f"{core}/resourcequotas", NOTHING_FITS)
    control_plane.delete(f"{core}/pods")
    await until(lambda: no_pod(fleet))
    away = await followed(fleet, lambda: fleet.weights()[GONE] == LEAST)
    control_plane.delete(f"{core}/resourcequotas/gone")
    home = await followed(fleet, lambda: fleet.weights() == HOME)
    await fleet.cluster.close()

    for before, after in itertools.pairwise([*away, *home]):
        assert sum(after.values()) == 100
        assert max(abs(after[region] - before[region]) for region in HOME) <= STEP_MAX
    assert [one[GONE] for one in away] == sorted((one[GONE] for one in away), reverse=True)


async def followed(fleet: Fleet, is_done: Callable[[], bool]) -> list[dict[str, int]]:
    """Ticks a minute of demand apart until it is so; the weights after each."""
    seen = [fleet.weights()]
    for _ in range(60):
        if is_done():
            return seen
        fleet.serve(60, weighted_per_s=DEMAND_PER_S)
        await fleet.service.tick(fleet.now_s)
        seen.append(fleet.weights())
        await asyncio.sleep(0.5)
    raise AssertionError(f"still {seen[-1]} after {len(seen)} ticks")


async def no_pod(fleet: Fleet) -> bool:
    return fleet.ready(GONE) == 0

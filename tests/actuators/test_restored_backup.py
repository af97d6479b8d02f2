"""etcd is restored from a backup: what the service heard of since is not true any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.core.cluster import Applied, HpaView
from predictor.core.reasons import Code
from rigs.kubernetes import ControlPlane
from tests.actuators.target_world import BASELINE, TargetWorld

pytestmark = pytest.mark.real

WRITES_SINCE = 60
"""Between a backup and our write lie hours of others' writes: more than the dozen that controllers
make as soon as the restored server is there."""


async def test_a_restored_backup_is_seen_and_what_changes_after_it_too(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    world = TargetWorld(own_control_plane, tmp_path)
    kept = own_control_plane.back_up()
    for turn in range(WRITES_SINCE):
        world.edit({"metadata": {"annotations": {"turn": str(turn)}}})
    assert isinstance(await world.raise_to(8), Applied)
    before = await world.view()

    own_control_plane.restore(kept)
    back = await world.view()
    world.edit({"metadata": {"annotations": {"somebody": "was here"}}})
    after = await world.view()
    await world.cluster.close()

    assert int(back.resource_version) < int(before.resource_version)
    assert int(after.resource_version) > int(back.resource_version)
    assert (before.min_replicas, after.min_replicas) == (8, BASELINE)
    assert is_behind(back)
    assert is_behind(after), "until that has stood for a while"


def is_behind(view: HpaView) -> bool:
    return view.held_back is not None and view.held_back.code is Code.STALE_READ

"""A day in shadow, by the API server's own record of who asked for what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from predictor.core.audit import decode_record
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.real.real_fleet import Fleet

pytestmark = pytest.mark.real

TICK_S = 900
READS = {"get", "list", "watch"}


@pytest.fixture
def plane_that_forbids_nothing(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.apply(*every_right())
    yield control_plane
    # Other tests of the session are about what the same account may not do.
    for one in every_right():
        control_plane.delete(control_plane.client.path_of(one))


async def test_a_day_in_shadow_decides_much_and_writes_nothing(
    plane_that_forbids_nothing: ControlPlane,
) -> None:
    control_plane = plane_that_forbids_nothing
    regions = {"us-east-1": 9, "eu-west-1": 15, "ap-southeast-1": 15}
    fleet = Fleet(
        control_plane, regions, step=4, mode="shadow", kubeconfig=control_plane.predictor_kubeconfig
    )
    asked_before = len(control_plane.requests_of(PREDICTOR))

    for tick in range(86_400 // TICK_S):
        fleet.serve(TICK_S, weighted_per_s=400 if tick % 16 < 8 else 2_000)
        await fleet.service.tick(fleet.now_s)
    await fleet.cluster.close()

    asked = control_plane.requests_of(PREDICTOR)[asked_before:]
    decisions = [decode_record(body).decision for body in fleet.records]
    assert sum(bool(one.floor_intents) for one in decisions) > 10, "there was something to write"
    assert {verb for verb, _ in asked} <= READS, asked
    assert {verb for verb, _ in asked} & READS, "the record shows what was asked"


def every_right() -> list[dict[str, object]]:
    """So that nothing but the mode holds it back."""
    group = "rbac.authorization.k8s.io"
    role: dict[str, object] = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "everything-for-a-day-in-shadow"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    binding: dict[str, object] = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "everything-for-a-day-in-shadow"},
        "roleRef": {
            "apiGroup": group,
            "kind": "ClusterRole",
            "name": "everything-for-a-day-in-shadow",
        },
        "subjects": [{"apiGroup": group, "kind": "User", "name": PREDICTOR}],
    }
    return [role, binding]

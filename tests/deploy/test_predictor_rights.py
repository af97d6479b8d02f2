"""With the manifests' rights the service's own identity can do all it must; each is needed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from predictor.actuators.kubernetes import KubernetesCluster
from predictor.core.cluster import Applied, ClusterView, NotApplied
from predictor.core.reasons import Code
from rigs.credentials import PREDICTOR
from rigs.kubernetes import ControlPlane
from tests.actuators.cluster_worlds import KubernetesWorld, move_weights, raise_floor
from tests.deploy.kustomized import DEPLOY, kustomized

pytestmark = pytest.mark.real

_RBAC = [one for one in kustomized(DEPLOY / "base") if one["kind"] in ("Role", "RoleBinding")]
_OURS = [one for one in _RBAC if one["metadata"]["name"] == "mplp-predictor"]
ROLES = {one["metadata"]["namespace"]: one for one in _OURS if one["kind"] == "Role"}
BINDING = next(one for one in _OURS if one["kind"] == "RoleBinding")
VERBS = [
    (place, index, verb)
    for place in ("us-east-1", "mplp-production")
    for index, rule in enumerate(ROLES[place]["rules"])
    for verb in rule["verbs"]
]


def is_for_more(place: str, index: int, verb: str) -> bool:
    """A tick does all it should without these: who took a floor, what keeps pods from becoming
    Ready and who changes their requests is told less exactly; and weights that ran out are looked
    for beside it."""
    resources = ROLES[place]["rules"][index]["resources"]
    names_a_person = resources == ["horizontalpodautoscalers"] and verb == "get"
    looks_for_weights = resources == ["virtualservices"] and verb == "list"
    is_told_less = resources in (["pods"], ["verticalpodautoscalers"])
    return is_told_less or names_a_person or looks_for_weights


NEEDED = [one for one in VERBS if not is_for_more(*one)]


@pytest.fixture
async def world(control_plane: ControlPlane) -> AsyncIterator[KubernetesWorld]:
    made = KubernetesWorld(control_plane, control_plane.predictor_kubeconfig)
    yield made
    await made.cluster.close()


async def test_the_manifests_rights_suffice(world: KubernetesWorld) -> None:
    grant(world, all_rules())

    view = await _once(world, lambda seen: not seen.problems)

    assert len(view.hpas) == len(view.routes) == 1
    assert isinstance(await raise_floor(world.cluster, 5), Applied)
    assert isinstance(await move_weights(world.cluster, 40, 40, 20), Applied)
    asks = world.plane.client_for(PREDICTOR).request
    watched = f"{world.hpa_path.rsplit('/', 1)[0]}?watch=1&timeoutSeconds=1"
    pods, routes = f"/api/v1/namespaces/{world.namespace}/pods", world.route_path.rsplit("/", 1)[0]
    for path in (world.hpa_path, watched, pods, routes):
        assert asks("GET", path)[0] == 200
    # Not served here: whoever has no right is not even told that.
    autoscalers = f"/apis/autoscaling.k8s.io/v1/namespaces/{world.namespace}/verticalpodautoscalers"
    assert asks("GET", autoscalers)[0] == 404


@pytest.mark.parametrize(
    ("place", "index", "verb"),
    NEEDED,
    ids=[f"{one[0]}-{one[1]}-{one[2]}" for one in NEEDED],
)
async def test_each_verb_is_needed(
    world: KubernetesWorld, place: str, index: int, verb: str
) -> None:
    grant(world, all_rules())
    await _once(world, lambda seen: not seen.problems)
    before = world.picture()

    grant(world, all_rules(without=(place, index, verb)))

    # A watch that was opened with the right outlives it; who starts without it is told.
    for _ in range(50):
        await world.cluster.close()
        world.cluster = KubernetesCluster(world.settings)
        if await _forbidden(world):
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(f"everything still worked without {verb}")
    assert world.picture() == before


async def test_another_hpa_in_the_namespace_is_out_of_reach(world: KubernetesWorld) -> None:
    grant(world, all_rules())
    await _once(world, lambda seen: not seen.problems)
    other = world.read(world.hpa_path)
    other["metadata"] = {"name": "somebody-elses", "namespace": world.namespace}
    other["spec"]["scaleTargetRef"]["name"] = "somebody-elses"
    kept = ("apiVersion", "kind", "metadata", "spec")
    world.plane.apply({key: other[key] for key in kept})
    path = world.hpa_path.replace("mplp-core-hpa", "somebody-elses")

    body = {"spec": {"minReplicas": 9}}
    client = world.plane.client_for(PREDICTOR)
    status, _ = client.request("PATCH", path, body, "application/merge-patch+json")

    assert status == 403


def all_rules(without: tuple[str, int, str] | None = None) -> list[dict[str, Any]]:
    """The rules of both Roles, for the one namespace that stands for all here."""
    rules = []
    for place in ("us-east-1", "mplp-production"):
        for index, rule in enumerate(copy.deepcopy(ROLES[place]["rules"])):
            rule["verbs"] = [verb for verb in rule["verbs"] if (place, index, verb) != without]
            # The server refuses a rule without verbs.
            rules += [rule] if rule["verbs"] else []
    return rules


def grant(world: KubernetesWorld, rules: list[dict[str, Any]]) -> None:
    role = copy.deepcopy(ROLES["us-east-1"]) | {"rules": rules}
    binding = copy.deepcopy(BINDING)
    for one in (role, binding):
        one["metadata"]["namespace"] = world.namespace
    world.plane.apply(role, binding)


async def _once(world: KubernetesWorld, holds: Any) -> ClusterView:
    """Rights reach the authoriser's cache a moment after they were written."""
    for _ in range(50):
        view = await world.cluster.observe()
        if holds(view):
            return view
        await asyncio.sleep(0.1)
    raise AssertionError(f"still not so: {view.problems}")


async def _forbidden(world: KubernetesWorld) -> bool:
    """Whether any part of a tick is forbidden: reading, setting a floor, moving weights."""
    view = await world.cluster.observe()
    if view.problems:
        return any(reason.code is Code.FORBIDDEN for _, reason in view.problems)
    floor = view.hpas[0].min_replicas % 10 + 2
    outcomes = [await raise_floor(world.cluster, floor)]
    weights = (40, 40, 20) if view.routes[0].destinations[0].weight != 40 else (50, 30, 20)
    outcomes.append(await move_weights(world.cluster, *weights))
    refused = [one.reason.code for one in outcomes if isinstance(one, NotApplied)]
    return Code.FORBIDDEN in refused

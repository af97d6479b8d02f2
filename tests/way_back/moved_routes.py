"""The guide's VirtualService with weights that we moved, for the tests of their way back."""

from __future__ import annotations

import copy

import yaml

from predictor.core.opt_in import EPOCH, HOME, REASON, UNTIL, WEIGHTS
from rigs.credentials import ADMIN
from tests.way_back.guarded_worlds import DEPLOY, MERGE, NEVER, GuardedWorld, Json

PAST = "2020-01-01T00:00:00Z"
HOME_WEIGHTS = (50, 30, 20)
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
HOSTS = [f"mplp-core-service.{one}.svc.cluster.local" for one in REGIONS]


def shares(*weights: int) -> str:
    """Weights as an annotation says them."""
    return ",".join(f"{host}={one}" for host, one in zip(HOSTS, weights, strict=True))


def moved_route(
    world: GuardedWorld,
    weights: tuple[int, ...],
    expiry: str = NEVER,
    *,
    name: str = "mplp-global-traffic",
    annotations: dict[str, str] | None = None,
) -> str:
    """The route, moved from 50, 30 and 20 under epoch 5; returns its path."""
    document = yaml.safe_load((DEPLOY / "mplp" / "virtual_service.yaml").read_text())
    document["metadata"] |= {"namespace": world.namespace, "name": name}
    kept = {
        UNTIL: expiry,
        EPOCH: "5",
        REASON: "a region is full",
        HOME: shares(*HOME_WEIGHTS),
        WEIGHTS: shares(*weights),
    }
    document["metadata"]["annotations"] |= {**kept, **(annotations or {})}
    for one, weight in zip(document["spec"]["http"][-1]["route"], weights, strict=True):
        one["weight"] = weight
    world.plane.apply(document)
    path: str = world.plane.client.path_of(document)
    return path


def weights_of(world: GuardedWorld, path: str) -> tuple[int, ...]:
    """The default route's."""
    return tuple(one["weight"] for one in world.read(path)["spec"]["http"][-1]["route"])


def set_by_hand(world: GuardedWorld, path: str, *weights: int) -> None:
    """A person sets the default route's weights."""
    spec: Json = copy.deepcopy(world.read(path)["spec"])
    for one, weight in zip(spec["http"][-1]["route"], weights, strict=True):
        one["weight"] = weight
    assert world.send(path, {"spec": spec}, MERGE, as_user=ADMIN) == ""

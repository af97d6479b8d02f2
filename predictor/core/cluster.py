"""What the cluster looks like to the core, and what the core asks of it.

Actuators build the views and carry out the intents; `predictor/core/decide.py` reads the first and
makes the second. Values only: nothing here may talk to a cluster.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from predictor.core.floor_object import FloorObject, floor_object
from predictor.core.opt_in import KeptState, KeptWeights, OptIn
from predictor.core.reasons import Reason


class TargetKey(NamedTuple):
    """A module in a region: one Deployment with one HPA."""

    module: str
    region: str


class MetricTarget(msgspec.Struct, frozen=True):
    """One metric spec of an HPA with what its status says of it.

    `kind` is the spec's type (Resource, Pods, Object, External, ContainerResource); `target` and
    `current` are in the metric's base unit (a quantity of "500m" is 0.5), utilisation in percent.
    `current` is None where the status has no reading.
    """

    kind: str
    name: str
    target_type: str
    target: float
    current: float | None = None


class HpaView(msgspec.Struct, frozen=True):
    """One HPA and its Deployment as read at one moment.

    `baseline_replicas` is the minReplicas that the owner declared, None where it cannot be known
    because the field holds our own value. `floor_manager` names who owns `f:minReplicas` in
    managedFields (None: nobody recorded).

    `opt_in` is the owner's word and `kept` ours, both annotations. `held_back` is set where
    somebody else controls what we would change: the target is left alone, with that reason. `notes`
    are worth telling and stop nothing. `metrics_failing` and `blocked` are sentences, empty where
    all is well: which of the HPA's metrics cannot be read (since when, as its controller says), and
    what keeps its pods from becoming Ready (quota, no room on nodes, an image that cannot be
    pulled). `template` names the pod
    template's revision and its resource requests: what was learned of a pod before it changed is of
    another pod.

    `scaled_object` names the ScaledObject from which KEDA makes the HPA, where floors are written
    there: then `uid`, `resource_version`, both bounds, both kinds of annotations and
    `floor_manager` were read from it, and it is what a floor is written to.
    """

    key: TargetKey
    namespace: str
    name: str
    uid: str
    resource_version: str
    deployment: str
    min_replicas: int
    max_replicas: int
    spec_replicas: int
    ready_replicas: int
    baseline_replicas: int | None
    floor_manager: str | None
    metrics: tuple[MetricTarget, ...]
    ambiguous: bool = False
    opt_in: OptIn = OptIn()
    kept: KeptState = KeptState()
    held_back: Reason | None = None
    notes: tuple[Reason, ...] = ()
    metrics_failing: str = ""
    metrics_failing_since_s: float | None = None
    blocked: str = ""
    template: str = ""
    scaled_object: str = ""

    @property
    def floor_object(self) -> FloorObject:
        """What the floor and the annotations were read from."""
        return floor_object(self.namespace, self.name, self.scaled_object)


class DestinationView(msgspec.Struct, frozen=True):
    """One destination of a default route: its place in the list, region, host and weight."""

    index: int
    region: str
    host: str
    weight: int


class RouteView(msgspec.Struct, frozen=True):
    """The default (match-less) route of a VirtualService that spreads one module over regions.

    `is_shift_enabled` is the owner's word that weights may move, `kept` ours, both annotations.
    `held_back` is set where somebody else keeps the weights: then they are left alone.
    """

    module: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    route_index: int
    destinations: tuple[DestinationView, ...]
    is_shift_enabled: bool = False
    kept: KeptWeights = KeptWeights()
    held_back: Reason | None = None

    @property
    def title(self) -> str:
        """The object as a sentence names it."""
        return f"VirtualService {self.namespace}/{self.name}"

    @property
    def for_kubectl(self) -> str:
        """As a command names it."""
        return f"virtualservice {self.name} -n {self.namespace}"


class ClusterView(msgspec.Struct, frozen=True):
    """All targets and routes read in one go; `problems` says what could not be read, and why."""

    hpas: tuple[HpaView, ...]
    routes: tuple[RouteView, ...] = ()
    problems: tuple[tuple[TargetKey, Reason], ...] = ()


class FloorIntent(msgspec.Struct, frozen=True):
    """Set one HPA's minReplicas, if it is still the object and version that was decided on.

    `until_s` is when the floor may be taken back by anybody unless it is renewed (None: it is the
    owner's own again, and nothing runs out); `reason` is written beside it. An intent whose `floor`
    is `floor_now` renews. `epoch` is of the lease under which it is written; who acts fills it in.
    `only_recorded` is set where the target is in shadow: then it must not be written.
    """

    key: TargetKey
    namespace: str
    name: str
    uid: str
    resource_version: str
    floor_now: int
    floor: int
    decision_number: int
    until_s: float | None = None
    reason: str = ""
    epoch: int = 0
    only_recorded: Reason | None = None


class WeightIntent(msgspec.Struct, frozen=True):
    """Set a default route's weights, if each destination still has the weight decided on.

    `weights` holds the new weight of each destination of `route`, in its order; they sum to 100.
    `home` are those they return to, `until_s` when anybody may take them there unless it is renewed
    (None: they are the owner's own again); `reason` is written beside them. `epoch` is of the lease
    under which it is written; who acts fills it in. An intent whose `weights` stand already renews.
    `only_recorded` is set where one of the module's targets is in shadow, or the owner does not let
    weights move: then it must not be written.
    """

    route: RouteView
    weights: tuple[int, ...]
    decision_number: int
    home: tuple[int, ...] = ()
    until_s: float | None = None
    reason: str = ""
    epoch: int = 0
    only_recorded: Reason | None = None


class Applied(msgspec.Struct, frozen=True, tag="applied", tag_field="outcome"):
    """The write was accepted and the object now has this version; `epoch` says which owner wrote.

    The epoch is 0 where nobody counts owners.
    """

    resource_version: str
    epoch: int = 0


class NotApplied(msgspec.Struct, frozen=True, tag="not_applied", tag_field="outcome"):
    """Nothing was written; a normal outcome, with its reason."""

    reason: Reason


Outcome = Applied | NotApplied

"""Nodes with room for so many pods; beyond it pods are Pending until a node has been provisioned.

The workloads of a region may share one `NodePool`. Pods are counted and not placed on single
nodes: nodes are taken as well filled as a consolidating autoscaler keeps them, so a node is empty
when the others have room for all pods. It must never remove a node that pods need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from predictor.cluster_model.delays import Delay, FixedDelay

NODES_MAX = 100_000
NEVER_S = math.inf


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Nodes of `pods_per_node` pods each, `nodes_min` always there and at most `nodes_max`.

    A node comes `provisioning` after the pod that found no room, and goes when it was not needed
    for `removal_delay_s` (the Kubernetes Cluster Autoscaler's `--scale-down-unneeded-time` is
    10 minutes).
    """

    pods_per_node: int
    nodes_min: int = 1
    nodes_max: int = 1000
    provisioning: Delay = field(default_factory=lambda: FixedDelay(120.0))
    removal_delay_s: float = 600.0

    def __post_init__(self) -> None:
        if self.pods_per_node < 1:
            raise ValueError(f"a node of {self.pods_per_node} pods is none")
        if not 0 <= self.nodes_min <= self.nodes_max <= NODES_MAX or self.nodes_max < 1:
            raise ValueError(f"{self.nodes_min} to {self.nodes_max} nodes are not bounds")
        if not self.removal_delay_s >= 0.0:
            raise ValueError(f"a removal delay of {self.removal_delay_s} s is none")


@dataclass(slots=True)
class _Order:
    """Nodes on their way, and how many pods wait for them."""

    ready_s: float
    nodes: int
    reserved: int = 0


class NodePool:
    """The moving state of the nodes; `node_s` counts node seconds from `start_s` on.

    Workloads that share it are stepped one after another, so a call may lie up to one step before
    the last one; nodes that came meanwhile stay.
    """

    def __init__(self, spec: NodeSpec, start_s: float, seed: int = 0) -> None:
        self.spec = spec
        self.nodes = spec.nodes_min
        self.used = 0
        self.node_s = 0.0
        self._at_s = start_s
        self._orders: list[_Order] = []
        self._unneeded_since_s = NEVER_S
        self._unneeded = 0
        self._rng = np.random.default_rng([seed, 0x6E0DE5])

    @property
    def free(self) -> int:
        """Pods that the nodes here have room for."""
        return self.nodes * self.spec.pods_per_node - self.used

    @property
    def ordered(self) -> int:
        """Nodes on their way."""
        return sum(order.nodes for order in self._orders)

    @property
    def takes(self) -> int:
        """Pods that may still come: onto the nodes here, those on their way and those allowed."""
        allowed = max(self._nodes_allowed(), 0) * self.spec.pods_per_node
        return max(self.free, 0) + self._room_ordered() + allowed

    def hold(self, pods: int) -> None:
        """Have room for pods that were there before the start, whatever `nodes_max` says."""
        self.used += pods
        self.nodes = max(self.nodes, math.ceil(self.used / self.spec.pods_per_node))

    def place(self, now_s: float, pods: int) -> list[tuple[float, int]]:
        """Where new pods go: (when their node is there, how many); `NEVER_S` where none may come.

        Free room first, then room on nodes that are on their way, then nodes ordered for them.
        """
        self.pass_time(now_s)
        at_once = min(pods, max(self.free, 0))
        self.used += at_once
        placed = [(now_s, at_once)] if at_once else []
        pods -= at_once
        if pods:
            self._order(now_s, pods - self._room_ordered())
        for order in self._orders:
            taken = min(pods, self._room_of(order))
            if taken > 0:
                order.reserved += taken
                pods -= taken
                placed.append((order.ready_s, taken))
        return [*placed, (NEVER_S, pods)] if pods else placed

    def release(self, now_s: float, scheduled_s: float, pods: int) -> None:
        """Pods are gone that were, or would have been, on a node from `scheduled_s` on."""
        self.pass_time(now_s)
        if scheduled_s <= max(now_s, self._at_s):
            self.used -= pods
            self._remove_unneeded(now_s)
            return
        for order in self._orders:
            if order.ready_s == scheduled_s:
                order.reserved -= pods
                return

    def pass_time(self, now_s: float) -> None:
        """Nodes arrive, and those unneeded for long enough go."""
        while self._orders and self._orders[0].ready_s <= now_s:
            order = self._orders.pop(0)
            self._count(order.ready_s)
            self.nodes += order.nodes
            self.used += order.reserved
        self._count(now_s)
        self._remove_unneeded(now_s)

    def _count(self, until_s: float) -> None:
        if until_s > self._at_s:
            self.node_s += self.nodes * (until_s - self._at_s)
            self._at_s = until_s

    def _remove_unneeded(self, now_s: float) -> None:
        per_node = self.spec.pods_per_node
        unneeded = self.nodes - max(self.spec.nodes_min, -(-self.used // per_node))
        if unneeded <= 0:
            self._unneeded_since_s = NEVER_S
            return
        if self._unneeded_since_s == NEVER_S:
            self._unneeded_since_s, self._unneeded = now_s, unneeded
        self._unneeded = min(self._unneeded, unneeded)
        if now_s - self._unneeded_since_s >= self.spec.removal_delay_s:
            self.nodes -= self._unneeded
            self._unneeded_since_s = NEVER_S

    def _order(self, now_s: float, pods: int) -> None:
        nodes = min(-(-pods // self.spec.pods_per_node), self._nodes_allowed())
        if pods <= 0 or nodes <= 0:
            return
        for delay_s, count in self.spec.provisioning.draw(self._rng, nodes):
            self._orders.append(_Order(now_s + delay_s, count))
        self._orders.sort(key=lambda order: order.ready_s)
        self._join_orders()

    def _join_orders(self) -> None:
        joined: list[_Order] = []
        for order in self._orders:
            if joined and joined[-1].ready_s == order.ready_s:
                joined[-1].nodes += order.nodes
                joined[-1].reserved += order.reserved
            else:
                joined.append(order)
        self._orders = joined

    def _nodes_allowed(self) -> int:
        return self.spec.nodes_max - self.nodes - self.ordered

    def _room_of(self, order: _Order) -> int:
        return order.nodes * self.spec.pods_per_node - order.reserved

    def _room_ordered(self) -> int:
        return sum(self._room_of(order) for order in self._orders)

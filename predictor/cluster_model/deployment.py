"""A simulated Deployment: keeps as many pods as wanted, finds them room, replaces them in rollouts.

`workload.py` tells it how many are wanted and when time has passed. It must never know why.
"""

from __future__ import annotations

import math

from numpy.random import Generator

from predictor.cluster_model.delays import Delay
from predictor.cluster_model.nodes import NodePool
from predictor.cluster_model.pods import NEVER_S, Cohort, Fleet

MAX_SURGE = 0.25
"""`strategy.rollingUpdate.maxSurge`, its default, rounded up; maxUnavailable is 0 here, so that a
deploy alone is never a violation."""


class Deployment:
    """The pods of one workload; `nodes` None means endless room."""

    def __init__(self, start_up: Delay, nodes: NodePool | None, rng: Generator) -> None:
        self.fleet = Fleet()
        self._start_up = start_up
        self._nodes = nodes
        self._rng = rng
        self._generation = 0
        self._is_rolling = False

    def start_with(self, pods: int, start_s: float) -> None:
        """Pods that were Ready long before the start."""
        if self._nodes is not None:
            self._nodes.hold(pods)
        if pods:
            self.fleet.add(Cohort(pods, -NEVER_S, -NEVER_S, -NEVER_S, 0))
            self.fleet.become_ready(start_s, (0.0, 0.0))

    def begin_rollout(self) -> None:
        """All pods there are now are to be replaced."""
        self._generation += 1
        self._is_rolling = True

    def lose(self, now_s: float, share: float) -> None:
        """A share of the pods dies, at least one."""
        if self.fleet.pods:
            count = min(math.ceil(self.fleet.pods * share), self.fleet.pods)
            self._release(now_s, self.fleet.lose(count, self._rng))

    def settle(self, now_s: float, wanted: int, counters: tuple[float, float]) -> None:
        """Pods whose time has come are Ready; make or remove pods until `wanted` are there.

        In a rollout old pods go as new ones become Ready, and at most a quarter more than wanted
        exist. `counters` are the running totals per pod up to now.
        """
        fleet = self.fleet
        fleet.become_ready(now_s, counters)
        old = fleet.before(self._generation) if self._is_rolling else 0
        if not old:
            self._is_rolling = False
            self._create(now_s, wanted - fleet.pods)
            if fleet.pods > wanted:
                self._release(now_s, fleet.remove(fleet.pods - wanted))
            return
        spare = max(fleet.ready - wanted, 0) + self._old_starting()
        if spare > 0:
            gone = fleet.remove(min(spare, old), below=self._generation)
            self._release(now_s, gone)
            old -= sum(one.count for one in gone)
        room = wanted + math.ceil(wanted * MAX_SURGE) - fleet.pods
        self._create(now_s, min(wanted - (fleet.pods - old), room))

    def find_room(self, now_s: float) -> None:
        """Pods that wait for a node take room that has become free meanwhile."""
        nodes = self._nodes
        if nodes is None:
            return
        nodes.pass_time(now_s)
        waiting = [one for one in self.fleet.starting_cohorts if one.scheduled_s > now_s]
        for cohort in waiting:
            has_place = cohort.scheduled_s < NEVER_S
            moved = min(cohort.count, nodes.free if has_place else nodes.takes)
            if moved > 0:
                nodes.release(now_s, cohort.scheduled_s, moved)
                self.fleet.withdraw(cohort, moved)
                self._create(now_s, moved, cohort.created_s, cohort.generation)

    def _old_starting(self) -> int:
        return sum(
            one.count for one in self.fleet.starting_cohorts if one.generation < self._generation
        )

    def _create(
        self,
        now_s: float,
        pods: int,
        created_s: float | None = None,
        generation: int | None = None,
    ) -> None:
        if pods <= 0:
            return
        made_s = now_s if created_s is None else created_s
        of = self._generation if generation is None else generation
        places = [(now_s, pods)] if self._nodes is None else self._nodes.place(now_s, pods)
        for scheduled_s, count in places:
            for delay_s, alike in self._start_up.draw(self._rng, count):
                self.fleet.add(Cohort(alike, made_s, scheduled_s, scheduled_s + delay_s, of))

    def _release(self, now_s: float, gone: list[Cohort]) -> None:
        if self._nodes is not None:
            for cohort in gone:
                self._nodes.release(now_s, cohort.scheduled_s, cohort.count)

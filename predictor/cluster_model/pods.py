"""The pods of one workload, as cohorts of pods that are alike: five hundred cost no more than five.

`workload.py` adds and removes them and asks which are Ready. It must never know demand or metrics;
a cohort only carries the counters' values of the moment when it became Ready, for those who
measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.random import Generator

NEVER_S = math.inf


class Cohort:
    """`count` pods made, put on a node and Ready at the same moments (seconds); the last two may
    lie ahead. `counters` is what each pod of the workload had done by the time it became Ready.
    """

    __slots__ = ("count", "counters", "created_s", "generation", "ready_s", "scheduled_s")

    def __init__(
        self, count: int, created_s: float, scheduled_s: float, ready_s: float, generation: int
    ) -> None:
        self.count = count
        self.created_s = created_s
        self.scheduled_s = scheduled_s
        self.ready_s = ready_s
        self.generation = generation
        self.counters = (0.0, 0.0)


class Fleet:
    """All pods of a workload; `ready` and `starting` are numbers of pods."""

    __slots__ = ("ready", "ready_cohorts", "starting", "starting_cohorts")

    def __init__(self) -> None:
        self.ready = 0
        self.starting = 0
        self.ready_cohorts: list[Cohort] = []
        self.starting_cohorts: list[Cohort] = []

    @property
    def pods(self) -> int:
        """Pods that exist."""
        return self.ready + self.starting

    @property
    def next_ready_s(self) -> float:
        """When the next pod becomes Ready, as things stand."""
        return min((one.ready_s for one in self.starting_cohorts), default=NEVER_S)

    def add(self, cohort: Cohort) -> None:
        """New pods, none of them Ready yet."""
        self.starting_cohorts.append(cohort)
        self.starting += cohort.count

    def become_ready(self, now_s: float, counters: tuple[float, float]) -> None:
        """Pods whose time has come are Ready."""
        due = [one for one in self.starting_cohorts if one.ready_s <= now_s]
        if not due:
            return
        self.starting_cohorts = [one for one in self.starting_cohorts if one.ready_s > now_s]
        for cohort in sorted(due, key=lambda one: one.ready_s):
            cohort.counters = counters
            self.ready_cohorts.append(cohort)
            self.ready += cohort.count
            self.starting -= cohort.count

    def join_settled(self, before_s: float) -> None:
        """Make one cohort of the oldest two of a generation, both Ready before this moment."""
        ready = self.ready_cohorts
        while (
            len(ready) > 1
            and ready[1].ready_s < before_s
            and ready[0].generation == ready[1].generation
        ):
            ready[0].count += ready.pop(1).count

    def before(self, generation: int) -> int:
        """Pods of earlier generations."""
        return sum(one.count for one in self._all() if one.generation < generation)

    def remove(self, pods: int, below: float = math.inf) -> list[Cohort]:
        """Take away so many pods of the generations before `below`; gives what went.

        As a ReplicaSet does: those on no node yet first, then those not Ready, then the latest
        Ready, and the youngest of each. Source: Kubernetes `pkg/controller/controller_utils.go`,
        `ActivePodsWithRanks.Less`; left out are deletion costs, the spread over nodes and the
        logarithmic rounding of ages.
        """
        gone: list[Cohort] = []
        for cohort in self._in_order_of_removal():
            if pods <= 0:
                break
            if cohort.generation < below:
                taken = min(pods, cohort.count)
                pods -= taken
                gone.append(self._take(cohort, taken))
        self._drop_empty()
        return gone

    def lose(self, pods: int, rng: Generator) -> list[Cohort]:
        """Let so many pods die, each as likely as any other; gives what went."""
        cohorts = list(self._all())
        counts = np.array([one.count for one in cohorts], dtype=np.int64)
        taken = rng.multivariate_hypergeometric(counts, min(pods, int(counts.sum())))
        gone = [
            self._take(cohort, count)
            for cohort, count in zip(cohorts, taken.tolist(), strict=True)
            if count
        ]
        self._drop_empty()
        return gone

    def withdraw(self, cohort: Cohort, pods: int) -> None:
        """Take pods that are not Ready out of a cohort, to be placed anew."""
        cohort.count -= pods
        self.starting -= pods
        self._drop_empty()

    def _take(self, cohort: Cohort, count: int) -> Cohort:
        cohort.count -= count
        if cohort in self.ready_cohorts:
            self.ready -= count
        else:
            self.starting -= count
        return Cohort(
            count, cohort.created_s, cohort.scheduled_s, cohort.ready_s, cohort.generation
        )

    def _in_order_of_removal(self) -> list[Cohort]:
        newest_first = sorted(
            self.starting_cohorts, key=lambda one: (one.scheduled_s, one.created_s), reverse=True
        )
        return [*newest_first, *reversed(self.ready_cohorts)]

    def _drop_empty(self) -> None:
        self.ready_cohorts = [one for one in self.ready_cohorts if one.count]
        self.starting_cohorts = [one for one in self.starting_cohorts if one.count]

    def _all(self) -> Iterable[Cohort]:
        yield from self.ready_cohorts
        yield from self.starting_cohorts

"""What goes wrong, or is changed, in a simulated workload, and when: a value made before the run.

`workload.py` plays it. Listed by hand or drawn from a seed; it must never depend on what happens
in the run, so that all arms of a comparison meet the same incidents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.random import Generator

INCIDENTS_MAX = 10_000
"""Of one workload and run; a year of daily deploys and hourly failures is within it."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """A rolling update begins: maxSurge 25 %, no pod less than wanted."""

    at_s: float


@dataclass(frozen=True, slots=True)
class PodFailure:
    """This share of the pods (at least one) dies at once; the Deployment makes new ones."""

    at_s: float
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"a share of {self.share} of the pods cannot fail")


@dataclass(frozen=True, slots=True)
class RegionOutage:
    """From `at_s` on nothing in the region answers, its HPA controller included, for a while."""

    at_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.duration_s < math.inf:
            raise ValueError(f"an outage of {self.duration_s} s is not one")


@dataclass(frozen=True, slots=True)
class MetricFailure:
    """Calls for these metrics (by `Metric.key`; none named: all) fail for a while.

    Names that an HPA does not have are noted by the workload.
    """

    at_s: float
    duration_s: float
    metrics: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0.0 < self.duration_s < math.inf:
            raise ValueError(f"a metric failure of {self.duration_s} s is not one")


Incident = Deploy | PodFailure | RegionOutage | MetricFailure


@dataclass(frozen=True, slots=True)
class Incidents:
    """All of one workload's, in the order of time whatever order they were listed in.

    What began before a run's start is over.
    """

    all: tuple[Incident, ...] = ()

    def __post_init__(self) -> None:
        if len(self.all) > INCIDENTS_MAX:
            raise ValueError(f"{len(self.all)} incidents are more than {INCIDENTS_MAX}")
        if not all(math.isfinite(one.at_s) for one in self.all):
            raise ValueError("an incident is at no time")
        object.__setattr__(self, "all", tuple(sorted(self.all, key=lambda one: one.at_s)))


@dataclass(frozen=True, slots=True)
class IncidentRates:
    """How often each kind comes, per day on average, and how bad it is.

    `failure_share` of the pods die in a failure; a region is out for `outage_s`, metrics for
    `metric_failure_s`.
    """

    deploys_per_day: float = 0.0
    failures_per_day: float = 0.0
    outages_per_day: float = 0.0
    metric_failures_per_day: float = 0.0
    failure_share: float = 0.1
    outage_s: float = 600.0
    metric_failure_s: float = 300.0


def drawn_incidents(
    rates: IncidentRates, start_s: float, end_s: float, rng: Generator
) -> Incidents:
    """Incidents at random moments of [start_s, end_s), each kind a Poisson process.

    Raises `ValueError` where more than `INCIDENTS_MAX` would come, or a rate is negative.
    """

    def moments(per_day: float) -> list[float]:
        count = int(rng.poisson(per_day * (end_s - start_s) / 86_400.0))
        if count > INCIDENTS_MAX:
            raise ValueError(f"{per_day} incidents a day are more than {INCIDENTS_MAX} in all")
        return [float(one) for one in rng.uniform(start_s, end_s, count)]

    found: list[Incident] = [Deploy(at_s) for at_s in moments(rates.deploys_per_day)]
    found += [PodFailure(at_s, rates.failure_share) for at_s in moments(rates.failures_per_day)]
    found += [RegionOutage(at_s, rates.outage_s) for at_s in moments(rates.outages_per_day)]
    found += [
        MetricFailure(at_s, rates.metric_failure_s)
        for at_s in moments(rates.metric_failures_per_day)
    ]
    return Incidents(tuple(found))

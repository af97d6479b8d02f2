"""Bursts, outages and deploys of a synthetic load: drawn once, then asked for any stretch of time.

`predictor/events/synthetic_load.py` multiplies its rates by them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictor.events.load_plan import LoadPlan

Floats = NDArray[np.float64]

DAY_S = 86_400
EVERYWHERE = -1
ROLLOUT_S = 40.0
"""How long a deploy takes capacity away."""
ROLLOUT_FACTOR = 0.4
COLD_START_S = 60.0
COLD_START_FACTOR = 1.2
"""After a rollout the clients' retries come on top until caches and connections are warm."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A shot: demand jumps by `height` times itself and decays with `decay_s`."""

    at_s: float
    region: int
    height: float
    decay_s: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Nothing arrives; module or region -1 means all of them."""

    from_s: float
    until_s: float
    module: int
    region: int


@dataclass(frozen=True, slots=True)
class Deploy:
    """A module in a region is rolled out: a short dip, then a cold start."""

    at_s: float
    module: int
    region: int


@dataclass(frozen=True, slots=True)
class Incidents:
    """Everything that happens to the load."""

    bursts: tuple[Burst, ...] = ()
    outages: tuple[Outage, ...] = ()
    deploys: tuple[Deploy, ...] = ()

    def burst_factor(self, region: int, times_s: Floats) -> Floats:
        """What bursts make of a region's workflows, 1 where there is none."""
        factor = np.ones_like(times_s)
        for burst in self.bursts:
            if burst.region in (EVERYWHERE, region):
                since_s = times_s - burst.at_s
                shot = burst.height * np.exp(-np.maximum(since_s, 0) / burst.decay_s)
                factor += np.where(since_s >= 0, shot, 0.0)
        return factor

    def fault_factor(self, module: int, region: int, times_s: Floats) -> Floats:
        """What outages and deploys leave of a module's requests in a region."""
        factor = np.ones_like(times_s)
        for deploy in self.deploys:
            if (deploy.module, deploy.region) == (module, region):
                since_s = times_s - deploy.at_s
                factor[(since_s >= 0) & (since_s < ROLLOUT_S)] *= ROLLOUT_FACTOR
                warm_s = since_s - ROLLOUT_S
                factor[(warm_s >= 0) & (warm_s < COLD_START_S)] *= COLD_START_FACTOR
        for outage in self.outages:
            if outage.region in (EVERYWHERE, region) and outage.module in (EVERYWHERE, module):
                factor[(times_s >= outage.from_s) & (times_s < outage.until_s)] = 0.0
        return factor


def draw_incidents(plan: LoadPlan) -> Incidents:
    """As many as the plan's frequencies ask for, Poisson over its time."""
    drawn = np.random.default_rng([plan.seed, 1])
    modules, regions = len(plan.modules), len(plan.regions)

    def times(per_day: float) -> list[float]:
        count = drawn.poisson(per_day * plan.duration_s / DAY_S)
        return sorted((plan.start_s + drawn.random(count) * plan.duration_s).tolist())

    bursts = tuple(
        Burst(
            at_s,
            int(drawn.integers(-1, regions)),
            float(np.minimum(drawn.lognormal(0.2, 0.7), 12.0)),
            float(drawn.uniform(120, 1200)),
        )
        for at_s in times(plan.bursts_per_day)
    )
    outages = []
    for at_s in times(plan.outages_per_day):
        until_s = at_s + float(np.minimum(drawn.exponential(420.0) + 60.0, 3600.0))
        of_module = drawn.random() < 0.5
        module = int(drawn.integers(modules)) if of_module else EVERYWHERE
        outages.append(Outage(at_s, until_s, module, int(drawn.integers(regions))))
    deploys = tuple(
        Deploy(at_s, int(drawn.integers(modules)), int(drawn.integers(regions)))
        for at_s in times(plan.deploys_per_day)
    )
    return Incidents(bursts, tuple(outages), deploys)

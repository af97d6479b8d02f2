"""What a synthetic load is to look like: one value, checked when it is built.

`predictor/events/generate.py` builds it from the command line, `predictor/events/synthetic_load.py`
draws by it. Nothing here draws anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SPAN_S_MAX = 400 * 86_400
RATE_PER_S_MAX = 1e7


class PlanError(ValueError):
    """The plan contradicts itself; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPlan:
    """A region: its share of the load, and how far its clocks are ahead of UTC."""

    name: str
    weight: float
    utc_offset_h: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Times in seconds, rates per second, shares in 0 to 1.

    `rate_per_s` is the mean over the whole time and all modules, before outages and deploys take
    some of it away. `aggregate_s` 0 writes one event a request. `dispersion` is the variance of the
    rate's own noise relative to its square, over ten seconds. `disorder_s` is the mean delay of an
    event, at most `disorder_max_s`. `heartbeat_s` 0 sends none.
    """

    seed: int
    start_s: int
    duration_s: int
    rate_per_s: float
    modules: tuple[str, ...]
    regions: tuple[RegionPlan, ...]
    aggregate_s: int = 0
    bucket_s: int = 10
    stage_s: float = 20.0
    season: bool = True
    pinned_share: float = 0.2
    dispersion: float = 0.02
    duplicate_share: float = 0.005
    disorder_s: float = 0.5
    disorder_max_s: float = 5.0
    rejected_share: float = 0.0
    sample_rate: float = 1.0
    heartbeat_s: int = 0
    bursts_per_day: float = 4.0
    outages_per_day: float = 0.2
    deploys_per_day: float = 1.0

    def __post_init__(self) -> None:
        """Raises `PlanError` with the first thing that cannot be."""
        for is_fine, sentence in self._conditions():
            if not is_fine:
                raise PlanError(sentence)

    @property
    def step_s(self) -> int:
        """The time that is drawn at once: a summary's, or a second."""
        return self.aggregate_s or 1

    @property
    def end_s(self) -> int:
        """The first second after the load: whole steps only."""
        return self.start_s + self.duration_s // self.step_s * self.step_s

    def _conditions(self) -> list[tuple[bool, str]]:
        step_s = max(self.aggregate_s, 1)
        shares = {
            "pinned share": self.pinned_share,
            "duplicate share": self.duplicate_share,
            "rejected share": self.rejected_share,
        }
        frequencies = {
            "bursts": self.bursts_per_day,
            "outages": self.outages_per_day,
            "deploys": self.deploys_per_day,
        }
        weights = [region.weight for region in self.regions]
        return [
            (bool(self.modules), "there are no modules"),
            (bool(weights) and sum(weights) > 0 and min(weights) >= 0, "no region has a weight"),
            (0 <= self.seed < 2**63, "the seed is a whole number from 0 on"),
            (0 < self.rate_per_s <= RATE_PER_S_MAX, "the rate lies above 0 and at most 1e7/s"),
            (0 <= self.aggregate_s <= 3600, "a summary holds at most 3600 s"),
            (step_s <= self.duration_s <= SPAN_S_MAX, f"the duration is {step_s} s to 400 days"),
            (self.start_s % step_s == 0, f"the start is no multiple of {step_s} s"),
            (0 < self.sample_rate <= 1, "the sample rate lies above 0 and at most 1"),
            (0 <= self.dispersion <= 10, "the dispersion is 0 to 10"),
            (0 <= self.disorder_s <= self.disorder_max_s <= 3600, "the disorder is 0 to 3600 s"),
            (0 <= self.heartbeat_s <= 3600, "heartbeats come at least once an hour"),
            (0 <= self.stage_s <= 600, "a stage takes 0 to 600 s"),
            *((0 <= one <= 1, f"the {name} is 0 to 1") for name, one in shares.items()),
            *(
                (0 <= one <= 1000 and math.isfinite(one), f"{name} per day are 0 to 1000")
                for name, one in frequencies.items()
            ),
        ]

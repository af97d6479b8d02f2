"""What one pod carries, and how many pods a demand takes.

`usage_samples.py` learns from what pods use, `rates.py` chooses the metric that binds,
`evidence.py` says why. `predictor/core/decide.py` calls all three. Nothing in here may move a
floor.
"""

from predictor.core.capacity.evidence import Evidence
from predictor.core.capacity.rates import (
    RateSource,
    RatesPerPod,
    rates_per_pod,
    replicas_for,
)
from predictor.core.capacity.usage_samples import learn_rates

__all__ = [
    "RatesPerPod",
    "RateSource",
    "Evidence",
    "learn_rates",
    "rates_per_pod",
    "replicas_for",
]

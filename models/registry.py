"""Every forecasting method by its name; a new one is tested by being listed here.

The command line and `tests/models` read it. Nothing may be fitted here: each entry works on a bare
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from models.cascade import Cascade, fit_cascade
from models.ensemble import Ensemble
from models.ensemble_fit import fit_ensemble
from models.forecast import Forecaster, Horizon
from models.last_value import LastValue, fit_last_value
from models.seasonal_level import SeasonalLevel, fit_seasonal_level
from models.seasonal_naive import SeasonalNaive
from models.series import SeriesBatch

Fit = Callable[[SeriesBatch, Horizon], Forecaster]


def _needs_no_fit(_history: SeriesBatch, _horizon: Horizon) -> Forecaster:
    return SeasonalNaive()


REGISTRY: Mapping[str, Forecaster] = MappingProxyType(
    {
        method.name: method
        for method in (
            Ensemble(Cascade()),
            Cascade(),
            SeasonalLevel(),
            LastValue(),
            SeasonalNaive(),
        )
    }
)
"""Unfitted methods: what a service without a model runs."""

QUICK_FITS: Mapping[str, Fit] = MappingProxyType(
    {
        "cascade": fit_cascade,
        "seasonal-level": fit_seasonal_level,
        "last-value": fit_last_value,
        "seasonal-naive": _needs_no_fit,
    }
)
"""How the methods beneath the ensemble are fitted: they take seconds for thousands of series."""

FITS: Mapping[str, Fit] = MappingProxyType({"ensemble": fit_ensemble, **QUICK_FITS})
"""How each method is fitted to a history for a horizon."""

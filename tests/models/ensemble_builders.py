"""Small ensembles and their horizons for tests: the same method with fewer trees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from models import boosted_quantiles, rolling_origins
from models.forecast import ForecastBatch
from models.series import FloatArray, SeriesBatch
from tests.models.series_builders import MONDAY_S, a_batch

FEW = 6


@contextmanager
def few_trees() -> Iterator[None]:
    """A tenth of the trees, grown again half as often: quicker, and every step is still taken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosted_quantiles, "ITERATIONS", FEW)
        patch.setattr(rolling_origins, "REFITS", 2)
        yield


def until(batch: SeriesBatch, steps: int) -> SeriesBatch:
    """What was known after so many steps."""
    return SeriesBatch(batch.keys, batch.start_s, batch.step_s, batch.values[:, :steps])


def only(batch: SeriesBatch, *rows: int) -> SeriesBatch:
    """Some rows, in this order, under their own keys."""
    keys = tuple(batch.keys[row] for row in rows)
    return SeriesBatch(keys, batch.start_s, batch.step_s, batch.values[list(rows)])


def a_quiet_load(steps: int, rate: float = 100.0, seed: int = 1) -> FloatArray:
    """No shape of a day, noise of a tenth."""
    noise = np.random.default_rng(seed).standard_normal(steps)
    return np.asarray(rate * np.exp(0.1 * noise))


def two_short_rows(steps: int = 130) -> SeriesBatch:
    """Enough for the mix, too little for trees: rows know nothing of each other."""
    rows = np.stack([a_quiet_load(steps, 100.0, 1), a_quiet_load(steps, 5.0, 2)])
    return a_batch(rows, start_s=MONDAY_S)


def assert_whole(made: ForecastBatch) -> None:
    """Finite, ordered and not negative, or no number at all and a reason."""
    for row, reason in enumerate(made.reasons):
        assert reason.sentence
        for numbers in (made.peak[row], made.steps[row]):
            if made.usable[row]:
                assert np.isfinite(numbers).all()
                assert (numbers >= 0).all()
                assert (np.diff(numbers, axis=0) >= 0).all()
            else:
                assert np.isnan(numbers).all()

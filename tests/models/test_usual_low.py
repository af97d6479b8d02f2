"""What is usual at the newest moments is the same whether asked for them alone or for all."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.series import SeriesBatch, SeriesKey
from models.usual_low import newest_low, usual_low

STEP_S = 300


@given(
    seed=st.integers(0, 2**16),
    steps=st.integers(1, 9 * 288),
    gaps=st.floats(0, 0.9),
    count=st.integers(1, 20),
)
def test_the_newest_low_is_that_of_the_whole_history_wherever_days_tell_it(
    seed: int, steps: int, gaps: float, count: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.0, 10.0, (2, steps))
    values[rng.random(values.shape) < gaps] = np.nan
    batch = SeriesBatch((SeriesKey("a", "-"), SeriesKey("b", "-")), 0, STEP_S, values)
    alone = newest_low(batch, count)
    whole = np.full((2, count), np.nan)
    known = min(count, steps)
    whole[:, count - known :] = usual_low(batch)[:, steps - known :]
    told = np.isfinite(alone) & np.isfinite(whole)
    assert np.array_equal(alone[told], whole[told])
    assert told[:, -1].all() or steps <= 288 or gaps > 0

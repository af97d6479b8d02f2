"""What ours costs: training, a large batch, one series; and how it takes shocks.

`scripts/bench_forecast.py` runs it as a process of its own that prints JSON, so that peak memory is
that of the batch alone. CPU seconds of one core.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from models.ensemble import Ensemble
from models.forecast import Forecaster
from models.series import SeriesBatch, SeriesKey
from models.step_windows import uniform_horizon
from scripts.forecast_peers.child_process import ProcessFailed, run_alone
from scripts.forecast_peers.ours import MissingPartError, part_of_ours
from scripts.forecast_peers.scenarios import (
    DAY,
    HOLD_S,
    LEAD_S,
    batch_of,
    counted,
    daily_load,
    flash_crowd,
    outage,
)
from scripts.forecast_peers.tiled import tiled

TRAINED_SERIES, TRAINED_DAYS = 30, 28
BATCH_SERIES, BATCH_DAYS = 30_000, 8
"""Eight days are what the mix looks back; so many series are kept at single precision
(`history.precision`)."""
CROWDS = (2.0, 5.0)
REPEATS = 20
RUN_S_MAX = 3_600

Result = TypeVar("Result")


def measure_speed() -> dict[str, Any]:
    """All figures, measured in a fresh process on one core.

    Raises `MissingPartError` with the reason where that process cannot measure them.
    """
    try:
        printed = run_alone([sys.executable, "-m", "scripts.forecast_peers.speed"], RUN_S_MAX)
    except ProcessFailed as error:
        raise MissingPartError(f"the speed part is left out: {error}") from error
    found: dict[str, Any] = json.loads(printed)
    return found


def _measure(fit_many: Callable[..., Ensemble]) -> dict[str, Any]:
    history = batch_of(_loads(TRAINED_SERIES, TRAINED_DAYS * DAY))

    def fit(batch: SeriesBatch) -> Ensemble:
        return fit_many(batch, uniform_horizon(len(batch.keys), LEAD_S, HOLD_S))

    trained, training_s = _timed(lambda: fit(history))
    return {
        f"training_{TRAINED_SERIES}_series_{TRAINED_DAYS}_days": {"cpu_s": training_s},
        f"forecast_{BATCH_SERIES}_series": _large_batch(trained, history),
        "forecast_one_series": _one_series(fit, history),
        "flash_crowd_until_covered": {
            f"times {times:g}": flash_crowd(fit, times) for times in CROWDS
        },
        "after_outage_over_truth": {
            "telemetry away": outage(fit, np.nan), "no load": outage(fit, 0.0),
        },
    }  # fmt: skip


def _loads(rows: int, steps: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([counted(daily_load(steps, seed=row), seed=row) for row in range(rows)])


def _large_batch(trained: Ensemble, history: SeriesBatch) -> dict[str, float]:
    """Many series, each with the state of a trained one.

    `usable_share` says how many got a forecast at all: one that is refused costs nothing.
    """
    times = BATCH_SERIES // len(history.keys)
    newest: Any = history.values[:, -BATCH_DAYS * DAY :].astype(np.float32)
    values = np.tile(newest, (times, 1))
    keys = tuple(SeriesKey(f"module-{row}", "-") for row in range(len(values)))
    start_s = history.end_s - BATCH_DAYS * DAY * history.step_s
    many = SeriesBatch(keys, start_s, history.step_s, values)
    horizon = uniform_horizon(len(many.keys), LEAD_S, HOLD_S)
    known = tiled(trained, many.keys)
    made, cpu_s = _timed(lambda: known.forecast(many, horizon))
    return {
        "cpu_s": cpu_s,
        "usable_share": float(made.usable.mean()),
        "batch_mib": values.nbytes / 2**20,
        "process_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _one_series(fit: Callable[[SeriesBatch], Forecaster], history: SeriesBatch) -> dict[str, float]:
    one = SeriesBatch(history.keys[:1], history.start_s, history.step_s, history.values[:1])
    trained, horizon = fit(one), uniform_horizon(1, LEAD_S, HOLD_S)
    taken = [_timed(lambda: trained.forecast(one, horizon))[1] for _ in range(REPEATS)]
    return {"cpu_ms": 1e3 * float(np.median(taken))}


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def main() -> int:
    """Print the figures as JSON, or one sentence on stderr about what is missing."""
    try:
        ensemble = part_of_ours("models.ensemble_fit")
    except MissingPartError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(_measure(ensemble.fit_ensemble)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

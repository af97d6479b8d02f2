"""Measures how well the cost of a request is learned, next to scikit-learn's robust regressions.

    python -m scripts.bench_cost_line [--rows 400]

Seeded samples as a worker keeps them: usage of a pod at different loads, idle share and slope
unknown, some readings wild (a batch job, a compiler that warms up). What counts is the demand that
a pod carries at the HPA's target, which lies beyond most loads seen. Every method gets the same
samples in the same run. Prints a table and writes build/bench/cost-line.json; never part of a test.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import HuberRegressor, LinearRegression, TheilSenRegressor

from models.series import FloatArray
from predictor.core.capacity.usage_samples import SLOTS_PER_DOUBLING
from predictor.core.line_fit import fit_lines, x_at
from predictor.core.state import USAGE_SLOTS

TARGET = 70.0
NOISE = 0.03
WILD_FACTOR = (1.5, 3.0)
WILD_SHARES = (0.0, 0.1, 0.2)
OUT = Path("build/bench/cost-line.json")

Method = Callable[[FloatArray, FloatArray], FloatArray]
"""Loads and usage of shape (rows, samples) to the load at `TARGET`, shape (rows,)."""


def main() -> None:
    """Print and keep errors and costs of all methods at each share of wild readings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    rows: int = parser.parse_args().rows
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for share in WILD_SHARES:
        loads, usage, truth = samples(rows, share)
        figures[f"{share:g}"] = {
            name: judged(method, loads, usage, truth) for name, method in METHODS.items()
        }
        _, low = x_at(fit_lines(loads, usage), np.full(rows, TARGET))
        held = float((low <= truth)[np.isfinite(low)].mean())
        figures[f"{share:g}"]["ours"]["low_bound_holds"] = held
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "by_wild_share": figures}, indent=1) + "\n")
    report(figures)


def samples(rows: int, wild_share: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Loads, usage and the true load at the target of seeded rows."""
    rng = np.random.default_rng(7)
    truth = rng.uniform(20.0, 200.0, rows)
    idle = rng.uniform(2.0, 25.0, rows)
    slope = (TARGET - idle) / truth
    # From a tenth to two thirds of what a pod carries, at the spacing of a worker's slots.
    steps = np.arange(USAGE_SLOTS) % round(SLOTS_PER_DOUBLING * 2.7)
    loads = 0.1 * truth[:, None] * 2.0 ** (steps / SLOTS_PER_DOUBLING)
    loads = loads * rng.uniform(0.97, 1.03, loads.shape)
    usage = (idle[:, None] + slope[:, None] * loads) * rng.normal(1.0, NOISE, loads.shape)
    is_wild = rng.random(loads.shape) < wild_share
    return loads, np.where(is_wild, usage * rng.uniform(*WILD_FACTOR, loads.shape), usage), truth


def judged(
    method: Method, loads: FloatArray, usage: FloatArray, truth: FloatArray
) -> dict[str, float]:
    """Relative errors of the load at the target, and CPU milliseconds a row."""
    start_s = time.process_time()
    found = method(loads, usage)
    spent_s = time.process_time() - start_s
    error = np.abs(found / truth - 1.0)
    return {
        "error_median": float(np.nanmedian(error)),
        "error_p95": float(np.nanquantile(error, 0.95)),
        "unanswered": float(np.isnan(found).mean()),
        "cpu_ms_per_row": 1e3 * spent_s / len(truth),
    }


def ours(loads: FloatArray, usage: FloatArray) -> FloatArray:
    """The service's own lines, all rows at once."""
    point, _ = x_at(fit_lines(loads, usage), np.full(len(loads), TARGET))
    return point


def proportional(loads: FloatArray, usage: FloatArray) -> FloatArray:
    """What sizing by one reading does, here that of the highest load: no idle share."""
    place = np.arange(len(loads)), loads.argmax(axis=1)
    carried: FloatArray = loads[place] * TARGET / usage[place]
    return carried


def by_rows(regressor: Callable[[], object]) -> Method:
    """One of scikit-learn's regressors, a fit for each row."""

    def fitted(loads: FloatArray, usage: FloatArray) -> FloatArray:
        found = np.full(len(loads), np.nan)
        for row, (x, y) in enumerate(zip(loads, usage, strict=True)):
            model = regressor()
            scale = x.max()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a solver at its limit is judged by its answer
                model.fit(x[:, None] / scale, y)  # type: ignore[attr-defined]  # untyped library
            slope = float(model.coef_[0]) / scale  # type: ignore[attr-defined]
            found[row] = (TARGET - float(model.intercept_)) / slope  # type: ignore[attr-defined]
        return found

    return fitted


METHODS: dict[str, Method] = {
    "ours": ours,
    "highest load alone, no idle share": proportional,
    "LinearRegression": by_rows(LinearRegression),
    "HuberRegressor": by_rows(lambda: HuberRegressor(max_iter=500)),
    "TheilSenRegressor": by_rows(lambda: TheilSenRegressor(random_state=7)),
}


def report(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    """A table for each share of wild readings; times as ratios to ours."""
    for share, methods in figures.items():
        print(f"wild readings: {float(share):.0%}")
        unit = methods["ours"]["cpu_ms_per_row"]
        for name, said in methods.items():
            ratio = said["cpu_ms_per_row"] / unit if unit else np.nan
            print(
                f"  {name:33} error {said['error_median']:6.1%} p95 {said['error_p95']:6.1%}"
                f"  unanswered {said['unanswered']:4.0%}  CPU {ratio:6.1f} x ours"
            )
        print(f"  the low bound of ours holds for {methods['ours']['low_bound_holds']:.0%}")


if __name__ == "__main__":
    main()

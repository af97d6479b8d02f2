"""`make bench`: how good forecasts are, and what a tick costs.

Ratios against a peer measured in the same run, printed and written to `build/bench/NAME.json`.
Run as `python -m scripts.bench [forecast-sample] [speed]`. It must never pass or fail
anything.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models.cascade import fit_cascade
from models.scoring import score
from models.series import SeriesBatch, SeriesKey
from models.step_windows import uniform_horizon
from predictor.demo import write_events
from predictor.file_demand import file_demand
from predictor.sample_load import load_sample
from streams.events import Catalog

OUT = Path("build") / "bench"
LEADS_S = (120.0, 300.0, 600.0)
MODULES_MANY = 10_000


def forecast() -> dict[str, Any]:
    """Loss of the window's peak, divided by seasonal naive's, on rolling origins of the sample."""
    load = load_sample()
    counts = [np.nan if count is None else count / 60 for count in load.counts]
    batch = SeriesBatch((SeriesKey("sample", "-"),), load.start_s, 60, np.array([counts]))
    rows: dict[str, Any] = {}
    for lead_s in LEADS_S:
        scores = score(batch, uniform_horizon(1, lead_s, 600.0))
        for name, one in scores.items():
            shares = dict(zip(one.levels, one.coverage, strict=True))
            rows[f"{name}, lead {lead_s:.0f} s"] = {
                "loss_ratio": round(one.ratio, 3),
                "coverage_90": round(shares[0.9], 3),
                "coverage_95": round(shares[0.95], 3),
                "origins": one.origins,
            }
    return rows


def speed() -> dict[str, Any]:
    """CPU seconds of the hot parts; events per CPU second from file to closed bucket."""
    events = OUT / "events.jsonl.gz"
    if not events.exists():
        for _ in write_events(load_sample(), events):
            pass
    catalog = Catalog(["core"], ["us-east-1", "eu-west-1", "ap-southeast-1"])
    count = sum(
        cell.events for d in file_demand(events, catalog) for p in d.parts for cell in p.cells
    )
    decoding_s = _cpu_s(lambda: [None for _ in file_demand(events, catalog)], repeats=1)
    rng = np.random.default_rng(1)
    values = rng.gamma(20, 5, (MODULES_MANY, 240))
    keys = tuple(SeriesKey(f"module-{n}", "-") for n in range(MODULES_MANY))
    batch = SeriesBatch(keys, 1_750_000_000, 60, values)
    window = uniform_horizon(MODULES_MANY, 120.0, 600.0)
    model = fit_cascade(batch, window)
    forecast_s = _cpu_s(lambda: model.forecast(batch, window), repeats=5)
    return {
        "events per CPU second, gzip file to closed bucket": {
            "per_cpu_s": round(count / decoding_s)
        },
        f"forecast of {MODULES_MANY} series": {"cpu_ms": round(forecast_s * 1e3, 1)},
    }


def _cpu_s(work: Callable[[], object], repeats: int) -> float:
    """The median CPU time of some runs."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return sorted(taken)[len(taken) // 2]


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "forecast-sample": forecast,
    "speed": speed,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or list(BENCHMARKS):
        rows = BENCHMARKS[name]()
        path = OUT / f"{name}.json"
        path.write_text(json.dumps(rows, indent=2) + "\n")
        table = Table(title=f"{name} → {path}", title_justify="left")
        table.add_column("what")
        for column in next(iter(rows.values())):
            table.add_column(column, justify="right")
        for label, row in rows.items():
            table.add_row(label, *(f"{value:,}" for value in row.values()))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

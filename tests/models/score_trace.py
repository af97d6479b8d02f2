"""Scores every forecaster on traces (gzipped CSV: [series,]timestamp,value) and prints a table.

Not a test. `python -m tests.models.score_trace FILE.csv.gz [FILE.csv.gz ...]`, from the project's
root.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np

from models.scoring import score
from models.series import SeriesBatch, SeriesKey
from models.step_windows import uniform_horizon

SHOWN_LEVELS = (0.9, 0.95, 0.99)


def read_trace(path: Path) -> list[SeriesBatch]:
    """One batch a series, as rates per second; the step is the smallest distance of two stamps."""
    points: dict[str, dict[int, float]] = defaultdict(dict)
    with gzip.open(path, "rt") as file:
        for line in csv.DictReader(file):
            at_s = int(datetime.fromisoformat(line["timestamp"]).timestamp())
            points[line.get("series", path.stem)][at_s] = float(line["value"])
    batches = []
    for name, known in points.items():
        stamps = np.array(sorted(known))
        step_s = int(np.diff(stamps).min())
        values = np.full((1, (stamps[-1] - stamps[0]) // step_s + 1), np.nan)
        values[0, (stamps - stamps[0]) // step_s] = [known[int(at_s)] for at_s in stamps]
        key = SeriesKey(name, "*")
        batches.append(SeriesBatch((key,), int(stamps[0]), step_s, values / step_s))
    return batches


def main(paths: list[str]) -> None:
    print(f"{'series':28} lead_s {'method':15} ratio  cover 0.9   0.95   0.99  origins")
    for path in map(Path, paths):
        for batch in read_trace(path):
            for lead_s in (120, 300, 600) if batch.step_s < 300 else (600,):
                horizon = uniform_horizon(1, lead_s, 600)
                found = score(batch, horizon, folds=10, origins_per_fold=150)
                for name, result in found.items():
                    cover = [
                        f"{result.coverage[result.levels.index(level)]:6.3f}"
                        for level in SHOWN_LEVELS
                    ]
                    print(
                        f"{batch.keys[0].module[:28]:28} {lead_s:6} {name:15} {result.ratio:5.3f}"
                        f"     {' '.join(cover)}  {result.origins}"
                    )


if __name__ == "__main__":
    main(sys.argv[1:])

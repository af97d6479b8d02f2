"""`mplp-predictor train`: history from a file or topic → a model folder that `run` loads.

Offline; the command line calls it. The history goes through the same decoding, windows and series
as live. It must never write to a topic, and never leave half a model behind.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from models.series import SeriesBatch
from models.store import Manifest, save_model
from models.training import TrainingReport, train
from predictor import __version__
from predictor.core.history import History
from predictor.core.lead_time import horizon
from predictor.core.state import new_state
from predictor.file_demand import file_demand
from predictor.history_topic import AFTER_EVERYTHING_S, read_history
from predictor.settings import Settings
from predictor.wiring import event_catalog

DAY_S = 86_400
LIBRARIES = ("scikit-learn", "statsmodels")


class TrainingFailed(Exception):  # noqa: N818 - it says what failed
    """There is nothing to learn from; the message says what was found."""


def train_model(settings: Settings, events: Path | None, out: Path) -> Manifest:
    """Train and store; prints what was learned. Raises `TrainingFailed`, `OSError`, `EOFError`."""
    console = Console(stderr=True)
    history, counts = (
        asyncio.run(read_history(settings)) if events is None else _from_file(settings, events)
    )
    batch = history.series(AFTER_EVERYTHING_S)
    measured = int(np.isfinite(batch.values).any(axis=1).sum())
    if not measured:
        raise TrainingFailed(f"no series holds a whole step; records: {dict(counts) or 'none'}")
    window = horizon(batch.keys, settings.policy(), new_state())
    with console.status(f"learning {measured} series of {batch.values.shape[1]} steps"):
        model, report = train(batch, window)
    manifest = save_model(
        out,
        model,
        datetime.now(UTC),
        trained_from_s=batch.start_s,
        report=msgspec.to_builtins(report.scores) | _report(report, counts),
        libraries={name: version(name) for name in LIBRARIES} | {"mplp-predictor": __version__},
    )
    _print(console, batch, report, counts, out)
    return manifest


def _from_file(settings: Settings, path: Path) -> tuple[History, Counter[str]]:
    windows = settings.windows
    history, counts = settings.new_history(), Counter[str]()
    catalog = event_catalog(settings)
    for found in file_demand(
        path, catalog, bucket_s=windows.bucket_s, lateness_s=windows.lateness_s, counts=counts
    ):
        for part in found.parts:
            history.add(part)
        history.advance(found.progress)
        history.series(AFTER_EVERYTHING_S)
    return history, counts


def _report(report: TrainingReport, counts: Counter[str]) -> dict[str, Any]:
    return {
        "series": report.series,
        "usable": report.usable,
        "seasonal": report.seasonal,
        "records": dict(counts),
    }


def _print(
    console: Console,
    batch: SeriesBatch,
    report: TrainingReport,
    counts: Counter[str],
    out: Path,
) -> None:
    days = batch.values.shape[1] * batch.step_s / DAY_S
    console.print(f"{dict(counts)}; {report.series} series over {days:.1f} days")
    console.print(f"{report.usable} can be forecast, {report.seasonal} of them by season")
    if report.scores:
        table = Table(title="peak of the window on rolling origins, newest 40 % of the history")
        for heading in ("method", "loss ÷ seasonal naive", "≤ 0.9", "≤ 0.95", "≤ 0.99", "origins"):
            table.add_column(heading, justify="left" if heading == "method" else "right")
        for name, one in report.scores.items():
            shares = dict(zip(one.levels, one.coverage, strict=True))
            table.add_row(
                name,
                f"{one.ratio:.3f}",
                *(f"{shares[level]:.3f}" for level in (0.9, 0.95, 0.99)),
                f"{one.origins:,}",
            )
        console.print(table)
    console.print(f"model written to [bold]{out}[/bold]")

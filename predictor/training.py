"""`mplp-predictor train`: a history, from wherever it is kept → a model folder that `run` loads.

Offline; the command line calls it. It must never write to a topic, and never leave half a model
behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from models.ensemble import Ensemble
from models.manifest import Manifest
from models.series import SeriesBatch
from models.store import save_model
from models.training import TrainingReport, train
from predictor import __version__
from predictor.core.lead_time import horizon
from predictor.core.state import new_state
from predictor.history_sources.history import SourceHistory, joined, series_name
from predictor.settings import Settings

DAY_S = 86_400
LIBRARIES = ("scikit-learn", "statsmodels")
SERIES_SHOWN = 40
"""A table of more rows is not read; those with the most demand are shown."""


class TrainingFailed(Exception):  # noqa: N818 - it says what failed
    """There is nothing to learn from; the message says what was found."""


def train_model(settings: Settings, histories: Sequence[SourceHistory], out: Path) -> Manifest:
    """Train on all of them together and store; prints what was learned.

    Raises `TrainingFailed`, `OSError`, and `HistoryRefused` where they do not fit each other.
    """
    console = Console(stderr=True)
    history = joined(tuple(histories))
    batch = history.batch
    measured = int(np.isfinite(batch.values).any(axis=1).sum())
    if not measured:
        raise TrainingFailed(f"{history.source}: no series holds a whole step")
    window = horizon(batch.keys, settings.policy(), new_state())
    with console.status(f"learning {measured} series of {batch.values.shape[1]} steps"):
        model, report = train(batch, window)
    manifest = _store(out, model, batch, report, history.notes)
    _print(console, settings, history, model, report)
    console.print(f"model written to [bold]{out}[/bold]")
    return manifest


def _store(
    out: Path, model: Ensemble, batch: SeriesBatch, report: TrainingReport, notes: Sequence[str]
) -> Manifest:
    """The one place where a model is written."""
    told: dict[str, Any] = {
        "series": report.series,
        "usable": report.usable,
        "seasonal": report.seasonal,
        "history": list(notes),
    }
    return save_model(
        out,
        model,
        datetime.now(UTC),
        trained_from_s=batch.start_s,
        report=msgspec.to_builtins(report.scores) | told,
        libraries={name: version(name) for name in LIBRARIES} | {"mplp-predictor": __version__},
    )


def _print(
    console: Console,
    settings: Settings,
    history: SourceHistory,
    model: Ensemble,
    report: TrainingReport,
) -> None:
    for note in history.notes:
        console.print(note, highlight=False, markup=False)
    for warning in _unused(settings, history.batch):
        console.print(warning, style="yellow", highlight=False, markup=False)
    console.print(_series_table(history.batch, model))
    days = history.batch.values.shape[1] * history.batch.step_s / DAY_S
    console.print(
        f"{report.series} series over {days:.1f} days: {report.usable} can be forecast, "
        f"{report.seasonal} of them by season"
    )
    if report.scores:
        console.print(_score_table(report))


def _unused(settings: Settings, batch: SeriesBatch) -> list[str]:
    """What `run` with these settings would not take from the model."""
    found = []
    strange = sorted({key.module for key in batch.keys} - set(settings.modules))
    if strange:
        names = ", ".join(strange[:5])
        found.append(f"`run` has no use for modules that are not configured: {names}")
    step_s = settings.new_history().series(0).step_s
    if batch.step_s != step_s:
        found.append(f"`run` reads steps of {step_s} s, this history has {batch.step_s} s")
    return found


def _series_table(batch: SeriesBatch, model: Ensemble) -> Table:
    """One row a series: how much was measured, how large it is, how it will be forecast."""
    table = Table(title="what was learned")
    table.add_column("series", overflow="fold")
    for heading in ("days", "measured", "mean", "highest"):
        table.add_column(heading, justify="right")
    table.add_column("forecast by")
    means = np.array([_known(row).mean() if len(_known(row)) else -1.0 for row in batch.values])
    shown = np.sort(np.argsort(-means, kind="stable")[:SERIES_SHOWN])
    for row in shown[means[shown] >= 0]:
        known = _known(batch.values[row])
        code = str(model.reason(row).code.value)
        table.add_row(
            series_name(batch.keys[row]), f"{len(known) * batch.step_s / DAY_S:.1f}",
            f"{len(known) / batch.values.shape[1]:.1%}", f"{known.mean():,.4g}",
            f"{known.max():,.4g}", code,
        )  # fmt: skip
    left_out = int((means >= 0).sum()) - table.row_count
    if left_out:
        table.caption = f"and {left_out} more with less demand"
    return table


def _known(row: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return row[np.isfinite(row)]


def _score_table(report: TrainingReport) -> Table:
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
    return table

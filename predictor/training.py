"""`mplp-predictor train`: a history, from wherever it is kept → a model folder that `run` loads.

Offline; the command line calls it. It must never write to a topic, and never leave half a model
behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from models.ensemble import Ensemble
from models.manifest import Manifest
from models.series import SeriesBatch, SeriesKey
from models.store import save_model
from models.training import PARTS, SEED, TrainingReport, train
from predictor import __version__
from predictor.backtest_files import held_out_document
from predictor.backtest_scores import Score, geometric_mean, mean_coverage, score, usable
from predictor.backtest_verdict import SHOWN_LEVELS, UNKNOWN, ratio_text
from predictor.core.lead_time import horizon
from predictor.core.state import new_state
from predictor.history_sources.history import SourceHistory, joined, series_name
from predictor.provenance import Provenance
from predictor.settings import Settings

DAY_S = 86_400
LIBRARIES = ("scikit-learn", "statsmodels")
NOT_SCORED = "no series is long enough to hold moments out and see how the mix does on them"
Scores = Mapping[SeriesKey, Score]
SERIES_SHOWN = 40
"""A table of more rows is not read; those with the most demand are shown."""


class TrainingFailed(Exception):  # noqa: N818 - it says what failed
    """There is nothing to learn from; the message says what was found."""


def train_model(
    settings: Settings, histories: Sequence[SourceHistory], out: Path, made: Provenance
) -> Manifest:
    """Train on all of them together and store; prints what was learned.

    Raises `TrainingFailed`, `OSError`, and `HistoryRefused` where they do not fit each other.
    """
    console = Console(stderr=True)
    history = joined(tuple(histories))
    batch = history.batch
    measured = int(np.isfinite(batch.values).any(axis=1).sum())
    if not measured:
        raise TrainingFailed(f"{history.source}: no series holds a whole step")
    _say_what_is_odd(console, settings, history)
    window = horizon(batch.keys, settings.policy(), new_state())
    with _progress(console, f"learning {measured} series of {batch.values.shape[1]} steps") as done:
        model, report = train(batch, window, settings.callers(), done)
    scores = {result.key: score(usable(result)) for result in report.held_out}
    manifest = _store(out, model, batch, _told(report, scores, history.notes), made)
    console.print(_series_table(batch, model))
    days = batch.values.shape[1] * batch.step_s / DAY_S
    console.print(
        f"{report.series} series over {days:.1f} days: {report.usable} can be forecast, "
        f"{report.seasonal} of them by season"
    )
    console.print(_score_table(batch, scores) if scores else NOT_SCORED)
    console.print(f"model written to [bold]{out}[/bold]")
    return manifest


@contextmanager
def _progress(console: Console, what: str) -> Iterator[Callable[[], None]]:
    """A bar over the parts of the work; nothing where nobody watches."""
    columns = (what, BarColumn(), MofNCompleteColumn(), "parts", TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=PARTS)
        yield lambda: progress.advance(task)


def _told(report: TrainingReport, scores: Scores, notes: Sequence[str]) -> dict[str, Any]:
    """What the manifest says of the training run."""
    by_series = {series_name(key): held_out_document([one]) for key, one in scores.items()}
    return {
        "series": report.series,
        "usable": report.usable,
        "seasonal": report.seasonal,
        "history": list(notes),
        "scores": {"in_all": held_out_document(scores.values()), "by_series": by_series},
    }


def _store(
    out: Path, model: Ensemble, batch: SeriesBatch, told: Mapping[str, Any], made: Provenance
) -> Manifest:
    """The one place where a model is written."""
    return save_model(
        out,
        model,
        made.created,
        trained_from_s=batch.start_s,
        report=told,
        libraries={name: version(name) for name in LIBRARIES} | {"mplp-predictor": __version__},
        revision=made.revision,
        seed=SEED,
    )


def _say_what_is_odd(console: Console, settings: Settings, history: SourceHistory) -> None:
    for note in history.notes:
        console.print(note, highlight=False, markup=False)
    for warning in _unused(settings, history.batch):
        console.print(warning, style="yellow", highlight=False, markup=False)


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
    for row in _largest(batch):
        known = _known(batch.values[row])
        table.add_row(
            series_name(batch.keys[row]), f"{len(known) * batch.step_s / DAY_S:.1f}",
            f"{len(known) / batch.values.shape[1]:.1%}", f"{known.mean():,.4g}",
            f"{known.max():,.4g}", str(model.reason(row).code.value),
        )  # fmt: skip
    left_out = int(np.isfinite(batch.values).any(axis=1).sum()) - table.row_count
    if left_out:
        table.caption = f"and {left_out} more with less demand"
    return table


def _score_table(batch: SeriesBatch, scores: Scores) -> Table:
    """One row a series: how the mix did on moments that its trees had not seen."""
    table = Table(
        title="the mix on moments held out from its trees",
        caption="÷ naive: loss over seasonal naive's, below 1 is better",
    )
    table.add_column("series", overflow="fold")
    for heading in ("origins", "÷ naive", *(f"≤ {level:g}" for level in SHOWN_LEVELS)):
        table.add_column(heading, justify="right", no_wrap=True)
    for key in (batch.keys[row] for row in _largest(batch)):
        table.add_row(series_name(key), *_score_cells([scores[key]] if key in scores else []))
    table.add_section()
    table.add_row("in all", *_score_cells(scores.values()))
    return table


def _largest(batch: SeriesBatch) -> list[int]:
    """The measured rows with the most demand, in the order of the batch."""
    means = np.array([_known(row).mean() if len(_known(row)) else -1.0 for row in batch.values])
    shown = np.sort(np.argsort(-means, kind="stable")[:SERIES_SHOWN])
    return [int(row) for row in shown if means[row] >= 0]


def _score_cells(scores: Collection[Score]) -> list[str]:
    """Origins, ratio and coverage of some series together, dashes where nothing was scored."""
    origins = sum(one.origins for one in scores)
    if not origins:
        return [UNKNOWN] * (2 + len(SHOWN_LEVELS))
    shares = dict(mean_coverage(scores))
    ratio = geometric_mean(one.ratio for one in scores)
    return [f"{origins:,}", ratio_text(ratio), *(f"{shares[one]:.1%}" for one in SHOWN_LEVELS)]


def _known(row: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return row[np.isfinite(row)]

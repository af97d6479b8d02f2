"""Forecasts the newest part of every series from what was before it, and judges the forecasts.

`predictor/backtest_cli.py` calls it. Each series is a piece of work of its own that gives the same
numbers wherever it runs: in this process, in others, on a Dask or a Ray cluster. It must never
print, write, or let one series see another.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import joblib
import numpy as np

from models.planned_events import PlannedEvents
from models.rolling_origins import SERIES_TOGETHER, RollingResult, Target
from models.series import SeriesBatch
from predictor.backtest_calendar import planned_origins
from predictor.backtest_scores import Score, quarters, score, steps_ahead, usable, window_note
from predictor.history_sources.history import SourceHistory

NOTHING_PLANNED = PlannedEvents()
FIVE_MINUTES_S = 300
CONNECT_TIMEOUT_S = 20
_SHORT_STEP: tuple[Target, ...] = (Target(120, 0), Target(300, 0), Target(600, 0), Target(120, 300))


class BackendMissing(Exception):  # noqa: N818 - it says what is wrong
    """The backend that was asked for is not installed, or its address is none."""


class BackendUnreachable(Exception):  # noqa: N818 - it says what is wrong
    """Nobody answers at the cluster's address."""


@dataclass(frozen=True, slots=True)
class Work:
    """One series alone on its own stretch, or several trained together; what to forecast of it."""

    source: str
    series: SeriesBatch
    targets: tuple[Target, ...]
    origins_max: int
    planned: PlannedEvents = NOTHING_PLANNED


@dataclass(frozen=True, slots=True)
class Judged:
    """One target of one series; `result` holds the origins at which all methods had a forecast."""

    source: str
    series: SeriesBatch
    result: RollingResult
    score: Score
    quarters: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the work runs: `jobs` at a time; `address` is that of a cluster's scheduler."""

    name: str = "processes"
    jobs: int = 1
    address: str | None = None


def default_targets(step_s: int) -> tuple[Target, ...]:
    """What to forecast where nobody said: a few leads, and the peak that a floor must carry."""
    wanted = _SHORT_STEP
    if step_s >= FIVE_MINUTES_S:
        peak = Target(max(FIVE_MINUTES_S, step_s), max(900, 3 * step_s))
        wanted = (Target(600, 0), Target(1800, 0), peak)
    found: dict[tuple[int, int], Target] = {}
    for target in wanted:
        # Leads within one coarse step are one and the same question.
        found.setdefault(steps_ahead(target, step_s), target)
    return tuple(found.values())


def works(
    histories: Iterable[SourceHistory],
    targets: tuple[Target, ...] | None,
    origins_max: int,
    *,
    together: bool = False,
    planned: PlannedEvents = NOTHING_PLANNED,
) -> list[Work]:
    """A piece of work for each series that was measured at all; raises `ValueError`.

    `together` makes one of each dozen series of a source, which are then trained together.
    """
    found: list[Work] = []
    for history in histories:
        step_s = history.batch.step_s
        wanted = default_targets(step_s) if targets is None else targets
        for target in wanted:
            steps_ahead(target, step_s)
        pieces = _pieces(history.batch, SERIES_TOGETHER if together else 1)
        found += [Work(history.source, one, wanted, origins_max, planned) for one in pieces]
    return found


def backtest(
    wanted: Sequence[Work], backend: Backend, done: Callable[[Work], None] = lambda work: None
) -> list[Judged]:
    """Judge every target, in the order of the work; `done` is told of each series.

    Raises `BackendMissing`, `BackendUnreachable`, and whatever the work raises.
    """
    judged: list[Judged] = []
    with _backend(backend) as parallel:
        found = parallel(joblib.delayed(judge)(work) for work in wanted)
        for work, one in zip(wanted, found, strict=True):
            judged += one
            done(work)
    return judged


def judge(work: Work) -> list[Judged]:
    """Every series of a piece of work, all its targets."""
    made = planned_origins(
        work.series,
        work.targets,
        work.planned,
        origins_max=work.origins_max,
        cpu_s=time.process_time,
    )
    results = [_noted(usable(result), result) for result in made]
    rows = dict(zip(work.series.keys, _pieces(work.series, 1, whole=True), strict=True))
    return [
        Judged(work.source, rows[result.key], result, score(result), quarters(result))
        for result in results
    ]


def _noted(kept: RollingResult, made: RollingResult) -> RollingResult:
    """With a word on steps that are not the target's, and on why nothing was kept of what was
    made."""
    notes = [window_note(made.target, made.step_s)]
    if len(made.outcome) and not len(kept.outcome):
        notes.append("at no moment both bars had a forecast and the outcome was measured")
    return replace(kept, reasons=(*filter(None, notes), *made.reasons))


def _pieces(batch: SeriesBatch, size: int, *, whole: bool = False) -> Iterator[SeriesBatch]:
    """The measured series, so many at a time, from their first measured step to their last.

    `whole` leaves nothing out: every series, on all steps.
    """
    known = np.isfinite(batch.values)
    rows = np.flatnonzero(known.any(axis=1) | whole)
    for begin in range(0, len(rows), size):
        chosen = rows[begin : begin + size]
        steps = np.flatnonzero(known[chosen].any(axis=0) | whole)
        part = slice(int(steps[0]), int(steps[-1]) + 1)
        variance = batch.sampling_variance
        yield SeriesBatch(
            tuple(batch.keys[row] for row in chosen),
            batch.start_s + part.start * batch.step_s,
            batch.step_s,
            batch.values[chosen, part],
            None if variance is None else variance[chosen, part],
        )


@contextmanager
def _backend(backend: Backend) -> Iterator[joblib.Parallel]:
    """A joblib pool that gives results in order, one by one where it can."""
    if backend.name == "dask":
        with _dask(backend) as client, joblib.parallel_config("dask", client=client):
            yield joblib.Parallel(n_jobs=-1, return_as="generator")
    elif backend.name == "ray":
        # Ray's own backend for joblib hands results over when all are there.
        with _ray(backend), joblib.parallel_config("ray"):
            yield joblib.Parallel(n_jobs=-1)
    elif backend.jobs == 1:
        yield joblib.Parallel(n_jobs=1, return_as="generator")
    else:
        # A process for each core and a thread in each: more threads would only wait.
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            yield joblib.Parallel(n_jobs=backend.jobs, return_as="generator")


@contextmanager
def _dask(backend: Backend) -> Iterator[Any]:
    """A client of the scheduler at the address, or of a cluster on this machine's loopback."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise BackendMissing(
            "backend dask: it is not installed: pip install 'mplp-predictor[dask]'"
        ) from None
    with ExitStack() as stack:
        address: Any = backend.address
        if address is None:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=backend.jobs,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                )
            )
        with _cluster_faults(backend):
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT_TIMEOUT_S))
        yield client


@contextmanager
def _ray_faults() -> Iterator[None]:
    """Ray has no name of its own for a node that does not start."""
    try:
        yield
    except (BackendMissing, BackendUnreachable):
        raise
    except Exception as error:
        raise BackendUnreachable(f"backend ray: {_first_line(error)}") from error


@contextmanager
def _cluster_faults(backend: Backend) -> Iterator[None]:
    """Dask and Ray both tell a wrong address by `ValueError`, a silent one by `OSError`."""
    try:
        yield
    except ValueError as error:
        raise BackendMissing(f"--cluster {backend.address}: {_first_line(error)}") from None
    except OSError as error:
        raise BackendUnreachable(f"--cluster {backend.address}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def _ray(backend: Backend) -> Iterator[None]:
    try:
        ray: Any = import_module("ray")
        register: Any = import_module("ray.util.joblib").register_ray
    except ImportError:
        raise BackendMissing(
            "backend ray: it is not installed: pip install 'mplp-predictor[ray]'"
        ) from None
    own = {"num_cpus": backend.jobs, "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    with _ray_faults(), _cluster_faults(backend):
        ray.init(
            address=backend.address or "local",
            logging_level=logging.ERROR,
            **({} if backend.address else own),
        )
    register()
    try:
        yield
    finally:
        ray.shutdown()


def total_s(judged: Iterable[Judged]) -> tuple[float, float]:
    """CPU seconds of fitting and of forecasting, all together."""
    pairs = [(one.result.fit_s, one.result.forecast_s) for one in judged]
    return math.fsum(fit for fit, _ in pairs), math.fsum(forecast for _, forecast in pairs)

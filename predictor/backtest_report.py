"""The report of a backtest: one HTML page that asks for nothing outside itself.

`predictor/backtest_cli.py` calls it. Verdict, table, and for each series a fan chart, coverage, the
hours of loss and the worst days in words. It must never compute a score of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.series import FloatArray
from models.step_windows import IntArray
from predictor.backtest import Judged
from predictor.backtest_drawings import coverage_plot, hour_heat_map
from predictor.backtest_files import put_in_place, versions
from predictor.backtest_reasons import worst_days
from predictor.backtest_scores import geometric_mean, level_place, losses, outcome_s
from predictor.backtest_verdict import (
    SHOWN_LEVELS,
    UNKNOWN,
    against_last_value,
    coverage_at,
    coverage_slack,
    duration_text,
    ratio_text,
    target_text,
    verdict,
)
from predictor.history_sources.history import instant_text, series_name
from predictor.web.page import render_page

CASES_MAX = 80
"""So many series and targets are drawn, those with the most loss first; the table holds all."""
FAN_LEVELS = (0.99, 0.9, 0.5, 0.1)
ZOOM_S = 86_400


class Day(msgspec.Struct, frozen=True):
    """A worst day in words, and the stretch to zoom to."""

    sentence: str
    miss: str
    codes: list[str]
    zoom: tuple[int, int]


class Case(msgspec.Struct, frozen=True):
    """One target of a series, drawn."""

    number: int
    target: str
    note: str
    coverage: str
    hours: str
    days: list[Day]
    days_note: str


class Section(msgspec.Struct, frozen=True):
    """One series with its targets; the last is the one a floor is sized by."""

    name: str
    about: str
    cases: list[Case]


class Row(msgspec.Struct, frozen=True):
    """A row of the table; `cells` are texts with what kind of number it is: good, bad, neither."""

    series: str
    target: str
    cells: list[tuple[str, str]]


def write_report(
    path: Path, judged: Sequence[Judged], command: str, notes: Sequence[str], made_at: datetime
) -> None:
    """Write the page; raises `OSError`."""
    text = render(judged, command, notes, made_at)
    with put_in_place(path) as beside:
        beside.write_text(text, encoding="utf-8")


def render(judged: Sequence[Judged], command: str, notes: Sequence[str], made_at: datetime) -> str:
    """The whole page."""
    drawn = _drawn(judged)
    return render_page(
        "backtest.html",
        [_chart(one) for one in drawn],
        title="Backtest",
        subtitle=_subtitle(judged),
        verdict=verdict(judged),
        # A bar that is exact leaves no ratio, and nobody lost to it.
        won=bool(drawn) and not geometric_mean(one.score.ratio for one in judged) >= 1,
        levels=[f"≤ {level:g}" for level in SHOWN_LEVELS],
        rows=[_row(one) for one in judged],
        mean=ratio_text(geometric_mean(one.score.ratio for one in judged)),
        mean_last_value=ratio_text(geometric_mean(against_last_value(one) for one in judged)),
        sections=_sections(drawn),
        left_out=len(judged) - len(drawn),
        notes=list(notes),
        command=command,
        versions=", ".join(f"{name} {number}" for name, number in versions().items()),
        made_at=made_at,
    )


def _drawn(judged: Sequence[Judged]) -> list[Judged]:
    """What can be drawn, in the given order; of too many those that lost most."""
    known = [one for one in judged if one.score.origins]
    if len(known) <= CASES_MAX:
        return known
    kept = sorted(known, key=lambda one: -_finite(one.score.ratio))[:CASES_MAX]
    chosen = {id(one) for one in kept}
    return [one for one in known if id(one) in chosen]


def _subtitle(judged: Sequence[Judged]) -> str:
    if not judged:
        return "no series"
    start_s = min(one.series.start_s for one in judged)
    end_s = max(one.series.end_s for one in judged)
    count = len({(one.source, one.result.key) for one in judged})
    origins = sum(one.score.origins for one in judged)
    return (
        f"{count} series from {instant_text(start_s)[:10]} to {instant_text(end_s)[:10]}, "
        f"{origins:,} forecasts, each made from the past alone"
    )


def _row(one: Judged) -> Row:
    shares = [(level, coverage_at(one, level)) for level in SHOWN_LEVELS]
    cells = [
        (f"{one.score.origins:,}", ""),
        *(
            (ratio_text(ratio), _sign(ratio))
            for ratio in (one.score.ratio, against_last_value(one))
        ),
        *(
            (
                f"{share:.1%}",
                "" if abs(share - level) <= coverage_slack(level, one.score.origins) else "bad",
            )
            if math.isfinite(share)
            else (UNKNOWN, "")
            for level, share in shares
        ),
        (" ".join(ratio_text(quarter.ratio) for quarter in one.quarters), ""),
        (f"{one.result.fit_s + one.result.forecast_s:.1f}", ""),
    ]
    return Row(series_name(one.result.key), target_text(one.result.target), cells)


def _sign(ratio: float) -> str:
    if not math.isfinite(ratio):
        return ""
    return "good" if ratio < 1 else "bad"


def _sections(drawn: Sequence[Judged]) -> list[Section]:
    found: dict[tuple[str, object], list[tuple[int, Judged]]] = {}
    for number, one in enumerate(drawn):
        found.setdefault((one.source, one.result.key), []).append((number, one))
    return [
        Section(
            series_name(cases[0][1].result.key),
            _about(cases[0][1]),
            [_case(number, one) for number, one in cases],
        )
        for cases in found.values()
    ]


def _about(one: Judged) -> str:
    series = one.series
    missing = float(np.isnan(series.values).mean())
    gaps = f", {missing:.1%} of the steps were not measured" if missing else ""
    return (
        f"{one.source}: {series.values.shape[1]:,} steps of {duration_text(series.step_s)} from "
        f"{instant_text(series.start_s)}{gaps}"
    )


def _case(number: int, one: Judged) -> Case:
    score = one.score
    told = (
        f"{score.origins:,} origins; loss {ratio_text(score.ratio)} of seasonal naive, "
        f"{ratio_text(against_last_value(one))} of the last value"
    )
    worst = worst_days(one)
    days = [
        Day(day.sentence, day.miss, [reason.code.value for reason in day.reasons],
            (day.worst_s - ZOOM_S // 2, day.worst_s + ZOOM_S // 2))
        for day in worst
    ]  # fmt: skip
    stands_out = any(day.is_out_of_line for day in worst)
    return Case(
        number,
        target_text(one.result.target),
        "; ".join((told, *one.result.reasons)),
        coverage_plot(score.coverage, score.origins),
        hour_heat_map(outcome_s(one.result), losses(one.result)),
        days,
        "" if stands_out else "No day lost far more than its share.",
    )


def _chart(one: Judged) -> dict[str, Any]:
    """What the page's script draws: times, the fan's quantiles, both bars' medians, the outcome."""
    result = one.result
    times = outcome_s(result)
    breaks = _breaks(times)
    middle = level_place(result.levels, 0.5)
    fan = [result.quantiles[:, level_place(result.levels, level)] for level in FAN_LEVELS]
    bars = [result.seasonal_naive[:, middle], result.last_value[:, middle]]
    lines = [*fan, *bars, result.outcome]
    worst = int(times[int(np.argmax(losses(result)))])
    return {
        "times": np.insert(times, breaks, times[breaks] - 1).tolist(),
        "lines": [_with_breaks(line, breaks) for line in lines],
        "zoom": [max(worst - ZOOM_S, int(times[0])), min(worst + ZOOM_S, int(times[-1]))],
    }


def _breaks(times: IntArray) -> np.typing.NDArray[np.intp]:
    """Where so long a time lies before an origin that no line may cross it."""
    apart = np.diff(times)
    if not len(apart):
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(apart > 4 * np.median(apart)) + 1


def _with_breaks(line: FloatArray, breaks: np.typing.NDArray[np.intp]) -> list[float | None]:
    shown = np.insert(line, breaks, np.nan)
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in shown.tolist()]


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0

"""The page of a simulation: the day that went worst for us on top, then all arms, days and costs.

`predictor/simulate_cli.py` writes it. Every figure comes from the `SimulationResult` that lies
beside it as JSON. It must never compute a result of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from predictor.simulation.figures import ArmFigures, SimulationResult, Trail
from predictor.simulation.frontier_drawing import FrontierDrawing, frontier_drawing
from predictor.simulation.verdict import HEADINGS, row_of, verdict
from predictor.web.page import render_page
from predictor.web.report import Chart, Line

DAYS_MAX = 40
CHARTS_MAX = 6
_PALE, _DARK = "rgba(193, 68, 14, .16)", "rgba(150, 0, 40, .55)"


class Row(msgspec.Struct, frozen=True):
    """One arm of the table."""

    cells: tuple[str, ...]
    is_ours: bool


class SimulationPage(msgspec.Struct, frozen=True):
    """All that the page shows."""

    title: str
    subtitle: str
    verdict: str
    worst_day: str
    worst_sentence: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    frontier: FrontierDrawing | None
    day_headings: tuple[str, ...]
    day_rows: tuple[tuple[str, ...], ...]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    json_name: str
    command: str
    made_at: datetime


def render_simulation(
    result: SimulationResult, *, json_name: str, command: str, made_at: datetime
) -> str:
    """The whole page."""
    worst = _worst_day(result)
    usual = [one for one in result.arms if one.is_usual]
    page = SimulationPage(
        title=f"What scaling would have come to: {result.source}",
        subtitle=_subtitle(result),
        verdict=verdict(result),
        worst_day=worst,
        worst_sentence=_worst_sentence(result, worst) if worst else "",
        headings=HEADINGS,
        rows=tuple(Row(row_of(one, result), one.arm == "ours") for one in result.arms),
        frontier=frontier_drawing(result),
        day_headings=("violation minutes on", *(one.label for one in usual)),
        day_rows=tuple(_day_rows(usual)),
        assumptions=result.assumptions,
        notes=result.notes,
        warnings=result.warnings,
        json_name=json_name,
        command=command,
        made_at=made_at,
    )
    return render_page("simulation.html", list(_charts(result)), page=page)


def _subtitle(result: SimulationResult) -> str:
    first = datetime.fromtimestamp(result.from_s, UTC)
    last = datetime.fromtimestamp(result.until_s, UTC)
    days = (result.until_s - result.from_s) / 86_400
    return (
        f"{len(result.targets)} target{'s' if len(result.targets) != 1 else ''}, judged from "
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC ({days:.1f} days); what came before "
        "was learnt from"
    )


def _worst_day(result: SimulationResult) -> str:
    if not result.trails:
        return ""
    return datetime.fromtimestamp(result.trails[0].start_s, UTC).date().isoformat()


def _worst_sentence(result: SimulationResult, day: str) -> str:
    ours = result.arm("ours").by_day().get(day, 0.0)
    alone = result.arm("hpa").by_day().get(day, 0.0)
    if ours == 0:
        return (
            f"On no day was there a violation with our floor. On this one (HPA alone: {alone:,.1f} "
            "violation minutes) it cost the most pods."
        )
    return (
        f"{ours:,.1f} violation minutes with our floor, {alone:,.1f} with HPA alone. Pale red: the "
        "HPA alone failed to carry the demand; dark: we too."
    )


def _day_rows(usual: list[ArmFigures]) -> Iterator[tuple[str, ...]]:
    """The days with most violation of anybody, in their order."""
    by_day = [one.by_day() for one in usual]
    days = {day for one in by_day for day in one}
    worst = sorted(days, key=lambda day: -max(one.get(day, 0.0) for one in by_day))[:DAYS_MAX]
    for day in sorted(worst):
        yield (day, *(f"{one.get(day, 0.0):,.1f}" for one in by_day))


def _charts(result: SimulationResult) -> Iterator[Chart]:
    """One chart for each target, those with most violation first."""
    trails = {(one.arm, one.target): one for one in result.trails}
    pairs = [
        (alone, trails["ours", target])
        for (arm, target), alone in trails.items()
        if arm == "hpa" and ("ours", target) in trails
    ]
    pairs.sort(key=lambda pair: (-sum(pair[1].violated), -sum(pair[0].violated), pair[0].target))
    for alone, ours in pairs[:CHARTS_MAX]:
        yield _chart(alone, ours, result)


def _chart(alone: Trail, ours: Trail, result: SimulationResult) -> Chart:
    carried = result.pod_limits_per_s[ours.target]
    at_target = result.rates_per_pod_per_s[ours.target]
    lines = [
        Line("demand", "#1b1f24", [round(one, 2) for one in ours.demand_per_s], width=1.2),
        Line("capacity, HPA alone", "#c1440e", _times(alone.ready, carried), width=1.2),
        Line("capacity, with our floor", "#0b6e4f", _times(ours.ready, carried), width=1.6),
        Line(
            "the floor, at the HPA's target", "#2b7bba", _times(ours.floor, at_target), (6, 4), 1.2
        ),
    ]
    times_s = [ours.start_s + ours.step_s * place for place in range(len(ours.demand_per_s))]
    shaded = [*_shaded(times_s, alone, _PALE), *_shaded(times_s, ours, _DARK)]
    return Chart(title=ours.target, times_s=times_s, lines=lines, shaded=shaded)


def _times(pods: tuple[int, ...], rate_per_s: float) -> list[float | None]:
    return [round(count * rate_per_s, 2) for count in pods]


def _shaded(times_s: list[int], trail: Trail, colour: str) -> Iterator[tuple[int, int, str]]:
    start = None
    for place, flag in enumerate((*trail.violated, False)):
        if flag and start is None:
            start = place
        elif not flag and start is not None:
            yield times_s[start], times_s[place - 1] + trail.step_s, colour
            start = None

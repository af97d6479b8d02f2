"""What a comparison of two arms looks like: the tracks it kept, its table, and its page.

`predictor/demo.py` and `predictor/live_demo.py` fill an `ArmsRun` tick by tick. It must never
judge: violations and pod-hours are what the clusters measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from predictor.core.decision import FloorDecision
from predictor.web.report import ArmRow, Chart, Explained, Line, Report, render_report

ALONE, HELPED = "HPA alone", "HPA with our floor"
EXPLAINED_MAX = 6


@dataclass(slots=True)
class TargetTrack:
    """One target, a value per tick; rates in requests per second."""

    name: str
    times_s: list[int] = field(default_factory=list)
    demand: list[float] = field(default_factory=list)
    capacity_alone: list[float] = field(default_factory=list)
    capacity_helped: list[float] = field(default_factory=list)
    floor_carries: list[float] = field(default_factory=list)
    forecast_median: list[float | None] = field(default_factory=list)
    forecast_high: list[float | None] = field(default_factory=list)
    violated_alone: list[bool] = field(default_factory=list)
    violated_helped: list[bool] = field(default_factory=list)
    raises: list[tuple[int, FloorDecision]] = field(default_factory=list)

    @property
    def step_s(self) -> int:
        """Seconds from one tick to the next."""
        return self.times_s[1] - self.times_s[0] if len(self.times_s) > 1 else 60


@dataclass(slots=True)
class ArmsRun:
    """Everything the table and the page show."""

    title: str
    subtitle: str
    arms: list[ArmRow]
    tracks: list[TargetTrack]
    notes: list[str]
    lead_s: int = 0
    quantile: float = 0.9


def print_table(console: Console, run: ArmsRun) -> None:
    """The arms side by side, then the verdict in a sentence."""
    table = Table(title=run.title, caption=run.subtitle, title_justify="left")
    table.add_column("arm")
    for heading in ("violation minutes", "pod-hours", "unserved requests", "scale actions"):
        table.add_column(heading, justify="right")
    for arm in run.arms:
        table.add_row(
            arm.name,
            f"{arm.violation_minutes:,.1f}",
            f"{arm.pod_hours:,.1f}",
            "-" if arm.unserved_requests is None else f"{arm.unserved_requests:,.0f}",
            f"{arm.scale_actions:,}",
        )
    console.print(table)
    console.print(verdict(run.arms))


def verdict(arms: Sequence[ArmRow]) -> str:
    """What the floor brought and what it cost, whatever the sign."""
    alone, helped = arms[0], arms[1]
    saved = alone.violation_minutes - helped.violation_minutes
    share = f" ({saved / alone.violation_minutes:.0%})" if alone.violation_minutes else ""
    more = helped.pod_hours - alone.pod_hours
    return (
        f"With our floor {abs(saved):,.0f} violation minutes {'fewer' if saved >= 0 else 'more'}"
        f"{share}, for {abs(more):,.0f} pod-hours {'more' if more >= 0 else 'fewer'} "
        f"({abs(more) / alone.pod_hours:.0%})."
    )


def write_page(run: ArmsRun, path: Path, made_at: datetime) -> Path:
    """One self-contained HTML file."""
    report = Report(
        title=run.title,
        subtitle=run.subtitle,
        verdict=verdict(run.arms),
        arms=run.arms,
        charts=[_chart(track, run) for track in run.tracks],
        decisions=sorted(_explained(run), key=lambda one: one.made_at),
        notes=run.notes,
        made_at=made_at,
    )
    path.write_text(render_report(report), encoding="utf-8")
    return path


def _chart(track: TargetTrack, run: ArmsRun) -> Chart:
    step_s = track.step_s
    # A forecast is drawn over the time it was made for: its window begins a lead time later.
    ahead = round(run.lead_s / step_s)
    high = f"forecast peak, {run.quantile:.0%}"
    lines = [
        Line(high, "#c9b3e8", _late(track.forecast_high, ahead), width=0.5),
        Line("forecast peak, median", "#9b6fd0", _late(track.forecast_median, ahead), width=1),
        Line("demand", "#1b1f24", _whole(track.demand), width=1.2),
        Line("capacity, HPA alone", "#c1440e", _whole(track.capacity_alone), width=1.2),
        Line("capacity, with our floor", "#0b6e4f", _whole(track.capacity_helped), width=1.6),
        Line("the floor, at the HPA's target", "#2b7bba", _whole(track.floor_carries), (6, 4), 1.2),
    ]
    shaded = [
        *_shaded(track.times_s, track.violated_alone, step_s, "rgba(193, 68, 14, .16)"),
        *_shaded(track.times_s, track.violated_helped, step_s, "rgba(150, 0, 40, .55)"),
    ]
    return Chart(
        title=f"{track.name}  (pale red: the HPA alone failed to carry the demand; dark: we too)",
        times_s=track.times_s,
        lines=lines,
        shaded=shaded,
        bands=[(0, 1, "rgba(155, 111, 208, .22)")],
        zoom=_busiest(track, hours=30),
    )


def _whole(values: Sequence[float]) -> list[float | None]:
    return [round(value) for value in values]


def _late(values: Sequence[float | None], ticks: int) -> list[float | None]:
    shifted = [*([None] * ticks), *values][: len(values)]
    return [None if value is None else round(value) for value in shifted]


def _shaded(
    times_s: Sequence[int], flags: Sequence[bool], step_s: int, colour: str
) -> list[tuple[int, int, str]]:
    return [(times_s[i], times_s[j] + step_s, colour) for i, j in _episodes(flags)]


def _episodes(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch of True."""
    start = None
    for index, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            yield start, index - 1
            start = None


def _busiest(track: TargetTrack, hours: int) -> tuple[int, int]:
    peak = max(range(len(track.demand)), key=track.demand.__getitem__)
    middle_s, half_s = track.times_s[peak], hours * 1800
    first_s = max(middle_s - half_s, track.times_s[0])
    return first_s, min(first_s + 2 * half_s, track.times_s[-1])


def _explained(run: ArmsRun) -> Iterator[Explained]:
    """The raises before the HPA's longest violations, and the worst that we did not prevent."""
    missed: list[tuple[int, TargetTrack, int]] = []
    avoided: list[tuple[int, TargetTrack, int]] = []
    for track in run.tracks:
        for first, last in _episodes(track.violated_alone):
            ticks_helped = sum(track.violated_helped[first : last + 1])
            found, ticks = (missed, ticks_helped) if ticks_helped else (avoided, last - first + 1)
            found.append((max(round(ticks * track.step_s / 60), 1), track, first))
    for minutes, track, first in sorted(avoided, key=_longest)[: EXPLAINED_MAX - 2]:
        yield from _raise_before(track, first, run.lead_s, f"{minutes} min of violation spared")
    for minutes, track, first in sorted(missed, key=_longest)[:2]:
        what = f"not enough, violated for {minutes} min"
        yield from _raise_before(track, first, run.lead_s, what)


def _longest(one: tuple[int, TargetTrack, int]) -> int:
    return -one[0]


def _raise_before(track: TargetTrack, first: int, lead_s: int, what: str) -> Iterator[Explained]:
    """The newest raise whose pods could be there when the HPA alone was short."""
    at_s = track.times_s[first]
    before = [one for one in track.raises if one[0] <= at_s - lead_s]
    if before:
        made_s, row = before[-1]
        yield Explained(
            made_at=datetime.fromtimestamp(made_s, UTC),
            title=f"{track.name}: floor {row.floor_now} to {row.floor}, "
            f"{round((at_s - made_s) / 60)} min before demand came: {what}",
            sentences=[reason.sentence for reason in row.reasons],
        )

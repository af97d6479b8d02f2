"""What the control benchmark says of each series, and of all together.

`python -m scripts.bench_control` prints it. Ways of scaling are compared at the same pod-hours, on
their frontiers (`predictor/simulation/frontier.py`). It must never leave a series out silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
from rich.table import Table

from predictor.simulation.figures import SimulationResult
from predictor.simulation.frontier import Point, frontier, violation_at

AT_COSTS = (1.05, 1.1, 1.2, 1.5)
"""Pod-hours at which frontiers are compared, as multiples of what HPA alone takes."""
GOAL_COST = 1.1
LEAST_MINUTES = 1.0
"""A series on which HPA alone violates for less than a minute a week tells no ratio; and minutes
below it are taken as it in ratios, so that 0.1 against 0.2 minutes is no factor of two."""
NOT_PEERS = {"hpa", "ours", "foresight"}


class TraceScore(msgspec.Struct, frozen=True):
    """One series. Minutes and pod-hours; lists go with `AT_COSTS`."""

    trace: str
    target: str
    days: float
    alone_minutes: float
    alone_pod_hours: float
    usual_minutes: float
    usual_cost: float
    foresight_minutes: float
    foresight_cost: float
    ours_at: tuple[float, ...]
    best_peer_at: tuple[float, ...]
    best_peers: tuple[str, ...]

    @property
    def tells(self) -> bool:
        """Whether HPA alone leaves anything to win."""
        return self.alone_minutes >= LEAST_MINUTES

    @property
    def share_at_goal(self) -> float:
        """Minutes spared at the goal's cost, as a share of what perfect foresight spares."""
        return self._share(self.ours_at[AT_COSTS.index(GOAL_COST)])

    @property
    def share_usual(self) -> float:
        """The same at our usual setting."""
        return self._share(self.usual_minutes)

    def _share(self, minutes: float) -> float:
        most = self.alone_minutes - self.foresight_minutes
        return (self.alone_minutes - minutes) / most if most > 0 else math.nan


class Summary(msgspec.Struct, frozen=True):
    """Geometric means over the series that tell; ratios of minutes, lists go with `at_costs`."""

    at_costs: tuple[float, ...]
    series: int
    silent: int
    against_alone_at: tuple[float, ...]
    against_best_peer_at: tuple[float, ...]
    usual_against_alone: float
    usual_cost: float
    worst_against_alone: float
    worst_series: str


def scores_of(result: SimulationResult) -> tuple[TraceScore, ...]:
    """Every series of one file."""
    return tuple(_score(result, target) for target in result.targets)


def _score(result: SimulationResult, target: str) -> TraceScore:
    points = _points(result, target)
    alone = points["hpa"][0]
    bound = points["foresight"][0]
    costs = [factor * alone.pod_hours for factor in AT_COSTS]
    fronts = {name: frontier([alone, *of]) for name, of in points.items()}
    peers = [name for name in fronts if name not in NOT_PEERS]
    best = [min((violation_at(fronts[name], cost), name) for name in peers) for cost in costs]
    usual = points["ours"][0]
    judged = sum(day.judged_minutes for day in result.arms[0].days if day.target == target)
    return TraceScore(
        trace=result.source,
        target=target,
        days=round(judged / 1440, 2),
        alone_minutes=alone.violation_minutes,
        alone_pod_hours=alone.pod_hours,
        usual_minutes=usual.violation_minutes,
        usual_cost=usual.pod_hours / alone.pod_hours,
        foresight_minutes=bound.violation_minutes,
        foresight_cost=bound.pod_hours / alone.pod_hours,
        ours_at=tuple(violation_at(fronts["ours"], cost) for cost in costs),
        best_peer_at=tuple(minutes for minutes, _ in best),
        best_peers=tuple(name for _, name in best),
    )


def _points(result: SimulationResult, target: str) -> dict[str, list[Point]]:
    """Each arm's settings, in the order in which they were played."""
    found: dict[str, list[Point]] = {}
    for arm in result.arms:
        days = [day for day in arm.days if day.target == target]
        point = Point(
            sum(day.pod_hours for day in days), sum(day.violation_minutes for day in days)
        )
        found.setdefault(arm.arm, []).append(point)
    return found


def summary_of(scores: Sequence[TraceScore]) -> Summary:
    """All series together."""
    told = [one for one in scores if one.tells]
    worst = max(scores, key=lambda one: _ratio(one.usual_minutes, one.alone_minutes))
    places = range(len(AT_COSTS))
    return Summary(
        at_costs=AT_COSTS,
        series=len(told),
        silent=len(scores) - len(told),
        against_alone_at=tuple(
            _mean(_ratio(one.ours_at[place], one.alone_minutes) for one in told) for place in places
        ),
        against_best_peer_at=tuple(
            _mean(_ratio(one.ours_at[place], one.best_peer_at[place]) for one in told)
            for place in places
        ),
        usual_against_alone=_mean(_ratio(one.usual_minutes, one.alone_minutes) for one in told),
        usual_cost=_mean(one.usual_cost for one in told),
        worst_against_alone=_ratio(worst.usual_minutes, worst.alone_minutes),
        worst_series=f"{worst.trace} {worst.target}",
    )


def _ratio(minutes: float, other: float) -> float:
    return max(minutes, LEAST_MINUTES) / max(other, LEAST_MINUTES)


def _mean(ratios: Iterable[float]) -> float:
    """Geometric; NaN of nothing."""
    logs = [math.log(one) for one in ratios]
    return round(math.exp(sum(logs) / len(logs)), 4) if logs else math.nan


def trace_table(scores: Sequence[TraceScore]) -> Table:
    """One row for each series of a file."""
    table = Table(title=f"{scores[0].trace}: violation minutes", title_justify="left")
    table.add_column("series")
    for heading in ("days", "HPA alone", "foresight (cost)", "ours, usual (cost)"):
        table.add_column(heading, justify="right")
    for cost in AT_COSTS:
        table.add_column(f"ours | best peer at {cost:g}", justify="right")
    table.add_column("of foresight at 1.1 | usual", justify="right")
    for one in scores:
        table.add_row(
            one.target,
            f"{one.days:.1f}",
            f"{one.alone_minutes:,.1f}",
            f"{one.foresight_minutes:,.1f} ({one.foresight_cost:.3f})",
            f"{one.usual_minutes:,.1f} ({one.usual_cost:.3f})",
            *(
                f"{ours:,.1f} | {peer:,.1f} {name}"
                for ours, peer, name in zip(
                    one.ours_at, one.best_peer_at, one.best_peers, strict=True
                )
            ),
            f"{one.share_at_goal:.0%} | {one.share_usual:.0%}" if one.tells else "-",
        )
    return table


def settings_table(results: Sequence[SimulationResult]) -> Table:
    """Every arm and setting over all files: sums, which the busiest series rule."""
    table = Table(title="all series together", title_justify="left")
    table.add_column("arm, setting")
    table.add_column("violation minutes", justify="right")
    table.add_column("pod-hours", justify="right")
    sums: dict[str, list[float]] = {}
    for result in results:
        for arm in result.arms:
            row = sums.setdefault(arm.label, [0.0, 0.0])
            row[0] += arm.violation_minutes
            row[1] += arm.pod_hours
    for label, (minutes, hours) in sums.items():
        table.add_row(label, f"{minutes:,.1f}", f"{hours:,.1f}")
    return table


def summary_lines(summary: Summary) -> list[str]:
    """The goals' figures in words."""
    lines = [
        f"{summary.series} series on which HPA alone violates for a minute or more, "
        f"{summary.silent} on which it does not."
    ]
    for place, cost in enumerate(summary.at_costs):
        lines.append(
            f"At {cost:g} x the pod-hours of HPA alone: violation minutes "
            f"{summary.against_alone_at[place] - 1:+.0%} against HPA alone, "
            f"{summary.against_best_peer_at[place] - 1:+.0%} against the best peer of each series."
        )
    lines.append(
        f"At our usual setting: {summary.usual_against_alone - 1:+.0%} against HPA alone at "
        f"{summary.usual_cost:.3f} x its pod-hours; worst series {summary.worst_series}: "
        f"{summary.worst_against_alone - 1:+.1%}."
    )
    return lines

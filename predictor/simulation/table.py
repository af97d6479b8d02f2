"""The arms of a simulation as a table for a terminal.

`predictor/simulate_cli.py` and the control benchmark print it. It must never show a figure that the
result does not hold.
"""

from __future__ import annotations

from rich.table import Table

from predictor.simulation.figures import SimulationResult
from predictor.simulation.frontier import frontier_of, point_of
from predictor.simulation.tune import price_of
from predictor.simulation.verdict import HEADINGS, row_of


def arms_table(result: SimulationResult) -> Table:
    """One row for each arm and setting; ours stand out."""
    days = (result.until_s - result.from_s) / 86_400
    title = f"{result.source}: {len(result.targets)} targets, {days:.1f} days judged"
    table = Table(title=title, title_justify="left")
    table.add_column(HEADINGS[0])
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    for one in result.arms:
        table.add_row(*row_of(one, result), style="bold" if one.arm == "ours" else None)
    return table


def priced_table(result: SimulationResult, pod_hours_per_minute: float) -> Table:
    """HPA alone and every setting of ours, cheapest first; on the frontier or not."""
    title = f"{result.source}: a violation minute costs {pod_hours_per_minute:g} pod-hours"
    table = Table(title=title, title_justify="left")
    table.add_column("setting")
    for heading in ("cost, pod-hours", "violation minutes", "pod-hours", "on the frontier"):
        table.add_column(heading, justify="right")
    hull = set(frontier_of(result, "ours"))
    for one in sorted(result.arms, key=lambda arm: price_of(arm, pod_hours_per_minute)):
        table.add_row(
            one.label,
            f"{price_of(one, pod_hours_per_minute):,.1f}",
            f"{one.violation_minutes:,.1f}",
            f"{one.pod_hours:,.1f}",
            "yes" if point_of(one) in hull else "",
            style="bold" if one.is_usual and one.arm == "ours" else None,
        )
    return table

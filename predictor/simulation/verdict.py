"""The result of a simulation in sentences and rows; tables and pages show both.

It must never compute what the figures do not hold, and never leave out what speaks against us.
"""

from __future__ import annotations

from predictor.simulation.figures import ArmFigures, SimulationResult, response_time_s
from predictor.simulation.frontier import frontier_of, violation_at

HEADINGS = (
    "way of scaling", "violation minutes", "unserved requests", "p95 response", "pod-hours",
    "÷ HPA alone", "scale actions", "floor changes",
)  # fmt: skip
SAME_MINUTES = 0.05
"""Violation minutes that are shown as the same."""


def row_of(arm: ArmFigures, result: SimulationResult) -> tuple[str, ...]:
    """One arm under `HEADINGS`."""
    alone = result.arm("hpa").pod_hours
    slow = response_time_s(arm.days, result.response_bounds_s, 0.95)
    return (
        arm.label,
        f"{arm.violation_minutes:,.1f}",
        f"{arm.unserved:,.0f}",
        "-" if slow is None else f"{slow * 1000:,.0f} ms",
        f"{arm.pod_hours:,.1f}",
        f"{arm.pod_hours / alone:.3f}" if alone else "-",
        f"{arm.scale_actions:,}",
        f"{arm.floor_changes:,}",
    )


def verdict(result: SimulationResult) -> str:
    """What our floor brought and what it cost, next to HPA alone and to the best of the others."""
    alone, ours = result.arm("hpa"), result.arm("ours")
    sentences = [_against_alone(alone, ours), *_against_peers(result, ours), *_left(result)]
    return " ".join(sentences)


def _against_alone(alone: ArmFigures, ours: ArmFigures) -> str:
    saved = alone.violation_minutes - ours.violation_minutes
    more = ours.pod_hours - alone.pod_hours
    share = f" ({abs(saved) / alone.violation_minutes:.0%})" if alone.violation_minutes else ""
    cost = f" ({abs(more) / alone.pod_hours:.1%})" if alone.pod_hours else ""
    return (
        f"With our floor {abs(saved):,.1f} violation minutes {'fewer' if saved >= 0 else 'MORE'}"
        f"{share} than HPA alone, for {abs(more):,.1f} pod-hours "
        f"{'more' if more >= 0 else 'fewer'}{cost}."
    )


def _against_peers(result: SimulationResult, ours: ArmFigures) -> list[str]:
    peers = sorted({one.arm for one in result.arms} - {"hpa", "ours", "foresight"})
    found = [(violation_at(frontier_of(result, peer), ours.pod_hours), peer) for peer in peers]
    if not found:
        return []
    least, best = min(found)
    mine = ours.violation_minutes
    if abs(least - mine) < SAME_MINUTES:
        how = "comes to as much"
    else:
        how = f"comes to {least:,.1f} minutes, {'more' if least > mine else 'LESS'} than our"
        how += f" {mine:,.1f}"
    return [f"For the same pod-hours the best of the others, {best}, {how}."]


def _left(result: SimulationResult) -> list[str]:
    """How much of what perfect foresight would gain was gained."""
    share = foresight_share(result)
    return [] if share is None else [f"It spares {share:.0%} of what perfect foresight would."]


def foresight_share(result: SimulationResult) -> float | None:
    """Violation minutes spared, as a share of those that perfect foresight spares."""
    try:
        bound = result.arm("foresight").violation_minutes
    except KeyError:
        return None
    alone, ours = result.arm("hpa").violation_minutes, result.arm("ours").violation_minutes
    return None if alone - bound < SAME_MINUTES else (alone - ours) / (alone - bound)

"""What a pass did, as a person reads it at night: a line for each floor and route, then the counts.

`rounds.py` prints it. Pure; it must never leave out what failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from predictor.core.floor_object import HPA_KIND, FloorObject
from predictor.core.reasons import Reason
from predictor.way_back.restorer import Pass, Row, Verdict
from predictor.way_back.route_restorer import WeightsPass, WeightsRow

_QUIET = (Verdict.WAITS, Verdict.OWNERS)


def pass_lines(
    floors: Pass, weights: WeightsPass, *, is_dry_run: bool = False, shows_all: bool = True
) -> list[str]:
    """Every one of them, or (not `shows_all`) those that moved or could not; then the counts."""
    rows: list[Row | WeightsRow] = [*weights.rows, *floors.rows]
    problems = [*weights.problems, *floors.problems]
    shown = [row for row in rows if shows_all or row.verdict not in _QUIET]
    lines = _aligned([_cells(row) for row in shown])
    lines += [f"unread   {problem.sentence}" for problem in problems]
    counts = [_counts(rows, problems, is_dry_run=is_dry_run)] if lines or shows_all else []
    return [*lines, *counts]


def _cells(row: Row | WeightsRow) -> tuple[str, str, str, str]:
    if isinstance(row, WeightsRow):
        was, now = _shares(row.weights_was), _shares(row.weights)
        moved = f"{was} -> {now}" if was != now else now
        return str(row.verdict), row.at.title, moved, row.reason.sentence
    moved = f"{row.floor_was} -> {row.floor}" if row.floor != row.floor_was else str(row.floor)
    return str(row.verdict), _place(row.at), moved, row.reason.sentence


def _shares(weights: Mapping[str, int]) -> str:
    """Without their hosts, which the sentence names."""
    return "/".join(map(str, weights.values())) or "?"


def _place(at: FloorObject) -> str:
    """An HPA by its name alone; whatever else holds a floor with its kind."""
    kind = "" if at.kind == HPA_KIND else f"{at.kind.title} "
    return f"{kind}{at.namespace}/{at.name}"


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]
        )
        for row in rows
    ]


def _counts(
    rows: Sequence[Row | WeightsRow], problems: Sequence[Reason], *, is_dry_run: bool
) -> str:
    if not rows and not problems:
        return "no floor of the predictor is on any HPA here, and no weight is away from home"
    counts = Counter(row.verdict for row in rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    unread = f"; {len(problems)} namespaces could not be read" if problems else ""
    dry = "dry run, nothing was written: " if is_dry_run else ""
    return f"{dry}{told or 'nothing'}{unread}"

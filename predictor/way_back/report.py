"""What a pass did, as a person reads it at night: a line for each floor, then the counts.

`predictor/way_back_cli.py` prints it. Pure; it must never leave out what failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from predictor.core.floor_object import HPA_KIND, FloorObject
from predictor.way_back.restorer import Pass, Row, Verdict

_QUIET = (Verdict.WAITS, Verdict.OWNERS)


def pass_lines(done: Pass, *, is_dry_run: bool = False, shows_all: bool = True) -> list[str]:
    """Every floor, or (not `shows_all`) those that moved or could not, if any; then the counts."""
    shown = [row for row in done.rows if shows_all or row.verdict not in _QUIET]
    lines = _aligned([_cells(row) for row in shown])
    lines += [f"unread   {problem.sentence}" for problem in done.problems]
    counts = [_counts(done, is_dry_run=is_dry_run)] if lines or shows_all else []
    return [*lines, *counts]


def _cells(row: Row) -> tuple[str, str, str, str]:
    moved = f"{row.floor_was} -> {row.floor}" if row.floor != row.floor_was else str(row.floor)
    return str(row.verdict), _place(row.at), moved, row.reason.sentence


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


def _counts(done: Pass, *, is_dry_run: bool) -> str:
    if not done.rows and not done.problems:
        return "no floor of the predictor is on any HPA here"
    counts = Counter(row.verdict for row in done.rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    unread = f"; {len(done.problems)} namespaces could not be read" if done.problems else ""
    dry = "dry run, nothing was written: " if is_dry_run else ""
    return f"{dry}{told or 'nothing'}{unread}"

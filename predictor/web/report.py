"""One self-contained HTML page: what happened with and without us, drawn and in words.

`predictor/demo.py` and `predictor/live_demo.py` fill a `Report` and write the page; it opens from a
file, without network. It must never compute a result of its own: what it shows is what it was
given.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from predictor.web.page import render_page


class ArmRow(msgspec.Struct, frozen=True):
    """One way of scaling and what came of it, over all targets together."""

    name: str
    violation_minutes: float
    pod_hours: float
    unserved_requests: float | None
    """None where nobody counted them."""
    scale_actions: int


class Line(msgspec.Struct, frozen=True):
    """One line of a chart; `values` has a value (or None) for each of the chart's times."""

    name: str
    colour: str
    values: list[float | None]
    dash: tuple[int, ...] = ()
    width: float = 1.5
    fill: str | None = None


class Chart(msgspec.Struct, frozen=True):
    """Lines over common times, and the stretches in which a violation happened."""

    title: str
    times_s: list[int]
    lines: list[Line]
    shaded: list[tuple[int, int, str]] = []
    """(from, to, colour) in epoch seconds."""
    bands: list[tuple[int, int, str]] = []
    """(upper line, lower line, colour) to fill between, lines counted from 0."""
    zoom: tuple[int, int] | None = None
    """The stretch shown at first, epoch seconds."""


class Explained(msgspec.Struct, frozen=True):
    """One decision in words."""

    made_at: datetime
    title: str
    sentences: list[str]


class Report(msgspec.Struct, frozen=True):
    """All that the page shows."""

    title: str
    subtitle: str
    verdict: str
    arms: list[ArmRow]
    charts: list[Chart]
    decisions: list[Explained]
    notes: list[str]
    made_at: datetime


def render_report(report: Report) -> str:
    """The whole page."""
    return render_page("report.html", report.charts, report=report)

"""One self-contained HTML page: what happened with and without us, drawn and in words.

`predictor/demo.py` and `predictor/live_demo.py` fill a `Report` and write the page; it opens from a
file, without network. It must never compute a result of its own: what it shows is what it was
given.
"""

from __future__ import annotations

from datetime import datetime
from importlib import resources

import jinja2
import msgspec


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
    """The page; texts are escaped, data is embedded as JSON that cannot end its script element."""
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("predictor.web", "templates"),
    )
    vendor = resources.files("predictor.web") / "vendor"
    charts = msgspec.json.encode(report.charts).decode().replace("<", "\\u003c")
    return environment.get_template("report.html").render(
        report=report,
        charts_json=charts,
        plot_script=(vendor / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        plot_style=(vendor / "uPlot.min.css").read_text(encoding="utf-8"),
    )

"""Draws coverage and the hours of loss as SVG, for the report of a backtest.

`predictor/backtest_report.py` puts them into its page. Pure: numbers in, text out, and no text from
outside is ever in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from models.series import FloatArray
from models.step_windows import IntArray
from predictor.backtest_verdict import coverage_slack

GOOD, BAD, LINE, SOFT = "#0b6e4f", "#c1440e", "#d8dee4", "#57606a"
_SIDE, _LEFT, _TOP = 300, 44, 10
_LOWEST, _HIGHEST = 0.05, 0.998
"""The ends of the axes: shares are drawn by their odds, so that 0.9 to 0.99 is not one dot."""
_TICKS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CELL_W, _CELL_H = 21, 26
_PALE, _DARK = (255, 247, 236), (153, 40, 8)


def coverage_plot(coverage: Sequence[tuple[float, float]], outcomes: float) -> str:
    """Nominal level across, observed share upward, and around the diagonal the band of 3 points, or
    of chance where that is more."""
    known = [(level, share) for level, share in coverage if math.isfinite(share)]
    parts = [
        *_axes(), _band(outcomes), *(_dot(level, share, outcomes) for level, share in known)
    ]  # fmt: skip
    width, height = _LEFT + _SIDE + 12, _TOP + _SIDE + 40
    return _svg("coverage", width, height, parts)


def hour_heat_map(at_s: IntArray, loss: FloatArray) -> str:
    """Mean loss by weekday and hour in UTC; an hour without any origin stays hatched."""
    # 1 January 1970 was a Thursday, the fourth day of a week.
    hours = (at_s // 3600 + 3 * 24) % 168
    counts = np.bincount(hours, minlength=168)
    sums = np.bincount(hours, weights=loss, minlength=168)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    overall = float(loss.mean()) if len(loss) else math.nan
    width, height = _LEFT + 24 * _CELL_W + 4, 7 * _CELL_H + 46
    parts = [*_hour_labels(), *_cells(mean, overall)]
    return _svg("hours", width, height, parts)


def _svg(name: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{name}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img">{"".join(parts)}</svg>'
    )


def _odds(share: float) -> float:
    share = min(max(share, _LOWEST), _HIGHEST)
    return math.log(share / (1 - share))


def _x(share: float) -> float:
    low, high = _odds(_LOWEST), _odds(_HIGHEST)
    return _LEFT + _SIDE * (_odds(share) - low) / (high - low)


def _y(share: float) -> float:
    return _TOP + _SIDE - (_x(share) - _LEFT)


def _axes() -> Iterator[str]:
    yield (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        f'stroke="{LINE}"/>'
    )
    for share in _TICKS:
        x, y, text = _x(share), _y(share), f"{100 * share:g}"
        yield f'<path d="M{x:.1f} {_TOP}V{_TOP + _SIDE}M{_LEFT} {y:.1f}h{_SIDE}" stroke="#eef1f4"/>'
        yield _text(x, _TOP + _SIDE + 15, text, "middle")
        yield _text(_LEFT - 6, y + 4, text, "end")
    yield _text(_LEFT + _SIDE / 2, _TOP + _SIDE + 34, "nominal, % (by odds)", "middle")
    yield (
        f'<text transform="translate(12 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle" '
        f'fill="{SOFT}">observed, %</text>'
    )
    yield (
        f'<path d="M{_x(_LOWEST):.1f} {_y(_LOWEST):.1f}L{_x(_HIGHEST):.1f} {_y(_HIGHEST):.1f}" '
        f'stroke="{SOFT}" stroke-dasharray="3 3"/>'
    )


def _band(outcomes: float) -> str:
    shares = [
        1 / (1 + math.exp(-odds)) for odds in np.linspace(_odds(_LOWEST), _odds(_HIGHEST), 60)
    ]
    slack = {share: coverage_slack(share, outcomes) for share in shares}
    upper = [(share, share + slack[share]) for share in shares]
    lower = [(share, share - slack[share]) for share in reversed(shares)]
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in (*upper, *lower))
    return f'<polygon points="{points}" fill="rgba(11, 110, 79, .13)"/>'


def _dot(level: float, share: float, outcomes: float) -> str:
    colour = GOOD if abs(share - level) <= coverage_slack(level, outcomes) else BAD
    title = f"<title>{level:g}: {share:.1%} observed</title>"
    return (
        f'<circle cx="{_x(level):.1f}" cy="{_y(share):.1f}" r="5" fill="{colour}" stroke="#fff">'
        f"{title}</circle>"
    )


def _hour_labels() -> Iterator[str]:
    for row, day in enumerate(WEEKDAYS):
        yield _text(_LEFT - 8, row * _CELL_H + _CELL_H / 2 + 4, day, "end")
    for hour in range(0, 24, 3):
        yield _text(_LEFT + hour * _CELL_W, 7 * _CELL_H + 16, f"{hour:02}", "start")
    yield _text(_LEFT + 12 * _CELL_W, 7 * _CELL_H + 36, "hour of the day, UTC", "middle")


def _cells(mean: FloatArray, overall: float) -> Iterator[str]:
    most = float(np.nanmax(mean)) if np.isfinite(mean).any() else 0.0
    for place, value in enumerate(mean.tolist()):
        row, hour = divmod(place, 24)
        where = f"{WEEKDAYS[row]} {hour:02}:00"
        fill, told = "#f3f4f6", f"{where}: no origin"
        if math.isfinite(value):
            fill = _colour(value / most if most > 0 else 0.0)
            told = f"{where}: {value / overall if overall > 0 else 0:.1f} times the mean loss"
        yield (
            f'<rect x="{_LEFT + hour * _CELL_W}" y="{row * _CELL_H}" width="{_CELL_W - 1}" '
            f'height="{_CELL_H - 1}" fill="{fill}"><title>{told}</title></rect>'
        )


def _colour(share: float) -> str:
    # The root spreads the many small losses over the scale.
    mixed = [round(p + (d - p) * math.sqrt(share)) for p, d in zip(_PALE, _DARK, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{SOFT}">{text}</text>'

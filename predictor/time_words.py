"""Moments and stretches of time as a person reads them.

`predictor/audit_report.py` and `predictor/explain_text.py` use it. It must never ask what time it
is.
"""

from __future__ import annotations

from datetime import UTC, datetime


def utc(time_s: float) -> str:
    """Epoch seconds as date and time of day."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(time_s: float) -> str:
    """The time of day alone, in UTC."""
    return f"{datetime.fromtimestamp(time_s, UTC):%H:%M:%S}"


def lasting(seconds: float) -> str:
    """`45 s`, `1 min 45 s`, `1 h 10 min`; two units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    units = (("h", whole // 3600), ("min", whole // 60 % 60), ("s", whole % 60))
    told = [f"{count} {unit}" for unit, count in units if count]
    return " ".join(told[:2])

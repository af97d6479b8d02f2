"""How far this machine's clock is from the API server's, by the Date of what it answers.

`connection.py` notes it with every answer, `gate.py` asks before a write and `check` before anybody
trusts the service: when a floor runs out is a time of day, and demand is cut into windows by it. It
must never correct a time: which of the two clocks is wrong cannot be known from here.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from predictor.core.reasons import Code, Reason

CLOCK_SKEW_MAX_S = 30.0
"""Beyond it nothing is written. Well above what an answer may take, and well below what a floor is
good for."""


def clock_ahead_s(date: str, now_s: float) -> float | None:
    """How far `now_s` is ahead of a Date header, which is cut to the second; None without one."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return None if at.tzinfo is None else now_s - (at.timestamp() + 0.5)


def clock_objection(ahead_s: float | None) -> Reason | None:
    """Why nothing may be written by this clock, or None; what is not known is no objection."""
    if ahead_s is None or abs(ahead_s) <= CLOCK_SKEW_MAX_S:
        return None
    side = "ahead of" if ahead_s > 0 else "behind"
    sentence = (
        f"this machine's clock is {abs(ahead_s):.0f} s {side} the API server's, "
        f"more than {CLOCK_SKEW_MAX_S:.0f} s: synchronise both by NTP"
    )
    return Reason(Code.CLOCK_SKEW, sentence)

"""The bounds of response times that figures count requests between, in seconds.

`tally.py` counts by them and `figures.py` reads quantiles off them. They grow by a quarter, so a
quantile is at most that much too high.
"""

from __future__ import annotations

RESPONSE_BOUNDS_S: tuple[float, ...] = tuple(round(0.01 * 1.25**power, 4) for power in range(42))
"""From 10 ms to 95 s."""

"""What may be known against a forecast, by name.

`models/trust.py` and `models/surprises.py` give these with a sentence; audit records and the page
show them. No rule stands here.
"""

from __future__ import annotations

import enum


class TrustCode(enum.StrEnum):
    """What is known against a forecast, or was done about it; the gravest first."""

    IN_OUTAGE = "InOutage"
    """Demand collapsed abruptly and improbably: held at the profile times the level before."""
    AFTER_OUTAGE = "AfterOutage"
    """Such a collapse has just ended: held a little longer, not learnt."""
    FLASH_CROWD = "FlashCrowd"
    """Demand rose as no history announced: the upper quantiles are lifted over it."""
    RUNG_WITHOUT_FORECAST = "RungWithoutForecast"
    """The method whose turn it is gave nothing: the next one down, or none."""
    DEMOTED = "Demoted"
    """A simpler method has done better of late, and forecasts instead."""
    LEVEL_SHIFT = "LevelShift"
    """Demand has moved to another level and stayed there."""
    LEVEL_DRIFT = "LevelDrift"
    """The level grows or falls by some percent every day."""
    RETURNED = "Returned"
    """A method has done well for so long that it forecasts again."""
    COLD_START = "ColdStart"
    """Too little history yet for what the best forecast is made from."""
